"""Lines that put values together: the nested dictionaries of an entity, or a vendor's payload."""

from __future__ import annotations

from typing import Any

from mappings.codegen.source import Source
from mappings.entities import Step

Leaf = tuple[tuple[Step, ...], str, bool]
"""Where a value goes in an entity, the variable that holds it, and whether it is certainly there."""


def tree_of(out: Source, leaves: list[Leaf], depth: int) -> str:
    """Lines that build the dictionary of one object; the expression or variable that holds it."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Leaf]] = {}
    for leaf in leaves:
        step = leaf[0][depth]
        groups.setdefault((step.name, step.keys), []).append(leaf)
    literal: list[str] = []
    later: list[tuple[str, str]] = []
    elements: dict[str, list[tuple[str, str]]] = {}
    for (name, keys), members in groups.items():
        step = members[0][0][depth]
        if len(members[0][0]) == depth + 1:
            value, certain = members[0][1], members[0][2]
            if keys:  # a complete element
                elements.setdefault(name, []).append(("" if certain else f"{value} is not None", value))
            elif certain:
                literal.append(f"{name!r}: {value}")
            else:
                later.append((f"{value} is not None", f"[{name!r}] = {value}"))
            continue
        condition, child = child_of(out, members, depth + 1, step, bool(keys))
        if keys:
            pairs = "".join(f"{k!r}: {w!r}, " for k, w in keys)
            elements.setdefault(name, []).append(
                (condition, f"{{{pairs}**{child}}}" if child[0] != "{" else f"{{{pairs}{child[1:]}")
            )
        elif condition:
            later.append((condition, f"[{name!r}] = {child}"))
        else:
            literal.append(f"{name!r}: {child}")
    for name, items in elements.items():
        held = out.fresh("l")
        out.add(0, f"{held} = []")
        for condition, child in items:
            out.add(0, f"if {condition or 'True'}: {held}.append({child})")
        later.append((held, f"[{name!r}] = {held}"))
    if not later:
        return "{" + ", ".join(literal) + "}"
    node = out.fresh("d")
    out.add(0, f"{node} = {{{', '.join(literal)}}}")
    for condition, assignment in later:
        out.add(0, f"if {condition}: {node}{assignment}")
    return node


def child_of(out: Source, members: list[Leaf], depth: int, step: Step, is_element: bool) -> tuple[str, str]:
    """(condition under which the object exists, expression); no condition where it always does."""
    assert step.element is not None
    keyed = {k for k, _ in step.keys}
    direct = {m[0][depth].name: m for m in members if len(m[0]) == depth + 1}
    needed = [n for n, f in step.element.model_fields.items() if f.is_required() and n not in keyed]
    conditions: list[str] = []
    if not step.required or is_element:
        for name in needed:
            member = direct.get(name)
            if member is None:
                if not any(m[0][depth].name == name for m in members):
                    conditions.append("False")
            elif not member[2]:
                conditions.append(f"{member[1]} is not None")
    simple = set(direct) == {m[0][depth].name for m in members}
    if simple and all(m[2] or (m[0][depth].name in needed and not step.required) for m in members):
        expression = "{" + ", ".join(f"{n!r}: {m[1]}" for n, m in direct.items()) + "}"
        return " and ".join(conditions), expression
    child = tree_of(out, members, depth)
    if not step.required or is_element:
        nested = [n for n in needed if n not in direct]
        conditions += [f"{n!r} in {child}" for n in nested if any(m[0][depth].name == n for m in members)]
        if not needed:
            conditions.append(child)
    return " and ".join(conditions), child


def payload_of(out: Source, node: dict[str, Any]) -> str:
    literal: list[str] = []
    later: list[tuple[str, str]] = []
    for key, entry in node.items():
        if isinstance(entry, dict):
            child = payload_of(out, entry)
            if child.startswith("{"):
                literal.append(f"{key!r}: {child}")
            else:
                later.append((child, f"[{key!r}] = {child}"))
        elif entry[1]:
            literal.append(f"{key!r}: {entry[0]}")
        else:
            later.append((f"{entry[0]} is not None", f"[{key!r}] = {entry[0]}"))
    if not later:
        return "{" + ", ".join(literal) + "}"
    held = out.fresh("o")
    out.add(0, f"{held} = {{{', '.join(literal)}}}")
    for condition, assignment in later:
        out.add(0, f"if {condition}: {held}{assignment}")
    return held

"""The way out: one flat function from an entity to a vendor's payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mappings.codegen.source import Source
from mappings.codegen.trees import payload_of
from mappings.codegen.values import Key, may_vanish, take, value_of
from mappings.context import Context
from mappings.plan import OutMove, Plan
from oms_schema.base import Canonical

Writer = Callable[[Canonical, Context], dict[str, Any]]
"""`(entity, context) -> payload`, what a generated function of the way out is."""


def writer(plan: Plan, moves: tuple[OutMove, ...]) -> tuple[Writer, str]:
    """`(entity, context) -> payload` for the way out, and its source text."""
    out = Source()
    taken: dict[Key, tuple[str, bool]] = {(): ("entity", False)}
    fields: dict[Key, str] = {}
    root: dict[str, Any] = {}
    for move in moves:
        absent = move.const is None
        if move.sources:
            held = [take(out, taken, fields, s) for s in move.sources]
            sources = [name for name, _ in held]
            absent = any(nullable for _, nullable in held)
        elif move.setting is not None:
            sources = [out.fresh("s")]
            out.add(0, f"{sources[0]} = context.setting({move.setting!r})")
        elif move.context is not None:
            sources = [out.fresh("s")]
            facet = "context.facets" if move.context == "facets" else "context.facet or None"
            out.add(0, f"{sources[0]} = {facet}")
        else:
            sources = [repr(move.const)]
        name = value_of(out, move, sources, absent)
        certain = move.required or move.default is not None or move.clear or (not absent and not may_vanish(move.ops))
        node = root
        *parents, last = move.target.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = (name, certain)
    out.add(0, f"return {payload_of(out, root)}")
    return out.build("write", "entity, context", f"{plan.name} out")

"""Objects of an entity that are made of texts alone: built and validated once for the same texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from mappings.codegen.accepting import accepting_of_moves
from mappings.codegen.source import Reader, Source
from mappings.codegen.trees import Leaf, child_of
from mappings.codegen.values import fetch, may_vanish, takes_none, value_of, word_of
from mappings.kinds import Kind
from mappings.plan import InMove, Plan, ToCanonicalId

TEXTS = frozenset({Kind.TEXT, Kind.WIRE_DATE, Kind.WIRE_DATETIME})
PARTS_KEPT = 1024
"""How many different flights, or targetings, a compiled mapping remembers."""


class Part:
    """Makes an object of the entity from raw values, None where it is absent, and keeps what it made.

    Values come as a tuple, except where there is only one.
    """

    def __init__(self, make: Callable[..., Any], one: bool) -> None:
        self.kept: dict[Any, Any] = {}
        self._make = make
        self._one = one

    def __call__(self, raw: Any) -> Any:
        """The object for values that are not among the kept ones."""
        if len(self.kept) >= PARTS_KEPT:
            self.kept.clear()
        made = self.kept[raw] = self._make(raw) if self._one else self._make(*raw)
        return made


def grouped(moves: Sequence[InMove], depth: int) -> list[list[InMove]]:
    """The moves that end in the same object, or in the same element of a list, below `depth`."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[InMove]] = {}
    for move in moves:
        step = move.target.steps[depth]
        groups.setdefault((step.name, step.keys), []).append(move)
    return list(groups.values())


def read_value(out: Source, raws: dict[str, str], plan: Plan, move: InMove) -> Leaf:
    if move.required and move.default is None and len(move.paths) == 1 and not takes_none(move.ops):
        (path,) = move.paths
        if plan.kinds[path] in TEXTS and "." not in path and f"{path}=''" not in raws:
            out.add(0, f"if not {raws[path]}: raise STOP  # {move.target.path}")
            raws[f"{path}=''"] = raws[path]
            return move.target.steps, value_of(out, move, [raws[path]], False), True
    sources = [fetch(out, raws, path) for path in move.paths]
    name = value_of(out, move, sources if sources else [word_of(out, move, move.const)], bool(sources))
    certain = move.required or move.default is not None or not (move.paths or may_vanish(move.ops))
    return move.target.steps, name, certain


def of_texts_alone(plan: Plan, group: list[InMove], depth: int) -> bool:
    """Whether these moves make one object out of texts, independent of the connection, at the step before `depth`.

    Only texts: True, 1 and Decimal(1) are equal as keys of a cache, but not as values of a vendor.
    """
    step = group[0].target.steps[depth - 1]
    paths = [p for m in group for p in m.paths]
    return (
        step.element is not None
        and step.name != "id"
        and (depth > 1 or not step.keys)
        and all(len(m.target.steps) > depth for m in group)
        and all(plan.kinds[p] in TEXTS and "." not in p for p in paths)
        and bool(paths)
        and not any(isinstance(op, ToCanonicalId) for m in group for op in m.ops)
    )


def take_out(out: Source, variables: str, names: tuple[str, ...], lacking: Reader | None) -> None:
    """Take fields out of the record at once; one of them may be absent only where there is `lacking`."""
    picked = f"{variables} = {out.name('pick_', itemgetter(*names))}(native)"
    if lacking is None:
        out.add(0, picked)
    else:
        out.add(0, f"try: {picked}")
        out.add(0, f"except KeyError: return {out.name('lacking_', lacking)}(native, connection)")


def kept_part(
    out: Source,
    raws: dict[str, str],
    plan: Plan,
    group: list[InMove],
    depth: int,
    parts: list[Part],
    texts: list[str],
    lacking: Reader | None = None,
) -> str:
    """The variable that holds the validated object of a group of moves, made once for the same raw values."""
    paths = tuple(dict.fromkeys(p for m in group for p in m.paths))
    part = _part(plan, group, depth, paths, parts, texts)
    kept, made = out.name("kept_", part.kept), out.name("part_", part)
    raw, held = ", ".join(raws[p] for p in paths if p in raws), out.fresh("m")
    where = f"  # {'.'.join(s.name for s in group[0].target.steps[:depth])}"
    step = group[0].target.steps[depth - 1]
    if len(paths) == 1 and step.keys and not any(takes_none(m.ops) for m in group):
        # An element that nothing was given for does not exist; most of a targeting's do not.
        out.add(0, f"{held} = None{where}")
        out.add(0, f"if {raw} is not None:")
        out.add(1, f"{held} = {kept}.get({raw})")
        out.add(1, f"if {held} is None: {held} = {made}({raw})")
        return held
    if not raw:  # they stand apart
        raw = out.fresh("a")
        if lacking is None:
            out.add(0, f"{raw} = tuple(map(get, {out.name('names_', paths)}))")
        else:
            take_out(out, raw, paths, lacking)
    elif len(paths) > 1:
        raw, values = out.fresh("a"), raw
        out.add(0, f"{raw} = {values}")
    out.add(0, f"{held} = {kept}.get({raw}, {kept}){where}")
    out.add(0, f"if {held} is {kept}: {held} = {made}({raw})")
    return held


def _part(
    plan: Plan, group: list[InMove], depth: int, paths: Sequence[str], parts: list[Part], texts: list[str]
) -> Part:
    """What makes the validated object of some moves from the raw values at `paths`; elements of its lists are parts too."""
    out = Source()
    raws = {path: f"a{n}" for n, path in enumerate(paths)}
    arguments = ", ".join(raws.values())
    members: list[Leaf] = []
    for below in grouped(group, depth):
        step = below[0].target.steps[depth]
        if step.keys and of_texts_alone(plan, below, depth + 1):
            held = kept_part(out, raws, plan, below, depth + 1, parts, texts)
            members.append((below[0].target.steps[: depth + 1], held, False))
        else:
            members += [read_value(out, raws, plan, move) for move in below]
    step = group[0].target.steps[depth - 1]
    assert step.element is not None
    condition, expression = child_of(out, members, depth, step, bool(step.keys))
    if condition:
        out.add(0, f"if not ({condition}): return None")
    if step.keys:
        pairs = "".join(f"{k!r}: {w!r}, " for k, w in step.keys)
        expression = f"{{{pairs}{expression[1:]}" if expression[0] == "{" else f"{{{pairs}**{expression}}}"
    out.add(0, f"return {out.name('model_', accepting_of_moves(step.element, group))}({expression})")
    name = f"part_{'_'.join(s.name for s in group[0].target.steps[:depth])}"
    function, text = out.build(name, arguments, f"{plan.name} in, {group[0].target.path}")
    texts.append(text)
    part = Part(function, len(paths) == 1)
    parts.append(part)
    return part

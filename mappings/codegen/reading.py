"""The way in: one flat function from a vendor's record to the nested dictionaries of an entity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mappings.codegen.parts import Part, grouped, kept_part, of_texts_alone, read_value, take_out
from mappings.codegen.source import Reader, Source
from mappings.codegen.trees import Leaf, tree_of
from mappings.codegen.values import PARENT, takes_none
from mappings.plan import InMove, Plan


def reader(
    plan: Plan, lacking: Reader | None = None, named: frozenset[str] | None = None
) -> tuple[Reader, str, tuple[Part, ...]]:
    """`(native, connection) -> nested dictionaries` for the way in, its source text, and the parts that it keeps.

    A part of the entity that is made of texts alone (the flight, the targeting) stands in it as a validated model, built
    once for the same texts: the lines of an order share most of them.

    A record of most vendors has all its fields, null where there is nothing; one that has not is given to `lacking`. With
    `named`, records have these of the plan's fields and no other: nothing is asked about what can only be absent.
    Without both it reads any record.
    """
    out = Source()
    plan = plan if named is None else replace(plan, reads=tuple(m for m in plan.reads if _can_be_there(m, named)))
    groups = grouped(plan.reads, 0)
    kept = [group for group in groups if of_texts_alone(plan, group, 1)]
    apart = _apart(groups, kept) if named is None else frozenset()
    raws = _picked(out, plan, apart, lacking, named)
    members: list[Leaf] = []
    texts: list[str] = []
    parts: list[Part] = []
    for group in groups:
        step = group[0].target.steps[0]
        if group in kept:
            held = kept_part(out, raws, plan, group, 1, parts, texts, lacking)
            members.append(((step,), held, step.required))
            continue
        for move in group:
            members.append(read_value(out, raws, plan, move))
    out.add(0, f"return {tree_of(out, members, 0)}")
    read, text = out.build("read", "native, connection", f"{plan.name} in")
    return read, "\n".join([*texts, text]), tuple(parts)


def _apart(groups: Sequence[list[InMove]], kept: Sequence[list[InMove]]) -> frozenset[str]:
    """The vendor fields that one kept part alone reads, several together: it takes them out of the record by itself."""
    paths = [(group, frozenset(p for m in group for p in m.paths)) for group in groups]
    return frozenset().union(
        *(
            own
            for group, own in paths
            if group in kept and len(own) > 1 and not any(own & others for other, others in paths if other is not group)
        )
    )


def top(path: str) -> str:
    """The field of the record in which a value stands."""
    return path.partition(".")[0]


def _can_be_there(move: InMove, named: frozenset[str]) -> bool:
    """Whether a move can come to anything in a record that has these fields alone, a refusal included."""
    return (
        not move.paths
        or any(top(path) in named for path in move.paths)
        or move.default is not None
        or move.required
        or takes_none(move.ops)
    )


def _picked(
    out: Source, plan: Plan, apart: frozenset[str], lacking: Reader | None, named: frozenset[str] | None
) -> dict[str, str]:
    """Variables for everything at the top of the record that is read, taken out of it at once where it is certain that it
    is there, else field by field."""
    every = dict.fromkeys(p for m in plan.reads for p in m.paths)
    names = dict.fromkeys(
        top_name + PARENT if below else top_name
        for top_name, _, below in (p.partition(".") for p in every if p not in apart)
    )
    if lacking is not None and every:
        fields, call = len({top(path) for path in every}), f"{out.name('lacking_', lacking)}(native, connection)"
        out.add(0, f"if len(native) < {fields}: return {call}")
    raws = {name: out.fresh("r") for name in names}
    tops = {name: name.removesuffix(PARENT) for name in names}
    if named is not None:
        for name in [name for name, field_name in tops.items() if field_name not in named]:
            out.add(0, f"{raws[name]} = None")
            raws[f"{name}=''"] = raws[name]
            del tops[name]
    if not tops:
        return raws
    variables = ", ".join(raws[name] for name in tops)
    if lacking is None and named is None:
        out.add(0, "get = native.get")
        out.add(0, f"{variables} = {', '.join(f'get({each!r})' for each in tops.values())}")
        return raws
    take_out(out, variables, tuple(tops.values()), lacking)
    return raws

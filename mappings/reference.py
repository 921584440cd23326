"""The plan followed move by move, in plain interpreted Python: the oracle of the generated code, and the slow pass that
collects every problem of a record once the fast pass has met one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.context import Context
from mappings.entities import CanonicalField, Step
from mappings.explain import in_problem, out_problem
from mappings.plan import (
    Apply,
    AsInteger,
    AsText,
    Bare,
    InMove,
    Limit,
    Op,
    OutMove,
    Plan,
    Table,
    ToCanonicalId,
    ToVendorId,
    cut,
)
from mappings.registry import Refused
from mappings.spec import TooLong, Unknown
from oms_schema.base import Canonical
from oms_schema.ids import canonical_id
from oms_schema.problems import Problem, Reason

Faults = (ValueError, TypeError, AttributeError, KeyError, ArithmeticError, LookupError)
"""What a transform can raise when the value is not what the vendor's schema promised."""


def read(plan: Plan, native: Mapping[str, Any], connection: str) -> tuple[dict[str, Any], list[Problem]]:
    """The canonical entity as nested dictionaries, and every problem of the record."""
    problems: list[Problem] = []
    leaves: list[tuple[CanonicalField, Any]] = []
    for move in plan.reads:
        raw: Any = None
        try:
            raw = read_source(move, native)
            leaves.append((move.target, read_value(move, native, connection)))
        except Faults as fault:
            problems.append(in_problem(plan, move, raw, fault))
    return assembled(leaves), problems


def write(
    plan: Plan, moves: tuple[OutMove, ...], entity: Canonical, context: Context
) -> tuple[dict[str, Any], list[Problem]]:
    """The vendor payload as nested dictionaries, and every problem of the record."""
    problems: list[Problem] = []
    payload: dict[str, Any] = {}
    for move in moves:
        shown: Any = None
        try:
            shown = write_source(move, entity, context)
            value = write_value(move, entity, context)
        except Faults as fault:
            problems.append(out_problem(plan, move, shown, fault))
            continue
        if value is not None or move.clear:
            *parents, last = move.target.split(".")
            node = payload
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = value
    return payload, problems


def read_source(move: InMove, native: Mapping[str, Any]) -> Any:
    """The vendor's value or values as they are; an empty text is an absent one."""
    if not move.paths:
        return move.const
    values = tuple(fetched(native, path) for path in move.paths)
    return values[0] if len(values) == 1 else values


def fetched(native: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path; None where the path ends early. Raises AttributeError when a parent is no object."""
    value: Any = native
    for step in path.split("."):
        if value is None:
            return None
        value = value.get(step)
    return None if value == "" else value


def read_value(move: InMove, native: Mapping[str, Any], connection: str) -> Any:
    """One canonical value of the way in; Refused or another fault when it cannot be made."""
    value = piped(move.ops, read_source(move, native), len(move.paths), connection, None)
    return settled(value, move.default, move.required)


def write_source(move: OutMove, entity: Canonical, context: Context) -> Any:
    """The canonical value or values, constant, setting or context word that a vendor field is made of."""
    if move.sources:
        values = tuple(taken(entity, s) for s in move.sources)
        return values[0] if len(values) == 1 else values
    if move.setting is not None:
        return context.setting(move.setting)
    if move.context is not None:
        return context.facets if move.context == "facets" else (context.facet or None)
    return move.const


def write_value(move: OutMove, entity: Canonical, context: Context) -> Any:
    """One vendor value of the way out; Refused or another fault when it cannot be made."""
    source = write_source(move, entity, context)
    if move.setting is not None and source is None and move.default is None and move.required:
        raise missing_setting(move.setting)
    value = piped(move.ops, source, len(move.sources), "", context)
    return settled(value, move.default, move.required)


def taken(entity: Canonical, source: CanonicalField) -> Any:
    """The value at a canonical path; None where an object on the way is absent, or where it is an empty text or list."""
    value: Any = entity
    for step in source.steps:
        if value is None:
            return None
        value = getattr(value, step.name)
        if step.keys:
            value = next((e for e in value if all(getattr(e, k) == w for k, w in step.keys)), None)
    return None if value == "" or value == () else value


def piped(ops: tuple[Op, ...], value: Any, count: int, connection: str, context: Context | None) -> Any:
    """A value through the operations of one move; None passes by everything that does not ask for it."""
    several = count > 1
    for op in ops:
        if isinstance(op, Apply):
            values = value if several else (value,)
            several = False
            if not op.absent and any(v is None for v in values):
                value = None
                continue
            if op.shared is not None:
                values = (*values[:-1], op.shared(values[-1], context))
            value = op.call(*values, context) if op.takes_context else op.call(*values)
        elif value is None:
            continue
        elif isinstance(op, Table):
            value = looked_up(op, value)
        elif isinstance(op, ToCanonicalId):
            value = canonical_id(op.kind, connection, value)
        elif isinstance(op, ToVendorId):
            value = referred(op, value, context)
        elif isinstance(op, AsText):
            value = str(value)
        elif isinstance(op, AsInteger):
            value = int(value)
        elif isinstance(op, Bare):
            value = str(value)
        else:
            value = limited(op, value)
    return value


def looked_up(op: Table, value: Any) -> str:
    """A word by table; what happens to an unknown one is the table's own rule."""
    found = op.words.get(value)
    if found is not None:
        return found
    if op.unknown is Unknown.KEEP:
        return str(value)
    if op.default is not None:
        return op.default
    raise unknown_word(op)


def limited(op: Limit, value: str) -> str:
    """A text within its limit, or its beginning with a hash, or Refused."""
    if len(value) <= op.most:
        return value
    if op.policy is TooLong.TRUNCATE_HASH:
        return cut(value, op.most)
    raise Refused(
        "too_long",
        f"it has {len(value)} characters and at most {op.most} fit",
        reason=Reason.LENGTH,
        fix=f"shorten it to {op.most} characters",
    )


def referred(op: ToVendorId, value: str, context: Context | None) -> str:
    """The vendor's id of a canonical entity; Refused while it has none."""
    found = context.vendor_id(op.kind, value, op.facet) if context is not None else None
    if found is None:
        as_what = f" as {op.facet}" if op.facet else ""
        raise Refused(
            "reference_missing",
            f"this {op.kind} has no record at the vendor yet{as_what}",
            reason=Reason.REFERENCE_MISSING,
            fix=f"see what keeps the {op.kind} from being written",
        )
    return found


def unknown_word(op: Table) -> Refused:
    """The refusal of a word that a table does not know."""
    known = ", ".join(sorted(op.words))
    if op.unknown is Unknown.HOLD:
        fix = "add the value to the mapping's table, or change it to a known one"
        return Refused("unknown_value_held", f"the mapping knows only {known}", reason=Reason.PICKLIST, fix=fix)
    fix = f"choose one of {known}"
    return Refused("unknown_value", f"only {known} can be used", reason=Reason.PICKLIST, fix=fix)


def settled(value: Any, default: Any, required: bool) -> Any:
    """The value, or its default; Refused when a required one is absent."""
    if value is None:
        value = default
    if value is None and required:
        raise Refused("required_missing", "it is empty, and a value is required", fix="enter a value")
    return value


def missing_setting(name: str) -> Refused:
    """The refusal of a record whose connection lacks a setting."""
    return Refused(
        "setting_missing",
        f"the mapping setting {name} is not set",
        reason=Reason.MAPPING,
        fix=f"set mapping_settings.{name} of this connection in the configuration",
    )


# ---------------------------------------------------------------- leaves to a tree
def assembled(leaves: list[tuple[CanonicalField, Any]]) -> dict[str, Any]:
    """Nested dictionaries from leaf values. An optional object, or an element of a list, is left out when a field that
    its model requires is absent, or when all its fields are."""
    root = grouped([(leaf.steps, value) for leaf, value in leaves], 0)
    return root if root is not None else {}


Leaf = tuple[tuple[Step, ...], Any]


def grouped(leaves: list[Leaf], depth: int) -> dict[str, Any]:
    """The dictionary of the objects at `depth`, absent fields left out."""
    result: dict[str, Any] = {}
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Leaf]] = {}
    for steps, value in leaves:
        step = steps[depth]
        groups.setdefault((step.name, step.keys), []).append((steps, value))
    for (name, keys), members in groups.items():
        step = members[0][0][depth]
        if len(members[0][0]) == depth + 1:
            if members[0][1] is not None:
                result[name] = members[0][1]
            continue
        child = grouped(members, depth + 1)
        if _left_out(step, child, bool(keys)):
            continue
        if keys:
            result.setdefault(name, []).append({**dict(keys), **child})
        else:
            result[name] = child
    return result


def _left_out(step: Step, child: dict[str, Any], is_element: bool) -> bool:
    if not child:
        return not step.required or is_element
    if step.required and not is_element:
        return False
    assert step.element is not None
    keyed = {k for k, _ in step.keys}
    needed = [n for n, f in step.element.model_fields.items() if f.is_required() and n not in keyed]
    return any(n not in child for n in needed)

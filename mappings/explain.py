"""From what went wrong with one value to a `Problem` that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from mappings.entities import CanonicalField
from mappings.kinds import Kind
from mappings.plan import InMove, OutMove, Plan
from mappings.registry import Refused
from mappings.spec import Owner
from oms_schema.problems import Problem, Reason, shown

PERSONS: Mapping[Owner, str] = {
    Owner.CRM: "the order's owner in the CRM",
    Owner.HUB: "the hub's operator",
    Owner.ADSERVER: "the trafficker",
    Owner.ERP: "finance",
}
"""Who is asked to correct a field of each owner."""

NOT_ACCEPTED = "The change is parked; what was accepted before, if anything, stays in force."
NOT_WRITTEN = "The record is not written and stays at the vendor as it is."

_PYTHON: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.INTEGER: (int,),
    Kind.BOOLEAN: (bool,),
    Kind.OBJECT: (dict,),
    Kind.LIST: (list, tuple),
}


def in_problem(plan: Plan, move: InMove, value: Any, fault: Exception) -> Problem:
    """What is wrong with one value on the way in; the path is the vendor's, where the value has to be corrected."""
    vendor = " and ".join(f"{plan.record}.{p}" for p in move.paths) or f"{plan.record} (constant)"
    refused = _refused(fault, value, [plan.kinds.get(p) for p in move.paths])
    person = PERSONS[Owner.HUB if refused.reason is Reason.MAPPING else move.owner]
    happened = _happened(f"{vendor} (for {move.target.path})", value, refused)
    fix = refused.fix or "correct the value"
    return Problem(
        code=refused.code,
        reason=refused.reason,
        path=f"{plan.record}.{move.paths[0]}" if move.paths else move.target.path,
        value=shown_value(value),
        happened=happened,
        effect=NOT_ACCEPTED,
        fix=f"{_capital(person)}: {fix}; the change is then read again.",
        owner=person,
    )


def out_problem(plan: Plan, move: OutMove, value: Any, fault: Exception) -> Problem:
    """What is wrong with one value on the way out; the path is the canonical one, or the vendor's for settings."""
    refused = _refused(fault, value, [s.kind for s in move.sources])
    person = PERSONS[Owner.HUB if refused.reason is Reason.MAPPING else move.owner]
    canonical = " and ".join(s.path for s in move.sources)
    subject = f"{canonical} (for {plan.record}.{move.target})" if canonical else f"{plan.record}.{move.target}"
    fix = refused.fix or f"correct {move.sources[0].path if move.sources else move.target} at its source"
    return Problem(
        code=refused.code,
        reason=refused.reason,
        path=move.sources[0].path if move.sources else f"{plan.record}.{move.target}",
        value="" if refused.reason is Reason.MAPPING else shown_value(value),
        happened=_happened(subject, value, refused),
        effect=NOT_WRITTEN,
        fix=f"{_capital(person)}: {fix}; it is then sent by itself.",
        owner=person,
    )


def model_problems(plan: Plan, fault: ValidationError) -> list[Problem]:
    """What the canonical model refused, led back to the vendor fields that the refused part was read from."""
    problems: list[Problem] = []
    for error in fault.errors(include_url=False, include_context=False):
        loc = tuple(str(step) for step in error["loc"] if not isinstance(step, int))
        moves = _moves_at(plan, loc)
        vendor = [f"{plan.record}.{p}" for m in moves for p in m.paths]
        owner = moves[0].owner if moves else Owner.HUB
        person = PERSONS[owner]
        canonical = ".".join(loc) or "the record"
        message = error["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        subject = f"{' and '.join(dict.fromkeys(vendor))} (for {canonical})" if vendor else canonical
        code = {"string_too_long": "too_long", "string_too_short": "required_missing"}.get(
            error["type"], "invalid_value"
        )
        problems.append(
            Problem(
                code=code,
                reason=Reason.LENGTH if code == "too_long" else Reason.VALIDATION,
                path=vendor[-1] if vendor else canonical,
                value=shown_value(error["input"]),
                happened=f"{subject} cannot be accepted: {message}.",
                effect=NOT_ACCEPTED,
                fix=f"{_capital(person)}: correct the value; the change is then read again.",
                owner=person,
            )
        )
    return problems


def shown_value(value: Any) -> str:
    """A value redacted to what an error may show: one line of at most 80 characters, objects as key=value."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return shown(", ".join(f"{k}={shown_value(v)}" for k, v in value.items()))
    if isinstance(value, tuple):
        return shown(", ".join(shown_value(v) for v in value))
    if isinstance(value, (str, int)):
        return shown(str(value))
    return shown(type(value).__name__ if isinstance(value, BaseModel) else str(value))


def _refused(fault: Exception, value: Any, kinds: list[Kind | None]) -> Refused:
    if isinstance(fault, Refused):
        return fault
    values = value if isinstance(value, tuple) and len(kinds) > 1 else (value,)
    for one, kind in zip(values, kinds, strict=False):
        python = _PYTHON.get(kind) if kind is not None else None
        if python and one is not None and (not isinstance(one, python) or (kind is Kind.INTEGER and one is True)):
            return Refused("wrong_type", f"it is a {type(one).__name__} where {kind} belongs")
    words = str(fault).split("\n", 1)[0]
    return Refused("invalid_value", f"it cannot be read ({words})" if words else "it cannot be read")


def _happened(subject: str, value: Any, refused: Refused) -> str:
    if value is None or refused.code in ("required_missing", "setting_missing", "setting_wrong"):
        return f"{subject} {refused.rule.removeprefix('it ')}."
    # no !r: what is invisible is escaped already, and would be escaped twice
    return f"{subject} is '{shown_value(value)}', but {refused.rule}."


def _moves_at(plan: Plan, loc: tuple[str, ...]) -> list[InMove]:
    """The moves whose canonical path begins as `loc` does, or the nearest ones above it; read ones before constants."""
    for length in range(len(loc), -1, -1):
        found = [m for m in plan.reads if _names(m.target)[:length] == loc[:length] and m.paths]
        if found:
            return found
    return []


def _names(target: CanonicalField) -> tuple[str, ...]:
    return tuple(step.name for step in target.steps)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

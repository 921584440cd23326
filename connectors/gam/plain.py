"""Compares, overlays and cuts the plain dictionaries that the vendor's objects are read as (`connectors.gam.replies`). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.gam.statement import moments_of


def overlaid(present: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The present object with our fields written over it.

    Plain objects are merged field by field; lists, typed values (`xsi_type`), dates and money are replaced whole; None
    clears a field.
    """
    result = dict(present)
    for name, value in ours.items():
        before = result.get(name)
        if value is None:
            result.pop(name, None)
        elif merges(value) and merges(before):
            result[name] = overlaid(before, value)  # type: ignore[arg-type]
        else:
            result[name] = value
    return result


def shows(present: Any, wanted: Any) -> bool:
    """Whether the present value already holds what is wanted.

    Absent, empty and false are one: the vendor answers now this, now that. Fields that we do not name do not count, nor
    does the order of lists; date-times are compared as instants, because the vendor answers in the network's zone
    whatever zone it was told; numbers and their decimal text are the same.
    """
    if wanted is None or wanted is False or wanted in ("", [], {}):
        return present is None or present is False or present in ("", [], {})
    if isinstance(wanted, Mapping):
        if present is None:  # an object that says nothing
            return bool(wanted) and all(shows(None, value) for value in wanted.values())
        if not isinstance(present, Mapping):
            return False
        if "timeZoneId" in wanted and "timeZoneId" in present:
            try:
                return not moments_of(present).isdisjoint(moments_of(wanted))
            except (ValueError, KeyError):
                return dict(present) == dict(wanted)
        return all(shows(present.get(name), value) for name, value in wanted.items() if not _implied(name, present))
    if isinstance(wanted, Sequence) and not isinstance(wanted, str | bytes):
        if not isinstance(present, list) or len(present) != len(wanted):
            return False
        if all(shows(p, w) for p, w in zip(present, wanted, strict=True)):
            return True
        return _same_set(present, wanted)
    if isinstance(wanted, bool) or isinstance(present, bool):
        return present is wanted
    if isinstance(present, float | Decimal):
        try:
            return Decimal(str(present)) == Decimal(str(wanted))
        except InvalidOperation:
            return False
    return str(present) == str(wanted)


def _implied(name: str, present: Mapping[str, Any]) -> bool:
    """A type name that the answer need not repeat, because it is the declared one."""
    return name == "xsi_type" and "xsi_type" not in present


def _same_set(present: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether two lists of equal length hold the same things in another order."""
    left = list(present)
    by_id = {str(item["id"]): item for item in left if isinstance(item, Mapping) and "id" in item}
    if len(by_id) == len(left) and all(isinstance(item, Mapping) and "id" in item for item in wanted):
        return all(shows(by_id.get(str(item["id"])), item) for item in wanted)
    if all(not isinstance(item, Mapping | list) for item in [*left, *wanted]):
        return sorted(map(str, left)) == sorted(map(str, wanted))
    for item in wanted:
        match = next((at for at, other in enumerate(left) if shows(other, item)), None)
        if match is None:
            return False
        left.pop(match)
    return True


def merges(value: Any) -> bool:
    """Whether a value is an object of plain fields, which are compared and written one by one."""
    return isinstance(value, Mapping) and not {"xsi_type", "timeZoneId", "microAmount"} & value.keys()


def project(native: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The named dotted paths of a native, id and modification time always."""
    kept: dict[str, Any] = {}
    for path in {*paths, "id", "lastModifiedDateTime"}:
        source: Any = native
        steps = path.split(".")
        for step in steps:
            source = source.get(step) if isinstance(source, Mapping) else None
        if source is None:
            continue
        target = kept
        for step in steps[:-1]:
            nested = target.get(step)
            if not isinstance(nested, dict):
                nested = target[step] = {}
            target = nested
        target[steps[-1]] = source
    return kept

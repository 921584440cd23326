"""Compares what we wrote with what the org shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.base import FieldDifference

_BLANKS = "".join(map(chr, range(33)))


def differences(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Sequence[FieldDifference]:
    """The wanted fields that a record shows otherwise.

    A field that is not in the record at all is hidden from us by field-level security, which nobody edited; null is a value.
    """
    return [
        FieldDifference(name, value, present[name])
        for name, value in sorted(wanted.items())
        if name in present and not same(value, present[name])
    ]


def same(wanted: Any, present: Any) -> bool:
    """Whether Salesforce holds this value: it keeps no empty text and no blanks at either end of one (as Java's `trim`: a
    no-break space stays), and writes numbers and times its own way."""
    if isinstance(wanted, str):
        wanted = wanted.strip(_BLANKS) or None
    if isinstance(present, str):
        present = present.strip(_BLANKS) or None
    if wanted is None or present is None or isinstance(wanted, bool) or isinstance(present, bool):
        return wanted is present
    if isinstance(wanted, int | float | Decimal) or isinstance(present, int | float | Decimal):
        try:
            return Decimal(str(wanted)) == Decimal(str(present))
        except InvalidOperation:
            return False
    return bool(wanted == present) or (_moment(wanted) is not None and _moment(wanted) == _moment(present))


def _moment(value: Any) -> datetime | None:
    """An instant or a day, from a value or its text; None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None

"""How grave a change of a booked order is: what may pass at once, what the trafficker sees, what is signed for again.

Grades follow the IAB seller-agent's change requests: creatives are minor; dates, goal and targeting material, except a
shift of at most three days; price and cancellation critical (order-management domain study, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from oms_schema.base import Canonical
from oms_schema.line import Flight, Line
from oms_schema.order import Order

SMALL_SHIFT = timedelta(days=3)


class Grade(StrEnum):
    """From lightest to gravest."""

    NONE = "none"
    MINOR = "minor"
    MATERIAL = "material"
    CRITICAL = "critical"


_GRAVITY = {grade: gravity for gravity, grade in enumerate(Grade)}

LINE_GRADES: Mapping[str, Grade] = {
    "id": Grade.CRITICAL,
    "order_id": Grade.CRITICAL,
    "name": Grade.MINOR,
    "external_id": Grade.MINOR,
    "product": Grade.MATERIAL,
    "deal_id": Grade.MATERIAL,
    "commitment": Grade.MATERIAL,
    "flight": Grade.MATERIAL,
    "flights": Grade.MATERIAL,
    "price": Grade.CRITICAL,
    "goal": Grade.MATERIAL,
    "targeting": Grade.MATERIAL,
    "creatives": Grade.MINOR,
    "brand": Grade.MINOR,
    "budget": Grade.CRITICAL,
    "terms": Grade.CRITICAL,
    "notes": Grade.MINOR,
    "cancelled": Grade.CRITICAL,
}
"""The grade of a change of each field of a line; a small shift of the flight is lighter than this says."""

ORDER_GRADES: Mapping[str, Grade] = {
    "id": Grade.CRITICAL,
    "name": Grade.MINOR,
    "number": Grade.MINOR,
    "status": Grade.CRITICAL,
    "currency": Grade.CRITICAL,
    "parties": Grade.CRITICAL,
    "purchase_order": Grade.MINOR,
    "terms": Grade.CRITICAL,
    "notes": Grade.MINOR,
}
"""The grade of a change of each field of an order."""


def grade_line(before: Line, after: Line) -> Grade:
    """The gravest change between two versions of a line. Of its flight, only the moments count, not their spelling."""
    grades = [LINE_GRADES[name] for name in _changed(before, after) if name != "flight"]
    grades.append(_grade_flight(before.flight, after.flight))
    return _gravest(grades)


def grade_order(before: Order, after: Order) -> Grade:
    """The gravest change between two versions of an order; its lines are graded apart."""
    return _gravest([ORDER_GRADES[name] for name in _changed(before, after)])


def _changed(before: Canonical, after: Canonical) -> list[str]:
    return [name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)]


def _gravest(grades: list[Grade]) -> Grade:
    return max(grades, key=_GRAVITY.__getitem__, default=Grade.NONE)


def _grade_flight(before: Flight, after: Flight) -> Grade:
    if before == after:
        return Grade.NONE
    if before.goal != after.goal:
        return LINE_GRADES["flight"]
    start = _shift(before.start_instant(), after.start_instant())
    end = _shift(before.end_instant(), after.end_instant())
    if start is None or end is None or max(start, end) > SMALL_SHIFT:
        return LINE_GRADES["flight"]
    return Grade.MINOR


def _shift(before: datetime | None, after: datetime | None) -> timedelta | None:
    """How far a moment moved, either way; None when it came or went."""
    if before is None or after is None:
        return timedelta(0) if before is after else None
    return abs(after - before)

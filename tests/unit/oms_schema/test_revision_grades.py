"""Revisions: every field has a grade, and the gravest one counts."""

from __future__ import annotations

from typing import Any

import pytest

from oms_schema.creative import CreativePlaceholder
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order, PurchaseOrder
from oms_schema.revision import LINE_GRADES, ORDER_GRADES, Grade, grade_line, grade_order
from oms_schema.targeting import Criterion, Dimension, Targeting


def flight(start: str, end: str | None, zone: str = "UTC") -> Flight:
    return Flight.model_validate({"start": start, "end": end, "zone": zone})


BEFORE = Line(
    id=canonical_id(EntityKind.LINE, "sfdc", "1"),
    order_id=canonical_id(EntityKind.ORDER, "sfdc", "1"),
    name="Homepage",
    flight=flight("2020-03-10T00:00:00", "2020-04-10T00:00:00"),
    price=Price(method=CostMethod.CPM, rate=3_000_000, currency="USD"),
    goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=1000),
)


def test_every_field_has_a_grade() -> None:
    assert set(LINE_GRADES) == set(Line.model_fields)
    assert set(ORDER_GRADES) == set(Order.model_fields)


@pytest.mark.parametrize(
    ("changes", "grade"),
    [
        ({}, Grade.NONE),
        ({"name": "Home"}, Grade.MINOR),
        ({"creatives": (CreativePlaceholder(width=1, height=1),)}, Grade.MINOR),
        ({"flight": flight("2020-03-07T00:00:00", "2020-04-13T00:00:00")}, Grade.MINOR),
        ({"flight": flight("2020-03-09T19:00:00", "2020-04-09T20:00:00", "America/New_York")}, Grade.MINOR),
        ({"flight": flight("2020-03-06T23:59:59", "2020-04-10T00:00:00")}, Grade.MATERIAL),
        ({"flight": flight("2020-03-10T00:00:00", None)}, Grade.MATERIAL),
        ({"goal": Goal(unit=GoalUnit.IMPRESSIONS, quantity=1001)}, Grade.MATERIAL),
        ({"targeting": Targeting(criteria=(Criterion(dimension=Dimension.OS, values=("a",)),))}, Grade.MATERIAL),
        ({"price": Price(method=CostMethod.CPM, rate=1, currency="USD"), "name": "Home"}, Grade.CRITICAL),
        ({"cancelled": True}, Grade.CRITICAL),
    ],
)
def test_the_gravest_change_of_a_line_counts(changes: dict[str, Any], grade: Grade) -> None:
    assert grade_line(BEFORE, BEFORE.model_copy(update=changes)) is grade


def test_three_days_are_counted_between_moments_not_on_the_wall() -> None:
    zone = "America/New_York"
    before = BEFORE.model_copy(update={"flight": flight("2020-10-30T00:00:00", None, zone)})
    wall = BEFORE.model_copy(update={"flight": flight("2020-11-02T00:00:00", None, zone)})
    moment = BEFORE.model_copy(update={"flight": flight("2020-11-01T23:00:00", None, zone)})
    assert grade_line(before, wall) is Grade.MATERIAL
    assert grade_line(before, moment) is Grade.MINOR


def test_an_open_end_that_stays_open_is_no_change() -> None:
    open_ended = BEFORE.model_copy(update={"flight": flight("2020-03-10T00:00:00", None)})
    later = BEFORE.model_copy(update={"flight": flight("2020-03-11T00:00:00", None)})
    assert grade_line(open_ended, later) is Grade.MINOR


def test_an_order_is_graded_by_its_own_fields() -> None:
    order = Order(id=BEFORE.order_id, name="Spring", currency="USD")
    assert grade_order(order, order) is Grade.NONE
    with_number = order.model_copy(update={"purchase_order": PurchaseOrder(number="1")})
    assert grade_order(order, with_number) is Grade.MINOR
    assert grade_order(order, with_number.model_copy(update={"currency": "EUR"})) is Grade.CRITICAL

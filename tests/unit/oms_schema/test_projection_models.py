"""What the CRM sees and what a vendor shows: lengths kept, no float, instants in UTC, bytes that read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from oms_schema.ids import EntityKind, canonical_id
from oms_schema.observation import LineObservation, OrderObservation
from oms_schema.projection import LineProjection, OrderProjection, percent_of_goal
from oms_schema.status import DeliveryStatus

ORDER = canonical_id(EntityKind.ORDER, "sfdc", "006A")
LINE = canonical_id(EntityKind.LINE, "sfdc", "00kA")


def order_projection(**changes: Any) -> OrderProjection:
    values: dict[str, Any] = {
        "order_id": ORDER,
        "version": 7,
        "status": "Live",
        "sentence": "Delivering in Google Ad Manager.",
        "next_step_owner": "nobody",
        "delivered": 1,
        "goal": 3,
        "delivered_pct": percent_of_goal(1, 3),
    }
    return OrderProjection.model_validate(values | changes)


def test_a_projection_reads_back_from_its_bytes() -> None:
    plus_3 = timezone(timedelta(hours=3))
    order = order_projection(last_change_at=datetime(2020, 1, 1, tzinfo=plus_3), ad_server_ids=("1", "2"))
    assert OrderProjection.from_bytes(order.canonical_bytes()) == order
    line = LineProjection(
        line_id=LINE, order_id=ORDER, version=1, status="Live", sentence="", delivered=0, goal=0, ad_server_ids=("9",)
    )
    assert LineProjection.from_bytes(line.canonical_bytes()) == line


def test_equal_instants_have_equal_bytes_whatever_their_zone() -> None:
    plus_3 = timezone(timedelta(hours=3))
    east = order_projection(last_change_at=datetime(2020, 1, 1, 3, tzinfo=plus_3))
    utc = order_projection(last_change_at=datetime(2020, 1, 1, 0, tzinfo=UTC))
    assert east.content_hash() == utc.content_hash()


def test_equal_percentages_have_equal_bytes() -> None:
    assert order_projection(delivered_pct="50.0").content_hash() == order_projection(delivered_pct="50").content_hash()


@pytest.mark.parametrize(
    "changes",
    [
        {"delivered_pct": 33.33},
        {"delivered_pct": "33.333"},
        {"delivered_pct": "NaN"},
        {"delivered_pct": "-0.01"},
        {"status": "x" * 41},
        {"sentence": "x" * 256},
        {"last_change_at": datetime(2020, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"delivered": -1},
        {"delivered": 1.0},
        {"order_id": "006A"},
        {"surprise": 1},
    ],
)
def test_a_projection_refuses_what_a_crm_field_cannot_hold(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        order_projection(**changes)


@pytest.mark.parametrize(
    ("delivered", "goal", "percent"),
    [
        (0, 0, "0.00"),
        (5, 0, "0.00"),
        (1, 3, "33.33"),
        (2, 3, "66.67"),
        (1, 8, "12.50"),
        (1, 16_000, "0.01"),
        (3, 2, "150.00"),
    ],
)
def test_percent_of_goal_is_half_up_to_two_decimals(delivered: int, goal: int, percent: str) -> None:
    assert percent_of_goal(delivered, goal) == Decimal(percent)
    assert str(percent_of_goal(delivered, goal)) == percent


def test_observations_hold_the_vendors_own_word() -> None:
    line = LineObservation(status=DeliveryStatus.BOOKED, missing_creatives=True, vendor_status="INACTIVE")
    assert LineObservation.from_bytes(line.canonical_bytes()) == line
    order = OrderObservation(approved=True, archived=False, vendor_status="APPROVED")
    assert OrderObservation.from_bytes(order.canonical_bytes()) == order

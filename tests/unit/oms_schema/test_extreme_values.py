"""Every valid value has bytes and comes back from them; equal values have equal bytes; what is beyond a type is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oms_schema.delivery import DeliveryFact, Units
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Flight, Goal, GoalUnit
from oms_schema.party import Party
from oms_schema.projection import LineProjection, OrderBilling, OrderProjection, percent_of_goal

ORDER, LINE, PARTY = (canonical_id(kind, "sfdc", "1") for kind in (EntityKind.ORDER, EntityKind.LINE, EntityKind.PARTY))


def projection(**changes: Any) -> OrderProjection:
    values = {"order_id": ORDER, "version": 1, "status": "Live", "sentence": "Live.", "next_step_owner": ""}
    return OrderProjection.model_validate({**values, "delivered": 1, "goal": 3, "delivered_pct": "33.33", **changes})


@given(st.integers(0, 2**80))
def test_a_count_of_any_size_has_bytes_and_comes_back(quantity: int) -> None:
    """The sum of an order's goals can be more than 64 bits, though no single one is."""
    goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=quantity)
    assert Goal.from_bytes(goal.canonical_bytes()) == goal
    line = LineProjection(
        line_id=LINE, order_id=ORDER, version=1, status="é", sentence="\u2028\x00", delivered=1, goal=quantity
    )
    assert LineProjection.from_bytes(line.canonical_bytes()) == line


@given(text=st.text(min_size=1, max_size=20), count=st.sampled_from([1, 2**64]))
def test_bytes_do_not_depend_on_who_writes_them(text: str, count: int) -> None:
    """Beyond 64 bits another encoder writes; an order whose goal grows past that keeps the spelling of its other fields."""
    line = LineProjection(line_id=LINE, order_id=ORDER, version=1, status="s", sentence=text, delivered=1, goal=count)
    marked = line.canonical_bytes().replace(b'"goal":%d' % count, b'"goal":0')
    plain = line.model_copy(update={"goal": 0}).canonical_bytes()
    assert marked == plain


@given(st.text(st.characters(codec=None), min_size=1, max_size=8))
def test_any_name_comes_back_or_is_refused(name: str) -> None:
    """Half of a surrogate pair is no text; NUL, zero width and decomposed letters are, and stay as they are."""
    halves = any("\ud800" <= c <= "\udfff" for c in name)
    try:
        party = Party(id=PARTY, name=name)
    except ValidationError:
        assert halves
    else:
        assert not halves
        assert Party.from_bytes(party.canonical_bytes()).name == name


@pytest.mark.parametrize(("year", "hours"), [(1, 14), (9999, -5)])
def test_an_instant_that_utc_has_no_year_for_is_a_validation_error(year: int, hours: int) -> None:
    edge = datetime(
        year,
        1 if year == 1 else 12,
        1 if year == 1 else 31,
        0 if year == 1 else 23,
        tzinfo=timezone(timedelta(hours=hours)),
    )
    values = {"line_id": LINE, "day": date(2020, 1, 1), "source": "gam", "units": Units()}
    with pytest.raises(ValidationError, match="edge of the calendar"):
        DeliveryFact.model_validate({**values, "as_of": edge})
    as_json = {"line_id": LINE, "day": "2020-01-01", "source": "gam", "units": {}, "as_of": edge.isoformat()}
    with pytest.raises(ValidationError, match="edge of the calendar"):
        DeliveryFact.model_validate_json(orjson.dumps(as_json))
    assert DeliveryFact.model_validate({**values, "as_of": edge.replace(tzinfo=UTC)}).as_of.year == year


def test_a_zero_below_zero_is_zero() -> None:
    assert projection(delivered_pct="-0.00").canonical_bytes() == projection(delivered_pct="0.00").canonical_bytes()
    values: dict[str, Any] = {"currency": "USD", "invoice": "1", "invoice_status": "open", "documents": ()}
    amounts = dict.fromkeys(("balance", "invoiced", "paid", "credited"), Decimal("0.00"))
    told = OrderBilling.model_validate({**values, **amounts})
    assert OrderBilling.model_validate({**values, **amounts, "balance": Decimal("-0.00")}) == told
    below = OrderBilling.model_validate({**values, **amounts, "balance": Decimal("-0.00")})
    assert below.canonical_bytes() == told.canonical_bytes()


@given(delivered=st.integers(0, 2**70), goal=st.integers(-1, 2**70))
def test_a_percentage_of_any_goal_can_be_shown(delivered: int, goal: int) -> None:
    share = percent_of_goal(delivered, goal)
    assert projection(delivered_pct=share).delivered_pct == share


def test_a_percentage_is_exact_whatever_precision_its_caller_uses() -> None:
    with localcontext() as context:
        context.prec = 3
        assert percent_of_goal(123_456, 1_000) == Decimal("12345.60")
        assert projection(delivered_pct=Decimal("12345.67")).delivered_pct == Decimal("12345.67")
    assert percent_of_goal(1, 800) == Decimal("0.13"), "0.125 is rounded half up"


@pytest.mark.parametrize("name", ["localtime", "Factory"])
def test_a_zone_that_depends_on_the_machine_is_none(name: str) -> None:
    with pytest.raises(ValidationError, match="not an IANA time zone"):
        Flight(start=datetime(2020, 1, 1), zone=name)  # noqa: DTZ001 - local by design

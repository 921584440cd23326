"""Contracts billed by value whose order was cancelled: nobody knows by itself until when they are owed, so a person says it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.errors import Refused
from oms_schema.billing_terms import BillingSchedule, BillingSource
from oms_schema.line import CostMethod
from oms_schema.status import CommercialStatus

JANUARY, APRIL = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-04-01")


def flat(office: Any, **more: Any) -> str:
    order = office.order(schedule=BillingSchedule.PRORATED)
    line = office.line(order, method=CostMethod.FLAT, rate="2800", goal=1, **more)
    office.order(schedule=BillingSchedule.PRORATED, status=CommercialStatus.CANCELLED)
    return str(line)


def cancelled_on(office: Any, line: str, day: date, period: str = "2026-02") -> None:
    entered = office.hub.billing.enter(line, period, "cancellation", ends_on=day, reason="mail of 5 Feb", by="Ada")
    office.hub.billing.confirm(entered.number, by="Grace")


def blocked(office: Any, line: str, period: str = "2026-02") -> None:
    done = office.close(period)
    assert (done.invoices, done.complete) == (0, False)
    assert any("CANCELLED" in sentence for sentence in done.waiting)
    answer = office.hub.billing.why(line, period).answer
    assert "is cancelled, and nobody has said until which day" in answer
    assert "orderhub bill enter cancellation" in answer


def test_a_contracted_line_of_a_cancelled_order_is_not_billed_in_full_because_ten_impressions_ran(office: Any) -> None:
    order = office.order(source=BillingSource.CONTRACTED)
    line = office.line(order)
    office.order(source=BillingSource.CONTRACTED, status=CommercialStatus.CANCELLED)
    office.report({line: {"01": 10}})
    blocked(office, line)
    cancelled_on(office, line, date(2026, 2, 8))
    assert office.close().sums["USD"].invoiced == Decimal("3000.00"), "a quarter of the month, of 12,000.00"


def test_an_approved_override_settles_a_cancelled_contract_that_is_counted_in_units(office: Any) -> None:
    order = office.order(source=BillingSource.CONTRACTED, status=CommercialStatus.CANCELLED)
    line = office.line(order)
    office.report({line: {"01": 10}})
    entered = office.hub.billing.enter(line, "2026-02", "override", quantity=10_000, reason="agreed", by="Ada")
    office.hub.billing.confirm(entered.number, by="Grace")
    assert office.close().sums["USD"].invoiced == Decimal("120.00")


def test_a_fee_of_a_cancelled_order_is_billed_for_the_days_until_the_cancellation(office: Any) -> None:
    line = flat(office)
    office.report({line: {"03": 100}})
    blocked(office, line)
    cancelled_on(office, line, date(2026, 2, 6))
    assert office.close().sums["USD"].invoiced == Decimal("500.00"), "5 of 28 days of 2,800.00"
    assert "until 2026-02-06" in str(office.hub.billing.why(line, "2026-02").steps)


def test_a_cancelled_fee_that_nobody_counted_is_asked_about_and_not_dropped(office: Any) -> None:
    blocked(office, flat(office))


def test_a_cancelled_counted_line_without_a_report_is_asked_about(office: Any) -> None:
    order = office.order()
    office.line(order)
    office.order(status=CommercialStatus.CANCELLED)
    done = office.close()
    assert not done.complete
    assert any("NO-REPORT" in sentence for sentence in done.waiting)


def test_months_before_the_cancellation_are_owed_whole_and_later_ones_not_at_all(office: Any) -> None:
    office.clock.time = datetime.fromisoformat("2026-04-10T12:00:00+00:00")
    line = flat(office, start=JANUARY, end=APRIL)
    cancelled_on(office, line, date(2026, 2, 1), "2026-01")
    assert office.close("2026-01").sums["USD"].invoiced == Decimal("964.44"), "31 of 90 days of 2,800.00"
    for month in ("2026-02", "2026-03"):
        done = office.close(month)
        assert (done.invoices, done.complete) == (0, True)
    assert "until 2026-02-01" in office.hub.billing.why(line, "2026-02").answer


def test_a_cancellation_after_the_bill_gives_back_what_did_not_run(office: Any) -> None:
    order = office.order(schedule=BillingSchedule.PRORATED)
    line = office.line(order, method=CostMethod.FLAT, rate="2800", goal=1)
    assert office.close().sums["USD"].invoiced == Decimal("2800.00")
    office.order(schedule=BillingSchedule.PRORATED, status=CommercialStatus.CANCELLED)
    assert office.close().credits == 0
    cancelled_on(office, line, date(2026, 2, 15))
    assert office.close().sums["USD"].credited == Decimal("1400.00")


@pytest.mark.parametrize("wrong", [{"ends_on": None}, {"ends_on": date(2026, 4, 2)}, {"quantity": 5}])
def test_a_cancellation_needs_a_day_of_its_month_and_nothing_else(office: Any, wrong: dict[str, Any]) -> None:
    given = {"ends_on": date(2026, 2, 6)} | wrong
    with pytest.raises(Refused, match="Nothing was done"):
        office.hub.billing.enter(flat(office), "2026-02", "cancellation", reason="mail", by="Ada", **given)

"""Caps, schedules and changes of the contract over several months, through the whole workflow."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hub.ops.correspondence import mismatches
from oms_schema.billing_terms import BillingSchedule, BillingSource, CapMode
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office

JANUARY, APRIL = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-04-01")
MONTHS = ("2026-01", "2026-02", "2026-03")


def months(office: Office, line: str, numbers: tuple[int, ...]) -> list[Decimal]:
    """Deliver and close month by month; what each month invoiced."""
    invoiced, before = [], Decimal(0)
    for month, impressions in zip(MONTHS, numbers, strict=True):
        year, number = map(int, month.split("-"))
        office.clock.time = office.clock.now().replace(year=year, month=number + 1, day=10)
        office.delivered(line, impressions, month=month)
        done = office.close(month)
        assert done.complete, done.sentence
        invoiced.append(office.erp.total() - before)
        before = office.erp.total()
    return invoiced


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (CapMode.NO_CAP, (2500, 3800, 3300)),
        (CapMode.CUMULATIVE, (2500, 3800, 2700)),
        (CapMode.PER_CYCLE, (2500, 3000, 3000)),
        (CapMode.CUMULATIVE_PER_CYCLE, (2500, 3500, 3000)),
    ],
)
def test_caps_hold_from_month_to_month(office: Office, cap: CapMode, expected: tuple[int, ...]) -> None:
    # An equal goal a month, as the domain study's example has it, is thirty days in each: 1 January to 31 March.
    line = office.line(office.order(cap=cap), rate="10", goal=900_000, **tiled())
    assert months(office, line, (250_000, 380_000, 330_000)) == [Decimal(amount) for amount in expected]


def tiled() -> dict[str, object]:
    firsts = [datetime.fromisoformat(f"2026-0{month}-01") for month in (1, 2, 3, 4)]
    goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=300_000)
    flights = tuple(Flight(start=start, end=end, zone="UTC", goal=goal) for start, end in pairwise(firsts))
    return {"start": JANUARY, "end": APRIL, "flights": flights}


def test_a_straightline_fee_is_billed_in_parts_whose_sum_is_the_contract(office: Office) -> None:
    order = office.order(schedule=BillingSchedule.STRAIGHTLINE)
    line = office.line(order, rate="10000", method=CostMethod.FLAT, start=JANUARY, end=APRIL)
    assert months(office, line, (5, 5, 5)) == [Decimal(a) for a in ("3333.33", "3333.33", "3333.34")]


def test_a_prepaid_line_is_billed_in_its_first_month_before_that_is_over(office: Office) -> None:
    order = office.order(schedule=BillingSchedule.PREPAID, source=BillingSource.CONTRACTED)
    line = office.line(order, rate="10", goal=900_000, start=JANUARY, end=APRIL)
    office.clock.time = office.clock.now().replace(month=1, day=5)
    assert office.close("2026-01").complete
    assert office.erp.total() == Decimal("9000.00")
    assert str(next(iter(office.erp.documents.values()))["date"]) == "2026-01-05"
    office.clock.time = office.clock.now().replace(month=3, day=5)
    assert office.close("2026-02").new_documents == 0
    assert office.status(line, "2026-02") == "approved"


def test_an_open_flight_is_billed_as_delivered(office: Office) -> None:
    line = office.line(office.order(cap=CapMode.NO_CAP), rate="10", start=JANUARY, end=None)
    assert months(office, line, (100_000, 200_000, 300_000)) == [Decimal(1000), Decimal(2000), Decimal(3000)]


def test_a_line_that_was_moved_keeps_what_it_was_billed_under_its_cap(office: Office) -> None:
    order = office.order()
    line = office.line(order, rate="10", goal=500_000, start=JANUARY, end=datetime.fromisoformat("2026-02-01"))
    office.clock.time = office.clock.now().replace(month=2)
    office.delivered(line, 400_000, month="2026-01")
    office.close("2026-01")
    office.line(order, rate="10", goal=500_000, start=datetime.fromisoformat("2026-02-01"), end=APRIL)
    office.clock.time = office.clock.now().replace(month=3)
    office.delivered(line, 300_000, month="2026-02")
    assert office.close("2026-02").complete
    assert office.erp.total() == Decimal("5000.00"), "400,000 and then 100,000 of 500,000"


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("change", ["moved", "unbooked"])
def test_figures_of_a_month_that_is_owed_no_more_are_not_billed(office: Office, change: str, approved: bool) -> None:
    """The flight is moved, or the order is a draft again, after the month was calculated and perhaps approved."""
    order = office.order()
    line = office.line(order)
    office.delivered(line, 800_000)
    shown = office.hub.billing.prepare("2026-02", by="Ada")
    if approved:
        office.hub.billing.approve("2026-02", shown.review_hash, by="Grace")
    if change == "moved":
        office.line(order, start=APRIL, end=APRIL.replace(month=5))
    else:
        office.order(status=CommercialStatus.DRAFT)
    done = office.close()
    assert (done.complete, office.erp.documents, office.status(line)) == (True, {}, "calculated")
    assert "nothing" in office.hub.billing.why(line, "2026-02").answer
    assert office.close().new_documents == 0
    assert mismatches(office.hub.session) == []
    office.order()
    office.line(order)
    assert office.close().sums["USD"].invoiced == Decimal(9600)


def test_a_line_that_was_billed_and_moved_owes_nothing_for_the_months_between(office: Office) -> None:
    """January is billed and February in review when the flight is moved to April; reports told of February and March."""
    order = office.order()
    line = office.line(order, start=JANUARY)
    for month in ("2026-01", "2026-02", "2026-03"):
        office.delivered(line, 100_000, month=month)
    office.close("2026-01")
    office.close("2026-02", approved_by=None)
    office.line(order, start=APRIL, end=APRIL.replace(month=5))
    office.clock.time = office.clock.now().replace(month=4)
    for month in ("2026-02", "2026-03"):
        done = office.close(month)
        assert (done.complete, done.invoices, dict(done.blocked)) == (True, 0, {}), done.sentence
        assert "does not run" in office.hub.billing.why(line, month).answer
    assert office.erp.total() == Decimal(1200)


def test_what_is_owed_no_more_is_not_exported_from_an_old_approval(office: Office) -> None:
    order = office.order()
    line = office.line(order)
    office.delivered(line, 800_000)
    shown = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", shown.review_hash, by="Grace")
    office.line(order, start=APRIL, end=APRIL.replace(month=5))
    done = office.hub.billing.export("2026-02", by="Grace")
    assert (done.invoices, office.status(line)) == (0, "approved")
    assert "is owed no more" in done.waiting[0]
    assert office.close().complete
    assert office.erp.documents == {}


def test_an_order_that_was_unbooked_after_a_bill_is_billed_no_further_month(office: Office) -> None:
    line = office.line(office.order(), start=JANUARY)
    for month in ("2026-01", "2026-02"):
        office.delivered(line, 100_000, month=month)
    assert office.close("2026-01").invoices == 1
    office.order(status=CommercialStatus.DRAFT)
    done = office.close("2026-02")
    assert (done.invoices, office.erp.total()) == (0, Decimal(1200))


def test_a_contract_that_changes_its_currency_after_a_bill_stops_its_line_only(office: Office) -> None:
    order = office.order()
    line = office.line(order, "A", start=JANUARY, end=APRIL)
    other = office.line(order, "B", start=JANUARY, end=APRIL)
    office.clock.time = office.clock.now().replace(month=2)
    office.report({line: {"05": 100_000}, other: {"05": 100_000}}, month="2026-01")
    assert office.close("2026-01").complete
    office.line(order, "A", start=JANUARY, end=APRIL, currency="EUR")
    office.clock.time = office.clock.now().replace(month=3)
    office.report({line: {"05": 100_000}, other: {"05": 100_000}})
    done = office.close("2026-02")
    assert dict(done.blocked)["CONTRACT-CONTRADICTS"] >= 1
    assert (office.status(other), done.invoices) == ("invoiced", 1)
    assert "contradicts what was billed" in office.hub.billing.why(line, "2026-02").answer
    assert not office.rows("SELECT 1 FROM line_period WHERE line_id = %s AND period_start = '2026-02-01'", [line])


def test_a_cancelled_order_is_billed_what_ran_and_asks_nothing_of_what_did_not(office: Office) -> None:
    order = office.order(status=CommercialStatus.CANCELLED)
    ran, never = office.line(order, "A"), office.line(order, "B")
    office.delivered(ran, 100_000)
    done = office.close()
    assert done.complete, done.sentence
    assert done.sums["USD"].invoiced == Decimal("1200.00")
    assert not office.rows("SELECT 1 FROM line_period WHERE line_id = %s", [never])


def test_figures_that_changed_and_changed_back_are_approved_once_more(office: Office) -> None:
    line = office.line(office.order())
    bill = office.hub.billing
    office.delivered(line, 100_000)
    first = bill.prepare("2026-02", by="Ada").review_hash
    bill.approve("2026-02", first, by="Grace")
    office.delivered(line, 200_000)
    assert bill.prepare("2026-02", by="Ada").review_hash != first
    office.delivered(line, 100_000)
    assert bill.prepare("2026-02", by="Ada").review_hash == first
    assert bill.approve("2026-02", first, by="Joan").approved_by == "Joan"
    assert office.status(line) == "approved"

"""From an order to a case, and from a result to the positions of a document that adds up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from hub.billing.rules import (
    Billable,
    BilledPosition,
    Blocked,
    LinePeriodCase,
    SourceCount,
    adjust,
    adjustment_line,
    calculate,
    case_of,
    invoice_lines,
    monthly_cycles,
)
from oms_schema.billing_terms import BillingTerms, CapMode
from oms_schema.delivery import BillingPeriod
from oms_schema.document import BillingDocument, DocumentKind
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order
from oms_schema.party import PartyInRole, PartyRole

ORDER = canonical_id(EntityKind.ORDER, "sfdc", "1")
LINE = canonical_id(EntityKind.LINE, "sfdc", "1")
BUYER = canonical_id(EntityKind.PARTY, "sfdc", "1")
AGENCY = canonical_id(EntityKind.PARTY, "sfdc", "2")
INVOICE = canonical_id(EntityKind.DOCUMENT, "hub", "1")
MEMO = canonical_id(EntityKind.DOCUMENT, "hub", "2")


def flight(start: datetime, end: datetime | None) -> Flight:
    return Flight.between(start, end, "UTC")


def order(*parties: tuple[PartyRole, str]) -> Order:
    return Order(
        id=ORDER,
        name="Spring",
        currency="USD",
        parties=tuple(PartyInRole(role=role, party_id=party) for role, party in parties),
        terms=BillingTerms(cap=CapMode.NO_CAP),
    )


def line(**changes: object) -> Line:
    values = {
        "id": LINE,
        "order_id": ORDER,
        "name": "Top",
        "flight": flight(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC)),
        "price": Price(method=CostMethod.CPM, rate=12_000_000, currency="USD", commission_ppm=150_000),
        "goal": Goal(unit=GoalUnit.IMPRESSIONS, quantity=1_000_000),
    }
    return Line.model_validate(values | changes)


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        (datetime(2025, 1, 20, tzinfo=UTC), datetime(2025, 3, 11, tzinfo=UTC), ["2025-01", "2025-02", "2025-03"]),
        (datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC), ["2025-03"]),
        (datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC), ["2025-12", "2026-01"]),
    ],
)
def test_a_flight_runs_in_the_months_that_it_has_time_in(start: datetime, end: datetime, months: list[str]) -> None:
    assert [cycle.label for cycle in monthly_cycles(flight(start, end))] == months


def test_an_open_flight_has_no_months() -> None:
    with pytest.raises(ValueError, match="has no end"):
        monthly_cycles(flight(datetime(2025, 1, 1, tzinfo=UTC), None))


def test_a_case_takes_the_lines_own_terms_and_the_orders_bill_to(counted: Callable[..., SourceCount]) -> None:
    march = monthly_cycles(line().flight)
    through_agency = order((PartyRole.ADVERTISER, BUYER), (PartyRole.AGENCY, AGENCY), (PartyRole.BILL_TO, AGENCY))
    direct = order((PartyRole.ADVERTISER, BUYER), (PartyRole.AGENCY, AGENCY), (PartyRole.BILL_TO, BUYER))
    counts = (counted(2_000_000),)

    def billed(of: Order, item: Line) -> Billable:
        result = calculate(case_of(of, item, march[0], march, period_over=True, counts=counts))
        assert isinstance(result, Billable)
        return result

    assert (billed(through_agency, line()).quantity, billed(through_agency, line()).amounts.commission) == (
        2_000_000,
        3_600_000_000,
    )
    assert billed(direct, line()).amounts.commission == 0
    assert billed(order(), line()).amounts.commission == 0
    assert billed(direct, line(terms=BillingTerms())).quantity == 1_000_000
    other = line(order_id=canonical_id(EntityKind.ORDER, "sfdc", "2"))
    with pytest.raises(ValueError, match="belongs to order"):
        case_of(direct, other, march[0], march, period_over=True)


def test_a_bonus_is_listed_at_zero_and_the_header_is_the_sum(case: Callable[..., LinePeriodCase]) -> None:
    result = calculate(case(1_043_210))
    assert isinstance(result, Billable)
    lines = invoice_lines(result, 1, "Top")
    assert [(item.number, item.quantity, item.amounts.gross) for item in lines] == [
        (1, 1_000_000, 12_000_000_000),
        (2, 43_210, 0),
    ]
    document = BillingDocument.of_lines(
        DocumentKind.INVOICE, id=INVOICE, order_id=ORDER, bill_to=BUYER, currency="USD", lines=lines
    )
    assert document.amounts.total == 12_000_000_000


def test_a_correction_is_a_position_that_names_the_one_it_corrects(case: Callable[..., LinePeriodCase]) -> None:
    first = calculate(case(900_000))
    assert isinstance(first, Billable)
    position = BilledPosition(
        document_id=INVOICE, number=4, quantity=first.quantity, amounts=first.amounts, price=case(1).price
    )
    (credit,) = adjust([case(899_000, billed=(position,))]).credits
    memo = BillingDocument.of_lines(
        DocumentKind.CREDIT_MEMO,
        id=MEMO,
        order_id=ORDER,
        bill_to=BUYER,
        currency="USD",
        lines=(adjustment_line(credit, 1, "Top, restated"),),
        corrects=credit.corrects,
    )
    assert (memo.lines[0].corrects, memo.lines[0].quantity, memo.amounts.total) == (4, 1_000, 12_000_000)


def test_nothing_billed_is_no_position_and_a_result_reads_as_sentences(case: Callable[..., LinePeriodCase]) -> None:
    short = flight(datetime(2025, 3, 31, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))
    empty = calculate(case(0, flight=short))
    assert isinstance(empty, Billable)
    assert invoice_lines(empty, 1, "Top") == ()
    assert empty.sentences[0] == "The period is 2025-03."
    silent = calculate(case(0))
    assert isinstance(silent, Blocked)
    assert silent.sentences[-1].endswith("if nothing ran, Finance approves a quantity of 0.")
    assert silent.period == BillingPeriod.month(2025, 3)

"""Facts are versioned, documents are immutable sums, payments never count twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from oms_schema.delivery import (
    METRIC_OF_GOAL,
    BillingPeriod,
    CountedBy,
    DeliveryFact,
    LinePeriod,
    Metric,
    QuantityOverride,
    Units,
    newest_facts,
)
from oms_schema.document import Amounts, BillingDocument, Document, DocumentKind, DocumentLine, Envelope, Signer
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import GoalUnit
from oms_schema.money import Money
from oms_schema.payment import Payment, balance, check_balance

LINE = canonical_id(EntityKind.LINE, "sfdc", "1")
ORDER = canonical_id(EntityKind.ORDER, "sfdc", "1")
PARTY = canonical_id(EntityKind.PARTY, "sfdc", "1")
DOC = canonical_id(EntityKind.DOCUMENT, "hub", "1")
DOC2 = canonical_id(EntityKind.DOCUMENT, "hub", "2")
NOW = datetime(2020, 4, 3, tzinfo=UTC)
MARCH = BillingPeriod.month(2020, 3)
COUNTS = st.none() | st.integers(0, 10**12)
UNITS = st.builds(lambda **counts: Units(**counts), **{metric.value: COUNTS for metric in Metric})


def usd(text: str) -> Money:
    return Money.parse(text, "USD")


def fact(impressions: int, hours: int = 0, **changes: Any) -> DeliveryFact:
    values: dict[str, Any] = {
        "line_id": LINE,
        "day": date(2020, 3, 1),
        "source": "gam-main",
        "as_of": NOW + timedelta(hours=hours),
        "units": Units(impressions=impressions),
    }
    return DeliveryFact.model_validate(values | changes)


# ---------------------------------------------------------------- facts
def test_the_fields_of_units_are_the_metrics_and_every_goal_has_its_metric() -> None:
    assert list(Units.model_fields) == [metric.value for metric in Metric]
    assert set(METRIC_OF_GOAL) == set(GoalUnit)


@given(UNITS, UNITS, UNITS)
def test_units_add_up_in_any_order_and_not_reported_is_not_zero(a: Units, b: Units, c: Units) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Units() == a
    for metric in Metric:
        counts = [count for units in (a, b, c) if (count := units.of(metric)) is not None]
        assert (a + b + c).of(metric) == (sum(counts) if counts else None)


def test_the_order_of_restatements_does_not_matter() -> None:
    other_day, other_source = fact(5, day=date(2020, 3, 2)), fact(9, source="ias", counted_by=CountedBy.MEASUREMENT)
    facts = [fact(100), fact(98, 24), fact(97, 48), other_day, other_source]
    for order in permutations(facts):
        newest = newest_facts(order)
        assert newest[LINE, "gam-main", date(2020, 3, 1)].units.impressions == 97
        assert len(newest) == 3


def test_two_answers_as_of_one_instant_are_refused_and_a_repeated_one_is_not() -> None:
    assert len(newest_facts([fact(1), fact(1)])) == 1
    with pytest.raises(ValueError, match="two things about line"):
        newest_facts([fact(1), fact(2)])
    assert newest_facts([fact(1), fact(2), fact(3, 1)])[LINE, "gam-main", date(2020, 3, 1)].units.impressions == 3


def test_a_fact_reads_back_from_its_bytes_and_its_day_belongs_to_a_zone() -> None:
    known = fact(3, day_zone="America/New_York", final=True)
    assert DeliveryFact.from_bytes(known.canonical_bytes()) == known
    with pytest.raises(ValidationError, match="not an IANA time zone"):
        fact(3, day_zone="EST5EDT6")
    with pytest.raises(ValidationError):
        fact(-1)


# ---------------------------------------------------------------- periods
@given(st.integers(1, 9998), st.integers(1, 12))
def test_months_follow_one_another(year: int, month: int) -> None:
    period = BillingPeriod.month(year, month)
    following = BillingPeriod.month(year + month // 12, month % 12 + 1)
    assert period.end == following.start
    assert period.label == f"{year:04d}-{month:02d}"
    assert period.start in period
    assert period.end not in period


def test_a_broadcast_month_is_labelled_by_its_days() -> None:
    assert BillingPeriod(start=date(2020, 2, 24), end=date(2020, 3, 30)).label == "2020-02-24..2020-03-29"
    assert BillingPeriod(start=date(2020, 3, 1), end=date(2020, 3, 31)).label == "2020-03-01..2020-03-30"
    with pytest.raises(ValidationError, match="ends after it starts"):
        BillingPeriod(start=date(2020, 3, 1), end=date(2020, 3, 1))
    with pytest.raises(ValueError, match="out of range"):
        BillingPeriod.month(9999, 12)


def line_period(**changes: Any) -> LinePeriod:
    values: dict[str, Any] = {
        "line_id": LINE,
        "order_id": ORDER,
        "period": MARCH,
        "unit": "impressions",
        "currency": "USD",
        "booked": 1_000_000,
    }
    return LinePeriod.model_validate(values | changes)


def test_four_numbers_are_four_numbers() -> None:
    period = line_period(delivered=983_456, billable=983_456, billable_amount=usd("11801.47"))
    assert (period.booked, period.delivered, period.billable, period.billed) == (1_000_000, 983_456, 983_456, 0)
    assert period.quantity == 983_456
    assert LinePeriod.from_bytes(period.canonical_bytes()) == period


def test_an_override_is_a_second_number_that_two_people_stand_for() -> None:
    agreed = {"quantity": 930_000, "reason": "agreed", "requested_by": "ann", "approved_by": "bob", "approved_at": NOW}
    period = line_period(billable=1_000_000, override=QuantityOverride.model_validate(agreed))
    assert (period.billable, period.quantity) == (1_000_000, 930_000)
    for ann in ("ann", "Ann ", "ann\u200b"):
        with pytest.raises(ValidationError, match="does not approve it"):
            QuantityOverride.model_validate(agreed | {"approved_by": ann})


@pytest.mark.parametrize("amount", [usd("1.005"), Money.parse("1", "EUR")])
def test_an_amount_of_a_line_period_is_in_its_currency_and_rounded(amount: Money) -> None:
    with pytest.raises(ValidationError):
        line_period(billable_amount=amount)


# ---------------------------------------------------------------- documents
def position(number: int, gross: str, commission: str = "0", tax: str = "0", **more: Any) -> DocumentLine:
    return DocumentLine(number=number, amounts=Amounts.of(usd(gross), usd(commission), usd(tax)), **more)


def invoice(*lines: DocumentLine, **changes: Any) -> BillingDocument:
    values: dict[str, Any] = {"id": DOC, "order_id": ORDER, "bill_to": PARTY, "currency": "USD", "period": MARCH}
    return BillingDocument.of_lines(lines=lines, **({"kind": DocumentKind.INVOICE} | values | changes))


def test_the_header_is_the_sum_of_the_lines() -> None:
    document = invoice(*(position(n, "10.10", "1.52") for n in (1, 2, 3)))
    assert (document.amounts.gross, document.amounts.commission) == (30_300_000, 4_560_000)
    assert document.amounts.due == usd("25.74")
    assert BillingDocument.from_bytes(document.canonical_bytes()) == document


@given(st.lists(st.tuples(*[st.integers(-(10**9), 10**9)] * 3), min_size=1, max_size=6), st.integers(1, 10_000))
def test_a_header_that_is_a_cent_off_is_refused(lines: list[tuple[int, int, int]], cents: int) -> None:
    cent = 10_000
    positions = tuple(
        DocumentLine(
            number=n,
            amounts=Amounts.of(*(Money(micros=part * cent, currency="USD") for part in parts)),
        )
        for n, parts in enumerate(lines, 1)
    )
    total = Amounts.sum((line.amounts for line in positions), "USD")
    values = {"kind": "invoice", "id": DOC, "order_id": ORDER, "bill_to": PARTY, "currency": "USD", "lines": positions}
    if total.total >= 0:
        assert BillingDocument.model_validate({**values, "amounts": total}).amounts == total
    wrong = total.model_copy(update={"tax": total.tax + cents * cent, "total": total.total + cents * cent})
    with pytest.raises(ValidationError, match="header is not the sum"):
        BillingDocument.model_validate({**values, "amounts": wrong})


def test_a_credit_memo_is_original_minus_corrected_component_by_component() -> None:
    original = Amounts.of(usd("11760.08"), usd("1764.01"), usd("1999.21"))
    corrected = Amounts.of(usd("11414.40"), usd("1712.16"), usd("1940.45"))
    credit = original.minus(corrected)
    assert credit == Amounts.of(usd("345.68"), usd("51.85"), usd("58.76"))
    assert credit.due == usd("352.59")
    memo = invoice(
        DocumentLine(number=1, amounts=credit, corrects=1), kind=DocumentKind.CREDIT_MEMO, id=DOC2, corrects=DOC
    )
    assert original.due - memo.amounts.due == corrected.due


@pytest.mark.parametrize(
    ("lines", "changes", "why"),
    [
        ([position(2, "1")], {}, "not numbered"),
        ([position(1, "1"), position(1, "1")], {}, "not numbered"),
        ([], {}, "at least 1 item"),
        ([position(1, "-1")], {}, "never negative"),
        ([position(1, "1")], {"kind": DocumentKind.CREDIT_MEMO}, "names the document it credits"),
        ([position(1, "1")], {"corrects": DOC}, "cannot correct itself"),
        ([position(1, "1")], {"currency": "EUR"}, "cannot add USD to EUR"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(
    lines: list[DocumentLine], changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        invoice(*lines, **changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"net": 2_000_000}, "net is not gross minus commission"),
        ({"total": 2_000_000}, "total is not net plus tax"),
        ({"gross": 1_005_000, "net": 1_005_000, "total": 1_005_000}, "minor units of USD"),
    ],
)
def test_components_that_disagree_are_refused(changes: dict[str, int], why: str) -> None:
    amounts = {"currency": "USD", "gross": 1_000_000, "net": 1_000_000, "total": 1_000_000}
    Amounts.model_validate(amounts)
    with pytest.raises(ValidationError, match=why):
        Amounts.model_validate(amounts | changes)


def test_documents_are_told_apart_by_kind_and_known_by_their_bytes() -> None:
    envelope = Envelope(
        id=DOC,
        order_id=ORDER,
        order_version=3,
        order_hash="a",
        document_hash="b",
        signers=(Signer(name="Ann", email="ann@example.com"),),
    )
    any_document: TypeAdapter[Any] = TypeAdapter(Document)
    for document in (envelope, invoice(position(1, "1"))):
        assert any_document.validate_json(document.canonical_bytes()) == document
    changed = invoice(position(1, "1.01"))
    assert changed.content_hash() != invoice(position(1, "1")).content_hash()
    with pytest.raises(ValidationError, match="frozen"):
        changed.currency = "EUR"


# ---------------------------------------------------------------- payments
def payment(native_id: str, amount: str, **changes: Any) -> Payment:
    values = {
        "connection": "erp",
        "native_id": native_id,
        "document_id": DOC,
        "amount": usd(amount),
        "received_on": date(2020, 5, 1),
    }
    return Payment.model_validate(values | changes)


def test_a_payment_told_twice_counts_once_and_a_reversed_one_not_at_all() -> None:
    told = [payment("1", "40"), payment("1", "40"), payment("2", "10")]
    assert balance(usd("100"), told) == usd("50")
    assert balance(usd("100"), [*told, payment("1", "40", reversed=True)]) == usd("90")
    assert balance(usd("100"), told, [usd("20")]) == usd("30")
    assert check_balance(usd("50"), told) == ()


def test_more_than_was_owed_is_reported_with_the_excess() -> None:
    (problem,) = check_balance(usd("49.99"), [payment("1", "50")])
    assert (problem.code, problem.value) == ("PAYMENT-ABOVE-BALANCE", "0.010000 USD")


def test_a_payment_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="more than nothing"):
        payment("1", "0")

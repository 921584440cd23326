"""Nothing is billed silently: each reason that blocks has its sentence, and each zero says why it is zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from hub.billing.rules import (
    Billable,
    BilledPosition,
    Blocked,
    Flag,
    LinePeriodCase,
    ManualCount,
    OtherPeriod,
    Outcome,
    Rule,
    Settlement,
    SourceCount,
    UnknownRuleSet,
    adjust,
    calculate,
    replay,
    rule_set,
)
from hub.billing.rules.fx import fx_report
from hub.billing.rules.make_good import MakeGood, MakeGoodLedger, MakeGoodPricing, MakeGoodRefused
from hub.billing.rules.tolerance import variance
from hub.billing.rules.window import closes_on, fallback_due, is_final, period_of
from oms_schema.billing_terms import BillingTerms, CapMode, Finality, VarianceBase
from oms_schema.delivery import BillingPeriod, CountedBy, QuantityOverride, Units
from oms_schema.document import Amounts
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalMeasure, GoalUnit, Price, PriceBasis
from oms_schema.money import Money

Build = Callable[..., LinePeriodCase]
Count = Callable[..., SourceCount]
NOW = datetime(2025, 4, 5, tzinfo=UTC)
INVOICE = canonical_id(EntityKind.DOCUMENT, "hub", "1")
SPRING = tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3))
QUARTER = Flight(start=datetime(2025, 1, 1), end=datetime(2025, 4, 1), zone="UTC")  # noqa: DTZ001
THIRD = {"source": "third_party"}
CPC = Price(method=CostMethod.CPC, rate=1_350_000, currency="USD")


def override(quantity: int) -> QuantityOverride:
    return QuantityOverride(
        quantity=quantity, reason="tag was broken", requested_by="ann", approved_by="bob", approved_at=NOW
    )


def agreed(quantity: int) -> Settlement:
    return Settlement(
        outcome=Outcome.AGREED, quantity=quantity, reason="call", decided_by="a", approved_by="b", approved_at=NOW
    )


def result(case: LinePeriodCase) -> Billable:
    found = calculate(case)
    assert isinstance(found, Billable), found
    return found


@pytest.mark.parametrize(
    ("code", "seller", "third", "changes"),
    [
        ("PERIOD-OPEN", 5, None, {"period_over": False}),
        ("TERMS-SCHEDULE", 5, None, {"terms": {"schedule": "straightline"}}),
        ("TERMS-SCHEDULE", 5, 5, {"terms": THIRD | {"schedule": "prepaid"}}),
        (
            "TERMS-COMMISSION",
            5,
            None,
            {
                "agency_billed": True,
                "price": Price(
                    method=CostMethod.CPM, rate=1, currency="USD", basis=PriceBasis.NET, commission_ppm=10**6
                ),
            },
        ),
        (
            "FLIGHT-OPEN",
            5,
            None,
            {"terms": {"cap": CapMode.PER_CYCLE}, "flight": QUARTER.model_copy(update={"end": None})},
        ),
        ("FLIGHT-OUTSIDE", 5, None, {"terms": {"source": "contracted"}, "flight": QUARTER}),
        ("CONTRACT-UNKNOWN", 5, None, {"price": CPC, "counts": "clicks"}),
        ("AMOUNT-TOO-LARGE", 2**62, None, {"terms": {"cap": CapMode.NO_CAP}}),
        ("AMOUNT-TOO-LARGE", 5, None, {"goal": Goal(unit=GoalUnit.IMPRESSIONS, quantity=10**18)}),
        (
            "AMOUNT-TOO-LARGE",
            5 * 10**9,
            None,
            {
                "terms": {"cap": CapMode.NO_CAP},
                "agency_billed": True,
                "price": CPC.model_copy(
                    update={"method": CostMethod.CPM, "basis": PriceBasis.NET, "commission_ppm": 999_999}
                ),
            },
        ),
        ("EARLIER-OPEN", 5, None, {"cycles": SPRING, "flight": QUARTER}),
        ("NO-REPORT", None, None, {}),
        ("NO-REPORT", 5, None, {"price": CPC, "terms": {"cap": CapMode.NO_CAP}}),
        ("NO-REPORT", 5, None, {"terms": THIRD}),
        ("NO-REPORT", 5, None, {"terms": {"schedule": "end_of_campaign"}}),
        ("NOT-FINAL", 5, None, {"counts": "not final"}),
        ("NO-DELIVERY", 0, None, {}),
        ("NO-DELIVERY", 0, 0, {"terms": THIRD}),
        ("NO-DELIVERY", None, 0, {"terms": THIRD}),
        ("VARIANCE", 100, 0, {"terms": THIRD}),
        ("VARIANCE", 0, 100, {"terms": THIRD}),
        ("VARIANCE", 100, 50, {}),
        ("SETTLEMENT-OUTSIDE", 100, 50, {"settlement": agreed(101)}),
        ("OVERRIDE-ABOVE-CAP", 5, None, {"override": override(1_000_001)}),
        (
            "OVERRIDE-NOT-COUNTED",
            5,
            None,
            {"override": override(1), "price": CPC.model_copy(update={"method": CostMethod.FLAT})},
        ),
    ],
)
def test_every_reason_that_blocks_is_said(
    case: Build, counted: Count, code: str, seller: int | None, third: int | None, changes: dict[str, Any]
) -> None:
    changes = dict(changes)
    if changes.get("counts") == "clicks":
        changes["counts"] = (counted(None, units=Units(clicks=5)),)
    if changes.get("counts") == "not final":
        changes["counts"] = (counted(5, final=False),)
    found = calculate(case(seller, third, **changes))
    assert isinstance(found, Blocked), found
    (problem,) = found.problems
    assert problem.code == code
    assert problem.effect == "Nothing is billed for it."
    assert problem.fix
    assert problem.owner
    assert found.disputed == (code == "VARIANCE")


def test_no_number_is_billed_before_it_is_final(case: Build, counted: Count) -> None:
    counts = (counted(1_000), counted(990, CountedBy.MEASUREMENT, final=False))
    waiting = calculate(case(counts=counts, terms=THIRD))
    assert isinstance(waiting, Blocked)
    assert waiting.problems[0].code == "NOT-FINAL"
    assert [step.rule for step in waiting.steps] == [Rule.PERIOD, Rule.SOURCE, Rule.FINALITY]
    late = result(case(counts=counts, terms=THIRD, fallback_due=True))
    assert (late.quantity, late.counted_by, late.flags) == (1_000, "gam-main", (Flag.FALLBACK, Flag.UNDER_DELIVERY))
    first = result(case(counts=counts))
    assert Flag.NOT_COMPARED in first.flags


def test_a_missing_report_is_named_by_who_and_what(case: Build) -> None:
    silent = calculate(case(price=CPC, terms={"cap": CapMode.NO_CAP}))
    assert isinstance(silent, Blocked)
    assert silent.problems[0].happened == "The publisher's ad server has reported no clicks for this period."


# ---------------------------------------------------------------- precedence
def test_an_override_goes_before_a_manual_count_and_that_before_the_source(case: Build) -> None:
    manual = ManualCount(quantity=700_000, evidence="mail", entered_by="ann", approved_by="bob", approved_at=NOW)
    source = result(case(1_000_000, 990_000, terms=THIRD))
    entered = result(case(1_000_000, 990_000, terms=THIRD, manual=manual))
    approved = result(case(1_000_000, 990_000, terms=THIRD, manual=manual, override=override(650_000)))
    assert [source.quantity, entered.quantity, approved.quantity] == [990_000, 700_000, 650_000]
    assert Flag.MANUAL_COUNT in entered.flags
    assert approved.flags == (Flag.OVERRIDE,)
    (step,) = [step for step in approved.steps if step.rule is Rule.OVERRIDE]
    assert dict(step.given) == {"requested_by": "ann", "approved_by": "bob"}


def test_an_approved_zero_is_billed_as_zero_where_a_silent_one_is_blocked(case: Build) -> None:
    assert isinstance(calculate(case(0)), Blocked)
    assert result(case(0, override=override(0))).amounts.total == 0


@pytest.mark.parametrize("ann", ["ann", "Ann", " ann"])
def test_nobody_approves_their_own_count_or_settlement(ann: str) -> None:
    people: dict[str, Any] = {"approved_by": ann, "approved_at": NOW}
    with pytest.raises(ValidationError, match="does not approve"):
        ManualCount(quantity=1, evidence="x", entered_by="ann", **people)
    with pytest.raises(ValidationError, match="does not approve"):
        Settlement(outcome=Outcome.CONTROLLING, reason="x", decided_by="ann", **people)


def test_an_agreed_outcome_alone_states_a_quantity() -> None:
    people: dict[str, Any] = {"reason": "x", "decided_by": "ann", "approved_by": "bob", "approved_at": NOW}
    with pytest.raises(ValidationError, match="states its quantity"):
        Settlement(outcome=Outcome.AGREED, **people)
    with pytest.raises(ValidationError, match="states its quantity"):
        Settlement(outcome=Outcome.CONTROLLING, quantity=1, **people)


def test_an_uplift_never_bills_more_than_the_publisher_counted(case: Build) -> None:
    terms = THIRD | {"tolerance_ppm": 50_000}
    settlement = Settlement(
        outcome=Outcome.CONTROLLING_PLUS_UPLIFT, reason="x", decided_by="a", approved_by="b", approved_at=NOW
    )
    assert result(case(990_000, 930_000, terms=terms, settlement=settlement)).quantity == 990_000


# ---------------------------------------------------------------- zeros that say why
def test_a_line_billed_at_its_end_is_billed_by_its_life_in_the_last_period_only(case: Build, counted: Count) -> None:
    def month(place: int, life: int) -> Billable:
        return result(
            case(
                cycles=SPRING,
                period=SPRING[place],
                flight=QUARTER,
                terms={"schedule": "end_of_campaign"},
                counts=(counted(5, life=Units(impressions=life)),),
            )
        )

    assert [month(place, 400_000).quantity for place in (0, 1, 2)] == [0, 0, 400_000]
    assert month(0, 1).flags == (Flag.NOT_THIS_PERIOD,)
    assert (month(2, 1_200_000).quantity, month(2, 1_200_000).bonus) == (1_000_000, 200_000)


def test_a_cap_that_is_used_up_leaves_a_bonus_and_says_so(case: Build) -> None:
    others = tuple(OtherPeriod(period=p, counted=500_000, quantity=500_000) for p in SPRING[:2])
    found = result(case(40_000, cycles=SPRING, flight=QUARTER, others=others))
    assert (found.quantity, found.bonus, found.amounts.gross) == (0, 40_000, 0)
    assert found.flags == (Flag.UNDER_DELIVERY, Flag.NOTHING_LEFT, Flag.BONUS)
    assert found.bonus_value == Money.parse("480", "USD")
    assert not found.is_empty


def test_a_value_that_other_periods_have_billed_is_not_billed_again(case: Build) -> None:
    gross = Money.parse("11900", "USD")
    others = (OtherPeriod(period=SPRING[0], quantity=0, amounts=Amounts.of(gross)),)
    terms = {"source": "contracted", "schedule": "straightline"}
    found = result(case(0, cycles=SPRING, flight=QUARTER, terms=terms, others=others))
    assert (found.amounts.gross, found.flags[-1]) == (100_000_000, Flag.CAPPED)
    everything = (OtherPeriod(period=SPRING[0], quantity=0, amounts=Amounts.of(Money.parse("12000", "USD"))),)
    none = result(case(0, cycles=SPRING, flight=QUARTER, terms=terms, others=everything))
    assert (none.amounts.gross, none.quantity, none.flags[-1]) == (0, 0, Flag.NOTHING_LEFT)


def test_a_contracted_line_bills_its_part_of_the_contract_each_period(case: Build) -> None:
    parts = [
        result(case(9, cycles=SPRING, period=period, flight=QUARTER, terms={"source": "contracted"})).quantity
        for period in SPRING
    ]
    assert parts == [344_444, 311_111, 344_445]
    assert sum(part or 0 for part in parts) == 1_000_000


def test_a_contracted_line_billed_at_its_end_shows_the_shortfall_of_its_life(case: Build, counted: Count) -> None:
    terms = {"source": "contracted", "schedule": "end_of_campaign"}

    def flags(place: int, life: int) -> tuple[Flag, ...]:
        counts = (counted(1, life=Units(impressions=life)),)
        return result(case(cycles=SPRING, period=SPRING[place], flight=QUARTER, terms=terms, counts=counts)).flags

    assert flags(0, 300_000) == (Flag.NOT_THIS_PERIOD,)
    assert flags(2, 700_000) == (Flag.UNDER_DELIVERY,)
    assert flags(2, 950_000) == ()


def test_a_prepaid_line_is_billed_before_its_period_ends(case: Build) -> None:
    terms = {"source": "contracted", "schedule": "prepaid"}
    found = result(case(cycles=SPRING, period=SPRING[0], flight=QUARTER, terms=terms, period_over=False))
    assert (found.amounts.gross, found.quantity) == (12_000_000_000, 1_000_000)


def test_a_budget_is_the_cap_of_a_line_paid_by_another_unit_than_its_goal(case: Build, counted: Count) -> None:
    counts = (counted(None, units=Units(clicks=100)),)
    budget = Money.parse("100.00", "USD")
    found = result(case(price=CPC, budget=budget, counts=counts))
    assert (found.quantity, found.amounts.gross) == (74, 99_900_000)
    percent = Goal(unit=GoalUnit.IMPRESSIONS, quantity=50, measure=GoalMeasure.PERCENT)
    assert result(case(10_000, goal=percent, budget=budget)).quantity == 8_333


# ---------------------------------------------------------------- window, finality, tolerance
MARCH = BillingPeriod.month(2025, 3)


def test_a_day_counts_into_one_period_and_late_delivery_into_the_last() -> None:
    terms = BillingTerms(measurement_window_days=7)
    assert period_of(date(2025, 2, 28), SPRING, terms) == SPRING[1]
    assert period_of(date(2025, 4, 7), SPRING, terms) == SPRING[2]
    assert period_of(date(2025, 4, 8), SPRING, terms) is None
    assert period_of(date(2024, 12, 31), SPRING, terms) is None
    assert period_of(date(2025, 4, 1), SPRING, BillingTerms()) is None


def test_numbers_are_final_when_declared_or_when_the_terms_let_time_decide() -> None:
    terms = BillingTerms(measurement_window_days=2, finality_days=3)
    assert closes_on(MARCH, terms) == date(2025, 4, 6)
    assert not is_final(MARCH, terms, declared=False, today=date(2025, 4, 5))
    assert is_final(MARCH, terms, declared=False, today=date(2025, 4, 6))
    assert is_final(MARCH, terms, declared=True, today=date(2025, 4, 1))
    strict = BillingTerms(finality=Finality.DECLARED)
    assert not is_final(MARCH, strict, declared=False, today=date(2030, 1, 1))


def test_a_fallback_needs_the_terms_and_the_deadline() -> None:
    assert not fallback_due(MARCH, BillingTerms(), date(2030, 1, 1))
    terms = BillingTerms(fallback_days=10)
    assert not fallback_due(MARCH, terms, date(2025, 4, 10))
    assert fallback_due(MARCH, terms, date(2025, 4, 11))


def test_a_share_is_not_shown_rounded_down_to_the_tolerance_it_breaks() -> None:
    found = variance(100_000, 89_999, VarianceBase.PUBLISHER, 100_000)
    assert not found.within
    assert found.percent == "over 10.00 %"
    assert variance(0, 0, VarianceBase.BUYER, 0).within
    assert variance(0, 0, VarianceBase.BUYER, 0).percent == "0.00 %"
    assert variance(1, 0, VarianceBase.BUYER, 1_000_000).within is False
    assert variance(1, 0, VarianceBase.BUYER, 1_000_000).percent == "beyond any share (the base is 0)"
    assert variance(8, 7, VarianceBase.PUBLISHER, 0).percent == "12.50 %"


# ---------------------------------------------------------------- rule versions, cases, corrections
def test_a_document_of_unknown_rules_is_not_replayed_by_other_ones(case: Build) -> None:
    with pytest.raises(UnknownRuleSet, match=r"'1999\.1'.*It is not replayed"):
        replay(case(1).canonical_bytes(), "1999.1")
    assert rule_set("2026.1").version == "2026.1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cycles": (SPRING[0], SPRING[2])}, "without a gap"),
        ({"period": BillingPeriod.month(2025, 5)}, "none of the line's billing cycles"),
        ({"others": (OtherPeriod(period=BillingPeriod.month(2025, 3)),)}, "other billing cycles of the line"),
        ({"counts": "twice"}, "one count of the seller"),
        ({"others": "yen"}, "another currency"),
    ],
)
def test_a_case_that_contradicts_itself_is_refused(
    case: Build, counted: Count, changes: dict[str, Any], message: str
) -> None:
    changes = dict(changes)
    if changes.get("counts") == "twice":
        changes["counts"] = (counted(1), counted(2))
    if changes.get("others") == "yen":
        yen = Amounts.of(Money.parse("5", "JPY"))
        changes |= {"cycles": SPRING, "others": (OtherPeriod(period=SPRING[0], amounts=yen),)}
    with pytest.raises(ValidationError, match=message):
        case(5, **changes)


def issued(case: LinePeriodCase, **changes: Any) -> BilledPosition:
    found = result(case)
    values: dict[str, Any] = {
        "document_id": INVOICE,
        "number": 1,
        "quantity": found.quantity,
        "amounts": found.amounts,
        "price": case.price,
    }
    return BilledPosition.model_validate(values | changes)


def test_a_correction_uses_the_price_and_tax_of_the_original(case: Build) -> None:
    original = issued(case(900_000, tax_ppm=200_000), tax_ppm=200_000)
    dearer = Price(method=CostMethod.CPM, rate=99_000_000, currency="USD")
    (credit,) = adjust([case(899_000, price=dearer, tax_ppm=250_000, billed=(original,))]).credits
    assert (credit.amounts.gross, credit.amounts.tax) == (12_000_000, 2_400_000)
    assert credit.steps[-1].rule is Rule.ADJUSTMENT


def test_a_period_billed_by_fallback_is_corrected_when_the_third_party_speaks(case: Build) -> None:
    billed = issued(case(983_456, terms=THIRD, fallback_due=True))
    assert adjust([case(983_456, terms=THIRD, fallback_due=True, billed=(billed,))]).is_empty
    (credit,) = adjust([case(983_456, 950_000, terms=THIRD, fallback_due=True, billed=(billed,))]).credits
    assert (credit.quantity, credit.amounts.gross) == (33_456, 401_470_000)


def test_a_restatement_that_opens_a_dispute_corrects_nothing_yet(case: Build) -> None:
    found = adjust([case(1_000_000, 700_000, terms=THIRD, billed=(issued(case(1_000_000)),))])
    assert found.is_empty
    assert [blocked.disputed for blocked in found.blocked] == [True]


def test_a_credit_takes_the_newest_position_first(case: Build) -> None:
    first = issued(case(900_000))
    more = issued(case(50_000), document_id=canonical_id(EntityKind.DOCUMENT, "hub", "2"), number=3)
    found = adjust([case(890_000, billed=(first, more))])
    assert [(credit.corrects, credit.corrects_number, credit.quantity) for credit in found.credits] == [
        (more.document_id, 3, 50_000),
        (INVOICE, 1, 10_000),
    ]


def test_only_billed_periods_of_one_line_are_adjusted(case: Build) -> None:
    with pytest.raises(ValueError, match="was not billed"):
        adjust([case(5)])
    other = canonical_id(EntityKind.LINE, "sfdc", "2")
    with pytest.raises(ValueError, match="one line at a time"):
        adjust([case(5), case(5, line_id=other)])
    with pytest.raises(ValueError, match="named twice"):
        adjust([case(5), case(6)])
    assert adjust([]).is_empty


def test_a_make_good_ledger_shows_what_is_still_owed() -> None:
    price = Price(method=CostMethod.CPM, rate=12_000_000, currency="USD")
    ledger = MakeGoodLedger(price=price, booked=1_000, delivered=600, billed=Money.parse("7.20", "USD"))
    ledger = ledger.promise(MakeGood(line_id="a", units=300, pricing=MakeGoodPricing.DEFERRED))
    ledger, due = ledger.charge("a", 100)
    assert (ledger.shortfall, ledger.unpromised, ledger.liability) == (400, 100, 200)
    assert due == Money.parse("1.20", "USD")
    assert ledger.charge("a", 200)[1] == Money.parse("1.20", "USD")
    assert MakeGoodLedger(price=price, booked=5, delivered=9, billed=Money.parse("0.06", "USD")).shortfall == 0
    with pytest.raises(MakeGoodRefused, match="in the ledger already"):
        ledger.promise(MakeGood(line_id="a", units=1, pricing=MakeGoodPricing.ZERO))
    with pytest.raises(ValueError, match="does not fall"):
        ledger.charge("a", 99)
    with pytest.raises(KeyError):
        ledger.charge("b", 1)


@pytest.mark.parametrize("rate", ["0", "-1.08", "NaN", "Infinity"])
def test_a_rate_of_exchange_is_a_positive_number(rate: str) -> None:
    with pytest.raises(ValueError, match="not a rate of exchange"):
        fx_report(Money.parse("1", "EUR"), Decimal("1.08"), Decimal(rate), "USD")


def test_every_result_tells_its_way_from_source_to_amount(case: Build) -> None:
    price = Price(method=CostMethod.CPM, rate=12_000_000, currency="USD", commission_ppm=150_000)
    found = result(case(983_456, 980_000, price=price, agency_billed=True, tax_ppm=200_000))
    assert [step.rule for step in found.steps] == [
        Rule.PERIOD,
        Rule.SOURCE,
        Rule.FINALITY,
        Rule.TOLERANCE,
        Rule.CAP,
        Rule.PRICE,
        Rule.COMMISSION,
        Rule.TAX,
    ]
    assert found.steps[5].sentence == "983,456 units at 12.00 gross per 1,000 make 11,801.47 USD gross."

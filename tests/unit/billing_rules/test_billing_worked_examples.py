"""Every worked example of the order-management domain study, section 3, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from hub.billing.rules import (
    Billable,
    BilledPosition,
    Blocked,
    FinalMonths,
    Flag,
    LinePeriodCase,
    OtherPeriod,
    Outcome,
    Settlement,
    SourceCount,
    adjust,
    calculate,
)
from hub.billing.rules import bundle as bundles
from hub.billing.rules.agency import split
from hub.billing.rules.cancellation import cancellation, notice_kept
from hub.billing.rules.cap import Cycle, chain
from hub.billing.rules.cost import cost
from hub.billing.rules.credit import applied, may_void, posting_period
from hub.billing.rules.fx import fx_report
from hub.billing.rules.make_good import MakeGood, MakeGoodLedger, MakeGoodPricing, MakeGoodRefused
from hub.billing.rules.schedule import amounts, quantities
from hub.billing.rules.spread import Regoal, cycle_quantities, evenly, regoaled
from hub.billing.rules.tax import difference, estimate
from hub.billing.rules.window import day_of
from oms_schema.billing_terms import BillingSchedule, BillingTerms, CapMode
from oms_schema.delivery import BillingPeriod, CountedBy, Units
from oms_schema.document import Amounts, DocumentKind
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Price, PriceBasis
from oms_schema.money import Money

Build = Callable[..., LinePeriodCase]
Count = Callable[..., SourceCount]
NOW = datetime(2025, 4, 5, tzinfo=UTC)
INVOICE = canonical_id(EntityKind.DOCUMENT, "hub", "1")
THIRD_PARTY = {"source": "third_party"}
CPM_12 = Price(method=CostMethod.CPM, rate=12_000_000, currency="USD")


def usd(text: str) -> Money:
    return Money.parse(text.replace(",", ""), "USD")


def billed(case: LinePeriodCase) -> Billable:
    result = calculate(case)
    assert isinstance(result, Billable), result
    return result


def blocked(case: LinePeriodCase) -> Blocked:
    result = calculate(case)
    assert isinstance(result, Blocked), result
    return result


def gross(case: LinePeriodCase) -> str:
    return f"{Money(micros=billed(case).amounts.gross, currency='USD').amount:,.2f}"


def texts(parts: tuple[Money, ...]) -> list[str]:
    return [f"{part.amount:,.2f}" for part in parts]


def settlement(outcome: Outcome, quantity: int | None = None) -> Settlement:
    return Settlement(
        outcome=outcome, quantity=quantity, reason="call", decided_by="ann", approved_by="bob", approved_at=NOW
    )


# ---------------------------------------------------------------- the numbered table
def test_1_a_delivered_quantity_is_priced_and_rounded_once(case: Build) -> None:
    result = billed(case(983_456))
    assert (result.amounts.gross, result.flags) == (11_801_470_000, ())


def test_2_over_delivery_is_capped_and_the_rest_listed_as_a_bonus(case: Build) -> None:
    result = billed(case(1_043_210))
    assert result.amounts.gross == 12_000_000_000
    assert (result.quantity, result.bonus) == (1_000_000, 43_210)
    assert result.bonus_value == usd("518.52")
    assert result.flags == (Flag.CAPPED, Flag.BONUS)


def test_3_the_third_party_is_billed_where_the_contract_names_it(case: Build) -> None:
    result = billed(case(1_000_000, 930_000, terms=THIRD_PARTY))
    assert (result.quantity, result.amounts.gross) == (930_000, 11_160_000_000)
    assert any("7.00 %" in step.sentence for step in result.steps)


def test_4_exactly_at_the_tolerance_is_within_it(case: Build) -> None:
    assert gross(case(1_000_000, 900_000, terms=THIRD_PARTY)) == "10,800.00"
    assert blocked(case(1_000_000, 899_999, terms=THIRD_PARTY)).disputed


@pytest.mark.parametrize(
    ("outcome", "agreed", "quantity", "amount"),
    [
        (Outcome.CONTROLLING, None, 860_000, "10,320.00"),
        (Outcome.CONTROLLING_PLUS_UPLIFT, None, 946_000, "11,352.00"),
        (Outcome.AGREED, 930_000, 930_000, "11,160.00"),
    ],
)
def test_5_a_dispute_bills_nothing_until_it_is_settled(
    case: Build, outcome: Outcome, agreed: int | None, quantity: int, amount: str
) -> None:
    open_dispute = blocked(case(1_000_000, 860_000, terms=THIRD_PARTY))
    assert open_dispute.disputed
    assert [problem.code for problem in open_dispute.problems] == ["VARIANCE"]
    assert "14.00 %" in open_dispute.problems[0].happened
    settled = case(1_000_000, 860_000, terms=THIRD_PARTY, settlement=settlement(outcome, agreed))
    assert billed(settled).quantity == quantity
    assert gross(settled) == amount
    assert Flag.DISPUTE_SETTLED in billed(settled).flags


def test_6_the_base_of_the_variance_decides_the_test(case: Build) -> None:
    publisher = blocked(case(905_000, 1_000_000, terms={"variance_base": "publisher"}))
    assert "10.50 %" in publisher.problems[0].happened
    assert publisher.disputed
    larger = billed(case(905_000, 1_000_000, terms={"variance_base": "larger"}))
    assert any("9.50 %" in step.sentence for step in larger.steps)


def test_7_a_contracted_line_bills_the_contract_and_still_shows_the_shortfall(case: Build) -> None:
    result = billed(case(700_000, terms={"source": "contracted"}))
    assert (result.quantity, result.delivered, result.amounts.gross) == (1_000_000, 700_000, 12_000_000_000)
    assert result.flags == (Flag.UNDER_DELIVERY,)


def test_8_a_silent_third_party_falls_back_to_the_first_when_the_terms_allow(case: Build) -> None:
    assert [p.code for p in blocked(case(983_456, terms=THIRD_PARTY)).problems] == ["NO-REPORT"]
    result = billed(case(983_456, terms=THIRD_PARTY, fallback_due=True))
    assert (result.amounts.gross, result.counted_by) == (11_801_470_000, "gam-main")
    assert Flag.FALLBACK in result.flags


def test_9_nothing_delivered_while_live_is_blocked_and_never_a_bill_of_zero(case: Build) -> None:
    assert [problem.code for problem in blocked(case(0)).problems] == ["NO-DELIVERY"]
    a_day = Flight(start=datetime(2025, 3, 31), end=datetime(2025, 4, 1), zone="UTC")  # noqa: DTZ001
    assert billed(case(0, flight=a_day)).is_empty


# ---------------------------------------------------------------- caps over three months
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (CapMode.NO_CAP, [2_500, 3_800, 3_300]),
        (CapMode.CUMULATIVE, [2_500, 3_800, 2_700]),
        (CapMode.PER_CYCLE, [2_500, 3_000, 3_000]),
        (CapMode.CUMULATIVE_PER_CYCLE, [2_500, 3_500, 3_000]),
    ],
)
def test_caps_over_three_months(case: Build, mode: CapMode, expected: list[int]) -> None:
    delivered = [250_000, 380_000, 330_000]
    cycles = [Cycle(count, 300_000) for count in delivered]
    assert [units // 100 for units in chain(mode, cycles, 900_000)] == expected

    periods = tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3))
    edges = [datetime(2025, month, 1) for month in (1, 2, 3, 4)]  # noqa: DTZ001
    goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=300_000)
    known: list[OtherPeriod] = []
    for place, count in enumerate(delivered):
        result = billed(
            case(
                count,
                cycles=periods,
                period=periods[place],
                terms={"cap": mode},
                price=Price(method=CostMethod.CPM, rate=10_000_000, currency="USD"),
                goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=900_000),
                flights=tuple(Flight(start=a, end=b, zone="UTC", goal=goal) for a, b in pairwise(edges)),
                others=tuple(known),
            )
        )
        assert result.amounts.gross == expected[place] * 1_000_000
        known.append(
            OtherPeriod(period=periods[place], counted=count, quantity=result.quantity, amounts=result.amounts)
        )


@pytest.mark.parametrize(
    ("how", "moved"),
    [(Regoal.PROPORTIONAL, (25, 25)), (Regoal.NEXT_PERIOD, (50, 0)), (Regoal.LAST_PERIOD, (0, 50))],
)
def test_a_shortfall_is_regoaled_into_the_periods_left(how: Regoal, moved: tuple[int, int]) -> None:
    assert regoaled(50_000, [300_000, 300_000], how) == tuple(300_000 + 1_000 * part for part in moved)


# ---------------------------------------------------------------- proration
def spring() -> tuple[Flight, tuple[BillingPeriod, ...]]:
    flight = Flight(start=datetime(2025, 1, 20), end=datetime(2025, 3, 11), zone="America/New_York")  # noqa: DTZ001
    return flight, tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (BillingSchedule.PRORATED, ["7,200.00", "16,800.00", "6,000.00"]),
        (BillingSchedule.STRAIGHTLINE, ["10,000.00"] * 3),
        (BillingSchedule.PREPAID, ["30,000.00", "0.00", "0.00"]),
        (BillingSchedule.END_OF_CAMPAIGN, ["0.00", "0.00", "30,000.00"]),
    ],
)
def test_a_flat_fee_follows_its_schedule(case: Build, schedule: BillingSchedule, expected: list[str]) -> None:
    flight, cycles = spring()
    assert texts(amounts(schedule, usd("30,000.00"), flight, cycles)) == expected
    flat = Price(method=CostMethod.FLAT, rate=30_000_000_000, currency="USD")
    found = [
        gross(case(0, price=flat, flight=flight, cycles=cycles, period=period, terms={"schedule": schedule}))
        for period in cycles
    ]
    assert found == expected


def test_the_remainder_of_a_straightline_falls_on_the_last_period() -> None:
    flight, cycles = spring()
    found = texts(amounts(BillingSchedule.STRAIGHTLINE, usd("10,000.00"), flight, cycles))
    assert found == ["3,333.33", "3,333.33", "3,333.34"]


def test_proration_is_by_time_and_not_by_days() -> None:
    flight = Flight(start=datetime(2025, 1, 31, 12), end=datetime(2025, 2, 2), zone="UTC")  # noqa: DTZ001
    cycles = (BillingPeriod.month(2025, 1), BillingPeriod.month(2025, 2))
    assert texts(amounts(BillingSchedule.PRORATED, usd("900.00"), flight, cycles)) == ["300.00", "600.00"]


def test_units_are_split_evenly_or_by_days_without_losing_one() -> None:
    flight = Flight(start=datetime(2025, 3, 15), end=datetime(2025, 7, 1), zone="Europe/London")  # noqa: DTZ001
    cycles = tuple(BillingPeriod.month(2025, month) for month in (3, 4, 5, 6))
    by_days = (15_741, 27_778, 28_703, 27_778)
    goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=100_000)
    assert evenly(100_000, 4) == (25_000,) * 4
    assert quantities(BillingSchedule.STRAIGHTLINE, 100_000, flight, cycles) == (25_000,) * 4
    assert quantities(BillingSchedule.PRORATED, 100_000, flight, cycles) == by_days
    assert cycle_quantities(100_000, flight, (), goal, cycles) == by_days


# ---------------------------------------------------------------- cost methods
@pytest.mark.parametrize(
    ("method", "rate", "units", "expected"),
    [
        (CostMethod.CPC, "1.35", 4_210, "5683.50"),
        (CostMethod.CPCV, "0.045", 61_250, "2756.25"),
        (CostMethod.VCPM, "16.00", 712_000, "11392.00"),
        (CostMethod.CPD, "750", 12, "9000"),
        (CostMethod.CPD, "750", 11, "8250"),
    ],
)
def test_each_cost_method_prices_its_own_unit(
    case: Build, counted: Count, method: CostMethod, rate: str, units: int, expected: str
) -> None:
    price = Price(method=method, rate=usd(rate).micros, currency="USD")
    assert cost(price, units) == usd(expected)
    unit = {
        CostMethod.CPC: GoalUnit.CLICKS,
        CostMethod.CPCV: GoalUnit.COMPLETED_VIEWS,
        CostMethod.VCPM: GoalUnit.VIEWABLE_IMPRESSIONS,
        CostMethod.CPD: GoalUnit.DAYS,
    }[method]
    days = units if unit is GoalUnit.DAYS else None
    reported = Units() if days is not None else Units.model_validate({unit.value: units})
    told = counted(None, units=reported, active_days=days)
    result = billed(case(price=price, goal=Goal(unit=unit, quantity=10**6), counts=(told,)))
    assert (result.quantity, result.amounts.gross) == (units, usd(expected).micros)


def test_a_yen_has_no_minor_unit() -> None:
    price = Price(method=CostMethod.CPM, rate=450_000_000, currency="JPY")
    assert cost(price, 987_654) == Money.parse("444444", "JPY")


# ---------------------------------------------------------------- commission
def test_commission_is_a_share_of_gross_and_net_to_gross_divides() -> None:
    gross_rate = Price(method=CostMethod.FLAT, rate=100_000_000_000, currency="USD", commission_ppm=150_000)
    parts = split(gross_rate, gross_rate.money, 1, 1, agency_billed=True)
    assert (parts.commission, parts.net) == (usd("15,000"), usd("85,000"))
    net_rate = gross_rate.model_copy(update={"rate": 85_000_000_000, "basis": PriceBasis.NET})
    parts = split(net_rate, net_rate.money, 1, 1, agency_billed=True)
    assert (parts.gross, parts.commission, parts.net) == (usd("100,000"), usd("15,000"), usd("85,000"))


def test_commission_is_rounded_per_line_and_then_summed() -> None:
    price = Price(method=CostMethod.FLAT, rate=10_100_000, currency="USD", commission_ppm=150_000)
    lines = [split(price, price.money, 1, 1, agency_billed=True) for _ in range(3)]
    assert Money.total((line.commission for line in lines), "USD") == usd("4.56")
    at_header = Money.total((line.gross for line in lines), "USD").share_rounded(150_000, 1_000_000)
    assert at_header == usd("4.55")


def test_commission_is_due_only_when_the_agency_is_billed() -> None:
    price = Price(method=CostMethod.FLAT, rate=100_000_000_000, currency="USD", commission_ppm=150_000)
    parts = split(price, price.money, 1, 1, agency_billed=False)
    assert (parts.gross, parts.commission, parts.net) == (usd("100,000"), usd("0"), usd("100,000"))


# ---------------------------------------------------------------- tax, currency, bundle
@pytest.mark.parametrize(("agency", "tax", "total"), [(True, "17,000", "102,000"), (False, "20,000", "120,000")])
def test_tax_is_on_what_the_bill_to_owes(case: Build, agency: bool, tax: str, total: str) -> None:
    price = Price(method=CostMethod.FLAT, rate=100_000_000_000, currency="USD", commission_ppm=150_000)
    result = billed(case(1, price=price, agency_billed=agency, tax_ppm=200_000))
    assert (result.amounts.tax, result.amounts.total) == (usd(tax).micros, usd(total).micros)


def test_tax_rounds_half_up_and_is_compared_with_the_erp() -> None:
    assert estimate(usd("2.50"), 50_000) == usd("0.13")
    assert difference(estimate(usd("2.50"), 50_000), usd("0.12")) == usd("-0.01")


def test_a_rate_that_moved_goes_to_the_fx_report_and_not_to_the_line() -> None:
    report = fx_report(Money.parse("10000", "EUR"), Decimal("1.0800"), Decimal("1.0950"), "USD")
    assert (report.booked_ledger, report.invoiced_ledger) == (usd("10,800"), usd("10,950"))
    assert report.variance == usd("150")
    assert report.invoiced == Money.parse("10000", "EUR")


def test_a_bundle_is_allocated_by_list_price_to_the_cent() -> None:
    parts = bundles.allocate(usd("10,000"), [usd("7,000"), usd("2,500"), usd("1,100")])
    assert texts(parts) == ["6,603.77", "2,358.49", "1,037.74"]
    assert Money.total(parts, "USD") == usd("10,000")


# ---------------------------------------------------------------- make-good, cancellation
def test_a_make_good_at_a_deferred_price_bills_the_rest_of_the_contract(case: Build) -> None:
    assert gross(case(880_000)) == "10,560.00"
    ledger = MakeGoodLedger(price=CPM_12, booked=1_000_000, delivered=880_000, billed=usd("10,560"))
    ledger = ledger.promise(MakeGood(line_id="mg", units=120_000, pricing=MakeGoodPricing.DEFERRED))
    assert (ledger.liability, ledger.liability_value) == (120_000, usd("1,440"))
    ledger, due = ledger.charge("mg", 130_000)
    assert due == usd("1,440")
    assert ledger.total_billed == ledger.value == usd("12,000")
    assert ledger.charge("mg", 140_000)[1] == usd("0")


def test_a_make_good_of_a_line_billed_in_full_is_at_zero() -> None:
    ledger = MakeGoodLedger(price=CPM_12, booked=1_000_000, delivered=880_000, billed=usd("12,000"))
    free = ledger.promise(MakeGood(line_id="mg", units=120_000, pricing=MakeGoodPricing.ZERO))
    assert free.charge("mg", 120_000)[1] == usd("0")
    priced = ledger.promise(MakeGood(line_id="mg", units=120_000, pricing=MakeGoodPricing.DEFERRED))
    assert priced.charge("mg", 120_000)[1] == usd("0"), "origin and make-good never exceed the contract"
    with pytest.raises(MakeGoodRefused, match="120,001 units and 120,000 are open"):
        ledger.promise(MakeGood(line_id="mg", units=120_001, pricing=MakeGoodPricing.ZERO))


def test_a_cancellation_without_notice_owes_a_share_of_what_remained() -> None:
    assert cancellation(usd("50,000"), usd("20,000"), 500_000, notice=False).total == usd("35,000")
    assert cancellation(usd("50,000"), usd("20,000"), 500_000, notice=True).total == usd("20,000")
    assert notice_kept(date(2025, 3, 1), date(2025, 3, 31), 30)
    assert not notice_kept(date(2025, 3, 2), date(2025, 3, 31), 30)


# ---------------------------------------------------------------- after the invoice
def agency_case(case: Build, delivered: int, *positions: BilledPosition) -> LinePeriodCase:
    price = CPM_12.model_copy(update={"commission_ppm": 150_000})
    return case(delivered, price=price, agency_billed=True, tax_ppm=200_000, billed=positions)


def position(result: Billable, price: Price, number: int = 1) -> BilledPosition:
    return BilledPosition(
        document_id=INVOICE,
        number=number,
        quantity=result.quantity,
        amounts=result.amounts,
        price=price,
        agency_billed=True,
        tax_ppm=200_000,
    )


def components(amounts: Amounts) -> list[str]:
    parts = (amounts.gross, amounts.commission, amounts.net, amounts.tax, amounts.total)
    return [f"{Decimal(part) / 1_000_000:,.2f}" for part in parts]


def test_a_credit_memo_is_original_minus_corrected_component_by_component(case: Build) -> None:
    original = billed(agency_case(case, 980_007))
    assert components(original.amounts) == ["11,760.08", "1,764.01", "9,996.07", "1,999.21", "11,995.28"]
    corrected = billed(agency_case(case, 951_200))
    assert components(corrected.amounts) == ["11,414.40", "1,712.16", "9,702.24", "1,940.45", "11,642.69"]
    price = agency_case(case, 1).price
    found = adjust([agency_case(case, 951_200, position(original, price))])
    (credit,) = found.credits
    assert (credit.kind, credit.corrects, credit.corrects_number) == (DocumentKind.CREDIT_MEMO, INVOICE, 1)
    assert credit.quantity == 28_807
    assert components(credit.amounts) == ["345.68", "51.85", "293.83", "58.76", "352.59"]
    assert original.amounts.minus(credit.amounts) == corrected.amounts


def test_an_upward_restatement_is_supplementary_and_only_below_the_cap(case: Build) -> None:
    original = billed(agency_case(case, 980_007))
    price = agency_case(case, 1).price
    (up,) = adjust([agency_case(case, 990_007, position(original, price))]).supplements
    assert (up.kind, up.quantity, up.amounts.gross) == (DocumentKind.INVOICE, 10_000, 120_000_000)
    (to_cap,) = adjust([agency_case(case, 1_500_000, position(original, price))]).supplements
    assert to_cap.quantity == 19_993
    full = billed(agency_case(case, 1_000_000))
    assert adjust([agency_case(case, 1_500_000, position(full, price))]).is_empty


def test_a_credit_above_the_open_balance_stays_unapplied() -> None:
    found = applied(usd("352.59"), usd("100.00"))
    assert (found.applied, found.unapplied) == (usd("100.00"), usd("252.59"))


def test_a_void_needs_the_whole_balance_and_the_latest_invoice() -> None:
    assert may_void(usd("5"), usd("5"), latest_on_schedule=True)
    assert not may_void(usd("5"), usd("4.99"), latest_on_schedule=True)
    assert not may_void(usd("5"), usd("5"), latest_on_schedule=False)


def test_a_closed_accounting_period_takes_the_memo_in_the_next_open_one() -> None:
    january, february, march = (BillingPeriod.month(2025, month) for month in (1, 2, 3))
    calendar = [march, january, february]
    assert posting_period(january, calendar, ()) == january
    assert posting_period(january, calendar, {january, february}) == march
    with pytest.raises(ValueError, match="Finance opens one"):
        posting_period(february, calendar, {february, march})


# ---------------------------------------------------------------- time zone, idempotency
def test_a_day_boundary_is_compared_over_the_lines_life_before_a_dispute(case: Build, counted: Count) -> None:
    assert day_of(datetime(2026, 1, 1, 4, 59, tzinfo=UTC), "America/New_York") == date(2025, 12, 31)
    assert day_of(datetime(2026, 1, 1, 5, tzinfo=UTC), "America/New_York") == date(2026, 1, 1)
    # The seller counts by New York, the measurement company by UTC: 42,000 lie in another month.
    seller = counted(342_000, life=Units(impressions=342_000))
    december = counted(300_000, CountedBy.MEASUREMENT, life=Units(impressions=300_000))
    assert blocked(case(counts=(seller, december))).disputed
    seller, january = (
        counted(258_000, life=Units(impressions=600_000)),
        counted(300_000, CountedBy.MEASUREMENT, life=Units(impressions=600_000)),
    )
    result = billed(case(counts=(seller, january)))
    assert (result.quantity, result.flags[0]) == (258_000, Flag.BOUNDARY_DIFFERENCE)


@pytest.mark.parametrize(
    ("life", "final", "disputed"),
    [
        # December's 342,000 to 300,000 may still change: January is compared by itself, and the open month excuses nothing.
        ((600_000, 600_000), (258_000, 300_000), True),
        # November agreed and is final, December is open and far off: what may still change makes no dispute.
        ((1_958_000, 1_500_000), (1_258_000, 1_300_000), False),
    ],
)
def test_a_month_that_is_not_final_is_left_out_of_the_lines_life(
    case: Build, counted: Count, life: tuple[int, int], final: tuple[int, int], disputed: bool
) -> None:
    counts = tuple(
        counted(
            own,
            by,
            life=Units(impressions=whole),
            final_months=FinalMonths(units=Units(impressions=certain), open_months=1),
        )
        for own, by, whole, certain in zip(
            (258_000, 300_000), (CountedBy.SELLER, CountedBy.MEASUREMENT), life, final, strict=True
        )
    )
    result = calculate(case(counts=counts))
    assert isinstance(result, Blocked) is disputed
    said = result.steps[-1].sentence if disputed else next(s.sentence for s in result.steps if "life" in s.sentence)
    assert said.endswith("over the line's life; 1 month that is not final on both sides is left out.")


def test_two_runs_for_one_line_period_bill_it_once(case: Build) -> None:
    first = case(983_456)
    assert calculate(first) == calculate(first)
    result = billed(first)
    again = billed(case(983_456, billed=(position(result, CPM_12),)))
    assert (again.quantity, again.amounts.total, again.flags) == (0, 0, (Flag.ALREADY_BILLED,))


def test_terms_of_the_examples_are_the_defaults() -> None:
    assert BillingTerms() == BillingTerms(tolerance_ppm=100_000, cap=CapMode.CUMULATIVE)

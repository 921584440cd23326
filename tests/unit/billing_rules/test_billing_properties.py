"""What holds for every input: sums, caps, one bill per period, credits that net to zero, and no memory of the order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.billing.rules import (
    Adjustments,
    Billable,
    BilledPosition,
    Blocked,
    LinePeriodCase,
    OtherPeriod,
    SourceCount,
    adjust,
    calculate,
    replay,
)
from hub.billing.rules import bundle as bundles
from hub.billing.rules.agency import split
from hub.billing.rules.cap import Cycle, chain, first_bill
from hub.billing.rules.cost import cost
from hub.billing.rules.credit import applied, billed_net, placed
from hub.billing.rules.schedule import amounts, quantities
from hub.billing.rules.spread import Regoal, by_weight, regoaled
from oms_schema.billing_terms import BillingSchedule, CapMode
from oms_schema.delivery import BillingPeriod, CountedBy
from oms_schema.document import Amounts
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Price, PriceBasis
from oms_schema.money import MICROS, Money, minor_unit

Build = Callable[..., LinePeriodCase]
CURRENCIES = st.sampled_from(["USD", "JPY", "KWD", "CLF"])
MODES = st.sampled_from(CapMode)
PERIODS = tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3))
EDGES = [datetime(2025, month, 1) for month in (1, 2, 3, 4)]  # noqa: DTZ001
COUNTS = st.tuples(*[st.integers(0, 600_000)] * 3)
SCHEDULES = st.sampled_from([s for s in BillingSchedule if s is not BillingSchedule.AS_DELIVERED])


def money(currency: str, units: int) -> Money:
    return Money(micros=units * minor_unit(currency), currency=currency)


# ---------------------------------------------------------------- sums
@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=14).filter(any))
def test_a_spread_keeps_its_sum_and_is_never_a_unit_away_from_its_share(total: int, weights: list[int]) -> None:
    parts = by_weight(total, weights)
    assert sum(parts) == total
    assert all(
        abs(part * sum(weights) - total * weight) < sum(weights) for part, weight in zip(parts, weights, strict=True)
    )


@given(CURRENCIES, st.integers(0, 10**10), SCHEDULES, st.integers(0, 58), st.integers(1, 31), st.integers(0, 10**8))
def test_a_schedule_bills_the_whole_value_and_no_period_below_zero(
    currency: str, units: int, schedule: BillingSchedule, first: int, length: int, quantity: int
) -> None:
    start = EDGES[0].toordinal() + first
    flight = Flight(start=datetime.fromordinal(start), end=datetime.fromordinal(start + length), zone="UTC")
    value = money(currency, units)
    parts = amounts(schedule, value, flight, PERIODS)
    assert Money.total(parts, currency) == value
    assert all(part.micros >= 0 and part.is_rounded for part in parts)
    assert sum(quantities(schedule, quantity, flight, PERIODS)) == quantity


@given(CURRENCIES, st.integers(0, 10**10), st.lists(st.integers(0, 10**8), min_size=1, max_size=9).filter(any))
def test_a_bundle_is_the_sum_of_its_parts(currency: str, units: int, prices: list[int]) -> None:
    price = money(currency, units)
    parts = bundles.allocate(price, [money(currency, listed) for listed in prices])
    assert Money.total(parts, currency) == price
    assert all(part.is_rounded for part in parts)
    for part, listed in zip(parts, prices, strict=True):
        assert abs(part.micros * sum(prices) - price.micros * listed) < minor_unit(currency) * sum(prices)


@given(
    st.integers(-500_000, 500_000), st.lists(st.integers(0, 300_000), min_size=1, max_size=5), st.sampled_from(Regoal)
)
def test_regoaling_moves_exactly_the_shortfall(shortfall: int, goals: list[int], how: Regoal) -> None:
    if shortfall < -sum(goals):
        with pytest.raises(ValueError, match="surplus is more"):
            regoaled(shortfall, goals, how)
        return
    moved = regoaled(shortfall, goals, how)
    assert sum(moved) == sum(goals) + shortfall
    assert min(moved) >= 0


@given(CURRENCIES, st.integers(0, 10**9), st.integers(0, 10**8), st.integers(0, 999_999), st.sampled_from(PriceBasis))
def test_net_to_gross_and_back_is_within_the_one_rounding(
    currency: str, rate: int, quantity: int, ppm: int, basis: PriceBasis
) -> None:
    price = Price(method=CostMethod.CPM, rate=rate, currency=currency, basis=basis, commission_ppm=ppm)
    if rate * quantity * MICROS // (1_000 * (MICROS - ppm)) >= 2**62:
        return
    parts = split(price, price.money, quantity, 1_000, agency_billed=True)
    unit = minor_unit(currency)
    assert parts.net + parts.commission == parts.gross
    assert parts.gross.is_rounded
    assert parts.net.is_rounded
    assert 0 <= parts.commission.micros <= parts.gross.micros
    # gross × (1 - rate) is net, up to the half unit that gross and the other amount were each rounded by.
    apart = abs(parts.gross.micros * (MICROS - ppm) - parts.net.micros * MICROS)
    assert 2 * apart <= unit * (2 * MICROS - ppm if basis is PriceBasis.NET else MICROS)


# ---------------------------------------------------------------- caps
CYCLES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=6)


def units_one_by_one(mode: CapMode, cycles: Sequence[tuple[int, int]], total: int) -> list[int]:
    """The slow oracle: unit after unit asks whether there is room; no minimum and no cumulative sum."""
    bills: list[int] = []
    waiting = allowance = ever = 0
    for delivered, goal in cycles:
        bill, in_cycle = 0, 0
        if mode is CapMode.CUMULATIVE_PER_CYCLE:
            waiting, allowance = waiting + delivered, allowance + goal
            while waiting and allowance:
                waiting, allowance, bill = waiting - 1, allowance - 1, bill + 1
        else:
            for _ in range(delivered):
                if (mode is CapMode.CUMULATIVE and ever == total) or (mode is CapMode.PER_CYCLE and in_cycle == goal):
                    continue
                bill, ever, in_cycle = bill + 1, ever + 1, in_cycle + 1
        bills.append(bill)
    return bills


@given(MODES, CYCLES)
def test_caps_equal_the_oracle_that_counts_units_one_by_one(mode: CapMode, cycles: list[tuple[int, int]]) -> None:
    total = sum(goal for _, goal in cycles)
    assert list(chain(mode, [Cycle(d, g) for d, g in cycles], total)) == units_one_by_one(mode, cycles, total)


@given(MODES, CYCLES, st.randoms(use_true_random=False))
def test_cycles_billed_in_any_order_bill_the_same_and_never_above_the_cap(
    mode: CapMode, delivered: list[tuple[int, int]], random: Any
) -> None:
    total = sum(goal for _, goal in delivered)
    cycles = [Cycle(d, g) for d, g in delivered]
    order = list(range(len(cycles)))
    random.shuffle(order)
    for place in order:
        cycles[place] = Cycle(*delivered[place], first_bill(mode, cycles, place, total))
    assert [cycle.billed for cycle in cycles] == units_one_by_one(mode, delivered, total)


@given(MODES, CYCLES, st.lists(st.integers(0, 90), min_size=6, max_size=6), st.randoms(use_true_random=False))
def test_a_cap_holds_also_when_counts_were_restated_between_the_bills(
    mode: CapMode, delivered: list[tuple[int, int]], restated: list[int], random: Any
) -> None:
    total = sum(goal for _, goal in delivered)
    cycles = [Cycle(d, g) for d, g in delivered]
    order = list(range(len(cycles)))
    random.shuffle(order)
    for number, place in enumerate(order):
        billed = first_bill(mode, cycles, place, total)
        cycles[place] = Cycle(cycles[place].delivered, cycles[place].goal, billed)
        if number == len(order) // 2:
            cycles = [Cycle(count, c.goal, c.billed) for count, c in zip(restated, cycles, strict=False)]
    bills = [cycle.billed or 0 for cycle in cycles]
    if mode is CapMode.CUMULATIVE:
        assert sum(bills) <= total
    if mode is CapMode.PER_CYCLE:
        assert all(bill <= goal for bill, (_, goal) in zip(bills, delivered, strict=True))
    if mode is CapMode.CUMULATIVE_PER_CYCLE:
        assert all(sum(bills[: n + 1]) <= sum(goal for _, goal in delivered[: n + 1]) for n in range(len(bills)))


# ---------------------------------------------------------------- a line's life: bills, restatements, corrections
class Books:
    """What was issued for one line, as an accountant would keep it."""

    def __init__(self, build: Build, counted: Callable[..., SourceCount], mode: CapMode, price: Price) -> None:
        self.build, self.counted, self.mode, self.price = build, counted, mode, price
        self.positions: dict[BillingPeriod, list[BilledPosition]] = {}
        self.facts: dict[BillingPeriod, int] = {}
        self.open: frozenset[BillingPeriod] = frozenset()
        self.documents = 0

    def case(self, period: BillingPeriod, *, fresh: bool = False) -> LinePeriodCase:
        goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=300_000)
        others = []
        for other in PERIODS:
            if other == period or other not in self.facts:
                continue
            held = self.positions.get(other, [])
            net = billed_net(held, self.price.currency) if held else None
            units = sum(position.net_quantity for position in held) if held else None
            others.append(OtherPeriod(period=other, counted=self.facts[other], quantity=units, amounts=net))
        return self.build(
            cycles=PERIODS,
            period=period,
            terms={"cap": self.mode},
            price=self.price,
            goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=900_000),
            flights=tuple(Flight(start=a, end=b, zone="UTC", goal=goal) for a, b in pairwise(EDGES)),
            agency_billed=True,
            tax_ppm=195_000,
            counts=(self.counted(self.facts[period], final=period not in self.open),),
            others=tuple(others),
            billed=() if fresh else tuple(self.positions.get(period, ())),
        )

    def document(self) -> str:
        self.documents += 1
        return canonical_id(EntityKind.DOCUMENT, "hub", str(self.documents))

    def bill(self, period: BillingPeriod) -> Billable:
        result = calculate(self.case(period))
        assert isinstance(result, Billable), result
        if not self.positions.get(period):
            self._enter(period, result.quantity or 0, result.amounts)
        return result

    def correct(self) -> Adjustments:
        found = adjust([self.case(period) for period in PERIODS if period in self.positions])
        for credit in found.credits:
            held = self.positions[credit.period]
            place = next(n for n, known in enumerate(held) if known.document_id == credit.corrects)
            before = held[place].credited
            held[place] = held[place].model_copy(
                update={
                    "credited": credit.amounts
                    if before is None
                    else Amounts.sum([before, credit.amounts], before.currency),
                    "credited_quantity": held[place].credited_quantity + credit.quantity,
                }
            )
        for more in found.supplements:
            self._enter(more.period, more.quantity, more.amounts)
        return found

    def net(self) -> dict[BillingPeriod, Amounts]:
        return {period: billed_net(held, self.price.currency) for period, held in self.positions.items()}

    def units(self) -> list[int]:
        return [sum(position.net_quantity for position in self.positions.get(period, ())) for period in PERIODS]

    def _enter(self, period: BillingPeriod, quantity: int, billed: Amounts) -> None:
        self.positions.setdefault(period, []).append(
            BilledPosition(
                document_id=self.document(),
                number=1,
                quantity=quantity,
                amounts=billed,
                price=self.price,
                agency_billed=True,
                tax_ppm=195_000,
            )
        )


@pytest.fixture(scope="module")
def books(case: Build, counted: Callable[..., SourceCount]) -> Callable[..., Books]:
    def opened(mode: CapMode, rate: int, basis: PriceBasis = PriceBasis.GROSS) -> Books:
        price = Price(method=CostMethod.CPM, rate=rate, currency="USD", basis=basis, commission_ppm=150_000)
        return Books(case, counted, mode, price)

    return opened


# One unit at least: a live line that delivered nothing is blocked, which is another promise.
LIVE = st.tuples(*[st.integers(1, 600_000)] * 3)
RATES = st.integers(1, 60_000_000)
CHANGES = st.lists(st.tuples(st.sampled_from(PERIODS), st.integers(1, 600_000)), min_size=1, max_size=5)


@settings(max_examples=40)
@given(MODES, RATES, LIVE, st.permutations(PERIODS))
def test_each_period_is_billed_once_whatever_the_order_and_never_above_the_cap(
    books: Callable[..., Books], mode: CapMode, rate: int, facts: tuple[int, ...], order: list[BillingPeriod]
) -> None:
    book = books(mode, rate)
    book.facts = dict(zip(PERIODS, facts, strict=True))
    for period in order:
        book.bill(period)
    issued, units = book.documents, book.units()
    assert units == list(chain(mode, [Cycle(count, 300_000) for count in facts], 900_000))
    for period in order:
        again = book.bill(period)
        assert (again.quantity, again.amounts.total) == (0, 0)
    assert book.correct().is_empty
    assert (book.documents, book.units()) == (issued, units)


# Few numbers, so that many of them meet at the cap; some months wait, and not all do.
NEAR_THE_CAP = st.tuples(*[st.sampled_from([1, 300_000, 450_000, 600_000])] * 3)
WAITING = st.sampled_from([frozenset(some) for count in (1, 2) for some in combinations(PERIODS, count)])


@settings(max_examples=150)
@given(
    st.sampled_from([CapMode.CUMULATIVE, CapMode.PER_CYCLE, CapMode.CUMULATIVE_PER_CYCLE]),
    NEAR_THE_CAP,
    NEAR_THE_CAP,
    WAITING,
)
def test_no_cap_is_exceeded_while_some_months_wait_with_what_they_were_billed(
    books: Callable[..., Books],
    mode: CapMode,
    facts: tuple[int, ...],
    restated: tuple[int, ...],
    waiting: frozenset[BillingPeriod],
) -> None:
    book = books(mode, 12_000_000)  # a unit is worth more than a cent, so units and documents go together
    book.facts = dict(zip(PERIODS, facts, strict=True))
    for period in PERIODS:
        book.bill(period)
    before = dict(zip(PERIODS, book.units(), strict=True))
    book.facts = dict(zip(PERIODS, restated, strict=True))
    book.open = waiting
    found = book.correct()
    assert {one.period for one in found.blocked} >= waiting
    after = dict(zip(PERIODS, book.units(), strict=True))
    assert all(after[one.period] == before[one.period] for one in found.blocked)
    assert all(units <= 300_000 for units in after.values()) if mode is CapMode.PER_CYCLE else True
    assert sum(after.values()) <= 900_000
    assert book.correct().is_empty, "a second correction finds nothing"
    book.open = frozenset()
    book.correct()
    assert book.units() == list(chain(mode, [Cycle(count, 300_000) for count in restated], 900_000))


@settings(max_examples=40)
@given(MODES, RATES, st.sampled_from(PriceBasis), LIVE, CHANGES, st.randoms(use_true_random=False))
def test_the_order_of_restatements_makes_no_difference(
    books: Callable[..., Books],
    mode: CapMode,
    rate: int,
    basis: PriceBasis,
    facts: tuple[int, ...],
    changes: list[tuple[BillingPeriod, int]],
    random: Any,
) -> None:
    latest = dict(changes)  # of several restatements of one month the last is the present fact
    ways = [list(latest.items()), list(latest.items())[::-1]]
    random.shuffle(ways[1])
    results = []
    for way in ways:
        book = books(mode, rate, basis)
        book.facts = dict(zip(PERIODS, facts, strict=True))
        for period in PERIODS:
            book.bill(period)
        for period, count in way:
            book.facts[period] = count
            book.correct()
            if mode is CapMode.CUMULATIVE:
                # Each month rounds by half a cent at most, so three of them by less than two.
                net_rate = basis is PriceBasis.NET
                billed = sum(amounts.net if net_rate else amounts.gross for amounts in book.net().values())
                assert billed <= cost(book.price, 900_000).micros + 20_000
        assert book.correct().is_empty, "a second correction finds nothing"
        results.append(book.net())
    assert results[0] == results[1]
    present = [latest.get(period, count) for period, count in zip(PERIODS, facts, strict=True)]
    afresh = books(mode, rate, basis)
    afresh.facts = dict(zip(PERIODS, present, strict=True))
    for period in PERIODS:
        afresh.bill(period)
    assert results[0] == afresh.net(), "as if it had been billed from the present numbers at once"


def test_more_than_was_billed_is_never_credited(books: Callable[..., Books]) -> None:
    book = books(CapMode.NO_CAP, 12_000_000)
    book.facts = dict.fromkeys(PERIODS, 1_000)
    book.bill(PERIODS[0])
    with pytest.raises(ValueError, match="more than what was billed"):
        placed(1, Amounts.of(money("USD", 1_201)), book.positions[PERIODS[0]])


def test_units_that_are_worth_less_than_a_cent_ask_for_no_document(books: Callable[..., Books]) -> None:
    book = books(CapMode.NO_CAP, 9)
    book.facts = dict.fromkeys(PERIODS, 2_512)
    for period in PERIODS:
        book.bill(period)
    book.facts[PERIODS[0]] = 1
    found = book.correct()
    assert found.is_empty
    assert found.unchanged == PERIODS


@settings(max_examples=40)
@given(RATES, st.sampled_from(PriceBasis), LIVE, st.integers(1, 600_000))
def test_a_credit_nets_to_zero_with_what_it_corrects(
    books: Callable[..., Books], rate: int, basis: PriceBasis, facts: tuple[int, ...], restated: int
) -> None:
    book = books(CapMode.NO_CAP, rate, basis)
    book.facts = dict(zip(PERIODS, facts, strict=True))
    for period in PERIODS:
        book.bill(period)
    before = book.net()
    book.facts[PERIODS[1]] = restated
    there = book.correct()
    book.facts[PERIODS[1]] = facts[1]
    back = book.correct()
    assert book.net() == before
    assert [a.amounts for a in (*there.credits, *back.credits)] == [
        a.amounts for a in (*there.supplements, *back.supplements)
    ]


PARTS = st.tuples(st.integers(0, 10**6), st.integers(0, 300_000), st.integers(0, 250_000), st.integers(0, 10**6))


@given(st.lists(PARTS, min_size=1, max_size=4), st.fractions(0, 1))
def test_a_credit_over_several_positions_is_their_sum_and_takes_none_below_zero(
    books: Callable[..., Books], parts: list[tuple[int, int, int, int]], share: Any
) -> None:
    book = books(CapMode.NO_CAP, 1)
    for cents, commission_ppm, tax_ppm, units in parts:
        gross = money("USD", cents)
        kept = gross.share_rounded(commission_ppm, MICROS)
        book._enter(PERIODS[0], units, Amounts.of(gross, kept, (gross - kept).share_rounded(tax_ppm, MICROS)))
    held = book.positions[PERIODS[0]]
    net = billed_net(held, "USD")
    cut = [
        Money(micros=part, currency="USD").share_rounded(share.numerator, share.denominator)
        for part in (net.net, net.commission, net.tax)
    ]
    credit = Amounts.of(cut[0] + cut[1], cut[1], cut[2])
    units = sum(position.net_quantity for position in held)
    found = placed(units, credit, held)
    assert Amounts.sum((part.amounts for part in found), "USD") == credit
    assert sum(part.quantity for part in found) == units
    for part in found:
        left = part.position.net_amounts.minus(part.amounts)
        assert min(left.gross, left.commission, left.net, left.tax) >= 0
        assert min(part.amounts.gross, part.amounts.commission, part.amounts.net, part.amounts.tax) >= 0


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_an_applied_credit_and_its_rest_are_the_credit(credit: int, balance: int) -> None:
    found = applied(money("USD", credit), money("USD", balance))
    assert found.applied + found.unapplied == money("USD", credit)
    assert 0 <= found.applied.micros <= money("USD", balance).micros


# ---------------------------------------------------------------- replay
@settings(max_examples=40)
@given(MODES, RATES, COUNTS, st.none() | st.integers(0, 600_000))
def test_a_stored_case_replays_to_the_same_bytes(
    books: Callable[..., Books],
    counted: Callable[..., SourceCount],
    mode: CapMode,
    rate: int,
    facts: tuple[int, ...],
    third: int | None,
) -> None:
    book = books(mode, rate)
    book.facts = dict(zip(PERIODS, facts, strict=True))
    case = book.case(PERIODS[2])
    if third is not None:
        case = case.model_copy(update={"counts": (*case.counts, counted(third, CountedBy.MEASUREMENT))})
    result = calculate(case)
    again = replay(case.canonical_bytes(), result.rules)
    assert again == result
    assert again.canonical_bytes() == result.canonical_bytes()
    assert result.inputs_hash == case.content_hash()
    model = Billable if isinstance(result, Billable) else Blocked
    assert model.from_bytes(result.canonical_bytes()) == result

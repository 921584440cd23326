"""The calculation against a slow oracle in plain Decimal and Fraction, written apart from it and sharing none of its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.billing.rules import Billable, LinePeriodCase, OtherPeriod, SourceCount, calculate
from oms_schema.billing_terms import BillingSource, CapMode, VarianceBase
from oms_schema.delivery import BillingPeriod, CountedBy, Units
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Price, PriceBasis

DECIMALS = {"USD": 2, "JPY": 0, "KWD": 3, "CLF": 4}
UNIT = {
    CostMethod.CPM: GoalUnit.IMPRESSIONS,
    CostMethod.VCPM: GoalUnit.VIEWABLE_IMPRESSIONS,
    CostMethod.CPC: GoalUnit.CLICKS,
    CostMethod.CPCV: GoalUnit.COMPLETED_VIEWS,
    CostMethod.CPA: GoalUnit.CONVERSIONS,
}
PERIODS = tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3))
EDGES = [datetime(2025, month, 1) for month in (1, 2, 3, 4)]  # noqa: DTZ001
# Around the cap, the tolerance and zero, where rules change their mind.
COUNT = st.sampled_from([0, 1, 899, 900, 901, 999, 1_000, 1_001, 1_111, 1_112]) | st.integers(0, 3_000)


@dataclass(frozen=True)
class Story:
    """One line-period as a person would tell it."""

    method: CostMethod
    rate: Decimal
    currency: str
    net_rate: bool
    commission: Decimal
    agency: bool
    tax: Decimal
    third_party: bool
    ours: tuple[int, int, int]
    theirs: int | None
    tolerance: Decimal
    base: VarianceBase
    cap: CapMode
    goals: tuple[int, int, int]


STORIES = st.builds(
    Story,
    method=st.sampled_from(list(UNIT)),
    rate=st.integers(0, 90_000_000).map(lambda micros: Decimal(micros).scaleb(-6)),
    currency=st.sampled_from(list(DECIMALS)),
    net_rate=st.booleans(),
    commission=st.sampled_from(["0", "0.15", "0.1", "0.175", "0.333333"]).map(Decimal),
    agency=st.booleans(),
    tax=st.sampled_from(["0", "0.05", "0.2", "0.195"]).map(Decimal),
    third_party=st.booleans(),
    ours=st.tuples(COUNT, COUNT, COUNT),
    theirs=st.none() | COUNT,
    tolerance=st.sampled_from(["0", "0.05", "0.1"]).map(Decimal),
    base=st.sampled_from(VarianceBase),
    cap=st.sampled_from(CapMode),
    goals=st.tuples(*[st.integers(0, 1_500)] * 3).filter(any),
)


def rounded(value: Fraction, currency: str) -> Decimal:
    with localcontext() as exact:
        exact.prec = 200
        # Enough digits that a tie is a tie: denominators here are products of 2, 5 and (1 - commission).
        step = Decimal(1).scaleb(-DECIMALS[currency])
        quotient = Decimal(value.numerator) / Decimal(value.denominator)
        return quotient.quantize(step, rounding=ROUND_HALF_UP)


def oracle(story: Story) -> tuple[int, Decimal, Decimal, Decimal, Decimal] | str:
    """(quantity, gross, commission, net, tax) of March, or the reason for none."""
    ours, theirs = story.ours[2], story.theirs
    if story.third_party and theirs is None:
        return "NO-REPORT"
    count = theirs if story.third_party and theirs is not None else ours
    if count == 0 and ours == 0:
        return "NO-DELIVERY"
    if theirs is not None:
        base = {"publisher": ours, "buyer": theirs, "larger": max(ours, theirs)}[story.base.value]
        if base == 0 and ours != theirs:
            return "VARIANCE"
        if base and Fraction(abs(ours - theirs), base) > Fraction(story.tolerance):
            return "VARIANCE"
    months = [*story.ours[:2], count]
    billed: list[int] = []
    pool = room = 0
    for delivered, goal in zip(months, story.goals, strict=True):
        pool, room = pool + delivered, room + goal
        if story.cap is CapMode.NO_CAP:
            billed.append(delivered)
        elif story.cap is CapMode.PER_CYCLE:
            billed.append(delivered if delivered < goal else goal)
        elif story.cap is CapMode.CUMULATIVE:
            left = sum(story.goals) - sum(billed)
            billed.append(delivered if delivered < left else left)
        else:
            step = pool if pool < room else room
            billed.append(step)
            pool, room = pool - step, room - step
    units = billed[2]
    thousand = story.method in (CostMethod.CPM, CostMethod.VCPM)
    exact = Fraction(story.rate) * units / (1_000 if thousand else 1)
    if story.net_rate and story.agency:
        gross = rounded(exact / (1 - Fraction(story.commission)), story.currency)
        net = rounded(exact, story.currency)
    else:
        gross = rounded(exact, story.currency)
        share = Fraction(story.commission) if story.agency else Fraction(0)
        net = gross - rounded(Fraction(gross) * share, story.currency)
    return units, gross, gross - net, net, rounded(Fraction(net) * Fraction(story.tax), story.currency)


def as_case(
    story: Story, build: Callable[..., LinePeriodCase], counted: Callable[..., SourceCount], known: list[OtherPeriod]
) -> LinePeriodCase:
    unit = UNIT[story.method]

    def told(units: int, by: CountedBy) -> SourceCount:
        return counted(None, by, units=Units.model_validate({unit.value: units}))

    place = len(known)
    counts = [told(story.ours[place], CountedBy.SELLER)]
    if place == 2 and story.theirs is not None:
        counts.append(told(story.theirs, CountedBy.MEASUREMENT))
    source = BillingSource.THIRD_PARTY if story.third_party and place == 2 else BillingSource.FIRST_PARTY
    goals = [Goal(unit=unit, quantity=quantity) for quantity in story.goals]
    return build(
        cycles=PERIODS,
        period=PERIODS[place],
        terms={
            "cap": story.cap,
            "source": source,
            "tolerance_ppm": int(story.tolerance * 1_000_000),
            "variance_base": story.base,
        },
        price=Price(
            method=story.method,
            rate=int(story.rate.scaleb(6)),
            currency=story.currency,
            basis=PriceBasis.NET if story.net_rate else PriceBasis.GROSS,
            commission_ppm=int(story.commission * 1_000_000),
        ),
        goal=Goal(unit=unit, quantity=sum(story.goals)),
        flights=tuple(
            Flight(start=a, end=b, zone="UTC", goal=g) for (a, b), g in zip(pairwise(EDGES), goals, strict=True)
        ),
        agency_billed=story.agency,
        tax_ppm=int(story.tax * 1_000_000),
        counts=tuple(counts),
        others=tuple(known),
        paused_hours=10_000 if place < 2 else 0,  # the months before may have stood still
    )


@settings(max_examples=300)
@given(STORIES)
def test_the_calculation_equals_the_decimal_oracle(
    case: Callable[..., LinePeriodCase], counted: Callable[..., SourceCount], story: Story
) -> None:
    known: list[OtherPeriod] = []
    for place in range(2):
        before = calculate(as_case(story, case, counted, known))
        assert isinstance(before, Billable), before
        known.append(
            OtherPeriod(
                period=PERIODS[place], counted=story.ours[place], quantity=before.quantity, amounts=before.amounts
            )
        )
    result = calculate(as_case(story, case, counted, known))
    expected = oracle(story)
    if isinstance(expected, str):
        assert not isinstance(result, Billable)
        assert [problem.code for problem in result.problems] == [expected]
        return
    assert isinstance(result, Billable), result
    found = (result.amounts.gross, result.amounts.commission, result.amounts.net, result.amounts.tax)
    assert (result.quantity, *(Decimal(micros).scaleb(-6) for micros in found)) == expected


def test_the_oracle_itself_knows_the_worked_numbers() -> None:
    story = Story(
        CostMethod.CPM,
        Decimal("12.00"),
        "USD",
        False,
        Decimal("0.15"),
        True,
        Decimal("0.2"),
        False,
        (0, 0, 980_007),
        None,
        Decimal("0.1"),
        VarianceBase.PUBLISHER,
        CapMode.NO_CAP,
        (1, 1, 1),
    )
    amounts = ("11760.08", "1764.01", "9996.07", "1999.21")
    assert oracle(story) == (980_007, *map(Decimal, amounts))

"""The columns give what the pure calculation gives, line-month by line-month, at every edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.billing.rules import Billable, LinePeriodCase, OtherPeriod, SourceCount, calculate
from hub.billing.rules.columnar import MISSING, LineColumns, LineTerms, MonthResults, MonthStatus, reconcile
from oms_schema.billing_terms import BillingSource, CapMode, VarianceBase
from oms_schema.delivery import BillingPeriod, CountedBy
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Price, PriceBasis

PERIODS = tuple(BillingPeriod.month(2025, month) for month in (1, 2, 3, 4))
EDGES = [datetime(2025, month, 1) for month in (1, 2, 3, 4, 5)]  # noqa: DTZ001
# Around the goal, the tolerance, zero and what was not reported.
COUNT = st.sampled_from([MISSING, 0, 1, 899, 900, 901, 999, 1_000, 1_001, 1_111, 1_112]) | st.integers(0, 3_000)
MONTH = st.tuples(
    COUNT, st.sampled_from([1, 1, 1, 0]), COUNT, st.sampled_from([1, 1, 1, 0]), st.integers(0, 1_500), st.integers(0, 1)
)
Month = tuple[int, int, int, int, int, int]
TERMS = st.builds(
    LineTerms,
    price=st.builds(
        Price,
        method=st.sampled_from([CostMethod.CPM]),
        rate=st.integers(0, 90_000_000),
        currency=st.sampled_from(["USD", "JPY", "KWD", "CLF"]),
        basis=st.sampled_from(PriceBasis),
        commission_ppm=st.sampled_from([0, 150_000, 333_333]),
    ),
    agency_billed=st.booleans(),
    third_party=st.booleans(),
    cap=st.sampled_from(CapMode),
    tolerance_ppm=st.sampled_from([0, 50_000, 100_000]),
    variance_base=st.sampled_from(VarianceBase),
    total_goal=st.none(),
)
LINE = st.tuples(TERMS, st.lists(MONTH, min_size=4, max_size=4).filter(lambda months: any(m[4] for m in months))).map(
    lambda line: (replace(line[0], total_goal=sum(month[4] for month in line[1])), line[1])
)


def columns(lines: list[tuple[LineTerms, list[Month]]]) -> LineColumns:
    rows = [month for _, months in lines for month in months]
    seller, seller_final, other, other_final, goal, live = ([row[place] for row in rows] for place in range(6))
    return LineColumns(
        months=len(PERIODS),
        lines=[terms for terms, _ in lines],
        seller=seller,
        seller_final=seller_final,
        other=other,
        other_final=other_final,
        goal=goal,
        live=live,
    )


def one_by_one(
    build: Callable[..., LinePeriodCase],
    counted: Callable[..., SourceCount],
    lines: list[tuple[LineTerms, list[Month]]],
) -> MonthResults:
    results = MonthResults()
    for terms, months in lines:
        known: list[OtherPeriod] = []
        goals = [Goal(unit=GoalUnit.IMPRESSIONS, quantity=month[4]) for month in months]
        flights = tuple(
            Flight(start=a, end=b, zone="UTC", goal=goal) for (a, b), goal in zip(pairwise(EDGES), goals, strict=True)
        )
        for period, (seller, seller_final, other, other_final, _, live) in zip(PERIODS, months, strict=True):
            counts = [counted(None if seller == MISSING else seller, final=bool(seller_final))]
            counts.append(counted(None if other == MISSING else other, CountedBy.MEASUREMENT, final=bool(other_final)))
            result = calculate(
                build(
                    cycles=PERIODS,
                    period=period,
                    terms={
                        "cap": terms.cap,
                        "source": BillingSource.THIRD_PARTY if terms.third_party else BillingSource.FIRST_PARTY,
                        "tolerance_ppm": terms.tolerance_ppm,
                        "variance_base": terms.variance_base,
                    },
                    price=terms.price,
                    goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=terms.total_goal or 0),
                    flights=flights,
                    paused_hours=0 if live else 10_000,
                    agency_billed=terms.agency_billed,
                    counts=tuple(counts),
                    others=tuple(known),
                )
            )
            count = other if terms.third_party else seller
            units = result.quantity if isinstance(result, Billable) else None
            known.append(OtherPeriod(period=period, counted=None if count == MISSING else count, quantity=units))
            if isinstance(result, Billable):
                results.status.append(MonthStatus.BILLABLE)
            else:
                results.status.append(MonthStatus[result.problems[0].code.replace("-", "_")])
            results.quantity.append(units or 0)
            results.gross.append(result.amounts.gross if isinstance(result, Billable) else 0)
            results.commission.append(result.amounts.commission if isinstance(result, Billable) else 0)
    return results


@settings(max_examples=150)
@given(st.lists(LINE, min_size=1, max_size=3))
def test_the_columns_equal_the_calculation_of_each_line_month(
    case: Callable[..., LinePeriodCase],
    counted: Callable[..., SourceCount],
    lines: list[tuple[LineTerms, list[Month]]],
) -> None:
    assert reconcile(columns(lines)) == one_by_one(case, counted, lines)


def test_a_price_per_click_day_or_view_is_not_per_thousand() -> None:
    price = Price(method=CostMethod.CPC, rate=1_350_000, currency="USD", commission_ppm=150_000)
    terms = LineTerms(
        price=price,
        agency_billed=True,
        third_party=False,
        cap=CapMode.NO_CAP,
        tolerance_ppm=0,
        variance_base=VarianceBase.PUBLISHER,
        total_goal=None,
    )
    one = {"seller": [4_210], "seller_final": [1], "other": [MISSING], "other_final": [0], "goal": [0], "live": [1]}
    found = reconcile(LineColumns(months=1, lines=[terms], **one))
    assert (found.gross, found.commission) == ([5_683_500_000], [852_530_000])
    with pytest.raises(ValueError, match="need columns of 2"):
        LineColumns(months=2, lines=[terms], **one)
    with pytest.raises(ValueError, match="states a goal"):
        LineColumns(months=1, lines=[replace(terms, cap=CapMode.CUMULATIVE)], **one)

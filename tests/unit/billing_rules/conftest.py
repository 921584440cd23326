"""A builder of line-period cases: a valid one by default, with any field replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest

from hub.billing.rules import LinePeriodCase, SourceCount
from oms_schema.billing_terms import BillingTerms
from oms_schema.delivery import BillingPeriod, CountedBy, Units
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Price

LINE = canonical_id(EntityKind.LINE, "sfdc", "1")
ORDER = canonical_id(EntityKind.ORDER, "sfdc", "1")


def months(year: int, first: int, count: int) -> tuple[BillingPeriod, ...]:
    return tuple(BillingPeriod.month(year + (m - 1) // 12, (m - 1) % 12 + 1) for m in range(first, first + count))


def over(periods: Sequence[BillingPeriod]) -> Flight:
    start = datetime.combine(periods[0].start, datetime.min.time())
    return Flight(start=start, end=datetime.combine(periods[-1].end, datetime.min.time()), zone="UTC")


def count(impressions: int | None, by: CountedBy = CountedBy.SELLER, **changes: Any) -> SourceCount:
    source = {CountedBy.SELLER: "gam-main", CountedBy.MEASUREMENT: "ias", CountedBy.BUYER: "dv360"}[by]
    values: dict[str, Any] = {
        "counted_by": by,
        "source": source,
        "units": Units(impressions=impressions),
        "final": True,
    }
    return SourceCount.model_validate(values | changes)


def build(seller: int | None = None, third: int | None = None, **changes: Any) -> LinePeriodCase:
    """One March 2025 of a CPM 12.00 USD line with 1,000,000 booked impressions, delivered by `seller` and `third`."""
    terms: dict[str, Any] = changes.pop("terms", {})
    cycles = changes.setdefault("cycles", months(2025, 3, 1))
    counts = [count(seller)] if seller is not None else []
    counts += [count(third, CountedBy.MEASUREMENT)] if third is not None else []
    values: dict[str, Any] = {
        "line_id": LINE,
        "order_id": ORDER,
        "period": cycles[-1],
        "period_over": True,
        "terms": BillingTerms.model_validate(terms),
        "price": Price(method=CostMethod.CPM, rate=12_000_000, currency="USD"),
        "goal": Goal(unit=GoalUnit.IMPRESSIONS, quantity=1_000_000),
        "flight": over(cycles),
        "counts": tuple(counts),
    }
    return LinePeriodCase.model_validate(values | changes)


@pytest.fixture(scope="session")
def case() -> Callable[..., LinePeriodCase]:
    """`case(seller, third, **fields)`."""
    return build


@pytest.fixture(scope="session")
def counted() -> Callable[..., SourceCount]:
    """`counted(impressions, by, **fields)`."""
    return count

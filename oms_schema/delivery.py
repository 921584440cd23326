"""Delivered numbers: versioned facts per line, day and source; and the line-period, in which they become a bill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from oms_schema.base import Canonical
from oms_schema.billing_terms import BillingSource
from oms_schema.instant import Instant
from oms_schema.line import GoalUnit
from oms_schema.local_time import zone
from oms_schema.money import CurrencyCode, Money
from oms_schema.party import ID
from oms_schema.person import same_person
from oms_schema.status import BillingStatus

Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
_Word = Annotated[str, Field(min_length=1)]


class Metric(StrEnum):
    """What a source counts; the names are the fields of `Units`."""

    IMPRESSIONS = "impressions"
    VIEWABLE_IMPRESSIONS = "viewable_impressions"
    CLICKS = "clicks"
    COMPLETED_VIEWS = "completed_views"
    CONVERSIONS = "conversions"


METRIC_OF_GOAL: Mapping[GoalUnit, Metric | None] = {
    GoalUnit.IMPRESSIONS: Metric.IMPRESSIONS,
    GoalUnit.VIEWABLE_IMPRESSIONS: Metric.VIEWABLE_IMPRESSIONS,
    GoalUnit.CLICKS: Metric.CLICKS,
    GoalUnit.COMPLETED_VIEWS: Metric.COMPLETED_VIEWS,
    GoalUnit.CONVERSIONS: Metric.CONVERSIONS,
    GoalUnit.DAYS: None,
}
"""The count that measures a goal. Days are not reported; they are counted from the days that have a fact."""


class Units(Canonical):
    """Counts of one day or one span, not cumulative. None means not reported, which is not zero."""

    impressions: Count | None = None
    viewable_impressions: Count | None = None
    clicks: Count | None = None
    completed_views: Count | None = None
    conversions: Count | None = None

    def of(self, metric: Metric) -> int | None:
        """The count of one metric."""
        count: int | None = getattr(self, metric.value)
        return count

    def __add__(self, other: Units) -> Units:
        """Sum; a metric that one side did not report is taken from the other."""
        return Units.model_validate(
            {
                metric.value: count if further is None else further if count is None else count + further
                for metric in Metric
                for count, further in [(self.of(metric), other.of(metric))]
            }
        )


class CountedBy(StrEnum):
    """Who counted."""

    SELLER = "seller"
    """First party: the publisher's own ad server."""
    MEASUREMENT = "measurement"
    """Third party: a measurement company that the contract names."""
    BUYER = "buyer"
    """The buyer's DSP or ad server."""


class DeliveryFact(Canonical):
    """What `source` (a connection) said at `as_of` about one line on one day of `day_zone`.

    A restatement is a new fact with a later `as_of`; the old one stays (architecture, decision 8).
    """

    line_id: ID
    day: date
    source: _Word
    as_of: Instant
    units: Units
    day_zone: str = "UTC"
    counted_by: CountedBy = CountedBy.SELLER
    final: bool = Field(default=False, description="The source declares that it will not restate this day")

    @field_validator("day_zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return zone(value).key


def newest_facts(facts: Iterable[DeliveryFact]) -> dict[tuple[str, str, date], DeliveryFact]:
    """The present fact of each (line, source, day): the one with the latest `as_of`, whatever the order of arrival.

    ValueError when a source says two things as of one instant: then neither can be taken for the present one.
    """
    newest: dict[tuple[str, str, date], DeliveryFact] = {}
    rivals: set[tuple[str, str, date]] = set()
    for fact in facts:
        key = (fact.line_id, fact.source, fact.day)
        known = newest.get(key)
        if known is None or fact.as_of > known.as_of:
            newest[key] = fact
            rivals.discard(key)
        elif fact.as_of == known.as_of and fact != known:
            rivals.add(key)
    if rivals:
        line_id, source, day = min(rivals)
        raise ValueError(f"{source} says two things about line {line_id} on {day} as of one instant")
    return newest


class BillingPeriod(Canonical):
    """A half-open span of days, `start <= day < end`, of the order's billing calendar."""

    start: date
    end: date

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a billing period ends after it starts; its end is exclusive")
        return self

    @classmethod
    def month(cls, year: int, month: int) -> Self:
        """A calendar month. ValueError when there is no such month, or none after it (December 9999)."""
        return cls(start=date(year, month, 1), end=date(year + month // 12, month % 12 + 1, 1))

    @property
    def label(self) -> str:
        """`2020-03` for a calendar month, else both days, the last one included: `2020-03-30..2020-04-26`."""
        first = self.start
        if first.day == 1 and self.end == date(first.year + first.month // 12, first.month % 12 + 1, 1):
            return self.start.isoformat()[:7]
        return f"{self.start.isoformat()}..{(self.end - timedelta(days=1)).isoformat()}"

    def __contains__(self, day: date) -> bool:
        """Whether a day lies in the period."""
        return self.start <= day < self.end


class QuantityOverride(Canonical):
    """A billable quantity that a person set and another approved; both stay visible beside the derived one."""

    quantity: Count
    reason: _Word
    requested_by: _Word
    approved_by: _Word
    approved_at: Instant

    @model_validator(mode="after")
    def _four_eyes(self) -> Self:
        if same_person(self.requested_by, self.approved_by):
            raise ValueError("whoever asks for an override does not approve it")
        return self


class LinePeriod(Canonical):
    """One line in one billing period: the unit of reconciliation, rounding and invoicing.

    Booked, delivered, billable and billed are four numbers and never stand for one another. Quantities are in `unit`;
    amounts are in `currency`, rounded to its minor unit here and nowhere later (architecture, decision 7).
    """

    line_id: ID
    order_id: ID
    period: BillingPeriod
    status: BillingStatus = BillingStatus.OPEN
    unit: GoalUnit
    currency: CurrencyCode
    booked: Count
    delivered: Count | None = Field(default=None, description="By the contracted source; None before it has reported")
    billable: Count | None = Field(default=None, description="Derived by the terms; None before the calculation")
    billed: Count = 0
    source: BillingSource | None = Field(default=None, description="Whose count `delivered` is")
    final: bool = False
    fallback: bool = Field(default=False, description="The contracted source was silent and another's count was agreed")
    override: QuantityOverride | None = None
    billable_amount: Money | None = None
    billed_amount: Money | None = None
    rules: str = Field(default="", description="Version of the rules that calculated it")

    @model_validator(mode="after")
    def _amounts_are_of_this_currency_and_rounded(self) -> Self:
        for amount in (self.billable_amount, self.billed_amount):
            if amount is None:
                continue
            if amount.currency != self.currency:
                raise ValueError(f"an amount is in {amount.currency} and the line-period in {self.currency}")
            if not amount.is_rounded:
                raise ValueError(f"{amount.amount} {amount.currency} is not rounded to the minor unit")
        return self

    @property
    def quantity(self) -> int | None:
        """What is to be billed in all: the override where there is one, else the derived quantity."""
        return self.override.quantity if self.override is not None else self.billable

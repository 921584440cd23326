"""A line: one product, one price, one goal, one flight (or several), one audience."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, StringConstraints, field_validator, model_validator

from oms_schema.base import Canonical
from oms_schema.billing_terms import BillingTerms
from oms_schema.creative import CreativePlaceholder
from oms_schema.money import CurrencyCode, Micros, Money
from oms_schema.party import ID, Name
from oms_schema.targeting import Targeting


class CostMethod(StrEnum):
    """What one price buys; OpenDirect 2.1 and Google Ad Manager words."""

    CPM = "CPM"
    VCPM = "VCPM"
    CPC = "CPC"
    CPCV = "CPCV"
    CPD = "CPD"
    FLAT = "FLAT"
    CPA = "CPA"


class PriceBasis(StrEnum):
    """Whether the rate still contains the agency's commission."""

    GROSS = "gross"
    NET = "net"


class Price(Canonical):
    """The rate of a line: per thousand (CPM, vCPM), per unit (CPC, CPCV, CPA), per day (CPD), or whole (flat)."""

    method: CostMethod
    rate: Annotated[Micros, Field(ge=0)]
    currency: CurrencyCode
    basis: PriceBasis = PriceBasis.GROSS
    commission_ppm: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = 0
    """Agency commission in parts per million: 15 % is 150_000."""

    @property
    def money(self) -> Money:
        """The rate as money."""
        return Money(micros=self.rate, currency=self.currency)


class GoalUnit(StrEnum):
    """What a goal counts."""

    IMPRESSIONS = "impressions"
    VIEWABLE_IMPRESSIONS = "viewable_impressions"
    CLICKS = "clicks"
    COMPLETED_VIEWS = "completed_views"
    DAYS = "days"
    CONVERSIONS = "conversions"


class GoalMeasure(StrEnum):
    """Whether `quantity` is a count or a share of the inventory in percent."""

    COUNT = "count"
    PERCENT = "percent"


class Goal(Canonical):
    """How much is to be delivered over the whole flight."""

    unit: GoalUnit
    quantity: Annotated[int, Field(ge=0, strict=True)]
    measure: GoalMeasure = GoalMeasure.COUNT

    @model_validator(mode="after")
    def _percent_is_at_most_100(self) -> Self:
        if self.measure is GoalMeasure.PERCENT and self.quantity > 100:
            raise ValueError("a percent goal is at most 100")
        return self


class Flight(Canonical):
    """A half-open span of local time, `start <= t < end`, in an IANA zone; no end means it runs until stopped.

    Of an hour that a clock change repeats, `fold` says which one; an hour that a clock change skips is refused.
    """

    start: datetime
    end: datetime | None = None
    zone: str
    goal: Goal | None = None

    @field_validator("start", "end")
    @classmethod
    def _local(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("a flight holds local times; the zone stands beside them")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in _ZONES:
            raise ValueError(f"{value!r} is not an IANA time zone")
        return value

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end is not None and self.end_instant() <= self.start_instant():  # type: ignore[operator]
            raise ValueError("the flight ends before it starts")
        return self

    def start_instant(self) -> datetime:
        """The start as an aware instant."""
        return self.start.replace(tzinfo=ZoneInfo(self.zone))

    def end_instant(self) -> datetime | None:
        """The end (exclusive) as an aware instant; None when open."""
        return None if self.end is None else self.end.replace(tzinfo=ZoneInfo(self.zone))


_ZONES = available_timezones()


class Commitment(StrEnum):
    """How firmly the seller promises delivery."""

    GUARANTEED = "guaranteed"
    SPONSORSHIP = "sponsorship"
    NON_GUARANTEED = "non_guaranteed"
    HOUSE = "house"


class ProductReference(Canonical):
    """The product sold, as the source names it."""

    id: str
    name: str = ""


class Line(Canonical):
    """One order line (placement, insertion). Its goal and price are the contract; delivery is never stored here."""

    id: ID
    order_id: ID
    name: Name
    external_id: Annotated[str, StringConstraints(max_length=255)] | None = None
    product: ProductReference | None = None
    deal_id: ID | None = None
    commitment: Commitment = Commitment.GUARANTEED
    flight: Flight
    flights: tuple[Flight, ...] = Field(default=(), description="Dated sub-goals that tile `flight` without overlap")
    price: Price
    goal: Goal
    targeting: Targeting = Targeting()
    creatives: tuple[CreativePlaceholder, ...] = ()
    brand: str | None = None
    budget: Money | None = Field(default=None, description="What the source says the line costs in all; a cross-check")
    terms: BillingTerms | None = Field(default=None, description="Overrides the order's billing terms")
    notes: str = ""
    cancelled: bool = False

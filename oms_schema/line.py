"""A line: one product, one price, one goal, one flight (or several), one audience."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from oms_schema.base import Canonical
from oms_schema.billing_terms import BillingTerms
from oms_schema.creative import CreativePlaceholder
from oms_schema.local_time import UTC_NAMES, LocalDateTime, offset_and_fold, zone
from oms_schema.money import CurrencyCode, Micros, Money
from oms_schema.party import ID, Name
from oms_schema.targeting import Targeting

_NO_TIME = timedelta(0)
Fold = Annotated[int, Field(ge=0, le=1, strict=True)]


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

    @field_validator("measure")  # runs only where a measure is given; the default one is no percentage
    @classmethod
    def _percent_is_at_most_100(cls, value: GoalMeasure, info: ValidationInfo) -> GoalMeasure:
        if value is GoalMeasure.PERCENT and info.data.get("quantity", 0) > 100:
            raise ValueError("a percent goal is at most 100")
        return value


class Flight(Canonical):
    """A half-open span of local time, `start <= t < end`, in an IANA zone; no end means it runs until stopped.

    Of an hour that a clock change repeats, fold 0 is the first and 1 the second (PEP 495). JSON has no fold, so it stands
    in fields of its own; a `start` or `end` that comes as a datetime with fold 1 sets them, and where an hour is not
    repeated they are 0. An hour that a clock change skips is refused.
    """

    start: LocalDateTime
    end: LocalDateTime | None = None
    zone: str
    goal: Goal | None = None
    start_fold: Fold = 0
    end_fold: Fold = 0

    @classmethod
    def between(cls, start: datetime, end: datetime | None, zone_name: str, goal: Goal | None = None) -> Self:
        """From aware instants. Raises ValueError when one is naive or the zone is unknown."""
        if start.tzinfo is None or (end is not None and end.tzinfo is None):
            raise ValueError("an instant needs a time zone")
        there = zone(zone_name)
        return cls(
            start=start.astimezone(there).replace(tzinfo=None),
            end=None if end is None else end.astimezone(there).replace(tzinfo=None),
            zone=zone_name,
            goal=goal,
        )

    # These two stand apart from the check of the whole so that an error names the field it is about.
    @field_validator("start", "end")
    @classmethod
    def _is_local(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("a flight holds local times; the zone stands beside them")
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return value if value in UTC_NAMES else zone(value).key

    def model_post_init(self, context: Any, /) -> None:
        """A span of local time that exists, its folds settled. Not an after-validator: a validated flight that becomes part
        of a line would go through it again."""
        values = self.__dict__
        start, end = values["start"], values["end"]
        if (
            values["zone"] in UTC_NAMES
            and not (start.fold or values["start_fold"] or values["end_fold"])
            and (end is None or (start < end and not end.fold))
        ):
            return  # as most flights of an order book, and in half the time: no clock change to look for
        there = zone(self.zone)
        start, start_offset = self._settle("start", self.start, self.start_fold, there)
        if self.end is None:
            self.__dict__["end_fold"] = 0
            return
        end, end_offset = self._settle("end", self.end, self.end_fold, there)
        # The same difference as between the instants, without leaving datetime's range in the years 1 and 9999.
        length = (end - start) - (end_offset - start_offset)
        if length < _NO_TIME:
            raise ValueError("the flight ends before it starts")
        if length == _NO_TIME:
            raise ValueError("the flight ends at the moment it starts; its end is exclusive, so it would never run")

    def _settle(self, name: str, local: datetime, fold: int, there: ZoneInfo) -> tuple[datetime, timedelta]:
        if fold and not local.fold:
            local = local.replace(fold=1)
        offset, fold = offset_and_fold(local, there)
        if local.fold != fold:
            local = local.replace(fold=fold)
        # The model is frozen for its users; this is still its construction.
        self.__dict__[name] = local
        self.__dict__[f"{name}_fold"] = fold
        return local, offset

    def start_instant(self) -> datetime:
        """The start in UTC. OverflowError in the first hours of year 1, where UTC has no date."""
        return self.start.replace(tzinfo=zone(self.zone)).astimezone(UTC)

    def end_instant(self) -> datetime | None:
        """The end (exclusive) in UTC; None when open. OverflowError in the last hours of year 9999."""
        return None if self.end is None else self.end.replace(tzinfo=zone(self.zone)).astimezone(UTC)


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

    @field_validator("flights")  # runs only where flights are given, and not without the line's own
    @classmethod
    def _flights_tile_the_line(cls, value: tuple[Flight, ...], info: ValidationInfo) -> tuple[Flight, ...]:
        whole = info.data.get("flight")
        if value and whole is not None:
            try:
                _tile(_span(whole), [_span(flight) for flight in value])
            except OverflowError:
                raise ValueError("a flight lies at the edge of the calendar, outside the years that UTC has") from None
        return value


def _span(flight: Flight) -> tuple[datetime, datetime | None]:
    return flight.start_instant(), flight.end_instant()


def _tile(line: tuple[datetime, datetime | None], flights: list[tuple[datetime, datetime | None]]) -> None:
    if flights[0][0] != line[0]:
        raise ValueError("the first flight does not start with the line")
    for number, ((_, end), (start, _)) in enumerate(pairwise(flights), 1):
        if end is None:
            raise ValueError(f"flight {number} has no end, so no flight can follow it")
        if start != end:
            what = "overlaps" if start < end else "leaves a gap before"
            raise ValueError(f"flight {number} {what} flight {number + 1}")
    if flights[-1][1] != line[1]:
        raise ValueError("the last flight does not end with the line")

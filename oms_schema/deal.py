"""A deal: terms agreed with one buyer for programmatic trading, and the ids it has at each system that trades it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from oms_schema.base import Canonical
from oms_schema.line import Flight
from oms_schema.money import Money
from oms_schema.party import ID, Name
from oms_schema.problems import Problem, Reason


class DealType(StrEnum):
    """How the buyer and the seller are bound; the trade's four words, from firmest to loosest."""

    DIRECT = "direct"
    PROGRAMMATIC_GUARANTEED = "programmatic_guaranteed"
    PREFERRED = "preferred"
    PRIVATE_MARKETPLACE = "private_marketplace"


class DealId(Canonical):
    """What one connection calls the deal; `seat` narrows it where each buyer's seat has an id of its own."""

    connection: Annotated[str, Field(min_length=1)]
    value: Annotated[str, Field(min_length=1)]
    seat: str = ""


class Deal(Canonical):
    """Deal terms. A rate is per thousand impressions: fixed, or the floor of a private auction, never both."""

    id: ID
    name: Name
    type: DealType
    order_id: ID | None = None
    buyer_id: ID | None = Field(default=None, description="The party that buys, where it is known")
    flight: Flight | None = None
    fixed_rate: Money | None = None
    floor_rate: Money | None = None
    ids: tuple[DealId, ...] = ()
    cancelled: bool = False

    @model_validator(mode="after")
    def _terms_fit_the_type(self) -> Self:
        rates = [rate for rate in (self.fixed_rate, self.floor_rate) if rate is not None]
        if len(rates) == 2:
            raise ValueError("a deal has a fixed rate or a floor, not both")
        if any(rate.micros < 0 for rate in rates):
            raise ValueError("a deal's rate is never negative")
        auction = self.type is DealType.PRIVATE_MARKETPLACE
        if auction and self.fixed_rate is not None:
            raise ValueError("a private marketplace is an auction: it has a floor, no fixed rate")
        if not auction and self.floor_rate is not None:
            raise ValueError(f"a {self.type.value} deal has a fixed rate; only a private marketplace has a floor")
        places = [(known.connection, known.seat) for known in self.ids]
        if len(set(places)) < len(places):
            raise ValueError("a deal has one id per connection and seat")
        return self

    def id_at(self, connection: str, seat: str = "") -> str | None:
        """The deal's id at a connection (and seat), None when it has none there."""
        return next((known.value for known in self.ids if (known.connection, known.seat) == (connection, seat)), None)


def check_deal_change(before: Deal, after: Deal) -> tuple[Problem, ...]:
    """DEAL-TYPE-FROZEN when the type changes: Salesforce and the ad servers fix it at creation, so a new deal is needed."""
    if before.type is after.type:
        return ()
    return (
        Problem(
            code="DEAL-TYPE-FROZEN",
            reason=Reason.VALIDATION,
            path="type",
            value=after.type.value,
            happened=f"The deal was made as {before.type.value} and now says {after.type.value}; a deal keeps its type.",
            effect="The change is kept and not accepted.",
            fix="Sales ends this deal and makes a new one of the other type.",
            owner="Sales",
        ),
    )

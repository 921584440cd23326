"""Who buys, who acts for them, and who pays."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from oms_schema.base import Canonical

Name = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
ID = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}_[a-z2-7]{24}$")]


class PartyRole(StrEnum):
    """The part a party plays in one order; one party may play several, in different orders too."""

    ADVERTISER = "advertiser"
    AGENCY = "agency"
    BRAND = "brand"
    BILL_TO = "bill_to"


class Address(Canonical):
    """A postal address as the source gave it; only the source knows its structure."""

    text: str = ""
    country: str | None = None


class Party(Canonical):
    """A company or person known by one id; its name is unique only within its source."""

    id: ID
    name: Name
    address: Address | None = None
    merged_into: ID | None = Field(default=None, description="The surviving party, after a merge at the source")
    deleted: bool = False


class PartyInRole(Canonical):
    """One party in one role on an order."""

    role: PartyRole
    party_id: ID

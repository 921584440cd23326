"""The order: the contract that holds lines together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from oms_schema.base import Canonical
from oms_schema.billing_terms import BillingTerms
from oms_schema.money import CurrencyCode
from oms_schema.party import ID, Name, PartyInRole, PartyRole
from oms_schema.status import CommercialStatus


class PurchaseOrder(Canonical):
    """The buyer's own number for this order."""

    number: Annotated[str, StringConstraints(max_length=63)]


class Order(Canonical):
    """An insertion order. Lines point to it by `order_id`; sums and dates are derived from them, never stored."""

    id: ID
    name: Name
    number: str | None = Field(default=None, description="The order's number at its source")
    status: CommercialStatus = CommercialStatus.DRAFT
    currency: CurrencyCode
    parties: tuple[PartyInRole, ...] = ()
    purchase_order: PurchaseOrder | None = None
    terms: BillingTerms = BillingTerms()
    notes: str = ""

    def party(self, role: PartyRole) -> str | None:
        """The id of the party in `role`, None when nobody plays it."""
        return next((p.party_id for p in self.parties if p.role == role), None)

"""What NetSuite takes of a billing document, and the bodies that save it. Pure.

Amounts of a credit memo are positive in NetSuite's records, as they are handed over. A line is sent with quantity, rate and
amount: NetSuite keeps the amount it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from connectors.billing_document import Code, DocumentShape, Kind, LineShape, PartyShape, validated

_LONGEST_MEMO = 999
_Code = Annotated[Code, Field(pattern=r"^[^\x00-\x1f\x7f/?#%\\]*$")]  # an external id is part of an address
RECORD_TYPES: Mapping[Kind, str] = {Kind.INVOICE: "invoice", Kind.CREDIT_MEMO: "creditMemo"}
"""NetSuite's record type of each kind of document."""


class Party(PartyShape):
    """Who pays, by the external id of a customer."""

    code: _Code


class Line(LineShape):
    """One position; `product` is the name of an item. NetSuite keeps no link to the line that is corrected."""

    product: _Code | None = None
    order_line: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Line number in the sales order")


class Document(DocumentShape):
    """An invoice or a credit memo, whose `reference` becomes the external id."""

    reference: _Code
    party: Party
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=5000)]
    corrects: _Code | None = None
    order: _Code | None = Field(
        default=None, description="External id of the sales order that the invoice is made from by transformation"
    )

    @model_validator(mode="after")
    def _of_an_order_or_not(self) -> Self:
        if self.order is not None and self.kind is Kind.CREDIT_MEMO:
            raise ValueError("a credit memo is not made from a sales order")
        if self.order is None and any(line.order_line for line in self.lines):
            raise ValueError("a line is of a sales order, but no order is named")
        return self


def document(payload: Mapping[str, Any]) -> Document:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    return validated(Document, payload)


@dataclass(frozen=True, slots=True)
class Booking:
    """NetSuite's internal ids for everything a document points to."""

    customer: str
    currency: str
    items: Sequence[str]
    applied_to: str | None = None
    """The invoice that a credit memo is applied to, and with how much."""
    applied: Decimal = Decimal(0)


def body(wanted: Document, booking: Booking) -> dict[str, Any]:
    """What saves the document. It says nothing about approval, so a late request never takes one back.

    The external id is in the address of the save; only a transformation has it in its body.
    """
    values: dict[str, Any] = {
        "entity": {"id": booking.customer},
        "currency": {"id": booking.currency},
        "tranDate": wanted.date,
        "memo": _memo(wanted.description),
        "item": {"items": [_line(line, item) for line, item in zip(wanted.lines, booking.items, strict=True)]},
    }
    if wanted.order is not None:
        values["externalId"] = wanted.reference
    if wanted.due_date is not None and wanted.kind is Kind.INVOICE:
        values["dueDate"] = wanted.due_date
    if wanted.kind is Kind.CREDIT_MEMO:
        applied = (
            [{"doc": {"id": booking.applied_to}, "apply": True, "amount": booking.applied}] if booking.applied else []
        )
        values["apply"] = {"items": applied}
    return values


def _memo(description: str) -> str:
    """The description as far as NetSuite's field takes it; nothing counts on it."""
    return description if len(description) <= _LONGEST_MEMO else description[: _LONGEST_MEMO - 1] + "…"


def _line(line: Line, item: str) -> dict[str, Any]:
    quantity, price = line.quantity, line.unit_price
    if quantity is None or price is None:
        quantity, price = Decimal(1), line.amount
    values: dict[str, Any] = {
        "item": {"id": item},
        "description": line.words,
        "quantity": quantity,
        "rate": price,
        "amount": line.amount,
    }
    if line.order_line is not None:
        values["orderLine"] = line.order_line
    return values

"""The shape of a billing document as the hub hands it over, and the bodies NetSuite takes. Pure.

Amounts are in the document's currency, exact decimals; those of a credit memo are positive and owed to the buyer, as they
are in NetSuite. A line is sent with quantity, rate and amount: NetSuite keeps the amount it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

_Text = Annotated[str, Field(max_length=2000)]
_LONGEST_MEMO = 999
_Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f/?#%\\]*$")]
_Amount = Annotated[Decimal, Field(max_digits=18, allow_inf_nan=False)]
_Day = date  # a field of the same name hides the type below


class Kind(StrEnum):
    """What a billing document is."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"

    @property
    def record(self) -> str:
        """NetSuite's record type."""
        return "invoice" if self is Kind.INVOICE else "creditMemo"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartyShape(_Shape):
    """Who pays. The code is the customer's external id; the rest is used only when the customer does not exist yet."""

    code: _Code
    name: _Text = ""
    street: _Text = ""
    city: _Text = ""
    postal_code: _Text = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(default=None, description="ISO 3166-1 alpha-2")


class LineShape(_Shape):
    """One position, usually one line-period. `amount` counts; quantity and unit price show how it came about."""

    description: _Text
    amount: _Amount
    quantity: _Amount | None = Field(
        default=None, description="In the price's unit: thousands of impressions for a CPM"
    )
    unit_price: _Amount | None = None
    period: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    product: _Code | None = Field(default=None, description="Name of the item; without it the connection's")
    corrects: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Line number in the corrected document; NetSuite keeps no such link"
    )
    order_line: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Line number in the sales order")


class DocumentShape(_Shape):
    """An invoice or a credit memo. `reference` is the hub's document id and becomes the external id."""

    reference: _Code
    kind: Kind = Kind.INVOICE
    party: PartyShape
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: date
    total: _Amount = Field(description="Without tax")
    tax: _Amount = Field(default=Decimal(0), description="The tax that NetSuite must arrive at")
    lines: Annotated[tuple[LineShape, ...], Field(min_length=1, max_length=5000)]
    description: _Text = ""
    corrects: _Code | None = Field(default=None, description="Reference of the document it credits or supplements")
    due_date: _Day | None = None
    order: _Code | None = Field(
        default=None, description="External id of the sales order that the invoice is made from by transformation"
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum((line.amount for line in self.lines), Decimal(0)) != self.total:
            raise ValueError("the total is not the sum of the lines")
        if self.total < 0 or self.tax < 0:
            raise ValueError("the total is negative; what is owed back is a credit memo with positive amounts")
        if self.kind is Kind.CREDIT_MEMO and self.corrects is None:
            raise ValueError("a credit memo names the document it corrects")
        if self.corrects is None and any(line.corrects for line in self.lines):
            raise ValueError("a line corrects a line of no document")
        if self.order is not None and self.kind is Kind.CREDIT_MEMO:
            raise ValueError("a credit memo is not made from a sales order")
        if self.order is None and any(line.order_line for line in self.lines):
            raise ValueError("a line is of a sales order, but no order is named")
        return self

    @property
    def booked_total(self) -> Decimal:
        """The total as NetSuite must show it, tax included."""
        return self.total + self.tax


def document(payload: Mapping[str, Any]) -> DocumentShape:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    try:
        return DocumentShape.model_validate(dict(payload))
    except ValidationError as error:
        raise ValueError(faults(error)) from None


def faults(error: ValidationError) -> str:
    """Every fault with its path, in one line; the values are not repeated."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}" for fault in error.errors()
    )


@dataclass(frozen=True, slots=True)
class Booking:
    """NetSuite's internal ids for everything a document points to."""

    customer: str
    currency: str
    items: Sequence[str]
    applied_to: str | None = None
    """The invoice that a credit memo is applied to, and with how much."""
    applied: Decimal = Decimal(0)


def body(wanted: DocumentShape, booking: Booking) -> dict[str, Any]:
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


def _line(line: LineShape, item: str) -> dict[str, Any]:
    quantity, price = line.quantity, line.unit_price
    if quantity is None or price is None:
        quantity, price = Decimal(1), line.amount
    values: dict[str, Any] = {
        "item": {"id": item},
        "description": line.description if line.period is None else f"{line.description} ({line.period})",
        "quantity": quantity,
        "rate": price,
        "amount": line.amount,
    }
    if line.order_line is not None:
        values["orderLine"] = line.order_line
    return values

"""What Tryton takes of a billing document, and the draft it makes of it. Pure.

Tryton computes a line as quantity × unit price, rounded half to even in the currency's digits, where our rule is half up; and it
keeps `price_decimals` of a price. So quantity and price are sent where both roundings give the billed amount, else the line
is 1 × amount without a product, which no rounding touches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from connectors.billing_document import Code, DocumentShape, LineShape, PartyShape, decimals, validated
from connectors.exact_json import Unwritable
from connectors.tryton.wire import Quantity

_Code = Annotated[Code, Field(pattern=r"^[^\x00-\x1f\x7f%]*$")]


class Party(PartyShape):
    """Who pays, by the code of a party."""

    code: _Code


class Line(LineShape):
    """One position; `product` is the code of a product."""

    product: _Code | None = None


class Document(DocumentShape):
    """An invoice, a credit memo or a sale; Tryton gives due dates by its payment terms and is sent no tax."""

    reference: _Code
    party: Party
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=5000)]
    corrects: _Code | None = None

    @model_validator(mode="after")
    def _as_tryton_keeps_it(self) -> Self:
        if self.tax:
            raise ValueError("tax: this connector posts documents without tax")
        if self.due_date is not None:
            raise ValueError("due_date: Tryton computes it from the payment term")
        return self

    @property
    def booked_total(self) -> Decimal:
        """The total as Tryton must show it: it books a credit memo as a customer invoice of negative quantities."""
        return self.total * self.sign


def document(payload: Mapping[str, Any]) -> Document:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    return validated(Document, payload)


@dataclass(frozen=True, slots=True)
class Sold:
    """What a line is sold as: the revenue account, and product, unit and its digits where there is a product."""

    account: int
    product: int | None = None
    unit: int | None = None
    unit_digits: int | None = None


@dataclass(frozen=True, slots=True)
class Booking:
    """Tryton's own ids for everything a draft points to."""

    party: int
    address: int
    currency: int
    digits: int
    account: int
    journal: int
    payment_term: int | None
    sold: Sequence[Sold]
    origins: Sequence[int | None]
    """For each line, the id of the line it corrects."""
    term_date: date | None = None
    """The day from which the payment term counts, when it is not the invoice date."""


def draft(wanted: Document, booking: Booking, price_decimals: int) -> dict[str, Any]:
    """The values that create the draft. `source_total_amount` makes Tryton itself refuse to post any other total."""
    lines = []
    for number, (line, sold, origin) in enumerate(
        zip(wanted.lines, booking.sold, booking.origins, strict=True), start=1
    ):
        quantity, price = priced(line, booking.digits, price_decimals, sold.unit_digits)
        values: dict[str, Any] = {
            "type": "line",
            "sequence": number,
            "description": line.words,
            "account": sold.account,
            "quantity": Quantity(quantity * wanted.sign),
            "unit_price": price,
            "currency": booking.currency,
        }
        if sold.product is not None and quantity == line.quantity and price == line.unit_price:
            values |= {"product": sold.product, "unit": sold.unit}
        if origin is not None:
            values["origin"] = f"account.invoice.line,{origin}"
        lines.append(values)
    return {
        "type": "out",
        "party": booking.party,
        "invoice_address": booking.address,
        "currency": booking.currency,
        "account": booking.account,
        "journal": booking.journal,
        "payment_term": booking.payment_term,
        "payment_term_date": booking.term_date,
        "reference": wanted.reference,
        "description": wanted.description,
        "invoice_date": wanted.date,
        "source_total_amount": wanted.booked_total,
        "lines": [["create", lines]],
    }


def priced(line: Line, digits: int, price_decimals: int, unit_digits: int | None = None) -> tuple[Decimal, Decimal]:
    """Quantity and unit price to send: the line's own where Tryton's rounding gives the amount, else 1 × amount.

    `digits` are the currency's, `unit_digits` those that the product's unit allows a quantity.
    """
    quantity, price = line.quantity, line.unit_price
    if (
        quantity is not None
        and price is not None
        and decimals(price) <= price_decimals
        and _kept(quantity, unit_digits)
        and line.multiplies_out(digits)
    ):
        return quantity, price
    return (Decimal(1), line.amount) if line.amount >= 0 else (Decimal(-1), -line.amount)


def _kept(quantity: Decimal, unit_digits: int | None) -> bool:
    if unit_digits is not None and decimals(quantity) > unit_digits:
        return False
    try:
        Quantity(quantity)
    except Unwritable:
        return False
    return True

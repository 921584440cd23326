"""The shape of a billing document as the hub hands it over, and the draft that Tryton makes of it. Pure.

Amounts are in the document's currency, exact decimals; those of a credit memo are positive and owed to the buyer. Tryton
computes a line as quantity × unit price, rounded half to even in the currency's digits, where our rule is half up; and it
keeps `price_decimals` of a price. So quantity and price are sent where both roundings give the billed amount, else the line
is 1 × amount without a product, which no rounding touches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectors.exact_json import Unwritable
from connectors.tryton.wire import Quantity

_Text = Annotated[str, Field(max_length=2000)]
_Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f%]*$")]
_Amount = Annotated[Decimal, Field(max_digits=18, allow_inf_nan=False)]


class Kind(StrEnum):
    """What a billing document is."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartyShape(_Shape):
    """Who pays. The code is unique in Tryton; the rest is used only when the party does not exist yet."""

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
    product: _Code | None = Field(default=None, description="Code of the product; without it the connection's")
    corrects: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Line number in the corrected document"
    )


class DocumentShape(_Shape):
    """An invoice or a credit memo: record `Invoice`. `reference` is the hub's document id."""

    reference: _Code
    kind: Kind = Kind.INVOICE
    party: PartyShape
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: date
    total: _Amount
    lines: Annotated[tuple[LineShape, ...], Field(min_length=1, max_length=5000)]
    description: _Text = ""
    corrects: _Code | None = Field(default=None, description="Reference of the document it credits or supplements")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum((line.amount for line in self.lines), Decimal(0)) != self.total:
            raise ValueError("the total is not the sum of the lines")
        if self.total < 0:
            raise ValueError("the total is negative; what is owed back is a credit memo with positive amounts")
        if self.kind is Kind.CREDIT_MEMO and self.corrects is None:
            raise ValueError("a credit memo names the document it corrects")
        if self.corrects is None and any(line.corrects for line in self.lines):
            raise ValueError("a line corrects a line of no document")
        return self

    @property
    def sign(self) -> int:
        """-1 for a credit memo: Tryton books one as a customer invoice of negative quantities."""
        return -1 if self.kind is Kind.CREDIT_MEMO else 1

    @property
    def booked_total(self) -> Decimal:
        """The total as Tryton must show it."""
        return self.total * self.sign


def document(payload: Mapping[str, Any]) -> DocumentShape:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    try:
        return DocumentShape.model_validate(dict(payload))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}" for fault in error.errors()
        ]
        raise ValueError("; ".join(faults)) from None


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


def draft(wanted: DocumentShape, booking: Booking, price_decimals: int) -> dict[str, Any]:
    """The values that create the draft. `source_total_amount` makes Tryton itself refuse to post any other total."""
    lines = []
    for number, (line, sold, origin) in enumerate(
        zip(wanted.lines, booking.sold, booking.origins, strict=True), start=1
    ):
        quantity, price = priced(line, booking.digits, price_decimals, sold.unit_digits)
        values: dict[str, Any] = {
            "type": "line",
            "sequence": number,
            "description": line.description if line.period is None else f"{line.description} ({line.period})",
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


def priced(
    line: LineShape, digits: int, price_decimals: int, unit_digits: int | None = None
) -> tuple[Decimal, Decimal]:
    """Quantity and unit price to send: the line's own where Tryton's rounding gives the amount, else 1 × amount.

    `digits` are the currency's, `unit_digits` those that the product's unit allows a quantity.
    """
    quantity, price = line.quantity, line.unit_price
    if (
        quantity is not None
        and price is not None
        and _decimals(price) <= price_decimals
        and _kept(quantity, unit_digits)
    ):
        unit = Decimal(1).scaleb(-digits)
        product = quantity * price
        if all(product.quantize(unit, how) == line.amount for how in (ROUND_HALF_UP, ROUND_HALF_EVEN)):
            return quantity, price
    return (Decimal(1), line.amount) if line.amount >= 0 else (Decimal(-1), -line.amount)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 99


def _kept(quantity: Decimal, unit_digits: int | None) -> bool:
    if unit_digits is not None and _decimals(quantity) > unit_digits:
        return False
    try:
        Quantity(quantity)
    except Unwritable:
        return False
    return True

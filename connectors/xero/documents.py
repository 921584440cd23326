"""The shape of a billing document as the hub hands it over, and the draft that Xero makes of it. Pure.

Amounts are in the document's currency, exact decimals; those of a credit memo are positive and owed to the buyer. Xero
computes a line as quantity × unit amount, rounded to cents; with `unitdp=4` it keeps four decimals of a unit amount. So
quantity and price are sent where every way to round gives the billed amount, else the line is 1 × amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectors.xero.settings import LineAmounts, XeroSettings

DECIMALS = 4
"""Of quantities and, with `unitdp=4`, of unit amounts (Xero's page "Rounding in Xero")."""

_CENT = Decimal("0.01")
_Text = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]
# The comma separates numbers in a look-up; quotes and backslashes cannot be written in a `where` clause.
_Code = Annotated[str, Field(min_length=1, max_length=120, pattern=r'^[^\x00-\x1f\x7f,"\\]*$')]
_Day = date
_Amount = Annotated[Decimal, Field(max_digits=18, allow_inf_nan=False)]


class Kind(StrEnum):
    """What a billing document is."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartyShape(_Shape):
    """Who pays: record `Party`. The code is Xero's ContactNumber; the rest is used when the contact does not exist yet."""

    code: Annotated[str, Field(min_length=1, max_length=50, pattern=r'^[^\x00-\x1f\x7f,"\\]*$')]
    name: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = ""
    street: Annotated[str, Field(max_length=500)] = ""
    city: Annotated[str, Field(max_length=255)] = ""
    postal_code: Annotated[str, Field(max_length=50)] = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = Field(default=None, description="ISO 3166-1 alpha-2")


class LineShape(_Shape):
    """One position, usually one line-period. `amount` counts; quantity and unit price show how it came about."""

    description: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
    amount: _Amount
    quantity: _Amount | None = Field(
        default=None, description="In the price's unit: thousands of impressions for a CPM"
    )
    unit_price: _Amount | None = None
    period: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    product: _Code | None = Field(default=None, description="Code of an item in Xero; without it none")
    corrects: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Line number in the corrected document"
    )


class DocumentShape(_Shape):
    """An invoice or a credit memo. `reference` is the hub's document id and becomes Xero's unique number."""

    reference: _Code
    kind: Kind = Kind.INVOICE
    party: PartyShape
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    date: _Day
    due_date: _Day | None = None
    total: _Amount = Field(description="Without tax")
    tax: _Amount = Field(default=Decimal(0), description="The tax that Xero must arrive at")
    lines: Annotated[tuple[LineShape, ...], Field(min_length=1, max_length=1000)]
    description: Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")] = ""
    corrects: _Code | None = Field(default=None, description="Reference of the document it credits or supplements")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum((line.amount for line in self.lines), Decimal(0)) != self.total:
            raise ValueError("the total is not the sum of the lines")
        if self.total < 0 or self.tax < 0:
            raise ValueError("the total is negative; what is owed back is a credit memo with positive amounts")
        if any(line.amount != line.amount.quantize(_CENT) for line in self.lines) or self.tax != self.tax.quantize(
            _CENT
        ):
            raise ValueError("an amount is finer than a cent")
        if self.kind is Kind.CREDIT_MEMO and self.corrects is None:
            raise ValueError("a credit memo names the document it corrects")
        if self.corrects is None and any(line.corrects for line in self.lines):
            raise ValueError("a line corrects a line of no document")
        if self.due_date is not None and self.due_date < self.date:
            raise ValueError("the due date lies before the date")
        return self

    @property
    def gross(self) -> Decimal:
        """The total with tax, as Xero must show it."""
        return self.total + self.tax


def validated(shape: type[BaseModel], payload: Mapping[str, Any]) -> Any:
    """The payload as a `shape`. Raises ValueError with every fault, each with its path."""
    try:
        return shape.model_validate(dict(payload))
    except ValidationError as error:
        faults = [f"{'.'.join(str(p) for p in fault['loc']) or 'document'}: {fault['msg']}" for fault in error.errors()]
        raise ValueError("; ".join(faults)) from None


def document(payload: Mapping[str, Any]) -> DocumentShape:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    found: DocumentShape = validated(DocumentShape, payload)
    return found


def draft(wanted: DocumentShape, contact_id: str, settings: XeroSettings) -> dict[str, Any]:
    """The element of `PUT /Invoices` or `PUT /CreditNotes` that makes the draft."""
    invoice = wanted.kind is Kind.INVOICE
    values: dict[str, Any] = {
        "Type": "ACCREC" if invoice else "ACCRECCREDIT",
        "InvoiceNumber" if invoice else "CreditNoteNumber": wanted.reference,
        "Reference": wanted.description or wanted.corrects or "",
        "Contact": {"ContactID": contact_id},
        "Date": wanted.date,
        "CurrencyCode": wanted.currency,
        "Status": "DRAFT",
        "LineAmountTypes": str(settings.line_amounts),
        "LineItems": [_line(line, settings) for line in wanted.lines],
    }
    if invoice:
        values["DueDate"] = wanted.due_date or wanted.date + timedelta(days=settings.due_days)
    return values


def _line(line: LineShape, settings: XeroSettings) -> dict[str, Any]:
    quantity, price = priced(line)
    values: dict[str, Any] = {
        "Description": line.description if line.period is None else f"{line.description} ({line.period})",
        "Quantity": quantity,
        "UnitAmount": price,
        "AccountCode": settings.account_code,
    }
    if line.product is not None:
        values["ItemCode"] = line.product
    if settings.line_amounts is LineAmounts.NO_TAX:
        values["TaxType"] = "NONE"
    elif settings.tax_type is not None:
        values["TaxType"] = settings.tax_type
    return values


def priced(line: LineShape) -> tuple[Decimal, Decimal]:
    """Quantity and unit amount to send: the line's own where any rounding gives the amount, else 1 × amount."""
    quantity, price = line.quantity, line.unit_price
    if (
        quantity is not None
        and price is not None
        and quantity > 0
        and _decimals(price) <= DECIMALS >= _decimals(quantity)
    ):
        product = quantity * price
        if all(product.quantize(_CENT, how) == line.amount for how in (ROUND_HALF_UP, ROUND_HALF_EVEN)):
            return quantity, price
    return Decimal(1), line.amount


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 99

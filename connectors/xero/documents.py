"""What Xero takes of a billing document, and the draft it makes of it. Pure.

Xero computes a line as quantity × unit amount, rounded to cents; with `unitdp=4` it keeps four decimals of a unit amount. So
quantity and price are sent where every way to round gives the billed amount, else the line is 1 × amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from connectors.billing_document import Code, DocumentShape, Kind, LineShape, PartyShape, Text, decimals, validated
from connectors.xero.settings import LineAmounts, XeroSettings

DECIMALS = 4
"""Of quantities and, with `unitdp=4`, of unit amounts (Xero's page "Rounding in Xero")."""

_DIGITS = 2
"""Of every currency in Xero."""

# The comma separates numbers in a look-up; quotes and backslashes cannot be written in a `where` clause.
_Code = Annotated[Code, Field(pattern=r'^[^\x00-\x1f\x7f,"\\]*$')]


class Party(PartyShape):
    """Who pays, by Xero's ContactNumber. Lengths are those of the OpenAPI file."""

    code: Annotated[_Code, Field(max_length=50)]
    name: Annotated[Text, Field(max_length=255)] = ""
    street: Annotated[Text, Field(max_length=500)] = ""
    city: Annotated[Text, Field(max_length=255)] = ""
    postal_code: Annotated[Text, Field(max_length=50)] = ""


class Line(LineShape):
    """One position; `product` is the code of an item, without it none."""

    description: Annotated[Text, Field(min_length=1)]
    product: _Code | None = None


class Document(DocumentShape):
    """An invoice or a credit memo, whose `reference` becomes Xero's unique number."""

    reference: _Code
    party: Party
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=1000)]
    description: Annotated[Text, Field(max_length=255)] = ""
    corrects: _Code | None = None

    @model_validator(mode="after")
    def _in_cents(self) -> Self:
        if any(decimals(amount) > _DIGITS for amount in (self.tax, *(line.amount for line in self.lines))):
            raise ValueError("an amount is finer than a cent")
        return self


def document(payload: Mapping[str, Any]) -> Document:
    """The payload as a document. Raises ValueError with every fault, each with its path."""
    return validated(Document, payload)


def draft(wanted: Document, contact_id: str, settings: XeroSettings) -> dict[str, Any]:
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


def _line(line: Line, settings: XeroSettings) -> dict[str, Any]:
    quantity, price = priced(line)
    values: dict[str, Any] = {
        "Description": line.words,
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


def priced(line: Line) -> tuple[Decimal, Decimal]:
    """Quantity and unit amount to send: the line's own where any rounding gives the amount, else 1 × amount."""
    quantity, price = line.quantity, line.unit_price
    if (
        quantity is not None
        and price is not None
        and quantity > 0
        and decimals(price) <= DECIMALS >= decimals(quantity)
        and line.multiplies_out(_DIGITS)
    ):
        return quantity, price
    return Decimal(1), line.amount

"""How the ledger's rows look in replies, in Xero's spelling; and how values are written: numbers exact, `/Date(…)/`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from sandbox.xero.ledger import ID, NUMBER, Ledger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def body(value: object) -> bytes:
    """A reply's JSON."""
    return orjson.dumps(_written(value))


def _written(value: object) -> object:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, datetime):
        return f"/Date({(value - _EPOCH) // timedelta(milliseconds=1)}+0000)/"
    if isinstance(value, date):
        return f"/Date({(date(value.year, value.month, value.day) - _EPOCH.date()).days * 86_400_000}+0000)/"
    if isinstance(value, Mapping):
        return {name: _written(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_written(inner) for inner in value]
    return value


def contact(row: Mapping[str, Any]) -> dict[str, Any]:
    """A contact."""
    return {**row, "HasValidationErrors": False, "ContactGroups": [], "ContactPersons": [], "Phones": []}


def document(ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    """An invoice or a credit note, with its contact, lines, payments and credits."""
    kind = str(row["kind"])
    shown = {name: value for name, value in row.items() if name not in ("kind", "ContactID") and value is not None}
    buyer = ledger.contacts[row["ContactID"]]
    shown["Contact"] = {name: buyer[name] for name in ("ContactID", "ContactNumber", "Name")}
    shown["DateString"] = f"{row['Date'].isoformat()}T00:00:00"
    shown["HasErrors"] = False
    if kind == "CreditNotes":
        ours = [one for one in ledger.allocations.values() if one["CreditNoteID"] == row["CreditNoteID"]]
        shown |= {
            "RemainingCredit": ledger.remaining(row),
            "Allocations": [_allocation(ledger, one) for one in ours],
            "Payments": [],
        }
        return shown
    paid = [p for p in ledger.payments.values() if p["InvoiceID"] == row["InvoiceID"] and p["Status"] != "DELETED"]
    credits_ = [one for one in ledger.allocations.values() if one["InvoiceID"] == row["InvoiceID"]]
    shown |= {
        "Payments": [{n: p[n] for n in ("PaymentID", "Date", "Amount", "Reference")} for p in paid],
        "CreditNotes": [_credit(ledger, one) for one in credits_],
        "AmountDue": ledger.due(row) if row["Status"] not in ("DELETED", "VOIDED") else Decimal(0),
        "AmountPaid": ledger.paid(row),
        "AmountCredited": ledger.applied(row),
    }
    if row["Status"] == "PAID":
        days = [p["Date"] for p in paid] + [one["Date"] for one in credits_]
        shown["FullyPaidOnDate"] = max(days, default=row["Date"])
    return shown


def payment(ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    """A payment with its invoice."""
    invoice = ledger.documents[row["InvoiceID"]]
    names = ("Type", "InvoiceID", "InvoiceNumber", "CurrencyCode")
    shown = {name: value for name, value in row.items() if name != "InvoiceID"}
    return {**shown, "PaymentType": "ACCRECPAYMENT", "Invoice": {name: invoice[name] for name in names}}


def allocation(ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    """A new allocation, as its own endpoint shows it."""
    return {**_allocation(ledger, row), "StatusAttributeString": "OK", "ValidationErrors": []}


def _allocation(ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    invoice = ledger.documents[row["InvoiceID"]]
    named = {"InvoiceID": invoice["InvoiceID"], "InvoiceNumber": invoice["InvoiceNumber"]}
    return {"AllocationID": row["AllocationID"], "Amount": row["Amount"], "Date": row["Date"], "Invoice": named}


def _credit(ledger: Ledger, row: Mapping[str, Any]) -> dict[str, Any]:
    note = ledger.documents[row["CreditNoteID"]]
    return {
        "CreditNoteID": note["CreditNoteID"],
        "CreditNoteNumber": note["CreditNoteNumber"],
        "AppliedAmount": row["Amount"],
        "Date": row["Date"],
        "Total": note["Total"],
    }


def refused(kind: str, given: Mapping[str, Any], sentences: tuple[str, ...]) -> dict[str, Any]:
    """An element that was not saved, as `summarizeErrors=false` shows it: what was sent, and why not."""
    shown: dict[str, Any] = {name: value for name, value in given.items() if name != "LineItems"}
    if kind in ID:
        shown.setdefault(ID[kind], "00000000-0000-0000-0000-000000000000")
        shown.setdefault(NUMBER[kind], "")
        shown["HasErrors"] = True
    else:
        shown["HasValidationErrors"] = True
    errors = [{"Message": sentence} for sentence in sentences]
    return {**shown, "StatusAttributeString": "ERROR", "ValidationErrors": errors}

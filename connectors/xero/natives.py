"""Xero's documents, payments and contacts in the flat names that the hub's ERP records have. Pure.

`total` and `balance` are negative for a credit memo, as it lowers what the buyer owes. A payment's amount is positive;
`by_document` is the number of the credit memo that was set off, None for money; `corrected_by` are those credit memos, whole.
Deleted payments are left out of a document and shown in the stream `Payment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from connectors.base import Native
from connectors.billing_document import CorrectionShown, DocumentShown, PaymentShown

_NOT_OWED = frozenset({"DRAFT", "SUBMITTED", "DELETED", "VOIDED"})


def invoice(element: Native) -> DocumentShown:
    """An ACCREC invoice as record `Invoice`."""
    state = element.get("Status")
    payments = [_paid(one) for one in _list(element, "Payments") if one.get("Status") != "DELETED"]
    credits_: list[PaymentShown] = [
        {
            "id": one.get("CreditNoteID"),
            "date": one.get("Date"),
            "amount": one.get("AppliedAmount"),
            "number": one.get("CreditNoteNumber"),
            "by_document": one.get("CreditNoteNumber"),
        }
        for one in _list(element, "CreditNotes")
    ]
    corrected_by: list[CorrectionShown] = [
        {
            "id": one.get("CreditNoteID"),
            "reference": one.get("CreditNoteNumber"),
            "number": one.get("CreditNoteNumber"),
            "date": one.get("Date"),
            "total": _negative(one.get("Total")),
        }
        for one in _list(element, "CreditNotes")
    ]
    return {
        "id": element.get("InvoiceID"),
        "reference": element.get("InvoiceNumber"),
        "number": element.get("InvoiceNumber"),
        "state": state,
        "party": _contact(element),
        "currency": element.get("CurrencyCode"),
        "date": element.get("Date"),
        "due_date": element.get("DueDate"),
        "total": element.get("Total"),
        "tax": element.get("TotalTax"),
        "balance": None if state in _NOT_OWED else element.get("AmountDue"),
        "paid_on": element.get("FullyPaidOnDate"),
        "payments": [*payments, *credits_],
        "corrected_by": corrected_by,
    }


def credit_memo(element: Native) -> DocumentShown:
    """An ACCRECCREDIT note as record `CreditMemo`."""
    state = element.get("Status")
    set_off = [
        {
            "id": one.get("AllocationID"),
            "date": one.get("Date"),
            "amount": one.get("Amount"),
            "invoice": (one.get("Invoice") or {}).get("InvoiceNumber"),
        }
        for one in _list(element, "Allocations")
        if one.get("IsDeleted") is not True
    ]
    return {
        "id": element.get("CreditNoteID"),
        "reference": element.get("CreditNoteNumber"),
        "number": element.get("CreditNoteNumber"),
        "state": state,
        "party": _contact(element),
        "currency": element.get("CurrencyCode"),
        "date": element.get("Date"),
        "total": _negative(element.get("Total")),
        "tax": _negative(element.get("TotalTax")),
        "balance": None if state in _NOT_OWED else _negative(element.get("RemainingCredit")),
        "corrects": [one["invoice"] for one in set_off if one["invoice"]],
        "set_off": set_off,
    }


def payment(element: Native) -> dict[str, Any]:
    """A payment as record `Payment`; `state` is AUTHORISED or DELETED."""
    paid = element.get("Invoice")
    return {
        "id": element.get("PaymentID"),
        "state": element.get("Status"),
        "date": element.get("Date"),
        "amount": element.get("Amount"),
        "reference": element.get("Reference"),
        "kind": element.get("PaymentType"),
        "invoice_id": paid.get("InvoiceID") if isinstance(paid, Mapping) else None,
        "invoice": paid.get("InvoiceNumber") if isinstance(paid, Mapping) else None,
        "currency": paid.get("CurrencyCode") if isinstance(paid, Mapping) else None,
    }


def party(element: Native) -> dict[str, Any]:
    """A contact as record `Party`."""
    return {
        "id": element.get("ContactID"),
        "code": element.get("ContactNumber") or None,
        "name": element.get("Name"),
        "active": element.get("ContactStatus") == "ACTIVE",
    }


NATIVES: Mapping[str, Callable[[Native], Native]] = {
    "Invoice": invoice,
    "CreditMemo": credit_memo,
    "Payment": payment,
    "Party": party,
}


def _paid(one: Native) -> PaymentShown:
    return {
        "id": one.get("PaymentID"),
        "date": one.get("Date"),
        "amount": one.get("Amount"),
        "number": one.get("Reference"),
        "by_document": None,
    }


def _list(element: Native, name: str) -> list[Native]:
    found = element.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _contact(element: Native) -> Any:
    contact = element.get("Contact")
    return (contact.get("ContactNumber") or None) if isinstance(contact, Mapping) else None


def _negative(amount: object) -> Decimal | None:
    return -Decimal(amount) if isinstance(amount, Decimal | int) else None

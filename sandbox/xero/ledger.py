"""The true state of one organisation: contacts, invoices, credit notes, allocations, payments, and the rules between them.

Sentences of refusals are Xero's own where its OpenAPI file or pages show them; the others say the same in its manner.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.serving import Clock, ControlError
from sandbox.xero.amounts import ROUNDINGS, Money, totals
from sandbox.xero.contract import too_long

ID = {"Invoices": "InvoiceID", "CreditNotes": "CreditNoteID"}
NUMBER = {"Invoices": "InvoiceNumber", "CreditNotes": "CreditNoteNumber"}
NOUN = {"Invoices": "Invoice", "CreditNotes": "Credit note"}
_CUSTOMERS = frozenset({"ACCREC", "ACCRECCREDIT"})
_MOVES = {
    "DRAFT": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "SUBMITTED": {"DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"},
    "AUTHORISED": {"AUTHORISED", "VOIDED"},
}
_TABLES = ("contacts", "documents", "payments", "allocations")


class Refused(ValueError):  # noqa: N818
    """An element is refused: its validation errors."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        super().__init__(" ".join(sentences))


class Ledger:
    """One organisation. Every method that changes something takes the lock itself, or says that the caller holds it."""

    def __init__(self, clock: Clock, tenant_id: str) -> None:
        self.clock = clock
        self.tenant_id = tenant_id
        self.lock = threading.RLock()
        self.on_reset: Callable[[], None] = lambda: None
        self._clear()

    def _clear(self) -> None:
        self.contacts: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.allocations: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.setup: dict[str, Any] = {
            "name": "Acme Media Ltd",
            "currency": "USD",
            "currencies": ["USD", "EUR", "GBP", "JPY"],
            "accounts": {"200": "REVENUE", "090": "ASSET"},
            "rates": {"NONE": "0", "OUTPUT2": "20", "ODD": "7.25"},
            "rounding": "half_up",
            "period_lock": None,
            "year_lock": None,
        }

    # -- set-up

    @property
    def money(self) -> Money:
        """How the organisation computes."""
        return Money(self.setup["rounding"], {name: Decimal(rate) for name, rate in self.setup["rates"].items()})

    def set_up(self, values: Mapping[str, Any]) -> None:
        """Change settings of the organisation. Raises ControlError."""
        unknown = set(values) - set(self.setup)
        if unknown:
            raise ControlError(f"unknown settings {sorted(unknown)}; known are {sorted(self.setup)}")
        if values.get("rounding", "half_up") not in ROUNDINGS:
            raise ControlError(f"rounding must be one of {sorted(ROUNDINGS)}")
        for name in ("period_lock", "year_lock"):
            if values.get(name) is not None:
                date.fromisoformat(values[name])
        with self.lock:
            self.setup.update(values)

    # -- contacts

    def create_contact(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new contact; the caller holds the lock. Raises Refused."""
        said = too_long(given, "Contacts")
        name, number = str(given.get("Name", "")).strip(), str(given.get("ContactNumber", ""))
        if not name:
            said.append("The Contact Name must be specified.")
        for other in self.contacts.values():
            if other["ContactStatus"] == "ACTIVE" and other["Name"].casefold() == name.casefold():
                said.append(
                    f"The contact name {name} is already assigned to another contact. The contact name must be unique across "
                    "all active contacts."
                )
            if number and other["ContactNumber"] == number:
                said.append(f"The contact number {number} is already assigned to another contact and must be unique.")
        if "ContactID" in given:
            said.append("The ContactID could not be found.")
        if said:
            raise Refused(*said)
        contact: dict[str, Any] = {
            "ContactID": str(uuid.uuid4()),
            "ContactNumber": number,
            "Name": name,
            "ContactStatus": "ACTIVE",
            "Addresses": list(given.get("Addresses", [])),
        }
        self.contacts[contact["ContactID"]] = contact
        self._touch(contact, "CONTACT", contact["ContactID"], new=True)
        return contact

    # -- documents

    def create_document(self, kind: str, given: Mapping[str, Any], unit_decimals: int) -> dict[str, Any]:
        """A new invoice or credit note; the caller holds the lock. Raises Refused."""
        said = too_long({k: v for k, v in given.items() if isinstance(v, str)}, kind)
        if "Type" not in given:
            said.append("Document Type cannot be empty.")
        contact = self._contact(given.get("Contact"))
        if contact is None:
            said.append("A Contact must be specified for this type of transaction: the contact could not be found.")
        elif contact["ContactStatus"] != "ACTIVE":
            said.append("The contact is archived and cannot be used.")
        number = str(given.get(NUMBER[kind], "")) or self._next_number(kind)
        if given.get("Type") in _CUSTOMERS and self._taken(kind, number):
            said.append(f"{NOUN[kind]} # must be unique.")
        currency = given.get("CurrencyCode", self.setup["currency"])
        if currency not in self.setup["currencies"]:
            said.append(f"Organisation is not subscribed to currency {currency}")
        status = given.get("Status", "DRAFT")
        if status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
            said.append(f"A new document cannot have the status {status}.")
        said += self._line_faults(given.get("LineItems", []))
        amounts = given.get("LineAmountTypes", "Exclusive")
        lines = [] if said else self.money.lines(given.get("LineItems", []), amounts, unit_decimals)
        said += self._expected_amounts(given.get("LineItems", []), lines)
        document = {
            "kind": kind,
            ID[kind]: str(uuid.uuid4()),
            "Type": given.get("Type"),
            NUMBER[kind]: number,
            "Reference": given.get("Reference", ""),
            "ContactID": contact["ContactID"] if contact else "",
            "Date": given.get("Date", self.clock.now().date()),
            "DueDate": given.get("DueDate"),
            "CurrencyCode": currency,
            "Status": status,
            "LineAmountTypes": amounts,
            "LineItems": [{**line, "LineItemID": str(uuid.uuid4())} for line in lines],
            **totals(lines, amounts),
        }
        said += self._date_faults(document)
        if status == "AUTHORISED":
            said += self._approval_faults(document)
        if said:
            raise Refused(*said)
        if document["Total"] < 0:
            raise Refused("The document total must not be negative; use a credit note.")
        self.documents[document[ID[kind]]] = document
        self._touch(document, "INVOICE" if kind == "Invoices" else "CREDITNOTE", document[ID[kind]], new=True)
        self._settle(document)
        return document

    def update_document(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Change the status of a document; the caller holds the lock. Nothing else of an update is simulated.

        Raises Refused.
        """
        document = self.documents.get(str(given.get(ID[kind])))
        if document is None or document["kind"] != kind:
            raise Refused(f"The {NOUN[kind]} could not be found.")
        other = set(given) - {ID[kind], "Status"}
        if other:
            raise Refused(f"The sandbox changes only the status of a document, not {', '.join(sorted(other))}.")
        status = str(given.get("Status", document["Status"]))
        if status not in _MOVES.get(document["Status"], set()):
            raise Refused(f"{NOUN[kind]} not of valid status for modification")
        if status == "VOIDED" and (self.paid(document) or self.applied(document)):
            raise Refused(f"{NOUN[kind]} not of valid status for modification: it has payments or credits.")
        said = self._date_faults(document)
        if status == "AUTHORISED":
            said += self._approval_faults(document)
        if said:
            raise Refused(*said)
        if status != document["Status"]:
            document["Status"] = status
            self._touch(document, "INVOICE" if kind == "Invoices" else "CREDITNOTE", document[ID[kind]])
            self._settle(document)
        return document

    def redate(self, document_id: str, day: date) -> None:
        """Finance gives a draft another date. Raises Refused."""
        with self.lock:
            document = self.documents.get(document_id)
            if document is None or document["Status"] not in ("DRAFT", "SUBMITTED"):
                raise Refused("Only a draft gets another date.")
            if said := self._locked(day):
                raise Refused(*said)
            document["Date"] = day
            self._touch(document, "INVOICE" if document["kind"] == "Invoices" else "CREDITNOTE", document_id)

    def allocate(self, note_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Set part of a credit note off against an invoice; the caller holds the lock. Raises Refused, KeyError."""
        note = self.documents[note_id]
        if note["kind"] != "CreditNotes":
            raise KeyError(note_id)
        wanted = given.get("Invoice", {})
        invoice = self.documents.get(str(wanted.get("InvoiceID"))) or next(
            (d for d in self.documents.values() if d.get("InvoiceNumber") == wanted.get("InvoiceNumber", "")), None
        )
        missing = [name for name in ("Amount", "Date", "Invoice") if name not in given]
        if missing:
            raise Refused(f"{missing[0]} is required.")
        if invoice is None or invoice["kind"] != "Invoices":
            raise Refused("The Invoice could not be found.")
        amount = given["Amount"]
        said: list[str] = []
        if note["Status"] != "AUTHORISED" or invoice["Status"] != "AUTHORISED":
            said.append("Allocations need documents of the status AUTHORISED.")
        if note["ContactID"] != invoice["ContactID"] or note["CurrencyCode"] != invoice["CurrencyCode"]:
            said.append("The credit note and the invoice must have the same contact and currency.")
        if amount <= 0 or amount != self.money.cents(amount):
            said.append("The allocation amount must be greater than zero and in cents.")
        if amount > self.remaining(note):
            said.append("The allocation amount exceeds the credit remaining.")
        if amount > self.due(invoice):
            said.append("The allocation amount exceeds the amount outstanding on this document.")
        if given["Date"] < max(note["Date"], invoice["Date"]):
            said.append("The allocation date cannot be before the date of the invoice or the credit note.")
        if said:
            raise Refused(*said)
        allocation = {
            "AllocationID": str(uuid.uuid4()),
            "CreditNoteID": note["CreditNoteID"],
            "InvoiceID": invoice["InvoiceID"],
            "Amount": amount,
            "Date": given["Date"],
        }
        self.allocations[allocation["AllocationID"]] = allocation
        for document, category, id_field in ((note, "CREDITNOTE", "CreditNoteID"), (invoice, "INVOICE", "InvoiceID")):
            self._touch(document, category, document[id_field])
            self._settle(document)
        return allocation

    def pay(self, number: str, amount: Decimal, day: date, reference: str = "") -> dict[str, Any]:
        """Finance registers a payment on an invoice. Raises Refused."""
        with self.lock:
            invoice = next((d for d in self.documents.values() if d.get("InvoiceNumber") == number), None)
            if invoice is None or invoice["Status"] != "AUTHORISED":
                raise Refused("Payments need an invoice of the status AUTHORISED.")
            if amount <= 0 or amount > self.due(invoice):
                raise Refused("Payment amount exceeds the amount outstanding on this document")
            if said := self._locked(day):
                raise Refused(*said)
            payment = {
                "PaymentID": str(uuid.uuid4()),
                "InvoiceID": invoice["InvoiceID"],
                "Amount": amount,
                "Date": day,
                "Reference": reference,
                "Status": "AUTHORISED",
            }
            self.payments[payment["PaymentID"]] = payment
            self._touch(payment, "", "")
            self._touch(invoice, "INVOICE", invoice["InvoiceID"])
            self._settle(invoice)
            return payment

    def unpay(self, payment_id: str) -> dict[str, Any]:
        """Finance deletes a payment. Raises Refused."""
        with self.lock:
            payment = self.payments.get(payment_id)
            if payment is None or payment["Status"] == "DELETED":
                raise Refused("The payment could not be found.")
            payment["Status"] = "DELETED"
            invoice = self.documents[payment["InvoiceID"]]
            if invoice["Status"] == "PAID":
                invoice["Status"] = "AUTHORISED"
            self._touch(payment, "", "")
            self._touch(invoice, "INVOICE", invoice["InvoiceID"])
            return payment

    # -- balances

    def paid(self, document: Mapping[str, Any]) -> Decimal:
        """Payments on an invoice."""
        ours = [
            p
            for p in self.payments.values()
            if p["InvoiceID"] == document.get("InvoiceID") and p["Status"] != "DELETED"
        ]
        return sum((payment["Amount"] for payment in ours), Decimal(0))

    def applied(self, document: Mapping[str, Any]) -> Decimal:
        """Credits on an invoice, or what is set off of a credit note."""
        field = ID[str(document["kind"])]
        ours = [one for one in self.allocations.values() if one[field] == document[field]]
        return sum((one["Amount"] for one in ours), Decimal(0))

    def due(self, invoice: Mapping[str, Any]) -> Decimal:
        """What is still owed on an invoice."""
        return Decimal(invoice["Total"] - self.paid(invoice) - self.applied(invoice))

    def remaining(self, note: Mapping[str, Any]) -> Decimal:
        """What is left of a credit note."""
        return Decimal(note["Total"] - self.applied(note))

    # -- rules

    def _contact(self, given: object) -> dict[str, Any] | None:
        if not isinstance(given, Mapping):
            return None
        if "ContactID" in given:
            return self.contacts.get(given["ContactID"])
        number = given.get("ContactNumber")
        return next((c for c in self.contacts.values() if number and c["ContactNumber"] == number), None)

    def _taken(self, kind: str, number: str) -> bool:
        """A number stays taken by voided documents too; only deleted drafts give it free."""
        return any(
            d["kind"] == kind and d[NUMBER[kind]] == number and d["Type"] in _CUSTOMERS and d["Status"] != "DELETED"
            for d in self.documents.values()
        )

    def _next_number(self, kind: str) -> str:
        prefix = "INV" if kind == "Invoices" else "CN"
        return f"{prefix}-{sum(d['kind'] == kind for d in self.documents.values()) + 1:04d}"

    def _line_faults(self, lines: list[dict[str, Any]]) -> list[str]:
        said: list[str] = []
        for line in lines:
            said += too_long({k: v for k, v in line.items() if isinstance(v, str)}, "LineItem")
            if not str(line.get("Description", "")):
                said.append("Description needs to be at least 1 char long.")
            code, tax = line.get("AccountCode"), line.get("TaxType", "NONE")
            if code is not None and code not in self.setup["accounts"]:
                said.append(f"Account code '{code}' is not a valid code for this document.")
            if tax not in self.setup["rates"]:
                said.append(f"The TaxType code '{tax}' does not exist or cannot be used for this type of transaction.")
        return said

    @staticmethod
    def _expected_amounts(given: list[dict[str, Any]], lines: list[dict[str, Any]]) -> list[str]:
        said = []
        for one, line in zip(given, lines, strict=False):
            if "LineAmount" in one and one["LineAmount"] != line["LineAmount"]:
                said.append(
                    f"The line total {one['LineAmount']} does not match the expected line total {line['LineAmount']}"
                )
        return said

    def _date_faults(self, document: Mapping[str, Any]) -> list[str]:
        return self._locked(document["Date"])

    def _locked(self, day: date) -> list[str]:
        for name, words in (("year_lock", "end of year lock date"), ("period_lock", "period lock date")):
            locked = self.setup[name]
            if locked is not None and day <= date.fromisoformat(locked):
                return [f"The document date cannot be on or before the {words} of {locked}."]
        return []

    @staticmethod
    def _approval_faults(document: Mapping[str, Any]) -> list[str]:
        said = []
        if not document["LineItems"]:
            said.append("One or more line items must be specified to approve the document.")
        if any("AccountCode" not in line for line in document["LineItems"]):
            said.append("An account code must be specified for each line to approve the document.")
        if document["kind"] == "Invoices" and document["DueDate"] is None:
            said.append("The due date cannot be empty.")
        return said

    def _settle(self, document: dict[str, Any]) -> None:
        """An authorised document with nothing left is PAID."""
        left = self.due(document) if document["kind"] == "Invoices" else self.remaining(document)
        if document["Status"] == "AUTHORISED" and left == 0:
            document["Status"] = "PAID"

    def _touch(self, thing: dict[str, Any], category: str, resource_id: str, *, new: bool = False) -> None:
        now = self.clock.now()
        thing["UpdatedDateUTC"] = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if category:
            event = {"category": category, "id": resource_id, "type": "CREATE" if new else "UPDATE", "at": now}
            self.events.append(event)

    # -- for the control interface

    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        """True objects of a table."""
        if type_name not in _TABLES:
            raise ControlError(f"unknown type {type_name!r}; known are {sorted(_TABLES)}")
        with self.lock:
            rows = [dict(row) for row in getattr(self, type_name).values()]
            if type_name == "documents":
                for row in rows:
                    row["left"] = self.due(row) if row["kind"] == "Invoices" else self.remaining(row)
        return [_shown(row) for row in rows]

    def dump(self) -> Any:
        """The whole state as one JSON value."""
        with self.lock:
            tables = {name: [_packed(row) for row in getattr(self, name).values()] for name in _TABLES}
            return {"setup": self.setup, "events": [_packed(event) for event in self.events], **tables}

    def restore(self, dumped: Any) -> None:
        """Take over what `dump` returned."""
        keys = {"contacts": "ContactID", "payments": "PaymentID", "allocations": "AllocationID"}
        with self.lock:
            self._clear()
            self.setup.update(dumped["setup"])
            self.events = [_unpacked(event) for event in dumped["events"]]
            for name in _TABLES:
                for row in map(_unpacked, dumped[name]):
                    getattr(self, name)[row[keys.get(name) or ID[row["kind"]]]] = row

    def reset(self) -> None:
        """A fresh organisation."""
        with self.lock:
            self._clear()
            self.on_reset()


def _shown(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _shown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return value


def _packed(value: Any) -> Any:
    if isinstance(value, Decimal):
        return {"$number": str(value)}
    if isinstance(value, datetime):
        return {"$instant": value.isoformat()}
    if isinstance(value, date):
        return {"$day": value.isoformat()}
    if isinstance(value, Mapping):
        return {name: _packed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_packed(inner) for inner in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$number": text}:
            return Decimal(text)
        case {"$instant": text}:
            return datetime.fromisoformat(text)
        case {"$day": text}:
            return date.fromisoformat(text)
    return {name: _unpacked(inner) for name, inner in value.items()}

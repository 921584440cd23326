"""What Xero takes, as a table: every writable field with its type, its limit and where that is said.

Sources: OAS = `xero_accounting.yaml` 16.1 of XeroAPI/Xero-OpenAPI; INV, CN, CON = the pages "Invoices", "Credit notes" and
"Contacts" of developer.xero.com/documentation/api/accounting. The real API ignores what it does not know; this one refuses
it, so that a misspelt field is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BadBody(ValueError):  # noqa: N818
    """The body is not what the endpoint takes: PostDataInvalidException."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One field. `kind`: text, number, day, uuid, enum, or the name of a table for an object, `[name]` for a list."""

    kind: str
    longest: int = 0
    values: tuple[str, ...] = ()
    evidence: str = "OAS"


_STATUS = Rule("enum", values=("DRAFT", "SUBMITTED", "DELETED", "AUTHORISED", "PAID", "VOIDED"))
_AMOUNTS = Rule("enum", values=("Exclusive", "Inclusive", "NoTax"))
_DOCUMENT = {
    "Contact": Rule("ContactReference", evidence="INV: required"),
    "LineItems": Rule("[LineItem]", evidence="INV: at least one for AUTHORISED"),
    "Date": Rule("day", evidence="OAS: YYYY-MM-DD, default today of the organisation"),
    "DueDate": Rule("day"),
    "LineAmountTypes": _AMOUNTS,
    "Reference": Rule("text", 255, evidence="INV: ACCREC only, max length 255"),
    "CurrencyCode": Rule("text", 3),
    "Status": _STATUS,
}

TABLES: Mapping[str, Mapping[str, Rule]] = {
    "Invoices": {
        **_DOCUMENT,
        "InvoiceID": Rule("uuid"),
        "InvoiceNumber": Rule("text", 255, evidence="OAS: unique, max length 255"),
        "Type": Rule("enum", values=("ACCREC", "ACCPAY")),
    },
    "CreditNotes": {
        **_DOCUMENT,
        "CreditNoteID": Rule("uuid"),
        "CreditNoteNumber": Rule("text", 255, evidence="OAS: unique alpha numeric code; CN: max length 255"),
        "Type": Rule("enum", values=("ACCRECCREDIT", "ACCPAYCREDIT")),
    },
    "LineItem": {
        "Description": Rule("text", 4000, evidence="INV: max length 4000"),
        "Quantity": Rule("number", 4, evidence="INV: up to 4 decimals"),
        "UnitAmount": Rule("number", 4, evidence="INV: 2 decimals, 4 with unitdp=4"),
        "AccountCode": Rule("text", 10),
        "ItemCode": Rule("text", 30),
        "TaxType": Rule("text", 50),
        "LineAmount": Rule("number", 2),
    },
    "ContactReference": {"ContactID": Rule("uuid"), "ContactNumber": Rule("text", 50), "Name": Rule("text", 255)},
    "Contacts": {
        "ContactID": Rule("uuid"),
        "ContactNumber": Rule("text", 50),
        "Name": Rule("text", 255),
        "Addresses": Rule("[Address]"),
    },
    "Address": {
        "AddressType": Rule("enum", values=("POBOX", "STREET")),
        "AddressLine1": Rule("text", 500),
        "City": Rule("text", 255),
        "PostalCode": Rule("text", 50),
        "Country": Rule("text", 50, evidence="OAS: letters only"),
    },
    "Allocations": {
        "Invoice": Rule("InvoiceReference", evidence="OAS: required"),
        "Amount": Rule("number", 2, evidence="OAS: required"),
        "Date": Rule("day", evidence="OAS: required"),
    },
    "InvoiceReference": {"InvoiceID": Rule("uuid"), "InvoiceNumber": Rule("text", 255)},
}


def checked(body: object, name: str) -> list[dict[str, Any]]:
    """The elements of a write: days as dates, numbers as Decimals. Raises BadBody."""
    if not isinstance(body, dict) or set(body) != {name} or not isinstance(body[name], list) or not body[name]:
        raise BadBody(f"The body must be an object with a list of {name}.")
    return [_object(element, name, name) for element in body[name]]


def _object(value: object, table: str, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadBody(f"{path} must be an object.")
    rules = TABLES[table]
    unknown = sorted(set(value) - set(rules))
    if unknown:
        raise BadBody(f"{path} has no writable field {unknown[0]}.")
    return {name: _value(inner, rules[name], f"{path}.{name}") for name, inner in value.items()}


def _value(value: object, rule: Rule, path: str) -> Any:
    if rule.kind.startswith("["):
        if not isinstance(value, list):
            raise BadBody(f"{path} must be a list.")
        return [_object(inner, rule.kind[1:-1], path) for inner in value]
    if rule.kind in TABLES:
        return _object(value, rule.kind, path)
    if rule.kind == "number":
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise BadBody(f"{path} must be a number.")
        return Decimal(value)
    if not isinstance(value, str):
        raise BadBody(f"{path} must be a string.")
    if rule.kind == "day":
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise BadBody(f"{path} must be a date, YYYY-MM-DD.") from None
    if rule.kind == "uuid" and not _UUID.fullmatch(value):
        raise BadBody(f"{path} must be a UUID.")
    if rule.kind == "enum" and value not in rule.values:
        raise BadBody(f"{path} must be one of {', '.join(rule.values)}.")
    return value


def too_long(element: Mapping[str, Any], table: str) -> list[str]:
    """Sentences for texts longer than Xero keeps; a validation error, not a bad body."""
    said = []
    for name, value in element.items():
        rule = TABLES[table][name]
        if rule.kind == "text" and isinstance(value, str) and len(value) > rule.longest:
            said.append(f"The {name} is too long: {len(value)} characters exceed the maximum length of {rule.longest}.")
    return said

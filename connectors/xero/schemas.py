"""Xero's records as the hub uses them, as data; how each field is spelt in Xero is said in `natives.py` and `documents.py`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from connectors.base import FieldSchema, FieldType, RecordSchema

STATES = frozenset({"DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"})


def _written(
    path: str, kind: FieldType, length: int | None = None, *, required: bool = False, read: bool = True
) -> FieldSchema:
    return FieldSchema(path, kind, length, required, readable=read, updateable=False)


def _shown(path: str, kind: FieldType) -> FieldSchema:
    return FieldSchema(path, kind, createable=False, updateable=False)


_PARTY = (
    _written("code", FieldType.STRING, 50, required=True),
    _written("name", FieldType.STRING, 255, required=True),
    _written("street", FieldType.STRING, 500, read=False),
    _written("city", FieldType.STRING, 255, read=False),
    _written("postal_code", FieldType.STRING, 50, read=False),
    _written("country", FieldType.STRING, 2, read=False),
    _shown("active", FieldType.BOOLEAN),
)

_DOCUMENT = (
    _written("reference", FieldType.STRING, 120, required=True),
    _written("date", FieldType.DATE, required=True),
    _written("currency", FieldType.STRING, 3, required=True),
    _written("total", FieldType.DECIMAL, required=True),
    _written("tax", FieldType.DECIMAL),
    _written("party", FieldType.OBJECT, required=True),
    _written("lines", FieldType.LIST, required=True, read=False),
    _written("description", FieldType.STRING, 255, read=False),
    _shown("number", FieldType.STRING),
    _shown("balance", FieldType.DECIMAL),
    FieldSchema("state", FieldType.ENUM, values=STATES, values_closed=True, createable=False, updateable=False),
    FieldSchema(
        "kind",
        FieldType.ENUM,
        values=frozenset({"invoice", "credit_memo"}),
        values_closed=True,
        readable=False,
        updateable=False,
    ),
)

_INVOICE = (
    *_DOCUMENT,
    _written("due_date", FieldType.DATE),
    _written("corrects", FieldType.STRING, 120, read=False),
    _shown("paid_on", FieldType.DATE),
    _shown("payments", FieldType.LIST),
    _shown("corrected_by", FieldType.LIST),
)

_CREDIT_MEMO = (
    *_DOCUMENT,
    _written("corrects", FieldType.STRING, 120, required=True),
    _shown("set_off", FieldType.LIST),
)

_PAYMENT = (
    _shown("state", FieldType.STRING),
    _shown("date", FieldType.DATE),
    _shown("amount", FieldType.DECIMAL),
    _shown("reference", FieldType.STRING),
    _shown("kind", FieldType.STRING),
    _shown("invoice_id", FieldType.ID),
    _shown("invoice", FieldType.STRING),
    _shown("currency", FieldType.STRING),
)


@cache
def record_schemas() -> Mapping[str, RecordSchema]:
    """All records; nothing can be added to them by configuration."""
    records = {"Party": _PARTY, "Invoice": _INVOICE, "CreditMemo": _CREDIT_MEMO, "Payment": _PAYMENT}
    return {name: RecordSchema(name, {field.path: field for field in fields}) for name, fields in records.items()}

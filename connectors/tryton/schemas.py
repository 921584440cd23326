"""Tryton's records as the hub uses them, as data: `Party`, `Sale` and `Invoice` (invoices and credit memos alike).

Field names are the hub's flat ones; how each is spelt in Tryton's models is said in `billing.py` and `documents.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from connectors.base import FieldSchema, FieldType, RecordSchema


def _field(
    path: str,
    kind: FieldType,
    *,
    required: bool = False,
    read: bool = True,
    create: bool = True,
    length: int | None = None,
) -> FieldSchema:
    return FieldSchema(path, kind, length, required, readable=read, createable=create, updateable=False)


_PARTY = (
    _field("code", FieldType.STRING, required=True, length=120),
    _field("name", FieldType.STRING, required=True, length=2000),
    _field("street", FieldType.STRING, read=False),
    _field("city", FieldType.STRING, read=False),
    _field("postal_code", FieldType.STRING, read=False),
    _field("country", FieldType.STRING, read=False, length=2),
    _field("active", FieldType.BOOLEAN, create=False),
)

_INVOICE = (
    _field("reference", FieldType.STRING, required=True, length=120),
    _field("date", FieldType.DATE, required=True),
    _field("currency", FieldType.STRING, required=True, length=3),
    _field("total", FieldType.DECIMAL, required=True),
    _field("party", FieldType.OBJECT, required=True),
    _field("lines", FieldType.LIST, required=True, read=False),
    _field("description", FieldType.STRING, read=False),
    _field("corrects", FieldType.STRING),
    _field("number", FieldType.STRING, create=False),
    _field("balance", FieldType.DECIMAL, create=False),
    _field("payments", FieldType.LIST, create=False),
    _field("corrected_by", FieldType.LIST, create=False),
)

_SALE_STATES = frozenset({"draft", "quotation", "confirmed", "processing", "done", "cancelled"})
_OF_INVOICES = frozenset({"corrects", "balance", "payments", "corrected_by"})
_STATES = frozenset({"draft", "validated", "posted", "paid", "cancelled"})


@cache
def record_schemas() -> Mapping[str, RecordSchema]:
    """All records; nothing can be added to them by configuration."""
    kinds = frozenset({"invoice", "credit_memo"})
    invoice = (
        *_INVOICE,
        FieldSchema("kind", FieldType.ENUM, values=kinds, values_closed=True, readable=False, updateable=False),
        FieldSchema("state", FieldType.ENUM, values=_STATES, values_closed=True, createable=False, updateable=False),
    )
    sale = (
        *(field for field in _INVOICE if field.path not in _OF_INVOICES),
        FieldSchema(
            "state", FieldType.ENUM, values=_SALE_STATES, values_closed=True, createable=False, updateable=False
        ),
    )
    return {
        "Sale": RecordSchema("Sale", {field.path: field for field in sale}),
        "Party": RecordSchema("Party", {field.path: field for field in _PARTY}),
        "Invoice": RecordSchema("Invoice", {field.path: field for field in invoice}),
    }

"""NetSuite's records as the hub uses them, as data: `Customer`, `Invoice` and `CreditMemo`.

Field names are the hub's flat ones; how each is spelt at NetSuite is said in `documents.py` and `billing.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from connectors.base import FieldSchema, FieldType, RecordSchema

_STATES = frozenset({"open", "paid", "applied", "pending_approval", "rejected", "voided"})


def _field(
    path: str,
    kind: FieldType,
    *,
    required: bool = False,
    read: bool = True,
    create: bool = True,
    length: int | None = None,
    values: frozenset[str] = frozenset(),
) -> FieldSchema:
    return FieldSchema(path, kind, length, required, readable=read, createable=create, updateable=False, values=values)


_CUSTOMER = (
    _field("code", FieldType.STRING, required=True, length=120),
    _field("name", FieldType.STRING, required=True, length=83),
    _field("street", FieldType.STRING, read=False, length=2000),
    _field("city", FieldType.STRING, read=False, length=2000),
    _field("postal_code", FieldType.STRING, read=False, length=2000),
    _field("country", FieldType.STRING, read=False, length=2),
    _field("active", FieldType.BOOLEAN, create=False),
)

_DOCUMENT = (
    _field("reference", FieldType.STRING, required=True, length=120),
    _field("kind", FieldType.ENUM, values=frozenset({"invoice", "credit_memo"})),
    _field("party", FieldType.OBJECT, required=True),
    _field("currency", FieldType.STRING, required=True, length=3),
    _field("date", FieldType.DATE, required=True),
    _field("due_date", FieldType.DATE),
    _field("total", FieldType.DECIMAL, required=True),
    _field("tax", FieldType.DECIMAL, read=False),
    _field("lines", FieldType.LIST, required=True, read=False),
    _field("description", FieldType.STRING, read=False, length=2000),
    _field("order", FieldType.STRING, read=False, length=120),
    _field("corrects", FieldType.LIST),
    _field("number", FieldType.STRING, create=False),
    _field("state", FieldType.ENUM, create=False, values=_STATES),
    _field("balance", FieldType.DECIMAL, create=False),
    _field("payments", FieldType.LIST, create=False),
    _field("corrected_by", FieldType.LIST, create=False),
)


@cache
def record_schemas() -> Mapping[str, RecordSchema]:
    """The three records; nothing can be added to them by configuration."""
    fields = {"Customer": _CUSTOMER, "Invoice": _DOCUMENT, "CreditMemo": _DOCUMENT}
    return {name: RecordSchema(name, {field.path: field for field in known}) for name, known in fields.items()}

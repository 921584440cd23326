"""Documents: invoices, credit memos, envelopes. Their content is stored once, before their lane, and never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor

INVOICE, CREDIT_MEMO = "Invoice", "CreditMemo"
"""The record types that billing posts."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it is sent: the vendor's record type, a name for people, and the payload's bytes."""

    document_id: str
    record: str
    name: str
    payload: bytes


def put(cur: Cursor, connection: str, document: Document, now: datetime) -> Document:
    """Keep a document; returns what is kept, which is an earlier one of the same id when there is one."""
    cur.execute(
        "INSERT INTO document (connection, document_id, record, name, payload, written_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT DO NOTHING",
        (connection, document.document_id, document.record, document.name, document.payload, now),
    )
    return by_ids(cur, connection, [document.document_id])[document.document_id]


def by_ids(cur: Cursor, connection: str, document_ids: Sequence[str]) -> dict[str, Document]:
    """Documents by id."""
    cur.execute(
        "SELECT document_id, record, name, payload FROM document WHERE connection = %s AND document_id = ANY(%s)",
        (connection, list(document_ids)),
    )
    return {row[0]: Document(row[0], row[1], row[2], bytes(row[3])) for row in cur.fetchall()}


@dataclass(frozen=True, slots=True)
class Numbered:
    """A document that can be told by a number; `order_id` None for one of no order."""

    document_id: str
    name: str
    order_id: str | None


def records(cur: Cursor, connection: str) -> list[str]:
    """The vendor's record types that documents of a connection are posted as, sorted."""
    cur.execute("SELECT DISTINCT record FROM document WHERE connection = %s ORDER BY 1", (connection,))
    return [row[0] for row in cur.fetchall()]


def numbered(cur: Cursor, connection: str, record: str, marker: str) -> dict[str, Numbered]:
    """The documents of a record type by what their payload holds in the field that look-ups go by."""
    cur.execute(
        "SELECT convert_from(d.payload, 'UTF8')::jsonb ->> %(m)s, d.document_id, d.name, nullif(l.order_id, '') "
        "FROM document d LEFT JOIN lane l ON l.connection = d.connection AND l.kind = 'document' "
        "AND l.entity_id = d.document_id AND l.facet = '' WHERE d.connection = %(c)s AND d.record = %(r)s",
        {"c": connection, "r": record, "m": marker},
    )
    return {row[0]: Numbered(*row[1:]) for row in cur.fetchall() if row[0]}

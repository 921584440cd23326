"""Documents: invoices, credit memos, envelopes. Their content is stored once, before their lane, and never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor


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

"""What the ERP last showed of every record under a bill's reference: a bill may be held twice, and news tells of one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Shown:
    """One record of a connection: `native` is canonical JSON as the connector last told it; `gone`: deleted there."""

    connection: str
    native_id: str
    document_id: str
    native: bytes
    gone: bool = False


def of_records(cur: Cursor, connection: str, native_ids: Sequence[str]) -> dict[str, str]:
    """The document of each of these records by its vendor id: as it was shown, else as it was posted; others are absent."""
    cur.execute(
        "SELECT vendor_id, entity_id FROM reference WHERE connection = %(c)s AND kind = 'document' AND vendor_id = ANY(%(n)s) "
        "AND superseded_at IS NULL UNION ALL "
        "SELECT native_id, document_id FROM billing_shown WHERE connection = %(c)s AND native_id = ANY(%(n)s)",
        {"c": connection, "n": list(native_ids)},
    )
    return dict(cur.fetchall())


def of_documents(cur: Cursor, connection: str, document_ids: Sequence[str]) -> dict[str, list[Shown]]:
    """Every known record of these documents, by document and vendor id."""
    cur.execute(
        "SELECT connection, native_id, document_id, native, gone FROM billing_shown WHERE connection = %s "
        "AND document_id = ANY(%s) ORDER BY document_id, native_id",
        (connection, list(document_ids)),
    )
    found: dict[str, list[Shown]] = defaultdict(list)
    for row in cur.fetchall():
        found[row[2]].append(Shown(row[0], row[1], row[2], bytes(row[3]), row[4]))
    return found


def posted_as(cur: Cursor, connection: str, document_ids: Sequence[str]) -> dict[str, str]:
    """The vendor id under which each document was posted; documents without one are absent."""
    cur.execute(
        "SELECT entity_id, vendor_id FROM reference WHERE connection = %s AND kind = 'document' AND entity_id = ANY(%s) "
        "AND superseded_at IS NULL",
        (connection, list(document_ids)),
    )
    return dict(cur.fetchall())


def put(cur: Cursor, shown: Iterable[Shown]) -> None:
    """Keep what was shown, in place of what was shown before."""
    cur.executemany(
        "INSERT INTO billing_shown (connection, native_id, document_id, native, gone) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (connection, native_id) DO UPDATE SET document_id = excluded.document_id, native = excluded.native, "
        "gone = excluded.gone",
        [(one.connection, one.native_id, one.document_id, one.native, one.gone) for one in shown],
    )


def forget(cur: Cursor, connection: str, native_ids: Sequence[str]) -> None:
    """Records that are no longer under the reference of a bill."""
    cur.execute(
        "DELETE FROM billing_shown WHERE connection = %s AND native_id = ANY(%s)", (connection, list(native_ids))
    )

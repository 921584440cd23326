"""Changes: everything a source ever told us, with what became of it; and how far each source was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hub.store.audit import note
from hub.store.database import Cursor

_ACCEPTING = 7_042_026
"""The advisory lock of whoever accepts changes: any number that no other advisory lock of the hub has."""


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One change as stored; `native` are JSON bytes."""

    id: int
    connection: str
    stream: str
    native_id: str
    modified_at: datetime
    deleted: bool
    native: bytes


def position(cur: Cursor, connection: str, stream: str) -> str | None:
    """The saved cursor of a stream."""
    cur.execute("SELECT position FROM cursor WHERE connection = %s AND stream = %s", (connection, stream))
    row = cur.fetchone()
    return None if row is None else str(row[0])


def save_position(cur: Cursor, connection: str, stream: str, value: str, now: datetime) -> None:
    """Save a cursor, in the transaction that made its records durable."""
    cur.execute(
        "INSERT INTO cursor (connection, stream, position, updated_at) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (connection, stream) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at",
        (connection, stream, value, now),
    )


def one_at_a_time(cur: Cursor) -> None:
    """Let the transactions that accept changes, or say anew what vendors should have, follow one another.

    Such a transaction reads orders, lines and parties and then says what their lanes want. What another one commits in
    between would be wanted no more (two workers at one source). Held to the end of the transaction.
    """
    cur.execute("SELECT pg_advisory_xact_lock(%s)", (_ACCEPTING,))


def known_hashes(cur: Cursor, connection: str, stream: str, native_ids: Sequence[str]) -> dict[str, UUID]:
    """The last seen content hash of each named source record."""
    cur.execute(
        "SELECT native_id, native_hash FROM source_row WHERE connection = %s AND stream = %s AND native_id = ANY(%s)",
        (connection, stream, list(native_ids)),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def add(
    cur: Cursor,
    *,
    connection: str,
    stream: str,
    native_id: str,
    modified_at: datetime,
    received_at: datetime,
    deleted: bool,
    native: bytes,
    native_hash: UUID,
    entity_kind: str,
    entity_id: str,
    first: bool = False,
) -> int:
    """Store one change as received and remember it as the newest of its source record; returns its number.

    `first`: the record was never seen, so no older change of it can be superseded.
    """
    if not first:
        cur.execute(
            "UPDATE change SET status = 'superseded', waits_for = NULL WHERE connection = %s AND stream = %s "
            "AND native_id = %s AND status IN ('held', 'rejected') RETURNING id",
            (connection, stream, native_id),
        )
        for superseded in cur.fetchall():
            note(cur, f"change:{superseded[0]}", "change superseded", status="superseded")
    cur.execute(
        "INSERT INTO change (connection, stream, native_id, modified_at, received_at, deleted, native, native_hash, status, "
        "entity_kind, entity_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'received', %s, %s) RETURNING id",
        (
            connection,
            stream,
            native_id,
            modified_at,
            received_at,
            deleted,
            native,
            native_hash,
            entity_kind,
            entity_id,
        ),
    )
    row = cur.fetchone()
    assert row is not None
    cur.execute(
        "INSERT INTO source_row (connection, stream, native_id, native_hash, modified_at, deleted, change_id) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (connection, stream, native_id) DO UPDATE SET "
        "native_hash = excluded.native_hash, modified_at = excluded.modified_at, deleted = excluded.deleted, "
        "change_id = excluded.change_id",
        (connection, stream, native_id, native_hash, modified_at, deleted, row[0]),
    )
    return int(row[0])


def conclude(
    cur: Cursor, change_id: int, status: str, *, version: int | None = None, waits_for: str | None = None
) -> None:
    """Say what became of a change: accepted, unchanged, rejected, held, ignored.

    The version that it once became is remembered: it may be refused later, for what its order became.
    """
    cur.execute(
        "UPDATE change SET status = %s, version = coalesce(%s, version), waits_for = %s WHERE id = %s",
        (status, version, waits_for, change_id),
    )
    if version is None and status != "unchanged":  # an accepted one is told by its version
        note(cur, f"change:{change_id}", "change concluded", status=status, waits_for=waits_for)


def reconsider(cur: Cursor, entity_ids: Sequence[str], for_entity: str) -> None:
    """Let the newest change of each of these entities wait for news of another, as if it came after it."""
    cur.execute(
        "UPDATE change SET status = 'held', waits_for = %s WHERE id IN (SELECT DISTINCT ON (entity_id) id FROM change "
        "WHERE entity_id = ANY(%s) ORDER BY entity_id, id DESC) AND status <> 'ignored' RETURNING id",
        (for_entity, list(entity_ids)),
    )
    for (change_id,) in sorted(cur.fetchall()):
        note(cur, f"change:{change_id}", "change reconsidered", status="held", waits_for=for_entity)


def _stored(rows: Iterable[tuple[object, ...]]) -> list[StoredChange]:
    return [StoredChange(*(bytes(v) if isinstance(v, memoryview) else v for v in row)) for row in rows]  # type: ignore[arg-type]


_COLUMNS = "id, connection, stream, native_id, modified_at, deleted, native"


def waiting_for(cur: Cursor, entity_ids: Sequence[str]) -> list[StoredChange]:
    """Held or rejected changes that wait for news of one of these entities, oldest first."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM change WHERE waits_for = ANY(%s) AND status IN ('held', 'rejected') ORDER BY id FOR UPDATE",
        (list(entity_ids),),
    )
    return _stored(cur.fetchall())


def refused(cur: Cursor, change_ids: Sequence[int]) -> list[StoredChange]:
    """Rejected or held changes by number, for a replay."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM change WHERE id = ANY(%s) AND status IN ('rejected', 'held') ORDER BY id FOR UPDATE",
        (list(change_ids),),
    )
    return _stored(cur.fetchall())


def of_entity(cur: Cursor, entity_ids: Sequence[str]) -> list[tuple[datetime, str, str, str, str, int | None, str]]:
    """(received, connection, stream, native id, status, version, entity id) of all changes of these entities."""
    cur.execute(
        "SELECT received_at, connection, stream, native_id, status, version, entity_id FROM change "
        "WHERE entity_id = ANY(%s) ORDER BY id",
        (list(entity_ids),),
    )
    return cur.fetchall()


def still_held(cur: Cursor, connection: str) -> list[tuple[str, str, int, str, str, str]]:
    """(stream, native id, change, kind, entity, waits for) of held changes that are not shown as parked yet."""
    cur.execute(
        "SELECT c.stream, c.native_id, c.id, c.entity_kind, c.entity_id, c.waits_for FROM change c "
        "WHERE c.connection = %s AND c.status = 'held' AND c.waits_for IS NOT NULL AND NOT EXISTS (SELECT 1 FROM parked p "
        "WHERE p.change_id = c.id AND p.resolved_at IS NULL) ORDER BY c.id",
        (connection,),
    )
    return cur.fetchall()

"""Changes: everything a source ever told us, with what became of it; and how far each source was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
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
        prepare=False,  # planned for as many as there are
    )
    return {row[0]: row[1] for row in cur.fetchall()}


class NewChange(NamedTuple):
    """One change as received, under the number that was reserved for it, and what has become of it so far."""

    id: int
    connection: str
    stream: str
    native_id: str
    modified_at: datetime
    received_at: datetime
    deleted: bool
    native: bytes
    native_hash: UUID
    entity_kind: str
    entity_id: str
    status: str = "received"
    version: int | None = None
    waits_for: str | None = None


class Conclusion(NamedTuple):
    """What became of a stored change."""

    change_id: int
    status: str
    version: int | None
    waits_for: str | None


def reserve(cur: Cursor, count: int) -> list[int]:
    """Numbers for so many changes, ascending; numbers of a transaction that fails are not given again."""
    cur.execute(
        "SELECT nextval(pg_get_serial_sequence('change', 'id')) FROM generate_series(1, %s)", (count,), prepare=False
    )
    return sorted(row[0] for row in cur.fetchall())


def supersede(cur: Cursor, connection: str, stream: str, native_ids: Sequence[str]) -> dict[str, list[int]]:
    """Push aside what still waits or was refused of these source records, for newer changes of them came; by native id.

    Whoever calls notes them (`note_superseded`) where the newer change has its turn.
    """
    if not native_ids:
        return {}
    cur.execute(
        "UPDATE change SET status = 'superseded', waits_for = NULL WHERE connection = %s AND stream = %s "
        "AND native_id = ANY(%s) AND status IN ('held', 'rejected') RETURNING native_id, id",
        (connection, stream, list(native_ids)),
        prepare=False,
    )
    superseded: dict[str, list[int]] = {}
    for native_id, change_id in sorted(cur.fetchall()):
        superseded.setdefault(native_id, []).append(change_id)
    return superseded


def note_superseded(cur: Cursor, change_ids: Iterable[int]) -> None:
    """Tell the audit chain which changes were pushed aside."""
    for change_id in change_ids:
        note(cur, f"change:{change_id}", "change superseded", status="superseded")


def add_all(cur: Cursor, new: Sequence[NewChange]) -> None:
    """Store changes as received, at most one of each source record, each as the newest of its record."""
    if not new:
        return
    columns = [list(column) for column in zip(*new, strict=True)]
    cur.execute(
        "INSERT INTO change (id, connection, stream, native_id, modified_at, received_at, deleted, native, native_hash, "
        "entity_kind, entity_id, status, version, waits_for) OVERRIDING SYSTEM VALUE SELECT * FROM unnest(%b::bigint[], "
        "%b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::bool[], %b::bytea[], %b::uuid[], "
        "%b::text[], %b::text[], %b::text[], %b::int[], %b::text[])",
        columns,
    )
    number, connection, stream, native_id, modified_at, _, deleted, _, native_hash = columns[:9]
    cur.execute(
        "INSERT INTO source_row (connection, stream, native_id, native_hash, modified_at, deleted, change_id) "
        "SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::uuid[], %b::timestamptz[], %b::bool[], %b::bigint[]) "
        "ON CONFLICT (connection, stream, native_id) DO UPDATE SET native_hash = excluded.native_hash, "
        "modified_at = excluded.modified_at, deleted = excluded.deleted, change_id = excluded.change_id",
        (connection, stream, native_id, native_hash, modified_at, deleted, number),
    )


def conclude(
    cur: Cursor, change_id: int, status: str, *, version: int | None = None, waits_for: str | None = None
) -> None:
    """Say what became of a stored change: accepted, unchanged, rejected, held, ignored."""
    conclusion = Conclusion(change_id, status, version, waits_for)
    conclude_all(cur, [conclusion])
    note_concluded(cur, conclusion)


def conclude_all(cur: Cursor, conclusions: Sequence[Conclusion]) -> None:
    """Write what became of stored changes, at most once of each; nothing is noted.

    The version that one once became is remembered: it may be refused later, for what its order became.
    """
    if conclusions:
        cur.execute(
            "UPDATE change SET status = w.status, version = coalesce(w.version, change.version), waits_for = w.waits_for "
            "FROM unnest(%b::bigint[], %b::text[], %b::int[], %b::text[]) AS w (id, status, version, waits_for) "
            "WHERE change.id = w.id",
            [list(column) for column in zip(*conclusions, strict=True)],
            prepare=False,  # planned for as many as there are
        )


def note_concluded(cur: Cursor, conclusion: Conclusion) -> None:
    """Tell the audit chain what became of a change."""
    change_id, status, version, waits_for = conclusion
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


def still_held(cur: Cursor, connection: str) -> list[tuple[str, str, int, str, str, str, str | None]]:
    """(stream, native id, change, kind, entity, waits for, order that the entity is accepted for) of held changes that are not
    shown as parked yet."""
    cur.execute(
        "SELECT c.stream, c.native_id, c.id, c.entity_kind, c.entity_id, c.waits_for, e.order_id FROM change c "
        "LEFT JOIN entity e ON e.kind = c.entity_kind AND e.id = c.entity_id "
        "WHERE c.connection = %s AND c.status = 'held' AND c.waits_for IS NOT NULL AND NOT EXISTS (SELECT 1 FROM parked p "
        "WHERE p.change_id = c.id AND p.resolved_at IS NULL) ORDER BY c.id",
        (connection,),
    )
    return cur.fetchall()


def pointing_to(cur: Cursor, connection: str, entity_ids: Sequence[str]) -> list[tuple[str, bytes]]:
    """(entity waited for, the record that waits) of one held change for each of these entities."""
    cur.execute(
        "SELECT DISTINCT ON (waits_for) waits_for, native FROM change WHERE connection = %s AND status = 'held' "
        "AND waits_for = ANY(%s) ORDER BY waits_for, id",
        (connection, list(entity_ids)),
    )
    return cur.fetchall()


def look_again(cur: Cursor) -> None:
    """Have PostgreSQL count anew what it plans by: after a first read it takes tables for empty until it comes round by itself, and
    reads each of 2,000 lanes through every reference of its connection (35 s instead of 0.03)."""
    cur.execute("ANALYZE entity, change, reference, lane")

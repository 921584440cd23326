"""The write ledger: values that the hub wrote into fields it also reads, each until it was read back once, or expired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Written:
    """One written value. `acknowledged`: the vendor said that it holds it; `payload` is the whole write, as JSON bytes."""

    id: int
    vendor_id: str
    field: str
    value_hash: UUID
    acknowledged: bool
    payload: bytes


@dataclass(frozen=True, slots=True)
class Writing:
    """A value about to be entered."""

    record: str
    vendor_id: str
    field: str
    value_hash: UUID
    attempt_id: int


def enter(cur: Cursor, connection: str, values: Sequence[Writing], now: datetime) -> None:
    """Enter values, in the transaction that writes their attempts down: their echo may be read before the answer comes."""
    if not values:
        return
    cur.execute(
        "INSERT INTO write_ledger (connection, record, vendor_id, field, value_hash, attempt_id, written_at) "
        "SELECT %s, w.record, w.vendor_id, w.field, w.value_hash, w.attempt_id, %s FROM "
        "unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::bigint[]) "
        "WITH ORDINALITY AS w(record, vendor_id, field, value_hash, attempt_id, place) ORDER BY w.place",
        (
            connection,
            now,
            [value.record for value in values],
            [value.vendor_id for value in values],
            [value.field for value in values],
            [value.value_hash for value in values],
            [value.attempt_id for value in values],
        ),
    )


def strike(cur: Cursor, attempt_ids: Sequence[int]) -> None:
    """These attempts changed nothing at the vendor: no echo of them can come."""
    if not attempt_ids:
        return
    cur.execute("DELETE FROM write_ledger WHERE attempt_id = ANY(%s)", (list(attempt_ids),))


def acknowledge(cur: Cursor, attempt_ids: Sequence[int]) -> None:
    """The vendor holds what these attempts wrote: whoever shows an older value of ours now has set it back by hand."""
    if not attempt_ids:
        return
    cur.execute(
        "DELETE FROM write_ledger o USING write_ledger n WHERE n.attempt_id = ANY(%s) AND o.connection = n.connection "
        "AND o.record = n.record AND o.vendor_id = n.vendor_id AND o.field = n.field AND o.id < n.id",
        (list(attempt_ids),),
    )


def of_records(
    cur: Cursor, connection: str, record: str, vendor_ids: Sequence[str], since: datetime
) -> dict[str, list[Written]]:
    """What was written into these records since then and not yet read back, oldest first, by vendor id."""
    cur.execute(
        "SELECT w.id, w.vendor_id, w.field, w.value_hash, coalesce(a.outcome IN ('created', 'updated'), false), a.payload "
        "FROM write_ledger w JOIN attempt a ON a.id = w.attempt_id WHERE w.connection = %s AND w.record = %s "
        "AND w.vendor_id = ANY(%s) AND w.written_at >= %s ORDER BY w.id",
        (connection, record, list(vendor_ids), since),
    )
    found: dict[str, list[Written]] = {}
    for number, vendor_id, field, value_hash, acknowledged, payload in cur.fetchall():
        found.setdefault(vendor_id, []).append(
            Written(number, vendor_id, field, value_hash, acknowledged, bytes(payload))
        )
    return found


def spend(cur: Cursor, ids: Sequence[int]) -> int:
    """Take entries out for good; how many were still there, for another reader may have been faster."""
    cur.execute("DELETE FROM write_ledger WHERE id = ANY(%s)", (list(ids),))
    return cur.rowcount


def expire(cur: Cursor, connection: str, before: datetime) -> int:
    """Forget values written before that moment; how many."""
    cur.execute("DELETE FROM write_ledger WHERE connection = %s AND written_at < %s", (connection, before))
    return cur.rowcount


def count(cur: Cursor, connection: str, echoes: int, near_misses: int) -> None:
    """Add to a connection's counts: values that came back as written, and fields that somebody rewrote before they did."""
    cur.execute(
        "INSERT INTO echo (connection, echoes, near_misses) VALUES (%s, %s, %s) ON CONFLICT (connection) DO UPDATE SET "
        "echoes = echo.echoes + excluded.echoes, near_misses = echo.near_misses + excluded.near_misses",
        (connection, echoes, near_misses),
    )


def counts(cur: Cursor, connection: str) -> tuple[int, int]:
    """(echoes, near misses) of a connection so far."""
    cur.execute("SELECT echoes, near_misses FROM echo WHERE connection = %s", (connection,))
    row = cur.fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def last_read(cur: Cursor, connection: str, stream: str, native_ids: Sequence[str]) -> dict[str, bytes]:
    """The newest state of source records whose newest change is taken in; one that waits or was refused is left out."""
    cur.execute(
        "SELECT s.native_id, c.native FROM source_row s JOIN change c ON c.id = s.change_id WHERE s.connection = %s "
        "AND s.stream = %s AND s.native_id = ANY(%s) AND NOT s.deleted AND c.status IN ('accepted', 'unchanged')",
        (connection, stream, list(native_ids)),
    )
    return {row[0]: bytes(row[1]) for row in cur.fetchall()}

"""Connections at which nothing is created until a census agrees, because the store may know less than the vendor has.

That there was such a time is remembered: what the store forgot may be wanted again long after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.audit import note
from hub.store.censuses import UNKNOWN
from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Recovery:
    """One connection in recovery: since when (machine time), and why."""

    connection: str
    since: datetime
    cause: str


def standing(cur: Cursor) -> dict[str, Recovery]:
    """The connections in recovery."""
    cur.execute("SELECT connection, since, cause FROM recovery WHERE ended_at IS NULL ORDER BY connection")
    return {row[0]: Recovery(*row) for row in cur.fetchall()}


def begin(cur: Cursor, connection: str, cause: str, now: datetime, *, anew: bool) -> bool:
    """Put a connection into recovery; False when it is already, unless that is to begin `anew`."""
    cur.execute(
        "INSERT INTO recovery (connection, since, cause) VALUES (%s, %s, %s) ON CONFLICT (connection) DO UPDATE "
        "SET since = excluded.since, cause = excluded.cause, ended_at = NULL "
        "WHERE recovery.ended_at IS NOT NULL OR %s RETURNING connection",
        (connection, now, cause, anew),
    )
    if cur.fetchone() is None:
        return False
    note(cur, f"connection:{connection}", "recovery begun", cause=cause)
    return True


def end(cur: Cursor, recovery: Recovery, now: datetime) -> bool:
    """A census agreed: creates go again. False when it had ended already, or was begun anew."""
    cur.execute(
        "UPDATE recovery SET ended_at = %s WHERE connection = %s AND since = %s AND ended_at IS NULL RETURNING connection",
        (now, recovery.connection, recovery.since),
    )
    if cur.fetchone() is None:
        return False
    note(cur, f"connection:{recovery.connection}", "recovery ended")
    return True


def was_restored(cur: Cursor, connection: str) -> bool:
    """Whether a recovery of this connection stands or has ended: what its store forgot may be wanted again at any time."""
    cur.execute("SELECT 1 FROM recovery WHERE connection = %s", (connection,))
    return cur.fetchone() is not None


def not_sent_since(cur: Cursor, connection: str, lane_ids: Sequence[int]) -> frozenset[int]:
    """Which of these lanes have sent nothing since the last recovery of their connection ended, or began if it stands."""
    cur.execute(
        "SELECT w.id FROM recovery r CROSS JOIN unnest(%s::bigint[]) AS w(id) WHERE r.connection = %s AND NOT EXISTS "
        "(SELECT 1 FROM attempt a WHERE a.lane_id = w.id AND a.invoked_at >= coalesce(r.ended_at, r.since))",
        (list(lane_ids), connection),
    )
    return frozenset(row[0] for row in cur.fetchall())


@dataclass(frozen=True, slots=True)
class Found:
    """A record that a census found and that nobody knew, of an entity that a lane wants to create now. `counted_again`: a later
    recovery has counted once more and could not tell either."""

    lane_id: int
    vendor_id: str
    counted_again: bool


def found_before(cur: Cursor, connection: str, lane_ids: Sequence[int]) -> list[Found]:
    """What censuses have shown of the entities of these lanes, in order, where a recovery stands or has ended."""
    cur.execute(
        "SELECT l.id, p.value, r.ended_at IS NOT NULL AND p.since < r.since FROM recovery r JOIN lane l ON l.connection = r.connection "
        "JOIN parked p ON p.connection = l.connection AND p.entity_id = l.entity_id AND p.resolved_at IS NULL "
        "WHERE r.connection = %s AND l.id = ANY(%s) AND starts_with(p.subject, %s) ORDER BY l.id, p.id",
        (connection, list(lane_ids), f"{UNKNOWN}:"),
    )
    return [Found(*row) for row in cur.fetchall()]


def under_way(cur: Cursor, connection: str) -> int:
    """How many lanes of a connection a worker has, or are in doubt."""
    cur.execute("SELECT count(*) FROM lane WHERE connection = %s AND state IN ('in_flight', 'in_doubt')", (connection,))
    row = cur.fetchone()
    return 0 if row is None else int(row[0])


def read_since(cur: Cursor, connections: Sequence[str], since: datetime) -> list[str]:
    """Which of these connections were read to their present end after an instant."""
    cur.execute(
        "SELECT connection FROM connection_state WHERE connection = ANY(%s) AND last_read_at >= %s",
        (list(connections), since),
    )
    return [row[0] for row in cur.fetchall()]


def notice_lost_anchor(cur: Cursor, anchor: bytes, sequence: int, now: datetime) -> bool:
    """Remember that the chain no longer holds this anchor; False when that is known."""
    cur.execute(
        "INSERT INTO lost_anchor (hash, sequence, noticed_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING hash",
        (anchor, sequence, now),
    )
    return cur.fetchone() is not None


def on_the_chain(cur: Cursor, sequence: int, anchor: bytes) -> bool:
    """Whether the audit chain holds this event."""
    cur.execute("SELECT hash FROM audit WHERE sequence = %s", (sequence,))
    row = cur.fetchone()
    return row is not None and bytes(row[0]) == anchor

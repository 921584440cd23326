"""Connections at which nothing is created until a census agrees, because the store may know less than the vendor has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.audit import note
from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Recovery:
    """One connection in recovery: since when (machine time), and why."""

    connection: str
    since: datetime
    cause: str


def standing(cur: Cursor) -> dict[str, Recovery]:
    """The connections in recovery."""
    cur.execute("SELECT connection, since, cause FROM recovery ORDER BY connection")
    return {row[0]: Recovery(*row) for row in cur.fetchall()}


def begin(cur: Cursor, connection: str, cause: str, now: datetime) -> bool:
    """Put a connection into recovery; False when it is already."""
    cur.execute(
        "INSERT INTO recovery (connection, since, cause) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING connection",
        (connection, now, cause),
    )
    if cur.fetchone() is None:
        return False
    note(cur, f"connection:{connection}", "recovery begun", cause=cause)
    return True


def end(cur: Cursor, connection: str) -> bool:
    """A census agreed: creates go again. False when it had ended already."""
    cur.execute("DELETE FROM recovery WHERE connection = %s RETURNING connection", (connection,))
    if cur.fetchone() is None:
        return False
    note(cur, f"connection:{connection}", "recovery ended")
    return True


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

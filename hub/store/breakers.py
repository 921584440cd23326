"""Circuit breakers as stored: per connection and kind of operation, one row that all workers share; none while all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor
from hub.store.lanes import _JOIN

CLOSED, OPEN, TRYING = "closed", "open", "trying"
"""Calls go; no calls go; one worker asks the vendor something harmless while the others wait."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One breaker. `until` ends the pause of an open one, or the trial of one that is being tried; times are machine time.

    `failures` and `successes` count calls since `since`; `pauses` counts openings in a row, which makes pauses longer.
    """

    connection: str
    operation: str
    state: str
    since: datetime
    failures: int = 0
    successes: int = 0
    pauses: int = 0
    until: datetime | None = None
    opened_at: datetime | None = None
    cause: str = ""


_COLUMNS = "connection, operation, state, since, failures, successes, pauses, until, opened_at, cause"


def standing(cur: Cursor, connection: str | None = None) -> list[Breaker]:
    """The breakers that are not untouched, of one connection or of all."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM breaker WHERE %(c)s::text IS NULL OR connection = %(c)s ORDER BY connection, operation",
        {"c": connection},
    )
    return [Breaker(*row) for row in cur.fetchall()]


def standing_and_closed(
    cur: Cursor, connection: str, credential: str, bucket: str, now: datetime
) -> tuple[list[Breaker], float]:
    """The breakers of a connection that are not untouched, and the seconds for which a bucket is closed, in one statement."""
    cur.execute(
        "SELECT (SELECT closed_until FROM bucket WHERE credential = %(credential)s AND name = %(bucket)s "
        f"AND closed_until > %(now)s), b.* FROM (SELECT 1) one LEFT JOIN (SELECT {_COLUMNS} FROM breaker "
        "WHERE connection = %(c)s) b ON true ORDER BY b.operation",
        {"credential": credential, "bucket": bucket, "now": now, "c": connection},
    )
    rows = cur.fetchall()
    until = rows[0][0]
    found = [Breaker(*row[1:]) for row in rows if row[1] is not None]
    return found, 0.0 if until is None else float((until - now).total_seconds())


def locked(cur: Cursor, connection: str, operation: str, now: datetime) -> Breaker:
    """One breaker, locked for this transaction; an untouched one is made."""
    # One statement: between an insert and a select another worker may have forgotten the row.
    cur.execute(
        "INSERT INTO breaker (connection, operation, state, since, failures, successes, pauses, cause) "
        "VALUES (%s, %s, 'closed', %s, 0, 0, 0, '') ON CONFLICT (connection, operation) DO UPDATE "
        f"SET operation = excluded.operation RETURNING {_COLUMNS}",
        (connection, operation, now),
    )
    row = cur.fetchone()
    assert row is not None
    return Breaker(*row)


def save(cur: Cursor, breaker: Breaker) -> None:
    """Write a locked breaker back; one that is closed and counts nothing is forgotten."""
    if breaker.state == CLOSED and not breaker.failures:
        cur.execute(
            "DELETE FROM breaker WHERE connection = %s AND operation = %s", (breaker.connection, breaker.operation)
        )
        return
    cur.execute(
        "UPDATE breaker SET state = %s, since = %s, failures = %s, successes = %s, pauses = %s, until = %s, opened_at = %s, "
        "cause = %s WHERE connection = %s AND operation = %s",
        (
            breaker.state,
            breaker.since,
            breaker.failures,
            breaker.successes,
            breaker.pauses,
            breaker.until,
            breaker.opened_at,
            breaker.cause,
            breaker.connection,
            breaker.operation,
        ),
    )


def lanes_held(cur: Cursor, connection: str, operations: Sequence[str], now: datetime) -> int:
    """How many lanes are due at a connection that would be sent by one of these operations."""
    cur.execute(
        f"SELECT count(*) FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.dirty "
        "AND l.state = 'ready' AND (l.not_before IS NULL OR l.not_before <= %(now)s) AND CASE WHEN l.kind IN "
        "('order_status', 'line_status') THEN 'act' WHEN r.vendor_id IS NULL THEN 'create' ELSE 'update' END = ANY(%(o)s)",
        {"c": connection, "o": list(operations), "now": now},
    )
    row = cur.fetchone()
    return 0 if row is None else int(row[0])

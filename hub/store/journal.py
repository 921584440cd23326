"""The journal of what happened, the state of connections, observations, business time, and what is to be projected anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor, Row

NEVER_USED = "never used"
"""The state of a connection that no call has reached yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. `place` is a connection's name or `hub`."""

    place: str
    what: str
    detail: str = ""
    order_id: str | None = None
    entity_kind: str | None = None
    entity_id: str | None = None


def write(cur: Cursor, entries: Iterable[Entry], at: datetime, business_at: datetime) -> None:
    """Append entries in the transaction of what they tell."""
    rows = [(e.place, e.order_id, e.entity_kind, e.entity_id, e.what, e.detail) for e in entries]
    if not rows:
        return
    cur.execute(
        "INSERT INTO journal (at, business_at, place, order_id, entity_kind, entity_id, what, detail) "
        "SELECT %s, %s, w.place, w.o, w.k, w.e, w.what, w.detail FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], "
        "%b::text[], %b::text[]) WITH ORDINALITY AS w(place, o, k, e, what, detail, n) ORDER BY w.n",
        (at, business_at, *(list(column) for column in zip(*rows, strict=True))),
    )


def of_orders(cur: Cursor, order_ids: Sequence[str]) -> list[Row]:
    """(at, place, kind, entity, what, detail) of everything about these orders, their lines and their parties."""
    cur.execute(
        "SELECT at, place, entity_kind, entity_id, what, detail FROM journal WHERE order_id = ANY(%(o)s) "
        "OR entity_id = ANY(%(o)s) OR entity_id IN (SELECT party_id FROM order_party WHERE order_id = ANY(%(o)s)) ORDER BY id",
        {"o": list(order_ids)},
    )
    return cur.fetchall()


def last_event(cur: Cursor, order_ids: Sequence[str]) -> dict[str, datetime]:
    """Business time of the newest journal entry of each order. What befell its mirror is no change of the order: the mirror
    shows this time, and would be out of date by having been written."""
    cur.execute(
        "SELECT order_id, max(business_at) FROM journal WHERE order_id = ANY(%s) "
        "AND coalesce(entity_kind, '') NOT IN ('order_projection', 'line_projection') GROUP BY order_id",
        (list(order_ids),),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def mark_stale(cur: Cursor, order_ids: Iterable[str]) -> None:
    """These orders' projections are to be computed anew, once this transaction has ended.

    Those that stand in the list already are held there till then: who took one out meanwhile would compute it without what
    was done here. Those taken out at this very moment are put in again.
    """
    wanted = sorted(set(order_ids))
    while wanted:
        cur.execute(
            "WITH put AS (INSERT INTO stale_projection (order_id) SELECT unnest(%(o)s::text[]) ON CONFLICT DO NOTHING "
            "RETURNING order_id), held AS (SELECT order_id FROM stale_projection WHERE order_id = ANY(%(o)s) "
            "ORDER BY order_id FOR KEY SHARE) SELECT order_id FROM put UNION ALL SELECT order_id FROM held",
            {"o": wanted},
        )
        noted = {row[0] for row in cur.fetchall()}
        wanted = [order_id for order_id in wanted if order_id not in noted]


def take_stale(cur: Cursor, limit: int) -> list[str]:
    """Up to `limit` orders to project anew, taken from the list in this transaction."""
    cur.execute(
        "DELETE FROM stale_projection WHERE order_id IN (SELECT order_id FROM stale_projection ORDER BY order_id LIMIT %s "
        "FOR UPDATE SKIP LOCKED) RETURNING order_id",
        (limit,),
    )
    return sorted(row[0] for row in cur.fetchall())


def set_connection(cur: Cursor, connection: str, state: str, message: str, account: str | None, now: datetime) -> None:
    """Say how a connection is: ok, auth, unreachable, misconfigured."""
    cur.execute(
        "INSERT INTO connection_state (connection, state, message, account, changed_at) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (connection) DO UPDATE SET state = excluded.state, message = excluded.message, "
        "account = coalesce(excluded.account, connection_state.account), changed_at = excluded.changed_at",
        (connection, state, message, account, now),
    )


def read_now(cur: Cursor, connection: str, now: datetime) -> None:
    """A connection was read to its present end."""
    cur.execute(
        "INSERT INTO connection_state (connection, state, message, changed_at, last_read_at) VALUES (%s, 'ok', '', %s, %s) "
        "ON CONFLICT (connection) DO UPDATE SET last_read_at = excluded.last_read_at, state = 'ok', message = ''",
        (connection, now, now),
    )


def answers_again(cur: Cursor, connection: str, states: Sequence[str], now: datetime) -> None:
    """A connection that stood in one of these states, or was never used, was used with success."""
    cur.execute(
        # Two steps, so that a connection in another state is not locked: every writer comes by here.
        "WITH changed AS (UPDATE connection_state SET state = 'ok', message = '', changed_at = %(now)s "
        "WHERE connection = %(connection)s AND state = ANY(%(states)s)) "
        "INSERT INTO connection_state (connection, state, message, changed_at) "
        "VALUES (%(connection)s, 'ok', '', %(now)s) ON CONFLICT (connection) DO NOTHING",
        {"connection": connection, "now": now, "states": [*states, NEVER_USED]},
    )


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused a connection, when (machine time) and why."""

    at: datetime
    by: str
    note: str


def pause(cur: Cursor, connection: str, pause: Pause | None, now: datetime) -> bool:
    """Pause a connection, or resume it with None; False when it is that way already."""
    cur.execute(
        "INSERT INTO connection_state (connection, state, message, changed_at) VALUES (%s, %s, '', %s) "
        "ON CONFLICT (connection) DO NOTHING",
        (connection, NEVER_USED, now),
    )
    at, by, why = (None, None, None) if pause is None else (pause.at, pause.by, pause.note)
    cur.execute(
        "UPDATE connection_state SET paused_at = %s, paused_by = %s, pause_note = %s WHERE connection = %s "
        "AND (paused_at IS NULL) = %s RETURNING connection",
        (at, by, why, connection, pause is not None),
    )
    return cur.fetchone() is not None


def pauses(cur: Cursor) -> dict[str, Pause]:
    """The paused connections."""
    cur.execute(
        "SELECT connection, paused_at, paused_by, pause_note FROM connection_state WHERE paused_at IS NOT NULL ORDER BY 1"
    )
    return {row[0]: Pause(row[1], row[2] or "", row[3] or "") for row in cur.fetchall()}


def connection_states(cur: Cursor) -> dict[str, tuple[str, str, str | None, datetime | None]]:
    """(state, message, account, last read) by connection."""
    cur.execute("SELECT connection, state, message, account, last_read_at FROM connection_state")
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in cur.fetchall()}


def last_observed(
    cur: Cursor, connection: str, kind: str, entity_ids: Sequence[str]
) -> dict[tuple[str, str], tuple[str, bytes]]:
    """(status, what was shown) of what a vendor last showed of these entities, by (entity, facet)."""
    cur.execute(
        "SELECT entity_id, facet, status, observed FROM observation WHERE connection = %s AND kind = %s AND entity_id = ANY(%s)",
        (connection, kind, list(entity_ids)),
    )
    return {(row[0], row[1]): (row[2], bytes(row[3])) for row in cur.fetchall()}


def observe(
    cur: Cursor,
    *,
    connection: str,
    kind: str,
    entity_id: str,
    facet: str,
    observed: bytes,
    status: str,
    archived: bool,
    now: datetime,
) -> None:
    """Keep what a vendor shows now."""
    cur.execute(
        "INSERT INTO observation (connection, kind, entity_id, facet, observed, status, archived, observed_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (connection, kind, entity_id, facet) DO UPDATE SET "
        "observed = excluded.observed, status = excluded.status, archived = excluded.archived, "
        "observed_at = excluded.observed_at",
        (connection, kind, entity_id, facet, observed, status, archived, now),
    )


def observations(cur: Cursor, order_ids: Sequence[str]) -> list[tuple[str, str, str, str, bool]]:
    """(connection, kind, entity, status, archived) observed for these orders and their lines."""
    cur.execute(
        "SELECT o.connection, o.kind, o.entity_id, o.status, o.archived FROM observation o WHERE o.entity_id = ANY(%(o)s) "
        "OR o.entity_id IN (SELECT id FROM entity WHERE kind = 'line' AND order_id = ANY(%(o)s))",
        {"o": list(order_ids)},
    )
    return cur.fetchall()


def count_observed(cur: Cursor, kind: str) -> dict[str, int]:
    """How many records of a kind were last seen in each status."""
    cur.execute("SELECT status, count(*) FROM observation WHERE kind = %s GROUP BY status", (kind,))
    return {row[0]: row[1] for row in cur.fetchall()}


def business_time(cur: Cursor) -> datetime | None:
    """The stored business time."""
    cur.execute("SELECT now FROM business_clock")
    row = cur.fetchone()
    return None if row is None else row[0]


def set_business_time(cur: Cursor, now: datetime) -> None:
    """Move the stored business time."""
    cur.execute(
        "INSERT INTO business_clock (one, now) VALUES (true, %s) ON CONFLICT (one) DO UPDATE SET now = excluded.now",
        (now,),
    )

"""How the lanes of a connection or an order stand: counts, states and times. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hub.store.database import Cursor
from hub.store.lane_conditions import MIRROR_PATIENCE
from hub.store.lane_conditions import WITHDRAWN as _WITHDRAWN


class Outlook(NamedTuple):
    """What a connection waits for: dirty lanes that are not due yet, the earliest time among them, and lanes in doubt."""

    waiting: int
    next_due: datetime | None
    in_doubt: int


def outlook(cur: Cursor, connection: str, now: datetime) -> Outlook:
    """What is still to come at a connection; does not look at lanes that are in sync, unlike `count_states`.

    A projection that waits for its order goes when its patience is over, whatever holds the order up.
    """
    cur.execute(
        "SELECT count(not_before), min(not_before), count(*) FILTER (WHERE doubtful) FROM ("
        "SELECT not_before, false AS doubtful FROM lane WHERE connection = %(c)s AND dirty AND state = 'ready' UNION ALL "
        "SELECT not_before, true FROM lane WHERE connection = %(c)s AND state = 'in_doubt' AND state <> 'ready' UNION ALL "
        "SELECT l.wanted_at + %(patience)s, false FROM lane l WHERE l.connection = %(c)s AND l.dirty AND l.state = 'ready' "
        "AND l.kind IN ('order_projection', 'line_projection') AND l.not_before IS NULL "
        "AND l.wanted_at > %(now)s::timestamptz - %(patience)s AND EXISTS (SELECT 1 FROM reference r "
        "WHERE r.connection = l.connection AND r.kind = replace(l.kind, '_projection', '') AND r.entity_id = l.entity_id "
        "AND r.facet = l.facet AND r.superseded_at IS NULL)) l",
        {"c": connection, "now": now, "patience": MIRROR_PATIENCE},
    )
    row = cur.fetchone()
    assert row is not None
    return Outlook(row[0], row[1], row[2])


def in_flight(cur: Cursor, connection: str) -> int:
    """How many lanes some worker is sending at a connection, or was when it died: those are due again when their lease ends."""
    cur.execute("SELECT count(*) FROM lane WHERE connection = %s AND state = 'in_flight'", (connection,))
    row = cur.fetchone()
    assert row is not None
    return int(row[0])


def with_open_work(cur: Cursor) -> set[str]:
    """The connections at which something is due, under way, in doubt or parked, whether they are configured or not."""
    found: set[str] = set()
    for open_lanes in ("dirty", "state <> 'ready'"):
        # From one name to the next: as many steps as there are connections, however many lanes are open.
        cur.execute(
            f"WITH RECURSIVE name AS (SELECT min(connection) AS one FROM lane WHERE {open_lanes} UNION ALL "
            f"SELECT (SELECT min(connection) FROM lane WHERE {open_lanes} AND connection > one) FROM name "
            "WHERE one IS NOT NULL) SELECT one FROM name WHERE one IS NOT NULL"
        )
        found.update(row[0] for row in cur.fetchall())
    return found


def count_states(cur: Cursor, connection: str) -> dict[str, int]:
    """Lanes by state at one connection; `in_sync` are those whose vendor has what it should, `drifted` those in conflict.

    Those of withdrawn documents are left out: they wait for nobody.
    """
    cur.execute(
        "SELECT CASE WHEN state = 'ready' AND desired_hash IS NOT DISTINCT FROM acked_hash THEN 'in_sync' "
        "WHEN state = 'ready' AND not_before IS NOT NULL THEN 'retrying' WHEN state = 'ready' THEN 'pending' "
        "WHEN state = 'parked' AND EXISTS (SELECT 1 FROM parked p WHERE p.lane_id = lane.id AND p.resolved_at IS NULL "
        "AND p.reason = 'conflict') THEN 'drifted' ELSE state END, count(*) FROM lane WHERE connection = %s "
        f"AND (state <> 'parked' OR NOT {_WITHDRAWN.format('lane')}) GROUP BY 1",
        (connection,),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def states_of_orders(
    cur: Cursor, order_ids: Sequence[str]
) -> list[tuple[str, str, str, str, str, str, bool, datetime]]:
    """(order, connection, kind, entity, facet, state, in sync, acknowledged at) of all lanes of these orders."""
    cur.execute(
        "SELECT order_id, connection, kind, entity_id, facet, state, desired_hash IS NOT DISTINCT FROM acked_hash, acked_at "
        "FROM lane WHERE order_id = ANY(%s) ORDER BY order_id, id",
        (list(order_ids),),
    )
    return cur.fetchall()


def last_acknowledged(cur: Cursor, connection: str) -> datetime | None:
    """When this connection last took something."""
    cur.execute("SELECT max(acked_at) FROM lane WHERE connection = %s", (connection,))
    row = cur.fetchone()
    return None if row is None else row[0]


def newest_records(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, datetime]:
    """Since when (machine time) the hub has the newest record that each of these lanes writes; for what acts on (a part of) an
    order, its lines count too. A lane without a record is left out."""
    # Two branches, one index look-up each: joined by OR, the server compares every lane with every lane of the connection.
    cur.execute(
        "SELECT n.id, max(n.since) FROM (SELECT l.id, r.since FROM lane l JOIN reference r ON r.connection = l.connection "
        "AND r.kind = replace(replace(l.kind, '_status', ''), '_projection', '') AND r.entity_id = l.entity_id "
        "AND r.facet = l.facet AND r.superseded_at IS NULL WHERE l.id = ANY(%(ids)s) UNION ALL "
        "SELECT l.id, r.since FROM lane l JOIN lane c ON c.order_id = l.order_id AND c.connection = l.connection "
        "AND c.kind = 'line' AND c.order_facet = l.order_facet JOIN reference r ON r.connection = c.connection "
        "AND r.kind = 'line' AND r.entity_id = c.entity_id AND r.facet = c.facet AND r.superseded_at IS NULL "
        "WHERE l.id = ANY(%(ids)s) AND l.kind = 'order_status') n GROUP BY n.id",
        {"ids": list(lane_ids)},
    )
    return dict(cur.fetchall())

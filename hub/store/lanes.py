"""Lanes: per (entity, facet, connection) the newest version the vendor should have, and how far that has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hub.store.database import Cursor

MIRROR_PATIENCE = timedelta(seconds=10)
"""How long the mirror lets an order come to rest at the ad servers before it tells an intermediate state."""

READY, IN_FLIGHT, IN_DOUBT, PARKED = "ready", "in_flight", "in_doubt", "parked"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane as claimed or read."""

    id: int
    connection: str
    kind: str
    entity_id: str
    facet: str
    order_id: str
    order_facet: str
    desired_version: int
    desired_hash: UUID
    acked_hash: UUID | None
    acked_payload: bytes | None
    state: str
    not_before: datetime | None
    fence: int
    tries: int
    probes: int
    alone: bool
    vendor_id: str | None


_COLUMNS = (
    "l.id, l.connection, l.kind, l.entity_id, l.facet, l.order_id, l.order_facet, l.desired_version, l.desired_hash, "
    "l.acked_hash, l.acked_payload, l.state, l.not_before, l.fence, l.tries, l.probes, l.alone, r.vendor_id"
)
# The record a lane writes: a status lane acts on the record its entity already has.
_JOIN = (
    "LEFT JOIN reference r ON r.connection = l.connection AND r.entity_id = l.entity_id AND r.facet = l.facet AND "
    "r.superseded_at IS NULL AND r.kind = CASE l.kind WHEN 'order_status' THEN 'order' WHEN 'order_projection' THEN 'order' "
    "WHEN 'line_status' THEN 'line' WHEN 'line_projection' THEN 'line' ELSE l.kind END"
)

# Whether everything a lane's record points to already exists at the vendor. A status waits until its lines are settled.
# A projection waits until its order is at rest, but not for ever: else every step of one push costs a CRM call.
_READY_TO_SEND = """
CASE l.kind
  WHEN 'order' THEN NOT EXISTS (
    SELECT 1 FROM order_party p WHERE p.order_id = l.entity_id AND p.role IN ('advertiser', 'agency') AND NOT EXISTS (
      SELECT 1 FROM reference pr WHERE pr.connection = l.connection AND pr.kind = 'party' AND pr.entity_id = p.party_id
        AND pr.facet = p.role AND pr.superseded_at IS NULL))
  WHEN 'line' THEN EXISTS (
    SELECT 1 FROM reference o WHERE o.connection = l.connection AND o.kind = 'order' AND o.entity_id = l.order_id
      AND o.facet = l.order_facet AND o.superseded_at IS NULL)
  WHEN 'order_status' THEN r.vendor_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM lane c WHERE c.order_id = l.order_id AND c.connection = l.connection AND c.kind IN ('line', 'order')
      AND c.order_facet = l.order_facet AND c.desired_hash IS DISTINCT FROM c.acked_hash AND c.state <> 'parked')
    AND EXISTS (SELECT 1 FROM lane c WHERE c.order_id = l.order_id AND c.connection = l.connection AND c.kind = 'line'
      AND c.order_facet = l.order_facet AND c.acked_hash IS NOT NULL)
  WHEN 'party' THEN true
  WHEN 'line_status' THEN r.vendor_id IS NOT NULL
  ELSE r.vendor_id IS NOT NULL AND (l.wanted_at <= %(patience)s OR NOT EXISTS (
    SELECT 1 FROM lane c WHERE c.order_id = l.order_id AND c.connection <> l.connection
      AND c.desired_hash IS DISTINCT FROM c.acked_hash AND c.state IN ('ready', 'in_flight')
      AND (c.not_before IS NULL OR c.not_before <= %(now)s)))
END
"""


def _lane(row: tuple[object, ...]) -> Lane:
    values = list(row)
    values[10] = None if values[10] is None else bytes(values[10])  # type: ignore[call-overload]
    return Lane(*values)  # type: ignore[arg-type]


def want(
    cur: Cursor,
    *,
    connection: str,
    kind: str,
    entity_id: str,
    facet: str,
    order_id: str,
    order_facet: str,
    stage: int,
    version: int,
    desired_hash: UUID,
    now: datetime,
) -> bool:
    """Say what the vendor should have; True when that is news. News wakes a parked lane: its cause may be gone."""
    cur.execute(
        "INSERT INTO lane (connection, kind, entity_id, facet, order_id, order_facet, stage, desired_version, desired_hash, "
        "wanted_at, state) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'ready') "
        "ON CONFLICT (connection, kind, entity_id, facet) DO UPDATE SET desired_version = excluded.desired_version, "
        "desired_hash = excluded.desired_hash, tries = 0, "
        "wanted_at = CASE WHEN lane.desired_hash IS DISTINCT FROM lane.acked_hash THEN lane.wanted_at "
        "ELSE excluded.wanted_at END, "
        "not_before = CASE WHEN lane.state = 'ready' THEN NULL ELSE lane.not_before END, "
        "state = CASE WHEN lane.state = 'parked' THEN 'ready' ELSE lane.state END "
        "WHERE lane.desired_hash <> excluded.desired_hash RETURNING id",
        (connection, kind, entity_id, facet, order_id, order_facet, stage, version, desired_hash, now),
    )
    return cur.fetchone() is not None


def line_facets(cur: Cursor, connection: str, order_id: str) -> dict[str, str]:
    """Which part of its order each line is in at a connection."""
    cur.execute(
        "SELECT entity_id, order_facet FROM lane WHERE connection = %s AND order_id = %s AND kind = 'line'",
        (connection, order_id),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def claim(
    cur: Cursor, connection: str, kind: str, limit: int, now: datetime, lease_until: datetime, *, updates: bool
) -> list[Lane]:
    """Take up to `limit` due lanes of one kind whose record exists (`updates`) or not; each gets a new fence."""
    cur.execute(
        f"WITH due AS (SELECT l.id, r.vendor_id FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.kind = %(k)s "
        "  AND l.desired_hash IS DISTINCT FROM l.acked_hash AND l.state = 'ready' "
        "  AND (l.not_before IS NULL OR l.not_before <= %(now)s) AND (r.vendor_id IS NOT NULL) = %(u)s "
        f"  AND {_READY_TO_SEND} ORDER BY l.order_id, l.id LIMIT %(n)s FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE lane l SET state = 'in_flight', lease_until = %(lease)s, fence = l.fence + 1 FROM due WHERE l.id = due.id "
        f"RETURNING {_COLUMNS.replace('r.vendor_id', 'due.vendor_id')}",
        {
            "c": connection,
            "k": kind,
            "n": limit,
            "now": now,
            "lease": lease_until,
            "u": updates,
            "patience": now - MIRROR_PATIENCE,
        },
    )
    return sorted((_lane(row) for row in cur.fetchall()), key=lambda lane: (lane.order_id, lane.id))


def hold(cur: Cursor, lanes: Sequence[Lane], lease_until: datetime) -> frozenset[tuple[int, int]]:
    """Renew the lease of claimed lanes; (number, fence) of those that nobody took meanwhile. Only these may be sent.

    The fence is part of the answer: a slow worker may hold a lane twice, once as lost and once as claimed anew.
    """
    cur.execute(
        "WITH held AS (SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::bigint[]) AS w(id, fence) "
        "  ON l.id = w.id AND l.fence = w.fence WHERE l.state = 'in_flight' ORDER BY l.order_id, l.id FOR UPDATE OF l) "
        "UPDATE lane l SET lease_until = %s FROM held WHERE l.id = held.id RETURNING l.id, l.fence",
        ([lane.id for lane in lanes], [lane.fence for lane in lanes], lease_until),
    )
    return frozenset((row[0], row[1]) for row in cur.fetchall())


def release(
    cur: Cursor, lanes: Sequence[Lane], not_before: datetime | None, *, tried: bool = False, alone: bool = False
) -> None:
    """Give claimed lanes back, due again at `not_before`; `alone`: to be sent in a call of its own."""
    cur.executemany(
        "UPDATE lane SET state = 'ready', lease_until = NULL, not_before = %s, tries = tries + %s, alone = %s "
        "WHERE id = %s AND fence = %s",
        [(not_before, int(tried), alone, lane.id, lane.fence) for lane in lanes],
    )


def acknowledge(
    cur: Cursor, lane: Lane, payload: bytes, sent_hash: UUID, version: int, now: datetime, *, keep_state: bool = False
) -> bool:
    """Record that the vendor holds what was sent. False when another worker took the lane meanwhile: only an observation."""
    cur.execute(
        "UPDATE lane SET acked_version = %s, acked_hash = %s, acked_payload = %s, acked_at = %s, tries = 0, probes = 0, alone = false, "
        "state = CASE WHEN %s THEN state ELSE 'ready' END, lease_until = NULL, not_before = NULL "
        "WHERE id = %s AND fence = %s RETURNING id",
        (version, sent_hash, payload, now, keep_state, lane.id, lane.fence),
    )
    return cur.fetchone() is not None


def doubt(cur: Cursor, lane: Lane, not_before: datetime) -> None:
    """Put a lane in doubt; it is looked up, never resent, and not before `not_before`."""
    cur.execute(
        "UPDATE lane SET state = 'in_doubt', lease_until = NULL, not_before = %s, probes = 0 WHERE id = %s AND fence = %s",
        (not_before, lane.id, lane.fence),
    )


def park(cur: Cursor, lane: Lane) -> None:
    """Take a lane out of work until a person or news brings it back."""
    cur.execute(
        "UPDATE lane SET state = 'parked', lease_until = NULL, not_before = NULL WHERE id = %s AND fence = %s",
        (lane.id, lane.fence),
    )


def count_probe(cur: Cursor, lane: Lane, not_before: datetime) -> None:
    """One more look-up found nothing; look again at `not_before`."""
    cur.execute(
        "UPDATE lane SET probes = probes + 1, not_before = %s, lease_until = NULL, state = 'in_doubt' "
        "WHERE id = %s AND fence = %s",
        (not_before, lane.id, lane.fence),
    )


def claim_doubtful(
    cur: Cursor, connection: str, kind: str, limit: int, now: datetime, lease_until: datetime
) -> list[Lane]:
    """Take lanes in doubt that are due for a look-up, and lanes whose worker died (lease over) in flight."""
    cur.execute(
        f"WITH due AS (SELECT l.id, r.vendor_id FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.kind = %(k)s AND ("
        "  (l.state = 'in_doubt' AND l.not_before <= %(now)s AND (l.lease_until IS NULL OR l.lease_until < %(now)s)) "
        "  OR (l.state = 'in_flight' AND l.lease_until < %(now)s)) "
        "  ORDER BY l.order_id, l.id LIMIT %(n)s FOR UPDATE OF l SKIP LOCKED) "
        "UPDATE lane l SET lease_until = %(lease)s, fence = l.fence + 1 FROM due WHERE l.id = due.id "
        f"RETURNING {_COLUMNS.replace('r.vendor_id', 'due.vendor_id')}",
        {"c": connection, "k": kind, "n": limit, "now": now, "lease": lease_until},
    )
    return sorted((_lane(row) for row in cur.fetchall()), key=lambda lane: (lane.order_id, lane.id))


def dirty(cur: Cursor, connection: str, limit: int | None = None) -> list[Lane]:
    """Every lane whose vendor does not have what it should, in sending order; the plan's first question."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.connection = %s AND l.desired_hash IS DISTINCT FROM l.acked_hash "
        "ORDER BY l.stage, l.order_id, l.id" + (" LIMIT %s" if limit is not None else ""),
        (connection,) if limit is None else (connection, limit),
    )
    return [_lane(row) for row in cur.fetchall()]


def by_ids(cur: Cursor, lane_ids: Sequence[int]) -> list[Lane]:
    """Lanes by number."""
    cur.execute(f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.id = ANY(%s) ORDER BY l.id", (list(lane_ids),))
    return [_lane(row) for row in cur.fetchall()]


def wake(cur: Cursor, lane_ids: Sequence[int]) -> int:
    """Put parked lanes back to work; returns how many."""
    cur.execute(
        "UPDATE lane SET state = 'ready', not_before = NULL, tries = 0 WHERE id = ANY(%s) AND state = 'parked'",
        (list(lane_ids),),
    )
    return cur.rowcount


def next_due(cur: Cursor, connection: str) -> tuple[int, datetime | None]:
    """(how many dirty lanes wait for their time, the earliest such time)."""
    cur.execute(
        "SELECT count(*), min(not_before) FROM lane WHERE connection = %s AND not_before IS NOT NULL "
        "AND state IN ('ready', 'in_doubt') AND (state = 'in_doubt' OR desired_hash IS DISTINCT FROM acked_hash)",
        (connection,),
    )
    row = cur.fetchone()
    assert row is not None
    return row[0], row[1]


def count_states(cur: Cursor, connection: str) -> dict[str, int]:
    """Lanes by state at one connection; `in_sync` are those whose vendor has what it should."""
    cur.execute(
        "SELECT CASE WHEN state = 'ready' AND desired_hash IS NOT DISTINCT FROM acked_hash THEN 'in_sync' "
        "WHEN state = 'ready' AND not_before IS NOT NULL THEN 'retrying' WHEN state = 'ready' THEN 'pending' "
        "ELSE state END, count(*) FROM lane WHERE connection = %s GROUP BY 1",
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

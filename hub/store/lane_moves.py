"""Moves of lanes that no worker has claimed: held back for a person, lost with their record, to be written anew."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from hub.store import parking
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.lane_conditions import AGREES_WITH_ITS_ORDER, HAS_A_LINE_THERE
from hub.store.lanes import _COLUMNS, _JOIN, IN_DOUBT, PARKED, Lane, _lane, subject, wake


def hold_back(cur: Cursor, lane_ids: Sequence[int]) -> frozenset[int]:
    """Park lanes that are at rest or due; the numbers of those that were, others are being worked on."""
    cur.execute(
        "WITH due AS (SELECT id FROM lane WHERE id = ANY(%s) AND state = 'ready' ORDER BY order_id, id FOR UPDATE) "
        "UPDATE lane SET state = 'parked', not_before = NULL FROM due WHERE lane.id = due.id RETURNING lane.id",
        (list(lane_ids),),
    )
    held = sorted(row[0] for row in cur.fetchall())
    for lane_id in held:
        note(cur, subject(lane_id), "lane held back", state=PARKED)
    return frozenset(held)


def disavow(cur: Cursor, lane_ids: Sequence[int]) -> frozenset[int]:
    """Forget what the vendor acknowledged of lanes at rest or due, so that all of it is sent anew; which were."""
    cur.execute(
        "WITH due AS (SELECT id FROM lane WHERE id = ANY(%s) AND state = 'ready' ORDER BY order_id, id FOR UPDATE) "
        "UPDATE lane SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL, not_before = NULL, "
        "tries = 0 FROM due WHERE lane.id = due.id RETURNING lane.id, state",
        (list(lane_ids),),
    )
    renewed = sorted(cur.fetchall())
    for lane_id, state in renewed:
        note(cur, subject(lane_id), "lane renewed", state=state)
    return frozenset(lane_id for lane_id, _ in renewed)


def lose(cur: Cursor, connection: str, kind: str, entity_id: str, facet: str) -> Lane | None:
    """The vendor's record is gone: its lane is parked with nothing acknowledged, and its status is to be brought about anew.

    None when a worker is at one of them; nothing is changed then.
    """
    cur.execute(
        "SELECT id, kind, state FROM lane WHERE connection = %s AND entity_id = %s AND facet = %s AND kind IN (%s, %s) "
        "ORDER BY order_id, id FOR UPDATE",
        (connection, entity_id, facet, kind, f"{kind}_status"),
    )
    rows = cur.fetchall()
    if not any(row[1] == kind for row in rows) or any(row[2] not in {"ready", PARKED} for row in rows):
        return None
    for lane_id, lane_kind, state in rows:
        after = PARKED if lane_kind == kind else state
        cur.execute(
            "UPDATE lane SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL, state = %s, "
            "not_before = NULL, tries = 0 WHERE id = %s",
            (after, lane_id),
        )
        note(cur, subject(lane_id), "lane lost", state=after)
    (lost,) = (row[0] for row in rows if row[1] == kind)
    cur.execute(f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.id = %s", (lost,))
    row = cur.fetchone()
    return None if row is None else _lane(row)


def look_up(cur: Cursor, lane: Lane, now: datetime) -> bool:
    """Have settling look a lane up that is due or parked. False when a worker took it meanwhile."""
    cur.execute(
        "UPDATE lane SET state = 'in_doubt', not_before = %s, tries = 0, probes = 0 WHERE id = %s AND fence = %s "
        "AND state IN ('ready', 'parked') RETURNING id",
        (now, lane.id, lane.fence),
    )
    if cur.fetchone() is None:
        return False
    note(cur, subject(lane.id), "lane found by a census", state=IN_DOUBT, not_before=now)
    return True


def reopen_status(cur: Cursor, connection: str, born: Sequence[Lane]) -> None:
    """Vendor records have come to stand for these lanes: what was settled before about their status, and about that of the
    (part of the) order they belong to, has to be brought about anew."""
    statuses = {(f"{lane.kind}_status", lane.entity_id, lane.facet) for lane in born if lane.kind in {"order", "line"}}
    statuses |= {("order_status", lane.order_id, lane.order_facet) for lane in born if lane.kind == "line"}
    if not statuses:
        return
    kinds, entity_ids, facets = zip(*sorted(statuses), strict=True)
    cur.execute(
        "UPDATE lane l SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL "
        "FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(k, e, f) WHERE l.connection = %s AND l.kind = w.k "
        "AND l.entity_id = w.e AND l.facet = w.f AND l.acked_hash IS NOT NULL RETURNING l.id, l.state",
        (list(kinds), list(entity_ids), list(facets), connection),
    )
    for lane_id, state in sorted(cur.fetchall()):
        note(cur, subject(lane_id), "lane renewed", state=state)


def owe_status(cur: Cursor, connection: str, order_id: str, facet: str) -> int:
    """A line of this (part of the) order is wanted again: a status that was settled while no line of it was there, for want
    of one, has to be brought about. How many that was; one that a record with a line already bears stays as it is.
    """
    cur.execute(
        "SELECT l.id FROM lane l WHERE l.connection = %s AND l.kind = 'order_status' AND l.entity_id = %s AND l.facet = %s "
        f"AND NOT {HAS_A_LINE_THERE} FOR UPDATE",
        (connection, order_id, facet),
    )
    found = [row[0] for row in cur.fetchall()]
    # A statement of its own: it sees what a worker settled that held the lock.
    cur.execute(
        "UPDATE lane SET acked_version = NULL, acked_hash = NULL, acked_payload = NULL, acked_at = NULL "
        "WHERE id = ANY(%s) AND acked_hash IS NOT NULL RETURNING id, state",
        (found,),
    )
    owed = cur.fetchall()
    for lane_id, state in owed:
        note(cur, subject(lane_id), "lane renewed", state=state)
    return len(owed)


def wake_statuses(cur: Cursor, connection: str, parts: Collection[tuple[str, str]], now: datetime) -> int:
    """There is news of these (order, part), or of lines of them: a status that is still owed and parked is brought about anew,
    for what it was refused for may be gone. How many woke.
    """
    cur.execute(
        "SELECT l.id FROM unnest(%s::text[], %s::text[]) AS w(order_id, facet) JOIN lane l ON l.connection = %s "
        "AND l.kind = 'order_status' AND l.entity_id = w.order_id AND l.facet = w.facet WHERE l.state = 'parked' AND l.dirty",
        ([order_id for order_id, _ in parts], [facet for _, facet in parts], connection),
    )
    woken = wake(cur, [row[0] for row in cur.fetchall()], now, "news")
    for lane_id in woken:
        parking.resolve(cur, now, "news", subject=subject(lane_id))
    return len(woken)


def without_record(cur: Cursor, connection: str, kind: str, entity_id: str) -> list[Lane]:
    """The lanes of an entity that no vendor record stands for and that nobody works on, locked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.connection = %s AND l.kind = %s AND l.entity_id = %s "
        "AND r.vendor_id IS NULL AND l.state IN ('ready', 'parked') ORDER BY l.facet, l.id FOR UPDATE OF l",
        (connection, kind, entity_id),
    )
    return [_lane(row) for row in cur.fetchall()]


def carrying(cur: Cursor, connection: str, entity_id: str, facet: str) -> Lane | None:
    """The lane that carries an entity's own record at a connection, as it stands, not locked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.connection = %s AND l.entity_id = %s AND l.facet = %s "
        "AND l.kind IN ('party', 'order', 'line') ORDER BY l.id LIMIT 1",
        (connection, entity_id, facet),
    )
    row = cur.fetchone()
    return None if row is None else _lane(row)


def lines_beside_their_order(cur: Cursor, connection: str) -> frozenset[str]:
    """Lines of which nothing is sent because their order is in another currency; the change that waits is shown as parked."""
    cur.execute(
        f"SELECT l.entity_id FROM lane l WHERE l.connection = %s AND l.kind = 'line' AND l.dirty "
        f"AND NOT ({AGREES_WITH_ITS_ORDER.format('l')})",
        (connection,),
    )
    return frozenset(row[0] for row in cur.fetchall())


def orders_behind_parked(cur: Cursor, connection: str) -> frozenset[str]:
    """Orders that cannot be sent because a party of theirs, or they themselves, are parked and not at the vendor yet."""
    cur.execute(
        f"SELECT op.order_id FROM lane l {_JOIN} JOIN order_party op ON op.party_id = l.entity_id AND op.role = l.facet "
        "WHERE l.connection = %(c)s AND l.kind = 'party' AND l.state = 'parked' AND r.vendor_id IS NULL UNION "
        f"SELECT l.order_id FROM lane l {_JOIN} WHERE l.connection = %(c)s AND l.kind = 'order' AND l.state = 'parked' "
        "AND r.vendor_id IS NULL",
        {"c": connection},
    )
    return frozenset(row[0] for row in cur.fetchall())

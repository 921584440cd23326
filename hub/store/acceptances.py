"""Vendor values that a person accepted in place of ours, and what vendors acknowledged, to be compared with what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.database import Cursor
from hub.store.lanes import _COLUMNS, _JOIN, Lane, _lane


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted vendor field: as long as ours stays `wanted` and theirs `present` (both as stored bytes), nobody is asked."""

    field: str
    wanted: bytes
    present: bytes


def of_lanes(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, dict[str, Accepted]]:
    """Accepted fields by lane."""
    cur.execute("SELECT lane_id, field, wanted, present FROM accepted_value WHERE lane_id = ANY(%s)", (list(lane_ids),))
    found: dict[int, dict[str, Accepted]] = {}
    for lane_id, field, wanted, present in cur.fetchall():
        found.setdefault(lane_id, {})[field] = Accepted(field, bytes(wanted), bytes(present))
    return found


def accept(cur: Cursor, lane_id: int, accepted: Sequence[Accepted], by: str, now: datetime) -> None:
    """Keep what a person accepted."""
    cur.executemany(
        "INSERT INTO accepted_value (lane_id, field, wanted, present, by, at) VALUES (%s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (lane_id, field) DO UPDATE SET wanted = excluded.wanted, present = excluded.present, "
        "by = excluded.by, at = excluded.at",
        [(lane_id, each.field, each.wanted, each.present, by, now) for each in accepted],
    )


def forget(cur: Cursor, lane_id: int, fields: Sequence[str]) -> None:
    """Our side changed: the acceptance of these fields is over."""
    cur.execute("DELETE FROM accepted_value WHERE lane_id = %s AND field = ANY(%s)", (lane_id, list(fields)))


def at_rest(cur: Cursor, connection: str, kind: str, after: int, limit: int) -> list[Lane]:
    """Lanes of a kind whose record holds what it should as far as we know, in the order of their numbers."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE l.connection = %s AND l.kind = %s AND l.id > %s AND NOT l.dirty "
        "AND l.state = 'ready' AND l.acked_payload IS NOT NULL AND r.vendor_id IS NOT NULL ORDER BY l.id LIMIT %s",
        (connection, kind, after, limit),
    )
    return [_lane(row) for row in cur.fetchall()]


def undecided(cur: Cursor, lane_ids: Sequence[int]) -> frozenset[int]:
    """Which of these lanes are parked for nothing but another value at the vendor: there is nothing to send or to try again."""
    cur.execute(
        "SELECT l.id FROM lane l WHERE l.id = ANY(%s) AND l.state = 'parked' AND NOT l.dirty AND l.acked_payload IS NOT NULL "
        "AND EXISTS (SELECT 1 FROM parked p WHERE p.lane_id = l.id AND p.resolved_at IS NULL AND p.reason = 'conflict')",
        (list(lane_ids),),
    )
    return frozenset(row[0] for row in cur.fetchall())


def in_conflict(cur: Cursor, order_id: str) -> list[Lane]:
    """The lanes of an order, its lines and parties that are parked for a conflict, locked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM lane l {_JOIN} WHERE (l.order_id = %(o)s OR (l.kind = 'party' AND l.entity_id IN "
        "(SELECT party_id FROM order_party WHERE order_id = %(o)s))) AND l.state = 'parked' AND EXISTS (SELECT 1 FROM parked p "
        "WHERE p.lane_id = l.id AND p.resolved_at IS NULL AND p.reason = 'conflict') ORDER BY l.id FOR UPDATE OF l",
        {"o": order_id},
    )
    return [_lane(row) for row in cur.fetchall()]

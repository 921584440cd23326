"""Plans that a guard held: which lanes they hold with which content, and who let them go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hub.store.database import Cursor
from hub.store.lanes import _JOIN

OPEN, APPROVED, REPLACED = "open", "approved", "replaced"

_BASE = "CASE l.kind WHEN 'order_status' THEN 'order' WHEN 'line_status' THEN 'line' ELSE l.kind END"
# An update or verb for a record that exists. Bringing a new order into its first status belongs to creating it.
_CHANGES = (
    "l.connection = %(c)s AND l.dirty AND l.state = 'ready' AND (l.not_before IS NULL OR l.not_before <= %(now)s) "
    "AND l.kind IN ('party', 'order', 'line', 'order_status', 'line_status') AND r.vendor_id IS NOT NULL "
    "AND (l.kind <> 'order_status' OR l.acked_hash IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM guard_lane g "
    "JOIN guard_plan p ON p.hash = g.hash WHERE g.lane_id = l.id AND g.desired_hash = l.desired_hash AND p.state = 'approved')"
)
_HELD_BEFORE = "EXISTS (SELECT 1 FROM guard_lane g JOIN guard_plan p ON p.hash = g.hash WHERE g.lane_id = l.id AND p.state = 'open')"


@dataclass(frozen=True, slots=True)
class Due:
    """What is due at a connection, unapproved: lanes by kind of record, and lanes that an open plan held before."""

    by_kind: dict[str, int]
    held_before: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One held plan."""

    hash: str
    connection: str
    why: str
    records: int
    made_at: datetime
    state: str
    decided_by: str | None


def due(cur: Cursor, connection: str, now: datetime) -> Due:
    """How many changes of existing records are due."""
    cur.execute(
        f"SELECT {_BASE}, count(DISTINCT (l.entity_id, l.facet)), count(*) FILTER (WHERE {_HELD_BEFORE}) FROM lane l {_JOIN} "
        f"WHERE {_CHANGES} GROUP BY 1",
        {"c": connection, "now": now},
    )
    rows = cur.fetchall()
    return Due({row[0]: row[1] for row in rows}, sum(row[2] for row in rows))


def due_lanes(cur: Cursor, connection: str, now: datetime) -> tuple[list[int], list[int]]:
    """The lanes behind `due`, in sending order, and those among them that an open plan held before."""
    cur.execute(
        f"SELECT l.id, {_HELD_BEFORE} FROM lane l {_JOIN} WHERE {_CHANGES} ORDER BY l.stage, l.order_id, l.id",
        {"c": connection, "now": now},
    )
    rows = cur.fetchall()
    return [row[0] for row in rows], [row[0] for row in rows if row[1]]


def approved(cur: Cursor, lane_ids: Sequence[int]) -> frozenset[int]:
    """Those of these lanes that somebody let go as they stand."""
    cur.execute(
        "SELECT DISTINCT l.id FROM lane l JOIN guard_lane g ON g.lane_id = l.id AND g.desired_hash = l.desired_hash "
        "JOIN guard_plan p ON p.hash = g.hash WHERE l.id = ANY(%s) AND p.state = 'approved'",
        (list(lane_ids),),
    )
    return frozenset(row[0] for row in cur.fetchall())


def acknowledged(cur: Cursor, connection: str) -> dict[str, int]:
    """How many records of each kind a connection acknowledged, those with a later update in doubt included."""
    cur.execute(
        "SELECT kind, count(*) FROM reference WHERE connection = %s AND kind IN ('party', 'order', 'line') "
        "AND superseded_at IS NULL GROUP BY kind",
        (connection,),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def contents(cur: Cursor, lane_ids: Sequence[int]) -> list[tuple[int, UUID, UUID | None]]:
    """(lane, desired, acknowledged) hashes, by lane."""
    cur.execute("SELECT id, desired_hash, acked_hash FROM lane WHERE id = ANY(%s) ORDER BY id", (list(lane_ids),))
    return cur.fetchall()


def open_lanes(cur: Cursor, connection: str) -> list[int]:
    """Lanes that an open plan of a connection holds parked."""
    cur.execute(
        "SELECT DISTINCT l.id FROM guard_plan p JOIN guard_lane g ON g.hash = p.hash JOIN lane l ON l.id = g.lane_id "
        "WHERE p.connection = %s AND p.state = 'open' AND l.state = 'parked' AND l.desired_hash = g.desired_hash "
        "AND EXISTS (SELECT 1 FROM parked i WHERE i.lane_id = l.id AND i.resolved_at IS NULL AND i.reason = 'guard') "
        "ORDER BY 1",
        (connection,),
    )
    return [row[0] for row in cur.fetchall()]


def put(
    cur: Cursor,
    *,
    plan_hash: str,
    connection: str,
    why: str,
    records: int,
    lanes: Sequence[tuple[int, UUID]],
    now: datetime,
    state: str = OPEN,
    by: str | None = None,
) -> None:
    """Keep a plan; one of the same content is the same plan."""
    cur.execute(
        "INSERT INTO guard_plan (hash, connection, why, records, made_at, state, decided_at, decided_by) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (hash) DO UPDATE SET why = excluded.why, "
        "records = excluded.records, state = excluded.state, decided_at = excluded.decided_at, "
        "decided_by = excluded.decided_by",
        (plan_hash, connection, why, records, now, state, now if by else None, by),
    )
    cur.execute(
        "INSERT INTO guard_lane (hash, lane_id, desired_hash) SELECT %s, * FROM unnest(%s::bigint[], %s::uuid[]) "
        "ON CONFLICT DO NOTHING",
        (plan_hash, [lane_id for lane_id, _ in lanes], [desired for _, desired in lanes]),
    )


def allow(cur: Cursor, name: str, lane_ids: Sequence[int], by: str, now: datetime) -> None:
    """A person asked for these lanes to be sent as they stand: approved before anybody held them."""
    wanted = [(lane_id, desired) for lane_id, desired, _ in contents(cur, lane_ids)]
    put(
        cur,
        plan_hash=name,
        connection="",
        why="asked for by name",
        records=len(wanted),
        lanes=wanted,
        now=now,
        state=APPROVED,
        by=by,
    )


def replace_open(cur: Cursor, connection: str, plan_hash: str, now: datetime) -> None:
    """Every other open plan of lanes at a connection is over: its lanes are in this one."""
    cur.execute(
        "UPDATE guard_plan p SET state = 'replaced', decided_at = %s WHERE connection = %s AND state = 'open' AND hash <> %s "
        "AND EXISTS (SELECT 1 FROM guard_lane g WHERE g.hash = p.hash)",
        (now, connection, plan_hash),
    )


def find(cur: Cursor, beginning: str, *, lock: bool = False) -> list[Plan]:
    """Plans whose hash begins so."""
    cur.execute(
        "SELECT hash, connection, why, records, made_at, state, decided_by FROM guard_plan WHERE starts_with(hash, %s) "
        "ORDER BY made_at DESC" + (" FOR UPDATE" if lock else ""),
        (beginning,),
    )
    return [Plan(*row) for row in cur.fetchall()]


def lanes_of(cur: Cursor, plan_hash: str) -> tuple[list[int], int]:
    """The lanes of a plan that stand as it found them, locked, and how many moved since."""
    cur.execute(
        "SELECT l.id, l.state = 'parked' AND l.desired_hash = g.desired_hash FROM guard_lane g JOIN lane l ON l.id = g.lane_id "
        "WHERE g.hash = %s ORDER BY l.order_id, l.id FOR UPDATE OF l",
        (plan_hash,),
    )
    rows = cur.fetchall()
    return [row[0] for row in rows if row[1]], sum(not row[1] for row in rows)


def decide(cur: Cursor, plan_hash: str, state: str, by: str, now: datetime) -> None:
    """Record who decided a plan."""
    cur.execute(
        "UPDATE guard_plan SET state = %s, decided_at = %s, decided_by = %s WHERE hash = %s",
        (state, now, by, plan_hash),
    )

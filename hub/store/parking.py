"""Parked work: what waits for a person, why, who that is, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.ops.reasons import group_key
from hub.store import journal, parked_parties
from hub.store.audit import note
from hub.store.database import Cursor, Row
from oms_schema.ids import EntityKind
from oms_schema.problems import Problem

RETRIED = "retried"
"""How an item is resolved that the hub tries again by itself."""

_OVER = ("in sync", "accepted", "adopted")
"""Resolutions after which the same trouble is a new one, with a new beginning."""


@dataclass(frozen=True, slots=True)
class Item:
    """One open item. `lane_id` or `change_id` says what it is about; `since` is when the same trouble began."""

    id: int
    connection: str
    subject: str
    change_id: int | None
    lane_id: int | None
    entity_kind: str
    entity_id: str
    order_id: str | None
    reason: str
    code: str
    path: str
    value: str
    sentence: str
    fix: str
    owner: str
    opened_at: datetime
    group_key: str
    since: datetime
    tries: int


_COLUMNS = (
    "p.id, p.connection, p.subject, p.change_id, p.lane_id, p.entity_kind, p.entity_id, p.order_id, p.reason, p.code, p.path, "
    "p.value, p.sentence, p.fix, p.owner, p.opened_at, p.group_key, p.since, p.tries"
)


def open_items(
    cur: Cursor,
    problems: Sequence[Problem],
    *,
    connection: str,
    subject: str,
    entity_kind: str,
    entity_id: str,
    order_id: str | None,
    now: datetime,
    change_id: int | None = None,
    lane_id: int | None = None,
) -> None:
    """Park a subject with all its problems; what was parked for the same subject before is replaced.

    Trouble that comes back after a try keeps its beginning and counts the try.
    """
    resolve(cur, now, "replaced", subject=subject)
    before = _latest(cur, subject)
    for problem in problems:
        key = group_key(connection, problem)
        since, tries, resolution = before.get(key, (now, 0, ""))
        again = resolution in _OVER or resolution.startswith("ignored")
        cur.execute(
            "INSERT INTO parked (connection, subject, change_id, lane_id, entity_kind, entity_id, order_id, reason, code, "
            "path, value, sentence, fix, owner, opened_at, group_key, since, tries) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                connection,
                subject,
                change_id,
                lane_id,
                entity_kind,
                entity_id,
                order_id,
                problem.reason,
                problem.code,
                problem.path,
                problem.value,
                problem.sentence,
                problem.fix,
                problem.owner,
                now,
                key,
                now if again else since,
                0 if again else tries + (resolution == RETRIED),
            ),
        )
        row = cur.fetchone()
        assert row is not None
        told = {"of": subject, "reason": problem.reason, "code": problem.code, "group": key}
        note(cur, f"parked:{row[0]}", "parked", **told)
        if lane_id is not None and entity_kind == EntityKind.PARTY:
            _mark_waiting_orders(cur, [row[0]])


def _latest(cur: Cursor, subject: str) -> dict[str, tuple[datetime, int, str]]:
    """(since, tries, resolution) of the newest closed item of each group of a subject."""
    cur.execute(
        "SELECT DISTINCT ON (group_key) group_key, since, tries, resolution FROM parked WHERE subject = %s "
        "ORDER BY group_key, id DESC",
        (subject,),
    )
    return {row[0]: (row[1], row[2], row[3] or "") for row in cur.fetchall()}


def resolve(cur: Cursor, now: datetime, resolution: str, *, subject: str) -> int:
    """Close what is parked for a subject (`change:<connection>:<stream>:<native id>` or `lane:<id>`)."""
    cur.execute(
        "UPDATE parked SET resolved_at = %s, resolution = %s WHERE subject = %s AND resolved_at IS NULL RETURNING id",
        (now, resolution, subject),
    )
    return _closed(cur, resolution)


def orders_of(cur: Cursor, subject: str) -> set[str]:
    """The orders that what is parked for a subject belongs to."""
    cur.execute(
        "SELECT DISTINCT order_id FROM parked WHERE subject = %s AND resolved_at IS NULL AND order_id IS NOT NULL",
        (subject,),
    )
    return {row[0] for row in cur.fetchall()}


def any_open(cur: Cursor) -> bool:
    """Whether anything is parked at all."""
    cur.execute("SELECT EXISTS (SELECT 1 FROM parked WHERE resolved_at IS NULL)")
    row = cur.fetchone()
    return row is not None and bool(row[0])


def open_subjects(cur: Cursor, connection: str) -> set[str]:
    """The subjects of a connection that have open parked work."""
    cur.execute("SELECT DISTINCT subject FROM parked WHERE connection = %s AND resolved_at IS NULL", (connection,))
    return {row[0] for row in cur.fetchall()}


def resolve_items(cur: Cursor, now: datetime, resolution: str, ids: Sequence[int]) -> int:
    """Close these items, as far as they are still open."""
    cur.execute(
        "UPDATE parked SET resolved_at = %s, resolution = %s WHERE id = ANY(%s) AND resolved_at IS NULL RETURNING id",
        (now, resolution, list(ids)),
    )
    return _closed(cur, resolution)


def _closed(cur: Cursor, resolution: str) -> int:
    closed = sorted(row[0] for row in cur.fetchall())
    for item_id in closed:
        note(cur, f"parked:{item_id}", "no longer parked", resolution=resolution)
    _mark_waiting_orders(cur, closed)
    return len(closed)


def _mark_waiting_orders(cur: Cursor, item_ids: Sequence[int]) -> None:
    """What a party holds up is shown on its orders."""
    if item_ids:
        journal.mark_stale(cur, parked_parties.orders_of(cur, item_ids))


def groups(cur: Cursor) -> list[Row]:
    """(reason, code, connection, subjects, a sentence, owner, a sample entity, since, key, fix, path, value, changes) of every
    group of open parked work, the largest first; `changes` says that the group came from a source."""
    cur.execute(
        "SELECT p.reason, p.code, p.connection, count(DISTINCT p.subject), min(p.sentence), min(p.owner), min(p.entity_id), "
        "min(p.since), p.group_key, min(p.fix), min(p.path), min(p.value), bool_and(p.change_id IS NOT NULL) "
        "FROM parked p WHERE p.resolved_at IS NULL GROUP BY p.group_key, p.reason, p.code, p.connection "
        "ORDER BY 4 DESC, 1, 2, 3, 9"
    )
    return cur.fetchall()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which open items are meant; every part that is given must hold. `subject` is an item's own, its entity's or its order's."""

    reason: str | None = None
    code: str | None = None
    connection: str | None = None
    group: str | None = None
    subject: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """The parts that are given."""
        parts = {
            "reason": self.reason,
            "code": self.code,
            "connection": self.connection,
            "group": self.group,
            "subject": self.subject,
        }
        return {name: part for name, part in parts.items() if part is not None}


def items(cur: Cursor, selection: Selection | None = None) -> list[Item]:
    """Open parked work that is meant, oldest first."""
    wanted = selection or Selection()
    cur.execute(
        f"SELECT {_COLUMNS} FROM parked p WHERE p.resolved_at IS NULL AND (%(r)s::text IS NULL OR p.reason = %(r)s) "
        "AND (%(c)s::text IS NULL OR p.code = %(c)s) AND (%(n)s::text IS NULL OR p.connection = %(n)s) "
        "AND (%(g)s::text IS NULL OR p.group_key = %(g)s) "
        "AND (%(s)s::text IS NULL OR p.subject = %(s)s OR p.entity_id = %(s)s OR p.order_id = %(s)s) ORDER BY p.id",
        {
            "r": wanted.reason,
            "c": wanted.code,
            "n": wanted.connection,
            "g": wanted.group,
            "s": wanted.subject,
        },
    )
    return [Item(*row) for row in cur.fetchall()]


_NAMED = {
    "reason": "p.reason = %(v)s",
    "code": "p.code = %(v)s",
    "connection": "p.connection = %(v)s",
    "group": "p.group_key = %(v)s",
    "subject": "(p.subject = %(v)s OR p.entity_id = %(v)s OR p.order_id = %(v)s)",
}
"""What each part of a selection asks of an item."""


def ever(cur: Cursor, part: str, value: str) -> bool:
    """Whether anything was parked, once or now, for which this part of a selection holds."""
    cur.execute(f"SELECT EXISTS (SELECT 1 FROM parked p WHERE {_NAMED[part]})", {"v": value})
    row = cur.fetchone()
    return row is not None and bool(row[0])


def open_names(cur: Cursor, part: str) -> list[str]:
    """The codes, groups or subjects' entities of open parked work, sorted."""
    column = {"code": "code", "group": "group_key", "subject": "entity_id"}[part]
    cur.execute(f"SELECT DISTINCT {column} FROM parked WHERE resolved_at IS NULL ORDER BY 1")
    return [row[0] for row in cur.fetchall()]


def is_entity(cur: Cursor, text: str) -> bool:
    """Whether a text is the id of an entity or document that the hub knows, parked or not."""
    cur.execute(
        "SELECT EXISTS (SELECT 1 FROM entity WHERE id = %(t)s) OR EXISTS (SELECT 1 FROM lane WHERE entity_id = %(t)s)",
        {"t": text},
    )
    row = cur.fetchone()
    return row is not None and bool(row[0])


def of_parties(cur: Cursor, order_id: str) -> list[Item]:
    """What is open about the lanes of an order's parties."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM parked p WHERE p.resolved_at IS NULL AND p.lane_id IS NOT NULL AND p.entity_kind = 'party' "
        "AND p.entity_id IN (SELECT party_id FROM order_party WHERE order_id = %s) ORDER BY p.id",
        (order_id,),
    )
    return [Item(*row) for row in cur.fetchall()]


def of_orders(cur: Cursor, order_ids: Sequence[str], line_ids: Sequence[str] = ()) -> list[Row]:
    """(order, kind, entity, reason, code, path, sentence, owner, opened, resolved, resolution, connection) for these orders."""
    cur.execute(
        "SELECT coalesce(order_id, entity_id), entity_kind, entity_id, reason, code, path, sentence, owner, opened_at, "
        "resolved_at, resolution, connection FROM parked WHERE order_id = ANY(%(o)s) OR entity_id = ANY(%(e)s) ORDER BY id",
        {"o": list(order_ids), "e": [*order_ids, *line_ids]},
    )
    return cur.fetchall()


def count(cur: Cursor, connection: str) -> int:
    """How many subjects are parked at a connection."""
    cur.execute(
        "SELECT count(DISTINCT subject) FROM parked WHERE connection = %s AND resolved_at IS NULL", (connection,)
    )
    row = cur.fetchone()
    return 0 if row is None else int(row[0])


# ---------------------------------------------------------------- mass replays
def begin_mass_replay(cur: Cursor, key: str, *, at: datetime, actor: str, note_text: str, subjects: int) -> int | None:
    """Claim a mass replay's key; None when it is new, else how many that replay put back: nothing is to be done twice."""
    cur.execute(
        "INSERT INTO mass_replay (key, at, actor, note, count) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (key) DO NOTHING",
        (key, at, actor, note_text, subjects),
    )
    if cur.rowcount:
        return None
    cur.execute("SELECT count FROM mass_replay WHERE key = %s", (key,))
    row = cur.fetchone()
    assert row is not None
    return int(row[0])


# ---------------------------------------------------------------- what the hub tries again by itself
_OF_REASONS = "((p.lane_id IS NOT NULL AND p.reason = ANY(%(sends)s)) OR (p.change_id IS NOT NULL AND p.reason = ANY(%(changes)s)))"
_RUNS = "NOT EXISTS (SELECT 1 FROM connection_state s WHERE s.connection = p.connection AND s.paused_at IS NOT NULL)"


def checked_since(cur: Cursor, sends: Sequence[str], changes: Sequence[str]) -> list[Item]:
    """Items of these reasons whose connection was found to work after they were parked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM parked p JOIN connection_state c ON c.connection = p.connection AND c.state = 'ok' "
        f"AND c.changed_at > p.opened_at WHERE p.resolved_at IS NULL AND {_OF_REASONS} AND {_RUNS} ORDER BY p.id",
        {"sends": list(sends), "changes": list(changes)},
    )
    return [Item(*row) for row in cur.fetchall()]


def arrived_since(cur: Cursor, sends: Sequence[str], changes: Sequence[str]) -> list[Item]:
    """Items of these reasons whose missing reference is there now: an entity, a vendor record, or a name at the vendor."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM parked p WHERE p.resolved_at IS NULL AND {_OF_REASONS} AND {_RUNS} AND ("
        "  EXISTS (SELECT 1 FROM change c JOIN entity e ON e.id = c.waits_for WHERE c.id = p.change_id AND c.status = 'held') "
        "  OR (p.lane_id IS NOT NULL AND EXISTS (SELECT 1 FROM reference r WHERE r.connection = p.connection "
        "    AND r.superseded_at IS NULL AND r.since > p.opened_at AND (r.entity_id = p.order_id OR r.entity_id IN "
        "    (SELECT o.party_id FROM order_party o WHERE o.order_id = p.order_id)))) "
        "  OR (p.lane_id IS NOT NULL AND EXISTS (SELECT 1 FROM lookup k WHERE k.connection = p.connection "
        "    AND k.name = p.value AND k.vendor_id IS NOT NULL AND k.looked_up_at > p.opened_at))) ORDER BY p.id",
        {"sends": list(sends), "changes": list(changes)},
    )
    return [Item(*row) for row in cur.fetchall()]


def samples(cur: Cursor, sends: Sequence[str], changes: Sequence[str], before: datetime) -> list[Item]:
    """The longest parked item of each group of these reasons that lies since `before`, where none of its group was tried since."""
    cur.execute(
        f"SELECT DISTINCT ON (p.group_key) {_COLUMNS} FROM parked p WHERE p.resolved_at IS NULL AND {_OF_REASONS} "
        f"AND {_RUNS} AND p.opened_at <= %(before)s AND NOT EXISTS (SELECT 1 FROM parked r WHERE r.group_key = p.group_key "
        f"AND r.resolution = '{RETRIED}' AND r.resolved_at > %(before)s) ORDER BY p.group_key, p.opened_at, p.id",
        {"sends": list(sends), "changes": list(changes), "before": before},
    )
    return [Item(*row) for row in cur.fetchall()]


def followers(cur: Cursor, sends: Sequence[str], changes: Sequence[str]) -> list[Item]:
    """Items of groups of these reasons of which another one passed when it was tried again after they were parked."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM parked p WHERE p.resolved_at IS NULL AND {_OF_REASONS} AND {_RUNS} AND EXISTS ("
        "  SELECT 1 FROM parked r LEFT JOIN lane l ON l.id = r.lane_id LEFT JOIN change c ON c.id = r.change_id "
        f"  WHERE r.group_key = p.group_key AND r.resolution = '{RETRIED}' AND r.resolved_at > p.opened_at "
        "  AND ((l.state = 'ready' AND l.acked_at >= r.resolved_at) OR c.status IN ('accepted', 'unchanged'))) ORDER BY p.id",
        {"sends": list(sends), "changes": list(changes)},
    )
    return [Item(*row) for row in cur.fetchall()]

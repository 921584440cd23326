"""Attempts: each send, written before the bytes leave, and what came of it; and the references that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from hub.store.audit import note
from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Attempt:
    """One send as stored; `outcome` None means no answer was recorded."""

    id: int
    lane_id: int
    key: str
    record: str
    operation: str
    action: str | None
    version: int
    desired_hash: UUID
    payload: bytes
    vendor_id: str | None
    invoked_at: datetime
    outcome: str | None
    code: str | None


_COLUMNS = (
    "id, lane_id, key, record, operation, action, version, desired_hash, payload, vendor_id, invoked_at, outcome, code"
)


class Send(NamedTuple):
    """One write that is about to be sent."""

    lane_id: int
    key: str
    record: str
    operation: str
    action: str | None
    version: int
    desired_hash: UUID
    payload: bytes
    vendor_id: str | None
    fence: int


def invoke_all(cur: Cursor, sends: Sequence[Send], now: datetime) -> list[int]:
    """Write a batch of attempts down before it is sent, at most one for each lane; returns their numbers, in order."""
    if not sends:
        return []
    cur.execute(
        "INSERT INTO attempt (lane_id, key, record, operation, action, version, desired_hash, payload, vendor_id, fence, "
        "invoked_at) SELECT w.l, w.k, w.r, w.o, w.a, w.v, w.h, w.p, w.i, w.f, %s FROM unnest(%s::bigint[], %s::text[], "
        "%s::text[], %s::text[], %s::text[], %s::int[], %s::uuid[], %s::bytea[], %s::text[], %s::bigint[]) "
        "WITH ORDINALITY AS w(l, k, r, o, a, v, h, p, i, f, place) ORDER BY w.place RETURNING lane_id, id",
        (now, *(list(column) for column in zip(*sends, strict=True))),
    )
    numbers: dict[int, int] = dict(cur.fetchall())
    for send in sends:
        note(
            cur,
            subject(numbers[send.lane_id]),
            "attempt invoked",
            lane=send.lane_id,
            key=send.key,
            operation=send.action or send.operation,
            version=send.version,
            hash=send.desired_hash.hex,
        )
    return [numbers[send.lane_id] for send in sends]


def subject(attempt_id: int) -> str:
    """How the audit chain names an attempt."""
    return f"attempt:{attempt_id}"


def finish(
    cur: Cursor,
    attempt_id: int,
    outcome: str,
    now: datetime,
    *,
    code: str | None = None,
    message: str | None = None,
    vendor_id: str | None = None,
    evidence: bytes | None = None,
) -> None:
    """Record what became of an attempt. A doubt that comes late does not replace what a look-up has found out meanwhile."""
    cur.execute(
        "UPDATE attempt SET outcome = %(outcome)s, finished_at = %(now)s, code = %(code)s, message = %(message)s, "
        "evidence = %(evidence)s, vendor_id = coalesce(%(vendor_id)s, vendor_id) WHERE id = %(id)s "
        "AND NOT (%(outcome)s = 'in_doubt' AND outcome IS NOT NULL AND outcome <> 'in_doubt')",
        {
            "outcome": outcome,
            "now": now,
            "code": code,
            "message": message,
            "evidence": evidence,
            "vendor_id": vendor_id,
            "id": attempt_id,
        },
    )
    if cur.rowcount:
        note(cur, subject(attempt_id), "attempt finished", outcome=outcome, code=code, vendor_id=vendor_id)


def last_of(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, Attempt]:
    """The newest attempt of each lane that has one."""
    cur.execute(
        f"SELECT DISTINCT ON (lane_id) {_COLUMNS} FROM attempt WHERE lane_id = ANY(%s) ORDER BY lane_id, id DESC",
        (list(lane_ids),),
    )
    return {row[1]: Attempt(*row) for row in cur.fetchall()}


def evidence_of(cur: Cursor, attempt_ids: Sequence[int]) -> dict[int, bytes]:
    """What the vendor's answers left behind, of those attempts that have it."""
    cur.execute("SELECT id, evidence FROM attempt WHERE id = ANY(%s) AND evidence IS NOT NULL", (list(attempt_ids),))
    return dict(cur.fetchall())


def last_taken(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, bytes]:
    """The record that the vendor last said it took of each lane, whatever was in doubt since: of the object that stands
    for the entity now, and of no verb."""
    cur.execute(
        "SELECT DISTINCT ON (a.lane_id) a.lane_id, a.payload FROM lane l JOIN reference r ON r.connection = l.connection "
        "AND r.kind = l.kind AND r.entity_id = l.entity_id AND r.facet = l.facet AND r.superseded_at IS NULL "
        "JOIN attempt a ON a.lane_id = l.id AND a.vendor_id = r.vendor_id WHERE l.id = ANY(%s) AND a.operation <> 'act' "
        "AND a.outcome IN ('created', 'updated', 'unchanged') ORDER BY a.lane_id, a.id DESC",
        (list(lane_ids),),
    )
    return {row[0]: bytes(row[1]) for row in cur.fetchall()}


def doubtful_creates(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, Attempt]:
    """The newest create of each lane of which nobody knows whether it was applied."""
    cur.execute(
        f"SELECT DISTINCT ON (lane_id) {_COLUMNS} FROM attempt WHERE lane_id = ANY(%s) AND operation = 'create' "
        "AND (outcome IS NULL OR outcome = 'in_doubt') ORDER BY lane_id, id DESC",
        (list(lane_ids),),
    )
    return {row[1]: Attempt(*row) for row in cur.fetchall()}


ADOPTED = "ADOPTED"
"""The code of a create whose entity got a record that it need not have made: it may still be carried out."""


BEFORE_RESTORE = "BEFORE-RESTORE"
"""The code of a create that the store does not know of, and that may have been carried out before it was restored."""


def adopted_instead(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, Attempt]:
    """The newest create of each lane in whose place another record was adopted."""
    cur.execute(
        f"SELECT DISTINCT ON (lane_id) {_COLUMNS} FROM attempt WHERE lane_id = ANY(%s) AND operation = 'create' "
        "AND outcome = 'created' AND code = %s ORDER BY lane_id, id DESC",
        (list(lane_ids), ADOPTED),
    )
    return {row[1]: Attempt(*row) for row in cur.fetchall()}


def earlier_creates(cur: Cursor, attempt: Attempt) -> list[Attempt]:
    """Creates of the lane before this one, of other content, that are still in doubt, the oldest first: each of them may have
    made what a look-up finds."""
    cur.execute(
        f"SELECT {_COLUMNS} FROM attempt WHERE lane_id = %s AND operation = 'create' AND id < %s AND payload <> %s "
        "AND (outcome IS NULL OR outcome = 'in_doubt') ORDER BY id",
        (attempt.lane_id, attempt.id, attempt.payload),
    )
    return [Attempt(*row) for row in cur.fetchall()]


def finish_doubtful_creates(
    cur: Cursor, lane_id: int, outcome: str, now: datetime, *, code: str, vendor_id: str | None = None
) -> None:
    """Record what became of every create of a lane that is still in doubt: a look-up answers for all that went before it."""
    cur.execute(
        "SELECT id FROM attempt WHERE lane_id = %s AND operation = 'create' AND (outcome IS NULL OR outcome = 'in_doubt') "
        "ORDER BY id",
        (lane_id,),
    )
    for (attempt_id,) in cur.fetchall():
        finish(cur, attempt_id, outcome, now, code=code, vendor_id=vendor_id)


def first_invoked(cur: Cursor, lane_ids: Sequence[int]) -> dict[tuple[int, str], datetime]:
    """When each key of these lanes was first sent, by (lane, key)."""
    cur.execute(
        "SELECT lane_id, key, min(invoked_at) FROM attempt WHERE lane_id = ANY(%s) GROUP BY lane_id, key",
        (list(lane_ids),),
    )
    return {(row[0], row[1]): row[2] for row in cur.fetchall()}


def doubtful_in_a_row(cur: Cursor, lane_ids: Sequence[int]) -> dict[int, int]:
    """How many of each lane's newest attempts the vendor left in doubt, one after the other; dead workers' do not count."""
    cur.execute(
        "SELECT a.lane_id, count(*) FROM attempt a WHERE a.lane_id = ANY(%s) AND a.outcome = 'in_doubt' "
        "AND a.code IS DISTINCT FROM 'WORKER-DIED' AND NOT EXISTS (SELECT 1 FROM attempt b WHERE b.lane_id = a.lane_id "
        "AND b.id > a.id AND b.outcome <> 'in_doubt') GROUP BY a.lane_id",
        (list(lane_ids),),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def of_order(
    cur: Cursor, order_ids: Sequence[str]
) -> list[
    tuple[
        datetime,
        datetime | None,
        str,
        str,
        str,
        str,
        str,
        str | None,
        int,
        str | None,
        str | None,
        str | None,
        str | None,
    ]
]:
    """All attempts for an order and its lines, oldest first: (invoked, finished, connection, kind, entity, facet,
    operation, action, version, outcome, code, message, vendor id)."""
    cur.execute(
        "SELECT a.invoked_at, a.finished_at, l.connection, l.kind, l.entity_id, l.facet, a.operation, a.action, a.version, "
        "a.outcome, a.code, a.message, a.vendor_id FROM attempt a JOIN lane l ON l.id = a.lane_id "
        "WHERE l.order_id = ANY(%(o)s) OR (l.kind = 'party' AND l.entity_id IN "
        "(SELECT party_id FROM order_party WHERE order_id = ANY(%(o)s))) ORDER BY a.id",
        {"o": list(order_ids)},
    )
    return cur.fetchall()


def put_reference(
    cur: Cursor,
    *,
    connection: str,
    kind: str,
    entity_id: str,
    facet: str,
    record: str,
    vendor_id: str,
    account: str,
    attempt_id: int | None,
    now: datetime,
) -> str | None:
    """Record which vendor object carries an entity. Returns the id of another entity that already holds this object."""
    insert = (
        "INSERT INTO reference (connection, kind, entity_id, facet, record, vendor_id, account, attempt_id, since) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
    )
    values = (connection, kind, entity_id, facet, record, vendor_id, account, attempt_id, now)
    # Nearly always neither the entity nor the object is known: then the unique indexes say so and one statement is enough.
    cur.execute(f"{insert} ON CONFLICT DO NOTHING RETURNING since", values)
    if cur.fetchone() is None:
        held = holder(cur, connection, record, vendor_id)
        if held is not None:
            return None if held == (entity_id, facet) else held[0]
        supersede_reference(cur, connection=connection, kind=kind, entity_id=entity_id, facet=facet, now=now)
        cur.execute(insert, values)
    note_reference(cur, connection, kind, entity_id, facet, record, vendor_id, attempt_id)
    return None


def note_reference(
    cur: Cursor,
    connection: str,
    kind: str,
    entity_id: str,
    facet: str,
    record: str,
    vendor_id: str,
    attempt_id: int | None,
) -> None:
    """Tell the audit chain which vendor object carries an entity."""
    name = f"{connection}/{kind}/{entity_id}/{facet}"
    note(cur, f"reference:{name}", "reference put", record=record, vendor_id=vendor_id, attempt=attempt_id)


def put_new_references(
    cur: Cursor,
    objects: Mapping[str, str],
    *,
    connection: str,
    kind: str,
    record: str,
    account: str,
    now: datetime,
) -> frozenset[str]:
    """Record the source objects (entity id -> vendor id) that carry these entities, where neither is known yet; which were.

    Nothing is noted. Those left out are for `put_reference`: the entity has another object, or the object another entity.
    """
    if not objects:
        return frozenset()
    cur.execute(
        "INSERT INTO reference (connection, kind, entity_id, facet, record, vendor_id, account, since) "
        "SELECT %s, %s, w.e, '', %s, w.v, %s, %s FROM unnest(%b::text[], %b::text[]) WITH ORDINALITY AS w(e, v, place) "
        "ORDER BY w.place ON CONFLICT DO NOTHING RETURNING entity_id",
        (connection, kind, record, account, now, list(objects), list(objects.values())),
    )
    return frozenset(row[0] for row in cur.fetchall())


def supersede_reference(
    cur: Cursor, *, connection: str, kind: str, entity_id: str, facet: str, now: datetime
) -> str | None:
    """An entity no longer stands for its vendor object; the old row stays as history. Returns the object's id."""
    cur.execute(
        "UPDATE reference SET superseded_at = %s WHERE connection = %s AND kind = %s AND entity_id = %s AND facet = %s "
        "AND superseded_at IS NULL RETURNING vendor_id",
        (now, connection, kind, entity_id, facet),
    )
    row = cur.fetchone()
    if row is None:
        return None
    note(cur, f"reference:{connection}/{kind}/{entity_id}/{facet}", "reference superseded", vendor_id=row[0])
    return str(row[0])


def holder(cur: Cursor, connection: str, record: str, vendor_id: str) -> tuple[str, str] | None:
    """(entity id, facet) of whoever stands for a vendor object now."""
    cur.execute(
        "SELECT entity_id, facet FROM reference WHERE connection = %s AND record = %s AND vendor_id = %s "
        "AND superseded_at IS NULL",
        (connection, record, vendor_id),
    )
    row = cur.fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def references(cur: Cursor, connection: str, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str, str], str]:
    """(kind, entity id, facet) -> vendor id, for these (kind, entity id)."""
    if not wanted:
        return {}
    pairs = set(wanted)
    # Planned anew each time: PostgreSQL plans a prepared statement for arrays of ten and then compares every reference of the
    # connection with every pair (2 to 4 s for each page of 2,000 lines of a first read, growing with what was read).
    cur.execute(
        "SELECT kind, entity_id, facet, vendor_id FROM reference WHERE connection = %s AND kind = ANY(%s) "
        "AND entity_id = ANY(%s) AND superseded_at IS NULL",
        (connection, sorted({kind for kind, _ in pairs}), sorted({entity_id for _, entity_id in pairs})),
        prepare=False,
    )
    return {(row[0], row[1], row[2]): row[3] for row in cur.fetchall() if (row[0], row[1]) in pairs}


def live(cur: Cursor, connection: str, kind: str) -> list[tuple[str, str, str]]:
    """(entity id, facet, vendor id) of every live reference of a kind."""
    cur.execute(
        "SELECT entity_id, facet, vendor_id FROM reference WHERE connection = %s AND kind = %s AND superseded_at IS NULL "
        "ORDER BY vendor_id",
        (connection, kind),
    )
    return cur.fetchall()


def of_orders(cur: Cursor, order_ids: Sequence[str]) -> list[tuple[str, str, str, str, str, str]]:
    """(order, connection, kind, entity, facet, vendor id) of orders and their lines."""
    cur.execute(
        "SELECT l.order_id, r.connection, r.kind, r.entity_id, r.facet, r.vendor_id FROM reference r "
        "JOIN lane l ON l.connection = r.connection AND l.kind = r.kind AND l.entity_id = r.entity_id AND l.facet = r.facet "
        "WHERE l.order_id = ANY(%s) AND r.superseded_at IS NULL AND r.kind IN ('order', 'line') ORDER BY l.stage, r.facet",
        (list(order_ids),),
    )
    return cur.fetchall()

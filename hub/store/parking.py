"""Parked work: what waits for a person, why, and who that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hub.store.database import Cursor, Row
from oms_schema.problems import Problem


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
    """Park a subject with all its problems; what was parked for the same subject before is replaced."""
    resolve(cur, now, "replaced", subject=subject)
    cur.executemany(
        "INSERT INTO parked (connection, subject, change_id, lane_id, entity_kind, entity_id, order_id, reason, code, path, "
        "value, sentence, fix, owner, opened_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                connection,
                subject,
                change_id,
                lane_id,
                entity_kind,
                entity_id,
                order_id,
                p.reason,
                p.code,
                p.path,
                p.value,
                p.sentence,
                p.fix,
                p.owner,
                now,
            )
            for p in problems
        ],
    )


def resolve(cur: Cursor, now: datetime, resolution: str, *, subject: str) -> int:
    """Close what is parked for a subject (`change:<connection>:<stream>:<native id>` or `lane:<id>`)."""
    cur.execute(
        "UPDATE parked SET resolved_at = %s, resolution = %s WHERE subject = %s AND resolved_at IS NULL",
        (now, resolution, subject),
    )
    return cur.rowcount


def groups(cur: Cursor) -> list[Row]:
    """(reason, code, connection, subjects, a sentence, owner, a sample entity, since) of all open parked work."""
    cur.execute(
        "SELECT reason, code, connection, count(DISTINCT subject), min(sentence), min(owner), min(entity_id), min(opened_at) "
        "FROM parked WHERE resolved_at IS NULL GROUP BY reason, code, connection ORDER BY 4 DESC, 1, 2, 3"
    )
    return cur.fetchall()


def items(
    cur: Cursor, *, reason: str | None = None, code: str | None = None, connection: str | None = None
) -> list[Row]:
    """(id, connection, subject, change, lane, kind, entity, order, reason, code, path, value, sentence, fix, owner, opened)
    of open parked work."""
    cur.execute(
        "SELECT id, connection, subject, change_id, lane_id, entity_kind, entity_id, order_id, reason, code, path, value, "
        "sentence, fix, owner, opened_at FROM parked WHERE resolved_at IS NULL AND (%(r)s::text IS NULL OR reason = %(r)s) "
        "AND (%(c)s::text IS NULL OR code = %(c)s) AND (%(n)s::text IS NULL OR connection = %(n)s) ORDER BY id",
        {"r": reason, "c": code, "n": connection},
    )
    return cur.fetchall()


def of_orders(cur: Cursor, order_ids: Sequence[str]) -> list[Row]:
    """(order, kind, entity, reason, code, path, sentence, owner, opened, resolved, resolution, connection) for these orders."""
    cur.execute(
        "SELECT coalesce(order_id, entity_id), entity_kind, entity_id, reason, code, path, sentence, owner, opened_at, "
        "resolved_at, resolution, connection FROM parked WHERE order_id = ANY(%(o)s) OR entity_id = ANY(%(o)s) ORDER BY id",
        {"o": list(order_ids)},
    )
    return cur.fetchall()


def count(cur: Cursor, connection: str) -> int:
    """How many subjects are parked at a connection."""
    cur.execute(
        "SELECT count(DISTINCT subject) FROM parked WHERE connection = %s AND resolved_at IS NULL", (connection,)
    )
    row = cur.fetchone()
    return 0 if row is None else int(row[0])

"""Delivery facts: versioned per (line, day, source, as-of), with the newest of each day beside them; and report jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.audit import note
from hub.store.database import Cursor

Units = tuple[int, int, int, int]
"""impressions, clicks, completed views, viewable impressions."""


_LOADING = 7_042_027
"""The advisory locks of whoever loads a report: any number that no other advisory lock of the hub has."""


@dataclass(frozen=True, slots=True)
class Job:
    """A report asked for at a vendor."""

    connection: str
    job: str
    since: date
    until: date
    as_of: datetime
    state: str


def add_job(
    cur: Cursor, connection: str, job: str, since: date, until: date, as_of: datetime, state: str, now: datetime
) -> None:
    """Remember a report that was asked for."""
    cur.execute(
        "INSERT INTO delivery_job (connection, job, since, until, as_of, state, requested_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (connection, job, since, until, as_of, state, now),
    )


def job(cur: Cursor, connection: str, job_id: str | None = None) -> Job | None:
    """A report by id, or the newest one still running or waiting to be loaded."""
    cur.execute(
        "SELECT connection, job, since, until, as_of, state FROM delivery_job WHERE connection = %(c)s "
        "AND (job = %(j)s OR (%(j)s::text IS NULL AND state IN ('running', 'ready'))) ORDER BY requested_at DESC LIMIT 1",
        {"c": connection, "j": job_id},
    )
    row = cur.fetchone()
    return None if row is None else Job(*row)


def set_job(
    cur: Cursor, connection: str, job_id: str, state: str, rows: int = 0, loaded_at: datetime | None = None
) -> None:
    """Say where a report stands."""
    cur.execute(
        "UPDATE delivery_job SET state = %s, rows = %s, loaded_at = %s WHERE connection = %s AND job = %s",
        (state, rows, loaded_at, connection, job_id),
    )


def begin_load(cur: Cursor, connection: str, job_id: str) -> bool:
    """Let the loads of one source follow one another; False when another worker has loaded this report meanwhile.

    Two at once would each compare with what the other is about to replace, and an older report could win.
    """
    cur.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOADING, connection))
    loaded = job(cur, connection, job_id)
    return loaded is None or loaded.state != "loaded"


def stage(cur: Cursor, rows: Iterable[tuple[str, str, date, int, int, int, int]]) -> int:
    """Stream (line vendor id, order vendor id, day, units…) into a temporary table; returns how many."""
    cur.execute(
        "CREATE TEMP TABLE staged (line_vendor_id text NOT NULL, order_vendor_id text NOT NULL, day date NOT NULL, "
        "impressions bigint NOT NULL, clicks bigint NOT NULL, completed_views bigint NOT NULL, "
        "viewable_impressions bigint NOT NULL) ON COMMIT DROP"
    )
    count = 0
    with cur.copy("COPY staged FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def merge(cur: Cursor, connection: str, as_of: datetime, job_id: str) -> tuple[int, int, int, list[str]]:
    """Staged rows into facts: (new, restated, quarantined, orders touched). An unchanged day writes nothing."""
    cur.execute(
        "INSERT INTO delivery_quarantine (connection, job, day, line_vendor_id, order_vendor_id, impressions, clicks) "
        "SELECT %(c)s, %(j)s, s.day, s.line_vendor_id, s.order_vendor_id, s.impressions, s.clicks FROM staged s "
        "WHERE NOT EXISTS (SELECT 1 FROM reference r WHERE r.connection = %(c)s AND r.kind = 'line' "
        "AND r.vendor_id = s.line_vendor_id)",
        {"c": connection, "j": job_id},
    )
    quarantined = cur.rowcount
    cur.execute(
        "CREATE TEMP TABLE news ON COMMIT DROP AS SELECT x.*, d.line_id IS NOT NULL AS restated FROM ("
        "  SELECT r.entity_id AS line_id, s.day, sum(s.impressions)::bigint AS impressions, sum(s.clicks)::bigint AS clicks, "
        "    sum(s.completed_views)::bigint AS completed_views, sum(s.viewable_impressions)::bigint AS viewable_impressions "
        "  FROM staged s JOIN (SELECT DISTINCT vendor_id, entity_id FROM reference WHERE connection = %(c)s "
        "    AND kind = 'line') r ON r.vendor_id = s.line_vendor_id GROUP BY 1, 2) x "
        "LEFT JOIN delivery_day d ON d.line_id = x.line_id AND d.source = %(c)s AND d.day = x.day "
        "WHERE d.line_id IS NULL OR ((d.impressions, d.clicks, d.completed_views, d.viewable_impressions) IS DISTINCT FROM "
        "(x.impressions, x.clicks, x.completed_views, x.viewable_impressions) AND d.as_of <= %(a)s)",
        {"c": connection, "a": as_of},
    )
    values = "impressions, clicks, completed_views, viewable_impressions"
    cur.execute(
        f"INSERT INTO delivery_fact (source, line_id, day, as_of, {values}) SELECT %(c)s, line_id, day, %(a)s, {values} "
        f"FROM news ON CONFLICT (source, line_id, day, as_of) DO UPDATE SET ({values}) = "
        "(excluded.impressions, excluded.clicks, excluded.completed_views, excluded.viewable_impressions)",
        {"c": connection, "a": as_of},
    )
    cur.execute(
        f"INSERT INTO delivery_day (source, line_id, day, as_of, {values}) SELECT %(c)s, line_id, day, %(a)s, {values} "
        f"FROM news ON CONFLICT (line_id, source, day) DO UPDATE SET as_of = excluded.as_of, ({values}) = "
        "(excluded.impressions, excluded.clicks, excluded.completed_views, excluded.viewable_impressions)",
        {"c": connection, "a": as_of},
    )
    cur.execute("SELECT count(*) FILTER (WHERE NOT restated), count(*) FILTER (WHERE restated) FROM news")
    counts = cur.fetchone()
    assert counts is not None
    loaded = {"as_of": as_of, "new": counts[0], "restated": counts[1], "quarantined": quarantined}
    note(cur, f"delivery:{connection}/{job_id}", "facts loaded", **loaded)
    cur.execute(
        "SELECT DISTINCT e.order_id FROM news n JOIN entity e ON e.kind = 'line' AND e.id = n.line_id "
        "WHERE e.order_id IS NOT NULL"
    )
    return counts[0], counts[1], quarantined, [row[0] for row in cur.fetchall()]


def totals(cur: Cursor, line_ids: Sequence[str]) -> dict[str, int]:
    """Impressions delivered so far, by line; the newest number of each day, one source per line and day counted."""
    cur.execute(
        "SELECT line_id, sum(impressions)::bigint FROM delivery_day WHERE line_id = ANY(%s) GROUP BY line_id",
        (list(line_ids),),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def total(cur: Cursor) -> int:
    """Impressions delivered in all."""
    cur.execute("SELECT coalesce(sum(impressions), 0)::bigint FROM delivery_day")
    row = cur.fetchone()
    return 0 if row is None else int(row[0])


def last_loaded(cur: Cursor, connection: str) -> datetime | None:
    """As-of of the newest report loaded from a connection."""
    cur.execute("SELECT max(as_of) FROM delivery_job WHERE connection = %s AND state = 'loaded'", (connection,))
    row = cur.fetchone()
    return None if row is None else row[0]

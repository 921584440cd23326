"""Delivery facts: versioned per (line, day, source, as-of), with the newest of each day beside them; and report jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.audit import note
from hub.store.database import Cursor

Units = tuple[int, int, int, int]
"""impressions, clicks, completed views, viewable impressions."""


UNITS = "impressions, clicks, completed_views, viewable_impressions"
"""The counted columns of every table of facts, in the order of `Units`."""

NEWER_QUARANTINE = (
    "ON CONFLICT (connection, line_vendor_id, day) DO UPDATE SET job = excluded.job, as_of = excluded.as_of, "
    "order_vendor_id = excluded.order_vendor_id, impressions = excluded.impressions, clicks = excluded.clicks, "
    "completed_views = excluded.completed_views, viewable_impressions = excluded.viewable_impressions "
    "WHERE delivery_quarantine.as_of <= excluded.as_of"
)
"""How a quarantined day meets what is there of it already: the newer report stays."""

_FIRST_PARTY = (
    "NOT EXISTS (SELECT 1 FROM delivery_source s WHERE s.source = delivery_day.source AND s.counted_by <> 'seller')"
)
"""A measurement's or the buyer's count stands beside the seller's and is never added to it."""

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
    """Say where a report stands. What was loaded stays so: a slow worker's older answer would have it loaded again."""
    cur.execute(
        "UPDATE delivery_job SET state = %s, rows = %s, loaded_at = %s WHERE connection = %s AND job = %s "
        "AND state <> 'loaded'",
        (state, rows, loaded_at, connection, job_id),
    )


def begin_load(cur: Cursor, connection: str, job_id: str) -> bool:
    """Let the loads of one source follow one another; False when another worker has loaded this report meanwhile.

    Two at once would each compare with what the other is about to replace, and an older report could win.
    """
    lock_source(cur, connection)
    loaded = job(cur, connection, job_id)
    return loaded is None or loaded.state != "loaded"


def lock_source(cur: Cursor, source: str) -> None:
    """Wait until nobody else loads anything of this source; held until the transaction ends."""
    cur.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOADING, source))


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


def largest_staged(cur: Cursor) -> Units:
    """The largest count of any line on any staged day, by unit."""
    sums = ", ".join(f"sum({unit}) AS {unit}" for unit in UNITS.split(", "))
    most = ", ".join(f"coalesce(max({unit}), 0)::bigint" for unit in UNITS.split(", "))
    cur.execute(f"SELECT {most} FROM (SELECT {sums} FROM staged GROUP BY line_vendor_id, day) s")
    row = cur.fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3]


def unusual(
    cur: Cursor, connection: str, unit: str, times: int, floor: int, others: int
) -> list[tuple[str, str, int, int]]:
    """(vendor id, day, number, largest other day) of staged days over `times` the line's largest other day and the floor.

    Days that a line has staged or stored count, staged ones first; a line with fewer than `others` others is not judged.
    A day that stands here with as much (somebody accepted it, or nobody minded) is no news. ValueError for a unit that facts do not have.
    """
    if unit not in UNITS.split(", "):
        raise ValueError(f"facts have no {unit}")
    cur.execute(
        f"WITH told AS (SELECT line_vendor_id, day, sum({unit})::bigint AS number FROM staged GROUP BY 1, 2), "
        "days AS (SELECT line_vendor_id, day, number, true AS staged FROM told WHERE number > 0 UNION ALL "
        f"SELECT r.vendor_id, d.day, d.{unit}, false FROM (SELECT DISTINCT vendor_id, entity_id FROM reference "
        "  WHERE connection = %(c)s AND kind = 'line' AND vendor_id IN (SELECT line_vendor_id FROM told WHERE number >= %(f)s)) r "
        f"JOIN delivery_day d ON d.line_id = r.entity_id AND d.source = %(c)s AND d.{unit} > 0 "
        "WHERE NOT EXISTS (SELECT 1 FROM told t WHERE t.line_vendor_id = r.vendor_id AND t.day = d.day)), "
        "ranked AS (SELECT *, lead(number) OVER w AS other, count(*) OVER (PARTITION BY line_vendor_id) - 1 AS others, "
        "row_number() OVER w AS place FROM days WINDOW w AS (PARTITION BY line_vendor_id ORDER BY number DESC, day)) "
        "SELECT line_vendor_id, day::text, number, other FROM ranked k WHERE place = 1 AND staged AND others >= %(o)s "
        "AND number >= %(f)s AND number > other::numeric * %(t)s AND NOT EXISTS ("
        "  SELECT 1 FROM reference r JOIN delivery_day d ON d.line_id = r.entity_id AND d.source = %(c)s AND d.day = k.day "
        f"  WHERE r.connection = %(c)s AND r.kind = 'line' AND r.vendor_id = k.line_vendor_id AND k.number <= d.{unit}) "
        "AND NOT EXISTS (SELECT 1 FROM delivery_quarantine q WHERE q.connection = %(c)s AND q.line_vendor_id = k.line_vendor_id "
        f"  AND q.day = k.day AND k.number <= q.{unit}) ORDER BY number DESC",
        {"c": connection, "f": floor, "o": others, "t": times},
    )
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in cur.fetchall()]


def booked(cur: Cursor, connection: str, days: Sequence[tuple[str, str]]) -> list[tuple[int, bytes | None]]:
    """For each (line vendor id, day) of staged rows: the impressions of that day, and the line's canonical bytes if known."""
    cur.execute(
        "SELECT coalesce((SELECT sum(s.impressions) FROM staged s WHERE s.line_vendor_id = w.id AND s.day = w.day), 0)::bigint, "
        "(SELECT e.canonical FROM reference r JOIN entity e ON e.kind = 'line' AND e.id = r.entity_id "
        "  WHERE r.connection = %s AND r.kind = 'line' AND r.vendor_id = w.id ORDER BY r.superseded_at NULLS FIRST LIMIT 1) "
        "FROM unnest(%s::text[], %s::date[]) WITH ORDINALITY AS w(id, day, place) ORDER BY w.place",
        (connection, [line for line, _ in days], [day for _, day in days]),
    )
    return [(int(row[0]), None if row[1] is None else bytes(row[1])) for row in cur.fetchall()]


def merge(cur: Cursor, connection: str, as_of: datetime, job_id: str) -> tuple[int, int, int, list[str]]:
    """Staged rows into facts: (new, restated, quarantined, orders touched). An unchanged day writes nothing."""
    cur.execute(
        "INSERT INTO delivery_quarantine (connection, job, as_of, day, line_vendor_id, order_vendor_id, impressions, clicks, "
        "completed_views, viewable_impressions) SELECT %(c)s, %(j)s, %(a)s, s.day, s.line_vendor_id, max(s.order_vendor_id), "
        "sum(s.impressions), sum(s.clicks), sum(s.completed_views), sum(s.viewable_impressions) FROM staged s "
        "WHERE NOT EXISTS (SELECT 1 FROM reference r WHERE r.connection = %(c)s AND r.kind = 'line' "
        f"AND r.vendor_id = s.line_vendor_id) GROUP BY s.day, s.line_vendor_id {NEWER_QUARANTINE}",
        {"c": connection, "j": job_id, "a": as_of},
    )
    quarantined = cur.rowcount
    cur.execute(
        "CREATE TEMP TABLE news ON COMMIT DROP AS SELECT x.*, %(a)s::timestamptz AS as_of, d.line_id IS NOT NULL AS restated "
        "FROM ("
        "  SELECT r.entity_id AS line_id, s.day, sum(s.impressions)::bigint AS impressions, sum(s.clicks)::bigint AS clicks, "
        "    sum(s.completed_views)::bigint AS completed_views, sum(s.viewable_impressions)::bigint AS viewable_impressions "
        "  FROM staged s JOIN (SELECT DISTINCT vendor_id, entity_id FROM reference WHERE connection = %(c)s "
        "    AND kind = 'line') r ON r.vendor_id = s.line_vendor_id GROUP BY 1, 2) x "
        "LEFT JOIN delivery_day d ON d.line_id = x.line_id AND d.source = %(c)s AND d.day = x.day "
        "WHERE d.line_id IS NULL OR ((d.impressions, d.clicks, d.completed_views, d.viewable_impressions) IS DISTINCT FROM "
        "(x.impressions, x.clicks, x.completed_views, x.viewable_impressions) AND d.as_of <= %(a)s)",
        {"c": connection, "a": as_of},
    )
    new, restated = write_news(cur, connection)
    loaded = {"as_of": as_of, "new": new, "restated": restated, "quarantined": quarantined}
    note(cur, f"delivery:{connection}/{job_id}", "facts loaded", **loaded)
    cur.execute(
        "SELECT DISTINCT e.order_id FROM news n JOIN entity e ON e.kind = 'line' AND e.id = n.line_id "
        "WHERE e.order_id IS NOT NULL"
    )
    return new, restated, quarantined, [row[0] for row in cur.fetchall()]


def write_news(cur: Cursor, source: str) -> tuple[int, int]:
    """The temporary table `news` (line_id, day, units, as_of, restated) into facts; returns how many are new and restated.

    What a restatement replaces stays as a superseded fact; the same as-of again is a correction of the same version.
    Whoever calls holds the lock of the source (`begin_load`), so that nothing new can exist already.
    """
    cur.execute(
        f"INSERT INTO delivery_superseded (source, line_id, day, as_of, {UNITS}) SELECT d.source, d.line_id, d.day, d.as_of, "
        "d.impressions, d.clicks, d.completed_views, d.viewable_impressions FROM news n JOIN delivery_day d "
        "ON d.line_id = n.line_id AND d.source = %s AND d.day = n.day WHERE n.restated AND d.as_of < n.as_of",
        (source,),
    )
    cur.execute(
        f"UPDATE delivery_day d SET as_of = n.as_of, ({UNITS}) = "
        "ROW(n.impressions, n.clicks, n.completed_views, n.viewable_impressions) "
        "FROM news n WHERE n.restated AND d.line_id = n.line_id AND d.source = %s AND d.day = n.day",
        (source,),
    )
    restated = cur.rowcount
    cur.execute(
        f"INSERT INTO delivery_day (source, line_id, day, as_of, {UNITS}) SELECT %s, line_id, day, as_of, {UNITS} FROM news "
        "WHERE NOT restated",
        (source,),
    )
    return cur.rowcount, restated


def totals(cur: Cursor, line_ids: Sequence[str]) -> dict[str, int]:
    """Impressions delivered so far, by line: the newest number of each day, as the seller's own sources count."""
    cur.execute(
        "SELECT line_id, sum(impressions)::bigint FROM delivery_day WHERE line_id = ANY(%s) "
        f"AND {_FIRST_PARTY} GROUP BY line_id",
        (list(line_ids),),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def total(cur: Cursor) -> int:
    """Impressions delivered in all, as the seller's own sources count."""
    cur.execute(f"SELECT coalesce(sum(impressions), 0)::bigint FROM delivery_day WHERE {_FIRST_PARTY}")
    row = cur.fetchone()
    return 0 if row is None else int(row[0])


def last_loaded(cur: Cursor, connection: str) -> datetime | None:
    """As-of of the newest report loaded from a connection."""
    cur.execute("SELECT max(as_of) FROM delivery_job WHERE connection = %s AND state = 'loaded'", (connection,))
    row = cur.fetchone()
    return None if row is None else row[0]

"""What has arrived of a source: which days a whole report covered after they were over, and which lines it should have named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.database import Cursor

_OVER_EVERYWHERE = "interval '1 day 12 hours'"
"""After a day's midnight in UTC it is over in every zone; for reports whose zone the store does not keep."""

_SILENT_BY_RIGHT = ("PAUSED", "STOPPED", "CANCELLED", "DECLINED", "EXPIRED")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One day of a source. `whole`: a report that was made after the day was over covered it, or it was declared final."""

    as_of: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class ExpectedLine:
    """A line that runs, with the first and last day of its flight in the source's zone, clipped to the span asked for."""

    line_id: str
    name: str
    first: date
    last: date


def arrivals(cur: Cursor, source: str, zone: str, since: date, until: date) -> Mapping[date, Arrival]:
    """By day, inclusive, what reports covered it; a day that none did is absent. Every report was loaded whole or not at all.

    A job's report ends with the network's own today unless an earlier day was asked for: the days before its last are over.
    """
    cur.execute(
        "SELECT d::date, max(r.as_of), bool_or(coalesce(p.final, false) OR CASE "
        "  WHEN r.job THEN d::date < r.until OR r.as_of >= (d AT TIME ZONE 'UTC') "
        f"   + {_OVER_EVERYWHERE} "
        "  ELSE r.as_of >= ((d + interval '1 day') AT TIME ZONE %(z)s) END) "
        "FROM generate_series(%(s)s::date::timestamp, %(u)s::date::timestamp, interval '1 day') d JOIN ("
        "  SELECT since, until, as_of, false AS job FROM delivery_report WHERE source = %(n)s UNION ALL "
        "  SELECT since, until, as_of, true FROM delivery_job WHERE connection = %(n)s AND state = 'loaded'"
        ") r ON d::date BETWEEN r.since AND r.until "
        "LEFT JOIN delivery_partition p ON p.source = %(n)s AND p.day = d::date GROUP BY 1",
        {"n": source, "z": zone, "s": since, "u": until},
    )
    return {row[0]: Arrival(row[1], row[2]) for row in cur.fetchall()}


def newest_days(cur: Cursor) -> Mapping[str, date]:
    """By source, the last day that any loaded report covered."""
    cur.execute(
        "SELECT source, max(until) FROM (SELECT source, until FROM delivery_report UNION ALL "
        "SELECT connection, until FROM delivery_job WHERE state = 'loaded') r GROUP BY source"
    )
    return dict(cur.fetchall())


def expected_lines(cur: Cursor, ids_of: str, zone: str | None, since: date, until: date) -> list[ExpectedLine]:
    """Lines of booked and completed orders whose flight touches the span, by name.

    `ids_of` is the connection whose ids the source uses: lines that do not exist there yet are not expected; empty for
    canonical ids, which every line has. Without `zone` a line's days are those of its own flight.
    """
    known = (
        "EXISTS (SELECT 1 FROM reference r WHERE r.connection = %(c)s AND r.kind = 'line' AND r.entity_id = e.id "
        "AND r.superseded_at IS NULL)"
        if ids_of
        else "true"
    )
    # A line's targeting may be long and its flight is not: only the flight is read, and once. Inside a text a quote is escaped.
    cur.execute(
        "WITH known AS MATERIALIZED (SELECT e.id, e.name, "
        "  substring(convert_from(e.canonical, 'UTF8') from '\"flight\":(\\{[^}]*\\})')::jsonb AS flight FROM entity e "
        "  JOIN entity o ON o.kind = 'order' AND o.id = e.order_id AND o.status IN ('booked', 'completed') "
        f"  WHERE e.kind = 'line' AND e.status IS DISTINCT FROM 'cancelled' AND {known}), "
        "dated AS MATERIALIZED (SELECT id, name, "
        "  (((flight->>'start')::timestamp AT TIME ZONE (flight->>'zone')) AT TIME ZONE coalesce(%(z)s, flight->>'zone'))::date "
        "    AS first, "
        "  coalesce(((((flight->>'end')::timestamp AT TIME ZONE (flight->>'zone')) "
        "    AT TIME ZONE coalesce(%(z)s, flight->>'zone')) - interval '1 microsecond')::date, 'infinity'::date) AS last "
        "  FROM known) "
        "SELECT id, name, greatest(first, %(s)s::date), least(last, %(u)s::date) FROM dated "
        "WHERE first <= %(u)s::date AND last >= %(s)s::date ORDER BY name, id",
        {"c": ids_of, "z": zone, "s": since, "u": until},
    )
    return [ExpectedLine(*row) for row in cur.fetchall()]


def named_lines(cur: Cursor, source: str, line_ids: Sequence[str], since: date, until: date) -> set[str]:
    """Which of these lines the source named on a day of the span, or is right to be silent about: last seen stopped."""
    cur.execute(
        "SELECT DISTINCT line_id FROM delivery_day WHERE source = %(n)s AND line_id = ANY(%(l)s) "
        "AND day BETWEEN %(s)s AND %(u)s UNION SELECT entity_id FROM observation WHERE kind = 'line' "
        "AND entity_id = ANY(%(l)s) AND upper(status) = ANY(%(q)s)",
        {"n": source, "l": list(line_ids), "s": since, "u": until, "q": list(_SILENT_BY_RIGHT)},
    )
    return {row[0] for row in cur.fetchall()}

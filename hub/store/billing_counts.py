"""What billing reads of delivery: sums by line, span and source, and which sources would tell of a line at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.database import Cursor
from hub.store.facts import UNITS, Units

_BILLING = 7_042_028
"""The advisory lock of whoever changes what is billed: any number that no other advisory lock of the hub has."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days of one line, `since` inclusive, `until` exclusive; `place` is the caller's own number for it.

    With a `zone` only what sources that count in it say. Spans of one place are added up and do not overlap.
    """

    line_id: str
    place: int
    since: date
    until: date
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """What one source's newest facts say about one span. `active_days` have any unit; `as_of` is the newest fact's."""

    line_id: str
    place: int
    source: str
    units: Units
    active_days: int
    as_of: datetime


def one_at_a_time(cur: Cursor) -> None:
    """Let the transactions that change what is billed follow one another; held to the end of the transaction.

    Two people who approve at once, or two closes, then see each other's outcome instead of each other's beginning.
    """
    cur.execute("SELECT pg_advisory_xact_lock(%s)", (_BILLING,))


def sums(cur: Cursor, spans: Sequence[Span]) -> list[Sum]:
    """The newest facts of each span by source; a span without any is absent."""
    parts = ", ".join(f"sum(d.{unit})::bigint" for unit in UNITS.split(", "))
    some = " + ".join(f"d.{unit}" for unit in UNITS.split(", "))
    cur.execute(
        f"SELECT s.line_id, s.place, d.source, {parts}, count(*) FILTER (WHERE {some} > 0), max(d.as_of) "
        "FROM unnest(%s::text[], %s::int[], %s::date[], %s::date[], %s::text[]) AS s(line_id, place, since, until, zone) "
        "JOIN delivery_day d ON d.line_id = s.line_id AND d.day >= s.since AND d.day < s.until "
        "AND (s.zone IS NULL OR s.zone = (SELECT z.zone FROM delivery_source z WHERE z.source = d.source)) "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        (
            [one.line_id for one in spans],
            [one.place for one in spans],
            [one.since for one in spans],
            [one.until for one in spans],
            [one.zone for one in spans],
        ),
    )
    return [Sum(r[0], r[1], r[2], (r[3], r[4], r[5], r[6]), r[7], r[8]) for r in cur.fetchall()]


def zones(cur: Cursor) -> list[str]:
    """The zones that sources declared to count in."""
    cur.execute("SELECT DISTINCT zone FROM delivery_source ORDER BY 1")
    return [row[0] for row in cur.fetchall()]


def sellers(cur: Cursor) -> list[str]:
    """The sources whose reports tell what the seller's own ad servers counted; who declared nothing is one of them."""
    cur.execute(
        "SELECT source FROM delivery_source WHERE counted_by = 'seller' UNION SELECT connection FROM delivery_job j "
        "WHERE state = 'loaded' AND NOT EXISTS (SELECT 1 FROM delivery_source s WHERE s.source = j.connection) ORDER BY 1"
    )
    return [row[0] for row in cur.fetchall()]


def reporting(cur: Cursor, line_ids: Sequence[str]) -> dict[str, set[str]]:
    """By line, the sources that loaded a report and know the line by an id of theirs, whether it delivered or not."""
    cur.execute(
        "SELECT DISTINCT r.entity_id, r.connection FROM reference r WHERE r.kind = 'line' AND r.entity_id = ANY(%s) "
        "AND r.superseded_at IS NULL AND (EXISTS (SELECT 1 FROM delivery_report p WHERE p.source = r.connection) "
        "OR EXISTS (SELECT 1 FROM delivery_job j WHERE j.connection = r.connection AND j.state = 'loaded'))",
        (list(line_ids),),
    )
    found: dict[str, set[str]] = {}
    for line_id, connection in cur.fetchall():
        found.setdefault(line_id, set()).add(connection)
    return found


def vendor_ids(cur: Cursor, line_id: str) -> list[tuple[str, str]]:
    """(connection, vendor id) of every record that a line has anywhere."""
    cur.execute(
        "SELECT connection, vendor_id FROM reference WHERE kind = 'line' AND entity_id = %s AND superseded_at IS NULL "
        "ORDER BY 1, 2",
        (line_id,),
    )
    return cur.fetchall()


def billable_lines(cur: Cursor, since: date, until: date, statuses: Sequence[str]) -> list[tuple[str, str]]:
    """(order, line) of every line of an order in these statuses whose flight touches these days, by order and line.

    Days are compared as they stand in the flight, in its own zone; `until` is exclusive. An open flight goes on.
    """
    cur.execute(
        "SELECT l.order_id, l.id FROM entity l JOIN entity o ON o.kind = 'order' AND o.id = l.order_id AND o.status = ANY(%s) "
        "CROSS JOIN LATERAL (SELECT convert_from(l.canonical, 'UTF8')::jsonb->'flight' AS f) x "
        "WHERE l.kind = 'line' AND x.f->>'start' < %s AND (x.f->>'end' IS NULL OR x.f->>'end' > %s) ORDER BY 1, 2",
        (list(statuses), until.isoformat(), since.isoformat()),
    )
    return cur.fetchall()


def payers(cur: Cursor, statuses: Sequence[str]) -> dict[str, int]:
    """How many orders in these statuses each bill-to, or advertiser without one, pays for."""
    cur.execute(
        "SELECT p.id, count(*) FROM entity o CROSS JOIN LATERAL (SELECT convert_from(o.canonical, 'UTF8')::jsonb AS y) x "
        "CROSS JOIN LATERAL (SELECT coalesce("
        "jsonb_path_query_first(y, '$.parties[*] ? (@.role == \"bill_to\").party_id'), "
        "jsonb_path_query_first(y, '$.parties[*] ? (@.role == \"advertiser\").party_id')) #>> '{}' AS id) p "
        "WHERE o.kind = 'order' AND o.status = ANY(%s) AND p.id IS NOT NULL GROUP BY 1",
        (list(statuses),),
    )
    return {row[0]: row[1] for row in cur.fetchall()}


def orders_of(cur: Cursor, line_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(order, line) of these lines."""
    cur.execute(
        "SELECT order_id, id FROM entity WHERE kind = 'line' AND id = ANY(%s) AND order_id IS NOT NULL",
        (list(line_ids),),
    )
    return cur.fetchall()

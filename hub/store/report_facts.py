"""Whole days of a report into facts: (line, day) sums, lines that vanished from a day, lines that nobody knows yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.facts import NEWER_QUARANTINE, UNITS, write_news

_SUMS = ", ".join(f"sum(s.{unit})::bigint AS {unit}" for unit in UNITS.split(", "))
_STAGED = ", ".join(f"s.{unit}" for unit in UNITS.split(", "))
_OF_DAY = ", ".join(f"d.{unit}" for unit in UNITS.split(", "))
_OF_NEWS = ", ".join(f"x.{unit}" for unit in UNITS.split(", "))
_NUMBERS = ", ".join(f"{unit} bigint NOT NULL DEFAULT 0" for unit in UNITS.split(", "))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Delivery of one line that nobody knows, summed over its days."""

    source: str
    line_vendor_id: str
    order_vendor_id: str
    since: date
    until: date
    days: int
    impressions: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One fact as it was reported; `newest` is the one that counts. Units in the order of `hub.store.facts.UNITS`."""

    source: str
    day: date
    as_of: datetime
    units: tuple[int, int, int, int]
    newest: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """What a load may spare itself. `untouched`: no facts of this source but those that partitions tell of; `single`: no line
    has two vendor objects, so that a line's sum is its fact; `paired`: and no vendor object is of two lines."""

    untouched: bool
    single: bool
    paired: bool


def begin(cur: Cursor, source: str, line_ids: str) -> Begun:
    """Temporary tables of one load, in the load's own transaction.

    `line_ids` is the connection whose vendor ids the source uses, empty for canonical ids. A source that also loads reports
    through jobs has facts of days that no partition tells of.
    """
    if line_ids:
        cur.execute(
            "CREATE TEMP TABLE known_line ON COMMIT DROP AS SELECT DISTINCT vendor_id, entity_id FROM reference "
            "WHERE connection = %s AND kind = 'line'",
            (line_ids,),
        )
    else:
        cur.execute(
            "CREATE TEMP TABLE known_line ON COMMIT DROP AS SELECT id AS vendor_id, id AS entity_id FROM entity WHERE kind = 'line'"
        )
    # A tenth of the usual sample says well enough how these tables join, in a tenth of the time.
    cur.execute("SET LOCAL default_statistics_target = 10")
    cur.execute("ANALYZE known_line")
    cur.execute(
        f"CREATE TEMP TABLE staged (line_vendor_id text NOT NULL, order_vendor_id text NOT NULL DEFAULT '', day date NOT NULL, {_NUMBERS}) "
        "ON COMMIT DROP"
    )
    cur.execute(
        f"CREATE TEMP TABLE news (line_id text NOT NULL, day date NOT NULL, {_NUMBERS}, as_of timestamptz NOT NULL, "
        "restated boolean NOT NULL) ON COMMIT DROP"
    )
    cur.execute("CREATE TEMP TABLE touched (line_id text NOT NULL) ON COMMIT DROP")
    cur.execute(
        "SELECT NOT EXISTS (SELECT 1 FROM delivery_job WHERE connection = %s AND state = 'loaded'), "
        "(SELECT count(*) = count(DISTINCT entity_id) FROM known_line), "
        "(SELECT count(*) = count(DISTINCT entity_id) AND count(*) = count(DISTINCT vendor_id) FROM known_line)",
        (source,),
    )
    row = cur.fetchone()
    assert row is not None
    return Begun(*row)


def known_lines(cur: Cursor) -> bytes:
    """CSV of (vendor id, line id) of every known line, all quoted. After `begin`."""
    with cur.copy("COPY known_line (vendor_id, entity_id) TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *)") as copy:
        return b"".join(copy)


def add_first(cur: Cursor, columns: Sequence[str], texts: Iterable[bytes]) -> int:
    """Facts of days of which nothing was ever loaded, as CSV straight into the facts; returns how many.

    Best in order of line and day. `stage` and `fold` do the same where anything may stand already, and take longer.
    """
    statement = (
        f"COPY delivery_day ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL (source, line_id))"
    )
    with cur.copy(statement) as copy:
        for piece in texts:
            copy.write(piece)
    return cur.rowcount


def touch(cur: Cursor, line_ids: Iterable[bytes]) -> None:
    """Lines whose facts `add_first` added, as CSV, for `orders_touched`."""
    with cur.copy("COPY touched FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL (line_id))") as copy:
        for piece in line_ids:
            copy.write(piece)


def stage(cur: Cursor, columns: Sequence[str], texts: Iterable[bytes]) -> None:
    """Sums by line and day, as CSV, into the staging table."""
    ids = ", ".join(column for column in columns if column.endswith("_vendor_id"))
    with cur.copy(f"COPY staged ({', '.join(columns)}) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL ({ids}))") as copy:
        for piece in texts:
            copy.write(piece)


def fold(
    cur: Cursor,
    source: str,
    report: str,
    as_of: datetime,
    days: Sequence[date],
    old_parts: Sequence[int],
    *,
    fresh: bool,
    single: bool,
) -> tuple[int, int, int]:
    """What is staged of these whole days into facts: (new, restated, quarantined); the staging table is empty afterwards.

    A line that an earlier report of such a day had and this one has not was restated to nothing. `fresh`: nothing of these
    days was ever loaded.
    """
    named = {"c": source, "j": report, "a": as_of, "days": list(days), "old": list(old_parts)}
    if not fresh:
        cur.execute("ANALYZE staged")
        # A day is told whole, also what of it stands in quarantine.
        cur.execute(
            "DELETE FROM delivery_quarantine WHERE connection = %(c)s AND day = ANY(%(days)s) AND as_of <= %(a)s", named
        )
        cur.execute(
            "INSERT INTO staged (line_vendor_id, day) SELECT DISTINCT o.line_vendor_id, p.day FROM delivery_packed o "
            "JOIN delivery_partition p ON p.part = o.part WHERE o.part = ANY(%(old)s::bigint[]) AND NOT EXISTS ("
            "SELECT 1 FROM staged s WHERE s.line_vendor_id = o.line_vendor_id AND s.day = p.day)",
            named,
        )
    cur.execute(
        "INSERT INTO delivery_quarantine (connection, job, as_of, day, line_vendor_id, order_vendor_id, "
        f"{UNITS}) SELECT %(c)s, %(j)s, %(a)s, s.day, s.line_vendor_id, max(s.order_vendor_id), {_SUMS} FROM staged s "
        "LEFT JOIN known_line k ON k.vendor_id = s.line_vendor_id WHERE k.vendor_id IS NULL "
        f"GROUP BY s.day, s.line_vendor_id HAVING sum(s.impressions + s.clicks) > 0 {NEWER_QUARANTINE}",
        named,
    )
    quarantined = cur.rowcount
    summed = f"{_SUMS} FROM" if not single else f"{_STAGED} FROM"
    sums = (
        f"SELECT k.entity_id AS line_id, s.day, {summed} staged s JOIN known_line k ON k.vendor_id = s.line_vendor_id"
    )
    if not single:
        sums += " GROUP BY 1, 2"
    if fresh:
        # Straight into the facts: by way of the table of news a first load took half as long again.
        cur.execute(
            f"INSERT INTO delivery_day (source, line_id, day, as_of, {UNITS}) SELECT %(c)s, x.line_id, x.day, %(a)s, {_OF_NEWS} "
            f"FROM ({sums}) x ORDER BY x.line_id, x.day",
            named,
        )
        new, restated = cur.rowcount, 0
        cur.execute(
            "INSERT INTO touched SELECT k.entity_id FROM known_line k WHERE EXISTS (SELECT 1 FROM staged s "
            "WHERE s.line_vendor_id = k.vendor_id)"
        )
    else:
        cur.execute("TRUNCATE news")
        # The days once more, although they are those of `staged`: else every fact of the source is hashed, not these days' alone.
        cur.execute(
            f"INSERT INTO news (line_id, day, {UNITS}, as_of, restated) SELECT x.line_id, x.day, {_OF_NEWS}, %(a)s, "
            f"d.line_id IS NOT NULL FROM ({sums}) x LEFT JOIN delivery_day d ON d.line_id = x.line_id AND d.source = %(c)s "
            f"AND d.day = x.day AND d.day = ANY(%(days)s) WHERE (d.line_id IS NULL AND x.impressions + x.clicks > 0) OR "
            f"(({_OF_DAY}) IS DISTINCT FROM ({_OF_NEWS}) AND d.as_of <= %(a)s) ORDER BY x.line_id, x.day",
            named,
        )
        cur.execute("ANALYZE news")
        new, restated = write_news(cur, source)
        cur.execute("INSERT INTO touched SELECT DISTINCT line_id FROM news")
    cur.execute("TRUNCATE staged")
    return new, restated, quarantined


def days_told_anew(cur: Cursor, days: Sequence[date]) -> int:
    """On how many of these days the last `fold` added or restated facts; other detail rows alone change nothing that is billed."""
    cur.execute("SELECT count(DISTINCT day) FROM news WHERE day = ANY(%s)", (list(days),))
    row = cur.fetchone()
    return 0 if row is None else int(row[0])


def claim(cur: Cursor, source: str) -> int:
    """Take out of quarantine what lines have become known of; returns how many days became facts. After `begin`.

    What a newer report has said since is not said again; two vendor objects of one line in one report are added up.
    """
    cur.execute("TRUNCATE news")
    cur.execute(
        f"INSERT INTO news (line_id, day, {UNITS}, as_of, restated) "
        f"SELECT x.line_id, x.day, {', '.join(f'x.{u} + CASE WHEN d.as_of = x.as_of THEN d.{u} ELSE 0 END' for u in UNITS.split(', '))}, "
        "x.as_of, d.line_id IS NOT NULL FROM ("
        f"  SELECT k.entity_id AS line_id, s.day, s.as_of, {_SUMS} FROM delivery_quarantine s JOIN known_line k "
        "  ON k.vendor_id = s.line_vendor_id WHERE s.connection = %(c)s AND s.as_of = (SELECT max(m.as_of) FROM delivery_quarantine m "
        "  JOIN known_line o ON o.vendor_id = m.line_vendor_id WHERE m.connection = s.connection AND m.day = s.day "
        "  AND o.entity_id = k.entity_id) GROUP BY 1, 2, 3) x LEFT JOIN delivery_day d "
        "ON d.line_id = x.line_id AND d.source = %(c)s AND d.day = x.day WHERE d.line_id IS NULL OR d.as_of <= x.as_of",
        {"c": source},
    )
    new, restated = write_news(cur, source)
    cur.execute("INSERT INTO touched SELECT DISTINCT line_id FROM news")
    cur.execute(
        "DELETE FROM delivery_quarantine q USING known_line k WHERE q.connection = %s AND k.vendor_id = q.line_vendor_id",
        (source,),
    )
    if cur.rowcount:
        note(cur, f"delivery:{source}", "quarantine claimed", new=new, restated=restated, rows=cur.rowcount)
    return new + restated


def orders_touched(cur: Cursor) -> list[str]:
    """The orders of every line whose facts this load changed."""
    cur.execute(
        "SELECT DISTINCT e.order_id FROM touched n JOIN entity e ON e.kind = 'line' AND e.id = n.line_id "
        "WHERE e.order_id IS NOT NULL"
    )
    return [row[0] for row in cur.fetchall()]


def largest_days(
    cur: Cursor, source: str, vendor_ids: Sequence[str], days: Sequence[date], unit: str
) -> Mapping[str, tuple[int, int]]:
    """By vendor id of a line: how many other days with some of a unit it has here, and the largest of them. After `begin`.

    ValueError for a unit that facts do not have.
    """
    if unit not in UNITS.split(", "):
        raise ValueError(f"facts have no {unit}")
    cur.execute(
        f"SELECT k.vendor_id, count(*), max(d.{unit}) FROM known_line k JOIN delivery_day d ON d.line_id = k.entity_id "
        f"AND d.source = %s AND d.day <> ALL(%s) AND d.{unit} > 0 WHERE k.vendor_id = ANY(%s) GROUP BY 1",
        (source, list(days), list(vendor_ids)),
    )
    return {row[0]: (row[1], row[2]) for row in cur.fetchall()}


def stood(
    cur: Cursor, source: str, days: Sequence[tuple[str, str]], unit: str, as_of: datetime
) -> Mapping[tuple[str, str], int]:
    """By (vendor id of a line, day): how many of a unit it had there before the load of `as_of`. After `fold`.

    The newest version from before `as_of` counts: a day that another report of the same `as_of` brought is judged anew, and so is
    one of a line that was unknown until now. ValueError for a unit that facts do not have.
    """
    if unit not in UNITS.split(", "):
        raise ValueError(f"facts have no {unit}")
    cur.execute(
        "SELECT w.id, w.day, max(t.number)::bigint FROM unnest(%(v)s::text[], %(d)s::date[]) AS w(id, day) "
        f"JOIN known_line k ON k.vendor_id = w.id JOIN LATERAL (SELECT f.{unit} AS number FROM delivery_fact f "
        "  WHERE f.line_id = k.entity_id AND f.source = %(c)s AND f.day = w.day AND f.as_of < %(a)s ORDER BY f.as_of DESC LIMIT 1) t "
        "ON true GROUP BY 1, 2",
        {"c": source, "v": [line for line, _ in days], "d": [day for _, day in days], "a": as_of},
    )
    return {(row[0], row[1].isoformat()): row[2] for row in cur.fetchall()}


def counted_before(
    cur: Cursor, source: str, vendor_ids: Sequence[str], day: date
) -> Mapping[str, tuple[tuple[int, int, int, int], date]]:
    """By vendor id: the units of all its days before `day` at this source, and the last of these days. After `begin`."""
    units = ", ".join(f"sum({unit})::bigint" for unit in UNITS.split(", "))
    cur.execute(
        f"SELECT vendor_id, {units}, max(day) FROM ("
        f"SELECT k.vendor_id, d.day, {UNITS} FROM known_line k JOIN delivery_day d ON d.line_id = k.entity_id "
        "AND d.source = %(c)s AND d.day < %(d)s WHERE k.vendor_id = ANY(%(v)s) UNION ALL "
        f"SELECT q.line_vendor_id, q.day, {UNITS} FROM delivery_quarantine q WHERE q.connection = %(c)s "
        "AND q.day < %(d)s AND q.line_vendor_id = ANY(%(v)s)) t GROUP BY 1",
        {"c": source, "d": day, "v": list(vendor_ids)},
    )
    return {row[0]: ((row[1], row[2], row[3], row[4]), row[5]) for row in cur.fetchall()}


def quarantine(cur: Cursor, source: str | None, most: int) -> list[Quarantined]:
    """What waits in quarantine by line, the largest first."""
    cur.execute(
        "SELECT connection, line_vendor_id, max(order_vendor_id), min(day), max(day), count(*), sum(impressions)::bigint, max(as_of) "
        "FROM delivery_quarantine WHERE %(c)s::text IS NULL OR connection = %(c)s GROUP BY 1, 2 ORDER BY 7 DESC, 1, 2 LIMIT %(m)s",
        {"c": source, "m": most},
    )
    return [Quarantined(*row) for row in cur.fetchall()]


def versions(cur: Cursor, line_id: str) -> list[Version]:
    """Every fact of a line, all sources, by day and as-of."""
    cur.execute(
        f"SELECT source, day, as_of, {UNITS}, true FROM delivery_day WHERE line_id = %(l)s UNION ALL "
        f"SELECT source, day, as_of, {UNITS}, false FROM delivery_superseded WHERE line_id = %(l)s ORDER BY 1, 2, 3",
        {"l": line_id},
    )
    return [Version(row[0], row[1], row[2], (row[3], row[4], row[5], row[6]), row[7]) for row in cur.fetchall()]


def lines_named(cur: Cursor, text: str) -> list[str]:
    """Canonical ids of the lines that this text names: their own id, the CRM's, an external one, or any vendor's."""
    cur.execute(
        "SELECT id FROM entity WHERE kind = 'line' AND (id = %(t)s OR native_id = %(t)s OR external_id = %(t)s) UNION "
        "SELECT entity_id FROM reference WHERE kind = 'line' AND (vendor_id = %(t)s OR entity_id = %(t)s) ORDER BY 1 LIMIT 6",
        {"t": text},
    )
    return [row[0] for row in cur.fetchall()]

"""Partitions of delivery: the detail rows of one (source, day), built aside and put in place of the old ones in one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql

from hub.errors import Refused, StoreContended
from hub.store.database import Cursor

ROW, CELL = "\x1e", "\x1f"
"""What ends a row of `delivery_packed.detail`, and what stands before each cell of it (the separators of ASCII)."""

WITHIN_ROW = {"\x1b": "\x1b0", CELL: "\x1b1", ROW: "\x1b2"}
"""How a text that holds such a character is written in a cell, in this order; the view `delivery_detail` reads it back."""

SWAP_TRIES = 5
SWAP_WAIT = "2s"
"""How long one try to swap waits for readers of the detail rows; between two tries whoever queued behind us gets through."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a source declared with its first report, and what it may not silently change afterwards.

    `number` names its tables; `metrics` are the units it reports, a unit not among them is unknown, not zero.
    """

    source: str
    number: int
    counted_by: str
    counting: str
    zone: str
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """The newest report of one day: where its detail rows are (None: kept by line only) and what identifies its content."""

    day: date
    part: int | None
    as_of: datetime
    rows: int
    digest: bytes
    final: bool


def source(cur: Cursor, name: str) -> Source | None:
    """What a source declared, None before its first report."""
    cur.execute(
        "SELECT source, number, counted_by, counting, zone, metrics FROM delivery_source WHERE source = %s", (name,)
    )
    row = cur.fetchone()
    return None if row is None else Source(row[0], row[1], row[2], row[3], row[4], tuple(row[5].split()))


def declare(cur: Cursor, name: str, counted_by: str, counting: str, zone: str, metrics: Sequence[str]) -> Source:
    """Keep what a source declares; who counts and which units may change, counting and zone are kept as they were."""
    cur.execute(
        "INSERT INTO delivery_source (source, counted_by, counting, zone, metrics) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (source) DO UPDATE SET counted_by = excluded.counted_by, metrics = excluded.metrics "
        "WHERE (delivery_source.counted_by, delivery_source.metrics) IS DISTINCT FROM (excluded.counted_by, excluded.metrics)",
        (name, counted_by, counting, zone, " ".join(metrics)),
    )
    known = source(cur, name)
    assert known is not None
    return known


def partitions(cur: Cursor, name: str, days: Sequence[date]) -> Mapping[date, Partition]:
    """The newest report of each of these days."""
    cur.execute(
        "SELECT day, part, as_of, rows, digest, final FROM delivery_partition WHERE source = %s AND day = ANY(%s)",
        (name, list(days)),
    )
    return {row[0]: Partition(row[0], row[1], row[2], row[3], bytes(row[4]), row[5]) for row in cur.fetchall()}


def _table(number: int, part: int) -> sql.Identifier:
    return sql.Identifier(f"delivery_detail_{number}_{part}")


def build(cur: Cursor, number: int, columns: Sequence[str], pieces: Iterable[bytes]) -> int:
    """Packed detail rows as COPY's text into a new table beside the partitions; nobody reads it yet. Returns its part.

    One record holds rows of one line: its id, then the rows, the cells of each in order of `columns`.
    Raises Refused for text that PostgreSQL cannot hold (a zero byte).

    The records come sorted by line: a block-range index, made in milliseconds, then finds a line nearly as a tree would.
    """
    cur.execute("SELECT nextval('delivery_part')")
    row = cur.fetchone()
    assert row is not None
    part = int(row[0])
    table = _table(number, part)
    # The constraint says what ATTACH would otherwise read the whole table for. Without the target, PostgreSQL would pack
    # every record beyond 2 kB, and that takes longer than loading it. Nothing of it changes once it is loaded, so that there is
    # nothing to vacuum, and whoever takes its place would wait a second for each table that autovacuum looks at.
    cur.execute(
        sql.SQL(
            "CREATE TABLE {table} (LIKE delivery_packed INCLUDING DEFAULTS, "
            "CONSTRAINT of_part CHECK (part IS NOT NULL AND part = {part})) WITH (toast_tuple_target = 8160, autovacuum_enabled = false)"
        ).format(table=table, part=sql.Literal(part))
    )
    places = {"part": part} | {column: place for place, column in enumerate(columns, 2)}
    defaults = [
        sql.SQL("ALTER COLUMN {} SET DEFAULT {}").format(sql.Identifier(column), sql.Literal(value))
        for column, value in places.items()
    ]
    cur.execute(sql.SQL("ALTER TABLE {} {}").format(table, sql.SQL(", ").join(defaults)))
    statement = sql.SQL("COPY {} (line_vendor_id, detail) FROM STDIN WITH (FREEZE)")
    try:
        with cur.copy(statement.format(table)) as copy:
            for piece in pieces:
                copy.write(piece)
    except psycopg.DataError as error:
        reason = " ".join(str(error).split())[:200]
        raise Refused(
            f"The store cannot hold a row of this report ({reason}). Nothing of it was loaded. Whoever delivers it corrects it."
        ) from error
    index = sql.Identifier(f"delivery_line_{number}_{part}")
    cur.execute(
        sql.SQL("CREATE INDEX {} ON {} USING brin (line_vendor_id) WITH (pages_per_range = 16)").format(index, table)
    )
    cur.execute("SET LOCAL default_statistics_target = 1")  # how many rows and lines there are is all that plans need
    cur.execute(sql.SQL("ANALYZE {} (line_vendor_id)").format(table))
    return part


def discard(cur: Cursor, number: int, parts: Iterable[int]) -> None:
    """Drop tables that were built aside and are not wanted after all."""
    for part in parts:
        cur.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_table(number, part)))


def discard_left_behind(cur: Cursor, number: int) -> int:
    """Drop what a load of this source built before its worker died; under the lock of the source, so that none is at work."""
    cur.execute(
        "SELECT substring(relname FROM '[0-9]+$')::bigint FROM pg_class WHERE relkind = 'r' AND NOT relispartition "
        "AND relnamespace = current_schema()::regnamespace AND relname ~ %s",
        (f"^delivery_detail_{number}_[0-9]+$",),
    )
    left = [row[0] for row in cur.fetchall()]
    discard(cur, number, left)
    return len(left)


def swap(cur: Cursor, known: Source, news: Sequence[Partition], old: Iterable[int]) -> None:
    """Put new partitions where the old ones were, all days at once; to be called last before the commit.

    Raises StoreContended when readers of the detail rows do not let go.
    """
    for attempt in range(SWAP_TRIES):
        try:
            with cur.connection.transaction():
                cur.execute(f"SET LOCAL lock_timeout = '{SWAP_WAIT}'")
                _swap(cur, known, news, old)
                cur.execute("SET LOCAL lock_timeout = 0")
        except psycopg.errors.LockNotAvailable as error:
            if attempt + 1 == SWAP_TRIES:
                raise StoreContended(
                    f"Readers hold the delivery details, and new ones of {known.source} could not be put in place. Nothing of "
                    "the report was loaded. It is loaded again with the next run; whoever reads for minutes reads less at once."
                ) from error
        else:
            break
    for one in news:
        cur.execute(
            "INSERT INTO delivery_partition (source, day, part, as_of, rows, digest, final) VALUES (%s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (source, day) DO UPDATE SET part = excluded.part, as_of = excluded.as_of, rows = excluded.rows, "
            "digest = excluded.digest, final = excluded.final",
            (known.source, one.day, one.part, one.as_of, one.rows, one.digest, one.final),
        )


def _swap(cur: Cursor, known: Source, news: Sequence[Partition], old: Iterable[int]) -> None:
    discard(cur, known.number, old)
    for one in news:
        if one.part is None:
            continue
        table = _table(known.number, one.part)
        part = sql.Literal(one.part)
        cur.execute(sql.SQL("ALTER TABLE delivery_packed ATTACH PARTITION {} FOR VALUES IN ({})").format(table, part))
        cur.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT of_part").format(table))


def declare_final(cur: Cursor, name: str, days: Sequence[date]) -> int:
    """The source says that it will not restate these days; returns how many it had not said that of before."""
    cur.execute(
        "UPDATE delivery_partition SET final = true WHERE source = %s AND day = ANY(%s) AND NOT final",
        (name, list(days)),
    )
    return cur.rowcount


def add_report(
    cur: Cursor,
    name: str,
    report: str,
    as_of: datetime,
    span: tuple[date, date],
    rows: int,
    days_changed: int,
    now: datetime,
) -> None:
    """Remember a whole report: what it covers is confirmed as of then, also where nothing changed."""
    cur.execute(
        "INSERT INTO delivery_report (source, report, as_of, since, until, rows, days_changed, loaded_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (name, report, as_of, *span, rows, days_changed, now),
    )


def has_report(cur: Cursor, name: str, report: str, as_of: datetime) -> bool:
    """Whether this very report was loaded."""
    cur.execute("SELECT 1 FROM delivery_report WHERE source = %s AND report = %s AND as_of = %s", (name, report, as_of))
    return cur.fetchone() is not None


def days_confirmed(cur: Cursor, name: str, since: date, until: date) -> Mapping[date, tuple[datetime, bool]]:
    """By day, inclusive: as of when a whole report last covered it, and whether the source declared it final."""
    cur.execute(
        "SELECT d::date, max(r.as_of), coalesce(bool_or(p.final), false) "
        "FROM generate_series(%(s)s::date::timestamp, %(u)s::date::timestamp, interval '1 day') d JOIN ("
        "  SELECT since, until, as_of FROM delivery_report WHERE source = %(n)s UNION ALL "
        "  SELECT since, until, as_of FROM delivery_job WHERE connection = %(n)s AND state = 'loaded'"
        ") r ON d::date BETWEEN r.since AND r.until "
        "LEFT JOIN delivery_partition p ON p.source = %(n)s AND p.day = d::date GROUP BY 1 ORDER BY 1",
        {"n": name, "s": since, "u": until},
    )
    return {row[0]: (row[1], row[2]) for row in cur.fetchall()}

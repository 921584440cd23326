"""Contracts and counts of a book out of PostgreSQL in bulk, and what reconciliation found of them back into it by COPY.

COPY would hand over row by row, which takes the client 3 µs each. Terms come as one text: rows end with a line feed, columns
stand between tabs, an absent value is empty. Running totals by month come beside it, all arrays of these rows in one piece, in
binary: as text they took both sides twice the time. All of a line stands ready in one row
(`reconciliation_input`), made when its contract or its counts change: to join and spell it out took PostgreSQL five times the
time of reading that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import sql

from hub.store.billing_contracts import Shard
from hub.store.database import Cursor
from hub.store.reconciliation import EXCEPTION_COLUMNS, LINE_COLUMNS, NO_END

CONTRACT = (
    *("line_id", "order_id", "currency", "closing", "apart"),
    *(
        "valued",
        "minor",
        "rate",
        "per",
        "commission_ppm",
        "net_rate",
        "third_party",
        "cap",
        "tolerance_ppm",
        "variance_base",
    ),
    *("unit", "total", "fallback_days", "window_days", "first_month", "months"),
    *("first_live", "first_until", "last_since", "last_live", "live", "counted", "sources"),
)
"""The columns of a contract: five texts, then numbers. Days are Python's ordinals; `counted` is whether it has goals, `sources` how many
sources counted anything of it."""

LIFE = ("source", "first_month", "months", "seen", "seller", "counted")
"""The numbers of one source's counts of a line.

`source` stands for its name (`numbers_of`), `seen` is -1 where only the library can tell; `counted` is whether the source counts
the unit of the line's price and so has running totals.
"""


class Inputs(NamedTuple):
    """Lines of a range as pieces, each of all rows one after the other.

    `terms` are rows of `CONTRACT`; `goals` arrays of those that have some. Of every line's sources, by name: `lives` are the
    numbers of `LIFE`, `totals` the running totals of those that have some. An array is its length and its numbers, each in 64 bits, big-endian.
    """

    terms: bytes
    goals: bytes
    lives: bytes
    totals: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """Lines of a shard, of orders in these statuses, and the months asked for (since year 0, both included)."""

    shard: Shard
    since: int
    until: int
    statuses: Sequence[str]

    @property
    def named(self) -> dict[str, object]:
        """As parameters of a statement."""
        return {
            **self.shard.named,
            "since": self.since,
            "until": self.until,
            "statuses": list(self.statuses),
            "open": NO_END,
        }


_DAY = "{0} - DATE '0001-01-01' + 1"


def _as_text(columns: Sequence[str]) -> str:
    """A row as one text; concat_ws would leave an absent value out, with the separator behind it."""
    cells = ", ".join(f"coalesce({column}::text, '')" if "?" in column else column for column in columns).replace(
        "?", ""
    )
    return f"concat_ws('\t', {cells})"


_TERMS = _as_text(
    (
        *("c.line_id", "c.order_id", "c.currency", "c.closing", "c.apart"),
        *("(c.fixed_gross IS NOT NULL)::int", "c.minor", "c.rate", "c.per", "c.commission_ppm", "c.net_rate::int"),
        *("c.third_party::int", "c.cap", "c.tolerance_ppm", "c.variance_base"),
        *("c.unit", "c.total?", "c.fallback_days?", "c.window_days", "c.first_month", "c.months"),
        *(_DAY.format(f"c.{day}") for day in ("first_live", "first_until", "last_since", "last_live")),
        *("c.live", "(c.goals IS NOT NULL)::int", "d.number"),
    )
)
_NUMBERS = " || ".join(
    f"int8send({number})"
    for number in (
        *(
            "hashtextextended(l.source, 0)",
            "l.first_month",
            "l.months",
            "CASE WHEN NOT l.below_zero THEN coalesce(l.seen, -1) ELSE -1 END",
        ),
        *("l.seller::int", "(u.cum IS NOT NULL)::int"),
    )
)


def _array(column: str) -> str:
    """An array without what `array_send` puts around each number: the row is a quarter smaller. Without a number it is too short
    for its length, which whoever reads it finds."""
    return (
        f"(SELECT int8send(cardinality({column})) || string_agg(int8send(e.number), '' ORDER BY e.place) "
        f"FROM unnest({column}) WITH ORDINALITY AS e(number, place))"
    )


_MAKE = (
    "INSERT INTO reconciliation_input (line_id, order_status, apart, first_month, months, terms, goals, lives, totals) "
    f"SELECT c.line_id, c.order_status, c.apart, c.first_month, c.months, {_TERMS}, {_array('c.goals')}, d.lives, d.totals "
    f"FROM billing_contract c CROSS JOIN LATERAL (SELECT count(*) AS number, string_agg({_NUMBERS}, '' ORDER BY l.source) AS lives, "
    "string_agg(u.sent, '' ORDER BY l.source) AS totals "
    "FROM delivery_life l CROSS JOIN LATERAL (SELECT CASE c.unit WHEN 1 THEN l.impressions WHEN 2 THEN l.clicks "
    "WHEN 3 THEN l.completed_views WHEN 4 THEN l.viewable_impressions WHEN 5 THEN l.active_days END AS cum OFFSET 0) n "
    f"CROSS JOIN LATERAL (SELECT n.cum, {_array('n.cum')} AS sent OFFSET 0) u "
    "WHERE l.line_id = c.line_id) d WHERE c.line_id = ANY(%s) ORDER BY c.line_id"
)


def make_inputs(cur: Cursor, shard: Shard) -> int:
    """Make what `inputs` reads anew for the lines of a shard whose contract or counts changed; returns how many lines that were.

    No change can slip in between: only a run writes contracts and counts, in this transaction, and no two runs work at once.
    """
    cur.execute(
        "DELETE FROM reconciliation_input_stale WHERE line_id >= %(lo)s AND (%(hi)s::text IS NULL OR line_id < %(hi)s) "
        "RETURNING line_id",
        shard.named,
    )
    stale = [row[0] for row in cur.fetchall()]
    if stale:
        cur.execute("DELETE FROM reconciliation_input WHERE line_id = ANY(%s)", (stale,))
        cur.execute(_MAKE.encode(), (stale,))
    return len(stale)


def inputs(cur: Cursor, asked: Asked) -> Inputs:
    """The lines of a shard that have a month among those asked for, after `make_inputs`."""
    cur.execute(
        "SELECT convert_to(string_agg(terms, '\n'), 'UTF8'), string_agg(goals, ''), string_agg(lives, ''), "
        "string_agg(totals, '') FROM reconciliation_input "
        "WHERE line_id >= %(lo)s AND (%(hi)s::text IS NULL OR line_id < %(hi)s) AND order_status = ANY(%(statuses)s) "
        "AND (apart = %(open)s OR first_month + months > %(since)s) AND first_month <= %(until)s",
        asked.named,
        binary=True,
    )
    row = cur.fetchone()
    assert row is not None
    return Inputs(*(bytes(piece or b"") for piece in row))


def numbers_of(cur: Cursor, sources: Sequence[str]) -> list[int]:
    """What stands for these names in `LIFE`: 64 bits of each, the same in every store. ValueError where two have the same."""
    cur.execute(
        "SELECT hashtextextended(name, 0) FROM unnest(%s::text[]) WITH ORDINALITY t(name, n) ORDER BY n",
        (list(sources),),
    )
    numbers = [int(row[0]) for row in cur.fetchall()]
    if len(set(numbers)) < len(numbers):
        raise ValueError(
            f"two of the sources {', '.join(sources)} have one number; in columns they cannot be told apart"
        )
    return numbers


def entered(cur: Cursor, shard: Shard) -> list[str]:
    """Lines of a shard of which a person entered something that was approved."""
    cur.execute(
        "SELECT DISTINCT line_id FROM billing_input WHERE approved_at IS NOT NULL AND line_id >= %(lo)s "
        "AND (%(hi)s::text IS NULL OR line_id < %(hi)s)",
        shard.named,
    )
    return [row[0] for row in cur.fetchall()]


def knows_lines(cur: Cursor, source: str) -> bool:
    """Whether any line has an object at this source."""
    # Of present objects there is an index; of those that were there once, only the table itself.
    cur.execute(
        "SELECT EXISTS (SELECT 1 FROM reference WHERE connection = %s AND kind = 'line' AND superseded_at IS NULL)",
        (source,),
    )
    row = cur.fetchone()
    return row is not None and bool(row[0])


def known_of(cur: Cursor, source: str, line_ids: Sequence[str]) -> list[str]:
    """Which of these lines have an object at this source."""
    cur.execute(
        "SELECT DISTINCT entity_id FROM reference WHERE connection = %s AND kind = 'line' AND superseded_at IS NULL "
        "AND entity_id = ANY(%s)",
        (source, list(line_ids)),
    )
    return [row[0] for row in cur.fetchall()]


def keep_lines(cur: Cursor, rows: bytes) -> None:
    """What was found of whole lines: CSV in the columns of `reconciliation_line`."""
    _keep(cur, "reconciliation_line", LINE_COLUMNS, rows)


def keep_exceptions(cur: Cursor, rows: bytes) -> None:
    """The line-months that stand out: CSV in the columns of `reconciliation_exception`."""
    _keep(cur, "reconciliation_exception", EXCEPTION_COLUMNS, rows)


def _keep(cur: Cursor, table: str, columns: str, rows: bytes) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(name) for name in columns.split(", "))
    )
    with cur.copy(statement) as copy:
        copy.write(rows)

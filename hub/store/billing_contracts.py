"""Contracts as columns: what reconciliation of many line-months reads of a line, compiled once for each version of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from math import ceil
from uuid import UUID

from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class Shard:
    """Lines whose id is at least `since` and below `until`; None: no end on that side."""

    since: str = ""
    until: str | None = None

    @property
    def named(self) -> dict[str, str | None]:
        """As parameters of a statement."""
        return {"lo": self.since, "hi": self.until}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One line's contract. Months are counted from year 0 (year × 12 + month − 1); amounts are micros.

    `apart` says why the line goes through the library month by month; empty for the others. `goals` are cumulative. `live`
    has bit m set where the line was live in month m for longer than the rules' silent-zero hours. The `fixed_*` columns are what each month
    bills of a contract that is billed by its value. `closing` names zone and finality terms, by which coverage is looked up.
    """

    line_id: str
    order_id: str
    line_hash: UUID
    order_hash: UUID
    order_status: str | None
    apart: str = ""
    currency: str
    minor: int
    rate: int
    per: int = 1
    commission_ppm: int = 0
    net_rate: bool = False
    third_party: bool = False
    cap: int = 0
    tolerance_ppm: int = 0
    variance_base: int = 0
    unit: int = 0
    total: int | None = None
    prepaid: bool = False
    fallback_days: int | None = None
    window_days: int = 0
    closing: str = ""
    first_month: int
    months: int
    first_live: date
    first_until: date
    last_since: date
    last_live: date
    goals: list[int] | None = None
    live: int
    fixed_units: list[int] | None = None
    fixed_gross: list[int] | None = None
    fixed_commission: list[int] | None = None


_COLUMNS = [field.name for field in fields(Contract)]
_RANGE = "{0} >= %(lo)s AND (%(hi)s::text IS NULL OR {0} < %(hi)s)"


_FEW = 2_000
"""Pages of entities of which every line is looked at; of more, some lines of about `_SAMPLED` pages stand for all."""
_SAMPLED = 250
_ENOUGH = 100
"""Lines that a sample must have. With 1,000 of a book of 200,000, ranges differ by a tenth."""


def bounds(cur: Cursor, shards: int, most: int) -> list[Shard]:
    """The lines in ranges of about one size, in order: `shards`, or a multiple of it where one would hold more than `most` lines.

    Fewer where there are fewer lines.
    """
    lines = "SELECT id FROM entity {} WHERE kind = 'line' ORDER BY 1"
    cur.execute("SELECT pg_relation_size('entity') / current_setting('block_size')::int")
    row = cur.fetchone()
    assert row is not None
    ids: list[str] = []
    part = min(1.0, _SAMPLED / max(1, row[0]))
    if row[0] > _FEW:
        cur.execute(lines.format(f"TABLESAMPLE SYSTEM ({100 * part:.6f})"))
        ids = [one for (one,) in cur.fetchall()]
    if len(ids) < _ENOUGH:
        cur.execute(lines.format(""))
        ids, part = [one for (one,) in cur.fetchall()], 1.0
    if not ids:
        return []
    number = min(len(ids), shards * max(1, ceil(len(ids) / part / (most * shards))))
    starts = [ids[len(ids) * place // number] for place in range(1, number)]
    return [Shard(since, until) for since, until in zip(["", *starts], [*starts, None], strict=True)]


def touched(cur: Cursor) -> list[int]:
    """The numbers of the changes of lines and orders that no run has read yet."""
    cur.execute("SELECT id FROM contract_touched")
    return [row[0] for row in cur.fetchall()]


def forget(cur: Cursor, numbers: Sequence[int]) -> None:
    """Every shard has read these changes."""
    cur.execute("DELETE FROM contract_touched WHERE id = ANY(%s)", (list(numbers),))


def stale(cur: Cursor, shard: Shard) -> list[str]:
    """Lines of a shard that changed since the last run, they or their order; contracts of lines that are no more are dropped."""
    cur.execute(
        "WITH changed AS MATERIALIZED (SELECT DISTINCT kind, entity_id FROM contract_touched), gone AS ("
        f"DELETE FROM billing_contract c WHERE {_RANGE.format('c.line_id')} AND c.line_id IN (SELECT entity_id FROM changed) "
        "AND NOT EXISTS (SELECT 1 FROM entity l WHERE l.kind = 'line' AND l.id = c.line_id)) "
        f"SELECT l.id FROM entity l JOIN entity o ON o.kind = 'order' AND o.id = l.order_id WHERE l.kind = 'line' AND {_RANGE.format('l.id')} "
        "AND (l.id IN (SELECT entity_id FROM changed WHERE kind = 'line') "
        "OR l.order_id IN (SELECT entity_id FROM changed WHERE kind = 'order')) ORDER BY l.order_id, l.id",
        shard.named,
    )
    return [row[0] for row in cur.fetchall()]


def put(cur: Cursor, contracts: Iterable[Contract]) -> None:
    """Keep compiled contracts in place of older ones."""
    found = list(contracts)
    cur.execute("DELETE FROM billing_contract WHERE line_id = ANY(%s)", ([one.line_id for one in found],))
    with cur.copy(f"COPY billing_contract ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
        for one in found:
            copy.write_row(astuple(one))


def closings(cur: Cursor, shard: Shard) -> Sequence[tuple[str, int, int]]:
    """Every kind of closing terms in a shard with the first and the last month of its lines."""
    cur.execute(
        "SELECT closing, min(first_month), max(first_month + months - 1) FROM billing_contract c "
        f"WHERE {_RANGE.format('c.line_id')} GROUP BY 1 ORDER BY 1",
        shard.named,
    )
    return cur.fetchall()


def edges(cur: Cursor, shard: Shard) -> Sequence[tuple[str, date, date]]:
    """(closing, first day, last day) of every first and last month of a line, each once."""
    cur.execute(
        f"SELECT DISTINCT closing, first_live, first_until FROM billing_contract c WHERE {_RANGE.format('c.line_id')} UNION "
        f"SELECT DISTINCT closing, last_since, last_live FROM billing_contract c WHERE {_RANGE.format('c.line_id')}",
        shard.named,
    )
    return cur.fetchall()

"""What each source counted of a line, month after month and added up from its first one: one row by line and source.

A month is read anew from `delivery_day` when a load touched it (`delivery_touched`, written by triggers in the transaction of
the load); what stands for the other months is kept. All months of a source are touched when it declares other units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from hub.store.billing_contracts import Shard
from hub.store.database import Cursor
from hub.store.facts import UNITS

_NAMES = UNITS.split(", ")
MOST_MONTHS = 60
"""Months of one row that fit into the bits of `seen`; a longer life has none, and its line goes through the library."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Months of one source whose facts changed since they were last read."""

    source: str
    months: Sequence[date]


def touched(cur: Cursor) -> tuple[list[int], list[Touched]]:
    """What changed, and the numbers to `forget` it by: a load that ends later has others, whatever their order."""
    cur.execute(
        "SELECT source, array_agg(DISTINCT period_start ORDER BY period_start), array_agg(id) FROM delivery_touched "
        "GROUP BY 1 ORDER BY 1"
    )
    found = cur.fetchall()
    return [number for row in found for number in row[2]], [Touched(row[0], row[1]) for row in found]


def forget(cur: Cursor, numbers: Sequence[int]) -> None:
    """Every shard has read these changes."""
    cur.execute("DELETE FROM delivery_touched WHERE id = ANY(%s)", (list(numbers),))


def refresh(cur: Cursor, shard: Shard, changed: Touched) -> int:
    """Read the touched months of a source anew for the lines of a shard; returns how many rows were written.

    Sums beyond 64 bits stop at 9 × 10^18, far above what reconciliation in columns accepts. `below_zero` tells of a row with a
    month of less than nothing, which only the library looks at.
    """
    named = {**shard.named, "s": changed.source, "months": list(changed.months)}
    cur.execute(
        "SELECT coalesce(s.counted_by, 'seller') = 'seller', coalesce(s.metrics, %(all)s) FROM (SELECT %(s)s::text AS source) x "
        "LEFT JOIN delivery_source s USING (source)",
        {**named, "all": " ".join(_NAMES)},
    )
    row = cur.fetchone()
    assert row is not None
    seller, metrics = bool(row[0]), set(str(row[1]).split())
    monthly = ", ".join(f"sum(d.{name}) AS {name}" for name in _NAMES)
    some = " + ".join(f"d.{name}" for name in _NAMES)
    kept = ", ".join(
        f"k.{name}[i] - CASE WHEN i > 1 THEN k.{name}[i - 1] ELSE 0 END" for name in (*_NAMES, "active_days")
    )
    running = ", ".join(
        f"greatest(least(sum(coalesce(f.{name}, 0)) OVER run, 9000000000000000000), -9000000000000000000)::bigint AS {name}"
        for name in (*_NAMES, "active_days")
    )
    gathered = ", ".join(
        f"array_agg({name} ORDER BY month)" if name in metrics else "NULL::bigint[]" for name in _NAMES
    )
    columns = ", ".join((*_NAMES, "active_days", "below_zero"))
    below = " OR ".join(f"coalesce(f.{name}, 0) < 0" for name in _NAMES)
    news = ", ".join(
        f"{name} = excluded.{name}"
        for name in ("seller", "first_month", "months", "seen", *_NAMES, "active_days", "below_zero")
    )
    cur.execute(
        "WITH months AS MATERIALIZED (SELECT m AS since, (m + interval '1 month')::date AS until FROM unnest(%(months)s::date[]) m), "
        "facts AS (SELECT d.line_id, (extract(year FROM m.since) * 12 + extract(month FROM m.since) - 1)::int AS month, "
        f"{monthly}, count(*) FILTER (WHERE {some} > 0) AS active_days FROM months m JOIN delivery_day d "
        "ON d.source = %(s)s AND d.day >= m.since AND d.day < m.until "
        "WHERE d.line_id >= %(lo)s AND (%(hi)s::text IS NULL OR d.line_id < %(hi)s) GROUP BY 1, 2), "
        f"kept AS (SELECT k.line_id, k.first_month + i - 1 AS month, {kept} FROM delivery_life k, generate_series(1, k.months) i "
        "WHERE k.source = %(s)s AND k.line_id >= %(lo)s AND (%(hi)s::text IS NULL OR k.line_id < %(hi)s) AND (k.seen IS NULL OR (k.seen >> (i - 1)) & 1 = 1) "
        "AND NOT EXISTS (SELECT 1 FROM months m "
        "WHERE (extract(year FROM m.since) * 12 + extract(month FROM m.since) - 1)::int = k.first_month + i - 1)), "
        "known AS (SELECT * FROM facts UNION ALL SELECT * FROM kept), "
        "span AS (SELECT line_id, min(month) AS first, max(month) AS last FROM known GROUP BY 1), "
        "dense AS (SELECT s.line_id, m AS month, f.line_id IS NOT NULL AS seen, m - s.first AS place, "
        f"{running}, {below} AS below FROM span s CROSS JOIN LATERAL generate_series(s.first, s.last) m "
        "LEFT JOIN known f ON f.line_id = s.line_id AND f.month = m WINDOW run AS (PARTITION BY s.line_id ORDER BY m)) "
        f"INSERT INTO delivery_life AS old (line_id, source, seller, first_month, months, seen, {columns}) "
        f"SELECT line_id, %(s)s, {seller}, min(month), count(*), "
        f"CASE WHEN count(*) <= {MOST_MONTHS} THEN sum(CASE WHEN seen THEN 1::bigint << least(place, {MOST_MONTHS}) ELSE 0 END)::bigint END, "
        f"{gathered}, array_agg(active_days ORDER BY month), bool_or(below) "
        f"FROM dense GROUP BY line_id ORDER BY line_id ON CONFLICT (line_id, source) DO UPDATE SET {news} "
        f"WHERE (old.seller, old.first_month, old.months, old.seen, old.{columns.replace(', ', ', old.')}) IS DISTINCT FROM "
        f"(excluded.seller, excluded.first_month, excluded.months, excluded.seen, excluded.{columns.replace(', ', ', excluded.')})",
        named,
    )
    return cur.rowcount


def sources(cur: Cursor) -> list[str]:
    """The sources that ever loaded a report."""
    cur.execute(
        "SELECT source FROM delivery_source UNION SELECT source FROM delivery_report UNION "
        "SELECT connection FROM delivery_job WHERE state = 'loaded' ORDER BY 1"
    )
    return [row[0] for row in cur.fetchall()]

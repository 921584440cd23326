"""Reconciliation of a year: a run of the product against the plain Decimal loop, both from PostgreSQL and back into it.

Each round runs both in turn, each in a process of its own, which tells its own peak memory. The Decimal loop is the oracle,
too: every one of its line-months is compared with what the run kept and with the digests that stand for what it implies.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.airbyte import ran
from bench.reconciliation_book import MONTHS, fill
from bench.result import Measurement, NotRun, measured
from cli.demo.embedded_postgres import EmbeddedPostgres
from hub.store.database import migrate
from hub.store.reconciliation import digest_keys_between

OF_DECIMAL, A_SECOND, DIFFERENT = 7.0, 2_000_000, 0
SMALL, FULL = 10_000, 200_000
"""Lines of a book, each of twelve months."""

_DIFFERENT = """
WITH oracle AS (
  SELECT l.line_id, count(*) AS months, (mod(mod(sum(r.gross::numeric * (%(keys)s::bigint[])[3 * r.m + 1]
      + r.commission::numeric * (%(keys)s::bigint[])[3 * r.m + 2]
      + (r.quantity * 32 + r.code + 1)::numeric * (%(keys)s::bigint[])[3 * r.m + 3])
      + 9223372036854775808, 18446744073709551616) + 18446744073709551616, 18446744073709551616) - 9223372036854775808)::bigint
    AS digest, sum(r.gross) AS gross, sum(r.commission) AS commission
  FROM plain_result r JOIN plain_line l USING (n) GROUP BY 1
), lines AS (
  SELECT coalesce(o.months, s.line_months) AS months FROM oracle o
  FULL JOIN (SELECT * FROM reconciliation_line WHERE run = %(run)s) s USING (line_id)
  WHERE (o.digest, o.months, o.gross, o.commission) IS DISTINCT FROM (s.digest, s.line_months, s.gross, s.commission)
), exceptions AS (
  SELECT 1 FROM (
    SELECT l.line_id, make_date(2025, r.m + 1, 1) AS period_start, r.* FROM plain_result r JOIN plain_line l USING (n)
    WHERE r.code <> 0 OR r.tolerance = 2 OR r.capped > 0
  ) o FULL JOIN (SELECT * FROM reconciliation_exception WHERE run = %(run)s) e USING (line_id, period_start)
  WHERE ((ARRAY['', 'NO-REPORT', 'NOT-FINAL', 'NO-DELIVERY', 'VARIANCE'])[o.code + 1],
      (ARRAY['not compared', 'within', 'within over life', 'outside'])[o.tolerance + 1],
      o.seller, o.other, o.chosen, o.quantity, o.capped, o.gross, o.commission)
    IS DISTINCT FROM (e.code, e.tolerance, e.seller_units, e.other_units, e.chosen_units, e.billable_units, e.capped_units,
      e.gross, e.commission)
)
SELECT (SELECT coalesce(sum(months), 0) FROM lines)::bigint + (SELECT count(*) FROM exceptions)
"""


@dataclass(slots=True)
class _Side:
    seconds: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Bench:
    url: str
    folder: Path
    hub: _Side = field(default_factory=_Side)
    decimal: _Side = field(default_factory=_Side)

    def run(self, side: str) -> dict[str, Any]:
        """One side in a process of its own."""
        out = self.folder / "out.json"
        ran([sys.executable, "-m", "bench.reconciliation_process", side, self.url], out, b"")
        said: dict[str, Any] = json.loads(out.read_text("utf-8").strip().splitlines()[-1])
        kept = self.hub if side == "hub" else self.decimal
        kept.seconds.append(said["seconds"])
        kept.mb.append(said["mb"])
        return said

    def different(self, run: int) -> int:
        """Line-months of the oracle that a run says something else about; of a line whose digest differs, all."""
        with psycopg.connect(self.url) as connection:
            keys = digest_keys_between(24_300, 24_311)
            row = connection.execute(_DIFFERENT, {"run": run, "keys": keys}).fetchone()
        assert row is not None
        return int(row[0])

    def drop_runs(self) -> None:
        """So that every round writes into tables of one size."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("TRUNCATE reconciliation_line, reconciliation_exception, reconciliation_run")


def run(*, rounds: int, full: bool) -> list[Measurement | NotRun]:
    """200,000 lines of twelve months when `full`, 10,000 otherwise."""
    lines = FULL if full else SMALL
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        url = server.create_database("reconciliation")
        migrate(url)
        fill(url, lines)
        bench = _Bench(url, Path(folder))
        first = bench.run("hub")  # compiles the contracts and reads the counts for the first time
        bench.run("decimal")
        if first["by_library"] or first["line_months"] != lines * MONTHS:
            raise AssertionError(f"the run calculated something else than this book: {first}")
        different = [bench.different(first["run"])]
        warm = bench.hub.seconds[0]
        bench.hub, bench.decimal = _Side(), _Side()
        for _ in range(rounds):
            bench.drop_runs()
            said = bench.run("hub")
            if said["read_anew"]:
                raise AssertionError(f"nothing changed, and {said['read_anew']} rows were read anew")
            bench.run("decimal")
            different.append(bench.different(said["run"]))
    return _measurements(bench, lines, first, warm, different)


def _measurements(
    bench: _Bench, lines: int, first: dict[str, Any], warm: float, different: list[int]
) -> list[Measurement | NotRun]:
    what = f"{lines:,} lines x {MONTHS} months, embedded PostgreSQL, processes of their own"
    seconds = bench.hub.seconds
    rates = [lines * MONTHS / one for one in seconds]
    figures = {
        "line_months": lines * MONTHS,
        "exceptions": first["exceptions"],
        "seconds_first_run": round(warm, 3),
        "rows_brought_into_columns_once": first["read_anew"],
        "hub_mb": max(bench.hub.mb),
        "decimal_mb": max(bench.decimal.mb),
    }
    return [
        measured(
            f"reconciliation against the Decimal loop ({lines:,} lines)",
            list(zip(bench.decimal.seconds, seconds, strict=True)),
            method=f"{what}; a: rows to Python, Decimal, COPY of every line-month back; b: a run in four sessions, "
            "one row per line and the exceptions kept, what changed since the last run looked for. Ratio = a / b.",
            limit=OF_DECIMAL,
            sense="at_least",
            ratio=lambda one, other: one / other,
            figures=figures,
        ),
        Measurement(
            name=f"line-months reconciled a second ({lines:,} lines)",
            ratio=round(statistics.median(rates)),
            spread=(round(min(rates)), round(max(rates))),
            rounds=len(rates),
            method=f"{what}; a whole run, store to store.",
            limit=A_SECOND if lines == FULL else None,
            figures=figures,
            memory_mb=max(bench.hub.mb),
            unit="line-months/s",
        ),
        Measurement(
            name=f"line-months that differ from the Decimal oracle ({lines:,} lines)",
            ratio=max(different),
            spread=(min(different), max(different)),
            rounds=len(different),
            method=f"{what}; every line-month by digest, every exception by all its columns.",
            limit=DIFFERENT,
            sense="at_most",
            unit="line-months",
        ),
    ]

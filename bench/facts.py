"""Delivery reports into facts: against raw COPY of the same rows, and against dlt in its best mode; both with a restated week.

Each round uses databases of its own on one embedded server, the sides in turn: raw COPY, the hub's first load, the same
rows again in another order, the restated week; a first load that holds little of the report (`report_memory: small`); then
dlt's first load and restated week. Every load is one process of its own, which tells its peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.airbyte import ran
from bench.peer_environment import InstallationError, installed
from bench.report_rows import FIRST_LINE, lines_of
from bench.result import Measurement, NotRun, measured
from cli.demo.embedded_postgres import EmbeddedPostgres
from hub.store.database import migrate

OF_RAW = 0.75
OF_DLT, WEEK_OF_DLT, MEMORY_OF_DLT = 6.0, 10.0, 1 / 3
AGAIN, MOST_MB = 0.5, 256.0
SMALL = (200_000, 30)
FULL = (10_000_000, 30)
LARGE = (50_000_000, 150)
"""Rows and days. The largest is loaded once, for its memory."""


@dataclass(slots=True)
class _Side:
    """Seconds and peak MB of one kind of load over the rounds."""

    seconds: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)


class _Bench:
    def __init__(self, server: EmbeddedPostgres, folder: Path, rows: int, days: int) -> None:
        self.server, self.folder, self.rows, self.days = server, folder, rows, days
        self.sides: dict[str, _Side] = {}
        self._databases = 0
        maker = [sys.executable, "-m", "bench.report_rows", str(folder), str(rows), str(days)]
        subprocess.run(maker, check=True, cwd=Path(__file__).resolve().parents[1])
        self._template = server.create_database(f"template_{rows}")
        migrate(self._template)
        with psycopg.connect(self._template) as connection, connection.cursor() as cur:
            with cur.copy(
                "COPY reference (connection, kind, entity_id, facet, record, vendor_id, account, since) FROM STDIN"
            ) as copy:
                for number in range(lines_of(rows)):
                    vendor_id = str(FIRST_LINE + number)
                    now = datetime.now(UTC)
                    copy.write_row(("ads", "line", f"lin_{vendor_id}", "1", "LineItem", vendor_id, "network", now))
            cur.execute("ANALYZE")

    def database(self, *, ours: bool) -> tuple[str, str]:
        """A new database of our schema, or an empty one: its name and URL."""
        self._databases += 1
        name = f"facts_{self.rows}_{self._databases}"
        return name, self.server.create_database(name, f"template_{self.rows}" if ours else None)

    def load(self, side: str, command: Sequence[str], *, changed: int | None) -> None:
        """Run one load and keep its figures. AssertionError when it changed another number of facts than it must."""
        out = self.folder / "out.json"
        ran(command, out, b"")
        said = json.loads(out.read_text("utf-8").strip().splitlines()[-1])
        if changed is not None and said["changed"] != changed:
            raise AssertionError(f"{side} changed {said['changed']} facts, not {changed}")
        kept = self.sides.setdefault(side, _Side())
        kept.seconds.append(said["seconds"])
        kept.mb.append(said["peak_mb"])

    def round(self, dlt: Path | None) -> None:
        """Each side once, databases dropped afterwards."""
        ours = [sys.executable, "-m", "bench.facts_process"]
        raw_name, raw_url = self.database(ours=False)
        self.load("raw", [*ours, "raw", raw_url, str(self.folder / "first.csv")], changed=self.rows)
        self.server.drop_database(raw_name)
        name, url = self.database(ours=True)
        facts = min(self.rows, lines_of(self.rows) * self.days)
        self.load("first", [*ours, "hub", url, str(self.folder / "first.csv.gz")], changed=facts)
        self.load("again", [*ours, "hub", url, str(self.folder / "again.csv.gz")], changed=0)
        self.load("week", [*ours, "hub", url, str(self.folder / "week.csv.gz")], changed=None)
        self._same_sums(url)
        self.server.drop_database(name)
        name, url = self.database(ours=True)
        self.load("small", [*ours, "small", url, str(self.folder / "first.csv.gz")], changed=facts)
        self._same_sums(url)
        self.server.drop_database(name)
        if dlt is None:
            return
        name, url = self.database(ours=False)
        with tempfile.TemporaryDirectory() as scratch:
            peer = [str(dlt), str(Path(__file__).with_name("dlt_process.py"))]
            self.load("dlt first", [*peer, url, str(self.folder / "first.csv.gz"), scratch], changed=None)
            self.load("dlt week", [*peer, url, str(self.folder / "week.csv.gz"), scratch], changed=None)
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT count(*) FROM facts.facts").fetchone()
        if found is None or found[0] != self.rows:
            raise AssertionError(f"dlt holds {found} rows, not {self.rows}")
        self.server.drop_database(name)

    def _same_sums(self, url: str) -> None:
        """The facts and the detail rows must say the same, or something was lost on the way."""
        with psycopg.connect(url) as connection:
            found = connection.execute(
                "SELECT (SELECT count(*) FROM delivery_detail), "
                "(SELECT (sum(impressions), sum(clicks)) FROM delivery_detail)::text, "
                "(SELECT (sum(impressions), sum(clicks)) FROM delivery_day)::text"
            ).fetchone()
        if found is None or found[0] != self.rows or found[1] != found[2]:
            raise AssertionError(f"detail rows and facts differ: {found}")

    def compared(
        self, name: str, one: str, other: str, limit: float, sense: str, method: str, *, memory: bool = False
    ) -> Measurement:
        """`one` divided by `other`, seconds or megabytes, round by round."""
        a, b = self.sides[one], self.sides[other]
        pairs = list(zip(a.mb, b.mb, strict=True) if memory else zip(a.seconds, b.seconds, strict=True))
        return measured(
            f"{name} ({self.rows:,} rows)",
            pairs,
            method=method,
            limit=limit,
            sense=sense,
            ratio=lambda first, second: first / second,
            figures={"rows": self.rows, "days": self.days, "peak_mb_a": max(a.mb), "peak_mb_b": max(b.mb)},
        )

    def memory(self, limit: float) -> Measurement:
        """The largest peak of our own loads."""
        peaks = [
            max(self.sides[side].mb[at] for side in ("first", "again", "week") if side in self.sides)
            for at in range(len(self.sides["first"].mb))
        ]
        return Measurement(
            name=f"memory of loading facts ({self.rows:,} rows)",
            ratio=sorted(peaks)[len(peaks) // 2],
            spread=(min(peaks), max(peaks)),
            rounds=len(peaks),
            method="Largest resident memory of the loading process, interpreter and libraries with it.",
            limit=limit,
            sense="at_most",
            figures={"rows": self.rows, "seconds_first": self.sides["first"].seconds},
            unit="MB",
        )


def run(*, rounds: int, full: bool) -> list[Measurement | NotRun]:
    """10 million rows of 30 days, and 50 million once for its memory, when `full`; 200,000 rows otherwise."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        (scratch := Path(folder) / "reports").mkdir()
        found = _rounds(server, scratch, *(FULL if full else SMALL), rounds)
        if full:
            (large := Path(folder) / "large").mkdir()
            bench = _Bench(server, large, *LARGE)
            _, url = bench.database(ours=True)
            command = [sys.executable, "-m", "bench.facts_process", "hub", url, str(large / "first.csv.gz")]
            bench.load("first", command, changed=None)
            found.append(bench.memory(MOST_MB))
        return found


def _rounds(server: EmbeddedPostgres, folder: Path, rows: int, days: int, rounds: int) -> list[Measurement | NotRun]:
    without: NotRun | None = None
    dlt: Path | None = None
    try:
        dlt = installed("dlt")
    except InstallationError as why:
        without = NotRun("facts against dlt", str(why))
    bench = _Bench(server, folder, rows, days)
    for number in range(rounds + 1):
        bench.round(dlt)
        if number == 0:  # the first round warms the page cache and the compiled files, and is not counted
            bench.sides.clear()
    what = f"{rows:,} rows of {days} days, gzip, shuffled; seconds inside the loading process. Interleaved rounds"
    measurements: list[Measurement | NotRun] = [
        bench.compared(
            "first load against raw COPY", "raw", "first", OF_RAW, "at_least",
            f"{what}; a: COPY of the plain CSV, one session, unlogged table without index; b: the hub, to versioned facts and "
            "logged detail partitions. Ratio = a / b.",
        ),
        bench.compared(
            "unchanged reload against first load", "again", "first", AGAIN, "at_most",
            f"{what}; a: the same rows in another order, 0 facts written; b: the first load. Ratio = a / b.",
        ),
        bench.memory(MOST_MB),
    ]  # fmt: skip
    if without is not None:
        return [*measurements, without]
    return [
        *measurements,
        bench.compared("first load against dlt", "dlt first", "first", OF_DLT, "at_least",
            f"{what}; a: dlt, pyarrow to CSV to COPY to merge; b: the hub. Ratio = a / b."),
        bench.compared("restated week against dlt", "dlt week", "week", WEEK_OF_DLT, "at_least",
            f"{what}, then the last seven days with 2 % restated; a: dlt; b: the hub. Ratio = a / b."),
        bench.compared("memory against dlt", "first", "dlt first", MEMORY_OF_DLT, "at_most",
            "Peak resident memory of the first load; a: the hub; b: dlt. Ratio = a / b.", memory=True),
        bench.compared("first load in small memory against dlt", "dlt first", "small", OF_DLT, "at_least",
            f"{what}; a: dlt; b: the hub with `report_memory: small`. Ratio = a / b."),
        bench.compared("small memory against dlt", "small", "dlt first", MEMORY_OF_DLT, "at_most",
            "Peak resident memory of the first load; a: the hub with `report_memory: small`; b: dlt. Ratio = a / b.",
            memory=True),
    ]  # fmt: skip

"""Campaigns: many seeds on several processes, and the figures that come out of them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from cli.demo.embedded_postgres import EmbeddedPostgres
from simulation import exhaustive, timing, upheaval
from simulation.arena import Arena
from simulation.cores import settle_on_one
from simulation.errors import Violation
from simulation.schedule import Report, generate, run

T = TypeVar("T")
CHUNK = 5
"""Seeds handed to a process at once."""

_arena: Arena | None = None


@dataclass
class Figures:
    """What a campaign found. `duplicates` are live objects too many, `lost` changes that never arrived where they should."""

    seeds: int = 0
    seconds: float = 0.0
    simulated_seconds: float = 0.0
    steps: int = 0
    duplicates: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    failures: dict[int, tuple[Violation, ...]] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    """By seed, the hash over its event log and its store."""

    LOST = frozenset({"I3", "I4", "I13", "I14", "I19", "I22"})
    """Invariants whose breach means that a change got lost on its way."""

    def add(self, report: Report) -> None:
        """Count one schedule."""
        self.seeds += 1
        self.hashes[report.seed] = report.log_hash
        self.simulated_seconds += report.simulated_seconds
        self.steps += report.steps
        self.duplicates += report.duplicates
        self.faults.update(report.faults)
        self.endings.update(report.endings)
        if report.violations:
            self.failures[report.seed] = report.violations

    def as_dict(self) -> dict[str, Any]:
        """The figures by which a campaign is judged, JSON-ready."""
        broken = [violation for found in self.failures.values() for violation in found]
        return {
            "seeds": self.seeds,
            "schedules_per_s": round(self.seeds / self.seconds, 2) if self.seconds else 0.0,
            "simulated_days": round(self.simulated_seconds / 86400, 1),
            "duplicates": self.duplicates,
            "lost": sum(violation.invariant in self.LOST for violation in broken),
            "violations": len(broken),
        }


_SETTINGS = {
    "autovacuum": "off",
    "update_process_title": "off",
    "track_activities": "off",
    "max_wal_size": "64MB",  # kept in memory, too
    "min_wal_size": "32MB",
}
_MEMORY = Path("/dev/shm")
_ROOM = 2 * 2**30
"""Bytes that must be free there: a server with two databases takes 250 MB."""


def _in_memory() -> Path | None:
    try:
        return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM and os.access(_MEMORY, os.W_OK) else None
    except OSError:
        return None


@contextmanager
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of our own that forgets everything: no fsync, no autovacuum in the middle of a schedule.

    In memory where the system offers room for it: on a disk each schedule spends 15 ms on making and removing the files of
    temporary tables.
    """
    folder = Path(tempfile.mkdtemp(prefix="orderhub-simulation-", dir=_in_memory()))
    try:
        with EmbeddedPostgres(folder, durable=False) as postgres:
            for setting, value in _SETTINGS.items():
                postgres.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
            postgres.sql("SELECT pg_reload_conf()")
            yield postgres
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def arena(postgres: EmbeddedPostgres, name: str = "simulation") -> Iterator[Arena]:
    """One database with everything in it."""
    made = Arena(postgres.create_database(name))
    try:
        yield made
    finally:
        made.close()


def _begin(urls: Any) -> None:
    global _arena
    number, url = urls.get()
    settle_on_one(number)
    _arena = Arena(url)


def in_arena(work: Callable[[Arena, T], Any], argument: T) -> Any:
    """Run `work` in the arena of this process."""
    assert _arena is not None
    return work(_arena, argument)


@contextmanager
def processes(postgres: EmbeddedPostgres, jobs: int) -> Iterator[Any]:
    """A pool of processes, each with a database and a core of its own."""
    context = multiprocessing.get_context("spawn")
    urls = context.SimpleQueue()
    for number in range(jobs):
        urls.put((number, postgres.create_database(f"simulation_{number}")))
    with context.Pool(jobs, _begin, (urls,)) as pool:
        yield pool
        pool.close()
        pool.join()


def _run_seeds(arena: Arena, share: tuple[Sequence[int], bool]) -> list[Report]:
    seeds, upheavals = share
    drawn = upheaval.schedule if upheavals else generate
    return [run(arena, drawn(seed)) for seed in seeds]


def _job(share: tuple[Sequence[int], bool]) -> list[Report]:
    found: list[Report] = in_arena(_run_seeds, share)
    return found


def run_seeds(
    start: int,
    count: int,
    jobs: int,
    told: Callable[[Report, Figures], None] = lambda report, figures: None,
    *,
    backwards: bool = False,
    upheavals: bool = False,
) -> Figures:
    """Run the schedules of `count` seeds from `start` on `jobs` processes, plain or with upheavals; `told` hears of each as it
    ends."""
    figures = Figures()
    seeds = list(range(start, start + count))[:: -1 if backwards else 1]
    chunks = [(seeds[at : at + CHUNK], upheavals) for at in range(0, count, CHUNK)]
    with server() as postgres, processes(postgres, jobs) as pool:
        began = time.monotonic()
        for reports in pool.imap_unordered(_job, chunks):
            for report in reports:
                figures.add(report)
                told(report, figures)
        figures.seconds = time.monotonic() - began
    return figures


# ---------------------------------------------------------------- the other suites
def _exhaustive_job(share: tuple[int, int, int, bool]) -> list[Report]:
    number, of, every, pairs = share

    def work(arena: Arena, _: None) -> list[Report]:
        walked = chain(
            *(exhaustive.schedules(arena, terms) for terms in exhaustive.TERMS),
            *(exhaustive.pairs(arena, terms) for terms in exhaustive.TERMS if pairs),
        )
        step = of * every
        chosen = islice(walked, number * every, None, step)
        return [replace(run(arena, each), seed=number * every + at * step) for at, each in enumerate(chosen)]

    found: list[Report] = in_arena(work, None)
    return found


def run_exhaustive(jobs: int, every: int, *, pairs: bool) -> Figures:
    """Every n-th schedule of the exhaustive suite: all single faults, and after them all pairs where asked for. Failures are
    named by their place in it."""
    figures = Figures()
    with server() as postgres, processes(postgres, jobs) as pool:
        began = time.monotonic()
        for reports in pool.imap_unordered(_exhaustive_job, [(n, jobs * 4, every, pairs) for n in range(jobs * 4)]):
            for report in reports:
                figures.add(report)
        figures.seconds = time.monotonic() - began
    return figures


def _timing_job(seed: int) -> timing.Broken:
    found: timing.Broken = in_arena(lambda arena, _: timing.run(arena, timing.schedule(seed)), None)
    return found


def run_timing(start: int, count: int, jobs: int) -> dict[str, Any]:
    """Schedules whose vendors break their declared timing: duplicates made, and those that the hub does not know of."""
    with server() as postgres, processes(postgres, jobs) as pool:
        found = list(pool.imap_unordered(_timing_job, range(start, start + count)))
    return {
        "schedules": len(found),
        "duplicates": sum(broken.duplicates for broken in found),
        "undetected": sum(broken.undetected for broken in found),
        "documents": sum(broken.documents for broken in found),
        "ended_early": {broken.seed: broken.others[0] for broken in found if broken.others},
    }

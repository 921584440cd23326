"""Claims per second: worker processes take due lanes from the store, each claim one durable transaction with its audit events."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psycopg

from bench.result import Measurement
from cli.demo.embedded_postgres import EmbeddedPostgres
from hub.store import lanes
from hub.store.database import Database, migrate

CONNECTION, KIND = "gam", "party"
BATCHES = (1, 100, 500)
WORKERS = (1, 4, 8)
HEADLINE = (100, 4)
"""The cell (batch, workers) that stands for the table: what a push claims at once, and the pool of one connection."""
PER_BATCH = {1: 300, 100: 6_000, 500: 12_000}
PER_BATCH_FULL = {1: 2_000, 100: 20_000, 500: 50_000}
"""Lanes that are claimed in one measured run, by the size of a claim. Nobody finishes one, so that every claim passes over
all those before it: more than a push ever leaves in flight."""
LEASE = timedelta(minutes=10)
LANE = (
    "connection, kind, entity_id, facet, order_id, order_facet, stage, desired_version, desired_hash, state, fence, tries, "
    "probes, wanted_at"
)
PATIENCE = 300.0
HEAD_START = 0.05
"""Seconds from the word to the first claim, so that all workers begin together."""


def _fill(url: str, count: int) -> None:
    """`count` due lanes that wait for nothing else, in a table without the traces of the run before."""
    now = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cur:
        cur.execute("TRUNCATE lane, audit")
        cur.execute("UPDATE audit_head SET sequence = 0, hash = %s", (bytes(32),))
        with cur.copy(f"COPY lane ({LANE}) FROM STDIN") as copy:
            for number in range(count):
                entity, order = f"pty_{number:024}", f"ord_{number // 20:024}"
                row = (CONNECTION, KIND, entity, "advertiser", order, "", 0, 1, UUID(int=number), "ready", 0, 0, 0, now)
                copy.write_row(row)
        cur.execute("VACUUM ANALYZE lane")


def work(url: str, line: Connection) -> None:
    """One worker: for each (batch, moment) it hears it claims until nothing is left, and says how many lanes it took when."""
    database = Database(url)
    database.rows("SELECT 1")
    line.send(None)
    while (asked := line.recv()) is not None:
        batch, moment = asked
        time.sleep(max(0.0, moment - time.monotonic()))
        taken, began = 0, time.monotonic()
        while True:
            now = datetime.now(UTC)
            with database.transaction() as cur:
                claimed = lanes.claim(cur, CONNECTION, KIND, batch, now, now + LEASE, updates=False)
            if not claimed:
                break
            taken += len(claimed)
        line.send((taken, began, time.monotonic()))
    database.close()


class Crew:
    """Worker processes that live through all cells: starting one costs more than most cells."""

    def __init__(self, url: str, size: int) -> None:
        processes = multiprocessing.get_context("spawn")  # a forked child would share the parent's sockets
        pairs = [processes.Pipe() for _ in range(size)]
        self._lines = [ours for ours, _ in pairs]
        self._workers = [processes.Process(target=work, args=(url, theirs), daemon=True) for _, theirs in pairs]

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        for line in self._lines:
            self._hear(line)
        return self

    def __exit__(self, *_: object) -> None:
        for line, worker in zip(self._lines, self._workers, strict=True):
            line.send(None)
            worker.join(PATIENCE)

    def claim(self, batch: int, workers: int) -> tuple[int, float]:
        """(lanes claimed by so many workers, seconds from the first one's beginning to the last one's end)."""
        lines = self._lines[:workers]
        for line in lines:
            line.send((batch, time.monotonic() + HEAD_START))
        told = [self._hear(line) for line in lines]
        return sum(each[0] for each in told), max(each[2] for each in told) - min(each[1] for each in told)

    @staticmethod
    def _hear(line: Connection) -> Any:
        if not line.poll(PATIENCE):
            raise TimeoutError(f"A worker said nothing for {PATIENCE:.0f} s. Nothing was measured.")
        return line.recv()


def _rate(url: str, crew: Crew, batch: int, workers: int, count: int) -> float:
    """Lanes claimed per second, each of them once."""
    _fill(url, count)
    taken, seconds = crew.claim(batch, workers)
    if taken != count:
        raise AssertionError(f"{taken} lanes were claimed, not {count}: a lane was claimed twice or not at all")
    return count / seconds


def run(*, rounds: int, full: bool) -> Measurement:
    """Every size of a claim with every number of workers, the cells one after the other in each round."""
    counts = PER_BATCH_FULL if full else PER_BATCH
    rounds = rounds if full else min(rounds, 2)
    rates: dict[tuple[int, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        url = server.create_database("claims")
        migrate(url)
        with Crew(url, max(WORKERS)) as crew:
            _rate(url, crew, 100, max(WORKERS), 2_000)  # not counted: first pages, first statements
            for _ in range(rounds):
                for batch in BATCHES:
                    for workers in WORKERS:
                        rate = _rate(url, crew, batch, workers, counts[batch])
                        rates.setdefault((batch, workers), []).append(rate)
    headline = rates[HEADLINE]
    return Measurement(
        name="claims per second",
        ratio=round(statistics.median(headline)),
        spread=(round(min(headline)), round(max(headline))),
        rounds=rounds,
        method=(
            "Due lanes claimed by worker processes from the embedded PostgreSQL with fsync on, until none is left; each claim "
            "is one committed transaction with its lease, fence and audit events. Lanes per second from the first worker's "
            f"beginning to the last one's end, median of the rounds; headline: batch {HEADLINE[0]}, {HEADLINE[1]} workers."
        ),
        unit="claims/s",
        figures={
            f"batch {batch}, {workers} workers": round(statistics.median(values))
            for (batch, workers), values in sorted(rates.items())
        }
        | {"lanes": {str(batch): count for batch, count in counts.items()}},
    )

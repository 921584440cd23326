"""Planning at 1 % dirty: the hub's plan query against a full comparison of a snapshot with what the vendor acknowledged.

Both sides find what changed; mapping and checking what was found is timed on neither.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson
import psycopg

from bench.result import Measurement, interleaved, measured
from cli.demo.embedded_postgres import EmbeddedPostgres
from hub.store import lanes
from hub.store.database import Database, migrate

LIMIT = 1 / 20
WANTED = datetime(2026, 1, 1, tzinfo=UTC)
LANE = (
    "connection, kind, entity_id, facet, order_id, order_facet, stage, desired_version, desired_hash, acked_version, "
    "acked_hash, acked_payload, state, fence, tries, probes, wanted_at"
)
REFERENCE = "connection, kind, entity_id, facet, record, vendor_id, account, since"


def _payload(number: int) -> bytes:
    """About 300 bytes of a line item, every hundredth one changed since it was acknowledged."""
    return orjson.dumps(
        {
            "id": f"lin_{number:024}",
            "name": f"Homepage takeover {number} spring flight northern region",
            "goal": {"unit": "impressions", "quantity": 1_000_000 + number},
            "price": {"method": "CPM", "rate": 12_500_000, "currency": "USD"},
            "flight": {"start": "2026-02-01T00:00:00", "end": "2026-03-01T00:00:00", "zone": "Europe/Berlin"},
            "changed": number % 100 == 0,
        }
    )


def _hash(payload: bytes) -> UUID:
    return UUID(bytes=hashlib.blake2b(payload, digest_size=16).digest())


def _lanes(count: int) -> Iterator[tuple[object, ...]]:
    old = UUID(int=0)
    for number in range(count):
        payload = _payload(number)
        now = _hash(payload)
        acked = old if number % 100 == 0 else now
        entity = f"lin_{number:024}"
        yield (
            "gam",
            "line",
            entity,
            "1",
            f"ord_{number // 20:024}",
            "1",
            2,
            1,
            now,
            1,
            acked,
            payload,
            "ready",
            0,
            0,
            0,
            WANTED,
        )


def _references(count: int) -> Iterator[tuple[object, ...]]:
    """Every line is at the vendor already: the plan joins each dirty lane with the record it changes."""
    for number in range(count):
        yield ("gam", "line", f"lin_{number:024}", "1", "LineItem", str(7_000_000_000 + number), "network", WANTED)


def _fill(url: str, count: int) -> None:
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cur:
        # The server of tests commits before its log is written, and VACUUM marks nothing as visible to all that is so new.
        cur.execute("SET synchronous_commit = on")
        with cur.copy(f"COPY lane ({LANE}) FROM STDIN") as copy:
            for row in _lanes(count):
                copy.write_row(row)
        with cur.copy(f"COPY reference ({REFERENCE}) FROM STDIN") as copy:
            for row in _references(count):
                copy.write_row(row)
        cur.execute("VACUUM ANALYZE lane, reference")


def _compare_all(url: str, snapshot: Path) -> int:
    """Read every payload, hash it, and join the hashes with what the vendor acknowledged."""
    with psycopg.connect(url) as connection, connection.cursor() as cur:
        cur.execute("CREATE TEMP TABLE present (entity_id text, hash uuid) ON COMMIT DROP")
        with cur.copy("COPY present FROM STDIN") as copy, snapshot.open("rb") as file:
            for number, line in enumerate(file):
                copy.write_row((f"lin_{number:024}", _hash(line.rstrip(b"\n"))))
        cur.execute(
            "SELECT count(*) FROM present p JOIN lane l ON l.entity_id = p.entity_id AND l.connection = 'gam' "
            "AND l.kind = 'line' WHERE l.acked_hash IS DISTINCT FROM p.hash"
        )
        row = cur.fetchone()
    return 0 if row is None else int(row[0])


def run(*, rounds: int, full: bool) -> Measurement:
    """One million lanes when `full`, twenty thousand otherwise."""
    count = 1_000_000 if full else 20_000
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg", durable=False) as server:
        url = server.create_database("planning")
        _fill(url, count)
        snapshot = Path(folder) / "snapshot.jsonl"
        with snapshot.open("wb") as file:
            file.writelines(_payload(number) + b"\n" for number in range(count))
        database = Database(url)

        def plan() -> int:
            with database.transaction() as cur:
                return len(lanes.dirty(cur, "gam"))

        expected = (count + 99) // 100
        if plan() != expected or _compare_all(url, snapshot) != expected:
            raise AssertionError("the plan and the full comparison do not find the same changes")
        pairs = interleaved(plan, lambda: _compare_all(url, snapshot), rounds)
        database.close()
    return measured(
        "planning at 1 % dirty",
        pairs,
        method=(
            f"{count:,} lanes with their records at the vendor, 1 % dirty; a: the plan's SQL alone, the query with all its "
            "columns fetched, neither mapped to payloads nor checked; b: the least a full comparison does, reading a "
            "snapshot of every payload, hashing it and joining the hashes, not mapped either. What `orderhub plan` does with "
            "the dirty records afterwards is in neither. Interleaved rounds, ratio = a / b."
        ),
        limit=LIMIT,
        sense="at_most",
        ratio=lambda plan_seconds, full_seconds: plan_seconds / full_seconds,
        figures={"lanes": count, "dirty": expected},
    )

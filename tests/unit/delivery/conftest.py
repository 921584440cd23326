"""A hub with known lines and four kinds of source: ad server, measurement file, measurement API, buyer."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
from hub.delivery.answers import ReportSummary
from hub.delivery.loading import Report, load_report
from hub.delivery.shape import ReportShape
from hub.session import Session
from hub.store import database

COLUMNS = {
    "day": "Date",
    "line": "Line item ID",
    "impressions": "Impressions",
    "clicks": "Clicks",
    "ad_unit": "Ad unit",
}
HEADER = "Date,Line item ID,Ad unit,Impressions,Clicks\n"


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 10, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


def shape(**more: Any) -> ReportShape:
    """An ad server's report, packed with gzip, unless told otherwise."""
    usual = {"columns": COLUMNS, "zone": "America/New_York", "counted_by": "seller", "complete_by": "gzip"}
    return ReportShape.model_validate({**usual, **more})


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


@dataclass
class World:
    """A session on a migrated store, and short words for what tests do with it."""

    session: Session
    clock: HandClock
    folder: Path

    def source(self, name: str, declared: ReportShape) -> None:
        known = self.session.configuration.connections
        assert isinstance(known, dict)
        known[name] = ConnectionSettings(connector="gam", report=declared)

    def declare(self, name: str, **more: Any) -> None:
        """An ad server's source, or one that differs from it in what is told."""
        self.source(name, shape(**more))

    def know(self, source: str, *vendor_ids: str) -> None:
        """Lines of these vendor ids are known from now on, under the ids lin_<vendor id>."""
        with self.session.database.transaction() as cur:
            for vendor_id in vendor_ids:
                cur.execute(
                    "INSERT INTO reference (connection, kind, entity_id, facet, record, vendor_id, account, since) "
                    "VALUES (%s, 'line', %s, '1', 'LineItem', %s, 'n', %s)",
                    (source, f"lin_{vendor_id}", vendor_id, self.clock.now()),
                )

    def load(self, source: str, content: str | bytes | Sequence[bytes], **more: Any) -> ReportSummary:
        """Load a report as of now; every report is a minute newer than the one before."""
        self.clock.time += timedelta(minutes=1)
        pieces = [packed(content)] if isinstance(content, str) else [content] if isinstance(content, bytes) else content
        given = {"name": "r", "as_of": self.clock.now(), **more}
        return load_report(self.session, source, Report(pieces=iter(pieces), **given), spool_folder=self.folder)

    def newest(self, source: str) -> dict[tuple[str, str], tuple[int, int]]:
        """Impressions and clicks by (line, day), the newest."""
        rows = self.session.database.rows(
            "SELECT line_id, day, impressions, clicks FROM delivery_day WHERE source = %s", (source,)
        )
        return {(row[0], row[1].isoformat()): (row[2], row[3]) for row in rows}

    def everything(self) -> dict[str, list[Any]]:
        """All that a load may write, to compare before and after."""
        tables = {
            "delivery_day": "source, line_id, day",
            "delivery_superseded": "source, line_id, day, as_of",
            "delivery_partition": "source, day",
            "delivery_detail": "part, line_vendor_id, ad_unit",
            "delivery_quarantine": "connection, line_vendor_id, day",
            "delivery_report": "source, report, as_of",
        }
        rows = self.session.database.rows
        found = {table: list(rows(f"SELECT * FROM {table} ORDER BY {order}")) for table, order in tables.items()}
        found["tables"] = list(rows("SELECT relname FROM pg_class WHERE relname LIKE 'delivery_detail%%' ORDER BY 1"))
        return found


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A store with the lines 11 and 12 of the source `ads`."""
    database.migrate(database_url)
    clock = HandClock()
    configuration = Configuration(Path("t.yaml"), HubSettings(store=StoreSettings(url=database_url)), {}, {})
    session = Session(configuration, database.Database(database_url), clock, clock)
    made = World(session, clock, tmp_path)
    made.source("ads", shape())
    made.know("ads", "11", "12")
    yield made
    session.close()

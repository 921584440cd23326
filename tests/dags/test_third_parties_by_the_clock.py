"""Third-party sources by Airflow on a real store: a folder of files and a reporting API, restated, broken, and missing a day."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from hub import open_hub
from hub.encoding import fingerprint
from hub.store.entities import NewVersion
from hub.sync.page_writes import PageWrites
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order
from oms_schema.status import CommercialStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAYS = [date(2026, 3, 5) + timedelta(days=number) for number in range(4)]
ORDER, LINE = canonical_id(EntityKind.ORDER, "sfdc", "spring"), canonical_id(EntityKind.LINE, "sfdc", "spring-1")


@dataclass
class Measurement:
    """A measurement company: counts by day, handed over as JSON pages. `moved` answers 404."""

    counts: dict[date, int] = field(default_factory=lambda: dict.fromkeys(DAYS, 900))
    moved: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def page(self, path: str) -> bytes:
        """The report of the days that the query names."""
        query = parse_qs(urlsplit(path).query)
        since, until = query["since"][0], query["until"][0]
        self.asked.append((since, until))
        rows = [
            {"day": day.isoformat(), "line": LINE, "imps": count}
            for day, count in self.counts.items()
            if since <= day.isoformat() <= until
        ]
        return json.dumps({"rows": rows, "complete": True}).encode()


@pytest.fixture
def measurement() -> Iterator[tuple[Measurement, str]]:
    company = Measurement()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"" if company.moved else company.page(self.path)
            self.send_response(404 if company.moved else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield company, f"http://127.0.0.1:{server.server_address[1]}/delivery"
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Clockwork:
    """The DAGs of two sources, the store below them, and the folder beside them."""

    dags: Any
    config: Path
    drop: Path

    def ran(self, dag_id: str) -> tuple[str, Any]:
        """How a run ended, and what its working task returned."""
        run = self.dags[dag_id].test()
        (task,) = (each for each in run.get_task_instances() if each.task_id != "none_set_aside")
        return "failed" if run.state == "failed" else str(task.state), run.get_task_instance(task.task_id).xcom_pull(
            task_ids=task.task_id
        )

    def file(self, name: str, counts: dict[date, int], written: datetime, *, cut: bool = False) -> None:
        """A report file, as the company's transfer program leaves it; `cut`: only the first half of it."""
        text = "day,line,impressions\n" + "".join(f"{day},{LINE},{count}\n" for day, count in counts.items())
        packed = gzip.compress(text.encode())
        (self.drop / name).write_bytes(packed[: len(packed) // 2] if cut else packed)
        os.utime(self.drop / name, (written.timestamp(), written.timestamp()))

    def versions(self, source: str) -> list[tuple[int, bool]]:
        """Impressions of every version of every fact of a source, the day first; whether it is the newest."""
        with open_hub(self.config) as hub:
            found = [one for one in hub.fact_versions(LINE) if one.source == source]
        return [(one.impressions or 0, one.newest) for one in sorted(found, key=lambda one: (one.day, one.as_of))]


@pytest.fixture
def clockwork(
    measurement: tuple[Measurement, str], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Clockwork:
    """A booked line that ran from the 5th to the 20th of March; it is noon of the 10th."""
    from airflow.dag_processing.dagbag import DagBag

    drop = tmp_path / "drop"
    drop.mkdir()
    usual = {"counted_by": "measurement", "zone": "UTC", "line_ids": "orderhub", "look_back_days": 10}
    files = {**usual, "complete_by": "gzip", "folder": str(drop)}
    pages = {**usual, "format": "json", "complete_by": "flag"}
    connections = {
        "dropped": {
            "connector": "report-api",
            "report": {**files, "columns": {"day": "day", "line": "line", "impressions": "impressions"}},
        },
        "asked": {
            "connector": "report-api",
            "settings": {"url": measurement[1]},
            "report": {**pages, "columns": {"day": "day", "line": "line", "impressions": "imps"}},
        },
    }
    config = tmp_path / "orderhub.yaml"
    settings = {"store": {"url": database_url}, "business_clock": "store", "connections": connections}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.setenv("ORDERHUB_CONFIG", str(config))
    order = Order(id=ORDER, name="Spring", currency="USD", status=CommercialStatus.BOOKED)
    line = Line(
        id=LINE,
        order_id=ORDER,
        name="Home page",
        flight=Flight(start=datetime.fromisoformat("2026-03-05"), end=datetime.fromisoformat("2026-03-21"), zone="UTC"),
        price=Price(method=CostMethod.CPM, rate=1_000_000, currency="USD"),
        goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=100_000),
    )
    with open_hub(config) as hub:
        hub.migrate()
        hub.set_business_time(NOW)
        with hub.session.database.transaction() as cur:
            for kind, body, status in ((EntityKind.ORDER, order, order.status), (EntityKind.LINE, line, None)):
                writes = PageWrites()
                writes.put(
                    cur,
                    NewVersion(
                        kind=kind,
                        entity_id=body.id,
                        version=1,
                        canonical=body.canonical_bytes(),
                        content_hash=fingerprint(body.canonical_bytes()),
                        source="sfdc",
                        native_id=body.id,
                        name=body.name,
                        change_id=None,
                        now=NOW,
                        order_id=ORDER,
                        status=status,
                        external_id=None,
                    ),
                )
                writes.flush(cur)
    bag = DagBag(str(Path(__file__).parents[2] / "dags"))
    assert bag.import_errors == {}
    return Clockwork(bag.dags, config, drop)


def test_files_and_pages_are_loaded_restated_and_left_alone_when_unchanged(
    clockwork: Clockwork, measurement: tuple[Measurement, str], airflow_database: None
) -> None:
    company, _ = measurement
    clockwork.file("first.csv.gz", dict.fromkeys(DAYS, 1000), NOW - timedelta(hours=3))
    state, told = clockwork.ran("reports__dropped")
    assert (state, told["facts_new"], told["reports"]) == ("success", 4, ["first.csv.gz"])
    state, told = clockwork.ran("reports__asked")
    assert (state, told["facts_new"]) == ("success", 4)
    assert company.asked == [("2026-02-27", "2026-03-09")], "the look-back, to the network's yesterday"

    assert clockwork.ran("reports__dropped")[0] == "skipped"
    assert clockwork.ran("reports__asked")[0] == "skipped"

    clockwork.file("second.csv.gz", {**dict.fromkeys(DAYS, 1000), DAYS[1]: 990}, NOW - timedelta(hours=2))
    company.counts[DAYS[2]] = 880
    with open_hub(clockwork.config) as hub:
        hub.set_business_time(NOW + timedelta(minutes=5))
    state, told = clockwork.ran("reports__dropped")
    assert (state, told["days_changed"], told["facts_restated"]) == ("success", 1, 1)
    state, told = clockwork.ran("reports__asked")
    assert (state, told["days_changed"], told["facts_restated"]) == ("success", 1, 1)
    assert clockwork.versions("dropped") == [(1000, True), (1000, False), (990, True), (1000, True), (1000, True)]
    assert clockwork.versions("asked") == [(900, True), (900, True), (900, False), (880, True), (900, True)]


def test_a_damaged_file_and_an_interface_that_moved_stop_only_themselves(
    clockwork: Clockwork, measurement: tuple[Measurement, str], airflow_database: None
) -> None:
    company, _ = measurement
    clockwork.file("cut.csv.gz", dict.fromkeys(DAYS, 1000), NOW - timedelta(hours=3), cut=True)
    assert clockwork.ran("reports__dropped")[0] == "failed"
    assert clockwork.ran("reports__dropped")[0] == "failed", "as long as the file lies there"
    assert clockwork.ran("reports__asked")[0] == "success"
    (clockwork.drop / "cut.csv.gz").unlink()
    clockwork.file("whole.csv.gz", dict.fromkeys(DAYS, 1000), NOW - timedelta(hours=2))
    company.moved = True
    assert clockwork.ran("reports__dropped")[0] == "success"
    before = clockwork.versions("dropped")
    assert clockwork.ran("reports__asked")[0] == "failed"
    assert clockwork.versions("dropped") == before


def test_a_day_that_has_not_come_fails_its_own_sources_look(
    clockwork: Clockwork, measurement: tuple[Measurement, str], airflow_database: None
) -> None:
    few = {day: 1000 for day in DAYS if day != DAYS[2]}
    clockwork.file("a.csv.gz", {day: few[day] for day in DAYS[:2]}, NOW - timedelta(hours=3))
    clockwork.file("b.csv.gz", {DAYS[3]: 1000}, NOW - timedelta(hours=2))
    assert clockwork.ran("reports__dropped")[0] == clockwork.ran("reports__asked")[0] == "success"
    state, told = clockwork.ran("completeness__dropped")
    assert (state, [one["day"] for one in told["missing"]]) == ("failed", ["2026-03-07"])
    assert told["sentence"].endswith(f"put those days into {clockwork.drop}.")
    state, told = clockwork.ran("completeness__asked")
    assert (state, told["complete"], told["days_expected"]) == ("success", True, 4)
    clockwork.file("late.csv.gz", {DAYS[2]: 1000}, NOW - timedelta(hours=1))
    assert clockwork.ran("reports__dropped")[0] == "success"
    assert clockwork.ran("completeness__dropped")[0] == "success"

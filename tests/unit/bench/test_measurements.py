"""What the stopwatch promises without running for minutes: verdicts, what is said of a demo, pages, and what cannot be run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as bench_main
from bench import airbyte, demo, latency, page_server
from bench.crm_records import BRIEF_LINE, LINES, ORDINARY, brief_opportunities, lines, opportunities, ordinary
from bench.hub_process import PAGE, line_way, order_way
from bench.result import Measurement, NotRun, Verdict, interleaved, measured
from cli.demo.generated_book import generated_book
from cli.demo.order_book import OrderBook, parse_order_book
from mappings.trial import EveryName


@pytest.fixture(scope="module")
def book() -> OrderBook:
    return parse_order_book(generated_book(5), source="generated")


def told(**changed: object) -> str:
    figures = {
        "orders": 3,
        "lines": 9,
        "vendor_calls": 21,
        "fewest_calls": 20,
        "pss_mb": 900.0,
        "held": True,
        **changed,
    }
    return "starting\n" + json.dumps(figures) + "\n"


# ---------------------------------------------------------------- verdicts
@pytest.mark.parametrize(
    ("sense", "spread", "verdict"),
    [
        ("at_least", (3.0, 4.0), Verdict.MET),
        ("at_least", (2.9, 4.0), Verdict.UNDECIDED),
        ("at_least", (2.0, 2.9), Verdict.MISSED),
        ("at_most", (2.0, 3.0), Verdict.MET),
        ("at_most", (2.0, 3.1), Verdict.UNDECIDED),
        ("at_most", (3.1, 4.0), Verdict.MISSED),
    ],
)
def test_a_limit_is_decided_only_when_every_round_agrees(
    sense: str, spread: tuple[float, float], verdict: Verdict
) -> None:
    measurement = Measurement("one", ratio=3.0, spread=spread, rounds=5, method="", limit=3.0, sense=sense)

    assert measurement.verdict is verdict
    assert measurement.as_dict()["verdict"] == str(verdict)


def test_rounds_are_interleaved_and_the_first_is_not_counted() -> None:
    calls: list[str] = []

    pairs = interleaved(lambda: calls.append("a"), lambda: calls.append("b"), 3)

    assert calls == ["a", "b"] * 4
    assert len(pairs) == 3


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    measurement = measured(
        "one", [(1.0, 1.0), (10.0, 5.0), (3.0, 1.0)], method="", limit=None, sense="at_least", ratio=lambda a, b: a / b
    )

    assert measurement.ratio == 2.0
    assert measurement.spread == (1.0, 3.0)


# ---------------------------------------------------------------- the command
def test_every_listed_measurement_can_be_run() -> None:
    for name in bench_main.BENCHES:
        assert callable(importlib.import_module(f"bench.{name}").run)


def test_a_measurement_that_breaks_off_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks_off(*, rounds: int, full: bool) -> Measurement:
        raise RuntimeError("no server")

    def runs(*, rounds: int, full: bool) -> Measurement:
        return Measurement("demo", ratio=float(rounds), spread=(1.0, 1.0), rounds=rounds, method="")

    monkeypatch.setattr("bench.latency.run", breaks_off)
    monkeypatch.setattr("bench.demo.run", runs)
    output = tmp_path / "figures.json"

    code = bench_main.main(["latency", "demo", "--rounds", "2", "--output", str(output)])

    document = json.loads(output.read_text("utf-8"))
    assert code == bench_main.FAILED
    assert document == json.loads(capsys.readouterr().out)
    assert [(one["name"], one["verdict"]) for one in document["results"]] == [
        ("latency", "not run"),
        ("demo", "no limit"),
    ]
    assert "no server" in document["results"][0]["reason"]


def test_an_unknown_measurement_is_refused_before_anything_runs() -> None:
    with pytest.raises(SystemExit) as refused:
        bench_main.main(["latencies"])

    assert refused.value.code == 2


# ---------------------------------------------------------------- the demo's line
def test_the_demos_last_line_becomes_figures() -> None:
    figures = demo.parsed(told(), "", 0, 61.26)

    assert figures["calls_ratio"] == pytest.approx(1.05)
    assert (figures["wall_seconds"], figures["exit_code"]) == (61.3, 0)


@pytest.mark.parametrize("out", ["", "no figures\n", '{"orders": 3}\n'])
def test_a_demo_without_figures_is_an_error_that_quotes_it(out: str) -> None:
    with pytest.raises(demo.DemoFailedError, match=r"ended with 3 .*PostgreSQL did not start"):
        demo.parsed(out, "PostgreSQL did not start", 3, 1.0)


def test_memory_that_the_system_does_not_tell_is_not_run() -> None:
    figures = demo.parsed(told(pss_mb=None), "", 0, 1.0)

    assert demo.over_runs("memory", [figures], "pss_mb", 3072, "MB").verdict is Verdict.NOT_RUN


def test_too_many_vendor_calls_miss_the_limit() -> None:
    figures = demo.parsed(told(vendor_calls=22), "", 0, 1.0)

    assert demo.over_runs("calls", [figures], "calls_ratio", demo.CALLS_LIMIT, "ratio").verdict is Verdict.MISSED


# ---------------------------------------------------------------- the peer
def test_a_peer_that_cannot_be_installed_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> Path:
        raise airbyte.InstallationError("no package index answers")

    monkeypatch.setattr(airbyte, "installed", absent)

    assert airbyte.run(rounds=1, full=False) == [NotRun("mapping against Airbyte's CDK", "no package index answers")]


def test_the_peers_lock_holds_hashes_and_no_index_address() -> None:
    lock = airbyte.LOCK.read_text("utf-8")
    pinned = [line for line in lock.splitlines() if "==" in line]

    assert any(line.startswith("airbyte-cdk==") for line in pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "://" not in lock
    assert "--index" not in lock
    assert "--find-links" not in lock


def test_a_process_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"sh ended with 4: it said why"):
        airbyte.ran(["sh", "-c", "echo it said why >&2; exit 4"], tmp_path / "out", b"")


def test_a_processs_lines_time_and_memory_are_its_own(tmp_path: Path) -> None:
    ran = airbyte.ran(["sh", "-c", "echo RECORD; echo LOG; echo RECORD"], tmp_path / "out", b"RECORD")

    assert ran.lines == 2
    assert ran.seconds > 0
    assert ran.peak_mb > 0  # no upper bound: Linux counts the parent's pages between fork and exec


# ---------------------------------------------------------------- the records both sides read
def test_every_line_served_maps_all_the_way(book: OrderBook) -> None:
    way = line_way()
    records = list(lines(book, order_way().reads, way.reads, 300))

    assert len({record["Id"] for record in records}) == 300
    for record in records:
        way.reads.to_canonical(record, "sfdc")


def test_an_opportunity_holds_eight_lines_of_its_own(book: OrderBook) -> None:
    records = list(opportunities(book, order_way().reads, line_way().reads, 40))

    for record in records:
        children = record["OpportunityLineItems"]["records"]
        order_way().reads.to_canonical({k: v for k, v in record.items() if k != "OpportunityLineItems"}, "sfdc")
        assert len(children) == LINES
        assert {child["OpportunityId"] for child in children} == {record["Id"]}


def test_ordinary_lines_are_those_of_a_targeting_that_is_not_long(book: OrderBook) -> None:
    line = book.orders[0].lines[0]
    long = replace(line, targeting={**line.targeting, "Postal Codes (Included)": "12345," * ORDINARY})
    first = replace(book.orders[0], lines=(long, line))

    kept = ordinary(replace(book, orders=(first, replace(first, lines=(long,)))))

    assert [order.lines for order in kept.orders] == [(line,)]


def test_a_brief_record_has_the_studys_size_and_every_line_of_it_maps(book: OrderBook) -> None:
    order, line = order_way(), line_way()

    rows = list(brief_opportunities(book, order.reads, line.reads, 4))

    items = [item for row in rows for item in row["OpportunityLineItems"]["records"]]
    assert all(set(item) == {"attributes", *BRIEF_LINE} for item in items)
    assert all(3_500 < len(body) / len(rows) < 4_500 for body in page_server.pages(iter(rows)))
    assert len({line.reads.to_canonical(item, "sfdc") for item in items}) == LINES * len(rows)
    assert all(order.reads.to_canonical(row, "sfdc") for row in rows)


def test_a_measured_process_keeps_its_compiled_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    airbyte.ran(["sh", "-c", 'test -z "${PYTHONDONTWRITEBYTECODE+set}"'], tmp_path / "out", b"")


def test_a_name_keeps_its_id_from_batch_to_batch() -> None:
    first, second = (EveryName().of("Geo_Target:CITY", "", ("a", "b", "a")) for _ in range(2))

    assert first == second
    assert first[0] == first[2] != first[1]
    assert EveryName().worked_out == {}


def test_pages_hold_every_record_once_and_decimals_with_all_digits(book: OrderBook) -> None:
    records = list(lines(book, order_way().reads, line_way().reads, PAGE + 1))

    bodies = page_server.pages(iter(records))

    found = [row for body in bodies for row in json.loads(body, parse_float=str)["records"]]
    assert [len(json.loads(body)["records"]) for body in bodies] == [PAGE, 1]
    assert [row["Id"] for row in found] == [record["Id"] for record in records]
    assert [row["CPM__c"] for row in found] == [format(record["CPM__c"], "f") for record in records]


# ---------------------------------------------------------------- latency
def test_the_spread_of_a_median_is_that_of_the_rounds_medians() -> None:
    rounds = [
        [latency.Trip(1.0, 2.0, 3.0), latency.Trip(2.0, 9.0, 11.0), latency.Trip(3.0, 4.0, 5.0)],
        [latency.Trip(1.0, 20.0, 21.0), latency.Trip(1.0, 6.0, 7.0), latency.Trip(2.0, 8.0, 9.0)],
    ]

    measurement = latency._measurement("mirror", rounds, lambda trip: trip.mirror, "two rounds")

    assert measurement.ratio == 7.0
    assert measurement.spread == (4.0, 8.0)
    assert (measurement.figures["fastest"], measurement.figures["slowest"]) == (2.0, 20.0)
    assert measurement.verdict is Verdict.MET


def test_a_change_that_does_not_arrive_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[float] = iter(range(1000))
    monkeypatch.setattr("bench.latency.time.monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr("bench.latency.time.sleep", lambda seconds: None)

    with pytest.raises(latency.LatencyError, match="lin_1 at the ad server had not arrived"):
        latency._when(lambda: False, until=5.0, what="lin_1 at the ad server")

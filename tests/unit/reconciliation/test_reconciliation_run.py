"""A run over a book: what it keeps, what it reads again, who may start one."""

from __future__ import annotations

import gzip
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from hub.billing.reconciling import run as reconciling
from hub.config import ConnectionSettings
from hub.delivery.shape import ReportShape
from hub.errors import Refused
from hub.reports import report
from hub.store import billing_contracts, reconciliation, reconciliation_columns
from hub.store.billing_contracts import Shard
from hub.store.database import Database
from oms_schema.line import CostMethod, GoalUnit


def two_lines(office: Any) -> tuple[str, str]:
    order = office.order(source="third_party")
    fine, far = office.line(order, "Fine"), office.line(order, "Far off")
    office.report({fine: {"10": 900_000}, far: {"10": 900_000}})
    office.report({fine: {"10": 890_000}, far: {"10": 500_000}}, source="moat")
    return fine, far


def run(office: Any, **more: Any) -> Any:
    return office.hub.reconcile("2026-02", "2026-02", by="Ada", **more)


def test_a_run_tells_every_line_month_and_keeps_the_exceptions(office: Any) -> None:
    _, far = two_lines(office)
    found = run(office)
    assert (found.run.lines, found.run.line_months, found.run.by_library, found.run.exceptions) == (2, 2, 0, 1)
    assert found.codes == {"VARIANCE": 1}
    assert str(found.gross["USD"]) == "10680.00"
    (row,) = report(office.hub.session, "reconciliation")
    assert (row["line_id"], row["code"], row["seller_units"], row["other_units"]) == (far, "VARIANCE", 900_000, 500_000)
    assert len(report(office.hub.session, "reconciled-lines").rows) == 2


def test_a_second_run_reads_nothing_anew_and_has_the_same_digest_in_any_number_of_sessions(office: Any) -> None:
    two_lines(office)
    first, second = run(office), run(office, sessions=1)
    assert (first.contracts, first.counts) == (2, 4)
    assert (second.contracts, second.counts) == (0, 0)
    assert second.run.digest == first.run.digest


def test_news_of_counts_and_contracts_reach_the_next_run(office: Any) -> None:
    fine, far = two_lines(office)
    before = run(office)
    office.report({fine: {"10": 890_000}, far: {"10": 880_000}}, source="moat")
    restated = run(office)
    assert (restated.run.exceptions, restated.contracts, restated.counts) == (0, 0, 1)
    assert restated.run.digest != before.run.digest
    office.order(source="first_party")
    changed = run(office)
    assert changed.contracts == 2
    assert str(changed.gross["USD"]) == "21600.00"


def test_what_a_person_entered_goes_through_the_library_in_the_same_run(office: Any) -> None:
    _, far = two_lines(office)
    with office.hub.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO billing_input (line_id, period_start, kind, body, entered_by, entered_at, approved_by, approved_at) "
            "VALUES (%s, '2026-02-01', 'settlement', %s, 'Ada', now(), 'Grace', now())",
            (far, b'{"outcome":"controlling","reason":"agreed by mail"}'),
        )
    found = run(office)
    assert (found.run.by_library, found.run.exceptions) == (1, 0)
    assert str(found.gross["USD"]) == "16680.00"


def test_two_runs_at_once_are_refused(office: Any) -> None:
    two_lines(office)
    other = Database(office.hub.session.database.url)
    with other.transaction() as cur:
        assert reconciliation.alone(cur)
    with pytest.raises(Refused, match="Another reconciliation is at work"):
        run(office)
    other.close()
    assert run(office).run.lines == 2


def test_what_a_broken_off_run_left_behind_is_dropped(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    two_lines(office)

    def breaks(*arguments: object) -> None:
        raise RuntimeError("the machine went away")

    with monkeypatch.context() as patch:
        patch.setattr(reconciliation, "finish", breaks)
        with pytest.raises(RuntimeError):
            run(office)
    assert report(office.hub.session, "reconciled-lines").rows == []
    found = run(office)
    assert office.rows("SELECT DISTINCT run FROM reconciliation_line") == [(found.run.run,)]


@pytest.mark.parametrize(
    ("since", "until", "sessions", "says"),
    [
        ("2026-03", "2026-02", 4, "lies before"),
        ("2026-13", "2026-13", 4, "no billing period"),
        ("2026-02", "2026-02", 0, "sessions"),
    ],
)
def test_what_cannot_be_reconciled_is_refused(office: Any, since: str, until: str, sessions: int, says: str) -> None:
    with pytest.raises(Refused, match=says):
        office.hub.reconcile(since, until, by="Ada", sessions=sessions)


def test_a_run_moves_nothing_that_is_billed(office: Any) -> None:
    two_lines(office)
    before = {name: rows for name, rows in office.everything().items() if name != "audit"}
    run(office)
    assert {name: rows for name, rows in office.everything().items() if name != "audit"} == before


@pytest.mark.parametrize("way", ["columns", "statement"])
def test_a_count_below_zero_is_an_exception_of_its_line_and_the_others_go_on(
    office: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    fine, wrong = two_lines(office)
    if way == "statement":
        monkeypatch.setattr(reconciling, "find_spec", lambda name: None)
    for count in (-5, -9_000_000_000_000_000_000):
        with office.hub.session.database.transaction() as cur:
            cur.execute(
                "UPDATE delivery_day SET impressions = %s WHERE line_id = %s AND source = 'ads'", (count, wrong)
            )
            cur.execute("INSERT INTO delivery_touched (source, period_start) VALUES ('ads', '2026-02-01')")
        found = run(office)
        assert (found.way, found.run.lines, found.run.by_library) == (way, 2, 1)
        assert found.codes == {"CONTRACT-CONTRADICTS": 1}
        assert str(found.gross["USD"]) == "10680.00"
        (row,) = report(office.hub.session, "reconciliation")
        assert (row["line_id"], row["code"]) == (wrong, "CONTRACT-CONTRADICTS")
    assert fine != wrong


def test_only_the_newest_runs_of_each_month_keep_their_lines(office: Any) -> None:
    two_lines(office)
    office.hub.session.configuration.hub.keep_reconciliations = 2
    kept = "SELECT DISTINCT run FROM reconciliation_line ORDER BY 1"
    february = [run(office) for _ in range(2)]
    march = office.hub.reconcile("2026-02", "2026-03", by="Ada")
    assert [one.dropped for one in (*february, march)] == [0, 0, 1]
    newest = [run(office).run.run for _ in range(2)]
    # March has one run alone, so that run keeps its lines although February has two newer ones.
    assert office.rows(kept) == [(number,) for number in (march.run.run, *newest)]
    assert {row[0] for row in office.rows("SELECT DISTINCT run FROM reconciliation_exception")} == {
        march.run.run,
        *newest,
    }
    sums = office.rows("SELECT run, line_months, digest FROM reconciliation_run ORDER BY 1")
    assert [row[0] for row in sums] == [one.run.run for one in february] + [march.run.run, *newest]
    assert sums[0][1:] == (2, february[0].run.digest)


def test_ranges_of_lines_from_a_sample_of_pages_leave_none_out(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    order = office.order()
    lines = [office.line(order, f"Line {number}") for number in range(40)]
    office.report({line: {"10": 1_000 + number} for number, line in enumerate(lines)})
    exact = run(office, sessions=3)
    monkeypatch.setattr(billing_contracts, "_FEW", 0)
    monkeypatch.setattr(billing_contracts, "_SAMPLED", 1)
    for least in (1, 1_000):
        monkeypatch.setattr(billing_contracts, "_ENOUGH", least)
        sampled = run(office, sessions=3)
        assert (sampled.run.lines, sampled.run.digest) == (40, exact.run.digest)


@pytest.mark.parametrize("way", ["columns", "statement"])
def test_more_ranges_than_sessions_are_done_one_after_the_other(
    office: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    order = office.order()
    lines = [office.line(order, f"Line {number}") for number in range(11)]
    office.report({line: {"10": 1_000 + number} for number, line in enumerate(lines)})
    whole = run(office, sessions=1)
    if way == "statement":
        monkeypatch.setattr(reconciling, "find_spec", lambda name: None)
    monkeypatch.setattr(reconciling, "LINES_AT_ONCE", 2)
    parts = run(office, sessions=2)
    assert (parts.way, parts.run.lines, parts.run.digest) == (way, 11, whole.run.digest)


def test_more_than_sixty_months_are_left_to_postgresql(office: Any) -> None:
    two_lines(office)
    longer = office.hub.reconcile("2021-01", "2026-02", by="Ada")
    five_years = office.hub.reconcile("2021-03", "2026-02", by="Ada")
    assert (longer.way, five_years.way) == ("statement", "columns")
    assert longer.run.digest == five_years.run.digest


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing_contract SET rate = rate + 1 WHERE line_id = %(fine)s",
        "DELETE FROM billing_contract WHERE line_id = %(fine)s",
        "UPDATE delivery_life SET seen = 0 WHERE line_id = %(fine)s AND source = 'moat'",
        "DELETE FROM delivery_life WHERE line_id = %(fine)s AND source = 'moat'",
        "INSERT INTO delivery_life (line_id, source, seller, first_month, months, seen, active_days) "
        "VALUES (%(fine)s, 'dsp', false, 24313, 1, 1, '{1}')",
        "TRUNCATE billing_contract",
        "TRUNCATE delivery_life",
    ],
)
def test_what_stands_ready_of_a_line_is_made_anew_when_its_contract_or_counts_change(office: Any, change: str) -> None:
    fine, _ = two_lines(office)
    run(office)
    with office.hub.session.database.transaction() as cur:

        def ready() -> list[Any]:
            cur.execute("SELECT * FROM reconciliation_input ORDER BY 1")
            return cur.fetchall()

        def made_from_nothing() -> list[Any]:
            cur.execute("TRUNCATE reconciliation_input")
            cur.execute("INSERT INTO reconciliation_input_stale SELECT line_id FROM billing_contract")
            reconciliation_columns.make_inputs(cur, Shard())
            return ready()

        before = ready()
        assert len(before) == 2
        assert reconciliation_columns.make_inputs(cur, Shard()) == 0
        cur.execute(change, {"fine": fine})
        made = reconciliation_columns.make_inputs(cur, Shard())
        after = ready()
        assert made == (2 if change.startswith("TRUNCATE") else 1)
        assert after != before
        assert after == made_from_nothing()


def test_counts_that_are_not_as_many_as_their_lines_say_are_an_error(office: Any) -> None:
    fine, _ = two_lines(office)
    run(office)
    with office.hub.session.database.transaction() as cur:
        cur.execute("UPDATE reconciliation_input SET lives = NULL WHERE line_id = %s", (fine,))
    with pytest.raises(ValueError, match="not as many"):
        run(office)


def test_a_unit_that_a_source_declares_again_counts_in_all_its_months(office: Any) -> None:
    """Reports of clicks, then some without, then with clicks again: as if they had never been missing."""
    connections = office.hub.session.configuration.connections
    with_clicks = connections["ads"]
    shape = with_clicks.report.model_dump(mode="json", exclude_none=True)
    del shape["columns"]["clicks"]
    without = ConnectionSettings(connector="report_api", report=ReportShape.model_validate(shape))
    january = date(2026, 1, 1), date(2026, 1, 31)
    february = date(2026, 2, 1), date(2026, 2, 28)

    def told(month: tuple[date, date], impressions: int, clicks: int, settings: ConnectionSettings) -> None:
        connections["ads"] = settings
        file = office.folder / f"ads-{impressions}.csv.gz"
        file.write_bytes(
            gzip.compress(f"day,line,impressions,clicks\n{month[1]},{line},{impressions},{clicks}\n".encode())
        )
        office.clock.time += timedelta(minutes=1)
        office.hub.load_report("ads", file, since=month[0], until=month[1], final=True)

    def found() -> tuple[str, dict[str, int]]:
        done = office.hub.reconcile("2026-01", "2026-02", by="Ada")
        return str(done.gross["USD"]), dict(done.codes)

    flight = {"start": datetime(2026, 1, 1), "end": datetime(2026, 3, 1)}  # noqa: DTZ001 - wall times; the flight has a zone
    line = office.line(office.order(), method=CostMethod.CPC, unit=GoalUnit.CLICKS, rate="1", **flight)
    told(january, 10_000, 100, with_clicks)
    told(february, 20_000, 200, with_clicks)
    assert found() == ("300.00", {})
    told(february, 20_001, 0, without)
    assert found() == ("0.00", {"NO-REPORT": 2})
    told(february, 20_002, 200, with_clicks)
    assert found() == ("300.00", {})

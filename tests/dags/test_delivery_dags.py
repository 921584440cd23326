"""Delivery by the clock: files and pages of third parties, each source by itself, and what is missing told by name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import hub
from hub.delivery.answers import FileSetAside, ReportSummary
from hub.delivery.completeness import MissingDay, SourceCompleteness
from hub.delivery.refusals import ReportRefused
from hub.errors import VendorUnavailable

REPORT = """
      counted_by: measurement
      zone: UTC
      complete_by: gzip
      columns: {day: day, line: line, impressions: impressions}
"""
CONFIGURATION = f"""
store: {{url: "postgresql://nobody@/nowhere?host=/nonexistent"}}
connections:
  dropped:
    connector: report-api
    report:
      folder: /nowhere{REPORT}
  asked:
    connector: report-api
    settings: {{url: "https://reports.example/delivery"}}
    report:
      format: json{REPORT.replace("gzip", "flag")}
  both:
    connector: report-api
    settings: {{url: "https://reports.example/delivery"}}
    report:
      folder: /nowhere{REPORT}
  gam-main:
    connector: gam
    settings: {{network_code: "123", access_token: "env:ORDERHUB_TEST_SECRET"}}
"""
AS_OF = datetime(2026, 3, 10, tzinfo=UTC)


class ScriptedHub:
    """Answers from `answers`, by verb and source; an exception is raised."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[Any, ...]] = []

    def __enter__(self) -> ScriptedHub:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def _said(self, verb: str, source: str, usual: Any) -> Any:
        said = self.answers.get((verb, source), usual)
        if isinstance(said, Exception):
            raise said
        return said

    def load_dropped_reports(self, source: str) -> Any:
        self.asked.append(("files", source))
        return self._said("files", source, [])

    def files_set_aside(self, source: str) -> Any:
        return self._said("aside", source, [])

    def fetch_report(self, source: str, since: date | None = None, until: date | None = None) -> Any:
        self.asked.append(("pages", source, since, until))
        return self._said("pages", source, summary(source))

    def completeness(self, source: str) -> Any:
        return self._said("completeness", source, None)


def summary(source: str, **changes: int) -> ReportSummary:
    return ReportSummary(source, "r.csv.gz", "loaded", AS_OF, rows=5, days=3, **changes)


@pytest.fixture(scope="module")
def sources_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configuration") / "orderhub.yaml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    return path


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, sources_file: Path) -> ScriptedHub:
    made = ScriptedHub()
    monkeypatch.setenv("ORDERHUB_CONFIG", str(sources_file))
    monkeypatch.setattr(hub, "open_hub", lambda: made)
    return made


@pytest.fixture(scope="module")
def dags(sources_file: Path) -> Any:
    """Every DAG of a configuration with sources of delivery."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORDERHUB_CONFIG", str(sources_file))
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(Path(__file__).parents[2] / "dags"))
    assert bag.import_errors == {}
    return bag.dags


def ran(dag: Any, **conf: Any) -> tuple[str, dict[str, str], Any]:
    run = dag.test(run_conf=conf)
    tasks = {str(one.task_id): str(one.state) for one in run.get_task_instances()}
    told = {task: run.get_task_instance(task).xcom_pull(task_ids=task) for task in tasks}
    return str(run.state), tasks, told


def test_each_source_has_the_flows_that_its_declaration_asks_for(dags: Any) -> None:
    assert {name for name in dags if name.startswith("reports__")} == {
        "reports__dropped",
        "reports__asked",
        "reports__both",
    }
    tasks = {name: set(dags[f"reports__{name}"].task_ids) for name in ("dropped", "asked", "both")}
    assert tasks == {
        "dropped": {"load_files", "none_set_aside"},
        "asked": {"fetch"},
        "both": {"load_files", "none_set_aside", "fetch"},
    }
    counting = {name for name in dags if name.startswith("completeness__")}
    assert counting == {f"completeness__{name}" for name in ("dropped", "asked", "both", "gam-main")}
    assert "check__asked" in dags
    assert "check__dropped" not in dags, "a folder has nobody to ask"


def test_files_are_looked_for_every_hour_and_an_interface_is_asked_once_a_day(dags: Any) -> None:
    assert dags["reports__dropped"].timetable.delta.total_seconds() == 3600
    assert dags["reports__asked"].timetable.expression == dags["reports__both"].timetable.expression == "45 6 * * *"
    assert dags["completeness__asked"].timetable.expression == "30 7 * * *"


def test_new_and_restated_days_are_told_in_sum_and_unchanged_ones_are_no_news(
    dags: Any, airflow_database: None, scripted: ScriptedHub
) -> None:
    assert ran(dags["reports__dropped"])[:2] == ("success", {"load_files": "skipped", "none_set_aside": "success"})
    scripted.answers["files", "dropped"] = [
        summary("dropped"),
        summary("dropped", days_changed=2, facts_new=4),
        summary("dropped", days_changed=1, facts_restated=1, final_restated=1),
    ]
    state, tasks, told = ran(dags["reports__dropped"])
    assert (state, tasks) == ("success", {"load_files": "success", "none_set_aside": "success"})
    assert told["load_files"] == {
        "reports": ["r.csv.gz"] * 3,
        "rows": 15,
        "days_changed": 3,
        "facts_new": 4,
        "facts_restated": 1,
        "quarantined": 0,
        "final_restated": 1,
    }


def test_a_fetch_takes_the_look_back_or_the_days_that_somebody_named(
    dags: Any, airflow_database: None, scripted: ScriptedHub
) -> None:
    assert ran(dags["reports__asked"])[1] == {"fetch": "skipped"}
    fetch = dags["reports__asked"].get_task("fetch").python_callable
    scripted.answers["pages", "asked"] = summary("asked", days_changed=1, facts_new=1)
    fetch("asked", params={"since": "2026-02-01", "until": None})
    assert scripted.asked == [("pages", "asked", None, None), ("pages", "asked", date(2026, 2, 1), None)]


def test_a_broken_source_stops_only_itself(dags: Any, airflow_database: None, scripted: ScriptedHub) -> None:
    scripted.answers["files", "dropped"] = ReportRefused("dropped", "gzip", "The file is cut.", "Send it again.")
    scripted.answers["pages", "asked"] = summary("asked", days_changed=1, facts_new=1)
    scripted.answers["files", "both"] = ReportRefused("both", "gzip", "The file is cut.", "Send it again.")
    scripted.answers["pages", "both"] = summary("both", days_changed=1, facts_new=1)
    assert ran(dags["reports__dropped"])[0] == "failed"
    assert ran(dags["reports__asked"])[0] == "success"
    tasks = {"load_files": "failed", "none_set_aside": "upstream_failed", "fetch": "success"}
    assert ran(dags["reports__both"])[:2] == ("failed", tasks)


def test_a_file_that_stands_aside_fails_the_run_and_not_the_news_of_the_others(
    dags: Any, airflow_database: None, scripted: ScriptedHub
) -> None:
    scripted.answers["aside", "dropped"] = [FileSetAside("dropped", "bad.gz", AS_OF, "gzip_cut", "It is cut.", AS_OF)]
    tasks = {"load_files": "skipped", "none_set_aside": "failed"}
    assert ran(dags["reports__dropped"])[:2] == ("failed", tasks)
    scripted.answers["files", "dropped"] = [summary("dropped", days_changed=2, facts_new=4)]
    assert ran(dags["reports__dropped"])[:2] == ("failed", {**tasks, "load_files": "success"})


def test_an_interface_that_says_later_is_asked_later_and_not_forever(dags: Any, scripted: ScriptedHub) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    fetch = dags["reports__asked"].get_task("fetch").python_callable
    scripted.answers["pages", "asked"] = VendorUnavailable("asked", "Too many requests.", 90.0)
    begun = type("Run", (), {"start_date": datetime.now(UTC)})()
    with pytest.raises(AirflowRescheduleException):
        fetch("asked", params={}, dag_run=begun)
    begun.start_date = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(VendorUnavailable):
        fetch("asked", params={}, dag_run=begun)


def standing(*missing: MissingDay) -> SourceCompleteness:
    sentence = (
        "asked: 1 of 36 days have not arrived whole: 2026-03-04. Operations fetches it." if missing else "All there."
    )
    return SourceCompleteness("asked", date(2026, 2, 1), date(2026, 3, 8), 36, missing, 4, 0, [], not missing, sentence)


def test_a_missing_day_fails_the_run_with_its_name_and_stands_in_the_result(
    dags: Any, airflow_database: None, scripted: ScriptedHub, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.answers["completeness", "asked"] = [standing(MissingDay(date(2026, 3, 4), "missing", 4))]
    state, tasks, told = ran(dags["completeness__asked"])
    assert (state, tasks) == ("failed", {"look": "failed"})
    assert told["look"]["missing"] == [{"day": "2026-03-04", "how": "missing", "lines": 4, "as_of": None}]
    assert "Operations fetches it" in told["look"]["sentence"]
    scripted.answers["completeness", "asked"] = [standing()]
    state, tasks, told = ran(dags["completeness__asked"])
    assert (state, told["look"]["complete"]) == ("success", True)

"""The two engines of the demo: what they start, when they think everything is at rest, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.demo import engine
from cli.demo.engine import AirflowEngine, DirectEngine, EngineError, unsettled
from hub.results import ConnectionStatus, DeliverySummary, StatusResult

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def status(**lanes: dict[str, int]) -> StatusResult:
    names = {"gam_main": "gam-main", "sfdc": "sfdc"}
    rows = [ConnectionStatus(names[key], "x", "ok", "", each, 0, 0, None, None) for key, each in lanes.items()]
    return StatusResult(rows, [], {}, {}, 0, NOON)


@dataclass
class FakeAirflow:
    """Airflow whose runs end as `ends` says; each run of `intake__sfdc` is followed by one of the mirror."""

    ends: dict[str, str] = field(default_factory=dict)
    triggered: list[str] = field(default_factory=list)
    mirrored: int = 0
    busy_for: int = 2
    exceptions: list[str] = field(default_factory=list)

    def trigger(self, dag_id: str) -> str:
        self.triggered.append(dag_id)
        return f"run{len(self.triggered)}"

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        return self.ends.get(dag_id, "success")

    def busy(self) -> list[str]:
        self.busy_for -= 1
        if self.busy_for == 0:
            self.mirrored += 1
        return ["mirror__sfdc run1 running"] if self.busy_for > 0 else []

    def runs(self, dag_id: str, *, state: str, limit: int = 100) -> list[dict[str, Any]]:
        return [{"dag_run_id": f"m{number}"} for number in range(self.mirrored)] if dag_id == "mirror__sfdc" else []

    def task_instances(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {"read_changes": "failed"}

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        return "starting\nan Error of the machine\nended"

    def raised(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        return self.exceptions


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POLL", 0.001)
    monkeypatch.setattr(engine, "CALM", 0.003)


def test_lanes_in_step_or_parked_are_settled_and_all_others_are_not() -> None:
    assert unsettled(status(gam_main={"in_sync": 5, "parked": 1}, sfdc={})) == []
    for state in ("pending", "retrying", "in_flight", "in_doubt"):
        assert unsettled(status(gam_main={"in_sync": 5, state: 1}, sfdc={"in_sync": 1})) == ["gam-main"]
    assert unsettled(status(gam_main={"in_sync": 5, "pending": 0}, sfdc={})) == []


def test_airflow_travels_until_runs_and_lanes_are_at_rest_and_tells_each_mirroring(scripted: Any) -> None:
    airflow = FakeAirflow()
    scripted.says("status", status(gam_main={"in_sync": 3}, sfdc={"in_sync": 2}))
    told: list[int] = []
    AirflowEngine(airflow, scripted).travel(lambda: told.append(airflow.mirrored))  # type: ignore[arg-type]
    assert airflow.triggered == ["intake__sfdc"]
    assert told == [1, 1]  # when the mirror's run had ended, and at rest


def test_airflow_wakes_what_is_still_pending_when_no_run_is_left(scripted: Any) -> None:
    airflow = FakeAirflow()
    scripted.says(
        "status",
        status(gam_main={"in_doubt": 1}, sfdc={"pending": 2}),
        status(gam_main={"in_sync": 1}, sfdc={"in_sync": 2}),
    )
    AirflowEngine(airflow, scripted).travel()  # type: ignore[arg-type]
    assert airflow.triggered == ["intake__sfdc", "settle__gam-main", "push__gam-main", "settle__sfdc", "mirror__sfdc"]


def test_airflow_comes_back_by_observation_then_delivery(scripted: Any) -> None:
    airflow = FakeAirflow()
    scripted.says("status", status(gam_main={}, sfdc={}))
    AirflowEngine(airflow, scripted).come_back()  # type: ignore[arg-type]
    assert airflow.triggered == ["observe__gam-main", "delivery__gam-main"]


def test_airflow_mirrors_by_the_mirror_alone(scripted: Any) -> None:
    airflow = FakeAirflow()
    scripted.says("status", status(gam_main={}, sfdc={}))
    AirflowEngine(airflow, scripted).mirror()  # type: ignore[arg-type]
    assert airflow.triggered == ["mirror__sfdc"]


def test_the_direct_engine_mirrors_without_reading_a_source(scripted: Any) -> None:
    DirectEngine(scripted).mirror()
    verbs = {each[0] for each in scripted.asked}
    assert "push sfdc" in verbs
    assert not {verb for verb in verbs if "intake" in verb or "observe" in verb}


def test_a_failed_run_ends_the_demo_with_the_reason_of_its_log(scripted: Any) -> None:
    airflow = FakeAirflow(ends={"intake__sfdc": "failed"})
    with pytest.raises(EngineError, match="intake__sfdc failed: an Error of the machine"):
        AirflowEngine(airflow, scripted).travel()  # type: ignore[arg-type]
    airflow.exceptions = ["KeyError: 'a'", "ConnectionBroken: the secret is missing"]
    with pytest.raises(EngineError, match="intake__sfdc failed: ConnectionBroken: the secret is missing"):
        AirflowEngine(airflow, scripted).travel()  # type: ignore[arg-type]


def test_work_that_never_comes_to_rest_ends_the_demo(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    scripted.says("status", status(gam_main={"pending": 1}, sfdc={}))
    with pytest.raises(EngineError, match="Work was still due"):
        AirflowEngine(FakeAirflow(), scripted).travel()  # type: ignore[arg-type]


def test_the_direct_engine_mirrors_once_what_was_observed_and_delivered(scripted: Any) -> None:
    told: list[str] = []
    DirectEngine(scripted).come_back(lambda: told.append("mirrored"))
    verbs = [each[0] for each in scripted.asked]
    assert verbs.index("observe") < verbs.index("load_delivery") < verbs.index("push sfdc")
    assert told == ["mirrored"]


def test_the_direct_engine_refuses_a_failed_report(scripted: Any) -> None:
    scripted.says("poll_delivery", DeliverySummary("gam-main", "job1", "failed"))
    with pytest.raises(EngineError, match="job1 is failed"):
        DirectEngine(scripted).come_back()

"""Each flow run by Airflow itself (`dag.test()`), against a hub that answers from a script."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import AuthFailed
from hub.errors import ConnectionBroken, ConnectionPaused, StoreUnavailable, VendorUnavailable
from hub.results import (
    CensusSummary,
    CheckResult,
    DeliverySummary,
    DriftDefect,
    DriftItem,
    DriftResult,
    IntakeResult,
    ObserveSummary,
    PushSummary,
    SettleSummary,
)

Run = Callable[..., "Outcome"]


class Outcome:
    """How a run ended, task by task, what tasks returned, and which assets were said to have changed."""

    def __init__(self, run: Any) -> None:
        from airflow.models.asset import AssetEvent, AssetModel
        from airflow.utils.session import create_session

        self.state = str(run.state)
        self.tasks = {str(one.task_id): str(one.state) for one in run.get_task_instances()}
        self.returned = {task: run.get_task_instance(task).xcom_pull(task_ids=task) for task in self.tasks}
        with create_session() as session:
            told = (
                session.query(AssetModel.uri)
                .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
                .filter(AssetEvent.source_run_id == run.run_id, AssetEvent.source_dag_id == run.dag_id)
            )
            self.told = {uri.rstrip("/") for (uri,) in told}


@pytest.fixture
def run(dagbag: Any, airflow_database: None, scripted_hub: Any) -> Run:
    """Runs a flow to its end in this process."""

    def run_flow(dag_id: str, **conf: Any) -> Outcome:
        dag = dagbag.dags[dag_id]
        params = {task: copy.deepcopy(task.params) for task in dag.tasks}
        try:
            return Outcome(dag.test(run_conf=conf))
        finally:
            for task, before in params.items():  # a run in this process leaves its conf in them
                task.params = before

    return run_flow


@pytest.mark.parametrize(
    ("dag_id", "verb", "answer", "asset"),
    [
        ("intake__sfdc", "intake", IntakeResult("sfdc", read=3, accepted=2), "orderhub://changes"),
        ("intake__sfdc", "intake", IntakeResult("sfdc", read=1, rejected=1), "orderhub://changes"),
        ("push__gam-main", "push", PushSummary("gam-main", 1, 2, {"created": 2}), "orderhub://gam-main/pushed"),
        ("settle__gam-main", "settle", SettleSummary("gam-main", 1, adopted=1), "orderhub://gam-main/pushed"),
        ("settle__gam-main", "push", PushSummary("gam-main", 1, 1, {"updated": 1}), "orderhub://gam-main/pushed"),
        ("observe__gam-main", "observe", ObserveSummary("gam-main", 9, changed=1), "orderhub://gam-main/observed"),
        (
            "delivery__gam-main",
            "load_delivery",
            DeliverySummary("gam-main", "job-1", "loaded", rows=5, facts_new=5),
            "orderhub://delivery",
        ),
    ],
)
def test_a_flow_that_changed_something_says_so(
    run: Run, scripted_hub: Any, dag_id: str, verb: str, answer: Any, asset: str
) -> None:
    scripted_hub.answers[verb] = [answer]
    outcome = run(dag_id)
    assert outcome.state == "success"
    assert set(outcome.tasks.values()) == {"success"}
    assert outcome.told == {asset}


@pytest.mark.parametrize(
    "dag_id",
    ["intake__sfdc", "push__gam-main", "settle__gam-main", "observe__gam-main", "delivery__gam-main", "census__sfdc"],
)
def test_a_flow_that_changed_nothing_is_skipped_and_tells_nobody(run: Run, dag_id: str) -> None:
    outcome = run(dag_id)
    assert outcome.state == "success"
    assert "skipped" in outcome.tasks.values()
    assert outcome.told == set()


def test_a_census_that_put_something_right_says_so(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["census"] = [CensusSummary("gam-main", 9, adopted=1)]
    outcome = run("census__gam-main")
    assert outcome.tasks == {"census": "success", "drift": "skipped"}
    assert outcome.told == {"orderhub://changes"}


def test_the_census_is_followed_by_a_comparison_even_when_it_found_nothing(run: Run, scripted_hub: Any) -> None:
    item = DriftItem("line", "lin_a", "1", "LineItem", "7", "Spring", "name", "a", "b", "parked")
    scripted_hub.answers["drift"] = [DriftResult("gam-main", 9, [item])]
    outcome = run("census__gam-main")
    assert outcome.tasks == {"census": "skipped", "drift": "success"}
    assert outcome.told == {"orderhub://changes"}


def test_a_comparison_that_the_connector_failed_over_is_seen_in_airflow(run: Run, scripted_hub: Any) -> None:
    defect = DriftDefect("line", "lin_a", "1", "LineItem", "7", "Spring", "Not compared. It failed.")
    scripted_hub.answers["drift"] = [DriftResult("gam-main", 8, (), (defect,))]
    assert run("census__gam-main").tasks == {"census": "skipped", "drift": "failed"}


def test_a_task_leaves_small_counts_and_no_payload(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["push"] = [PushSummary("gam-main", 1, 2, {"created": 2}, parked=1)]
    assert run("push__gam-main").returned["push"] == {
        "connection": "gam-main", "calls": 1, "records": 2, "outcomes": {"created": 2}, "waiting": 0, "parked": 1,
        "in_doubt": 0, "next_due": None, "not_in_plan": 0, "plan_moved": 0, "silent": "",
    }  # fmt: skip


def test_the_mirror_pushes_to_the_crm_and_ends_the_line(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["push"] = [PushSummary("sfdc", 1, 4, {"updated": 4})]
    outcome = run("mirror__sfdc")
    assert outcome.tasks == {"mirror": "success"}
    assert outcome.told == set()
    assert ("push", "sfdc") in scripted_hub.asked


def test_a_delivery_report_that_is_not_ready_is_awaited_without_a_worker(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["poll_delivery"] = [DeliverySummary("gam-main", "job-1", "running")]
    scripted_hub.answers["load_delivery"] = [DeliverySummary("gam-main", "job-1", "loaded", facts_restated=1)]
    outcome = run("delivery__gam-main", since="2020-01-01", until="2020-01-31")
    assert outcome.tasks == {"start": "success", "wait": "success", "load": "success"}
    verbs = [call for call in scripted_hub.asked if call != ("close",)]
    assert verbs == [
        ("start_delivery", "gam-main", date(2020, 1, 1), date(2020, 1, 31)),
        ("poll_delivery", "gam-main", "job-1"),
        ("poll_delivery", "gam-main", "job-1"),
        ("load_delivery", "gam-main", "job-1"),
    ]


def test_a_report_that_failed_at_the_vendor_fails_the_run_and_loads_nothing(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["poll_delivery"] = [DeliverySummary("gam-main", "job-1", "failed")]
    outcome = run("delivery__gam-main")
    assert outcome.state == "failed"
    assert outcome.tasks == {"start": "success", "wait": "failed", "load": "upstream_failed"}


def test_a_vendor_that_says_wait_is_asked_again_without_holding_a_worker(run: Run, scripted_hub: Any) -> None:
    busy = VendorUnavailable("gam-main", "The ad server is busy.", 0.01)
    scripted_hub.answers["start_delivery"] = [busy]
    scripted_hub.answers["load_delivery"] = [busy, DeliverySummary("gam-main", "job-1", "loaded", facts_new=1)]
    outcome = run("delivery__gam-main")
    assert outcome.tasks == {"start": "success", "wait": "success", "load": "success"}
    assert scripted_hub.asked.count(("start_delivery", "gam-main", None, None)) == 2


def test_a_vendor_that_says_wait_for_too_long_fails_the_run(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["start_delivery"] = [VendorUnavailable("gam-main", "Come back tomorrow.", 86_400)]
    assert run("delivery__gam-main").tasks["start"] == "failed"


def test_where_nothing_is_booked_no_report_is_awaited(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["start_delivery"] = [DeliverySummary("gam-main", "", "nothing booked")]
    assert run("delivery__gam-main").tasks == {"start": "skipped", "wait": "skipped", "load": "skipped"}


def test_a_vendor_error_fails_at_once_and_is_not_retried_by_airflow(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["push"] = [AuthFailed("AUTH", "Credentials refused."), PushSummary("gam-main")]
    outcome = run("push__gam-main")
    assert outcome.tasks == {"push": "failed"}
    assert scripted_hub.asked.count(("push", "gam-main")) == 1


def test_a_failure_of_our_own_database_is_retried(run: Run, scripted_hub: Any, dagbag: Any) -> None:
    from datetime import timedelta

    task = dagbag.dags["push__gam-main"].get_task("push")
    delay, task.retry_delay = task.retry_delay, timedelta(0)
    try:
        scripted_hub.answers["push"] = [
            StoreUnavailable("The store cannot be reached."),
            PushSummary("gam-main", 1, 1, {"created": 1}),
        ]
        outcome = run("push__gam-main")
    finally:
        task.retry_delay = delay
    assert outcome.tasks == {"push": "success"}
    assert scripted_hub.asked.count(("push", "gam-main")) == 2


def test_a_broken_connection_fails_with_its_sentence_and_the_others_work(run: Run, scripted_hub: Any) -> None:
    sentence = "Connection Broken Räum/e has wrong settings. Its work stops. Whoever edited it corrects it."
    scripted_hub.answers["push"] = [
        ConnectionBroken("Broken Räum/e", sentence),
        PushSummary("gam-main", 1, 1, {"created": 1}),
    ]
    assert run("push__Broken_R_um_e").tasks == {"push": "failed"}
    assert ("push", "Broken Räum/e") in scripted_hub.asked
    assert run("push__gam-main").tasks == {"push": "success"}


@pytest.mark.parametrize(
    ("dag_id", "verb"),
    [
        ("push__gam-main", "push"),
        ("intake__sfdc", "intake"),
        ("mirror__sfdc", "push"),
        ("delivery__gam-main", "start_delivery"),
    ],
)
def test_a_paused_connection_is_skipped_and_alarms_nobody(run: Run, scripted_hub: Any, dag_id: str, verb: str) -> None:
    scripted_hub.answers[verb] = [ConnectionPaused("it", "Kim paused it. Its work waits. Operations resumes it.")]
    outcome = run(dag_id)
    assert outcome.state == "success"
    assert set(outcome.tasks.values()) == {"skipped"}
    assert outcome.told == set()


def test_a_check_that_finds_errors_fails_and_one_that_finds_none_succeeds(run: Run, scripted_hub: Any) -> None:
    scripted_hub.answers["check"] = [
        CheckResult("sfdc", False, "00D", [("error", "Opportunity.X__c", "The field X__c is hidden.")]),
        CheckResult("sfdc", True, "00D", [("warning", "limits", "90 % of the calls are used.")]),
    ]
    assert run("check__sfdc").tasks == {"check": "failed"}
    assert run("check__sfdc").tasks == {"check": "success"}


def test_failures_of_infrastructure_are_told_from_those_of_vendors() -> None:
    import psycopg
    import requests
    from airflow.sdk import RetryAction

    from dags.infrastructure import InfrastructureRetryPolicy, is_ours

    for ours in (StoreUnavailable("x"), psycopg.OperationalError("x"), ConnectionResetError(), OSError(28, "full")):
        assert is_ours(ours)
    for other in (requests.ConnectionError("x"), AuthFailed("A", "x"), TypeError("x"), ConnectionBroken("a", "x")):
        assert not is_ours(other)
    decision = InfrastructureRetryPolicy().evaluate(AuthFailed("AUTH", "Credentials refused."), 1, 3)
    assert decision.action is RetryAction.FAIL
    assert decision.reason == "AUTH: Credentials refused."


def test_with_the_real_hub_a_wrong_setting_stops_its_own_connection_only(
    dagbag: Any,
    airflow_database: None,
    configuration_file: Path,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The planted fault: a network code that is no number. The others work on, and no secret is told."""
    import hub

    text = configuration_file.read_text(encoding="utf-8")
    path = tmp_path / "orderhub.yaml"
    path.write_text(text.replace("postgresql://nobody@/nowhere?host=/nonexistent", database_url), encoding="utf-8")
    monkeypatch.setenv("ORDERHUB_CONFIG", str(path))
    monkeypatch.setenv("ORDERHUB_TEST_SECRET", "a-secret-of-the-test")
    with hub.open_hub() as opened:
        opened.migrate()
    broken = Outcome(dagbag.dags["push__Broken_R_um_e"].test())
    told = "".join(capfd.readouterr())
    healthy = Outcome(dagbag.dags["push__gam-main"].test())
    stranger = Outcome(dagbag.dags["check__stranger"].test())
    told_of_stranger = "".join(capfd.readouterr())
    assert broken.tasks == {"push": "failed"}
    assert "Connection Broken Räum/e has wrong settings (network_code" in told
    assert healthy.tasks == {"push": "skipped"}
    assert stranger.tasks == {"check": "failed"}
    assert "No connector named 'no-such-vendor' is installed" in told_of_stranger
    assert "a-secret-of-the-test" not in told + told_of_stranger

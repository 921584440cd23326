"""How the demo speaks with Airflow's REST API: log-in, pages, refusals and patience."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import responses
from responses.matchers import query_param_matcher

from cli.demo.airflow_api import AirflowApi, AirflowApiError

URL = "http://127.0.0.1:8080"


@pytest.fixture
def airflow() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(f"{URL}/auth/token", json={"access_token": "first"}, status=201)
        yield mock


@pytest.fixture
def api() -> Iterator[AirflowApi]:
    one = AirflowApi(f"{URL}/", "admin", "word")
    yield one
    one.close()


def calls(mock: responses.RequestsMock, method: str, path: str) -> list[responses.Call]:
    return [
        call
        for call in mock.calls
        if call.request.method == method and str(call.request.url).split("?")[0] == URL + path
    ]


def test_it_logs_in_once_and_again_when_the_token_expired(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    airflow.get(f"{URL}/api/v2/dags/a/dagRuns/r", json={"state": "running"})
    airflow.get(f"{URL}/api/v2/dags/a/dagRuns/r", status=401)
    airflow.get(f"{URL}/api/v2/dags/a/dagRuns/r", json={"state": "success"})
    assert api.run("a", "r")["state"] == "running"
    assert api.run("a", "r")["state"] == "success"
    assert len(calls(airflow, "POST", "/auth/token")) == 2


def test_a_refused_log_in_and_a_refused_request_quote_airflow(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    airflow.post(f"{URL}/api/v2/dags/a/dagRuns", status=404, json={"detail": "The DAG a is unknown"})
    with pytest.raises(AirflowApiError, match=r"POST /dags/a/dagRuns with 404.*The DAG a is unknown"):
        api.trigger("a")
    airflow.replace(responses.POST, f"{URL}/auth/token", status=401, json={"detail": "Invalid credentials"})
    with pytest.raises(AirflowApiError, match=r"refused the log-in of viewer: 401.*Invalid credentials"):
        AirflowApi(URL, "viewer", "wrong").dags()


def test_all_pages_of_dags_are_read(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    pages = [["a", "b"], ["c"]]
    for page in pages:
        airflow.get(
            f"{URL}/api/v2/dags",
            json={"dags": [{"dag_id": one, "is_paused": one == "b"} for one in page], "total_entries": 3},
        )
    assert api.dags() == {"a": False, "b": True, "c": False}


def test_a_pool_that_exists_gets_its_new_size(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    airflow.post(f"{URL}/api/v2/pools", status=409, json={"detail": "exists"})
    airflow.patch(f"{URL}/api/v2/pools/orderhub_sfdc", json={})
    api.create_pools({"orderhub_sfdc": 3})
    (sent,) = calls(airflow, "PATCH", "/api/v2/pools/orderhub_sfdc")
    assert json.loads(sent.request.body or b"")["slots"] == 3


def test_waiting_for_dags_ends_with_airflows_import_errors(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    airflow.get(f"{URL}/api/v2/dags", json={"dags": [], "total_entries": 0})
    error = {"filename": "intake.py", "stack_trace": "There is no configuration file"}
    airflow.get(f"{URL}/api/v2/importErrors", json={"import_errors": [error]})
    with pytest.raises(AirflowApiError, match=r"does not know intake__sfdc.*There is no configuration file"):
        api.wait_for_dags(["intake__sfdc"], timeout=0)


def test_a_run_that_does_not_end_is_an_error(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    airflow.get(f"{URL}/api/v2/dags/a/dagRuns/r", json={"state": "queued"})
    with pytest.raises(AirflowApiError, match=r"Run r of a is still queued"):
        api.wait_for_run("a", "r", timeout=0)


def has_dags(airflow: responses.RequestsMock, *names: str) -> None:
    rows = [{"dag_id": name, "is_paused": False} for name in names]
    airflow.get(f"{URL}/api/v2/dags", json={"dags": rows, "total_entries": len(rows)})


def test_a_run_of_a_dag_that_is_no_more_is_at_rest(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    # The DAGs of the ERP are gone when a demo that has closed a month starts again; Airflow never ends their runs.
    runs = [{"dag_id": "settle__erp", "dag_run_id": "r1", "state": "running"}]
    airflow.get(f"{URL}/api/v2/dags/~/dagRuns", json={"dag_runs": runs})
    tasks = f"{URL}/api/v2/dags/settle__erp/dagRuns/r1/taskInstances"
    airflow.get(tasks, json={"task_instances": [{"task_id": "settle", "state": "up_for_reschedule"}]})
    has_dags(airflow, "settle__sfdc")
    assert api.busy() == []


def test_at_rest_means_nothing_queued_and_nothing_running(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    busy = {"dag_runs": [{"dag_id": "push__gam", "dag_run_id": "r1", "state": "running"}]}
    airflow.get(f"{URL}/api/v2/dags/~/dagRuns", json=busy)
    tasks = f"{URL}/api/v2/dags/push__gam/dagRuns/r1/taskInstances"
    airflow.get(tasks, json={"task_instances": [{"task_id": "push", "state": "running"}]})
    has_dags(airflow, "push__gam")
    with pytest.raises(AirflowApiError, match=r"not at rest.*push__gam r1 running"):
        api.wait_until_at_rest(timeout=0)
    airflow.replace(responses.GET, f"{URL}/api/v2/dags/~/dagRuns", json={"dag_runs": []})
    api.wait_until_at_rest(timeout=5, calm=0)


@pytest.mark.parametrize(("beside", "busy"), [("success", False), (None, False), ("running", True), ("deferred", True)])
def test_a_run_that_only_waits_for_a_person_is_at_rest(
    airflow: responses.RequestsMock, api: AirflowApi, beside: str | None, busy: bool
) -> None:
    asked = {"dag_runs": [{"dag_id": "close", "dag_run_id": "r1", "state": "running"}]}
    airflow.get(
        f"{URL}/api/v2/dags/~/dagRuns",
        json={"dag_runs": []},
        match=[query_param_matcher({"state": "queued"}, strict_match=False)],
    )
    airflow.get(
        f"{URL}/api/v2/dags/~/dagRuns",
        json=asked,
        match=[query_param_matcher({"state": "running"}, strict_match=False)],
    )
    states = {"approve": "awaiting_input", "post": None, "other": beside}
    rows = [{"task_id": task, "state": state} for task, state in states.items()]
    airflow.get(f"{URL}/api/v2/dags/close/dagRuns/r1/taskInstances", json={"task_instances": rows})
    if busy:
        has_dags(airflow, "close")
    assert bool(api.busy()) is busy


def test_a_failed_tasks_log_has_the_words_of_its_exception(airflow: responses.RequestsMock, api: AirflowApi) -> None:
    events = [
        "a plain line",
        {
            "event": "Task failed with exception",
            "error_detail": [{"exc_type": "Broken", "exc_value": "The report waits."}],
        },
    ]
    airflow.get(f"{URL}/api/v2/dags/a/dagRuns/r/taskInstances/t/logs/1", json={"content": events})
    assert api.log("a", "r", "t") == "a plain line\nTask failed with exception\nBroken: The report waits."
    assert api.raised("a", "r", "t") == ["Broken: The report waits."]


def test_an_asset_is_found_by_its_address_with_or_without_a_slash(
    airflow: responses.RequestsMock, api: AirflowApi
) -> None:
    known = [{"id": 4, "uri": "orderhub://changes/"}, {"id": 5, "uri": "orderhub://changes-of-others/"}]
    airflow.get(f"{URL}/api/v2/assets", json={"assets": known})
    airflow.post(f"{URL}/api/v2/assets/events", json={})
    api.asset_event("orderhub://changes", {"why": "test"})
    (sent,) = calls(airflow, "POST", "/api/v2/assets/events")
    assert json.loads(sent.request.body or b"") == {"asset_id": 4, "extra": {"why": "test"}}
    with pytest.raises(AirflowApiError, match="knows no asset orderhub://nowhere"):
        api.asset_event("orderhub://nowhere")

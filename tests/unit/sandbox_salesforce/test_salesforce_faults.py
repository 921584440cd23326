"""Faults, counters, state file and process of the Salesforce sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.salesforce import serve
from sandbox.serving import RunningServer

SECRET = "of-this-test-only"
API = "/services/data/v68.0"


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with serve(now=datetime(2019, 9, 11, tzinfo=UTC), running=False, client_secret=SECRET) as server:
        yield server


def _session(url: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    form = {"grant_type": "client_credentials"}
    reply = session.post(f"{url}/services/oauth2/token", data=form, auth=("orderhub", SECRET), timeout=60)
    session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
    return session


@pytest.fixture
def session(server: RunningServer) -> Iterator[requests.Session]:
    with _session(server.url) as session:
        yield session


def _fault(server: RunningServer, **knobs: Any) -> None:
    assert requests.post(f"{server.url}/control/faults", json=knobs, timeout=60).status_code == 200


def _accounts(server: RunningServer) -> list[str]:
    return [row["Name"] for row in requests.get(f"{server.url}/control/state?type=Account", timeout=60).json()]


def _create(server: RunningServer, session: requests.Session, name: str = "Acme") -> requests.Response:
    return session.post(f"{server.url}{API}/sobjects/Account", json={"Name": name}, timeout=60)


def test_a_lost_request_applies_nothing(server: RunningServer, session: requests.Session) -> None:
    _fault(server, lost_request={"count": 1})
    with pytest.raises(requests.ConnectionError):
        _create(server, session)
    assert _accounts(server) == []


def test_a_lost_reply_is_applied(server: RunningServer, session: requests.Session) -> None:
    _fault(server, lost_reply={"count": 1})
    with pytest.raises(requests.ConnectionError):
        _create(server, session)
    assert _accounts(server) == ["Acme"]


def test_a_late_commit_is_applied_after_the_connection_is_gone(
    server: RunningServer, session: requests.Session
) -> None:
    _fault(server, late_commit={"count": 1, "seconds": 0.03})
    with pytest.raises(requests.ConnectionError):
        _create(server, session)
    assert _accounts(server) == []
    deadline = time.monotonic() + 60
    while not _accounts(server) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert _accounts(server) == ["Acme"]


def test_html_503_comes_from_before_the_vendor(server: RunningServer, session: requests.Session) -> None:
    _fault(server, html_503={"count": 1})
    reply = _create(server, session)
    assert reply.status_code == 503
    assert reply.headers["Content-Type"].startswith("text/html")
    assert _accounts(server) == []


def test_faults_strike_writes_unless_told_otherwise(api: Any) -> None:
    api.control("faults", quota={"count": 1})
    api.rows("SELECT Id FROM Account")
    assert api.refused("POST", "sobjects/Account", {"Name": "x"}, status=403)["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    assert api.create("Account", Name="x")


def test_index_lag_hides_new_records_from_queries_only(api: Any) -> None:
    api.control("faults", index_lag={"count": 1, "seconds": 0.05})
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01", "Hub_Id__c": "ord-1"}
    id_ = api.create("Opportunity", **fields)
    soql = "SELECT Id FROM Opportunity WHERE Hub_Id__c = 'ord-1'"
    assert api.rows(soql) == []
    assert api("GET", f"sobjects/Opportunity/{id_}")["Name"] == "Deal"
    assert api.refused("POST", "sobjects/Opportunity", fields)["errorCode"] == "DUPLICATE_VALUE"
    deadline = time.monotonic() + 60
    while not api.rows(soql) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert api.rows(soql) == [{"Id": id_}]


def test_a_partial_batch_is_200_with_locked_rows_inside(api: Any) -> None:
    api.control("faults", partial_batch={"count": 1, "seed": 7})
    records = [{"attributes": {"type": "Account"}, "Name": f"A{n}"} for n in range(20)]
    answers = api("POST", "composite/sobjects", {"allOrNone": False, "records": records})
    refused = [answer["errors"][0] for answer in answers if not answer["success"]]
    assert 0 < len(refused) < 20
    assert refused[0] == {
        "statusCode": "UNABLE_TO_LOCK_ROW",
        "message": "unable to obtain exclusive access to this record",
        "fields": [],
    }
    assert len(api.state("Account")) == 20 - len(refused)


def test_a_locked_row_refuses_a_single_write(api: Any) -> None:
    id_ = api.create("Account", Name="x")
    api.control("faults", lock_row={"count": 1, "operations": ["PATCH sobjects Account"]})
    assert api.refused("PATCH", f"sobjects/Account/{id_}", {"Phone": "1"})["errorCode"] == "UNABLE_TO_LOCK_ROW"
    api("PATCH", f"sobjects/Account/{id_}", {"Phone": "1"})


def test_every_request_is_counted_by_operation_object_and_kind(api: Any) -> None:
    api.client.post("/control/calls/reset", json={})
    api.log_in()
    id_ = api.create("Account", Name="x")
    api.rows("SELECT Id FROM Account")
    api("GET", "sobjects/Account/describe")
    api("PATCH", "composite/sobjects", {"records": [{"attributes": {"type": "Account"}, "Id": id_, "Fax": "1"}] * 1})
    path = "composite/sobjects/Opportunity/Hub_Id__c"
    rows = [{"attributes": {"type": "Opportunity"}, "Hub_Id__c": str(n)} for n in range(3)]
    api("PATCH", path, {"records": rows})
    api.control("faults", quota={"count": 1})
    api("DELETE", f"sobjects/Account/{id_}", status=403)
    operations = api.client.get("/control/calls").get_json()["operations"]
    assert operations == {
        "DELETE sobjects Account": {"calls": 1, "records": 1, "kind": "act"},
        "PATCH collections Account": {"calls": 1, "records": 1, "kind": "update"},
        "PATCH collections Opportunity": {"calls": 1, "records": 3, "kind": "update"},
        "POST sobjects Account": {"calls": 1, "records": 1, "kind": "create"},
        "describe Account": {"calls": 1, "records": 0, "kind": "describe"},
        "query Account": {"calls": 1, "records": 0, "kind": "read"},
        "token": {"calls": 1, "records": 0, "kind": "login"},
    }


def test_the_state_survives_a_restart_without_the_secret(tmp_path: Path, make_api: Callable[..., Any]) -> None:
    file = tmp_path / "org.json"
    api = make_api(state_file=file)
    id_ = api.create("Account", Name="Ünïcode 🦊")
    api.control("fields", object="Account", field="New__c", type="string", length=5)
    api.control("fls", object="Account", field="Phone", visible=False, editable=False)
    api.control("currencies", currencies=["CHF"])
    api.control("validation", object="Account", name="v", error_when="Fax = '1'", message="no fax")
    api.control("clock", now="2019-12-01T00:00:00Z")
    before = {name: api.state(name) for name in ("Account", "User", "CurrencyType", "OpportunityStage")}
    api.app.close()
    assert api._secret not in file.read_text("utf-8")
    again = make_api(state_file=file)
    assert {name: again.state(name) for name in before} == before
    assert again.rows("SELECT New__c FROM Account") == [{"New__c": None}]
    assert again.query("SELECT Phone FROM Account", status=400)[0]["errorCode"] == "INVALID_FIELD"
    assert again.refused("PATCH", f"sobjects/Account/{id_}", {"Fax": "1"})["message"] == "no fax"
    assert again.create("Account", Name="Zurich", CurrencyIsoCode="CHF") != id_
    assert again.rows("SELECT CreatedDate FROM Account WHERE Name = 'Zurich'")[0]["CreatedDate"].startswith(
        "2019-12-01"
    )
    again.app.close()


def test_a_state_file_of_another_kind_of_org_is_refused(tmp_path: Path, make_api: Callable[..., Any]) -> None:
    file = tmp_path / "org.json"
    make_api(state_file=file).app.close()
    with pytest.raises(ValueError, match="another currency mode"):
        make_api(state_file=file, multi_currency=False)


def test_reset_makes_a_fresh_org_and_keeps_the_session(api: Any) -> None:
    api.create("Account", Name="x")
    api.control("fields", object="Account", field="New__c", type="string", length=5)
    api.control("reset")
    assert api.state("Account") == []
    assert api.rows("SELECT Id FROM Account") == []
    assert "New__c" not in [field["name"] for field in api("GET", "sobjects/Account/describe")["fields"]]


def test_the_control_interface_tells_what_is_wrong(api: Any) -> None:
    assert "known are" in api.control("fields", status=400, object="Invoice", field="A__c", type="string")["error"]
    assert "needs a length" in api.control("fields", status=400, object="Account", field="A__c", type="string")["error"]
    assert "__c" in api.control("fields", status=400, object="Account", field="A", type="string", length=1)["error"]
    assert "cannot hide" in api.control("fls", status=400, object="Account", field="Name", visible=False)["error"]
    assert "unknown faults" in api.control("faults", status=400, nonsense={})["error"]
    error = api.control("edit", status=400, object="Account", id="0015e00000zzzzz", fields={"Name": "x"})["error"]
    assert error == "INVALID_CROSS_REFERENCE_KEY: invalid cross reference id"
    assert "secret" in str(sorted(api.client.get("/control/setup").get_json()))


def test_no_secret_means_no_log_in(make_api: Callable[..., Any]) -> None:
    api = make_api()
    api.control("setup", client_secret="")
    with pytest.raises(AssertionError, match="invalid_client"):
        api.log_in()


def test_the_process_announces_itself_saves_and_ends_on_sigterm(tmp_path: Path) -> None:
    state = tmp_path / "org.json"
    command = [sys.executable, "-m", "sandbox", "salesforce", "--port", "0", "--state", str(state)]
    command += ["--clock", "2019-09-11T17:41:08Z", "--daily-limit", "50"]
    environment = {**os.environ, "SANDBOX_SF_SECRET": SECRET}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["ready"], ready["name"]) == (True, "salesforce")
        with _session(ready["url"]) as session:
            reply = session.post(f"{ready['url']}{API}/sobjects/Account", json={"Name": "Acme"}, timeout=60)
            assert reply.headers["Sforce-Limit-Info"] == "api-usage=1/50"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    saved = json.loads(state.read_text("utf-8"))
    assert [row["Name"] for row in saved["vendor"]["rows"]["Account"]] == ["Acme"]

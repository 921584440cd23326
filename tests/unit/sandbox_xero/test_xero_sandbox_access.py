"""Who may ask, how often, and what a key is answered with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from sandbox.xero import serve

from .conftest import SECRET, START, Client


def test_tokens_need_the_client_its_secret_and_scopes_and_live_half_an_hour(xero: Client) -> None:
    assert xero.log_in("wrong").json() == {"error": "invalid_client"}
    assert xero.log_in(scope="payroll").json() == {"error": "invalid_scope"}
    assert xero.log_in(grant_type="password").json() == {"error": "unsupported_grant_type"}
    assert xero.log_in().json()["expires_in"] == 1800
    assert xero.send("GET", "Contacts").status_code == 200
    xero.control("clock", advance_seconds=1799)
    assert xero.send("GET", "Contacts").status_code == 200
    xero.control("clock", advance_seconds=1)
    assert xero.send("GET", "Contacts").status_code == 401


def test_another_tenant_and_a_missing_scope_are_forbidden(xero: Client) -> None:
    assert xero.send("GET", "Contacts", headers={"xero-tenant-id": "0"}).status_code == 403
    xero.token = xero.log_in(scope="accounting.contacts").json()["access_token"]
    assert xero.send("GET", "Contacts").status_code == 200
    assert xero.send("GET", "Invoices").status_code == 403
    assert xero.send("GET", "Organisation").status_code == 403


def test_limits_are_fixed_windows_and_say_when_to_come_back(xero: Client) -> None:
    xero.control("limits", minute=2, day=3)
    first = xero.send("GET", "Contacts")
    assert (first.headers["X-MinLimit-Remaining"], first.headers["X-DayLimit-Remaining"]) == ("1", "2")
    xero.send("GET", "Contacts")
    refused = xero.send("GET", "Contacts")
    assert (refused.status_code, refused.headers["X-Rate-Limit-Problem"], refused.headers["Retry-After"]) == (
        429,
        "minute",
        "60",
    )
    xero.control("clock", advance_seconds=60)
    assert xero.send("GET", "Contacts").status_code == 200
    refused = xero.send("GET", "Contacts")
    assert (refused.headers["X-Rate-Limit-Problem"], refused.headers["Retry-After"]) == ("day", str(15 * 3600 - 60))
    assert xero.log_in().status_code == 200  # tokens are not counted


def test_a_key_is_answered_again_for_six_minutes_refusals_included(xero: Client) -> None:
    body = {"Invoices": [xero.invoice()]}
    first = xero.send("PUT", "Invoices", body, headers={"Idempotency-Key": "k"})
    assert xero.send("PUT", "Invoices", body, headers={"Idempotency-Key": "k"}).content == first.content
    assert xero.send("PUT", "Invoices", {"Invoices": []}, headers={"Idempotency-Key": "k"}).status_code == 400
    refused = xero.send("PUT", "Invoices", body, headers={"Idempotency-Key": "other"})
    assert "must be unique" in refused.text
    xero.control("clock", advance_seconds=360)
    assert "must be unique" in xero.send("PUT", "Invoices", body, headers={"Idempotency-Key": "k"}).text
    assert xero.send("PUT", "Invoices", body, headers={"Idempotency-Key": "k" * 129}).status_code == 400
    assert len(xero.send("GET", "Invoices").json()["Invoices"]) == 1


def test_faults_lose_requests_and_replies_and_commit_late(xero: Client) -> None:
    body = {"Invoices": [xero.invoice()]}
    for fault, made in (("lost_request", 0), ("lost_reply", 1)):
        xero.control("faults", **{fault: {"count": 1}})
        with pytest.raises(requests.ConnectionError):
            xero.send("PUT", "Invoices", body)
        assert len(xero.send("GET", "Invoices").json()["Invoices"]) == made
    xero.control("faults", late_commit={"count": 1, "seconds": 60})
    with pytest.raises(requests.ConnectionError):
        xero.send("PUT", "Invoices", {"Invoices": [xero.invoice("INV-2")]})
    assert len(xero.send("GET", "Invoices").json()["Invoices"]) == 1
    xero.server.app.late.apply_now()
    assert len(xero.send("GET", "Invoices").json()["Invoices"]) == 2
    xero.control("faults", html_503={"count": 1}, quota={"count": 2, "operations": ["GET Invoices"]})
    assert "html" in xero.send("PUT", "Invoices", body).text
    assert xero.send("GET", "Invoices").status_code == 429
    xero.control("faults", expired_token={"count": 1}, quota={"count": 0})
    assert xero.send("PUT", "Invoices", body).status_code == 401


def test_state_survives_a_restart_and_a_reset_forgets_it(tmp_path: Path) -> None:
    file = tmp_path / "xero.json"
    server = serve(client_secret=SECRET, now=START, running=False, state_file=file)
    one = Client(server)
    one.put(one.invoice())
    one.send(
        "POST",
        "Invoices",
        {"Invoices": [{"InvoiceID": one.put(one.invoice("INV-2"))[0]["InvoiceID"], "Status": "AUTHORISED"}]},
    )
    one.control("pay", invoice="INV-2", amount="0.50")
    before = one.send("GET", "Invoices").json()["Invoices"]
    one.http.close()
    server.close()
    server = serve(client_secret=SECRET, now=START, running=False, state_file=file)
    two = Client(server)
    try:
        assert two.send("GET", "Invoices").json()["Invoices"] == before
        assert two.send("GET", "Payments").json()["Payments"][0]["Amount"] == 0.5
        two.control("reset")
        assert two.send("GET", "Invoices").json()["Invoices"] == []
    finally:
        two.http.close()
        server.close()


def test_it_imports_nothing_of_ours() -> None:
    code = "import sys, sandbox.xero; print(sorted({n.split('.')[0] for n in sys.modules} & {'hub', 'connectors', 'oms_schema'}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_it_runs_as_a_process_that_keeps_its_secret_out_of_its_arguments() -> None:
    command = [sys.executable, "-m", "sandbox", "xero", "--port", "0"]
    environment = {**os.environ, "SANDBOX_XERO_SECRET": SECRET}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            with requests.Session() as http:
                http.trust_env = False
                form = {"grant_type": "client_credentials", "scope": "accounting.contacts"}
                granted = http.post(f"{ready['url']}/connect/token", data=form, auth=("orderhub", SECRET), timeout=60)
            assert (ready["name"], granted.json()["token_type"]) == ("xero", "Bearer")
        finally:
            process.terminate()
    assert process.returncode == 0

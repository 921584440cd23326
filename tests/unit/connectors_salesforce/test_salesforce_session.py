"""One attempt per call; what a missing, late, foreign or hostile answer means."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
import responses
import urllib3

from connectors.base import Operation, PushItem
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RetryLater,
    SchemaDrift,
)
from connectors.exact_json import Unreadable
from connectors.salesforce import SalesforceConnector
from connectors.salesforce.transport import decoded

from .conftest import DATA, ORG, TOKEN, refusal, saved, vendor_id

Connect = Callable[..., SalesforceConnector]
WRITE = f"{DATA}/composite/sobjects"
ITEM = PushItem("k1", {"Name": "n"}, vendor_id=vendor_id(1))


def write(connector: SalesforceConnector) -> Any:
    return connector.push("Opportunity", Operation.UPDATE, [ITEM])


def read(connector: SalesforceConnector) -> Any:
    return connector.fetch("Opportunity", ["Name"], [vendor_id(1)])


def test_construction_sends_nothing_and_imports_no_sdk(org: responses.RequestsMock, connect: Connect) -> None:
    connector = connect()
    assert connector.capabilities.streams
    assert connector.record_schemas()
    assert connector.quota is None
    assert len(org.calls) == 0
    code = "import sys, connectors.salesforce; sys.exit('simple_salesforce' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_login_serves_many_calls(org: responses.RequestsMock, connect: Connect) -> None:
    org.get(f"{DATA}/query/", json={"done": True, "records": []})
    connector = connect()
    read(connector)
    read(connector)
    assert sum("oauth2" in str(call.request.url) for call in org.calls) == 1
    assert org.calls[0].request.headers["Authorization"].startswith("Basic ")


def test_an_expired_token_is_renewed_once_and_the_request_sent_once_more(
    org: responses.RequestsMock, connect: Connect
) -> None:
    org.patch(WRITE, status=401, json=refusal("INVALID_SESSION_ID", "Session expired or invalid"))
    org.patch(WRITE, json=[saved(vendor_id(1))])
    assert [r.outcome for r in write(connect())] == ["updated"]
    assert [("oauth2" in str(c.request.url)) for c in org.calls] == [True, False, True, False]


@pytest.mark.parametrize("body", [refusal("INVALID_SESSION_ID"), "<html>denied</html>", {"a": 1}])
def test_a_token_refused_twice_stops_the_connection(
    org: responses.RequestsMock, connect: Connect, body: object
) -> None:
    org.patch(WRITE, status=401, json=body)
    with pytest.raises(AuthFailed):
        write(connect())
    assert len(org.calls) == 4


NOT_APPLIED = [
    (503, refusal("SERVER_UNAVAILABLE"), RetryLater),
    (500, refusal("UNABLE_TO_LOCK_ROW"), RetryLater),
    (403, refusal("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), QuotaExhausted),
    (403, refusal("INSUFFICIENT_ACCESS"), PermissionMissing),
    (403, refusal("API_DISABLED_FOR_ORG"), PermissionMissing),
    (400, refusal("INVALID_FIELD", "No such column 'Gone__c' on sobject of type Opportunity"), SchemaDrift),
    (404, refusal("NOT_FOUND", "The requested resource does not exist"), SchemaDrift),
    (400, refusal("UNSUPPORTED_API_VERSION"), Misconfigured),
]


@pytest.mark.parametrize(("status", "body", "expected"), NOT_APPLIED)
def test_a_listed_code_decides_and_not_the_http_class(
    org: responses.RequestsMock, connect: Connect, status: int, body: object, expected: type[ConnectorError]
) -> None:
    org.patch(WRITE, status=status, json=body)
    org.get(f"{DATA}/query/", status=status, json=body)
    for act in (write, read):
        with pytest.raises(expected) as caught:
            act(connect())
        assert caught.value.code == body[0]["errorCode"]  # type: ignore[index]
    assert len(org.calls) == 4


UNKNOWN = [
    (500, {"json": refusal("UNKNOWN_EXCEPTION")}),
    (418, {"json": refusal("A_CODE_OF_TOMORROW")}),
    (503, {"body": "<html>Service Unavailable</html>", "content_type": "text/html"}),
    (200, {"body": "<html>Welcome</html>", "content_type": "text/html"}),
    (200, {"body": b"\xff\xfe\x00garbage", "content_type": "application/json"}),
    (200, {"body": "[" * 100_000, "content_type": "application/json"}),
    (200, {"body": "[" * 100 + "]" * 100, "content_type": "application/json"}),
    (200, {"body": "", "content_type": "application/json"}),
    (204, {"body": ""}),
    (200, {"json": {"records": "none"}}),
]


@pytest.mark.parametrize(("status", "reply"), UNKNOWN)
def test_an_unknown_answer_is_in_doubt_on_a_write_and_retried_on_a_read(
    org: responses.RequestsMock, connect: Connect, status: int, reply: dict[str, Any]
) -> None:
    org.patch(WRITE, status=status, **reply)
    org.get(f"{DATA}/query/", status=status, **reply)
    with pytest.raises(OutcomeUnknown):
        write(connect())
    with pytest.raises(RetryLater):
        read(connect())
    assert len(org.calls) == 4


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectTimeout("slow"),
        requests.exceptions.ConnectionError(urllib3.exceptions.NewConnectionError(None, "refused")),  # type: ignore[arg-type]
        requests.exceptions.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                None,  # type: ignore[arg-type]
                "/",
                urllib3.exceptions.NewConnectionError(None, "refused"),  # type: ignore[arg-type]
            )
        ),
        requests.exceptions.ProxyError(
            urllib3.exceptions.MaxRetryError(
                None,  # type: ignore[arg-type]
                "/",
                urllib3.exceptions.ProxyError("no way", OSError("Tunnel connection failed: 407 Who are you")),
            )
        ),
    ],
)
def test_a_connection_that_was_never_made_is_certainly_not_applied(
    org: responses.RequestsMock, connect: Connect, error: Exception
) -> None:
    org.patch(WRITE, body=error)
    with pytest.raises(RetryLater):
        write(connect())


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ReadTimeout("slow"),
        requests.exceptions.ConnectionError(
            urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
        ),
        requests.exceptions.ConnectionError(
            urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionAbortedError())
        ),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.SSLError("bad record mac"),
        requests.exceptions.ProxyError(
            urllib3.exceptions.MaxRetryError(
                None,  # type: ignore[arg-type]
                "/",
                urllib3.exceptions.ProxyError("Unable to connect to proxy", ConnectionResetError(104, "reset")),
            )
        ),
    ],
)
def test_a_connection_that_broke_is_in_doubt_on_a_write(
    org: responses.RequestsMock, connect: Connect, error: Exception
) -> None:
    org.patch(WRITE, body=error)
    org.get(f"{DATA}/query/", body=error)
    with pytest.raises(OutcomeUnknown):
        write(connect())
    with pytest.raises(RetryLater):
        read(connect())


def test_a_redirect_is_never_followed(org: responses.RequestsMock, connect: Connect) -> None:
    elsewhere = {"Location": "https://evil.example/"}
    org.patch(WRITE, status=302, headers=elsewhere)
    org.get(f"{DATA}/query/", status=307, headers=elsewhere)
    with pytest.raises(OutcomeUnknown):
        write(connect())
    with pytest.raises(Misconfigured):
        read(connect())
    assert len(org.calls) == 4


def test_a_reply_is_read_up_to_its_bound_even_when_packed(org: responses.RequestsMock, connect: Connect) -> None:
    bomb = gzip.compress(b'["' + b"a" * 1_000_000 + b'"]')
    assert len(bomb) < 65_536
    org.patch(WRITE, body=bomb, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    with pytest.raises(OutcomeUnknown, match="ReplyTooLarge"):
        write(connect(max_reply_bytes=65_536))
    org.get(f"{DATA}/query/", body=bomb, headers={"Content-Encoding": "gzip"}, content_type="application/json")
    with pytest.raises(Misconfigured, match="page_size"):
        read(connect(max_reply_bytes=65_536))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            {"status": 400, "json": {"error": "invalid_client", "error_description": "invalid client credentials"}},
            AuthFailed,
        ),
        ({"status": 400, "json": {"error": "invalid_grant"}}, AuthFailed),
        ({"status": 400, "json": {"error": "invalid_grant", "error_description": "login rate exceeded"}}, RetryLater),
        ({"status": 503, "body": "<html>down</html>"}, RetryLater),
        ({"status": 200, "body": "<html>hello</html>"}, RetryLater),
        ({"status": 404, "body": "<html>no such page</html>"}, AuthFailed),
        ({"status": 200, "json": ["nothing"]}, RetryLater),
        ({"status": 200, "json": {"access_token": "t"}}, RetryLater),
        ({"status": 200, "json": {"access_token": "t", "instance_url": "https://evil.example"}}, Misconfigured),
        ({"status": 200, "json": {"access_token": "t", "instance_url": "https://evilsalesforce.com"}}, Misconfigured),
        ({"status": 302, "headers": {"Location": "https://evil.example"}}, Misconfigured),
        ({"body": requests.exceptions.ReadTimeout("slow")}, RetryLater),
    ],
)
def test_a_login_that_fails_applies_nothing_and_says_who_acts(
    connect: Connect, reply: dict[str, Any], expected: type[ConnectorError]
) -> None:
    with responses.RequestsMock() as mock:
        mock.post(f"{ORG}/services/oauth2/token", **reply)
        with pytest.raises(expected) as caught:
            write(connect())
        assert "the-secret" not in str(caught.value)
        assert len(mock.calls) == 1


def test_a_private_key_that_is_none_is_a_wrong_setting(connect: Connect) -> None:
    connector = connect(auth="jwt", consumer_secret=None, username="u@x", private_key="not-a-key-but-secret")
    with pytest.raises(Misconfigured) as caught:
        read(connector)
    assert "not-a-key" not in str(caught.value)


def test_no_token_and_no_secret_is_written_to_a_log_or_an_error(
    org: responses.RequestsMock, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    org.patch(WRITE, status=400, json=refusal("UNHEARD_OF", f"session {TOKEN} Bearer {TOKEN}"))
    with pytest.raises(OutcomeUnknown) as caught:
        write(connect())
    seen = caplog.text + str(caught.value) + repr(caught.value)
    assert "secret" not in seen


def test_the_quota_is_read_from_the_header_of_any_reply_and_others_reserve_is_kept(
    org: responses.RequestsMock, connect: Connect
) -> None:
    header = {"Sforce-Limit-Info": "api-usage=14000/15000;per-app-api-usage=1/250(appName=x)"}
    org.get(f"{DATA}/query/", json={"done": True, "records": []}, headers=header)
    connector = connect(daily_call_limit=15_000, daily_call_reserve=1_000)
    read(connector)
    assert connector.quota == (14_000, 15_000)
    with pytest.raises(QuotaExhausted, match="reserved for others") as caught:
        read(connector)
    assert 0 < caught.value.after <= 60
    assert len(org.calls) == 2


def test_after_the_pause_one_call_looks_whether_the_quota_is_free_again(
    org: responses.RequestsMock, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("connectors.salesforce.session.time.monotonic", lambda: now[0])
    org.get(f"{DATA}/query/", json={"done": True, "records": []}, headers={"Sforce-Limit-Info": "api-usage=99/100"})
    org.get(f"{DATA}/query/", json={"done": True, "records": []}, headers={"Sforce-Limit-Info": "api-usage=10/100"})
    connector = connect(daily_call_limit=100, daily_call_reserve=10)
    read(connector)
    with pytest.raises(QuotaExhausted):
        read(connector)
    now[0] += 61
    read(connector)
    read(connector)
    assert connector.quota == (10, 100)


def test_too_many_requests_at_once_waits_seconds_and_not_a_pause(org: responses.RequestsMock, connect: Connect) -> None:
    words = "ConcurrentRequests (Concurrent API) Limit exceeded."
    org.patch(WRITE, status=403, json=refusal("REQUEST_LIMIT_EXCEEDED", words))
    with pytest.raises(QuotaExhausted) as caught:
        write(connect())
    assert (caught.value.after, caught.value.limit) == (5.0, "salesforce-concurrent-calls")


def test_a_netrc_entry_does_not_replace_the_token(
    org: responses.RequestsMock, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine acme.my.salesforce.com login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    org.get(f"{DATA}/query/", json={"done": True, "records": []})
    read(connect())
    assert org.calls[1].request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_every_request_goes_to_the_endpoint_when_there_is_one(connect: Connect) -> None:
    with responses.RequestsMock() as mock:
        mock.post(
            "http://127.0.0.1:9/base/services/oauth2/token", json={"access_token": "t", "instance_url": "https://x.y"}
        )
        mock.get("http://127.0.0.1:9/base/services/data/v68.0/query/", json={"done": True, "records": []})
        read(connect(endpoint="http://127.0.0.1:9/base"))
        assert mock.calls[1].request.headers["X-Forwarded-Host"] == "x.y"


def test_numbers_are_exact_and_hostile_ones_are_no_numbers() -> None:
    assert decoded(b'{"a": 0.1, "b": 12345678901234567, "attributes": {"x": 1}}') == {
        "a": Decimal("0.1"),
        "b": 12345678901234567,
    }
    for body in (b"1e999999999", b"[1E-999999]", b"NaN", b"Infinity", b"1" * 5000, b"[0." + b"1" * 100 + b"]"):
        with pytest.raises(Unreadable):
            decoded(body)


def test_text_that_no_database_takes_is_shown_as_replaced() -> None:
    assert decoded(rb'["a\ud83d", "b\u0000", "\ud83d\ude00", "Z\u00fcrich"]') == ["a�", "b�", "😀", "Zürich"]

"""Tokens: fetched once, renewed early, dropped when they expire, and never in a message."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from connectors.base import Operation, PushItem
from connectors.errors import AuthFailed, Misconfigured, RetryLater
from connectors.gam import GamConnector, GamSettings
from connectors.gam.login import Login

_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_PEM = _KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


class Tokens:
    """A token server that remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.answer = 200, dict[str, Any]()
        self.asked: list[dict[str, str]] = []
        tokens = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                tokens.asked.append({name: values[0] for name, values in form.items()})
                default = {"access_token": f"token-{len(tokens.asked)}", "expires_in": 3600}
                body = json.dumps(tokens.answer or default).encode()
                self.send_response(tokens.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    served = Tokens()
    yield served
    served.server.shutdown()
    served.thread.join()
    served.server.server_close()


def key(url: str, **changes: Any) -> str:
    return json.dumps(
        {"client_email": "hub@project", "private_key": _PEM, "private_key_id": "k1", "token_uri": url, **changes}
    )


def of_key(url: str, **changes: Any) -> GamSettings:
    return GamSettings.model_validate({"network_code": "1", "service_account_json": key(url), **changes})


def header(login: Login) -> str:
    return login.CreateHttpHeader()["Authorization"]


def test_a_service_account_signs_its_own_grant(tokens: Tokens) -> None:
    login = Login(of_key(tokens.url, delegated_account="ops@publisher"), wall=lambda: 1_600_000_000.0)
    assert header(login) == "Bearer token-1"
    assert header(login) == "Bearer token-1"
    [asked] = tokens.asked
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(
        asked["assertion"],
        _KEY.public_key(),
        algorithms=["RS256"],
        audience=tokens.url,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == "hub@project"
    assert claims["sub"] == "ops@publisher"
    assert claims["scope"] == "https://www.googleapis.com/auth/dfp"
    assert claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(asked["assertion"])["kid"] == "k1"


def test_a_key_file_does_as_well(tokens: Tokens, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(key(tokens.url))
    settings = GamSettings.model_validate({"network_code": "1", "key_file": str(tmp_path / "key.json")})
    assert header(Login(settings)) == "Bearer token-1"


def test_a_refresh_token_is_exchanged(tokens: Tokens) -> None:
    settings = GamSettings.model_validate(
        {
            "network_code": "1",
            "refresh_token": "r",
            "client_id": "c",
            "client_secret": "s",
            "token_uri": tokens.url,
        }
    )
    assert header(Login(settings)) == "Bearer token-1"
    assert tokens.asked == [
        {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c", "client_secret": "s"}
    ]


def test_a_token_is_renewed_before_it_expires(tokens: Tokens) -> None:
    now = [1_600_000_000.0]
    login = Login(of_key(tokens.url), wall=lambda: now[0])
    header(login)
    now[0] += 3600 - 61
    assert header(login) == "Bearer token-1"
    now[0] += 2
    assert header(login) == "Bearer token-2"


def test_a_refused_credential_is_auth_and_a_broken_server_is_not(tokens: Tokens) -> None:
    tokens.status, tokens.answer = 400, {"error": "invalid_grant", "error_description": "Invalid JWT"}
    with pytest.raises(AuthFailed, match="invalid_grant"):
        header(Login(of_key(tokens.url)))
    tokens.status, tokens.answer = 503, {"oops": 1}
    with pytest.raises(RetryLater):
        header(Login(of_key(tokens.url)))
    tokens.status, tokens.answer = 200, {"token_type": "none"}
    with pytest.raises(RetryLater):
        header(Login(of_key(tokens.url)))
    assert len(tokens.asked) == 3


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (400, {"error": "internal_failure"}),
        (400, {"error": "invalid_request", "error_description": "temporarily_unavailable"}),
        (403, {"error": "rate_limit_exceeded"}),
    ],
)
def test_a_token_server_in_trouble_says_nothing_about_the_credential(
    tokens: Tokens, status: int, answer: dict[str, str]
) -> None:
    tokens.status, tokens.answer = status, answer
    with pytest.raises(RetryLater):
        header(Login(of_key(tokens.url)))


@pytest.mark.parametrize(
    "bad",
    [
        {"service_account_json": "not json"},
        {"service_account_json": "[]"},
        {"service_account_json": '{"client_email": "x"}'},
        {"service_account_json": '{"client_email": "x", "private_key": "s3cr3t", "token_uri": "http://127.0.0.1:1"}'},
        {"key_file": "/nowhere/key.json"},
    ],
)
def test_an_unusable_key_is_named_without_its_secret(bad: dict[str, str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        header(Login(GamSettings.model_validate({"network_code": "1", **bad})))
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_expired_token_is_replaced_at_the_next_call(
    vendor: Any, settings: Callable[..., GamSettings], tokens: Tokens
) -> None:
    gam = GamConnector(settings(access_token=None, service_account_json=key(tokens.url)))
    items = [PushItem("k", {"name": "A", "advertiserId": 1, "traffickerId": 2})]
    vendor.answer = lambda *_: [{"id": 1}]
    gam.push("Order", Operation.CREATE, items)
    vendor.answer = lambda *_: vendor.fault(("AuthenticationError", "AUTHENTICATION_FAILED", "", ""))
    with pytest.raises(RetryLater) as caught:
        gam.push("Order", Operation.CREATE, items)
    assert caught.value.after == 0
    vendor.answer = lambda *_: [{"id": 1}]
    gam.push("Order", Operation.CREATE, items)
    assert [h["Authorization"] for h in vendor.headers] == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    gam.close()


def test_a_token_that_never_worked_stops_the_connection(
    vendor: Any, settings: Callable[..., GamSettings], tokens: Tokens
) -> None:
    gam = GamConnector(settings(access_token=None, service_account_json=key(tokens.url)))
    vendor.answer = lambda *_: vendor.raw(401)
    with pytest.raises(AuthFailed):
        gam.observe("Order", ["1"])
    gam.close()


def test_a_ready_token_is_never_renewed(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("AuthenticationError", "AUTHENTICATION_FAILED", "", ""))
    with pytest.raises(AuthFailed):
        gam.observe("Order", ["1"])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"access_token": "a", "key_file": "b"},
        {"refresh_token": "r"},
        {"access_token": "a", "network_code": "12x"},
        {"access_token": "a", "version": "202608"},
        {"access_token": "a", "batch_size": 51},
        {"access_token": "a", "report_columns": ["AD_SERVER_CLICKS"]},
        {"access_token": "a", "report_columns": ["AD_SERVER_IMPRESSIONS", "NONSENSE"]},
        {"access_token": "a", "colour": "red"},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GamSettings.model_validate({"network_code": "1", **wrong})


def test_every_setting_without_a_published_figure_says_on_what_it_stands() -> None:
    doubtful = [
        "timeout_seconds", "page_size", "batch_size", "names_per_query", "requests_per_second", "reports_per_hour",
        "lines_per_order", "index_lag_seconds", "max_in_flight_seconds", "quota_wait_seconds",
        "report_quota_wait_seconds", "forecast_wait_seconds", "busy_wait_seconds", "unavailable", "look_back_days",
    ]  # fmt: skip
    for name in doubtful:
        assert GamSettings.model_fields[name].description, name


def test_two_calls_that_meet_the_same_expired_token_both_go_on(
    vendor: Any, settings: Callable[..., GamSettings], tokens: Tokens
) -> None:
    """The second refusal is of the token that the first one has replaced already; it says nothing about the new one."""
    gam = GamConnector(settings(access_token=None, service_account_json=key(tokens.url)))
    vendor.answer = lambda *_: {"totalResultSetSize": 0, "startIndex": 0, "results": []}
    gam.observe("Order", ["1"])
    both = threading.Barrier(2)

    def expired(*_: Any) -> Any:
        both.wait(30)  # neither is answered before both were sent
        return vendor.raw(401)

    vendor.answer = expired
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(gam.observe, "Order", ["1"]) for _ in range(2)]
        assert [type(one.exception(30)) for one in asked] == [RetryLater, RetryLater]
    vendor.answer = lambda *_: {"totalResultSetSize": 0, "startIndex": 0, "results": []}
    assert gam.observe("Order", ["1"]) == {}
    assert len(tokens.asked) == 2
    gam.close()

"""The log-in and the meaning of each refusal: what the engine does next, and a sentence that says who acts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import responses

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
from connectors.netsuite import NetSuiteConnector
from connectors.netsuite.error_table import error_codes, one_line

from .conftest import ROOT, TOKEN, refusal

Connect = Callable[..., NetSuiteConnector]
QUERY = f"{ROOT}/query/v1/suiteql"


def test_the_assertion_says_what_the_page_asks_for(netsuite: responses.RequestsMock, connect: Connect) -> None:
    netsuite.post(QUERY, json={"items": []})
    list(connect().billing(None))
    form = parse_qs(str(netsuite.calls[0].request.body, "ascii"))  # type: ignore[arg-type]
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assertion = form["client_assertion"][0]
    assert jwt.get_unverified_header(assertion) == {"alg": "ES256", "kid": "cert", "typ": "JWT"}
    claims = jwt.decode(assertion, options={"verify_signature": False})
    assert (claims["iss"], claims["scope"], claims["aud"]) == (
        "orderhub",
        ["rest_webservices"],
        f"{ROOT}/auth/oauth2/v1/token",
    )
    assert 0 < claims["exp"] - claims["iat"] < 3600
    assert netsuite.calls[1].request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert netsuite.calls[1].request.headers["Prefer"] == "transient"


def test_a_sandbox_account_has_a_host_with_a_hyphen(connect: Connect) -> None:
    with responses.RequestsMock() as mock:
        host = "https://1234567-sb1.suitetalk.api.netsuite.com"
        mock.post(f"{host}/services/rest/auth/oauth2/v1/token", json={"access_token": "t"})
        mock.post(f"{host}/services/rest/query/v1/suiteql", json={"items": []})
        list(connect(account="1234567_SB1").billing(None))


def test_a_key_that_is_none_is_a_setting(connect: Connect) -> None:
    for changes in ({"private_key": "none"}, {"algorithm": "PS256"}):
        with pytest.raises(Misconfigured) as caught:
            list(connect(**changes).billing(None))
        assert caught.value.code == "PRIVATE-KEY"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"error": "invalid_client"}, AuthFailed),
        (400, {"error": "invalid_grant"}, AuthFailed),
        (404, {}, Misconfigured),
        (503, {}, RetryLater),
        (200, {"access_token": ""}, RetryLater),
        (200, {"access_token": "a\nb"}, RetryLater),
        (200, [], RetryLater),
    ],
)
def test_a_refused_log_in_is_told(connect: Connect, status: int, body: Any, expected: type[ConnectorError]) -> None:
    with responses.RequestsMock() as mock:
        mock.post(f"{ROOT}/auth/oauth2/v1/token", status=status, json=body)
        with pytest.raises(expected):
            list(connect().billing(None))


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "CONCURRENCY_LIMIT_EXCEEDED", QuotaExhausted),
        (400, "EXCEEDED_REQUEST_LIMIT", QuotaExhausted),
        (403, "INSUFFICIENT_PERMISSION", PermissionMissing),
        (400, "INVALID_PARAMETER", SchemaDrift),
        (400, "INVALID_REQUEST", Misconfigured),
        (400, "USER_ERROR", RetryLater),
        (400, "NEVER_HEARD_OF", RetryLater),
        (500, "UNEXPECTED_ERROR", RetryLater),
        (302, "", Misconfigured),
    ],
)
def test_a_refused_query_means(
    netsuite: responses.RequestsMock, connect: Connect, status: int, code: str, expected: type[ConnectorError]
) -> None:
    netsuite.post(QUERY, status=status, json=refusal(code, "Field 'colour' for record 'x' was not found."))
    with pytest.raises(expected) as caught:
        list(connect().billing(None))
    assert type(caught.value) is expected
    if isinstance(caught.value, SchemaDrift):
        assert caught.value.field == "colour"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "", QuotaExhausted),
        (400, "NEVER_HEARD_OF", OutcomeUnknown),
        (500, "USER_ERROR", OutcomeUnknown),
        (503, "", OutcomeUnknown),
        (302, "", OutcomeUnknown),
        (400, "RCRD_HAS_BEEN_CHANGED", RetryLater),
        (403, "INSUFFICIENT_PERMISSION", PermissionMissing),
    ],
)
def test_a_refused_save_means(
    netsuite: responses.RequestsMock, connect: Connect, status: int, code: str, expected: type[ConnectorError]
) -> None:
    netsuite.get(f"{ROOT}/record/v1/customer/eid:A%26B-1", status=404, json=refusal("NONEXISTENT_ID"))
    netsuite.put(f"{ROOT}/record/v1/customer/eid:A%26B-1", status=status, json=refusal(code))
    with pytest.raises(expected) as caught:
        connect().push("Customer", Operation.CREATE, [PushItem("k", {"code": "A&B-1", "name": "A"})])
    assert type(caught.value) is expected


def test_several_reasons_are_all_told_and_one_unknown_makes_it_doubtful(
    netsuite: responses.RequestsMock, connect: Connect
) -> None:
    known = refusal("USER_ERROR", "Please enter a class.", "class")
    known["o:errorDetails"].append({"detail": "Please enter a location.", "o:errorCode": "USER_ERROR"})
    address = re.compile(f"{ROOT}/record/v1/customer/.*")
    netsuite.get(address, status=404, json=refusal("NONEXISTENT_ID"))
    netsuite.put(address, status=400, json=known)
    item = PushItem("k", {"code": "A", "name": "A"})
    (result,) = connect().push("Customer", Operation.CREATE, [item])
    assert (result.code, result.reason, result.path) == ("USER_ERROR", "validation", "class")
    assert "Please enter a class. | Please enter a location." in (result.message or "")
    known["o:errorDetails"].append({"detail": "?", "o:errorCode": "NEVER_HEARD_OF"})
    netsuite.upsert("PUT", address, status=400, json=known)
    with pytest.raises(OutcomeUnknown):
        connect().push("Customer", Operation.CREATE, [item])


def test_every_code_of_the_table_has_a_fate_and_two_sentences() -> None:
    fates = {"quota", "expired", "permission", "absent", "misconfigured", "rejected", "retry", "drift"}
    for code, facts in error_codes().items():
        assert facts.fate in fates, code
        assert facts.happened.endswith("."), code
        assert facts.fix.endswith("."), code


def test_vendor_words_never_show_a_token() -> None:
    assert one_line(f"Bearer {TOKEN}\nand eyJa.b.c\x00") == "[token] and [token]\ufffd"

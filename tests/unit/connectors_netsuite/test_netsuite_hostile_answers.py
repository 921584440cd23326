"""Whatever comes back, the connector answers with results that fit or with one of its own errors."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.base import Operation, Outcome, PushItem
from connectors.errors import ConnectorError, Misconfigured, OutcomeUnknown, RetryLater
from connectors.netsuite import NetSuiteConnector

from .conftest import ROOT, refusal, settings

DOCUMENT = {
    "reference": "DOC-1",
    "party": {"code": "A", "name": "A"},
    "currency": "USD",
    "date": "2026-11-01",
    "total": Decimal("1.00"),
    "lines": [{"description": "L", "amount": Decimal("1.00")}],
}
ITEM = PushItem("k", DOCUMENT)
GOOD = {
    "id": "7",
    "externalId": "DOC-1",
    "tranId": "INV1",
    "entity": {"id": "5"},
    "currency": {"id": "5"},
    "tranDate": "2026-11-01",
    "total": Decimal("1.00"),
    "taxTotal": 0,
    "status": {"id": "A", "refName": "Open"},
    "item": {"items": [{"amount": Decimal("1.00")}]},
}
WORDS = [
    "items",
    "id",
    "total",
    "o:errorDetails",
    "o:errorCode",
    "detail",
    "item",
    "entity",
    "hasMore",
    "status",
    "changed",
]
VALUES = ["5", "USER_ERROR", "NONEXISTENT_ID", "2026-11-01 00:00:00", "CustInvc", "1.00", "x" * 50]
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(VALUES), st.text(max_size=5)
)
hostile = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
changed = st.builds(
    lambda name, value: {**GOOD, name: value}, st.sampled_from(sorted(GOOD)), hostile | st.just(Decimal("1e9"))
)
quick = hypothesis_settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def dumped(body: Any) -> str:
    return json.dumps(body, default=float)


def tried(mock: responses.RequestsMock, status: int, body: Any, **more: Any) -> tuple[Any, ConnectorError | None]:
    """A posting whose look-up finds `body`, or which of our errors; any other exception fails the test."""
    query = {"items": [{"id": "5", "externalid": "A", "isinactive": "F"}], "count": 1, "hasMore": False}
    mock.upsert("POST", f"{ROOT}/query/v1/suiteql", json=query)
    mock.upsert("GET", re.compile(f"{ROOT}/record/v1/invoice/.*"), status=status, body=dumped(body), **more)
    mock.upsert("GET", re.compile(f"{ROOT}/record/v1/customer/.*"), json={"id": "5", "companyName": "A"})
    mock.upsert("PUT", re.compile(f"{ROOT}/record/v1/.*"), status=status, body=dumped(body), **more)
    mock.upsert("PATCH", re.compile(f"{ROOT}/record/v1/.*"), status=status, body=dumped(body), **more)
    connector = NetSuiteConnector(settings())
    try:
        return connector.push("Invoice", Operation.CREATE, [ITEM]), None
    except ConnectorError as error:
        return None, error
    finally:
        connector.close()


@quick
@given(body=hostile | changed, status=st.sampled_from([200, 200, 200, 204, 302, 400, 403, 404, 429, 500, 503]))
def test_a_posting_ends_in_a_fitting_result_or_in_one_of_our_errors(
    netsuite: responses.RequestsMock, body: Any, status: int
) -> None:
    results, error = tried(netsuite, status, body)
    if error is not None:
        assert error.code
        assert len(error.message) < 2000
        return
    (result,) = results
    assert result.key == "k"
    if result.outcome is Outcome.CREATED:
        assert status == 200
        assert Decimal(str(body["total"])) == 1
        assert result.vendor_id == body["id"]


def test_the_good_reply_of_this_file_is_taken(netsuite: responses.RequestsMock) -> None:
    results, error = tried(netsuite, 200, GOOD)
    assert error is None
    assert results[0].outcome is Outcome.CREATED


def test_a_redirect_is_told_as_one_and_never_followed(netsuite: responses.RequestsMock) -> None:
    away = {"Location": "https://elsewhere.example/"}
    netsuite.post(f"{ROOT}/query/v1/suiteql", status=302, body=b"moved", headers=away)
    connector = NetSuiteConnector(settings())
    with pytest.raises(Misconfigured) as caught:
        list(connector.census("Invoice"))
    assert caught.value.code == "REDIRECT"
    netsuite.put(re.compile(f"{ROOT}/record/v1/.*"), status=302, body=b"moved", headers=away)
    netsuite.get(re.compile(f"{ROOT}/record/v1/.*"), status=404, json=refusal("NONEXISTENT_ID", status=404))
    with pytest.raises(OutcomeUnknown) as doubtful:
        connector.push("Customer", Operation.CREATE, [PushItem("k", {"code": "A", "name": "A"})])
    assert doubtful.value.code == "HTTP-302"
    connector.close()
    assert not any("elsewhere" in str(call.request.url) for call in netsuite.calls)


def test_a_page_that_is_short_though_there_is_more_ends_no_count(netsuite: responses.RequestsMock) -> None:
    page = {"items": [{"id": "5", "externalid": "A"}], "count": 1, "hasMore": True, "totalResults": 9}
    netsuite.post(f"{ROOT}/query/v1/suiteql", json=page)
    connector = NetSuiteConnector(settings(page_size=5))
    with pytest.raises(RetryLater):
        list(connector.census("Invoice"))
    connector.close()


@pytest.mark.parametrize("more", [{"totalResults": 2}, {"hasMore": True}])
def test_a_document_without_all_its_lines_is_compared_with_nothing(
    netsuite: responses.RequestsMock, more: dict[str, Any]
) -> None:
    results, error = tried(netsuite, 200, {**GOOD, "item": {**GOOD["item"], **more}})  # type: ignore[dict-item]
    assert (results, type(error)) == (None, RetryLater)


@quick
@given(body=hostile, status=st.sampled_from([200, 200, 200, 302, 400, 404, 500]))
@pytest.mark.parametrize("act", ["billing", "fetch", "find", "census", "check"])
def test_a_read_ends_in_records_or_in_one_of_our_errors(
    netsuite: responses.RequestsMock, act: str, body: Any, status: int
) -> None:
    rows = {"items": [body] if isinstance(body, dict) else body}
    netsuite.upsert("POST", f"{ROOT}/query/v1/suiteql", status=status, body=dumped(rows if status == 200 else body))
    netsuite.upsert("GET", re.compile(f"{ROOT}/record/v1/.*"), status=status, body=dumped(body))
    connector = NetSuiteConnector(settings(page_size=5))
    acts: dict[str, Any] = {
        "billing": lambda: list(connector.billing(None)),
        "fetch": lambda: connector.fetch("Invoice", ["number"], ["5"]),
        "find": lambda: connector.find("Invoice", [ITEM]),
        "census": lambda: list(connector.census("Invoice")),
        "check": lambda: connector.check({"Invoice": ["number"]}),
    }
    raised: ConnectorError | None = None
    try:
        acts[act]()
    except ConnectorError as error:
        raised = error
    finally:
        connector.close()
    assert raised is None or (raised.code and not isinstance(raised, OutcomeUnknown))


@pytest.mark.parametrize(
    "body",
    [
        b'{"items": ' + b"[" * 100_000,
        b'{"items": [' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"]}",
        b'{"items": [{"id": ' + b"9" * 5000 + b"}]}",
        b'{"items": [{"id": 1e999999}]}',
        b'{"items": [{"id": NaN}]}',
        b"\xff\xfe",
        b"",
        b"<html>",
    ],
    ids=["deep", "nested", "digits", "exponent", "nan", "bytes", "empty", "html"],
)
def test_bodies_made_to_hurt_are_bounded(netsuite: responses.RequestsMock, body: bytes) -> None:
    netsuite.upsert("POST", f"{ROOT}/query/v1/suiteql", body=body)
    connector = NetSuiteConnector(settings())
    with pytest.raises(ConnectorError) as caught:
        list(connector.billing(None))
    assert len(caught.value.message) < 500
    connector.close()


def test_a_reply_beyond_the_bound_is_not_read(netsuite: responses.RequestsMock) -> None:
    netsuite.upsert("POST", f"{ROOT}/query/v1/suiteql", body=b" " * 70_000)
    connector = NetSuiteConnector(settings(max_reply_bytes=65_536))
    with pytest.raises(ConnectorError) as caught:
        list(connector.billing(None))
    assert caught.value.code == "REPLY-TOO-LARGE"
    connector.close()


@pytest.mark.parametrize(
    "location", ["", "https://evil.example/x", f"{ROOT}/record/v1/vendorbill/7", f"{ROOT}/record/v1/customer/x"]
)
def test_a_save_that_names_no_record_of_ours_is_in_doubt(netsuite: responses.RequestsMock, location: str) -> None:
    missing = {"status": 404, "o:errorDetails": [{"detail": "d", "o:errorCode": "NONEXISTENT_ID"}]}
    netsuite.upsert("GET", re.compile(f"{ROOT}/record/v1/customer/.*"), status=404, json=missing)
    netsuite.upsert("PUT", re.compile(f"{ROOT}/record/v1/customer/.*"), status=204, headers={"Location": location})
    connector = NetSuiteConnector(settings())
    with pytest.raises(OutcomeUnknown):
        connector.push("Customer", Operation.CREATE, [PushItem("k", {"code": "A", "name": "A"})])
    connector.close()

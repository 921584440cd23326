"""Requests nobody should send: the sandbox answers in the vendor's form and never stumbles."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300)
    | st.sampled_from(["1_000", "١", "1e999", "0015e00000zzzzz", "2019-13-01", "\u0000", "\ud7ff", "#N/A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    [
        "Name",
        "Id",
        "id",
        "StageName",
        "CloseDate",
        "Amount",
        "AccountId",
        "Account",
        "IsPrivate",
        "Hub_Id__c",
        "Probability",
        "Hub_Last_Sync__c",
        "OwnerId",
        "CurrencyIsoCode",
        "ForecastCategoryName",
        "Agency__r",
        "attributes",
        "Pricebook2Id",
    ]
)
_FIELDS = st.dictionaries(_NAMES | st.text(max_size=10), _VALUES, max_size=8)
_BASE = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
_SETTINGS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def _is_vendor_error(body: Any) -> bool:
    return isinstance(body, list) and all(set(error) >= {"message", "errorCode"} for error in body)


@_SETTINGS
@given(fields=_FIELDS)
def test_any_record_is_saved_or_refused_in_form(api: Any, fields: dict[str, Any]) -> None:
    reply = api.raw("POST", "sobjects/Opportunity", {**_BASE, **fields})
    assert reply.status_code in (201, 400, 404)
    assert reply.status_code == 201 or _is_vendor_error(reply.get_json())


@_SETTINGS
@given(records=st.lists(_FIELDS, max_size=4), key=st.sampled_from(["", "/Opportunity/Hub_Id__c", "/Opportunity/Id"]))
def test_any_collection_is_answered_record_by_record(api: Any, records: list[dict[str, Any]], key: str) -> None:
    typed = [{**_BASE, **record, "attributes": {"type": "Opportunity"}} for record in records]
    reply = api.raw("PATCH", f"composite/sobjects{key}", {"records": typed})
    assert reply.status_code == 200, reply.get_data(as_text=True)
    answers = reply.get_json()
    assert len(answers) == len(records)
    assert all(answer["success"] is not bool(answer["errors"]) for answer in answers)


@_SETTINGS
@given(
    body=_VALUES,
    path=st.sampled_from(["composite", "composite/sobjects", "jobs/ingest", "jobs/query", "sobjects/Account"]),
)
def test_any_body_is_answered_in_form(api: Any, body: Any, path: str) -> None:
    reply = api.raw("POST", path, {"records": body, "compositeRequest": body, "query": body, "object": body})
    assert reply.status_code in (200, 201, 400)
    assert reply.status_code < 300 or _is_vendor_error(reply.get_json())


_TOKENS = st.sampled_from(
    [
        "SELECT",
        "Id",
        "FROM",
        "Opportunity",
        "WHERE",
        "Name",
        "=",
        "'x'",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        ",",
        "IN",
        "LIKE",
        "null",
        "Account.Name",
        "ORDER BY",
        "LIMIT",
        "5",
        "GROUP BY",
        "COUNT(Id)",
        "TODAY",
        "2019-01-01",
        "Amount",
        ">",
        "OFFSET",
        "'",
    ]
)


@_SETTINGS
@given(words=st.lists(_TOKENS, max_size=14))
def test_any_statement_is_answered_in_form(api: Any, words: list[str]) -> None:
    soql = "SELECT Id FROM Opportunity WHERE " + " ".join(words) if len(words) % 2 else " ".join(words)
    reply = api.raw("GET", "query", query_string={"q": soql})
    assert reply.status_code in (200, 400, 501)
    assert reply.status_code == 200 or _is_vendor_error(reply.get_json())


def test_a_deeply_nested_statement_is_refused(api: Any) -> None:
    soql = f"SELECT Id FROM Account WHERE {'(' * 3000}Name = 'x'{')' * 3000}"
    reply = api.raw("GET", "query", query_string={"q": soql})
    assert reply.status_code in (200, 400)


@pytest.mark.parametrize("key", ["a/b", "50 %", "Ünï🦊", "a+b", "x?y=z", "#1"])
def test_an_external_id_may_hold_any_character(api: Any, key: str) -> None:
    path = f"sobjects/Opportunity/Hub_Id__c/{quote(key, safe='')}"
    assert api("PATCH", path, _BASE)["created"]
    assert api("GET", path)["Hub_Id__c"] == key
    assert not api("PATCH", path, {"NextStep": "x"})["created"]

"""Recorded exchanges of a real org, replayed: the same requests must get the same answers, ids and clock apart.

An id in a recorded answer stands for the id our answer has in the same place; later requests are sent with ours. Left
out, because the sandbox has nothing like them: Bulk API 1 (SOAP-style XML), `limits/recordCount` values (the vendor's
are estimates of minutes ago), objects that are not modelled (Event, Lead).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.salesforce import serve
from sandbox.serving import RunningServer

Recordings = Callable[[str], Any]
_ID = re.compile(r"\b(?:001|003|006)[0-9A-Za-z]{15}\b")
_VERSION = re.compile(r"/services/data/v(?:xx|\d\d)\.0")
REST_UPSERTS = (
    "TestUpsert.test_simple_upsert__rest.yaml",
    "TestUpsert.test_upsert__rest.yaml",
    "TestUpsert.test_upsert_complex_external_id_field__rest.yaml",
    "TestUpsert.test_upsert_complex_external_id_field_rest__duplicate_error.yaml",
)


@pytest.fixture
def plain_org(secret: str) -> Iterator[RunningServer]:
    """A single-currency org without custom fields, as the recorded one is for the objects we replay."""
    now = datetime(2022, 3, 17, tzinfo=UTC)
    with serve(now=now, running=False, client_secret=secret, multi_currency=False, template=None) as server:
        yield server


@pytest.fixture
def session(plain_org: RunningServer, secret: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        form = {"grant_type": "client_credentials", "client_id": "orderhub", "client_secret": secret}
        token = session.post(f"{plain_org.url}/services/oauth2/token", data=form, timeout=60).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        session.headers["Content-Type"] = "application/json"
        yield session


class Replay:
    """Sends recorded requests and compares the answers, learning which of our ids stands for which recorded one."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = url
        self._session = session
        self.ids: dict[str, str] = {}
        self.compared = 0

    def exchange(self, request: dict[str, Any], response: dict[str, Any]) -> None:
        path = re.sub(r"^https://[^/]+", "", request["uri"])
        body = None if request["body"] is None else self._ours(request["body"])
        reply = self._session.request(
            request["method"], self._url + self._ours(path), data=None if body is None else body.encode(), timeout=60
        )
        context = f"{request['method']} {path}"
        assert reply.status_code == response["status"]["code"], f"{context}: {reply.text}"
        recorded, ours = json.loads(response["body"]["string"]), reply.json()
        if "/query" in path and "order" not in path.lower():
            self._align(recorded["records"], ours["records"])
        self._compare(recorded, ours, context)
        self.compared += 1

    def _align(self, recorded: list[dict[str, Any]], ours: list[dict[str, Any]]) -> None:
        """A query without ORDER BY has no order: bring both lists in the order of our ids, where they are known."""
        if all(_id_of(row) in self.ids for row in recorded):
            recorded.sort(key=lambda row: self.ids[_id_of(row)])
            ours.sort(key=_id_of)

    def _ours(self, text: str) -> str:
        text = _VERSION.sub("/services/data/v68.0", text)
        return _ID.sub(lambda match: self.ids.get(match.group(), match.group()), text)

    def _compare(self, recorded: Any, ours: Any, where: str) -> None:
        assert type(recorded) is type(ours), f"{where}: recorded {recorded!r}, ours {ours!r}"
        if isinstance(recorded, dict):
            assert list(recorded) == list(ours) or set(recorded) == set(ours), (
                f"{where}: {list(recorded)} != {list(ours)}"
            )
            for name, value in recorded.items():
                self._compare(value, ours[name], f"{where}.{name}")
        elif isinstance(recorded, list):
            assert len(recorded) == len(ours), f"{where}: {len(recorded)} recorded, {len(ours)} ours"
            for index, (value, our_value) in enumerate(zip(recorded, ours, strict=True)):
                self._compare(value, our_value, f"{where}[{index}]")
        elif isinstance(recorded, str):
            recorded, ours = (_VERSION.sub("/v", text) for text in (recorded, ours))
            for known, found in zip(_ID.findall(recorded), _ID.findall(ours), strict=False):
                assert self.ids.setdefault(known, found) == found, f"{where}: {known} is {self.ids[known]}, now {found}"
            assert _ID.sub("ID", recorded) == _ID.sub("ID", ours), where
        else:
            assert recorded == ours, where


@pytest.fixture
def replay(plain_org: RunningServer, session: requests.Session) -> Replay:
    return Replay(plain_org.url, session)


def _id_of(row: dict[str, Any]) -> str:
    return str(row["attributes"]["url"].rpartition("/")[2])


def _left_out(uri: str) -> bool:
    return "/services/async/" in uri or "/limits/recordCount" in uri


def _play(replay: Replay, cassette: Any, left_out: Callable[[str], bool] = _left_out) -> None:
    for step in cassette["interactions"]:
        if "include_file" not in step and not left_out(step["request"]["uri"]):
            replay.exchange(step["request"], step["response"])


@pytest.mark.parametrize("name", REST_UPSERTS)
def test_recorded_upserts_and_queries_get_the_recorded_answers(
    recordings: Recordings, replay: Replay, name: str
) -> None:
    _play(replay, recordings(name))
    assert replay.compared >= 4


def test_recorded_updates_by_collection_get_the_recorded_answers(
    recordings: Recordings, replay: Replay, session: requests.Session, plain_org: RunningServer
) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": f"Account {n}"} for n in (4, 0, 5, 1, 3, 2)]
    path = "/services/data/v68.0/composite/sobjects"
    assert session.post(plain_org.url + path, json={"records": records}, timeout=60).status_code == 200
    _play(replay, recordings("TestUpdatesIntegrationTests.test_updates_task.yaml"))
    assert replay.compared == 2
    rows = requests.get(f"{plain_org.url}/control/state?type=Account", timeout=60).json()
    assert {row["NumberOfEmployees"] for row in rows} == {10000}, "a number sent as text is a number"


@pytest.mark.parametrize(
    ("name", "accounts"),
    [
        ("TestCompositeParallelSalesforce.test_composite_parallel_salesforce.yaml", 0),
        ("TestCompositeParallelSalesforce.test_errors.yaml", 0),
        ("TestCompositeParallelSalesforce.test_reference_ids.yaml", 0),
        ("TestCountSObjects.test_count_sobjects__errors.yaml", 17),
        ("TestCountSObjects.test_count_sobjects_simple.yaml", 17),
    ],
)
def test_recorded_composites_get_the_recorded_answers(
    recordings: Recordings,
    replay: Replay,
    session: requests.Session,
    plain_org: RunningServer,
    name: str,
    accounts: int,
) -> None:
    if accounts:
        records = [{"attributes": {"type": "Account"}, "Name": f"Account {n}"} for n in range(accounts)]
        session.post(f"{plain_org.url}/services/data/v68.0/composite/sobjects", json={"records": records}, timeout=60)
    _play(replay, recordings(name))
    assert replay.compared >= 1


def test_a_conditional_global_describe_in_a_composite_is_304_without_a_body(
    recordings: Recordings, plain_org: RunningServer, session: requests.Session
) -> None:
    step = recordings("ManualEditTestCompositeParallelSalesforce.test_http_headers.yaml")["interactions"][0]
    body = json.loads(_VERSION.sub("/services/data/v68.0", step["request"]["body"]))
    for part in body["compositeRequest"]:
        part["httpHeaders"]["If-Modified-Since"] = "Thu, 31 Mar 2022 21:35:07 GMT"
    ours = session.post(f"{plain_org.url}/services/data/v68.0/composite", json=body, timeout=60).json()
    recorded = json.loads(step["response"]["body"]["string"])
    assert len(ours["compositeResponse"]) == len(recorded["compositeResponse"])
    for answer, expected in zip(ours["compositeResponse"], recorded["compositeResponse"], strict=True):
        assert set(answer) == set(expected)
        assert set(answer["httpHeaders"]) == set(expected["httpHeaders"])
        assert {k: answer[k] for k in ("body", "httpStatusCode", "referenceId")} == {
            k: expected[k] for k in ("body", "httpStatusCode", "referenceId")
        }


def test_recorded_selections_find_what_they_found(
    recordings: Recordings, replay: Replay, session: requests.Session, plain_org: RunningServer
) -> None:
    cassette = recordings("TestSelect.test_select_similarity_strategy.yaml")
    (step,) = (s for s in cassette["interactions"] if "AccountNumber%20FROM" in s.get("request", {}).get("uri", ""))
    records = json.loads(step["response"]["body"]["string"])["records"]
    bare = [{name: value for name, value in record.items() if name != "Id"} for record in records]
    path = "/services/data/v68.0/composite/sobjects"
    answers = session.post(plain_org.url + path, json={"records": bare}, timeout=60).json()
    assert all(answer["success"] for answer in answers), answers
    _play(replay, {"interactions": [step]})
    assert replay.compared == 1


def test_a_planted_difference_is_found(recordings: Recordings, replay: Replay) -> None:
    cassette = recordings("TestCompositeParallelSalesforce.test_errors.yaml")
    cassette["interactions"][0]["response"]["body"]["string"] = cassette["interactions"][0]["response"]["body"][
        "string"
    ].replace("NOT_FOUND", "NOT_THERE")
    with pytest.raises(AssertionError, match="errorCode"):
        _play(replay, cassette)

"""Whatever JSON comes back, the connector answers with results that fit or with one of its own errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Operation, Outcome, PushItem
from connectors.errors import ConnectorError, OutcomeUnknown
from connectors.salesforce import SalesforceConnector, SalesforceSettings
from connectors.salesforce.changes import position, read_changes
from connectors.salesforce.writes import Target, collection_results, prepared

from .conftest import DATA, vendor_id
from .conftest import settings as connection_settings

WORDS = ["id", "success", "errors", "statusCode", "errorCode", "message", "fields", "records", "done", "nextRecordsUrl"]
WORDS += ["Id", "SystemModstamp", "IsDeleted", "name", "type", "state", "version", "DailyApiRequests", "Max", "created"]
VALUES = [vendor_id(0), vendor_id(1), "UNABLE_TO_LOCK_ROW", "2019-09-11T00:00:00.000+0000", "Opportunity", "68.0"]
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
results = st.lists(
    st.fixed_dictionaries(
        {"success": st.booleans()},
        optional={
            "id": st.sampled_from([vendor_id(0), vendor_id(1), vendor_id(0)[:15], None]),
            "errors": st.just([])
            | st.lists(st.fixed_dictionaries({"statusCode": st.sampled_from(["UNABLE_TO_LOCK_ROW", "X"])}), max_size=2),
        },
    ),
    min_size=2,
    max_size=2,
)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
ITEMS = [PushItem(f"k{n}", {"Name": "n"}, vendor_id=vendor_id(n)) for n in range(2)]
Act = Callable[[SalesforceConnector], object]


def answer_with(mock: responses.RequestsMock, status: int, body: object) -> None:
    for method, url in (("PATCH", f"{DATA}/composite/sobjects"), ("GET", f"{DATA}/query/")):
        mock.upsert(method, url, status=status, body=json.dumps(body), content_type="application/json")
    for path in ("queryAll/", "limits/", "sobjects/Opportunity/describe"):
        mock.upsert("GET", f"{DATA}/{path}", status=status, body=json.dumps(body), content_type="application/json")


def tried(values: SalesforceSettings, act: Act) -> tuple[Any, ConnectorError | None]:
    """What an act brought, or which of our errors; any other exception fails the test."""
    connector = SalesforceConnector(values)
    try:
        return act(connector), None
    except ConnectorError as error:
        return None, error
    finally:
        connector.close()


@quick
@given(body=hostile | results, status=st.sampled_from([200, 200, 200, 201, 300, 304, 400, 403, 404, 410, 500]))
def test_a_write_ends_in_fitting_results_or_in_one_of_our_errors(
    org: responses.RequestsMock, body: Any, status: int
) -> None:
    answer_with(org, status, body)
    outcome, error = tried(connection_settings(), lambda c: c.push("Opportunity", Operation.UPDATE, ITEMS))
    if error is not None:
        assert status != 200 or isinstance(error, OutcomeUnknown)
        return
    assert [r.key for r in outcome] == ["k0", "k1"]
    for result, item in zip(outcome, ITEMS, strict=True):
        if result.outcome is Outcome.UPDATED:
            assert status == 200
            assert str(result.vendor_id)[:15] == str(item.vendor_id)[:15]


@settings(max_examples=300)
@given(body=results)
def test_a_result_never_belongs_to_another_record(body: Any) -> None:
    target = Target("Opportunity", Operation.UPDATE)
    rows, _ = prepared(target, ITEMS)
    try:
        outcome = collection_results(target, rows, body, pause=1.0)
    except OutcomeUnknown:
        return
    for result, row, entry in zip(outcome, rows, body, strict=True):
        assert (result.outcome is Outcome.UPDATED) is entry["success"]
        assert "id" not in entry or entry["id"] is None or entry["id"][:15] == row.key[:15]


@quick
@given(body=hostile, status=st.sampled_from([200, 200, 200, 304, 400, 404, 500]))
@pytest.mark.parametrize(
    "act",
    [
        lambda c: list(c.read("Opportunity", ["Name"], None)),
        lambda c: c.fetch("Opportunity", ["Name"], [vendor_id(0)]),
        lambda c: c.observe("Opportunity", [vendor_id(0)]),
        lambda c: c.find("Opportunity", ITEMS),
        lambda c: c.check({"Opportunity": ["Name"]}),
    ],
    ids=["read", "fetch", "observe", "find", "check"],
)
def test_a_read_ends_in_records_or_in_one_of_our_errors(
    org: responses.RequestsMock, act: Act, body: Any, status: int
) -> None:
    answer_with(org, status, body)
    _, error = tried(connection_settings(page_size=5), act)
    assert error is None or (error.code and error.message and not isinstance(error, OutcomeUnknown))


@settings(max_examples=150)
@given(
    moments=st.lists(st.integers(0, 20), max_size=40),
    page_size=st.integers(1, 7),
    overlap=st.integers(0, 5),
    stop_after=st.integers(1, 10),
)
def test_reading_in_any_pages_with_any_crash_brings_every_record(
    moments: list[int], page_size: int, overlap: int, stop_after: int
) -> None:
    """A crash after any page, taken up from the last saved cursor, loses nothing and moves no cursor back."""
    import re
    from datetime import UTC, datetime, timedelta

    begin = datetime(2019, 1, 1, tzinfo=UTC)
    stamps = {vendor_id(n): begin + timedelta(seconds=s) for n, s in enumerate(moments)}
    order = sorted(stamps, key=lambda i: (stamps[i], i))

    def ask(soql: str) -> list[Any]:
        after = re.search(r"= (\S+) AND Id > '(\w+)'", soql)
        since = re.search(r">= (\S+)", soql)
        if after:
            found = [i for i in order if (stamps[i], i) > (datetime.fromisoformat(after[1]), after[2])]
        else:
            assert since
            found = [i for i in order if stamps[i] >= datetime.fromisoformat(since[1])]
        rows = [{"Id": i, "SystemModstamp": stamps[i].isoformat(), "IsDeleted": False} for i in found]
        return list(rows[:page_size])

    seen: set[str] = set()
    cursor: str | None = None
    for attempt in range(2):
        pages = read_changes(ask, "Opportunity", [], cursor, overlap=timedelta(seconds=overlap), page_size=page_size)
        for number, page in enumerate(pages):
            seen |= {r.native_id for r in page.records}
            before, now = position(cursor), position(page.cursor)
            assert before is None or (now is not None and now.modified_at >= before.modified_at)
            cursor = page.cursor
            if attempt == 0 and number + 1 == stop_after:
                break
    assert seen == set(stamps)

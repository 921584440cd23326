"""Reading: keyset pages, deletes, hostile replies, look-ups."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from connectors.base import Page, PushItem
from connectors.errors import Misconfigured, RetryLater, SchemaDrift
from connectors.salesforce import SalesforceConnector

from .conftest import DATA, refusal, vendor_id

Connect = Callable[..., SalesforceConnector]
START = datetime(2019, 9, 11, 17, 41, 8, tzinfo=UTC)
_SECOND = re.compile(r"SystemModstamp >= (\S+)")
_AFTER = re.compile(r"\(SystemModstamp = (\S+) AND Id > '(\w+)'\) OR SystemModstamp > (\S+?)\)")


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def row(number: int, moment: datetime, **more: Any) -> dict[str, Any]:
    return {
        "attributes": {"type": "Opportunity", "url": "/x"},
        "Id": vendor_id(number),
        "SystemModstamp": stamp(moment),
        "IsDeleted": False,
        "Name": f"n{number}",
        **more,
    }


class Rows:
    """A tiny org that answers the connector's two conditions exactly, so a wrong condition loses or repeats rows."""

    def __init__(self, rows: list[dict[str, Any]], slice_size: int = 10_000) -> None:
        self.rows = sorted(rows, key=lambda r: (r["SystemModstamp"], r["Id"]))
        self.queries: list[str] = []
        self.slice_size = slice_size
        self.rest: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        parts = urlsplit(str(request.url))
        if parts.path.rpartition("/")[2] in self.rest:
            return self._answer(self.rest[parts.path.rpartition("/")[2]])
        soql = parse_qs(parts.query)["q"][0]
        self.queries.append(soql)
        limit = int(soql.rpartition("LIMIT ")[2])
        if after := _AFTER.search(soql):
            assert after[1] == after[3]
            moment = stamp(datetime.fromisoformat(after[1]))
            found = [r for r in self.rows if (r["SystemModstamp"], r["Id"]) > (moment, after[2])]
        else:
            since = _SECOND.search(soql)
            assert since, soql
            found = [r for r in self.rows if r["SystemModstamp"] >= stamp(datetime.fromisoformat(since[1]))]
        return self._answer(found[:limit])

    def _answer(self, found: list[dict[str, Any]]) -> tuple[int, dict[str, str], str]:
        now, later = found[: self.slice_size], found[self.slice_size :]
        result: dict[str, Any] = {"done": not later, "totalSize": len(found), "records": now}
        if later:
            locator = f"01g000000000001-{len(later)}"
            self.rest[locator] = later
            result["nextRecordsUrl"] = f"/services/data/v68.0/queryAll/{locator}"
        return 200, {}, json.dumps(result)


def serve(org: responses.RequestsMock, rows: Rows) -> Rows:
    org.add_callback("GET", re.compile(re.escape(f"{DATA}/queryAll/") + ".*"), callback=rows)
    return rows


def ids(pages: list[Page]) -> list[str]:
    return [r.native_id for page in pages for r in page.records]


def test_thousands_that_share_one_moment_are_all_read_once(org: responses.RequestsMock, connect: Connect) -> None:
    rows = serve(org, Rows([row(n, START) for n in range(5_000)]))
    pages = list(connect().read("Opportunity", ["Name"], None))
    assert ids(pages) == [vendor_id(n) for n in range(5_000)]
    assert [len(p.records) for p in pages] == [2_000, 2_000, 1_000]
    assert [p.last for p in pages] == [False, False, True]
    assert len(rows.queries) == 3
    assert rows.queries[0].startswith("SELECT Id, SystemModstamp, IsDeleted, Name FROM Opportunity WHERE")


def test_milliseconds_are_kept_so_that_no_page_repeats(org: responses.RequestsMock, connect: Connect) -> None:
    moments = [START + timedelta(milliseconds=n * 7) for n in range(500)]
    serve(org, Rows([row(n, m) for n, m in enumerate(moments)]))
    pages = list(connect(page_size=100).read("Opportunity", ["Name"], None))
    assert len(ids(pages)) == len(set(ids(pages))) == 500


def test_a_full_last_page_is_followed_by_an_empty_one(org: responses.RequestsMock, connect: Connect) -> None:
    serve(org, Rows([row(n, START) for n in range(200)]))
    pages = list(connect(page_size=200).read("Opportunity", ["Name"], None))
    assert [(len(p.records), p.last) for p in pages] == [(200, False), (0, True)]
    assert pages[0].cursor == pages[1].cursor


def test_a_result_cut_by_the_vendor_is_one_page(org: responses.RequestsMock, connect: Connect) -> None:
    serve(org, Rows([row(n, START) for n in range(450)], slice_size=200))
    pages = list(connect().read("Opportunity", ["Name"], None))
    assert [len(p.records) for p in pages] == [450]


def test_a_read_starts_an_overlap_behind_its_cursor_and_the_cursor_never_goes_back(
    org: responses.RequestsMock, connect: Connect
) -> None:
    rows = serve(org, Rows([row(n, START + timedelta(seconds=n)) for n in range(100)]))
    connector = connect(page_size=10, overlap_seconds=30)
    cursor = list(connector.read("Opportunity", ["Name"], None))[-1].cursor
    rows.rows.append(row(500, START + timedelta(seconds=80)))  # committed late, behind the cursor
    rows.rows.sort(key=lambda r: (r["SystemModstamp"], r["Id"]))
    pages = list(connector.read("Opportunity", ["Name"], cursor))
    assert vendor_id(500) in ids(pages)
    assert ids(pages)[0] == vendor_id(69)
    assert {p.cursor for p in pages} == {cursor}


def test_an_empty_stream_has_a_cursor_that_can_be_given_back(org: responses.RequestsMock, connect: Connect) -> None:
    serve(org, Rows([]))
    connector = connect()
    (page,) = connector.read("Opportunity", ["Name"], None)
    assert (list(page.records), page.last) == ([], True)
    (again,) = connector.read("Opportunity", ["Name"], page.cursor)
    assert again.cursor == page.cursor


def test_a_record_holds_what_was_asked_and_not_its_stamp(org: responses.RequestsMock, connect: Connect) -> None:
    serve(org, Rows([row(1, START, Amount=10.25, Account={"attributes": {}, "Name": "A"})]))
    (page,) = connect().read("Opportunity", ["Name", "Amount", "Account.Name"], None)
    (record,) = page.records
    assert record.modified_at == START
    assert record.native == {"Id": vendor_id(1), "Name": "n1", "Amount": Decimal("10.25"), "Account": {"Name": "A"}}


def test_deleted_and_merged_accounts_are_told_with_their_winner(org: responses.RequestsMock, connect: Connect) -> None:
    rows = serve(org, Rows([row(1, START, IsDeleted=True, MasterRecordId=vendor_id(2, "001"))]))
    (page,) = connect().read("Account", ["Name"], None)
    assert page.records[0].deleted
    assert page.records[0].native["MasterRecordId"] == vendor_id(2, "001")
    assert "MasterRecordId" in rows.queries[0]


@pytest.mark.parametrize(
    "found",
    [
        [row(1, START), row(1, START)],
        [row(1, START), row(2, START - timedelta(seconds=1))],
        [{**row(1, START), "Id": 5}],
        [{**row(1, START), "IsDeleted": None}],
        [{**row(1, START), "SystemModstamp": "yesterday"}],
        [{**row(1, START), "SystemModstamp": "2019-09-11T17:41:08"}],
        [row(n, START) for n in range(11)],
        ["row"],
    ],
)
def test_a_page_that_cannot_be_is_not_taken_over(
    org: responses.RequestsMock, connect: Connect, found: list[Any]
) -> None:
    org.get(f"{DATA}/queryAll/", json={"done": True, "records": found})
    with pytest.raises(RetryLater):
        list(connect(page_size=10).read("Opportunity", ["Name"], None))


@pytest.mark.parametrize(
    "answer",
    [
        {"records": []},
        {"done": None, "records": []},
        {"done": "false", "records": []},
        {"done": True, "totalSize": 2, "records": []},
        {"done": True, "totalSize": 2, "records": [row(1, START)]},
    ],
)
def test_rows_that_may_not_be_all_are_not_taken_for_all(
    org: responses.RequestsMock, connect: Connect, answer: dict[str, Any]
) -> None:
    org.get(re.compile(re.escape(DATA) + ".*"), json=answer)
    connector = connect(page_size=10)
    with pytest.raises(RetryLater):
        list(connector.read("Opportunity", ["Name"], None))
    with pytest.raises(RetryLater):
        connector.fetch("Opportunity", ["Name"], [vendor_id(1), vendor_id(2)])


@pytest.mark.parametrize("url", ["https://evil.example/x", "//evil.example", None, "/services/data/v68.0/queryAll/x"])
def test_a_next_page_elsewhere_or_without_end_is_not_followed(
    org: responses.RequestsMock, connect: Connect, url: str | None
) -> None:
    org.get(re.compile(re.escape(DATA) + ".*"), json={"done": False, "nextRecordsUrl": url, "records": [row(1, START)]})
    with pytest.raises(RetryLater):
        list(connect(page_size=10).read("Opportunity", ["Name"], None))
    assert len(org.calls) <= 12


@pytest.mark.parametrize("cursor", ["", "x", "[]", '{"t": 1, "id": "x"}', '{"t": "2019-09-11T00:00:00Z"}', "null"])
def test_a_cursor_that_is_none_is_a_clear_error(connect: Connect, cursor: str) -> None:
    with pytest.raises(Misconfigured, match="cursor"):
        list(connect().read("Opportunity", ["Name"], cursor))


@pytest.mark.parametrize("name", ["Name FROM User", "Name,Id", "", "a.", "(SELECT Id FROM Contacts)", "1x", "a" * 90])
def test_a_field_name_cannot_smuggle_soql(connect: Connect, name: str) -> None:
    with pytest.raises(SchemaDrift):
        list(connect().read("Opportunity", [name], None))


def test_a_query_too_long_for_an_address_is_a_clear_error(connect: Connect) -> None:
    with pytest.raises(Misconfigured, match="fewer fields"):
        list(connect().read("Opportunity", [f"A_Rather_Long_Name_Of_A_Field_{n}__c" for n in range(500)], None))


def test_an_unknown_stream_is_refused(connect: Connect) -> None:
    with pytest.raises(Misconfigured, match="does not handle"):
        list(connect().read("User", ["Name"], None))


def test_a_hidden_field_is_named(org: responses.RequestsMock, connect: Connect) -> None:
    words = "SELECT Id, Gone__c FROM Opportunity\n ^\nERROR at Row:1:Column:12\nNo such column 'Gone__c' on entity 'Opportunity'."
    org.get(f"{DATA}/queryAll/", status=400, json=refusal("INVALID_FIELD", words))
    with pytest.raises(SchemaDrift) as caught:
        list(connect().read("Opportunity", ["Gone__c"], None))
    assert caught.value.field == "Gone__c"


def test_a_single_currency_org_is_not_asked_for_a_field_it_lacks(org: responses.RequestsMock, connect: Connect) -> None:
    rows = serve(org, Rows([row(1, START)]))
    connector = connect(multi_currency=False, currency="EUR")
    (page,) = connector.read("Opportunity", ["Name", "CurrencyIsoCode"], None)
    assert page.records[0].native["CurrencyIsoCode"] == "EUR"
    assert "CurrencyIsoCode" not in rows.queries[0]


def test_fetch_asks_in_chunks_and_leaves_out_what_is_unknown(org: responses.RequestsMock, connect: Connect) -> None:
    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        assert len(str(request.url)) < 16_000
        soql = parse_qs(urlsplit(str(request.url)).query)["q"][0]
        asked = re.findall(r"'(\w+)'", soql)
        assert len(asked) <= 200
        rows = [{"Id": i, "Name": "n"} for i in asked if i != vendor_id(7)]
        return 200, {}, json.dumps({"done": True, "records": rows})

    org.add_callback("GET", f"{DATA}/query/", callback=answer)
    wanted = [vendor_id(n) for n in range(450)]
    found = connect().fetch("Opportunity", ["Name"], [*wanted, "no id' OR Name != '", wanted[3]])
    assert list(found) == [i for i in wanted if i != vendor_id(7)]
    assert found[wanted[0]] == {"Id": wanted[0], "Name": "n"}


def test_find_looks_by_id_or_by_external_id_in_the_order_of_the_items(
    org: responses.RequestsMock, connect: Connect
) -> None:
    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        soql = parse_qs(urlsplit(str(request.url)).query)["q"][0]
        rows = (
            [{"Id": vendor_id(1), "Name": "one", "Hub_Id__c": "h1"}]
            if "Id IN ('006" in soql.partition("WHERE")[2][:15]
            else [{"Id": vendor_id(2), "Name": "two", "Hub_Id__c": "It's"}]
        )
        return 200, {}, json.dumps({"done": True, "records": rows})

    org.add_callback("GET", f"{DATA}/query/", callback=answer)
    connector = connect(external_id_fields={"Opportunity": "Hub_Id__c"})
    found = connector.find(
        "Opportunity",
        [
            PushItem("a", {"Name": "x", "Hub_Id__c": "it's"}),
            PushItem("b", {"Name": "x", "Hub_Id__c": "absent"}),
            PushItem("c", {"Name": "x"}, vendor_id=vendor_id(1)),
            PushItem("d", {"Name": "x"}, vendor_id=vendor_id(9)),
            PushItem("e", {"Name": "x"}),
        ],
    )
    assert [f and f[0] for f in found] == [vendor_id(2), None, vendor_id(1), None, None]
    assert any(r"\'" in parse_qs(urlsplit(str(c.request.url)).query).get("q", [""])[0] for c in org.calls)

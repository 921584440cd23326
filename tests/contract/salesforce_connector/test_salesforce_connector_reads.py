"""Reading from the simulated org: nothing lost, nothing twice, exact values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Page, ReadsChanges
from connectors.errors import RetryLater, SchemaDrift
from connectors.salesforce import SalesforceConnector
from sandbox.salesforce import serve

from .conftest import SECRET, START, Org

Connect = Callable[..., SalesforceConnector]


def native_ids(pages: list[Page]) -> list[str]:
    return [record.native_id for page in pages for record in page.records]


def test_a_whole_stream_is_read_once_in_pages_though_all_share_one_moment(org: Org, connect: Connect) -> None:
    made = {org.deal(f"D{n}") for n in range(45)}
    connector = connect(page_size=10)
    pages = list(connector.read("Opportunity", ["Name"], None))
    assert sorted(native_ids(pages)) == sorted(made)
    assert {r.modified_at for p in pages for r in p.records} == {START}
    assert [len(p.records) for p in pages] == [10, 10, 10, 10, 5]
    assert org.calls()["queryAll Opportunity"] == 5


def test_each_request_that_salesforce_counts_is_paced_first(org: Org, connect: Connect) -> None:
    for number in range(5):
        org.create("Account", Name=f"Account {number}")
    sfdc, paced = connect(page_size=2), []
    sfdc.pace = lambda: paced.append("request")
    list(sfdc.read("Account", ["Name"], None))
    counted = {name: calls for name, calls in org.calls().items() if name not in {"token", "login"}}
    assert len(paced) == sum(counted.values()) > 2, counted


def test_the_second_read_brings_the_edited_and_the_new_and_what_lies_in_the_overlap(org: Org, connect: Connect) -> None:
    first = org.deal("first")
    org.advance(3600)
    second = org.deal("second")
    connector = connect()
    cursor = list(connector.read("Opportunity", ["Name"], None))[-1].cursor
    org.advance(3600)
    third = org.deal("third")
    org.edit("Opportunity", first, Name="first, edited")
    pages = list(connector.read("Opportunity", ["Name"], cursor))
    assert native_ids(pages) == [second, *sorted([first, third])]
    assert pages[-1].records[-1].modified_at - START == timedelta(hours=2)
    assert native_ids(list(connector.read("Opportunity", ["Name"], pages[-1].cursor))) == sorted([first, third])


def test_values_come_exact_and_references_nested(org: Org, connect: Connect) -> None:
    account = org.create("Account", Name="Zürich 😀")
    deal = org.deal(AccountId=account, Amount=1234567.89, CurrencyIsoCode="EUR", Hub_Delivered__c=12)
    fields = ["Name", "Amount", "CurrencyIsoCode", "Account.Name", "IsWon", "CloseDate", "NextStep", "Hub_Delivered__c"]
    (page,) = connect().read("Opportunity", fields, None)
    assert page.records[0].native == {
        "Id": deal,
        "Name": "Deal",
        "Amount": Decimal("1234567.89"),
        "CurrencyIsoCode": "EUR",
        "Account": {"Name": "Zürich 😀"},
        "IsWon": True,
        "CloseDate": "2019-09-12",
        "NextStep": None,
        "Hub_Delivered__c": Decimal("12.0"),
    }


def test_deleted_records_and_merged_accounts_are_told(org: Org, connect: Connect) -> None:
    winner, loser, gone = (org.create("Account", Name=name) for name in ("W", "L", "G"))
    connector = connect()
    cursor = list(connector.read("Account", ["Name"], None))[-1].cursor
    org.control("merge", master=winner, loser=loser)
    org.control("delete", object="Account", id=gone)
    records = {r.native_id: r for p in connector.read("Account", ["Name"], cursor) for r in p.records}
    assert (records[loser].deleted, records[loser].native["MasterRecordId"]) == (True, winner)
    assert (records[gone].deleted, records[gone].native["MasterRecordId"]) == (True, None)
    assert not records[winner].deleted
    assert connector.fetch("Account", ["Name"], [winner, loser, gone]).keys() == {winner}


def test_an_echo_of_our_own_write_reads_the_same_record(org: Org, connect: Connect) -> None:
    from connectors.base import Operation, PushItem

    deal = org.deal()
    connector = connect()
    before = next(iter(connector.read("Opportunity", ["Name"], None))).records[0]
    org.advance(600)
    connector.push("Opportunity", Operation.UPDATE, [PushItem("k", {"Hub_Status__c": "LIVE"}, vendor_id=deal)])
    after = next(iter(connector.read("Opportunity", ["Name"], None))).records[0]
    assert after.modified_at > before.modified_at
    assert after.native == before.native


def test_a_hidden_field_stops_the_mapping_by_name(org: Org, connect: Connect) -> None:
    org.deal()
    org.control("fls", object="Opportunity", field="Hub_Status__c", visible=False)
    with pytest.raises(SchemaDrift) as caught:
        list(connect().read("Opportunity", ["Name", "Hub_Status__c"], None))
    assert caught.value.field == "Hub_Status__c"


def test_an_expired_token_is_renewed_in_the_middle_of_a_read(org: Org, connect: Connect) -> None:
    for n in range(5):
        org.deal(f"D{n}")
    connector = connect(page_size=2)
    pages = connector.read("Opportunity", ["Name"], None)
    first = next(pages)
    org.fault("expired_token", operations=["queryAll Opportunity"])
    assert len(native_ids([first, *pages])) == 5
    assert org.calls()["token"] == 2


@pytest.mark.parametrize(
    ("fault", "knob"), [("lost_request", {}), ("lost_reply", {}), ("html_503", {}), ("slow_reply", {"seconds": 5})]
)
def test_a_read_that_fails_can_be_taken_up_from_the_cursor_before(
    org: Org, connect: Connect, fault: str, knob: dict[str, Any]
) -> None:
    org.deal()
    connector = connect(timeout_seconds=2.5 if fault == "slow_reply" else 30)
    cursor = list(connector.read("Opportunity", ["Name"], None))[-1].cursor
    org.fault(fault, operations=["queryAll Opportunity"], **knob)
    with pytest.raises(RetryLater):
        list(connector.read("Opportunity", ["Name"], cursor))
    assert len(native_ids(list(connector.read("Opportunity", ["Name"], cursor)))) == 1


def test_a_single_currency_org_reads_with_the_currency_of_the_settings() -> None:
    server = serve(client_secret=SECRET, now=START, running=False, multi_currency=False)
    org = Org(server.url)
    values = {"domain": "acme.my", "consumer_key": "orderhub", "consumer_secret": SECRET, "endpoint": org.url}
    connector = SalesforceConnector(
        SalesforceConnector.config.model_validate({**values, "multi_currency": False, "currency": "SEK"})
    )
    several = SalesforceConnector(SalesforceConnector.config.model_validate(values))
    try:
        deal = org.deal()
        (page,) = connector.read("Opportunity", ["Name", "CurrencyIsoCode"], None)
        assert page.records[0].native == {"Id": deal, "Name": "Deal", "CurrencyIsoCode": "SEK"}
        assert connector.check({"Opportunity": ["CurrencyIsoCode"]}).usable
        with pytest.raises(SchemaDrift, match="CurrencyIsoCode"):
            list(several.read("Opportunity", ["CurrencyIsoCode"], None))
        findings = several.check({"Opportunity": ["CurrencyIsoCode"]}).findings
        assert any("multi_currency: false" in f.sentence for f in findings if f.severity == "error")
    finally:
        org.http.close()
        connector.close()
        several.close()
        server.close()


def test_the_connector_is_what_the_engine_looks_for(connect: Connect) -> None:
    from connectors.base import ObservesRecords, PushesRecords
    from connectors.discovery import load

    connector = connect()
    assert isinstance(connector, load("salesforce"))
    assert isinstance(connector, ReadsChanges)
    assert isinstance(connector, PushesRecords)
    assert isinstance(connector, ObservesRecords)

"""Every bad input is parked with a sentence, the field and the fix; the rest goes on; a replay after the fix succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Town

BAD_LINES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "end before start": (
        {"Flight_Start__c": "2026-03-01T00:00:00Z", "Flight_End__c": "2026-02-01T00:00:00Z"},
        {"Flight_End__c": "2026-03-31T23:59:59Z"},
    ),
    "no price": ({"CPM__c": None}, {"CPM__c": 3}),
    "negative price": ({"CPM__c": -4}, {"CPM__c": 4}),
    "no start": ({"Flight_Start__c": None}, {"Flight_Start__c": "2026-02-01T00:00:00Z"}),
    "starts in the past": ({"Flight_Start__c": "2025-01-01T00:00:00Z"}, {"Flight_Start__c": "2026-02-01T00:00:00Z"}),
}


@pytest.mark.parametrize("fault", BAD_LINES)
def test_a_bad_line_is_parked_and_sent_once_it_is_mended(town: Town, fault: str) -> None:
    bad, mended = BAD_LINES[fault]
    order = town.opportunity(town.account("Acme"))
    good, line = town.line(order), town.line(order, **bad)
    town.travel()
    assert set(town.lines()) == {town.line_id(good)}
    ((_, path, sentence),) = town.parked()
    assert path
    assert sentence.count(". ") >= 2, "what happened, its effect, who does what"
    assert town.shown("OpportunityLineItem", line, "Hub_Status__c") == "Needs attention"
    town.change("OpportunityLineItem", line, **mended)
    town.travel()
    assert set(town.lines()) == {town.line_id(good), town.line_id(line)}
    assert town.parked() == []


@pytest.mark.parametrize(
    ("name", "reason", "path", "words"),
    [
        ("zero\u200bwidth", "validation", "Account.Name", "holds the invisible character U+200B"),
        ("four bytes \U0001f680", "validation", "Account.Name", "holds U+1F680, a character of four bytes"),
        ("x" * 130, "length", "name", "(for Company.name) is 'xxx"),
    ],
    ids=["zero-width", "four-byte", "over-long"],
)
def test_a_name_the_ad_server_cannot_show_is_parked_until_it_is_mended(
    town: Town, name: str, reason: str, path: str, words: str
) -> None:
    account = town.account(name)
    order = town.opportunity(account, name="Plain")
    line = town.line(order)
    other = town.line(town.opportunity(town.account("Other"), name="Other"))
    town.travel()
    assert set(town.lines()) == {town.line_id(other)}
    ((shown_reason, shown_path, sentence),) = [item for item in town.parked() if item[0] != "reference_missing"]
    assert (shown_reason, shown_path) == (reason, path)
    assert words in sentence
    assert sentence.count(". ") >= 1
    assert "The order's owner in the CRM: " in sentence
    # What only waits for the account says so, and nothing else is parked.
    assert {item[1] for item in town.parked() if item[0] == "reference_missing"} <= {
        "Opportunity",
        "OpportunityLineItem",
    }
    town.change("Account", account, Name="Acme")
    town.travel()
    assert set(town.lines()) == {town.line_id(line), town.line_id(other)}
    assert town.parked() == []


def test_an_unknown_picklist_value_is_parked(town: Town) -> None:
    town.crm_people.post(
        "picklist", {"object": "OpportunityLineItem", "field": "Cost_Type__c", "values": ["CPM", "CPX"]}
    )
    order = town.opportunity(town.account("Acme"))
    line = town.line(order, Cost_Type__c="CPX")
    town.travel()
    ((reason, path, _),) = town.parked()
    assert (reason, path.rpartition(".")[2]) == ("picklist", "Cost_Type__c")
    town.change("OpportunityLineItem", line, Cost_Type__c="CPM")
    town.travel()
    assert town.parked() == []


def test_an_order_without_an_advertiser_is_parked_with_its_lines(town: Town) -> None:
    order = town.opportunity(None)
    town.line(order)
    town.travel()
    assert town.lines() == {}
    assert {reason for reason, _, _ in town.parked()} <= {"validation", "reference_missing"}
    assert town.shown("Opportunity", order, "Hub_Status__c") == "Needs attention"
    town.change("Opportunity", order, AccountId=town.account("Acme"))
    town.travel()
    assert len(town.lines()) == 1
    assert town.parked() == []


def test_two_accounts_of_one_name_stay_two(town: Town) -> None:
    first, second = town.account("Acme"), town.account("Acme")
    town.line(town.opportunity(first, name="One"))
    town.line(town.opportunity(second, name="Two"))
    town.travel()
    assert len(town.lines()) == 1
    assert any(reason == "duplicate" for reason, _, _ in town.parked())
    town.change("Account", second, Name="Acme Europe")
    town.travel()
    assert len(town.lines()) == 2, (town.parked(), town.hub.status())
    assert town.parked() == []


def test_an_order_of_a_merged_account_follows_the_survivor(town: Town) -> None:
    master, loser = town.account("Acme"), town.account("Acme old")
    order = town.opportunity(loser)
    town.line(order)
    town.travel()
    town.crm_people.post("merge", {"master": master, "loser": loser})
    town.travel()
    assert town.parked() == []
    (sent,) = town.ad_people.objects("Order")
    names = {company["id"]: company["name"] for company in town.ad_people.objects("Company")}
    assert names[sent["advertiserId"]] == "Acme"
    assert town.shown("Opportunity", order, "Hub_Status__c") != "Needs attention"
    assert town.hub.trace(order).version == 2


def test_an_order_archived_at_the_ad_server_is_a_decision_for_a_person(town: Town) -> None:
    order = town.opportunity(town.account("Acme"))
    line = town.line(order)
    town.travel()
    (archived,) = town.ad_people.objects("Order")
    town.ad_people.post("archive", {"order_ids": [archived["id"]]})
    town.change("OpportunityLineItem", line, Goal_Impressions__c=2000000)
    town.travel()
    ((reason, _, sentence),) = town.parked()
    assert reason == "vendor_state"
    assert "Ad operations" in sentence
    assert town.shown("OpportunityLineItem", line, "Hub_Status__c") == "Needs attention"


def test_a_resync_does_not_take_an_archived_order_for_a_live_one(town: Town) -> None:
    order = town.opportunity(town.account("Acme"))
    town.line(order)
    town.travel()
    (archived,) = town.ad_people.objects("Order")
    town.ad_people.post("archive", {"order_ids": [archived["id"]]})
    town.hub.resync(order)
    town.travel()
    assert "vendor_state" in {reason for reason, _, _ in town.parked()}

"""Every change of a source becomes a version, is held for what it points to, or is parked with a sentence. Nothing is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation
from hub.sync import accept
from oms_schema.problems import Problem, Reason

if TYPE_CHECKING:
    from conftest import World


def parked(world: World) -> list[tuple[str, str]]:
    return [(group.reason, group.code) for group in world.hub.status().parked]


def test_a_line_that_comes_before_its_order_waits_and_then_goes_on(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.line("00k1", "006A")
    result = world.hub.intake("sfdc")
    assert (result.held, result.accepted) == (1, 1)
    assert parked(world) == [("reference_missing", "REFERENCE-NOT-ACCEPTED")]
    (waiting,) = world.hub.parked()
    assert "The line points to Opportunity 006A, which the source has not shown" in waiting.sentence
    world.crm.opportunity("006A", "Acme spring", "001A")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    assert parked(world) == []


def test_an_order_without_an_advertiser_is_parked_until_sales_names_one(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Acme spring", None)
    world.crm.line("00k1", "006A")
    world.travel()
    assert world.ads.calls == []
    assert parked(world) == [("reference_missing", "REFERENCE-NOT-ACCEPTED"), ("validation", "required_missing")]
    world.crm.put("Opportunity", "006A", AccountId="001A")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    assert parked(world) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (
            {"Flight_Start__c": "2026-03-01T00:00:00.000+0000", "Flight_End__c": "2026-02-01T00:00:00.000+0000"},
            "Flight",
        ),
        ({"CPM__c": None}, "CPM__c"),
        ({"CPM__c": Decimal("-1")}, "CPM__c"),
        ({"CPM__c": Decimal("1.1234567")}, "CPM__c"),
        ({"Cost_Type__c": "CPX"}, "Cost_Type__c"),
        ({"Name": ""}, "Name"),
        ({"Name": "zero\u200bwidth"}, "Name"),
        ({"CurrencyIsoCode": "EUR"}, ""),
    ],
    ids=[
        "ends-before-start",
        "no-price",
        "negative",
        "fraction-of-a-micro",
        "unknown-picklist",
        "empty",
        "zero-width",
        "currency",
    ],
)
def test_a_bad_line_is_parked_with_its_field_and_the_rest_goes_on(
    world: World, fields: dict[str, object], path: str
) -> None:
    world.book(lines=2)
    world.crm.line("00kBAD", "006A", **fields)
    world.travel()
    assert len(world.ads.live("LineItem")) == 2
    groups = world.hub.status().parked
    assert len({group.code for group in groups}) == 1
    assert path in groups[0].sentence
    assert groups[0].sentence.count(".") >= 2, "what happened, the effect, who does what"
    usual = dict(world.crm.records["OpportunityLineItem"]["00k006A0000"].native)
    usual.pop("Id")
    world.crm.put("OpportunityLineItem", "00kBAD", **{**usual, "Name": "Mended"})
    world.travel()
    assert len(world.ads.live("LineItem")) == 3
    assert parked(world) == []


def _live_in_dollars_and_the_order_in_euro(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
    world.travel()
    items = world.hub.parked()
    assert {(item.kind, item.reason, item.code, item.path) for item in items} == {
        ("line", "validation", "CURRENCY-MISMATCH", "price.currency"),
        ("line", "validation", "CURRENCY-MISMATCH", "budget.currency"),
    }
    assert len({item.entity_id for item in items}) == 2
    assert all("is in USD and its order is in EUR" in item.sentence for item in items)


def test_lines_of_an_order_that_changes_its_currency_are_parked_until_the_order_is_mended(world: World) -> None:
    _live_in_dollars_and_the_order_in_euro(world)
    world.hub.replay()
    assert len({item.entity_id for item in world.hub.parked()}) == 2
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="USD")
    world.travel()
    assert parked(world) == []
    assert len(world.ads.live("LineItem")) == 2
    assert world.hub.audit_mismatches() == []


def test_lines_parked_by_their_orders_currency_go_on_when_they_follow_it(world: World) -> None:
    _live_in_dollars_and_the_order_in_euro(world)
    for number in range(2):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", CurrencyIsoCode="EUR")
    world.travel()
    assert parked(world) == []
    assert {line["costPerUnit"]["currencyCode"] for line in world.ads.live("LineItem")} == {"EUR"}


@pytest.mark.parametrize("mended", ["the order goes back", "the lines follow"])
def test_lines_accepted_and_not_sent_wait_while_their_order_is_in_another_currency(world: World, mended: str) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
    world.travel()
    assert {code for _, code in parked(world)} == {"CURRENCY-MISMATCH"}
    assert len(world.ads.live("Order")) == 1
    assert world.ads.live("LineItem") == []
    assert {item.action for item in world.hub.plan("gam-main").items if item.kind == "line"} == {"waiting"}
    if mended == "the order goes back":
        world.crm.put("Opportunity", "006A", CurrencyIsoCode="USD")
    else:
        for number in range(2):
            world.crm.put("OpportunityLineItem", f"00k006A{number:04}", CurrencyIsoCode="EUR")
    world.travel()
    assert parked(world) == []
    assert len(world.ads.live("LineItem")) == 2


def test_news_of_a_live_line_waits_while_its_order_is_in_another_currency(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Name="Renamed")
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
    world.travel()
    assert "Renamed" not in str(world.ads.live("LineItem"))
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="USD")
    world.travel()
    assert "Renamed" in str(world.ads.live("LineItem"))


def test_a_line_that_waits_does_not_keep_the_others_of_its_order_from_going_live(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
    world.crm.line("00kE", "006A", CurrencyIsoCode="EUR")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    (order,) = world.ads.live("Order")
    assert order["status"] == "APPROVED"


def test_a_line_in_another_currency_goes_on_when_its_order_follows_it(world: World) -> None:
    world.book(lines=1)
    world.crm.line("00kE", "006A", CurrencyIsoCode="EUR")
    world.travel()
    assert {code for _, code in parked(world)} == {"CURRENCY-MISMATCH"}
    world.crm.put("OpportunityLineItem", "00k006A0000", CurrencyIsoCode="EUR")
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
    world.travel()
    assert parked(world) == []
    assert len(world.ads.live("LineItem")) == 2


def test_a_price_of_zero_is_a_price(world: World) -> None:
    world.book(lines=0)
    world.crm.line("00k0", "006A", CPM__c=Decimal(0))
    world.travel()
    assert [line["costPerUnit"]["microAmount"] for line in world.ads.live("LineItem")] == [0]


def test_two_accounts_of_one_name_are_not_merged_silently(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Acme autumn", "001B")
    world.crm.line("00kB", "006B")
    world.travel()
    assert len(world.ads.live("Company")) == 1
    assert ("duplicate", "PARTY-TWO-OF-ONE-NAME") in parked(world)
    world.crm.put("Account", "001B", Name="Acme Europe")
    world.travel()
    assert len(world.ads.live("LineItem")) == 2
    assert parked(world) == []


def test_when_the_first_of_two_accounts_gets_another_name_the_second_goes_on(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Acme autumn", "001B")
    world.crm.line("00kB", "006B")
    world.travel()
    world.crm.put("Account", "001A", Name="Acme Europe")
    world.travel()
    assert len(world.ads.live("LineItem")) == 2
    assert parked(world) == []


def test_names_that_differ_only_in_case_are_two_accounts_and_reported(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.account("001B", "ACME")
    world.crm.opportunity("006A", "One", "001A", Agency__c="001B")
    world.crm.line("00k1", "006A")
    world.travel()
    assert sorted(c["name"] for c in world.ads.live("Company")) == ["ACME", "Acme"]
    assert any("differs from" in event.what for event in world.hub.trace("006A").events)


def test_one_account_may_be_agency_and_advertiser(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "One", "001A", Agency__c="001A")
    world.crm.line("00k1", "006A")
    world.travel()
    assert sorted(c["type"] for c in world.ads.live("Company")) == ["ADVERTISER", "AGENCY"]


def test_an_order_whose_account_was_deleted_keeps_its_last_version(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("Account", "001A", deleted=True, IsDeleted=True)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-1")
    world.travel()
    assert parked(world) == [("reference_missing", "ORDER-PARTY-DELETED")]
    assert world.ads.live("Order")[0].get("poNumber") is None


def test_an_order_in_a_currency_nobody_knows_is_parked(world: World) -> None:
    world.book(lines=1)
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="UDS")
    world.crm.put("OpportunityLineItem", "00k1", CurrencyIsoCode="UDS")
    world.travel()
    assert ("validation", "CURRENCY-UNKNOWN") in parked(world)
    assert world.ads.live("LineItem") == []


def test_an_order_whose_accounts_come_back_goes_on_by_itself(world: World) -> None:
    world.crm.account("001B", "Agency")
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Acme spring", "001A", Agency__c="001B")
    world.crm.line("00k1", "006A")
    world.travel()
    for account in ("001A", "001B"):
        world.crm.put("Account", account, deleted=True, IsDeleted=True)
    world.crm.put("Opportunity", "006A", Name="Acme summer")
    world.hub.intake("sfdc")
    world.crm.put("Account", "001A", IsDeleted=False)
    world.travel()
    assert [item.value for item in world.hub.parked()] == ["Agency"]
    world.crm.put("Account", "001B", IsDeleted=False)
    world.travel()
    assert parked(world) == []
    assert [order["name"].split(" [")[0] for order in world.ads.live("Order")] == ["Acme summer"]


def test_a_booked_order_cannot_go_back_to_a_draft(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("Opportunity", "006A", StageName="Prospecting", IsWon=False, IsClosed=False)
    world.travel()
    assert parked(world) == [("validation", "ORDER-ILLEGAL-MOVE")]
    assert world.hub.status().orders == {"booked": 1}


def test_a_deal_that_is_won_later_goes_out_with_the_lines_it_had_before(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Acme spring", "001A", StageName="Prospecting", IsWon=False, IsClosed=False)
    world.crm.line("00k1", "006A")
    world.travel()
    assert world.ads.calls == []
    world.crm.put("Opportunity", "006A", StageName="Closed Won", IsWon=True, IsClosed=True)
    world.travel()
    assert len(world.ads.live("LineItem")) == 1


def test_a_lost_deal_that_was_live_is_archived_at_the_ad_server(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("Opportunity", "006A", deleted=True, IsDeleted=True)
    world.travel()
    assert world.ads.live("Order")[0]["status"] == "ArchiveOrders"


def test_a_lost_deal_is_not_changed_at_the_ad_server_any_more(world: World) -> None:
    world.book(lines=2)
    world.travel()
    before = world.ads.line_of("00k006A0001")["primaryGoal"]
    sold = len(world.ads.calls)
    world.crm.put("OpportunityLineItem", "00k006A0001", Goal_Impressions__c=123_456)
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0001", Goal_Impressions__c=234_567)
    world.crm.put("Opportunity", "006A", Name="Renamed after it was lost")
    world.crm.line("00k006A0009", "006A")
    world.travel()
    assert world.ads.line_of("00k006A0001")["primaryGoal"] == before
    assert [call.operation for call in world.ads.calls[sold:]] == [Operation.ACT]
    assert parked(world) == []
    assert world.hub.plan().items == []


def test_a_deal_that_is_lost_before_its_lines_are_at_the_ad_server_is_archived_without_them(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.ads.lose_request()
    world.hub.push("gam-main")
    assert [len(world.ads.live(record)) for record in ("Order", "LineItem")] == [1, 0]
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.travel()
    assert world.ads.live("Order")[0]["status"] == "ArchiveOrders"
    assert world.ads.live("LineItem") == []
    assert world.hub.plan().items == []


def test_a_deleted_line_is_not_changed_at_the_ad_server_until_it_comes_back(world: World) -> None:
    world.book(lines=2)
    world.travel()
    line = world.ads.line_of("00k006A0001")
    before = line["primaryGoal"]
    for goal in (123_456, 234_567):
        world.crm.put("OpportunityLineItem", "00k006A0001", True, IsDeleted=True, Goal_Impressions__c=goal)
        world.travel()
    assert line["primaryGoal"] == before
    assert parked(world) == []
    world.crm.put("OpportunityLineItem", "00k006A0001", IsDeleted=False)
    world.travel()
    assert line["primaryGoal"] != before


def test_a_deleted_line_is_archived_and_not_counted_again(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0001", deleted=True, IsDeleted=True)
    world.travel()
    statuses = sorted(line["status"] for line in world.ads.live("LineItem"))
    assert statuses == ["ArchiveLineItems", "READY"]


def test_what_was_read_twice_is_one_change(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    again = world.hub.intake("sfdc")
    assert (again.accepted, again.unchanged) == (0, again.read)


def test_a_line_accepted_just_before_its_order_changed_currency_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both in one replay: what is still held back about the line must not be written over its being looked at again."""
    world.book(lines=1)
    with monkeypatch.context() as earlier:
        refused = Problem(
            code="X", reason=Reason.VALIDATION, path="", value="", happened="", effect="", fix="", owner=""
        )
        earlier.setattr(accept, "check_line_against_order", lambda order, line: (refused,))
        world.hub.intake("sfdc")
        earlier.setattr(accept, "check_order", lambda order: (refused,))
        world.crm.put("Opportunity", "006A", CurrencyIsoCode="EUR")
        world.hub.intake("sfdc")
    assert parked(world) == [("validation", "X")]
    world.hub.replay()
    assert {code for _, code in parked(world)} == {"CURRENCY-MISMATCH"}
    world.rest()
    assert (len(world.ads.live("Order")), world.ads.live("LineItem")) == (1, [])
    world.crm.put("Opportunity", "006A", CurrencyIsoCode="USD")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1

"""The oracle finds every planted violation, and says nothing of a world in order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chaos import oracle
from chaos.oracle import Crm
from cli.demo.engine import AD_SERVER, SOURCE
from cli.demo.figures import AdServerImage, duplicates
from hub.results import ParkedItem
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.problems import Reason

ACCOUNT, DEAL, LINE = "001A", "006A", "00kA"
PARTY_ID = canonical_id(EntityKind.PARTY, SOURCE, ACCOUNT)
ORDER_ID = canonical_id(EntityKind.ORDER, SOURCE, DEAL)
LINE_ID = canonical_id(EntityKind.LINE, SOURCE, LINE)
NOBODY: frozenset[str] = frozenset()


class World:
    """One deal with one line at both vendors; a test spoils it."""

    def __init__(self) -> None:
        self.account: dict[str, Any] = {"Id": ACCOUNT, "Name": "Acme"}
        self.deal: dict[str, Any] = {"Id": DEAL, "AccountId": ACCOUNT, "IsWon": True, "IsClosed": True}
        self.deal |= {"PO_Number__c": "PO-1"}
        self.line: dict[str, Any] = {"Id": LINE, "OpportunityId": DEAL, "Goal_Impressions__c": 5000, "CPM__c": 12.5}
        self.companies: dict[str, dict[str, Any]] = {
            "1": {"id": 1, "name": "Acme", "type": "ADVERTISER", "externalId": PARTY_ID}
        }
        mark = ORDER_ID.partition("_")[2][:12]
        self.orders: dict[str, dict[str, Any]] = {
            "2": {"id": 2, "name": f"Spring [{mark}]", "status": "APPROVED", "poNumber": "PO-1"}
        }
        self.lines: dict[str, dict[str, Any]] = {
            "3": {
                "id": 3,
                "orderId": 2,
                "externalId": LINE_ID,
                "primaryGoal": {"units": 5000},
                "costPerUnit": {"microAmount": 12_500_000},
            }
        }

    @property
    def ad_server(self) -> AdServerImage:
        return AdServerImage(self.companies, self.orders, self.lines)

    def lost(self, parked: frozenset[str] = NOBODY) -> list[str]:
        crm = Crm({ACCOUNT: self.account}, {DEAL: self.deal}, {LINE: self.line})
        return oracle.lost_at_ad_server(crm, self.ad_server, parked)


def edit(table: str, name: str, value: object) -> Callable[[World], None]:
    def spoil(world: World) -> None:
        record = next(iter(getattr(world, table).values())) if table.endswith("s") else getattr(world, table)
        record[name] = value

    return spoil


SPOILED: dict[str, tuple[Callable[[World], None], str]] = {
    "the line is missing": (lambda world: world.lines.clear(), "is not at the ad server"),
    "the goal is an older one": (edit("line", "Goal_Impressions__c", 6000), "goal 5000, the CRM says 6000"),
    "the price is an older one": (edit("line", "CPM__c", 12.51), "rate 12500000, the CRM says 12510000"),
    "the order is missing": (lambda world: world.orders.clear(), "is not at the ad server"),
    "the purchase order is an older one": (edit("deal", "PO_Number__c", "PO-2"), "number PO-1, the CRM says PO-2"),
    "the order is not approved": (edit("orders", "status", "DRAFT"), "is DRAFT"),
    "the company is missing": (lambda world: world.companies.clear(), "is not at the ad server"),
    "the company has its old name": (edit("account", "Name", "Acme Inc"), "is named 'Acme'"),
}


def test_a_world_in_order_has_nothing_lost_and_nothing_doubled() -> None:
    world = World()
    assert world.lost() == []
    assert duplicates(world.ad_server) == 0


@pytest.mark.parametrize("fault", SPOILED)
def test_what_is_lost_is_found(fault: str) -> None:
    world = World()
    spoil, sentence = SPOILED[fault]
    spoil(world)
    assert [one for one in world.lost() if sentence in one], world.lost()


def parked(reason: Reason) -> ParkedItem:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    return ParkedItem(AD_SERVER, "line", LINE_ID, ORDER_ID, reason, "CODE", "goal", "0", "Why.", "How.", "Sales", now)


@pytest.mark.parametrize("reason", Reason)
def test_only_what_is_parked_for_bad_input_is_excused_and_anything_else_is_stuck(reason: Reason) -> None:
    world, item = World(), parked(reason)
    world.lines.clear()
    excused, told = oracle.excused_entities([item]), oracle.stuck([item])
    verdict = oracle.Verdict(lost=world.lost(excused), stuck=told)
    if reason in {"validation", "picklist", "length", "mapping", "reference_missing"}:
        assert verdict.held
    else:
        assert not verdict.held
        assert [one for one in verdict.sentences() if LINE_ID in one and f"stays parked ({reason} CODE): Why." in one]
        assert verdict.lost, "and it does not excuse what is missing"


def test_a_lost_deal_that_is_still_live_is_found() -> None:
    world = World()
    world.deal |= {"IsWon": False, "IsClosed": True}
    assert [one for one in world.lost() if "the deal" in one]
    world.orders["2"]["isArchived"] = True
    assert world.lost() == []


@pytest.mark.parametrize("table", ["companies", "orders", "lines"])
def test_a_second_object_of_one_entity_is_counted(table: str) -> None:
    world = World()
    objects = getattr(world, table)
    objects["99"] = {**next(iter(objects.values())), "id": 99}
    assert duplicates(world.ad_server) == 1

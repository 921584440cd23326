"""A push that is bound to a plan sends what the plan showed, at the versions it showed, and leaves everything else due."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Operation
from hub.sync import push as pushing

if TYPE_CHECKING:
    from conftest import World

LINE = "00k006A0000"


def price(world: World, line: str = LINE) -> int:
    """What the ad server holds."""
    return int(world.ads.line_of(line)["costPerUnit"]["microAmount"])


def reprice(world: World, cpm: str, line: str = LINE) -> None:
    """Somebody changes a line in the CRM, and the hub accepts it."""
    world.crm.put("OpportunityLineItem", line, CPM__c=Decimal(cpm))
    read(world)


def read(world: World) -> None:
    """Another worker takes in what changed."""
    worker = world.second_worker()
    worker.intake("sfdc")
    worker.session.database.close()


def test_what_the_plan_shows_is_sent(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    seen = world.hub.plan("gam-main")
    pushed = world.hub.push("gam-main", only=seen)
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == [1, 1, 2]
    assert world.ads.live("Order")[0]["status"] == "APPROVED"
    assert (pushed.not_in_plan, pushed.plan_moved) == (0, 0)
    assert world.hub.plan("gam-main").items == []


def test_a_change_accepted_after_the_plan_stays_due_and_is_told(world: World) -> None:
    world.book(lines=2)
    world.travel()
    reprice(world, "13")
    seen = world.hub.plan("gam-main")
    reprice(world, "14")
    reprice(world, "15", "00k006A0001")
    pushed = world.hub.push("gam-main", only=seen)
    assert (price(world), price(world, "00k006A0001")) == (12_500_000, 12_500_000)
    assert (pushed.calls, pushed.not_in_plan, pushed.plan_moved) == (0, 2, 1)
    assert pushed.next_due is None, "nobody waits for what is not in the plan"
    world.hub.push("gam-main")
    assert (price(world), price(world, "00k006A0001")) == (14_000_000, 15_000_000)


def test_a_change_that_comes_between_claim_and_load_does_not_travel_under_the_plans_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=2)
    world.travel()
    reprice(world, "13")
    reprice(world, "13", "00k006A0001")
    seen = world.hub.plan("gam-main")
    prepare, came = pushing.prepare, iter(["14"])

    def preparing(*arguments: Any, **more: Any) -> Any:
        for cpm in came:
            reprice(world, cpm)
        return prepare(*arguments, **more)

    monkeypatch.setattr(pushing, "prepare", preparing)
    pushed = world.hub.push("gam-main", only=seen)
    assert (price(world), price(world, "00k006A0001")) == (12_500_000, 13_000_000)
    assert (pushed.records, pushed.not_in_plan, pushed.plan_moved) == (1, 1, 1)
    assert list(world.hub.session.database.rows("SELECT count(*) FROM lane WHERE state <> 'ready'")) == [(0,)]
    world.hub.push("gam-main")
    assert price(world) == 14_000_000


def test_a_deal_won_after_the_plan_waits_for_the_next_one(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    seen = world.hub.plan("gam-main")
    world.book(lines=2, order="006B")
    read(world)
    pushed = world.hub.push("gam-main", only=seen)
    assert [len(world.ads.live(record)) for record in ("Order", "LineItem")] == [1, 1]
    assert (pushed.not_in_plan, pushed.plan_moved) == (4, 0), "an order, its status and two lines"


def test_the_mirror_of_what_was_sent_is_in_no_plan_before(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    seen = world.hub.plan()
    world.hub.push("gam-main", only=seen)
    before = len(world.crm.calls)
    world.machine.advance(11)
    pushed = world.hub.push("sfdc", only=seen)
    assert pushed.not_in_plan == 2
    assert len(world.crm.calls) == before
    assert world.hub.push("sfdc").records == 2


def test_what_the_plan_shows_as_blocked_is_not_sent_even_when_its_cause_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.crm.line("00kX", "006A", Geo_Countries__c="Atlantis")
    world.hub.intake("sfdc")
    resolve = world.ads.resolve

    def resolving(table: str, wanted: Sequence[str], scope: str = "") -> Any:
        if "Atlantis" in wanted:
            raise IndexError("an answer nobody expected")
        return resolve(table, wanted, scope)

    with monkeypatch.context() as patch:
        patch.setattr(world.ads, "resolve", resolving)
        seen = world.hub.plan("gam-main")
    assert seen.blocked == 1
    pushed = world.hub.push("gam-main", only=seen)
    assert [line["name"] for line in world.ads.live("LineItem")] == [f"Line {LINE}"]
    assert pushed.not_in_plan == 0, "it is shown, and nothing of it was to be sent"
    world.hub.push("gam-main")
    assert len(world.ads.live("LineItem")) == 2


def test_a_lost_request_of_the_plan_is_settled_and_sent_again_as_it_was_shown(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    seen = world.hub.plan("gam-main")
    world.ads.misbehave = [lambda *_: None] * 2
    world.ads.lose_request()
    assert world.hub.push("gam-main", only=seen).in_doubt == 1
    for _ in range(4):
        world.machine.advance(61)
        world.hub.settle("gam-main")
        pushed = world.hub.push("gam-main", only=seen)
    assert len(world.ads.live("LineItem")) == 1
    assert (pushed.in_doubt, pushed.not_in_plan) == (0, 0)
    assert [call.operation for call in world.ads.calls].count(Operation.ACT) == 1


def test_the_hash_of_a_plan_moves_with_a_version_whose_differences_look_the_same(world: World) -> None:
    world.book(lines=1)
    world.travel()
    reprice(world, "13")
    first = world.hub.plan("gam-main")
    world.crm.put("OpportunityLineItem", LINE, External_Line_Id__c="ad-other")
    world.hub.intake("sfdc")
    second = world.hub.plan("gam-main")
    assert (first.items[0].changes, first.items[0].version) == (second.items[0].changes, second.items[0].version - 1)
    assert first.plan_hash != second.plan_hash

"""What the hub tries again by itself, and what it leaves to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, Outcome, PushItem, PushResult

if TYPE_CHECKING:
    from conftest import World

HOUR = 3601.0
pytestmark = pytest.mark.usefixtures("sound_audit")


def test_one_of_a_group_is_tried_every_hour_and_the_others_follow_once_it_passed(world: World) -> None:
    refusing = world.refuse()
    world.book(lines=40)
    world.travel()
    first = len(refusing.refused)
    assert world.hub.retry_parked() == 0, "not before an hour"
    tried = set()
    for _ in range(3):
        world.machine.advance(HOUR)
        settled = world.hub.settle("gam-main")
        assert settled.retried == 1
        assert world.hub.settle("gam-main").retried == 0
        world.hub.push("gam-main")
        assert world.hub.settle("gam-main").retried == 0
        tried.add(refusing.refused[-1])
    assert len(refusing.refused) == first + 3
    assert len(tried) == 3, "another one each time: one bad record does not hold the group"
    assert sorted({item.tries for item in world.hub.parked()}) == [0, 1]
    refusing.on = False
    world.machine.advance(HOUR)
    assert world.hub.settle("gam-main").retried == 1
    world.hub.push("gam-main")
    assert world.hub.settle("gam-main").retried == 39
    world.rest()
    assert len(world.ads.live("LineItem")) == 40
    assert not world.hub.parked()


def test_credentials_that_work_again_bring_their_work_back(world: World) -> None:
    refusing = world.refuse(reason="auth", code="401")
    world.book(lines=2)
    world.travel()
    world.machine.advance(10 * HOUR)
    assert world.hub.retry_parked() == 0
    refusing.on = False
    world.hub.check("gam-main")
    assert world.hub.retry_parked() == 2
    world.rest()
    assert len(world.ads.live("LineItem")) == 2


@pytest.mark.parametrize(
    "reason", ["validation", "length", "ambiguous", "conflict", "duplicate", "vendor_state", "guard"]
)
def test_what_only_a_person_or_news_can_change_is_left_alone(reason: str, world: World) -> None:
    refusing = world.refuse(reason=reason)
    world.book(lines=2)
    world.travel()
    sent = len(refusing.refused)
    for _ in range(3):
        world.machine.advance(10 * HOUR)
        assert world.hub.retry_parked() == 0
    assert len(refusing.refused) == sent
    refusing.on = False
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert len(world.ads.live("LineItem")) == 1, "news of the entity always is a try"


def test_an_order_that_was_refused_its_approval_is_asked_again_after_news_of_a_line(world: World) -> None:
    """The ad server has no room for a line, and says so when the order is approved."""
    asked: list[str | None] = []

    def no_room(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        world.ads.misbehave.append(no_room)
        if operation is not Operation.ACT:
            return None
        asked.extend(item.vendor_id for item in items)
        full = {line["orderId"] for line in world.ads.live("LineItem") if line["primaryGoal"]["units"] > 1_000_000}
        return [
            PushResult(item.key, Outcome.REJECTED, code="FULL", message="full", reason="vendor_state")
            if item.vendor_id in full
            else world.ads.apply(record, operation, item)
            for item in items
        ]

    world.ads.misbehave.append(no_room)
    world.book(lines=2)
    world.book(lines=1, order="006B")
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=9_000_000)
    world.travel()
    assert [(item.kind, item.code) for item in world.hub.parked()] == [("order_status", "FULL")]
    assert len(asked) == 2
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=8_000_000)
    world.travel()
    assert len(asked) == 3, "once more"
    assert [item.code for item in world.hub.parked()] == ["FULL"]
    world.crm.put("OpportunityLineItem", "00k006B0000", Goal_Impressions__c=700_000)
    world.travel()
    assert len(asked) == 3, "another order's news is none"
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=1_000_000)
    world.travel()
    assert world.hub.parked() == []
    assert [order["status"] for order in world.ads.live("Order")] == ["APPROVED"] * 2
    assert len(asked) == 4


def test_a_missing_reference_that_arrives_brings_its_work_back_at_once(world: World) -> None:
    world.book(lines=1)
    refusing = world.refuse(reason="reference_missing", code="UNKNOWN")
    world.travel()
    (item,) = world.hub.parked()
    refusing.on = False
    world.machine.advance(5)
    assert world.hub.retry_parked() == 0
    world.hub.session.database.rows(
        "UPDATE reference SET since = since + interval '1 day' WHERE kind = 'party' AND connection = 'gam-main' RETURNING 1"
    )
    assert world.hub.retry_parked() == 1
    world.rest()
    assert not world.hub.parked()
    assert item.reason == "reference_missing"


def test_two_accounts_of_one_name_are_tried_again_once_one_was_renamed(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Twin", "001B")
    world.crm.line("00kB", "006B")
    world.travel()
    assert "duplicate" in {item.reason for item in world.hub.parked()}
    world.crm.account("001A", "Acme of old")
    world.travel()
    world.machine.advance(HOUR)
    world.rest()
    assert not world.hub.parked()
    assert len(world.ads.live("LineItem")) == 2


def test_a_paused_connection_is_not_tried(world: World) -> None:
    world.refuse()
    world.book(lines=1)
    world.travel()
    world.machine.advance(HOUR)
    world.hub.pause("gam-main")
    assert world.hub.retry_parked() == 0
    world.hub.resume("gam-main")
    assert world.hub.retry_parked() == 1

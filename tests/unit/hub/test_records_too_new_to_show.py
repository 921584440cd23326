"""What queries do not show yet: an answer that rests on looking is not believed before the vendor's index lag has passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.base import Operation, Outcome, PushItem, PushResult

if TYPE_CHECKING:
    from conftest import Misbehaviour, World

LAG = 5
"""Seconds for which the ad server of these tests may hide what is new."""


class Hiding:
    """An ad server that looks before it updates or acts, and does not see what is new."""

    def __init__(self, world: World, operation: Operation, outcome: Outcome) -> None:
        self.world, self.operation, self.outcome = world, operation, outcome
        self.on = True
        self.answered = 0
        world.ads.misbehave = [self.answer] * 10_000

    def answer(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        if not self.on or operation is not self.operation:
            return None
        self.answered += 1
        if self.outcome is Outcome.UNCHANGED:
            return [PushResult(item.key, Outcome.UNCHANGED, item.vendor_id) for item in items]
        return [
            PushResult(
                item.key, self.outcome, item.vendor_id, "CommonError.NOT_FOUND", "gone", reason="reference_missing"
            )
            for item in items
        ]


def send(world: World) -> None:
    world.hub.intake("sfdc")
    world.hub.push("gam-main")


def test_an_update_of_a_record_too_new_to_show_is_sent_again_and_never_parked(world: World) -> None:
    world.book(lines=1)
    send(world)
    hiding = Hiding(world, Operation.UPDATE, Outcome.REJECTED)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    send(world)
    assert hiding.answered == 1
    assert world.hub.parked() == []
    hiding.on = False
    world.machine.advance(LAG)
    world.hub.push("gam-main")
    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == 2_000_000


def test_a_record_that_is_still_not_there_after_the_lag_is_parked(world: World) -> None:
    world.book(lines=1)
    send(world)
    hiding = Hiding(world, Operation.UPDATE, Outcome.REJECTED)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    send(world)
    world.machine.advance(LAG)
    world.hub.push("gam-main")
    assert hiding.answered == 2
    assert [(item.reason, item.code) for item in world.hub.parked()] == [("reference_missing", "CommonError.NOT_FOUND")]


def test_an_approval_that_saw_nothing_to_do_is_asked_again_once_new_lines_show(world: World) -> None:
    hiding = Hiding(world, Operation.ACT, Outcome.UNCHANGED)
    world.book(lines=2)
    send(world)
    assert hiding.answered == 1
    assert world.ads.live("Order")[0]["status"] == "DRAFT"
    hiding.on = False
    world.machine.advance(LAG)
    world.hub.push("gam-main")
    assert world.ads.live("Order")[0]["status"] == "APPROVED"


def test_a_line_added_to_an_approved_order_is_not_taken_as_approved_while_it_is_hidden(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.machine.advance(3600)
    hiding = Hiding(world, Operation.ACT, Outcome.UNCHANGED)
    world.book(lines=2)
    send(world)
    assert hiding.answered == 1
    hiding.on = False
    world.machine.advance(LAG)
    world.hub.push("gam-main")
    assert [line["status"] for line in world.ads.live("LineItem")] == ["READY", "READY"]


def test_nothing_to_do_is_believed_when_everything_is_old_enough_to_show(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.machine.advance(3600)
    hiding = Hiding(world, Operation.ACT, Outcome.UNCHANGED)
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    send(world)
    world.rest()
    assert hiding.answered > 0
    answered = hiding.answered
    world.rest()
    assert hiding.answered == answered


def test_a_refusal_that_names_another_field_is_not_waited_for(world: World) -> None:
    world.book(lines=1)
    send(world)

    def refuse(record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
        return [
            PushResult(
                item.key,
                Outcome.REJECTED,
                item.vendor_id,
                "CommonError.NOT_FOUND",
                "no such ad unit",
                path="targeting",
                reason="reference_missing",
            )
            for item in items
        ]

    refusals: list[Misbehaviour] = [refuse]
    world.ads.misbehave = refusals
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    send(world)
    assert [item.code for item in world.hub.parked()] == ["CommonError.NOT_FOUND"]

"""A record renamed and edited while its create was in doubt, and then taken back, is taken back at the vendor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.base import Operation, PushItem

if TYPE_CHECKING:
    from conftest import World


def renamed_and_edited_in_doubt(world: World) -> str:
    """An order whose creation never arrived is renamed and edited, and about to be sent again; its first name."""
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None]
    world.ads.lose_request()
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    before = world.crm.records["Opportunity"]["006A"].native["Name"]
    world.crm.put("Opportunity", "006A", Name="Another", Description="x")
    world.hub.intake("sfdc")
    world.machine.advance(6)
    world.hub.settle("gam-main")
    return str(before)


def test_a_rename_and_an_edit_taken_back_during_the_repetition_are_taken_back_there(world: World) -> None:
    before = renamed_and_edited_in_doubt(world)

    def back(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        if record != "Order":
            world.ads.misbehave.insert(0, back)
            return
        world.crm.put("Opportunity", "006A", Name=before, Description=None)
        world.hub.intake("sfdc")

    world.ads.misbehave = [back]
    world.hub.push("gam-main")
    world.rest()
    (only,) = world.ads.live("Order")
    assert not only["notes"]


def test_an_edit_taken_back_after_the_reply_to_the_repetition_was_lost_is_taken_back_there(world: World) -> None:
    before = renamed_and_edited_in_doubt(world)
    world.ads.lose_reply()
    world.hub.push("gam-main")
    world.crm.put("Opportunity", "006A", Name=before, Description=None)
    world.travel()
    (only,) = world.ads.live("Order")
    assert world.hub.plan().items == []
    assert world.hub.parked() == []
    assert not only["notes"]

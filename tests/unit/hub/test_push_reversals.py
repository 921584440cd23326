"""A change that is taken back while its outcome is in doubt: the vendor ends with what the source says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, PushItem

if TYPE_CHECKING:
    from conftest import World

GOAL, OTHER = 1000000, 2000000


@pytest.mark.parametrize("lost", ["reply", "worker"])
def test_a_change_taken_back_while_in_doubt_is_taken_back_at_the_vendor(world: World, lost: str) -> None:
    world.book(lines=1)
    world.travel()

    def die(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        for item in items:
            world.ads.apply(record, operation, item)
        raise KeyboardInterrupt

    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=OTHER)
    world.hub.intake("sfdc")
    if lost == "reply":
        world.ads.lose_reply()
        world.hub.push("gam-main")
    else:
        world.ads.misbehave = [die]
        with pytest.raises(KeyboardInterrupt):
            world.hub.push("gam-main")
    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == OTHER, "applied, and nobody knows"
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=GOAL)
    world.hub.intake("sfdc")
    world.machine.advance(601)
    world.rest()
    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == GOAL

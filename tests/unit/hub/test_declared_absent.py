"""A person's answer that nothing exists waits as long as the send may still be carried out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, PushItem
from connectors.errors import OutcomeUnknown
from hub.errors import Refused

if TYPE_CHECKING:
    from conftest import World


@pytest.mark.parametrize("lost_first", [True, False])
def test_a_lost_deal_declared_absent_before_its_late_commit_is_archived(world: World, lost_first: bool) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    kept: list[PushItem] = []

    def late(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        kept.extend(items)
        raise OutcomeUnknown("TIMEOUT", "no answer")

    def lose() -> None:
        world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
        world.hub.intake("sfdc")

    world.ads.misbehave += [lambda *_: None, late]
    world.hub.push("gam-main")
    ((order,),) = world.hub.session.database.rows("SELECT entity_id FROM lane WHERE kind = 'order'")
    if lost_first:
        lose()
    world.machine.advance(6)  # more than the index lags, less than a request may be under way
    with suppress(Refused):
        world.hub.declare_absent(order, connection="gam-main", by="Ann", note="looked")
    if not lost_first:
        lose()
    world.hub.push("gam-main")
    world.ads.apply("Order", Operation.CREATE, kept[0])
    world.machine.advance(61)
    world.rest()
    assert [each["status"] for each in world.ads.live("Order")] == ["ArchiveOrders"]

"""A found record is compared as its vendor compares: ids that are sent as text come back as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from connectors.base import Operation, PushItem
from connectors.errors import OutcomeUnknown

if TYPE_CHECKING:
    from conftest import World


def test_an_order_moved_to_another_account_in_doubt_ends_with_that_account(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Beta")
    requests: list[tuple[str, Operation, PushItem]] = []

    def late(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        requests.extend((record, operation, item) for item in items)
        raise OutcomeUnknown("TIMEOUT", "no answer")

    find = world.ads.find

    def as_numbers(record: str, items: Sequence[PushItem]) -> Any:
        return [
            hit and (hit[0], {k: int(v) if k.endswith("Id") and str(v).isdigit() else v for k, v in hit[1].items()})
            for hit in find(record, items)
        ]

    with patch.object(world.ads, "find", as_numbers):
        world.ads.misbehave = [lambda *_: None, late]
        world.hub.intake("sfdc")
        world.hub.push("gam-main")
        world.machine.advance(6)
        world.hub.settle("gam-main")
        world.crm.put("Opportunity", "006A", AccountId="001B")
        world.hub.intake("sfdc")
        for request in requests:
            world.ads.apply(*request)
        world.hub.push("gam-main")
        world.rest()
    (order,) = world.ads.live("Order")
    beta = next(each["id"] for each in world.ads.live("Company") if each["name"] == "Beta")
    assert str(order["advertiserId"]) == beta

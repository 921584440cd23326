"""Sending every record of an order anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation
from hub.errors import NotFound, Refused

if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.usefixtures("sound_audit")


def test_resync_sends_every_record_of_one_order_anew_and_of_no_other(world: World) -> None:
    world.book(lines=2)
    world.book(lines=1, order="006B")
    world.travel()
    sent, mirrored = len(world.ads.calls), len(world.crm.calls)
    world.ads.objects["LineItem"][world.ads.live("LineItem")[0]["id"]]["name"] = "renamed at the ad server"
    result = world.hub.resync("006A", by="Dana", note="renamed there")
    assert (result.lanes, list(result.left)) == (8, [])
    world.rest()
    written = {(call.record, call.operation, len(call.items)) for call in world.ads.calls[sent:]}
    assert written == {
        ("Company", Operation.UPDATE, 1),
        ("Order", Operation.UPDATE, 1),
        ("LineItem", Operation.UPDATE, 2),
        ("Order", Operation.ACT, 1),
    }
    assert len(world.crm.calls) > mirrored
    assert "renamed at the ad server" not in {line["name"] for line in world.ads.live("LineItem")}
    assert len(world.ads.live("LineItem")) == 3
    assert any("resync asked by Dana" in event.what for event in world.hub.trace("006A").events)


def test_resync_leaves_what_waits_for_an_answer(world: World) -> None:
    world.leave_unanswered(applied=True)
    result = world.hub.resync("006A")
    assert len(result.left) == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_resync_of_an_unknown_order_or_one_that_is_nowhere_yet_says_so(world: World) -> None:
    world.book(lines=0, order="006Q")
    world.hub.intake("sfdc")
    with pytest.raises(NotFound, match="No order answers"):
        world.hub.resync("nothing")
    with pytest.raises(Refused, match="has nothing at any connection"):
        world.hub.resync("006Q")


def test_resync_names_and_leaves_what_is_at_a_connection_that_was_taken_out(world: World) -> None:
    world.book(lines=2)
    world.travel()
    configuration = world.hub.session.configuration
    ads = configuration.connections["gam-main"]
    del configuration.connections["gam-main"]  # type: ignore[attr-defined]
    result = world.hub.resync("006A")
    assert (result.lanes, result.elsewhere) == (3, {"gam-main": 5})
    sent = len(world.ads.calls)
    configuration.connections["gam-main"] = ads  # type: ignore[index]
    world.rest()
    assert len(world.ads.calls) == sent, "nothing of it was asked for"
    assert world.hub.resync("006A").elsewhere == {}


def test_resync_of_an_order_that_is_only_at_a_connection_that_was_taken_out_is_refused(world: World) -> None:
    world.book(lines=2)
    world.travel()
    for name in ("gam-main", "sfdc"):
        del world.hub.session.configuration.connections[name]  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="only at gam-main, sfdc, which the configuration no longer names"):
        world.hub.resync("006A")

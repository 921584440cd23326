"""A person stops one connection: it sends and reads nothing until it is resumed, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, PushItem
from hub.errors import ConnectionBroken, ConnectionPaused, NotFound

if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.usefixtures("sound_audit")


def test_a_paused_connection_refuses_and_the_others_go_on(world: World) -> None:
    world.book(lines=1)
    assert world.hub.pause("gam-main", by="Dana", note="migration weekend")
    assert not world.hub.pause("gam-main", by="Lee")
    world.hub.intake("sfdc")
    for verb in (world.hub.push, world.hub.settle):
        with pytest.raises(ConnectionPaused, match="Dana paused gam-main at 2026-01-05 09:00 UTC: migration weekend"):
            verb("gam-main")
    world.machine.advance(11)
    world.hub.push("sfdc")
    assert world.ads.calls == []
    shown = {each.name: each for each in world.hub.status().connections}
    assert (shown["gam-main"].state, shown["sfdc"].state) == ("paused", "ok")
    assert world.hub.paused.keys() == {"gam-main"}
    assert world.hub.resume("gam-main", by="Lee")
    assert not world.hub.resume("gam-main")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1


def test_a_paused_source_is_not_read_and_a_check_does_not_resume_it(world: World) -> None:
    world.hub.pause("sfdc")
    world.hub.check("sfdc")
    with pytest.raises(ConnectionPaused, match="orderhub resume sfdc"):
        world.hub.intake("sfdc")


def test_nothing_is_observed_and_no_report_asked_for_while_paused_and_one_under_way_is_loaded(world: World) -> None:
    world.book(lines=1)
    world.travel()
    today = world.business.now().date()
    job = world.hub.start_delivery("gam-main", since=today, until=today).job
    world.hub.pause("gam-main", by="Dana")
    before = world.ads.observed
    for verb in (world.hub.observe, world.hub.start_delivery, world.hub.fetch_report):
        with pytest.raises(ConnectionPaused, match="Nothing is read or written there"):
            verb("gam-main")
    assert world.ads.observed == before
    assert world.hub.poll_delivery("gam-main", job).state == "ready"
    assert world.hub.load_delivery("gam-main", job).state == "loaded"


def test_a_push_under_way_claims_nothing_more_after_a_pause(world: World) -> None:
    world.book(lines=1)

    def pause(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        world.hub.pause("gam-main")

    world.ads.misbehave = [pause]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert [call.record for call in world.ads.calls] == ["Company"]
    world.hub.resume("gam-main")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1


def test_an_unknown_connection_cannot_be_paused(world: World) -> None:
    with pytest.raises(NotFound, match="gam-main"):
        world.hub.pause("nowhere")


def test_pausing_is_a_kind_of_unusable_for_whoever_only_knows_that() -> None:
    assert issubclass(ConnectionPaused, ConnectionBroken)

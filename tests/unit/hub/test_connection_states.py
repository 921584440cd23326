"""How a connection stands, as the store and the newest call tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from connectors.base import Operation, PushItem
from connectors.errors import AuthFailed, ConnectorError, PermissionMissing, RetryLater
from hub.errors import ConnectionBroken, NotFound, VendorUnavailable
from hub.results import ConnectionStatus

from .conftest import World


def row(world: World, name: str = "gam-main") -> ConnectionStatus:
    return next(each for each in world.hub.status().connections if each.name == name)


def test_a_misconfigured_connection_shows_the_lanes_that_the_store_holds(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.crm.line("00kBAD", "006A", CPM__c=1000000000000)
    before = row(world)
    session = world.hub.session
    usable = {name: each for name, each in session.configuration.connections.items() if name != "gam-main"}
    session.configuration = replace(session.configuration, connections=usable, broken={"gam-main": "It is wrong."})
    shown = row(world)
    assert sum(before.lanes.values()) > 0
    assert (shown.state, shown.message) == ("misconfigured", "It is wrong.")
    assert (shown.lanes, shown.in_doubt, shown.parked, shown.last_pushed) == (
        before.lanes,
        before.in_doubt,
        before.parked,
        before.last_pushed,
    )


def without(world: World, name: str) -> None:
    session = world.hub.session
    left = {each: settings for each, settings in session.configuration.connections.items() if each != name}
    session.configuration = replace(session.configuration, connections=left)


def test_a_connection_taken_out_of_the_configuration_shows_the_work_that_is_open_there(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    world.hub.push("gam-main")
    before = row(world)
    assert before.in_doubt > 0
    without(world, "gam-main")
    shown = row(world)
    assert (shown.state, shown.lanes, shown.in_doubt) == ("not configured", before.lanes, before.in_doubt)
    assert f"(records: {sum(before.lanes.values())}, in doubt: {before.in_doubt})" in shown.message
    assert "Operations names the connection gam-main again" in shown.message
    assert world.hub.pause("gam-main", by="kim", note="sold") is True
    assert (row(world).state, "sold" in row(world).message) == ("paused", True)


def test_a_connection_taken_out_of_the_configuration_at_rest_is_not_shown(world: World) -> None:
    world.book(lines=1)
    world.travel()
    without(world, "gam-main")
    assert [each.name for each in world.hub.status().connections] == ["sfdc"]
    with pytest.raises(NotFound):
        world.hub.pause("gam-main", by="kim", note="sold")


def refuse(world: World, error: ConnectorError) -> None:
    def refused(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        raise error

    world.ads.misbehave.append(refused)


def test_a_write_that_goes_well_ends_a_refused_log_in(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    refuse(world, AuthFailed("401", "expired"))
    with pytest.raises(ConnectionBroken):
        world.hub.push("gam-main")
    assert (row(world).state, "401" in row(world).message) == ("AuthFailed", True)
    world.machine.advance(61)
    world.hub.push("gam-main")
    assert (row(world).state, row(world).message) == ("ok", "")
    refuse(world, AuthFailed("401", "expired again"))  # the same worker sees it fail anew, and end anew
    world.book(lines=1, order="006B")
    world.hub.intake("sfdc")
    with pytest.raises(ConnectionBroken):
        world.hub.push("gam-main")
    assert row(world).state == "AuthFailed"
    world.machine.advance(61)
    world.hub.push("gam-main")
    assert row(world).state == "ok"


def test_a_connection_that_was_written_to_is_no_longer_shown_as_never_used(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    assert row(world).state == "never used"
    world.hub.push("gam-main")
    assert row(world).state == "ok"


def test_a_look_up_that_goes_well_ends_unreachable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(record: str, vendor_ids: Sequence[str]) -> None:
        raise RetryLater("503", "down", 5.0)

    world.book(lines=1)
    world.travel()
    with monkeypatch.context() as patched:
        patched.setattr(world.ads, "observe", down)
        with pytest.raises(VendorUnavailable):
            world.hub.observe("gam-main")
    assert row(world).state == "unreachable"
    world.hub.observe("gam-main")
    assert (row(world).state, row(world).message) == ("ok", "")


def test_a_missing_right_stays_shown_although_other_calls_go_well(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    refuse(world, PermissionMissing("403", "may not create companies", "Company"))
    with pytest.raises(ConnectionBroken):
        world.hub.push("gam-main")
    world.machine.advance(61)
    world.hub.push("gam-main")
    assert row(world).state == "PermissionMissing"
    world.hub.check("gam-main")
    assert row(world).state == "ok"

"""A worker whose lease is over has lost its work: it sends nothing more of it, and others take it up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from connectors.base import Rate
from hub import Hub
from hub.config import HubSettings
from hub.session import Channel, Session
from hub.store import database
from hub.store.lanes import Lane
from hub.sync.outcomes import conclude
from hub.sync.prepare import prepare

if TYPE_CHECKING:
    from conftest import World


def second_worker(world: World) -> Hub:
    """Another worker on the same store and vendors."""
    session = world.hub.session
    store = database.Database(session.database.url)
    return Hub(Session(session.configuration, store, world.machine, world.business, connect=session.connect))


def test_a_worker_that_stood_still_beyond_its_lease_sends_nothing_twice(world: World) -> None:
    world.ads.rates = (Rate("requests", 1, 1, 2),)
    world.book(lines=2)
    world.hub.intake("sfdc")

    def stand_still(seconds: float) -> None:
        world.machine.advance(seconds)
        if not world.ads.live("Order") or world.ads.live("LineItem"):
            return
        world.machine.advance(601)
        with second_worker(world) as other:
            assert other.settle("gam-main").resent == 2, "never sent, so nothing is in doubt"
            other.push("gam-main")
        world.machine.advance(10)

    world.hub.session.sleep = stand_still
    world.hub.push("gam-main")
    world.rest()
    assert len(world.ads.live("LineItem")) == 2
    assert [call.record for call in world.ads.calls].count("LineItem") == 1


def test_a_slow_worker_that_claims_its_lost_work_again_sends_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.hub.session.configuration.hub.lease_seconds = 5
    world.book(lines=2)
    world.hub.intake("sfdc")
    slow = iter([True])

    def prepare_slowly(session: Session, channel: Channel, claimed: Sequence[Lane]) -> object:
        prepared = prepare(session, channel, claimed)
        if claimed[0].kind == "line" and next(slow, False):
            world.machine.advance(6)
            with second_worker(world) as other:
                assert other.settle("gam-main").resent == 2
        return prepared

    monkeypatch.setattr("hub.sync.push.prepare", prepare_slowly)
    world.hub.push("gam-main")
    assert len(world.ads.live("LineItem")) == 2


@pytest.mark.parametrize("looks", [1, 40], ids=["in doubt", "parked"])
def test_an_answer_that_comes_after_the_lease_tells_what_the_vendor_holds(
    world: World, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    world.book(lines=1)
    world.travel()
    (line,) = world.ads.live("LineItem")
    before = line["primaryGoal"]["units"]
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(before + 1))
    world.hub.intake("sfdc")

    def no_look(*_: object) -> None:
        raise RuntimeError("stumbled")

    def answered_late(*arguments: Any) -> object:
        """The worker stands still before it writes the answer down; another one finds its work in doubt and cannot look."""
        monkeypatch.setattr("hub.sync.push.conclude", conclude)
        with second_worker(world) as other, pytest.MonkeyPatch.context() as blind:
            blind.setattr(world.ads, "observe", no_look)
            for _ in range(looks):
                world.machine.advance(3601)
                other.settle("gam-main")
        return conclude(*arguments)

    monkeypatch.setattr("hub.sync.push.conclude", answered_late)
    world.hub.push("gam-main")
    assert line["primaryGoal"]["units"] == before + 1
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(before))
    world.travel()
    assert line["primaryGoal"]["units"] == before, "the salesperson took the change back"
    assert not world.hub.status().parked
    assert not world.hub.audit_mismatches()


def test_a_worker_that_dies_before_it_writes_our_mark_proves_nothing_of_the_look_up_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 1
    (company,) = world.ads.live("Company")
    company["externalId"] = None
    world.machine.advance(61)
    assert world.hub.settle("gam-main").adopted == 1

    def stand_still(session: Session, channel: Channel, claimed: Sequence[Lane]) -> object:
        world.machine.advance(3601)
        with second_worker(world) as other:
            other.settle("gam-main")
        monkeypatch.setattr("hub.sync.push.prepare", prepare)
        return prepare(session, channel, claimed)

    monkeypatch.setattr("hub.sync.push.prepare", stand_still)
    world.hub.push("gam-main")
    world.rest()
    assert company["externalId"], "our mark was written"


def test_the_lease_begins_anew_with_every_call(world: World) -> None:
    world.ads.rates = (Rate("requests", 1, 1, 2),)
    world.book(lines=120)
    world.hub.intake("sfdc")
    examined: list[int] = []

    def look(seconds: float) -> None:
        """400 seconds pass before each call: two of them are longer than the lease, one is not."""
        world.machine.advance(max(seconds, 400.0))

    def during_the_call(*_: object) -> None:
        with second_worker(world) as other:
            examined.append(other.settle("gam-main").examined)

    world.hub.session.sleep = look
    world.ads.misbehave = [during_the_call] * 5
    world.hub.push("gam-main")
    world.rest()
    assert examined
    assert not any(examined), "what is being sent is nobody else's"
    assert len(world.ads.live("LineItem")) == 120


def test_the_lease_is_ten_minutes_unless_the_configuration_says_otherwise(world: World) -> None:
    assert world.hub.session.lease.total_seconds() == 600
    assert HubSettings.model_validate({"store": {"url": "postgresql:///x"}, "lease_seconds": 3}).lease_seconds == 3
    with pytest.raises(ValidationError):
        HubSettings.model_validate({"store": {"url": "postgresql:///x"}, "lease_seconds": 0})

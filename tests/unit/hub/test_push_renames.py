"""A record renamed while its creation is in doubt: it exists once, and ends with its new name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, Outcome, PushItem, PushResult
from connectors.errors import OutcomeUnknown
from hub.ops.correspondence import mismatches

if TYPE_CHECKING:
    from conftest import World

RENAMES = [("Company", 0, "Account", "001A"), ("Order", 1, "Opportunity", "006A")]


class LateCommit:
    """A request that is not answered, and carried out later."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._requests: list[tuple[str, Operation, PushItem]] = []

    def lose(self, record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        self._requests += [(record, operation, item) for item in items]
        raise OutcomeUnknown("TIMEOUT", "no answer")

    def commit(self) -> None:
        for request in self._requests:
            self._world.ads.apply(*request)


@pytest.mark.parametrize(("record", "step", "source", "native_id"), RENAMES, ids=["company", "order"])
@pytest.mark.parametrize("committed", ["before the repetition", "after the repetition", "never"])
def test_a_record_renamed_in_doubt_exists_once(
    world: World, record: str, step: int, source: str, native_id: str, committed: str
) -> None:
    world.book(lines=1)
    late = LateCommit(world)
    world.ads.misbehave = [*[lambda *_: None] * step, late.lose]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.crm.put(source, native_id, Name="Another name")
    world.hub.intake("sfdc")
    world.machine.advance(6)  # the look-up comes after the index lag and before the late commit
    world.hub.settle("gam-main")
    if committed == "before the repetition":
        late.commit()
    world.hub.push("gam-main")
    if committed == "after the repetition":
        late.commit()
    world.rest()
    (only,) = world.ads.live(record)
    assert only["name"].startswith("Another name")
    assert len(world.ads.live("LineItem")) == 1


@pytest.mark.parametrize("committed", ["before the repetition", "after the repetition", "never"])
def test_an_order_edited_in_doubt_ends_with_what_it_was_edited_to(world: World, committed: str) -> None:
    """A unique name is looked up before the vendor is certain to be done, so that the old content may still be what is found."""
    world.book(lines=1)
    late = LateCommit(world)
    world.ads.misbehave = [lambda *_: None, late.lose]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.machine.advance(6)
    world.hub.settle("gam-main")
    world.crm.put("Opportunity", "006A", Description="call first")
    world.hub.intake("sfdc")
    if committed == "before the repetition":
        late.commit()
    world.hub.push("gam-main")
    if committed == "after the repetition":
        late.commit()
    world.rest()
    (only,) = world.ads.live("Order")
    assert only["notes"] == "call first"
    assert world.hub.status().parked == []
    assert mismatches(world.hub.session) == []


@pytest.mark.parametrize("adopted_by", ["a look-up", "a person"])
def test_another_record_adopted_in_doubt_keeps_its_name_until_the_lost_request_is_over(
    world: World, adopted_by: str
) -> None:
    """The lost request creates a second record as soon as the name that it carries comes free."""
    world.book(lines=1)
    world.ads.apply("Company", Operation.CREATE, PushItem("", {"name": "Acme", "type": "ADVERTISER"}))
    late = LateCommit(world)
    world.ads.misbehave = [late.lose]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    (there,) = world.ads.live("Company")
    if adopted_by == "a person":
        (lane,) = world.hub.session.database.rows("SELECT entity_id FROM lane WHERE kind = 'party'")
        world.hub.adopt(lane[0], str(there["id"]), connection="gam-main", by="Ada", note="the same company")
    world.machine.advance(6)  # past the index lag, and before the lost request can no longer be carried out
    world.hub.settle("gam-main")
    world.crm.put("Account", "001A", Name="Another name")
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    late.commit()
    world.rest()
    assert world.ads.live("Company") == [there], "there is one"
    assert there["name"] == "Another name"


# ---------------------------------------------------------------- a name that one account leaves and another one takes
def name_taken_over(world: World) -> None:
    """Account A is at the ad server as Acme; it is renamed, and at once another account takes the name and has a deal."""
    world.book(lines=1)
    world.travel()
    world.crm.account("001A", "Acme Holding")
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Second deal", "001B")
    world.crm.line("00k006B0000", "006B")
    world.hub.intake("sfdc")


def names(world: World) -> list[str]:
    return sorted(str(company["name"]) for company in world.ads.live("Company"))


def busy(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
    """The vendor takes no updates of companies for now; everything else passes."""
    if record == "Company" and operation is Operation.UPDATE:
        return [PushResult(item.key, Outcome.RETRY, code="BUSY", after=40.0) for item in items]
    return None


def test_a_name_that_another_record_of_ours_is_about_to_give_up_is_waited_for(world: World) -> None:
    name_taken_over(world)
    world.ads.misbehave = [busy] * 4
    world.hub.push("gam-main")
    assert names(world) == ["Acme"]
    world.machine.advance(10)
    assert world.hub.settle("gam-main").waiting >= 1
    assert world.hub.status().parked == [], "nobody needs to rename anything"
    assert any("waits for its name" in event.what for event in world.hub.trace("006B").events)
    world.rest(20)
    assert names(world) == ["Acme", "Acme Holding"]
    assert len(world.ads.live("Order")) == 2
    assert world.hub.status().parked == []
    assert mismatches(world.hub.session) == []


def test_a_name_that_never_comes_free_is_shown_to_a_person_and_what_waits_with_it_is_no_create(world: World) -> None:
    name_taken_over(world)
    world.ads.misbehave = [busy] * 400
    for _ in range(60):
        world.hub.push("gam-main"), world.hub.settle("gam-main")
        world.machine.advance(61)
    (group,) = world.hub.status().parked
    assert (group.code, group.reason) == ("STRANGER-WITH-OUR-NAME", "duplicate")
    second = {item.kind: item.action for item in world.hub.plan("gam-main").items}
    assert second["order"] == second["line"] == "waiting", "the plan creates nothing below what is parked"

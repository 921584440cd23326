"""A plan that changes too much at once waits for a person who approves exactly that plan; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Operation
from hub.config import GuardSettings
from hub.errors import NotFound, PlanMoved, Refused
from hub.ops.correspondence import mismatches
from hub.sync.guard import cleared

if TYPE_CHECKING:
    from conftest import World


def guarded(world: World, share: float = 5.0, minimum: int = 3) -> None:
    world.configure("gam-main", guard=GuardSettings(share_percent=share, minimum=minimum))


def booked(world: World, lines: int = 8, **guard: Any) -> None:
    guarded(world, **guard)
    world.book(lines=lines)
    world.travel()


def edit(world: World, count: int, **fields: Any) -> None:
    for number in range(count):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", **fields)


def plan_hash(world: World) -> str:
    (group,) = [group for group in world.hub.status().parked if group.reason == "guard"]
    return group.path


def updates(world: World) -> int:
    return sum(len(call.items) for call in world.ads.calls if call.operation is Operation.UPDATE)


def test_first_time_creates_and_approvals_are_exempt(world: World) -> None:
    booked(world, lines=30, minimum=0, share=0.0)
    assert len(world.ads.live("LineItem")) == 30
    assert world.ads.live("Order")[0]["status"] == "APPROVED"
    assert world.hub.status().parked == []


def test_a_few_changes_go_unasked(world: World) -> None:
    booked(world)
    edit(world, 3, CPM__c=Decimal("9"))
    world.travel()
    assert updates(world) == 3


def test_too_many_changes_are_one_held_plan_with_one_hash(world: World) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    assert updates(world) == 0
    (group,) = world.hub.status().parked
    assert (group.reason, group.code, group.count) == ("guard", "PLAN-HELD", 6)
    assert "would change 6 records at Google Ad Manager: 6 of 10 records change at once" in group.sentence
    assert f"approve-plan {plan_hash(world)} --by NAME" in group.fix
    assert mismatches(world.hub.session) == []


def test_an_approved_plan_goes_whole_and_only_that(world: World) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    result = world.hub.approve_plan(plan_hash(world), by="Lee", note="spring prices")
    assert (result.records, result.by) == (6, "Lee")
    world.rest()
    assert updates(world) == 6
    assert world.hub.status().parked == []
    again = world.hub.approve_plan(result.plan_hash, by="Dana")
    assert (again.already, again.by) == (True, "Lee")
    edit(world, 6, CPM__c=Decimal("10"))
    world.travel()
    assert updates(world) == 6, "an approval is for one content only"
    assert plan_hash(world) != result.plan_hash
    assert mismatches(world.hub.session) == []


def test_a_plan_that_moved_is_not_approved(world: World) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    shown = plan_hash(world)
    edit(world, 1, CPM__c=Decimal("11"))
    world.hub.intake("sfdc")
    with pytest.raises(PlanMoved, match="1 of 6 records"):
        world.hub.approve_plan(shown, by="Lee")
    world.rest()
    assert updates(world) == 0, "what was held does not slip out one by one"
    assert plan_hash(world) != shown
    assert world.hub.status().parked[0].count == 6
    with pytest.raises(PlanMoved):
        world.hub.approve_plan(shown, by="Lee")
    world.hub.approve_plan(plan_hash(world), by="Lee")
    world.rest()
    assert updates(world) == 6


def test_a_small_change_elsewhere_goes_on_while_a_plan_waits(world: World) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0007", CPM__c=Decimal("7"))
    world.travel()
    assert updates(world) == 1


def test_replaying_a_held_plan_only_holds_it_again(world: World) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    before = plan_hash(world)
    world.hub.replay(reason="guard")
    world.rest()
    assert (updates(world), plan_hash(world)) == (0, before)


def test_emptying_one_field_on_many_records_is_held(world: World) -> None:
    world.crm.account("001A", "Acme")
    for number in range(6):
        world.crm.opportunity(f"006{number}", f"Order {number}", "001A", PO_Number__c=f"PO-{number}")
        for line in range(20):
            world.crm.line(f"00k{number}{line:02}", f"006{number}")
    guarded(world)
    world.travel()
    for number in range(5):
        world.crm.put("Opportunity", f"006{number}", PO_Number__c=None)
    world.travel()
    (group,) = world.hub.status().parked
    assert "poNumber is emptied on 5 of 6 order records" in group.sentence
    assert all(order["poNumber"] for order in world.ads.live("Order"))


def test_what_the_vendor_does_not_see_is_not_counted(world: World) -> None:
    booked(world)
    edit(world, 8, TotalPrice=Decimal("77"))
    world.travel()
    assert world.hub.status().parked == []


def test_mass_cancellations_are_held(world: World) -> None:
    booked(world)
    for number in range(6):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", deleted=True)
    world.travel()
    assert {line["status"] for line in world.ads.live("LineItem")} == {"READY"}
    world.hub.approve_plan(plan_hash(world), by="Lee")
    world.rest()
    assert sorted(line["status"] for line in world.ads.live("LineItem")).count("ArchiveLineItems") == 6


def test_what_becomes_due_during_a_push_is_looked_at_too(world: World) -> None:
    booked(world, minimum=3)
    world.book(lines=2, order="006B")
    world.hub.intake("sfdc")

    def meanwhile(*_: object) -> None:
        world.machine.advance(6)
        edit(world, 6, CPM__c=Decimal("9"))
        with world.second_worker() as other:
            other.intake("sfdc")

    world.ads.misbehave = [meanwhile]
    world.hub.push("gam-main")
    assert updates(world) == 0


def test_the_crms_mirror_is_exempt(world: World) -> None:
    booked(world, lines=40, minimum=0, share=0.0)
    assert len(world.crm.mirror) == 41


def test_resync_of_an_order_is_a_persons_own_wish(world: World) -> None:
    booked(world)
    world.hub.resync("006A", by="Dana")
    world.rest()
    assert world.hub.status().parked == []
    assert updates(world) == 10


@pytest.mark.parametrize(
    ("name", "by", "error"),
    [
        (lambda world: "0123456789abcdef", "Lee", NotFound),
        (lambda world: "", "Lee", NotFound),
        (lambda world: plan_hash(world), "", Refused),
        (lambda world: plan_hash(world), None, Refused),
    ],
)
def test_an_approval_needs_a_plan_and_a_name(
    world: World, name: Callable[[World], str], by: str | None, error: type[Exception]
) -> None:
    booked(world)
    edit(world, 6, CPM__c=Decimal("9"))
    world.travel()
    with pytest.raises(error):
        world.hub.approve_plan(name(world), by=by)
    assert updates(world) == 0


def test_the_guard_can_be_switched_off(world: World) -> None:
    booked(world, share=100.0, minimum=0)
    edit(world, 8, CPM__c=Decimal("9"))
    world.travel()
    assert updates(world) == 8


def test_a_field_is_emptied_when_it_held_something_and_holds_nothing() -> None:
    before = {"a": 1, "b": None, "c": {"d": "x", "e": ""}, "f": [1], "g": 0, "h": False}
    assert cleared(before, {"a": None, "c": {"d": ""}, "f": [], "g": 0, "h": False}) == ["a", "c.d", "f"]
    assert cleared(before, before) == []
    assert cleared({}, {"a": 1}) == []


# ---------------------------------------------------------------- what bills are made from
def order_there(world: World) -> dict[str, Any]:
    (order,) = world.ads.live("Order")
    return order


def test_one_changed_billing_field_waits_for_an_approval_and_then_goes(world: World) -> None:
    booked(world, minimum=25)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    edit(world, 1, CPM__c=Decimal("9"))
    world.travel()
    assert order_there(world).get("poNumber") is None
    assert world.ads.line_of("00k006A0000")["costPerUnit"]["microAmount"] == 9_000_000, "the price is no bill yet"
    (item,) = [item for item in world.hub.parked() if item.reason == "guard"]
    assert "poNumber is what bills are made from" in item.sentence
    assert world.hub.approve_plan(plan_hash(world), by="Lee").records == 1
    world.rest()
    assert order_there(world)["poNumber"] == "PO-9"
    assert world.hub.status().parked == []
    assert mismatches(world.hub.session) == []
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-10")
    world.travel()
    assert order_there(world)["poNumber"] == "PO-9", "an approval is for one content"


def test_a_billing_field_set_with_the_order_asks_nobody(world: World) -> None:
    world.book(lines=1)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    world.travel()
    assert order_there(world)["poNumber"] == "PO-9"
    assert world.hub.status().parked == []


def test_an_order_renamed_beside_its_purchase_order_asks_nobody(world: World) -> None:
    world.book(lines=1)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    world.travel()
    world.crm.put("Opportunity", "006A", Name="Renamed")
    world.travel()
    assert "Renamed" in order_there(world)["name"]


def test_the_connection_says_which_fields_bills_are_made_from(world: World) -> None:
    booked(world, minimum=25)
    world.configure("gam-main", guard=GuardSettings(billing_fields=("price.rate",)))
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    edit(world, 2, CPM__c=Decimal("9"))
    world.travel()
    assert order_there(world)["poNumber"] == "PO-9"
    assert world.ads.line_of("00k006A0000")["costPerUnit"]["microAmount"] == 12_500_000
    assert len([item for item in world.hub.parked() if item.reason == "guard"]) == 2


def test_resync_by_name_approves_a_billing_field(world: World) -> None:
    booked(world, minimum=25)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    world.travel()
    world.hub.resync("006A")
    world.rest()
    assert order_there(world)["poNumber"] == "PO-9"


def looking(world: World, looks: bool) -> None:
    """Whether the hub looks at a record before it updates it; without, nothing acknowledged is left after a doubt."""
    world.configure("gam-main", check_before_update=looks)


@pytest.mark.parametrize("looks", [True, False])
def test_a_doubtful_update_does_not_blind_the_guard_to_a_billing_field(world: World, looks: bool) -> None:
    booked(world, minimum=25)
    looking(world, looks)
    world.crm.put("Opportunity", "006A", Name="Renamed")
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 1
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    world.hub.intake("sfdc")
    world.machine.advance(70)
    world.rest()
    assert order_there(world).get("poNumber") is None, "what bills are made from is not sent unapproved"
    world.hub.approve_plan(plan_hash(world), by="Lee")
    world.rest()
    assert order_there(world)["poNumber"] == "PO-9"


def test_a_billing_field_that_was_approved_goes_again_after_its_reply_was_lost(world: World) -> None:
    booked(world, minimum=25)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-9")
    world.travel()
    world.ads.lose_request()
    world.hub.approve_plan(plan_hash(world), by="Lee")
    world.rest()
    assert order_there(world)["poNumber"] == "PO-9", "one approval, however often it has to be sent"


@pytest.mark.parametrize("looks", [True, False])
def test_emptying_one_field_on_many_records_is_held_after_doubtful_updates_too(world: World, looks: bool) -> None:
    world.crm.account("001A", "Acme")
    for number in range(6):
        world.crm.opportunity(f"006{number}", f"Order {number}", "001A", PO_Number__c=f"PO-{number}")
        for line in range(20):
            world.crm.line(f"00k{number}{line:02}", f"006{number}")
    guarded(world)
    looking(world, looks)
    world.travel()
    for number in range(5):
        world.crm.put("Opportunity", f"006{number}", Name=f"Renamed {number}")
    world.hub.intake("sfdc")
    world.ads.lose_request()
    assert world.hub.push("gam-main").in_doubt == 5
    for number in range(5):
        world.crm.put("Opportunity", f"006{number}", PO_Number__c=None)
    world.hub.intake("sfdc")
    world.machine.advance(70)
    world.hub.settle("gam-main")
    world.hub.push("gam-main")
    (group,) = world.hub.status().parked
    assert "poNumber is emptied on 5 of 6 order records" in group.sentence

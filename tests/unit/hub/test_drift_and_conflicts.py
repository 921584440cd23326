"""A foreign edit of a field that is ours is never silently overwritten; what belongs to the vendor's people is left to them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from connectors.base import Operation
from hub.config import ConnectionSettings, DriftPolicy
from hub.errors import Refused
from hub.ops.correspondence import mismatches
from hub.sync.ownership import only_ours, owners_of, vendors_own
from mappings.spec import Owner

if TYPE_CHECKING:
    from conftest import World


def booked(world: World, lines: int = 1) -> dict[str, Any]:
    world.book(lines=lines)
    world.travel()
    return world.ads.line_of("00k006A0000")


def trafficker(line: dict[str, Any], **fields: Any) -> None:
    """Somebody edits the line item in the ad server's own screen."""
    line.update(fields)


def policy(world: World, **drift: str) -> None:
    """Say what the ad server's connection does about foreign edits."""
    world.configure("gam-main", drift={Owner(k): DriftPolicy(v) for k, v in drift.items()})


def conflicts(world: World) -> list[tuple[str, str]]:
    return [(item.path, item.value) for item in world.hub.parked() if item.reason == "conflict"]


GOAL = {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 5}


# ---------------------------------------------------------------- before an update
def test_an_update_does_not_overwrite_what_somebody_else_changed(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.75"))
    world.travel()
    assert line["primaryGoal"]["units"] == 5
    assert line["costPerUnit"]["microAmount"] == 12_500_000, "nothing of a record in conflict is sent"
    assert conflicts(world) == [("LineItem.primaryGoal.units", "5")]
    (item,) = world.hub.parked()
    assert "to 5 at Google Ad Manager; the order says 1000000" in item.sentence
    assert world.hub.status().connections[1].lanes["drifted"] == 1
    assert world.crm.mirror["00k006A0000"]["Hub_Status__c"] == "Needs attention"
    assert mismatches(world.hub.session) == []


def test_an_edit_that_already_shows_what_we_want_is_no_conflict(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal={**GOAL, "units": 2_000_000})
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert conflicts(world) == []


def test_news_from_the_crm_do_not_push_a_conflict_aside(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    for price in ("13", "14", "15"):
        world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal(price))
        world.travel()
    assert line["primaryGoal"]["units"] == 5
    assert len(conflicts(world)) == 1


def test_resync_writes_the_orders_value(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13"))
    world.travel()
    world.hub.resync("006A")
    world.rest()
    assert (line["primaryGoal"]["units"], line["costPerUnit"]["microAmount"]) == (1_000_000, 13_000_000)
    assert world.hub.status().parked == []


def test_accept_keeps_the_vendors_value_until_ours_changes(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13"))
    world.travel()
    accepted = world.hub.accept("006A", by="Dana", note="make-good")
    assert (accepted.records, accepted.fields) == (1, 1)
    world.rest()
    assert (line["primaryGoal"]["units"], line["costPerUnit"]["microAmount"]) == (5, 13_000_000)
    assert world.hub.drift("gam-main").items == (), "nobody is asked again"
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("14"))
    world.travel()
    assert (line["primaryGoal"]["units"], line["costPerUnit"]["microAmount"]) == (5, 14_000_000)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=77)
    world.travel()
    assert line["primaryGoal"]["units"] == 77, "the order's own value is news"
    assert world.hub.status().parked == []
    assert world.hub.session.database.rows("SELECT * FROM accepted_value") == []
    assert mismatches(world.hub.session) == []


def test_an_accepted_value_that_somebody_changes_again_is_a_new_conflict(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    world.hub.drift("gam-main")
    world.hub.accept("006A")
    trafficker(line, primaryGoal={**GOAL, "units": 6})
    world.hub.drift("gam-main")
    assert conflicts(world) == [("LineItem.primaryGoal.units", "6")]


def test_accepting_what_moved_meanwhile_is_refused(world: World) -> None:
    line = booked(world)
    trafficker(line, primaryGoal=GOAL)
    world.hub.drift("gam-main")
    trafficker(line, primaryGoal={**GOAL, "units": 6})
    with pytest.raises(Refused, match=r"primaryGoal.units of .* moved"):
        world.hub.accept("006A")
    assert conflicts(world) == [("LineItem.primaryGoal.units", "5")]


def test_accepting_without_a_conflict_is_refused(world: World) -> None:
    booked(world)
    with pytest.raises(Refused, match=r"Nothing of ord_.* is in conflict"):
        world.hub.accept("006A")


def test_one_read_for_each_batch_and_none_where_nobody_would_be_asked(world: World) -> None:
    booked(world, lines=20)
    for number in range(20):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", CPM__c=Decimal("13"))
    seen = world.ads.observed
    world.travel()
    assert world.ads.observed == seen + 1
    policy(world, crm="owner_wins", hub="owner_wins")
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("14"))
    world.travel()
    assert world.ads.observed == seen + 1


def test_the_look_can_be_switched_off(world: World) -> None:
    line = booked(world)
    world.configure("gam-main", check_before_update=False)
    trafficker(line, primaryGoal=GOAL)
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13"))
    world.travel()
    assert line["primaryGoal"]["units"] == 1_000_000


# ---------------------------------------------------------------- while all is at rest
def test_drift_finds_an_edit_and_parks_it_with_both_values(world: World) -> None:
    line = booked(world, lines=3)
    trafficker(line, primaryGoal=GOAL, name="Renamed")
    result = world.hub.drift("gam-main")
    assert result.examined == 5
    assert [(item.path, item.present, item.done) for item in result.items] == [
        ("name", "Renamed", "parked"),
        ("primaryGoal.units", 5, "parked"),
    ]
    assert len(conflicts(world)) == 2
    assert world.hub.drift("gam-main").examined == 4, "what is parked is not asked about twice"
    assert mismatches(world.hub.session) == []


def test_the_owner_wins_where_the_connection_says_so(world: World) -> None:
    line = booked(world)
    policy(world, crm="owner_wins")
    trafficker(line, primaryGoal=GOAL)
    (item,) = world.hub.drift("gam-main").items
    assert item.done == "written again"
    world.rest()
    assert line["primaryGoal"]["units"] == 1_000_000
    assert any("foreign edit" in event.what for event in world.hub.trace("006A").events), (
        "overwritten, but not silently"
    )
    assert mismatches(world.hub.session) == []


def test_an_ignored_owner_is_not_asked_about(world: World) -> None:
    line = booked(world)
    policy(world, crm="ignore")
    trafficker(line, primaryGoal=GOAL)
    assert world.hub.drift("gam-main").items == ()


def test_what_belongs_to_the_ad_servers_people_is_theirs(world: World) -> None:
    line = booked(world)
    placeholders = [{"size": {"width": 970, "height": 250, "isAspectRatio": False}}]
    trafficker(line, creativePlaceholders=placeholders, creativeRotationType="OPTIMIZED", allowOverbook=True)
    assert world.hub.drift("gam-main").items == ()
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13"))
    world.travel()
    assert line["creativePlaceholders"] == placeholders
    assert "creativePlaceholders" not in world.ads.calls[-1].items[0].payload
    assert line["costPerUnit"]["microAmount"] == 13_000_000


def test_a_replay_does_not_close_what_drift_found_and_nobody_decided(world: World) -> None:
    line = booked(world, lines=2)
    trafficker(line, primaryGoal=GOAL)
    world.hub.drift("gam-main")
    with pytest.raises(Refused, match=r"1 records have other values at the vendor .* `orderhub resync ORDER` writes"):
        world.hub.replay(reason="conflict", by="Kim")
    world.crm.put("OpportunityLineItem", "00k006A0001", CPM__c=Decimal(-1))
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0001", CPM__c=Decimal(3))
    assert world.hub.replay(by="Kim") == 1, "the other one gets its try"
    world.travel()
    assert conflicts(world) == [("LineItem.primaryGoal.units", "5")]
    world.hub.resync("006A", by="Kim")
    world.travel()
    assert conflicts(world) == []
    assert line["primaryGoal"]["units"] == 1_000_000


def test_what_the_vendor_fills_in_is_no_drift(world: World) -> None:
    line = booked(world)
    trafficker(line, status="DELIVERING", priority=8, stats={"impressionsDelivered": 5}, notes=None)
    assert world.hub.drift("gam-main").items == ()


def test_the_mirror_is_written_again_and_a_hidden_field_is_not(world: World) -> None:
    booked(world)
    world.crm.mirror["006A"]["Hub_Status__c"] = "Whatever"
    del world.crm.mirror["00k006A0000"]["Hub_Status__c"]
    (item,) = world.hub.drift("sfdc").items
    assert (item.path, item.done) == ("Hub_Status__c", "written again")
    world.rest()
    assert world.crm.mirror["006A"]["Hub_Status__c"] != "Whatever"
    assert world.hub.drift("sfdc").items == ()


def test_a_record_that_is_gone_is_left_to_the_census(world: World) -> None:
    booked(world)
    world.ads.objects["LineItem"].clear()
    assert world.hub.drift("gam-main").items == ()
    assert world.hub.status().parked == []


# ---------------------------------------------------------------- ownership
def test_fields_have_owners_by_path_part_or_whole(world: World) -> None:
    mapping = world.hub.session.channel("gam-main").mapping("line", "out")
    assert mapping is not None
    assert owners_of(mapping, "costPerUnit.microAmount") == {Owner.CRM}
    assert owners_of(mapping, "costPerUnit") == {Owner.CRM}
    assert owners_of(mapping, "targeting.geoTargeting") == {Owner.CRM}
    assert owners_of(mapping, "externalId") == {Owner.HUB}
    assert owners_of(mapping, "stats") == set()
    assert vendors_own(world.hub.session.channel("gam-main")) == {Owner.ADSERVER}
    assert vendors_own(world.hub.session.channel("sfdc")) == {Owner.CRM}


def test_no_update_names_a_field_that_is_not_ours(world: World) -> None:
    booked(world, lines=2)
    for number in range(2):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", CPM__c=Decimal("9"), Name=f"New {number}")
    world.crm.put("Opportunity", "006A", Name="Renamed")
    world.travel()
    theirs = vendors_own(world.hub.session.channel("gam-main"))
    for call in world.ads.calls:
        if call.operation is Operation.UPDATE:
            mapping = world.hub.session.channel("gam-main").mapping(
                {"Company": "party", "Order": "order", "LineItem": "line"}[call.record], "out"
            )
            assert mapping is not None
            assert not [name for item in call.items for name in item.payload if owners_of(mapping, name) <= theirs]


def test_a_create_names_every_field(world: World) -> None:
    booked(world)
    create = next(call for call in world.ads.calls if call.record == "LineItem")
    assert "creativePlaceholders" in create.items[0].payload


def test_only_updates_are_cut(world: World) -> None:
    assert only_ours(world.hub.session.channel("gam-main"), []) == []


@pytest.mark.parametrize("drift", [{"nobody": "ignore"}, {"crm": "sometimes"}])
def test_a_policy_that_does_not_exist_is_refused(drift: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ConnectionSettings.model_validate({"connector": "gam", "drift": drift})

"""Plan shows everything and writes nothing; the CRM sees one true sentence."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.base import DeliveryRow, Outcome, PushResult
from connectors.errors import AuthFailed, ConnectorError, RetryLater
from hub.errors import ConnectionBroken, NotFound, VendorUnavailable
from oms_schema.problems import Reason

if TYPE_CHECKING:
    from conftest import World

TABLES = ("lane", "attempt", "reference", "lookup", "parked", "journal", "entity", "change", "projection", "bucket")


def counts(world: World) -> list[int]:
    return [world.hub.session.database.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


def test_plan_lists_every_difference_and_every_problem_and_writes_nothing(world: World) -> None:
    world.book(lines=2)
    world.crm.line("00kBAD", "006A", CPM__c=None, Name="", Cost_Type__c="CPX")
    world.hub.intake("sfdc")
    before = counts(world)
    plan = world.hub.plan()
    assert counts(world) == before
    assert world.ads.calls == []
    actions = sorted((item.kind, item.action) for item in plan.items if item.connection == "gam-main")
    assert actions == [
        ("line", "create"),
        ("line", "create"),
        ("order", "create"),
        ("order_status", "act"),
        ("party", "create"),
    ]
    (blocked,) = [item for item in plan.items if item.action == "blocked"]
    assert len(blocked.problems) >= 3, "all at once, not one by one"
    assert world.hub.plan().plan_hash == plan.plan_hash


def test_the_plans_hash_moves_with_what_the_hub_knows_and_not_with_what_somebody_edits_unseen(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.75"))
    world.hub.intake("sfdc")
    first = world.hub.plan("gam-main").plan_hash
    assert world.hub.plan("gam-main").plan_hash == first
    (line,) = world.ads.live("LineItem")
    line["costPerUnit"] = {**line["costPerUnit"], "microAmount": 1}
    assert world.hub.plan("gam-main").plan_hash == first, "the vendor is not asked"
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.8"))
    world.hub.intake("sfdc")
    moved = world.hub.plan("gam-main").plan_hash
    assert moved != first
    world.hub.push("gam-main")
    assert [item.code for item in world.hub.parked()] == ["FOREIGN-EDIT"], "what the hash does not see, the update does"


def test_plan_after_apply_is_empty(world: World) -> None:
    world.book(lines=2)
    world.travel()
    assert world.hub.plan().items == []


def test_plan_shows_what_changes_field_by_field(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.75"))
    world.hub.intake("sfdc")
    (item,) = world.hub.plan("gam-main").items
    assert item.action == "update"
    assert [change[0] for change in item.changes] == ["costPerUnit"]


def test_values_in_are_expressed_plus_listed(world: World) -> None:
    world.ads.names = {("Geo_Target:COUNTRY", "united states"): "2840", ("Geo_Target:REGION", "Texas"): "21176"}
    world.book(lines=0)
    world.crm.line(
        "00k1", "006A", Geo_Countries__c="united states", Geo_Regions__c="Texas,Atlantis", Interests__c="Music Fans"
    )
    world.hub.intake("sfdc")
    plan = world.hub.plan("gam-main")
    assert (plan.values_asked, plan.values_lost) == (4, 2)
    assert plan.values_expressed + plan.values_lost == plan.values_asked
    lost = [loss for item in plan.items for loss in item.losses]
    assert sorted(value for _, value, _ in lost) == ["Atlantis", "Music Fans"]
    world.rest()
    (line,) = world.ads.live("LineItem")
    assert "Atlantis" in line["notes"]
    assert "Music Fans" in line["notes"]


def test_the_crm_sees_where_the_order_stands(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.hub.observe("gam-main")
    world.rest()
    mirror = world.crm.mirror["006A"]
    assert mirror["Hub_Status__c"] == "Scheduled"
    assert mirror["Hub_Status_Text__c"] == "Scheduled in Google Ad Manager: 2 of 2 lines; 0.00 % delivered."
    assert world.crm.mirror["00k006A0000"]["Hub_Status__c"] == "Scheduled"


def test_the_crm_sees_why_a_record_never_became_an_order(world: World) -> None:
    world.book(lines=1)
    world.crm.line("00kBAD", "006A", CPM__c=None)
    world.travel()
    assert world.crm.mirror["00kBAD"]["Hub_Status__c"] == "Needs attention"
    assert "CPM__c" in world.crm.mirror["00kBAD"]["Hub_Status_Text__c"]
    assert "1 line needs" in world.crm.mirror["006A"]["Hub_Status_Text__c"]


def test_the_crm_sees_trouble_of_the_order_itself_while_its_lines_are_well(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.hub.observe("gam-main")
    world.crm.put("Opportunity", "006A", Name="Acme summer")
    world.ads.misbehave = [
        lambda _record, _operation, items: [
            PushResult(item.key, Outcome.REJECTED, item.vendor_id, "NOT-NOW", "refused", reason=Reason.VENDOR_STATE)
            for item in items
        ]
    ]
    world.travel()
    (item,) = world.hub.parked()
    assert item.kind == "order"
    mirror = world.crm.mirror["006A"]
    assert mirror["Hub_Status_Text__c"].startswith(
        f"Scheduled in Google Ad Manager: 2 of 2 lines; 0.00 % delivered. The order needs {item.owner}: "
    )
    assert item.sentence[:40] in mirror["Hub_Status_Text__c"]


def test_the_crm_sees_that_a_company_holds_up_its_orders(world: World) -> None:
    refusing = world.refuse("Company")
    world.book(lines=1)
    world.travel()
    (item,) = world.hub.parked()
    assert item.kind == "party"
    world.book(lines=1, order="006B")  # comes when it is parked already
    world.travel()
    world.machine.advance(11)
    world.rest()
    for order in ("006A", "006B"):
        mirror = world.crm.mirror[order]
        assert f"The order needs {item.owner}: " in mirror["Hub_Status_Text__c"]
        assert item.sentence[:40] in mirror["Hub_Status_Text__c"]
        assert mirror["Hub_Next_Step_Owner__c"] == item.owner
    refusing.on = False
    world.crm.account("001A", "Acme & Sons")
    world.travel()
    assert world.hub.parked() == []
    assert all("needs" not in world.crm.mirror[order]["Hub_Status_Text__c"] for order in ("006A", "006B"))


def test_a_company_that_cannot_be_renamed_is_no_trouble_of_an_order_that_is_there(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.refuse("Company")
    world.crm.account("001A", "Acme & Sons")
    world.travel()
    (item,) = world.hub.parked()
    assert item.kind == "party"
    assert "needs" not in world.crm.mirror["006A"]["Hub_Status_Text__c"]


def deliver(world: World, rows: list[tuple[date, int]], line: str | None = None) -> tuple[int, int, int]:
    vendor_id = line or next(iter(world.ads.objects["LineItem"]))
    world.ads.report = [DeliveryRow(day, vendor_id, "1", impressions) for day, impressions in rows]
    job = world.hub.start_delivery("gam-main").job
    assert world.hub.poll_delivery("gam-main", job).state == "ready"
    loaded = world.hub.load_delivery("gam-main", job)
    return loaded.facts_new, loaded.facts_restated, loaded.quarantined


def test_a_mirror_that_waits_for_an_order_that_cannot_move_says_when_it_goes(world: World) -> None:
    """Else whoever works until nothing is due any more ends before the CRM was told why nothing is live."""
    world.refuse()
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    held = world.hub.push("sfdc")
    assert (held.calls, held.waiting) == (0, 3)
    assert held.next_due is not None
    assert held.next_due > world.machine.now()
    world.machine.advance((held.next_due - world.machine.now()).total_seconds())
    told = world.hub.push("sfdc")
    assert (told.records, told.waiting, told.next_due) == (3, 0, None)


def test_delivery_is_mirrored_and_a_restatement_keeps_the_old_number(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    days = [(date(2026, 2, 1), 1000), (date(2026, 2, 2), 500)]
    assert deliver(world, days) == (2, 0, 0)
    world.business.advance(86400)
    assert deliver(world, [*days[:1], (date(2026, 2, 2), 450)]) == (0, 1, 0)
    assert world.hub.status().delivered == 1450
    facts = world.hub.session.database.rows("SELECT impressions FROM delivery_fact ORDER BY as_of, day")
    assert [row[0] for row in facts] == [1000, 500, 450]
    world.rest()
    assert world.crm.mirror["006A"]["Hub_Delivered__c"] == 1450
    world.business.advance(86400)
    assert deliver(world, [*days[:1], (date(2026, 2, 2), 450)]) == (0, 0, 0), "nothing new, nothing written"


def test_a_pulled_report_with_a_tenfold_day_of_clicks_waits_until_somebody_accepts_it(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    vendor_id = next(iter(world.ads.objects["LineItem"]))
    clicks = [100, 120, 90, 4_000_000]
    world.ads.report = [
        DeliveryRow(date(2026, 2, 1 + n), vendor_id, "1", 50_000, many) for n, many in enumerate(clicks)
    ]
    job = world.hub.start_delivery("gam-main").job
    world.hub.poll_delivery("gam-main", job)
    for _ in range(2):
        with pytest.raises(ConnectionBroken, match=f"4,000,000 clicks on 2026-02-04.*delivery accept.*{job}") as held:
            world.hub.load_delivery("gam-main", job)
        assert "--accept-outliers" not in str(held.value), "there is one way to accept a pulled report"
    assert world.hub.session.database.rows("SELECT 1 FROM delivery_day") == []
    assert world.hub.load_delivery("gam-main", job, accept_outliers_by="Ada").facts_new == 4
    world.business.advance(86_400)
    world.ads.report[0] = DeliveryRow(date(2026, 2, 1), vendor_id, "1", 50_001, 100)
    job = world.hub.start_delivery("gam-main").job
    world.hub.poll_delivery("gam-main", job)
    assert world.hub.load_delivery("gam-main", job).facts_restated == 1, "what somebody accepted is not held again"


def test_a_pulled_day_of_ten_times_the_others_is_usual_and_one_beyond_twice_the_goal_is_not(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    vendor_id, line = next(iter(world.ads.objects["LineItem"].items()))
    goal = int(line["primaryGoal"]["units"])
    launch = max(10_000, goal // 2)
    days = [launch // 20, launch // 20, launch // 20, launch]
    assert launch <= goal, "the day of the launch is within what is booked"
    world.ads.report = [DeliveryRow(date(2026, 2, 1 + n), vendor_id, "1", many, 0) for n, many in enumerate(days)]
    job = world.hub.start_delivery("gam-main").job
    world.hub.poll_delivery("gam-main", job)
    assert world.hub.load_delivery("gam-main", job).facts_new == 4
    world.business.advance(86_400)
    world.ads.report[3] = DeliveryRow(date(2026, 2, 4), vendor_id, "1", 2 * goal + 1, 0)
    job = world.hub.start_delivery("gam-main").job
    world.hub.poll_delivery("gam-main", job)
    with pytest.raises(ConnectionBroken, match=f"{2 * goal + 1:,} impressions on 2026-02-04"):
        world.hub.load_delivery("gam-main", job)


def test_a_retried_start_takes_up_the_report_it_asked_for(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    first = world.hub.start_delivery("gam-main").job
    world.business.advance(90)
    assert world.hub.start_delivery("gam-main").job == first
    world.business.advance(86400)
    assert world.hub.start_delivery("gam-main").job != first


def test_delivery_for_a_line_nobody_knows_is_shown_not_dropped(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    assert deliver(world, [(date(2026, 2, 1), 7)], line="999999") == (0, 0, 1)
    assert world.hub.status().delivered == 0


@pytest.mark.parametrize("rows", [[(date(2026, 2, 1), -5)], [(date(2031, 2, 1), 5)]], ids=["negative", "foreign day"])
def test_a_report_that_cannot_be_is_refused_whole(world: World, rows: list[tuple[date, int]]) -> None:
    world.book(lines=1)
    world.travel()
    world.business.time = world.business.time.replace(month=2, day=10)
    with pytest.raises(ConnectionBroken, match="Nothing of it was loaded"):
        deliver(world, [(date(2026, 2, 1), 100), *rows])
    assert world.hub.status().delivered == 0


@pytest.mark.parametrize("name", ["006A", "Acme spring 006A", "ad-00k006A0000", "00k006A0000"])
def test_an_order_is_found_by_any_of_its_ids(world: World, name: str) -> None:
    world.book(lines=1)
    world.travel()
    trace = world.hub.trace(name)
    assert trace.name == "Acme spring 006A"
    assert any(event.what == "answer: created" for event in trace.events)


def test_a_trace_of_nothing_says_so(world: World) -> None:
    with pytest.raises(NotFound, match="No order answers"):
        world.hub.trace("nonsense")


@pytest.mark.parametrize("trouble", [RetryLater("BUSY", "not now", 30.0), AuthFailed("DENIED", "log in again")])
def test_a_vendor_that_cannot_be_asked_is_named_and_the_other_connections_are_planned(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: ConnectorError
) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.line("00k006A0009", "006A", Geo_Countries__c="Nowhere")
    world.crm.line("00kBAD", "006A", CPM__c=None)
    world.hub.intake("sfdc")

    def away(*_: object, **__: object) -> dict[str, str]:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(world.ads, "resolve", away)
        plan = world.hub.plan()
        with pytest.raises((VendorUnavailable, ConnectionBroken)):
            world.hub.plan("gam-main")
    (sentence,) = plan.unusable.values()
    assert list(plan.unusable) == ["gam-main"]
    assert str(trouble.code) in sentence
    assert "The 2 writes that are due there cannot be shown; `orderhub plan gam-main` shows them" in sentence
    assert {item.connection for item in plan.items} == {"sfdc"}, "half a connection is not shown"
    assert plan.blocked == 1
    assert world.hub.plan().unusable == {}

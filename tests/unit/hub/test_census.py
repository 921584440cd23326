"""A census finds what neither streams nor look-ups show: what vanished, what exists twice, what nobody refers to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import CensusRow, CreateProtocol, Operation
from connectors.errors import RetryLater
from hub.errors import ConnectionBroken, ConnectionPaused, VendorUnavailable
from hub.ops.correspondence import mismatches
from hub.sync.marks import ours_of

if TYPE_CHECKING:
    from conftest import World

LATER = 3600.0


def settled(world: World, lines: int = 2) -> World:
    world.book(lines=lines)
    world.travel()
    world.machine.advance(LATER)
    return world


def parked(world: World) -> list[tuple[str, str, str]]:
    return [(item.reason, item.code, item.entity_id) for item in world.hub.parked()]


def twin(world: World, record: str = "LineItem", **changes: Any) -> str:
    """A second object with the mark of a first one, as no protocol of ours would make it."""
    vendor_id = str(next(world.ads.ids))
    first = world.ads.line_of("00k006A0000") if record == "LineItem" else next(iter(world.ads.objects[record].values()))
    world.ads.objects[record][vendor_id] = {**first, "id": vendor_id, **changes}
    return vendor_id


def forget(world: World, kind: str) -> None:
    """The store as it would be had it been restored from before anything of a kind was created."""
    with world.hub.session.database.transaction() as cur:
        cur.execute("DELETE FROM reference WHERE connection = 'gam-main' AND kind = %s", (kind,))
        cur.execute("DELETE FROM attempt WHERE lane_id IN (SELECT id FROM lane WHERE kind = %s)", (kind,))
        cur.execute(
            "UPDATE lane SET acked_hash = NULL, acked_payload = NULL, acked_version = NULL WHERE kind = %s "
            "AND connection = 'gam-main'",
            (kind,),
        )


def test_a_count_of_what_agrees_changes_nothing(world: World) -> None:
    settled(world)
    before = len(world.ads.calls)
    counted = world.hub.census("gam-main")
    assert counted.agrees
    assert (counted.counted, counted.gone, counted.adopted) == (4, 0, 0)
    world.rest()
    assert len(world.ads.calls) == before
    assert world.hub.status().parked == []


def test_a_record_that_was_deleted_there_is_found_and_not_created_again_unasked(world: World) -> None:
    settled(world)
    gone = next(iter(world.ads.objects["LineItem"]))
    del world.ads.objects["LineItem"][gone]
    assert world.hub.census("gam-main").gone == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    ((reason, code, _),) = parked(world)
    assert (reason, code) == ("vendor_state", "RECORD-GONE")
    assert "a replay creates it anew" in world.hub.parked()[0].fix
    assert world.hub.replay(code="RECORD-GONE") == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 2
    assert {line["status"] for line in world.ads.live("LineItem")} == {"READY"}, "and its order is approved again"
    world.machine.advance(LATER)
    assert world.hub.census("gam-main").agrees
    assert mismatches(world.hub.session) == []


def test_a_deleted_order_is_made_again_with_its_lines_when_asked(world: World) -> None:
    settled(world)
    world.ads.objects["Order"].clear()
    world.ads.objects["LineItem"].clear()
    assert world.hub.census("gam-main").gone == 3
    world.hub.replay(code="RECORD-GONE")
    world.rest()
    (order,) = world.ads.live("Order")
    assert [str(line["orderId"]) for line in world.ads.live("LineItem")] == [order["id"]] * 2
    assert order["status"] == "APPROVED"


def test_what_is_too_young_for_a_look_up_proves_nothing(world: World) -> None:
    world.book(lines=1)
    world.travel()
    hidden = dict(world.ads.objects["LineItem"])
    world.ads.objects["LineItem"].clear()
    assert world.hub.census("gam-main").gone == 0
    world.ads.objects["LineItem"].update(hidden)


def test_a_record_that_the_count_missed_and_the_look_up_shows_is_not_gone(world: World) -> None:
    settled(world)
    world.ads.census = lambda record: iter([[]])  # type: ignore[method-assign,assignment]
    assert world.hub.census("gam-main").gone == 0


def test_a_line_that_was_cancelled_anyway_may_be_gone(world: World) -> None:
    settled(world)
    world.crm.put("OpportunityLineItem", "00k006A0000", deleted=True)
    world.travel()
    world.machine.advance(LATER)
    del world.ads.objects["LineItem"][world.ads.line_of("00k006A0000")["id"]]
    assert world.hub.census("gam-main").gone == 1
    assert world.hub.status().parked == []


def test_two_live_records_with_one_mark_are_shown_and_the_one_without_delivery_is_to_go(world: World) -> None:
    settled(world)
    kept = world.ads.line_of("00k006A0000")["id"]
    world.ads.objects["LineItem"][kept]["delivered"] = 5000
    other = twin(world, delivered=0)
    assert world.hub.census("gam-main").duplicates == 1
    (item,) = world.hub.parked()
    assert (item.reason, item.code, item.value) == ("duplicate", "TWO-LIVE-RECORDS", other)
    assert f"archives {other}" in item.fix
    assert "5,000 delivered" in item.sentence
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=7)
    world.travel()
    assert world.ads.objects["LineItem"][kept]["primaryGoal"]["units"] == 7, "the one we know is still kept up to date"
    world.ads.objects["LineItem"][other]["isArchived"] = True
    assert world.hub.census("gam-main").duplicates == 0
    assert world.hub.status().parked == []


def test_when_the_other_one_delivered_it_is_proposed_to_keep_that(world: World) -> None:
    settled(world)
    known = world.ads.line_of("00k006A0000")["id"]
    other = twin(world, delivered=900)
    world.hub.census("gam-main")
    (item,) = world.hub.parked()
    assert f"archives {known}" in item.fix
    assert f"it is {other}" in item.fix


def test_when_both_delivered_a_person_decides(world: World) -> None:
    settled(world)
    world.ads.line_of("00k006A0000")["delivered"] = 10
    twin(world, delivered=900)
    world.hub.census("gam-main")
    assert "decides which one stays" in world.hub.parked()[0].fix


def test_advertiser_and_agency_of_one_account_are_no_duplicates(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Own house", "001A", Agency__c="001A")
    world.crm.line("00k1", "006A")
    world.travel()
    world.machine.advance(LATER)
    assert len(world.ads.live("Company")) == 2
    assert world.hub.census("gam-main").agrees


def test_parts_of_a_split_order_are_no_duplicates_and_a_copy_of_one_is(world: World) -> None:
    world.ads.lines_per_order = 1
    settled(world, lines=3)
    assert world.hub.census("gam-main").agrees
    first = next(iter(world.ads.objects["Order"].values()))
    twin(world, "Order", name=f"Copy of {first['name']}")
    assert world.hub.census("gam-main").duplicates == 1


@pytest.mark.parametrize("kind", ["party", "order", "line"])
def test_a_record_of_ours_that_nobody_refers_to_is_adopted_and_nothing_is_doubled(world: World, kind: str) -> None:
    settled(world)
    forget(world, kind)
    counted = world.hub.census("gam-main")
    assert counted.adopted == (2 if kind == "line" else 1)
    before = [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")]
    world.rest()
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == before
    assert not any(call.operation is Operation.CREATE for call in world.ads.calls[4:])


def test_each_company_is_adopted_in_its_own_role(world: World) -> None:
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Own house", "001A", Agency__c="001A")
    world.crm.line("00k1", "006A")
    world.travel()
    world.machine.advance(LATER)
    sql = "SELECT facet, vendor_id FROM reference WHERE kind = 'party' AND connection = 'gam-main' ORDER BY 1"
    before = world.hub.session.database.rows(sql)
    forget(world, "party")
    assert world.hub.census("gam-main").adopted == 2
    assert world.hub.session.database.rows(sql) == before


def test_a_company_of_a_role_that_is_not_known_yet_does_not_stand_for_another_one(world: World) -> None:
    """A restored store knows the account as an advertiser; as an agency it came afterwards."""
    world.crm.account("001A", "Acme")
    world.crm.opportunity("006A", "Own house", "001A")
    world.crm.line("00k1", "006A")
    world.hub.intake("sfdc")
    kept = world.backup()
    world.crm.opportunity("006B", "Own house again", "001A", Agency__c="001A")
    world.crm.line("00k2", "006B")
    world.travel()
    (agency,) = [company["id"] for company in world.ads.live("Company") if company["type"] == "AGENCY"]
    (advertiser,) = [company["id"] for company in world.ads.live("Company") if company["type"] == "ADVERTISER"]
    del world.ads.objects["Company"][advertiser]
    world.restore(kept)
    world.machine.advance(LATER)
    world.hub.census("gam-main")
    assert world.hub.session.database.rows("SELECT facet FROM reference WHERE vendor_id = %s", [agency]) == []
    world.travel()
    companies = {company["type"]: company["id"] for company in world.ads.live("Company")}
    assert companies["AGENCY"] == agency
    assert len(companies) == len(world.ads.live("Company")) == 2


@pytest.mark.parametrize("lines", [1, 2])
def test_an_order_that_had_one_part_when_it_was_sent_is_adopted_as_the_first(world: World, lines: int) -> None:
    world.ads.lines_per_order = 1
    world.book(lines=1)
    kept = world.backup()
    world.travel()
    (order,) = world.ads.live("Order")
    world.restore(kept)
    if lines == 2:
        world.crm.line("00k006A0001", "006A")
    world.hub.intake("sfdc")
    world.machine.advance(LATER)
    counted = world.hub.census("gam-main")
    assert (counted.adopted, counted.waiting, counted.unknown) == (3, 0, ()), "the company, the order, the line"
    world.rest()
    names = {each["id"]: each["name"] for each in world.ads.live("Order")}
    assert len(names) == lines
    assert order["id"] in names
    assert len(world.ads.live("LineItem")) == lines


def test_a_first_part_in_doubt_is_not_taken_for_the_second(world: World) -> None:
    world.ads.lines_per_order = 1
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.misbehave = [lambda *_: None]
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 1
    (order,) = world.ads.live("Order")
    world.crm.line("00k006A0001", "006A")
    world.hub.intake("sfdc")
    counted = world.hub.census("gam-main")
    assert (counted.adopted, counted.waiting) == (0, 1)
    world.travel()
    sql = "SELECT facet FROM reference WHERE vendor_id = %s AND superseded_at IS NULL"
    assert world.hub.session.database.rows(sql, [order["id"]]) == [("1",)]
    assert len(world.ads.live("Order")) == 2


def test_a_record_that_no_lane_is_for_is_told_and_waits_for_nobody(world: World) -> None:
    settled(world)
    name = next(iter(world.ads.objects["Order"].values()))["name"]
    part = twin(world, "Order", name=f"{name.removesuffix(']')} 7/7]")
    forget(world, "order")
    counted = world.hub.census("gam-main")
    assert (counted.adopted, counted.waiting) == (1, 0)
    assert part not in [row[0] for row in world.hub.session.database.rows("SELECT vendor_id FROM reference")]


def test_a_mark_of_ours_that_means_nothing_to_us_is_told(world: World) -> None:
    settled(world)
    stranger = "lin_" + "a" * 24
    vendor_id = twin(world, externalId=stranger)
    twin(world, externalId="somebody else's")
    counted = world.hub.census("gam-main")
    assert counted.unknown == (("LineItem", vendor_id, stranger),)
    assert not counted.agrees


def test_what_is_being_settled_is_left_to_settling(world: World) -> None:
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    world.hub.push("gam-main")
    counted = world.hub.census("gam-main")
    assert (counted.waiting, counted.adopted) == (1, 0)
    world.rest()
    assert len(world.ads.live("LineItem")) == 1


def test_a_record_that_came_late_is_left_to_settling_which_knows_what_was_sent(world: World) -> None:
    """Adopted as it stands, the next update would write over what somebody changed since, unseen."""
    world.configure("gam-main", check_before_update=True)
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.hub.intake("sfdc")
    world.ads.lose_request()
    world.hub.push("gam-main")
    world.machine.advance(66)
    world.hub.settle("gam-main")
    world.machine.advance(66)
    assert world.hub.settle("gam-main").resent == 1, "not there, twice"
    late = world.ads.calls[-1]
    world.ads.apply(late.record, late.operation, late.items[0])
    world.machine.advance(66)
    counted = world.hub.census("gam-main")
    assert (counted.adopted, counted.waiting) == (0, 1)
    assert world.hub.push("gam-main").records == 0
    (line,) = world.ads.live("LineItem")
    line["notes"] = "by phone"
    world.hub.settle("gam-main")
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.75"))
    world.travel()
    assert [item.reason for item in world.hub.parked()] == ["conflict"]
    assert (len(world.ads.live("LineItem")), line["notes"]) == (1, "by phone")
    assert world.hub.audit_mismatches() == []


def test_what_somebody_changed_in_a_record_that_a_person_was_asked_about_is_not_overwritten(world: World) -> None:
    """Where no look-up can tell, only the census knows the record, and the lane what was sent."""
    world.configure("gam-main", check_before_update=True)
    world.ads.line_protocol = CreateProtocol.NONE
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None] * 2
    world.ads.lose_reply()
    world.travel()
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]
    (line,) = world.ads.live("LineItem")
    line["notes"] = "by phone"
    world.machine.advance(66)
    assert world.hub.census("gam-main").adopted == 1
    assert world.hub.parked() == []
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("13.75"))
    world.travel()
    assert [item.reason for item in world.hub.parked()] == ["conflict"]
    assert (len(world.ads.live("LineItem")), line["notes"]) == (1, "by phone")
    assert world.hub.audit_mismatches() == []


def test_a_record_that_no_look_up_finds_is_adopted_as_it_stands(world: World) -> None:
    """A store that is gone made it under a name that the restored one never sent."""
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.lose_request()
    world.hub.push("gam-main")
    sent = world.ads.calls[-1]
    assert sent.record == "Company"
    world.ads.apply(
        sent.record, sent.operation, replace(sent.items[0], payload={**sent.items[0].payload, "name": "Renamed"})
    )
    world.machine.advance(LATER)
    assert world.hub.settle("gam-main").resent == 1
    counted = world.hub.census("gam-main")
    assert (counted.adopted, counted.waiting) == (1, 0)
    world.rest()
    assert [company["name"] for company in world.ads.live("Company")] == ["Acme"]


# ---------------------------------------------------------------- the source
def test_a_source_record_that_vanished_without_a_tombstone_is_cancelled(world: World) -> None:
    settled(world)
    del world.crm.records["OpportunityLineItem"]["00k006A0001"]
    counted = world.hub.census("sfdc")
    assert (counted.vanished, counted.never_read) == (1, 0)
    world.rest()
    assert sorted(line["status"] for line in world.ads.live("LineItem")) == ["ArchiveLineItems", "READY"]
    assert world.hub.census("sfdc").vanished == 0


def test_a_source_record_in_the_recycle_bin_is_cancelled_when_its_tombstone_was_missed(world: World) -> None:
    settled(world)
    world.crm.put("OpportunityLineItem", "00k006A0001", deleted=True)
    assert world.hub.census("sfdc").vanished == 1


def test_a_source_record_behind_the_cursor_is_read_by_id(world: World) -> None:
    settled(world)
    world.crm.line("00kOLD", "006A")
    old = world.crm.records["OpportunityLineItem"].pop("00kOLD")
    world.hub.intake("sfdc")
    world.crm.records["OpportunityLineItem"]["00kOLD"] = old
    counted = world.hub.census("sfdc")
    assert counted.never_read == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 3
    assert world.hub.intake("sfdc").accepted == 0, "reading it again later is no news"


def test_a_record_that_the_source_still_has_is_not_cancelled(world: World) -> None:
    settled(world)
    world.crm.census = lambda record: iter([[]])  # type: ignore[method-assign,assignment]
    assert world.hub.census("sfdc").vanished == 0


def test_when_very_many_vanish_at_once_a_person_is_asked_first(world: World) -> None:
    settled(world, lines=30)
    hidden = dict(world.crm.records["OpportunityLineItem"])
    world.crm.records["OpportunityLineItem"].clear()
    assert world.hub.census("sfdc").vanished == 30
    world.rest()
    assert {line["status"] for line in world.ads.live("LineItem")} == {"READY"}
    (item,) = world.hub.parked()
    assert (item.reason, item.code) == ("guard", "TOO-MANY-GONE")
    assert "30 of 30 OpportunityLineItem records are gone at once" in item.sentence
    world.crm.records["OpportunityLineItem"].update(hidden)
    assert world.hub.census("sfdc").vanished == 0
    assert world.hub.status().parked == [], "it was only a right that was missing"
    world.crm.records["OpportunityLineItem"].clear()
    world.hub.census("sfdc")
    world.hub.approve_plan(world.hub.parked()[0].path, by="Lee")
    world.hub.census("sfdc")
    world.rest()
    assert {item.code for item in world.hub.parked()} == {"PLAN-HELD"}, "and the plan that follows is looked at, too"


# ---------------------------------------------------------------- the verb
class Uncounted:
    """The ad server without the ability to count."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        if name == "census":
            raise AttributeError(name)
        return getattr(self._whole, name)


def test_what_cannot_be_counted_says_so(world: World) -> None:
    world.hub.session.connect = lambda name, settings: Uncounted(world.ads)  # type: ignore[assignment,return-value]
    with pytest.raises(ConnectionBroken, match="cannot be counted"):
        world.hub.census("gam-main")


def test_a_paused_connection_is_not_counted(world: World) -> None:
    world.hub.pause("gam-main")
    with pytest.raises(ConnectionPaused):
        world.hub.census("gam-main")


def test_a_vendor_that_does_not_answer_is_counted_another_time(world: World) -> None:
    settled(world)

    def silent(record: str) -> Any:
        raise RetryLater("503", "maintenance")

    world.ads.census = silent  # type: ignore[method-assign]
    with pytest.raises(VendorUnavailable):
        world.hub.census("gam-main")
    assert world.hub.status().parked == []


def test_a_mark_is_read_from_its_own_field_or_from_the_name() -> None:
    known = {"abcdefghijkl": "ord_abcdefghijklmnopqrstuvwx"}
    line = CensusRow("1", mark="lin_" + "b" * 24)
    assert ours_of(line, known) is not None
    assert ours_of(CensusRow("1", mark="T-1000"), known) is None
    whole = ours_of(CensusRow("1", marker="Spring [abcdefghijkl]"), known)
    part = ours_of(CensusRow("1", marker="Spring [abcdefghijkl 2/3]"), known)
    assert whole is not None
    assert part is not None
    assert (whole.entity_id, whole.part, part.part) == (known["abcdefghijkl"], "", "2")
    assert ours_of(CensusRow("1", marker="Unconditionally mine"), known) is None

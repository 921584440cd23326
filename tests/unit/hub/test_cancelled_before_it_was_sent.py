"""What is cancelled before any vendor holds it is created nowhere; what may be there after all is settled, and archived."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from connectors.base import CreateProtocol, Operation, Outcome, PushItem, PushResult
from connectors.errors import OutcomeUnknown
from hub.sync import push, recovery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import World

NEVER_SENT = "The order was cancelled before it was sent; nothing of it was created in Google Ad Manager."


def lose(world: World, order: str = "006A") -> None:
    """The deal is lost in the CRM, and the hub reads it."""
    world.crm.put("Opportunity", order, StageName="Closed Lost", IsWon=False)
    world.hub.intake("sfdc")


def out_of_sync(world: World) -> list[tuple[object, ...]]:
    return world.hub.session.database.rows(
        "SELECT connection, kind, entity_id, facet, state FROM lane WHERE dirty OR state <> 'ready' ORDER BY 1, 2, 3, 4"
    )


def at_rest(world: World) -> None:
    """Nothing is due, planned or parked, and chain and store tell the same."""
    assert out_of_sync(world) == []
    assert world.hub.plan().items == []
    assert world.hub.parked() == []
    assert list(world.hub.audit_mismatches()) == []


def statuses(world: World, record: str) -> list[str]:
    return [str(each["status"]) for each in world.ads.live(record)]


def rejected(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
    """The vendor finds fault with every record of a call."""
    return [PushResult(item.key, Outcome.REJECTED, code="NO", message="no") for item in items]


def refuse(world: World, record: str) -> None:
    """The next create of this record is put off by the vendor, until it is asked for again."""

    def later(what: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        if what != record or operation is not Operation.CREATE:
            world.ads.misbehave.insert(0, later)
            return None
        return [PushResult(item.key, Outcome.RETRY, code="BUSY", after=30.0) for item in items]

    world.ads.misbehave.append(later)


def test_a_deal_lost_before_it_was_sent_is_created_nowhere_and_says_so(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    lose(world)
    world.rest()
    assert world.ads.live("Order") == world.ads.live("LineItem") == []
    at_rest(world)
    trace = world.hub.trace("006A")
    assert trace.sentence == NEVER_SENT
    assert world.crm.mirror["006A"]["Hub_Status_Text__c"] == NEVER_SENT
    assert world.crm.mirror["00k006A0000"]["Hub_Status__c"] == "Not sent"
    assert sorted(event.what for event in trace.events if "left alone" in event.what) == [
        "line left alone",
        "line left alone",
        "order left alone",
    ]


def test_the_plan_of_a_deal_lost_before_it_was_sent_writes_nothing_of_it(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    lose(world)
    found = {item.kind: (item.action, list(item.changes)) for item in world.hub.plan("gam-main").items}
    assert found["order"] == found["line"] == found["order_status"] == ("unchanged", [])


def test_a_lost_deal_waits_for_no_account_and_asks_nobody_to_mend_its_lines(world: World) -> None:
    world.book(lines=1)
    world.crm.line("00k006A0001", "006A", Geo_Countries__c="Nowhere")

    def refused(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [PushResult(item.key, Outcome.REJECTED, code="NO", message="no such company") for item in items]

    world.ads.misbehave.append(refused)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert [item.kind for item in world.hub.parked()] == ["party"]
    lose(world)
    world.rest()
    assert world.ads.live("Order") == world.ads.live("LineItem") == []
    assert [item.kind for item in world.hub.parked()] == ["party"]
    assert [row[1] for row in out_of_sync(world)] == ["party"]


def test_a_line_cancelled_before_it_was_sent_is_not_created_and_comes_back_when_sales_brings_it_back(
    world: World,
) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0001", True, IsDeleted=True)
    world.travel()
    assert statuses(world, "LineItem") == ["READY"]
    assert statuses(world, "Order") == ["APPROVED"]
    at_rest(world)

    world.crm.put("OpportunityLineItem", "00k006A0001", IsDeleted=False)
    world.travel()
    assert statuses(world, "LineItem") == ["READY", "READY"]
    at_rest(world)

    world.crm.put("OpportunityLineItem", "00k006A0001", True, IsDeleted=True)
    world.travel()
    assert statuses(world, "LineItem") == ["READY", "ArchiveLineItems"]
    at_rest(world)


def test_an_archived_line_that_came_back_is_archived_again_when_it_is_cancelled_again(world: World) -> None:
    world.book(lines=2)
    world.travel()
    archived = 0
    for number in (1, 2):
        world.crm.put("OpportunityLineItem", "00k006A0001", True, IsDeleted=True)
        world.travel()
        archived = sum(
            item.action == "ArchiveLineItems" for call in world.ads.calls for item in call.items if item.action
        )
        assert archived == number
        world.crm.put("OpportunityLineItem", "00k006A0001", IsDeleted=False)
        world.travel()
    at_rest(world)


def test_an_order_whose_every_line_was_cancelled_before_is_created_with_its_first_living_line(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.travel()
    assert world.ads.live("Order") == []
    at_rest(world)
    world.crm.line("00k006A0009", "006A")
    world.travel()
    assert statuses(world, "Order") == ["APPROVED"]
    assert statuses(world, "LineItem") == ["READY"]
    at_rest(world)


def test_an_order_that_is_there_is_not_approved_without_a_line(world: World) -> None:
    world.book(lines=1)
    refuse(world, "LineItem")
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert statuses(world, "Order") == ["DRAFT"]
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.hub.intake("sfdc")
    world.machine.advance(61)
    world.rest()
    assert (statuses(world, "Order"), statuses(world, "LineItem")) == (["DRAFT"], [])
    at_rest(world)
    world.crm.put("OpportunityLineItem", "00k006A0000", IsDeleted=False)
    world.travel()
    assert (statuses(world, "Order"), statuses(world, "LineItem")) == (["APPROVED"], ["READY"])
    at_rest(world)


def test_the_approval_of_an_order_whose_only_line_came_back_is_owed_before_the_order_is_there(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.hub.intake("sfdc")
    world.ads.misbehave.append(rejected)
    world.rest()
    assert [row[1] for row in out_of_sync(world)] == ["party"]
    world.crm.put("OpportunityLineItem", "00k006A0000", IsDeleted=False)
    world.travel()
    assert "order_status" in {item.kind for item in world.hub.plan("gam-main").items}
    assert "order_status" in {row[1] for row in out_of_sync(world)}, "nothing is approved that is not there"
    world.hub.replay()
    world.rest()
    assert (statuses(world, "Order"), statuses(world, "LineItem")) == (["APPROVED"], ["READY"])
    at_rest(world)


def test_the_approval_of_a_draft_whose_only_line_came_back_is_owed_before_the_line_is_there(world: World) -> None:
    world.book(lines=1)
    refuse(world, "LineItem")
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.travel()
    assert statuses(world, "Order") == ["DRAFT"]
    at_rest(world)
    world.crm.put("OpportunityLineItem", "00k006A0000", IsDeleted=False)
    world.ads.misbehave.append(rejected)
    world.travel()
    assert [item.kind for item in world.hub.parked()] == ["line"]
    assert ("order_status", "1", "ready") in {(row[1], row[3], row[4]) for row in out_of_sync(world)}
    world.hub.replay()
    world.rest()
    assert (statuses(world, "Order"), statuses(world, "LineItem")) == (["APPROVED"], ["READY"])
    at_rest(world)


def test_an_approved_order_is_not_approved_again_when_its_only_line_goes_and_comes_back(world: World) -> None:
    world.book(lines=1)
    world.travel()
    sent = len(world.ads.calls)
    for deleted in (True, False):
        world.crm.put("OpportunityLineItem", "00k006A0000", deleted, IsDeleted=deleted)
        world.travel()
    assert "ApproveOrders" not in [item.action for call in world.ads.calls[sent:] for item in call.items]


def test_the_status_of_a_parked_order_without_a_line_is_not_claimed_again_and_again(world: World) -> None:
    world.book(lines=1)
    refuse(world, "LineItem")
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.crm.put("Opportunity", "006A", PO_Number__c="PO-7")
    world.hub.intake("sfdc")
    world.machine.advance(61)
    world.rest()
    assert [group.code for group in world.hub.status().parked] == ["PLAN-HELD"], "a purchase order is for a person"
    fences = "SELECT id, fence FROM lane ORDER BY id"
    before = world.hub.session.database.rows(fences)
    world.hub.push("gam-main")
    assert world.hub.session.database.rows(fences) == before


def test_a_create_whose_reply_was_lost_is_found_and_archived(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.misbehave.append(lambda *_: None)  # the account
    world.ads.lose_reply()
    world.hub.push("gam-main")
    assert statuses(world, "Order") == ["DRAFT"]
    lose(world)
    (order,) = (item for item in world.hub.plan("gam-main").items if item.kind == "order")
    assert order.action == "waiting"
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    assert world.ads.live("LineItem") == []
    assert world.hub.trace("006A").sentence != NEVER_SENT
    at_rest(world)


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_create_that_is_carried_out_late_is_archived_though_a_look_up_found_nothing(
    world: World, asked_before: bool
) -> None:
    """A unique field is looked up as soon as the index may show it: nothing sent again would tell of the late commit."""
    world.book(lines=1)
    world.hub.intake("sfdc")
    kept: list[PushItem] = []

    def late(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        assert record == "Order"
        kept.extend(items)
        raise OutcomeUnknown("TIMEOUT", "no answer")

    world.ads.misbehave += [lambda *_: None, late]
    world.hub.push("gam-main")
    world.machine.advance(6)  # more than the index lags, less than a request may be under way
    if asked_before:
        world.hub.settle("gam-main")
    lose(world)
    for _ in range(4):
        world.hub.push("gam-main")
        world.hub.settle("gam-main")
        world.machine.advance(6)
    assert world.hub.trace("006A").sentence != NEVER_SENT, "nobody knows it yet"
    world.ads.apply("Order", Operation.CREATE, kept[0])
    world.rest()
    world.machine.advance(61)
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    at_rest(world)


@pytest.mark.parametrize("protocol", [CreateProtocol.PROBE, CreateProtocol.UNIQUE_FIELD, CreateProtocol.NATIVE_KEY])
def test_a_create_that_was_never_carried_out_is_not_repeated(world: World, protocol: CreateProtocol) -> None:
    world.ads.line_protocol = protocol
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.misbehave += [lambda *_: None, lambda *_: None]
    world.ads.lose_request()
    world.hub.push("gam-main")
    lose(world)
    sent = len(world.ads.calls)
    world.machine.advance(61)
    world.rest()
    world.machine.advance(61)
    world.rest()
    assert [call.items[0].action for call in world.ads.calls[sent:]] == ["ArchiveOrders"]
    assert world.ads.live("LineItem") == []
    at_rest(world)


def test_of_an_order_in_two_parts_only_the_one_that_is_there_is_archived(world: World) -> None:
    world.ads.lines_per_order = 1
    world.ads.batch = 1
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.ads.misbehave += [lambda *_: None, lambda *_: None]  # the account and the first part
    refuse(world, "Order")
    world.hub.push("gam-main")
    assert len(world.ads.live("Order")) == 1
    lose(world)
    world.machine.advance(61)
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    at_rest(world)
    assert world.hub.trace("006A").sentence != NEVER_SENT


def test_in_recovery_what_a_census_finds_is_archived_and_nothing_is_left_alone_before(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.misbehave.append(lambda *_: None)
    world.ads.lose_reply()
    world.hub.push("gam-main")
    with world.hub.session.database.transaction() as cur:  # as after a restore: nobody knows of the send
        cur.execute("DELETE FROM attempt")
        cur.execute("UPDATE lane SET state = 'ready', not_before = NULL")
    lose(world)
    recovery.begin(world.hub.session, "gam-main", "restored")
    world.hub.push("gam-main")
    assert world.hub.trace("006A").sentence != NEVER_SENT
    world.machine.advance(3600)
    assert recovery.recover(world.hub.session, "gam-main", "restored").ended
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    assert out_of_sync(world) == []


def test_what_a_census_finds_of_a_deal_that_was_left_alone_is_archived(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    payload: list[PushItem] = []

    def kept(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        payload.extend(items)
        return [PushResult(item.key, Outcome.RETRY, code="BUSY", after=1.0) for item in items]

    world.ads.misbehave += [lambda *_: None, kept]
    world.hub.push("gam-main")
    lose(world)
    world.machine.advance(61)
    world.rest()
    at_rest(world)
    world.ads.apply("Order", Operation.CREATE, payload[0])  # a vendor that breaks its word
    assert world.hub.census("gam-main").adopted == 1
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    at_rest(world)


OPEN = {"StageName": "Negotiation/Review", "IsWon": False, "IsClosed": False}
WON = {"StageName": "Closed Won", "IsWon": True, "IsClosed": True}


@pytest.mark.parametrize("between", [{}, OPEN], ids=["won at once", "negotiated again"])
def test_a_deal_lost_before_it_was_ever_booked_goes_live_once_when_it_is_won_after_all(
    between: dict[str, object], world: World
) -> None:
    world.book(lines=2)
    world.crm.put("Opportunity", "006A", **OPEN)
    world.travel()
    lose(world)
    world.rest()
    assert world.ads.calls == []
    if between:
        world.crm.put("Opportunity", "006A", **between)
        world.travel()
        assert world.ads.calls == []
    world.crm.put("Opportunity", "006A", **WON)
    world.travel()
    assert (statuses(world, "Order"), statuses(world, "LineItem")) == (["APPROVED"], ["READY", "READY"])
    at_rest(world)
    lose(world)
    world.rest()
    assert statuses(world, "Order") == ["ArchiveOrders"]
    world.crm.put("Opportunity", "006A", **WON)
    world.travel()
    assert [item.code for item in world.hub.parked()] == ["ORDER-ILLEGAL-MOVE"]
    assert statuses(world, "Order") == ["ArchiveOrders"], "no second one is created"


def test_a_deal_out_of_the_recycle_bin_that_was_never_booked_can_be_won(world: World) -> None:
    world.book(lines=1)
    world.crm.put("Opportunity", "006A", **OPEN)
    world.travel()
    world.crm.put("Opportunity", "006A", True, IsDeleted=True)
    world.travel()
    assert world.hub.status().orders == {"cancelled": 1}
    world.crm.put("Opportunity", "006A", IsDeleted=False, **WON)
    world.travel()
    assert statuses(world, "LineItem") == ["READY"]
    at_rest(world)


def test_a_booked_deal_that_is_lost_and_won_again_is_refused_with_a_sentence_and_stays_uncreated(world: World) -> None:
    """Once booked, a cancellation is an end: the new deal is a new opportunity, and is created."""
    world.book(lines=1)
    world.hub.intake("sfdc")
    lose(world)
    world.rest()
    world.crm.put("Opportunity", "006A", StageName="Closed Won", IsWon=True)
    world.travel()
    assert [item.code for item in world.hub.parked()] == ["ORDER-ILLEGAL-MOVE"]
    assert world.ads.live("Order") == []
    world.book(lines=1, order="006B")
    world.travel()
    assert statuses(world, "Order") == ["APPROVED"]


def test_what_is_parked_of_a_lost_deal_waits_for_nobody_any_more(world: World) -> None:
    """A line that is there and could not be changed, and one that never was there."""
    world.book(lines=3)
    world.travel()
    before = [dict(line) for line in world.ads.live("LineItem")]
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal("3"), Geo_Countries__c="Nowhere")
    world.crm.line("00k006A0003", "006A", Geo_Countries__c="Nowhere")

    def refused(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [
            PushResult(item.key, Outcome.REJECTED, code="NO", message="no", reason="vendor_state") for item in items
        ]

    world.ads.misbehave += [refused, refused]
    world.hub.intake("sfdc")
    world.rest()
    assert len(world.hub.parked()) == 2
    lose(world)
    world.rest()
    assert [dict(line) for line in world.ads.live("LineItem")] == before
    assert statuses(world, "Order") == ["ArchiveOrders"]
    at_rest(world)


def test_an_update_that_was_left_as_it_is_goes_out_when_the_line_comes_back(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0001", Goal_Impressions__c=Decimal(7000))
    world.hub.intake("sfdc")
    with cancelled_in_between(world, "00k006A0001"):
        world.hub.push("gam-main")
    world.rest()
    assert world.ads.line_of("00k006A0001")["primaryGoal"]["units"] == 7000
    at_rest(world)


def test_a_line_that_comes_back_while_it_is_left_alone_is_created(world: World) -> None:
    """Cancelled when its payload was to be made, wanted again when it was to be acknowledged: with the content it was
    claimed with."""
    world.book(lines=2)
    world.hub.intake("sfdc")
    with cancelled_in_between(world, "00k006A0001"):
        world.hub.push("gam-main")
    world.rest()
    assert statuses(world, "LineItem") == ["READY", "READY"]
    at_rest(world)


def test_a_line_that_comes_back_before_its_order_exists_is_not_parked(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.hub.intake("sfdc")
    make = push.prepare
    done: list[str] = []

    def after_it_came_back(*given: object, **more: object) -> object:
        claimed = given[2]
        if not done and claimed and claimed[0].kind == "line":  # type: ignore[index]
            done.append("back")
            world.crm.put("OpportunityLineItem", "00k006A0000", IsDeleted=False)
            world.hub.intake("sfdc")
        return make(*given, **more)  # type: ignore[arg-type]

    with patch.object(push, "prepare", after_it_came_back):
        world.hub.push("gam-main")
    assert done
    assert world.hub.parked() == []
    world.rest()
    assert statuses(world, "LineItem") == ["READY"]
    at_rest(world)


@contextmanager
def cancelled_in_between(world: World, line: str) -> Iterator[None]:
    """While the payloads of lines are made, and only then, this line is cancelled."""
    make = push.prepare

    def flickering(*given: object, **more: object) -> object:
        claimed = given[2]
        if not claimed or claimed[0].kind != "line":  # type: ignore[index]
            return make(*given, **more)  # type: ignore[arg-type]
        world.crm.put("OpportunityLineItem", line, True, IsDeleted=True)
        world.hub.intake("sfdc")
        try:
            return make(*given, **more)  # type: ignore[arg-type]
        finally:
            world.crm.put("OpportunityLineItem", line, IsDeleted=False)
            world.hub.intake("sfdc")

    with patch.object(push, "prepare", flickering):
        yield

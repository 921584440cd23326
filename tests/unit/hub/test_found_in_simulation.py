"""What simulated schedules found in the engine, each as short as it can be told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import DeliveryRow, Operation, Outcome, PushItem, PushResult
from connectors.errors import OutcomeUnknown, RetryLater
from hub.store import breakers, facts, journal, lane_moves, lanes
from hub.store.breakers import CLOSED, Breaker
from hub.store.database import Database

if TYPE_CHECKING:
    from conftest import World


def test_a_value_that_goes_back_while_its_change_is_in_doubt_goes_back_at_the_vendor(world: World) -> None:
    world.book(lines=1)
    world.travel()
    (line,) = world.ads.live("LineItem")
    before = line["primaryGoal"]["units"]

    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(5000))
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 1
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(before))
    world.travel()

    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == before
    assert not world.hub.audit_mismatches()


def test_a_deal_that_is_lost_before_it_was_sent_claims_no_lines_and_leaves_no_draft_behind(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.travel()
    database = world.hub.session.database
    held = database.rows("SELECT state, acked_hash = desired_hash, acked_payload FROM lane WHERE kind = 'line'")
    assert held == [("ready", True, None)] * 2, "nothing is to be done, and nothing is said to be there"
    assert world.ads.live("LineItem") == world.ads.live("Order") == []
    assert world.hub.plan().items == []
    assert world.crm.mirror["00k006A0000"]["Hub_Status__c"] == "Not sent"


def test_a_parked_line_of_a_lost_deal_is_shown_as_not_sent_and_waits_for_nobody(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")

    def refused(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        if record != "LineItem" or operation is not Operation.CREATE:
            world.ads.misbehave.append(refused)
            return None
        first, *rest = items
        no = PushResult(first.key, Outcome.REJECTED, code="X", message="no", reason="vendor_state")
        return [no, *(world.ads.apply(record, operation, item) for item in rest)]

    world.ads.misbehave.append(refused)
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.travel()
    assert world.hub.parked() == []
    assert len(world.ads.live("LineItem")) == 1
    shown = sorted(str(world.crm.mirror[f"00k006A000{number}"]["Hub_Status__c"]) for number in range(2))
    assert "Not sent" in shown, shown


def test_a_lost_deal_that_is_sent_anew_is_not_said_to_hold_what_nobody_wrote(world: World) -> None:
    world.book(lines=1)
    world.travel()
    before = world.ads.live("LineItem")[0]["primaryGoal"]["units"]
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(7777))
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.hub.intake("sfdc")
    world.hub.resync("006A")
    world.rest()
    held = world.hub.session.database.rows(
        "SELECT acked_hash = desired_hash, acked_payload FROM lane WHERE kind = 'line'"
    )
    assert held == [(True, None)], "what the ad server holds is not known any more, and nothing is sent"
    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == before
    assert world.ads.live("Order")[0]["status"] == "ArchiveOrders"


@pytest.fixture
def other_store(world: World) -> Iterator[Database]:
    """A second connection to the same store."""
    other = Database(world.hub.session.database.url)
    yield other
    other.close()


def test_a_breaker_that_is_being_forgotten_can_be_locked(world: World, other_store: Database) -> None:
    store, now = world.hub.session.database, world.machine.now()
    with store.transaction() as cur:
        breakers.save(cur, replace(breakers.locked(cur, "gam-main", "read", now), failures=1))
    locked: list[Breaker] = []

    def lock() -> None:
        with other_store.transaction() as cur:
            locked.append(breakers.locked(cur, "gam-main", "read", now))

    waiting = threading.Thread(target=lock)
    with store.transaction() as cur:
        found = breakers.locked(cur, "gam-main", "read", now)
        waiting.start()
        _until_somebody_waits(cur)
        breakers.save(cur, replace(found, failures=0))
    waiting.join(timeout=60)
    assert [breaker.state for breaker in locked] == [CLOSED]


def test_a_status_that_is_settled_just_when_its_line_comes_back_is_owed_all_the_same(
    world: World, other_store: Database
) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.travel()
    store = world.hub.session.database
    ((order_id, settled),) = store.rows("SELECT entity_id, NOT dirty FROM lane WHERE kind = 'order_status'")
    assert settled, "its only line is cancelled"
    with store.transaction() as cur:
        cur.execute("UPDATE lane SET acked_hash = NULL WHERE kind = 'order_status'")
    owed: list[int] = []

    def owe() -> None:
        with other_store.transaction() as cur:
            owed.append(lane_moves.owe_status(cur, "gam-main", order_id, "1"))

    waiting = threading.Thread(target=owe)
    with store.transaction() as cur:
        cur.execute("UPDATE lane SET acked_hash = desired_hash WHERE kind = 'order_status'")
        waiting.start()
        _until_somebody_waits(cur)
    waiting.join(timeout=60)
    assert owed == [1]
    assert store.rows("SELECT dirty FROM lane WHERE kind = 'order_status'") == [(True,)]


def _until_somebody_waits(cur: Any) -> None:
    for _ in range(100_000):
        cur.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        if cur.fetchone()[0]:
            return
    raise AssertionError("nobody waits for the lock")


def test_a_look_up_that_fails_puts_nothing_back_in_doubt_that_was_settled(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(5000))
    world.crm.line("00k006A0001", "006A")
    world.hub.intake("sfdc")
    world.ads.lose_request()
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 2, "the new line and the changed one"
    world.machine.advance(70)

    def not_now(*_: object) -> None:
        raise RetryLater("HTTP-503", "not now", after=30.0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.ads, "find", not_now)
        assert world.hub.settle("gam-main").adopted == 1
    assert world.hub.push("gam-main").in_doubt == 1, "the change was found, the new line still waits for its look-up"
    assert not world.hub.audit_mismatches()
    world.rest()
    assert len(world.ads.live("LineItem")) == 2


def test_what_waits_is_told_to_the_crm_even_when_a_push_came_between(world: World) -> None:
    world.crm.opportunity("006A", "Spring", "001A")  # an account that the CRM never shows
    world.hub.intake("sfdc")
    world.hub.push("sfdc")
    assert world.hub.replay(by="operator") == 1
    world.hub.push("sfdc")  # nothing is parked in this moment, so nothing is shown
    world.business.advance(60)
    world.hub.intake("sfdc")
    (parked,) = world.hub.parked()
    assert parked.order_id is not None
    with world.hub.session.database.transaction() as cur:
        assert journal.take_stale(cur, 10) == [parked.order_id]


def test_a_report_that_two_workers_load_at_once_is_loaded_once(world: World) -> None:
    world.book(lines=1)
    world.travel()
    (line,) = world.ads.live("LineItem")
    row = DeliveryRow(world.business.now().date(), str(line["id"]), str(line["orderId"]), 100)
    job = world.hub.start_delivery("gam-main", since=row.day, until=row.day).job
    other = world.second_worker()

    def while_another_loads_it(_: str) -> Iterator[DeliveryRow]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(world.ads, "read_delivery", lambda _: iter([row]))
            assert other.load_delivery("gam-main", job).facts_new == 1
        yield row

    with other, pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.ads, "read_delivery", while_another_loads_it)
        assert world.hub.poll_delivery("gam-main", job).state == "ready"
        assert world.hub.load_delivery("gam-main", job).facts_new == 0
    assert world.hub.delivered([world.hub.session.database.rows("SELECT line_id FROM delivery_day")[0][0]])
    assert not world.hub.audit_mismatches()


def test_an_order_is_approved_though_its_only_line_exists_and_refuses_what_was_in_doubt(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lanes, "_READY_TO_SEND", f"l.kind <> 'order_status' AND {lanes._READY_TO_SEND}")
        world.rest()  # the order is not approved yet
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(5000))
    world.hub.intake("sfdc")
    refused = partial(_refused, "LineItem")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lanes, "_READY_TO_SEND", f"l.kind <> 'order_status' AND {lanes._READY_TO_SEND}")
        world.ads.lose_request()
        assert world.hub.push("gam-main").in_doubt == 1
        world.machine.advance(70)
        assert world.hub.settle("gam-main").resent == 1
        world.ads.misbehave.append(refused)
        assert world.hub.push("gam-main").parked == 1

    world.rest()
    (order,) = world.ads.live("Order")
    assert order["status"] == "APPROVED", "the line is there, whatever it holds"


def _refused(wanted: str, record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
    assert record == wanted
    return [PushResult(item.key, Outcome.REJECTED, item.vendor_id, "NO", "no", reason="validation") for item in items]


def test_a_doubt_about_the_mirror_is_no_change_of_the_order(world: World) -> None:
    world.book(lines=1)
    world.travel()
    store = world.hub.session.database
    ((order_id, before),) = store.rows("SELECT order_id, max(business_at) FROM journal WHERE order_id <> '' GROUP BY 1")

    world.business.advance(3600)
    world.crm.line("00k006A0000", "006A", Goal_Impressions__c=Decimal(5000))
    with pytest.MonkeyPatch.context() as patched:
        world.hub.intake("sfdc")
        world.hub.push("gam-main")
        with store.transaction() as cur:
            changed = journal.last_event(cur, [order_id])[order_id]
        assert changed > before
        world.business.advance(1)
        world.machine.advance(61)
        patched.setattr(world.crm, "push", _never_answers)
        assert world.hub.push("sfdc").in_doubt
    with store.transaction() as cur:
        assert journal.last_event(cur, [order_id]) == {order_id: changed}, "else the mirror is stale by its own doing"


def _never_answers(record: str, operation: Operation, items: Sequence[PushItem]) -> list[PushResult]:
    raise OutcomeUnknown("TIMEOUT", "no answer")


def test_a_mirror_that_was_refused_once_shows_no_error_of_its_own(world: World) -> None:
    world.book(lines=1)
    world.travel()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.crm, "push", partial(_refused, "Opportunity"))
        world.crm.opportunity("006A", "Acme spring again", "001A")
        world.hub.intake("sfdc")
        world.hub.push("gam-main")
        world.machine.advance(61)
        assert world.hub.push("sfdc").parked == 1, "its own refusal is no news for it"
    world.crm.opportunity("006A", "Acme spring at last", "001A")
    world.travel()
    world.machine.advance(61)
    world.hub.push("sfdc")

    assert not world.hub.status().parked
    assert world.crm.mirror["006A"].get("Hub_Error_Code__c") is None, "nothing is parked any more"


def test_a_loaded_report_stays_loaded_whatever_a_slow_worker_says_of_it(world: World) -> None:
    world.book(lines=1)
    world.travel()
    today = world.business.now().date()
    job = world.hub.start_delivery("gam-main", since=today, until=today).job
    world.hub.load_delivery("gam-main", job)
    store = world.hub.session.database
    with store.transaction() as cur:
        facts.set_job(cur, "gam-main", job, "ready")
        facts.set_job(cur, "gam-main", job, "failed")
    assert store.rows("SELECT state FROM delivery_job WHERE job = %s", (job,)) == [("loaded",)]
    assert not world.hub.audit_mismatches()


def test_an_order_tells_no_more_of_a_refused_line_that_was_deleted(world: World) -> None:
    world.book(lines=1)
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=None)
    world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
    world.hub.intake("sfdc")
    world.rest()
    assert world.crm.mirror["006A"].get("Hub_Error_Code__c") == "required_missing"
    world.crm.put("OpportunityLineItem", "00k006A0000", True, IsDeleted=True)
    world.hub.intake("sfdc")
    world.rest()
    assert world.hub.status().parked == []
    assert not world.crm.mirror["006A"].get("Hub_Error_Code__c")

"""The status machines: every row can be taken, every guard can refuse, and an illegal move names the legal ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_schema.machines import (
    BILLING,
    COMMERCIAL,
    DELIVERY,
    SYNC,
    Answer,
    BillingFacts,
    Cancellation,
    CommercialFacts,
    DeliveryFacts,
    Finding,
    IllegalMove,
    Machine,
    Origin,
    SyncFacts,
    Transition,
    decision_overdue,
)
from oms_schema.money import Money
from oms_schema.status import BillingStatus, CommercialStatus, DeliveryStatus, SyncStatus

NOW = datetime(2020, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
C, D, B, S = CommercialStatus, DeliveryStatus, BillingStatus, SyncStatus
MACHINES: list[Machine[Any, Any]] = [COMMERCIAL, DELIVERY, BILLING, SYNC]

# The rows of the domain study, word for word; a row that is lost or invented in the tables fails here.
COMMERCIAL_ROWS = {
    (C.DRAFT, C.PROPOSED),
    (C.PROPOSED, C.PENDING_APPROVAL),
    (C.PROPOSED, C.APPROVED),
    (C.PENDING_APPROVAL, C.APPROVED),
    (C.PENDING_APPROVAL, C.REJECTED),
    (C.REJECTED, C.DRAFT),
    (C.APPROVED, C.OUT_FOR_SIGNATURE),
    (C.OUT_FOR_SIGNATURE, C.BOOKED),
    (C.PROPOSED, C.EXPIRED),
    (C.APPROVED, C.EXPIRED),
    (C.OUT_FOR_SIGNATURE, C.EXPIRED),
    (C.BOOKED, C.ON_HOLD),
    (C.ON_HOLD, C.BOOKED),
    (C.BOOKED, C.COMPLETED),
    (C.COMPLETED, C.CLOSED),
    *(
        (status, C.CANCELLED)
        for status in (C.DRAFT, C.PROPOSED, C.PENDING_APPROVAL, C.APPROVED, C.REJECTED, C.OUT_FOR_SIGNATURE, C.BOOKED)
    ),
}
DELIVERY_ROWS = {
    (D.DRAFT, D.PENDING_RESERVATION),
    (D.PENDING_RESERVATION, D.RESERVED),
    (D.PENDING_RESERVATION, D.DECLINED),
    (D.RESERVED, D.EXPIRED),
    (D.DECLINED, D.DRAFT),
    (D.EXPIRED, D.DRAFT),
    (D.RESERVED, D.DRAFT),
    (D.DRAFT, D.PENDING_BOOKING),
    (D.RESERVED, D.PENDING_BOOKING),
    (D.PENDING_BOOKING, D.BOOKED),
    (D.PENDING_BOOKING, D.DECLINED),
    (D.BOOKED, D.READY),
    (D.READY, D.IN_FLIGHT),
    (D.IN_FLIGHT, D.PAUSED),
    (D.PAUSED, D.IN_FLIGHT),
    (D.IN_FLIGHT, D.FINISHED),
    (D.IN_FLIGHT, D.STOPPED),
    (D.RESERVED, D.CANCELLED),
    (D.BOOKED, D.CANCELLED),
    (D.READY, D.CANCELLED),
}
BILLING_ROWS = {
    (B.OPEN, B.AWAITING_FINAL),
    (B.AWAITING_FINAL, B.CALCULATED),
    (B.CALCULATED, B.IN_REVIEW),
    (B.IN_REVIEW, B.DISPUTED),
    (B.DISPUTED, B.IN_REVIEW),
    (B.IN_REVIEW, B.APPROVED),
    (B.DISPUTED, B.APPROVED),
    (B.APPROVED, B.LOCKED),
    (B.LOCKED, B.EXPORTED),
    (B.EXPORTED, B.INVOICED),
    (B.INVOICED, B.PAID),
    (B.LOCKED, B.ADJUSTED),
    (B.EXPORTED, B.ADJUSTED),
    (B.INVOICED, B.ADJUSTED),
    (B.PAID, B.ADJUSTED),
}

# For each machine, sets of facts that between them must satisfy and break every guard.
COMMERCIAL_FACTS = [
    CommercialFacts(),
    CommercialFacts(
        now=NOW,
        version=2,
        frozen_version=2,
        rejected_version=1,
        priced_lines=1,
        submitter="ann",
        approver="bob",
        offer_expires=NOW,
        version_hash="a",
        sent_hash="a",
        signed_hash="a",
        credit_hold="overdue since January",
        line_statuses=(D.FINISHED, D.STOPPED, D.CANCELLED),
        periods_not_locked=0,
        periods_not_acknowledged=0,
        cancellation=Cancellation(reason="budget gone", notice_kept=True, fee=Money.zero("USD")),
        never_wanted=True,
    ),
    CommercialFacts(
        version=2,
        frozen_version=1,
        rejected_version=2,
        approval_rules_hit=("discount",),
        submitter="ann",
        approver="ann",
        offer_expires=NOW + HOUR,
        now=NOW,
        version_hash="a",
        sent_hash="b",
        signed_hash="b",
        purchase_order_required=True,
        credit_hold="limit",
        line_statuses=(D.FINISHED, D.READY),
        periods_not_locked=1,
        periods_not_acknowledged=1,
        cancellation=Cancellation(reason=" ", notice_kept=False),
    ),
    CommercialFacts(offer_expires=NOW, approver="bob"),
]
DELIVERY_FACTS = [
    DeliveryFacts(),
    DeliveryFacts(
        now=NOW,
        start=NOW - HOUR,
        end=NOW,
        hold_expires=NOW + HOUR,
        hold_granted=True,
        reset_by="ann",
        order_booked=True,
        ad_server_id="77",
        creatives_assigned=True,
        order_approved=True,
        delivered=5,
        cancel_reason="budget gone",
    ),
    DeliveryFacts(
        now=NOW,
        start=NOW + HOUR,
        end=NOW + 2 * HOUR,
        hold_expires=NOW,
        hold_granted=False,
        forecast_pending=True,
        booking_refused="goal beyond the limit",
        delivering=True,
        delivery_extended=True,
        pause_reason="user",
        hold_released=True,
        cancel_reason=" ",
    ),
    DeliveryFacts(hold_expires=NOW, end=NOW, run_completed=True, cancel_reason="gone"),
    DeliveryFacts(now=NOW, start=NOW + HOUR, end=NOW + HOUR, hold_expires=NOW + HOUR),
    DeliveryFacts(end=NOW, cancel_reason="gone"),
]
USD_1 = Money.parse("1", "USD")
BILLING_FACTS = [
    BillingFacts(),
    BillingFacts(
        period_ended=True,
        final=True,
        content_hash="a",
        calculated_hash="b",
        prepared_by="ann",
        approved_by="bob",
        approved_hash="a",
        document_id="doc",
        control_hash="c",
        erp_number="INV-1",
        our_total=USD_1,
        their_total=USD_1,
        balance=Money.zero("USD"),
        adjustment_id="doc2",
        withdrawn="Ada and Grace: closed",
    ),
    BillingFacts(
        no_delivery=True,
        content_hash="a",
        calculated_hash="a",
        dispute="14 % above tolerance",
        approved_by="ann",
        prepared_by="ann",
        approved_hash="b",
        our_total=USD_1,
        their_total=Money.parse("0.99", "USD"),
        balance=USD_1,
        mismatch="it is voided",
    ),
    BillingFacts(approved_by="bob", dispute="14 %", resolution="third-party numbers agreed"),
]
SYNC_FACTS = [
    SyncFacts(),
    SyncFacts(
        now=NOW,
        desired_version=3,
        acknowledged_version=2,
        sent_version=2,
        not_before=NOW,
        attempt_written=True,
        answer=Answer.APPLIED,
        finding=Finding.OURS,
        settled_at=NOW,
        native_key=True,
        drift=True,
        conflict=True,
        resolved_by="ann",
        lease_lost=True,
    ),
    SyncFacts(
        now=NOW,
        desired_version=3,
        acknowledged_version=3,
        sent_version=3,
        not_before=NOW + HOUR,
        answer=Answer.REFUSED,
        attempts_left=False,
        finding=Finding.ABSENT,
        settled_at=NOW + HOUR,
        wanted=False,
    ),
    SyncFacts(now=NOW, answer=Answer.NOT_APPLIED, finding=Finding.AMBIGUOUS, settled_at=NOW, attempts_left=False),
    SyncFacts(now=NOW, answer=Answer.NOT_APPLIED, finding=Finding.ABSENT, settled_at=NOW),
    SyncFacts(now=NOW, answer=Answer.UNKNOWN, attempt_written=True, lease_lost=True),
    SyncFacts(not_before=NOW, lease_lost=True, attempt_written=True, desired_version=2, sent_version=1),
    SyncFacts(answer=Answer.APPLIED, desired_version=1, acknowledged_version=1, sent_version=1),
]
FACTS: dict[str, list[Any]] = {
    "commercial": COMMERCIAL_FACTS,
    "delivery": DELIVERY_FACTS,
    "billing": BILLING_FACTS,
    "sync": SYNC_FACTS,
}
EVERY_ROW = [
    pytest.param(m, t, id=f"{m.axis}: {t.source}-{t.target} {t.trigger}") for m in MACHINES for t in m.transitions
]


@pytest.mark.parametrize(
    ("machine", "rows"),
    [(COMMERCIAL, COMMERCIAL_ROWS), (DELIVERY, DELIVERY_ROWS), (BILLING, BILLING_ROWS)],
    ids=lambda value: getattr(value, "axis", "rows"),
)
def test_the_table_holds_every_row_of_the_domain_study_and_marks_what_was_added(
    machine: Machine[Any, Any], rows: set[tuple[Any, Any]]
) -> None:
    assert {(t.source, t.target) for t in machine.transitions if t.origin is Origin.DOMAIN} == rows


@pytest.mark.parametrize(("machine", "row"), EVERY_ROW)
def test_every_guard_can_pass_and_can_refuse(machine: Machine[Any, Any], row: Transition[Any, Any]) -> None:
    for guard in row.guards:
        answers = {guard.refusal(facts) is None for facts in FACTS[machine.axis]}
        assert answers == {True, False}, f"{guard.rule}: {answers}"


@pytest.mark.parametrize(("machine", "row"), EVERY_ROW)
def test_every_row_states_its_trigger_sentence_and_at_least_one_guard(
    machine: Machine[Any, Any], row: Transition[Any, Any]
) -> None:
    assert row.guards
    assert row.trigger
    assert row.sentence.endswith(".")
    assert row.source != row.target
    assert isinstance(row.source, machine.statuses)
    assert isinstance(row.target, machine.statuses)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.axis)
def test_every_status_can_be_reached_and_only_ends_are_terminal(machine: Machine[Any, Any]) -> None:
    reached, todo = {machine.initial}, [machine.initial]
    while todo:
        for target in machine.targets(todo.pop()):
            if target not in reached:
                reached.add(target)
                todo.append(target)
    assert reached == set(machine.statuses)
    ends = {
        "commercial": {C.CLOSED, C.EXPIRED},
        "delivery": {D.FINISHED, D.STOPPED, D.CANCELLED},
        "billing": {B.ADJUSTED},
        "sync": set(),
    }
    assert machine.terminal == ends[machine.axis]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.axis)
def test_facts_that_know_nothing_open_no_way_from_the_start(machine: Machine[Any, Any]) -> None:
    assert machine.allowed(machine.initial, FACTS[machine.axis][0]) == ()


@given(st.data())
def test_move_agrees_with_allowed_for_every_pair_of_statuses(data: st.DataObject) -> None:
    machine = data.draw(st.sampled_from(MACHINES))
    source = data.draw(st.sampled_from(list(machine.statuses)))
    target = data.draw(st.sampled_from(list(machine.statuses)))
    facts = data.draw(st.sampled_from(FACTS[machine.axis]))
    allowed = machine.allowed(source, facts)
    if target in allowed:
        assert machine.move(source, target, facts) is target
    else:
        with pytest.raises(IllegalMove) as caught:
            machine.move(source, target, facts)
        assert caught.value.allowed == tuple(str(status) for status in allowed)
        for status in allowed:
            assert str(status) in str(caught.value)


@given(st.data())
def test_a_path_is_a_chain_of_legal_moves_and_no_shorter_one_exists(data: st.DataObject) -> None:
    machine = data.draw(st.sampled_from(MACHINES))
    source = data.draw(st.sampled_from(list(machine.statuses)))
    target = data.draw(st.sampled_from(list(machine.statuses)))
    facts = data.draw(st.sampled_from(FACTS[machine.axis]))
    levels: list[set[Any]] = [{source}]
    while target not in levels[-1] and (
        wider := levels[-1] | {t for s in levels[-1] for t in machine.allowed(s, facts)}
    ):
        if wider == levels[-1]:
            break
        levels.append(wider)
    if target in levels[-1]:
        path = machine.path(source, target, facts)
        assert len(path) == len(levels) - 1
        status = source
        for row in path:
            assert row.source == status
            status = machine.move(status, row.target, facts)
        assert status == target
    else:
        with pytest.raises(IllegalMove):
            machine.path(source, target, facts)


def test_an_unknown_step_names_the_allowed_moves() -> None:
    with pytest.raises(IllegalMove) as caught:
        COMMERCIAL.move(C.DRAFT, C.CLOSED, COMMERCIAL_FACTS[1])
    assert str(caught.value) == (
        "The order cannot go from draft to closed: there is no such step. It stays draft. "
        "From here it may go to: proposed, cancelled."
    )


def test_a_refused_step_names_the_guard_and_why() -> None:
    with pytest.raises(IllegalMove) as caught:
        COMMERCIAL.move(C.PENDING_APPROVAL, C.APPROVED, CommercialFacts(submitter="ann", approver="ann"))
    assert str(caught.value) == (
        "The order cannot go from pending_approval to approved: pending_approval to approved needs that somebody other "
        "than the submitter decides, but ann did both. It stays pending_approval. "
        "From here it may go to: no other status at present."
    )
    assert [r.rule for r in caught.value.refusals] == ["somebody other than the submitter decides"]


def test_staying_where_one_is_is_no_move_but_an_empty_path() -> None:
    with pytest.raises(IllegalMove, match="it is there already"):
        COMMERCIAL.move(C.BOOKED, C.BOOKED, CommercialFacts())
    assert COMMERCIAL.path(C.BOOKED, C.BOOKED, CommercialFacts()) == ()


def test_a_deal_won_in_the_crm_goes_all_the_way_to_booked() -> None:
    won = CommercialFacts.closed_won(vouched_by="sfdc", version=1, priced_lines=3)
    path = COMMERCIAL.path(C.DRAFT, C.BOOKED, won)
    assert [row.target for row in path] == [C.PROPOSED, C.APPROVED, C.OUT_FOR_SIGNATURE, C.BOOKED]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"priced_lines": 0}, "no line has a price"),
        ({"purchase_order_required": True}, "purchase order"),
        ({"approval_rules_hit": ("below floor",)}, "below floor"),
        ({"vouched_by": None}, "no signature has arrived"),
    ],
)
def test_a_won_deal_stops_where_a_guard_refuses_and_says_which(changes: dict[str, Any], why: str) -> None:
    won = replace(CommercialFacts.closed_won(vouched_by="sfdc", version=1, priced_lines=3), **changes)
    with pytest.raises(IllegalMove, match=why):
        COMMERCIAL.path(C.DRAFT, C.BOOKED, won)


def test_an_approval_that_times_out_is_escalated_and_never_granted() -> None:
    late = CommercialFacts(now=NOW, decision_due=NOW, submitter="ann")
    assert decision_overdue(late)
    assert not decision_overdue(replace(late, now=NOW - HOUR))
    assert COMMERCIAL.allowed(C.PENDING_APPROVAL, late) == ()


def test_an_extended_line_past_its_end_does_not_finish() -> None:
    extended = DeliveryFacts(now=NOW, end=NOW - HOUR, delivery_extended=True, delivered=9, delivering=True)
    assert D.FINISHED not in DELIVERY.allowed(D.IN_FLIGHT, extended)
    assert D.FINISHED in DELIVERY.allowed(D.IN_FLIGHT, replace(extended, delivery_extended=False))


def test_a_line_that_gave_its_inventory_back_resumes_only_after_a_new_check() -> None:
    released = DeliveryFacts(hold_released=True)
    assert DELIVERY.allowed(D.PAUSED, released) == ()
    assert D.IN_FLIGHT in DELIVERY.allowed(D.PAUSED, replace(released, availability_rechecked=True))


def test_a_running_line_is_stopped_and_one_that_never_ran_is_cancelled() -> None:
    running = DeliveryFacts(delivered=1, cancel_reason="buyer left")
    assert DELIVERY.allowed(D.IN_FLIGHT, running) == (D.STOPPED, D.BOOKED)
    assert D.CANCELLED not in DELIVERY.allowed(D.READY, running)
    assert D.CANCELLED in DELIVERY.allowed(D.READY, replace(running, delivered=0))


def test_an_approved_bill_whose_figures_changed_cannot_be_locked() -> None:
    changed = BillingFacts(
        content_hash="new", calculated_hash="old", approved_hash="old", approved_by="b", prepared_by="a"
    )
    assert BILLING.allowed(B.APPROVED, changed) == (B.CALCULATED,)


def test_a_cent_of_difference_stops_the_document() -> None:
    facts = BillingFacts(erp_number="1", our_total=USD_1, their_total=Money.parse("1.01", "USD"))
    with pytest.raises(IllegalMove, match=r"ours is 1\.000000 USD and theirs 1\.010000 USD"):
        BILLING.move(B.EXPORTED, B.INVOICED, facts)


def test_after_the_lock_figures_change_only_by_a_new_document() -> None:
    locked = {B.LOCKED, B.EXPORTED, B.INVOICED, B.PAID}
    forward = [B.LOCKED, B.EXPORTED, B.INVOICED, B.PAID, B.ADJUSTED]
    for status in locked:
        assert all(target in forward for target in BILLING.targets(status))


@pytest.mark.parametrize("finding", [None, Finding.ABSENT])
def test_a_send_in_doubt_is_not_repeated_before_a_look_up_and_the_settle_time(finding: Finding | None) -> None:
    facts = SyncFacts(now=NOW, settled_at=NOW + HOUR, finding=finding, desired_version=1, sent_version=1)
    assert SYNC.allowed(S.IN_DOUBT, facts) == ()
    later = replace(facts, now=NOW + HOUR)
    assert SYNC.allowed(S.IN_DOUBT, later) == (() if finding is None else (S.PENDING,))


def test_a_send_in_doubt_is_repeated_at_once_where_the_vendor_knows_repeats() -> None:
    assert SYNC.allowed(S.IN_DOUBT, SyncFacts(native_key=True)) == (S.PENDING,)


def test_a_lost_worker_is_in_doubt_only_if_its_attempt_was_written() -> None:
    assert SYNC.allowed(S.RUNNING, SyncFacts(lease_lost=True, attempt_written=True)) == (S.IN_DOUBT,)
    assert SYNC.allowed(S.RUNNING, SyncFacts(lease_lost=True)) == (S.PENDING,)

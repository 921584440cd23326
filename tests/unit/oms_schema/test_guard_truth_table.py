"""Each guard, by facts that satisfy it and facts that break it: an inverted or weakened guard fails here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
    Guard,
    Machine,
    SyncFacts,
)
from oms_schema.money import Money
from oms_schema.status import DeliveryStatus

NOW = datetime(2020, 3, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(microseconds=1), NOW + timedelta(microseconds=1)
ONE, ZERO = Money.parse("1", "USD"), Money.zero("USD")
ENDS = (DeliveryStatus.FINISHED, DeliveryStatus.STOPPED, DeliveryStatus.CANCELLED)
FEE = Cancellation(reason="budget gone", notice_kept=True, fee=ZERO)
NO_FEE = Cancellation(reason="budget gone", notice_kept=True)

Facts = dict[str, Any]
# rule: (facts that satisfy it, facts that break it)
TRUTH: dict[str, dict[str, tuple[list[Facts], list[Facts]]]] = {
    "commercial": {
        "at least one line has a price": ([{"priced_lines": 1}], [{}, {"priced_lines": 0}]),
        "the proposal froze the present version": (
            [{"version": 2, "frozen_version": 2}],
            [{}, {"version": 2, "frozen_version": 1}, {"version": 2}],
        ),
        "a rule asks for approval": ([{"approval_rules_hit": ("discount",)}], [{}]),
        "no rule asks for approval": ([{}], [{"approval_rules_hit": ("discount",)}]),
        "somebody other than the submitter decides": (
            [{"submitter": "ann", "approver": "bob"}],
            [{}, {"submitter": "ann"}, {"approver": "bob"}, {"submitter": "ann", "approver": "ann"}],
        ),
        "there is a new version": (
            [{"version": 2, "rejected_version": 1}],
            [{}, {"version": 2}, {"version": 1, "rejected_version": 1}, {"version": 1, "rejected_version": 2}],
        ),
        "the document to sign shows the present version": (
            [{"version_hash": "a", "sent_hash": "a"}, {"vouched_by": "sfdc"}],
            [{}, {"version_hash": "a"}, {"sent_hash": "a"}, {"version_hash": "a", "sent_hash": "b"}],
        ),
        "the present version is signed": (
            [{"version_hash": "a", "signed_hash": "a"}, {"vouched_by": "sfdc"}],
            [
                {},
                {"version_hash": "a", "sent_hash": "a"},
                {"version_hash": "a", "signed_hash": "b"},
                {"vouched_by": ""},
            ],
        ),
        "the purchase order is there if it is required": (
            [{}, {"purchase_order_required": True, "purchase_order": "4711"}],
            [{"purchase_order_required": True}, {"purchase_order_required": True, "purchase_order": ""}],
        ),
        "the offer date has passed": (
            [{"now": NOW, "offer_expires": NOW}, {"now": NOW, "offer_expires": EARLIER}],
            [{}, {"now": NOW}, {"offer_expires": NOW}, {"now": NOW, "offer_expires": LATER}],
        ),
        "credit blocks the order": ([{"credit_hold": "limit"}], [{}]),
        "credit no longer blocks the order": ([{}], [{"credit_hold": "limit"}]),
        "every line has ended": (
            [{"line_statuses": ENDS}],
            [{}, *({"line_statuses": (*ENDS, status)} for status in DeliveryStatus if status not in ENDS)],
        ),
        "every line-period is locked": ([{"periods_not_locked": 0}], [{}, {"periods_not_locked": 1}]),
        "every line-period is acknowledged by the ERP": (
            [{"periods_not_acknowledged": 0}],
            [{}, {"periods_not_acknowledged": 1}],
        ),
        "a reason is given": (
            [{"cancellation": FEE}, {"cancellation": NO_FEE}],
            [{}, {"cancellation": Cancellation(reason=" ", notice_kept=True, fee=ZERO)}],
        ),
        "the cancellation fee is stated": ([{"cancellation": FEE}], [{}, {"cancellation": NO_FEE}]),
        "nothing of it was ever wanted at a vendor": ([{"never_wanted": True}], [{}, {"never_wanted": False}]),
    },
    "delivery": {
        "the hold's expiry lies ahead": (
            [{"now": NOW, "hold_expires": LATER}],
            [{}, {"now": NOW}, {"hold_expires": LATER}, {"now": NOW, "hold_expires": NOW}],
        ),
        "the ad server grants the hold": ([{"hold_granted": True}], [{}, {"hold_granted": False}]),
        "the ad server declines the hold": ([{"hold_granted": False}], [{}, {"hold_granted": True}]),
        "the hold has run out": (
            [{"now": NOW, "hold_expires": NOW}],
            [{}, {"now": NOW}, {"hold_expires": NOW}, {"now": NOW, "hold_expires": LATER}],
        ),
        "a person resets it": ([{"reset_by": "ann"}], [{}]),
        "the order is booked": ([{"order_booked": True}], [{}]),
        "the ad server's id is stored": ([{"ad_server_id": "77"}], [{}, {"ad_server_id": ""}]),
        "the ad server's forecast is made": ([{}], [{"forecast_pending": True}]),
        "the ad server does not refuse the booking": ([{}], [{"booking_refused": "goal"}]),
        "the ad server refuses the booking": ([{"booking_refused": "goal"}], [{}]),
        "a creative is assigned": ([{"creatives_assigned": True}], [{}]),
        "a creative or the approval is missing again": (
            [{}, {"creatives_assigned": True}, {"order_approved": True}],
            [{"creatives_assigned": True, "order_approved": True}],
        ),
        "the order is approved at the ad server": ([{"order_approved": True}], [{}]),
        "the start is reached": (
            [{"now": NOW, "start": NOW}, {"now": NOW, "start": EARLIER}],
            [{}, {"now": NOW}, {"start": NOW}, {"now": NOW, "start": LATER}],
        ),
        "the start is not reached": ([{"now": NOW, "start": LATER}], [{"now": NOW, "start": NOW}, {}, {"now": NOW}]),
        "delivery is seen": ([{"delivered": 1}, {"delivering": True}], [{}]),
        "nothing has run yet": ([{}], [{"delivered": 1}, {"delivering": True}]),
        "somebody wants it paused": ([{"pause_reason": "user"}], [{}]),
        "nobody wants it paused": ([{}], [{"pause_reason": "user"}]),
        "availability was checked again if the inventory was released": (
            [{}, {"hold_released": True, "availability_rechecked": True}],
            [{"hold_released": True}],
        ),
        "the end is reached": (
            [{"now": NOW, "end": NOW}, {"run_completed": True}, {"now": NOW, "end": LATER, "run_completed": True}],
            [
                {},
                {"now": NOW},
                {"end": NOW},
                {"now": NOW, "end": LATER},
                {"now": NOW, "end": EARLIER, "delivery_extended": True},
                {"run_completed": True, "delivery_extended": True},
            ],
        ),
        "a reason is given": ([{"cancel_reason": "buyer left"}], [{}, {"cancel_reason": " "}]),
    },
    "billing": {
        "the billing period has ended": ([{"period_ended": True}], [{}]),
        "the numbers to bill by are final": ([{"final": True}, {"fallback_agreed": True}], [{}]),
        "a live line delivered something": ([{}], [{"no_delivery": True}]),
        "a calculation exists": ([{"content_hash": "a"}], [{}]),
        "a preparer is named": ([{"prepared_by": "ann"}], [{}]),
        "somebody objects to the figures": ([{"dispute": "14 %"}], [{}, {"dispute": "14 %", "resolution": "agreed"}]),
        "any dispute is settled": ([{}, {"dispute": "14 %", "resolution": "agreed"}], [{"dispute": "14 %"}]),
        "somebody other than the preparer approves": (
            [{"prepared_by": "ann", "approved_by": "bob"}],
            [{}, {"prepared_by": "ann"}, {"approved_by": "bob"}, {"prepared_by": "ann", "approved_by": "ANN\u200b"}],
        ),
        "the present figures are the approved ones": (
            [{"content_hash": "a", "approved_hash": "a"}],
            [{}, {"content_hash": "a"}, {"approved_hash": "a"}, {"content_hash": "a", "approved_hash": "b"}],
        ),
        "the figures have changed": (
            [{"content_hash": "a", "calculated_hash": "b"}],
            [{}, {"content_hash": "a"}, {"calculated_hash": "a"}, {"content_hash": "a", "calculated_hash": "a"}],
        ),
        "a document carries the figures": ([{"document_id": "doc"}], [{}]),
        "a control file with row count and totals goes with it": ([{"control_hash": "c"}], [{}]),
        "the ERP gave the document a number": ([{"erp_number": "INV-1"}], [{}]),
        "the ERP's total equals ours to the minor unit": (
            [{"our_total": ONE, "their_total": ONE}],
            [
                {},
                {"our_total": ONE},
                {"their_total": ONE},
                {"our_total": ONE, "their_total": Money.parse("0.99", "USD")},
                {"our_total": ONE, "their_total": Money.parse("1", "EUR")},
            ],
        ),
        "the balance is zero": ([{"balance": ZERO}, {"balance": -ONE}], [{}, {"balance": Money.parse("0.01", "USD")}]),
        "something is open again": ([{"balance": ONE}], [{}, {"balance": ZERO}, {"balance": -ONE}]),
        "the ERP's document differs from ours": ([{"mismatch": "it is voided"}], [{}, {"mismatch": ""}]),
        "somebody took back the document, which the ERP had refused": (
            [{"withdrawn": "Ada and Grace: closed"}],
            [{}, {"withdrawn": ""}],
        ),
        "a new document carries the change": ([{"adjustment_id": "doc2"}], [{}]),
    },
    "sync": {
        "a newer version is wanted than the vendor has": (
            [{"desired_version": 1}, {"desired_version": 2, "acknowledged_version": 1}],
            [{}, {"acknowledged_version": 1}, {"desired_version": 1, "acknowledged_version": 1}],
        ),
        "a newer version is wanted than was sent": (
            [{"desired_version": 2, "sent_version": 1}],
            [{}, {"desired_version": 2}, {"desired_version": 1, "sent_version": 1}],
        ),
        "the lane is due": (
            [{}, {"now": NOW, "not_before": NOW}],
            [{"not_before": NOW}, {"now": NOW, "not_before": LATER}],
        ),
        "the attempt is written down first": ([{"attempt_written": True}], [{}]),
        "no attempt is written down": ([{}], [{"attempt_written": True}]),
        "the vendor applied it": (
            [{"answer": Answer.APPLIED}],
            [{}, *({"answer": a} for a in Answer if a is not Answer.APPLIED)],
        ),
        "the vendor refused it": (
            [{"answer": Answer.REFUSED}],
            [{}, *({"answer": a} for a in Answer if a is not Answer.REFUSED)],
        ),
        "the vendor certainly did not apply it": (
            [{"answer": Answer.NOT_APPLIED}],
            [{}, *({"answer": a} for a in Answer if a is not Answer.NOT_APPLIED)],
        ),
        "nobody knows whether the vendor applied it": (
            [{"answer": Answer.UNKNOWN}, {"lease_lost": True}],
            [{}, *({"answer": a, "lease_lost": True} for a in Answer if a is not Answer.UNKNOWN)],
        ),
        "the worker is gone": ([{"lease_lost": True}], [{}]),
        "the newest version is acknowledged": (
            [{"desired_version": 2, "acknowledged_version": 2}, {"desired_version": 2, "acknowledged_version": 3}],
            [
                {},
                {"acknowledged_version": 1},
                {"desired_version": 2},
                {"desired_version": 2, "acknowledged_version": 1},
            ],
        ),
        "attempts are left": ([{}], [{"attempts_left": False}]),
        "no attempt is left": ([{"attempts_left": False}], [{}]),
        "a look-up found what we wrote": (
            [{"finding": Finding.OURS}],
            [{}, {"finding": Finding.ABSENT}, {"finding": Finding.AMBIGUOUS}],
        ),
        "a look-up found nothing": (
            [{"finding": Finding.ABSENT}],
            [{}, {"finding": Finding.OURS}, {"finding": Finding.AMBIGUOUS}],
        ),
        "a look-up could not tell whose record it is": (
            [{"finding": Finding.AMBIGUOUS}],
            [{}, {"finding": Finding.OURS}, {"finding": Finding.ABSENT}],
        ),
        "the settle time has passed": (
            [{"now": NOW, "settled_at": NOW}],
            [{}, {"now": NOW}, {"settled_at": NOW}, {"now": NOW, "settled_at": LATER}],
        ),
        "the vendor recognises a repeated send": ([{"native_key": True}], [{}]),
        "an owned field differs at the vendor": ([{"drift": True}], [{}]),
        "no owned field differs at the vendor": ([{}], [{"drift": True}]),
        "a person has to decide": ([{"conflict": True}], [{}]),
        "somebody resolved it": ([{"resolved_by": "ann"}], [{}]),
        "the entity no longer belongs at this connection": ([{"wanted": False}], [{}]),
        "the entity belongs at this connection": ([{}], [{"wanted": False}]),
    },
}
MACHINES: dict[str, tuple[Machine[Any, Any], type[Any]]] = {
    "commercial": (COMMERCIAL, CommercialFacts),
    "delivery": (DELIVERY, DeliveryFacts),
    "billing": (BILLING, BillingFacts),
    "sync": (SYNC, SyncFacts),
}


def guards(axis: str) -> dict[str, Guard[Any]]:
    return {guard.rule: guard for row in MACHINES[axis][0].transitions for guard in row.guards}


@pytest.mark.parametrize("axis", MACHINES)
def test_every_guard_is_in_the_truth_table(axis: str) -> None:
    assert set(TRUTH[axis]) == set(guards(axis))
    rules = [guard for row in MACHINES[axis][0].transitions for guard in row.guards]
    assert len({id(guard) for guard in rules}) == len(TRUTH[axis]), "two guards share one rule"


@pytest.mark.parametrize(("axis", "rule"), [(axis, rule) for axis, rules in TRUTH.items() for rule in rules])
def test_a_guard_refuses_what_breaks_it_and_says_why(axis: str, rule: str) -> None:
    make, guard = MACHINES[axis][1], guards(axis)[rule]
    passing, breaking = TRUTH[axis][rule]
    assert [guard.refusal(make(**facts)) for facts in passing] == [None] * len(passing)
    for facts in breaking:
        assert guard.refusal(make(**facts)), facts

"""Send: push and settle one connection until every document is posted, parked, or the patience is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.billing.answers import PostSummary
from hub.errors import VendorUnavailable
from hub.ops import pauses, retry
from hub.session import Session
from hub.store import billing_documents, lane_standing, parking
from hub.store.lanes import DOCUMENT
from hub.store.parking import Selection
from hub.sync import push, recovery, settle

LONGEST_NAP = 5.0
"""Seconds between two looks at work that is not due yet."""

OTHERS_NAP = timedelta(seconds=1)
"""Between two looks at what another worker has in hand."""


def until_at_rest(session: Session, connection: str, wanted: int, patience: float) -> PostSummary:
    """Post what is due at a connection; what waits for a settle time, a quota or a vendor is waited for, parked work is not.

    Waited for is also what another worker is sending: who reads the ledger afterwards must find it there. `patience` is in
    seconds of machine time. Raises ConnectionPaused, ConnectionBroken.
    """
    until = session.machine.now() + timedelta(seconds=patience)
    while True:
        moved, due = _round(session, connection)
        now = session.machine.now()
        if moved and now < until:
            continue
        if due is None and _in_hand_elsewhere(session, connection):
            due = now + OTHERS_NAP
        if due is None or max(due, now) >= until:
            break
        session.sleep(min(LONGEST_NAP, max(0.05, (due - now).total_seconds())))
    with session.database.transaction() as cur:
        posted, waiting = billing_documents.lane_counts(cur, connection)
        items = parking.items(cur, Selection(connection=connection))
    parked = [f"{item.entity_id}: {item.sentence}" for item in items if item.entity_kind == DOCUMENT]
    return PostSummary(connection, wanted=wanted, posted=posted, waiting=waiting - len(parked), parked=parked)


def _in_hand_elsewhere(session: Session, connection: str) -> bool:
    with session.database.transaction() as cur:
        return lane_standing.in_flight(cur, connection) > 0


def _round(session: Session, connection: str) -> tuple[bool, datetime | None]:
    """One push and one settle: whether anything moved, and when the rest falls due."""
    pauses.refuse_if_paused(session, connection)
    try:
        recovery.notice_restore(session)
        pushed = push.push(session, connection)
        retried = retry.retry_parked(session)
        recovery.go_on(session, connection)
        settled = settle.settle(session, connection)
    except VendorUnavailable as unavailable:
        return False, session.machine.now() + timedelta(seconds=unavailable.after)
    done = sum(count for outcome, count in pushed.outcomes.items() if outcome != "postponed")
    due = [when for when in (pushed.next_due, settled.next_due) if when is not None]
    return bool(done or settled.adopted or settled.resent or retried), min(due, default=None)

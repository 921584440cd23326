"""What the hub tries again by itself: parked work whose cause may be gone, by the rules of its reason class."""

from __future__ import annotations

from hub.ops.parked_work import put_back
from hub.ops.reasons import PAUSE, Retry, reasons_with
from hub.session import Session
from hub.store import parking

_RULES = {
    retry: (reasons_with(retry, is_change=False), reasons_with(retry, is_change=True))
    for retry in (Retry.CHECK, Retry.REFERENCE, Retry.SAMPLE)
}


def retry_parked(session: Session) -> int:
    """Put back what the rules say; returns how many records and changes got another try.

    Of a group that is sampled, one item is tried every hour; the others follow once it passed. Paused and broken
    connections are left alone.
    """
    with session.database.transaction() as cur:
        if not parking.any_open(cur):
            return 0
        found = [
            *parking.checked_since(cur, *_RULES[Retry.CHECK]),
            *parking.arrived_since(cur, *_RULES[Retry.REFERENCE]),
            *parking.followers(cur, *_RULES[Retry.SAMPLE]),
            *parking.samples(cur, *_RULES[Retry.SAMPLE], session.machine.now() - PAUSE),
        ]
        due = {item.id: item for item in found if item.connection in session.configuration.connections}
        if not due:
            return 0
        return put_back(session, cur, [due[item_id] for item_id in sorted(due)], parking.RETRIED).tried

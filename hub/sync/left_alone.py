"""Left alone: what was cancelled before its vendor held it is created nowhere, and its lane ends without a call.

That the vendor does not hold it must be sure: a create that may have been applied is settled first, over the whole window, and
what turns out to be there is taken out of the market like everything else.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.session import Channel, Session
from hub.store import attempts, journal, lanes, never_created
from hub.store.journal import Entry
from hub.sync.prepare import STATUS_KINDS, Prepared


def leave_alone(session: Session, channel: Channel, items: Sequence[Prepared]) -> int:
    """Acknowledge these claimed lanes with nothing sent, and tell it; how many.

    What may exist after all goes to be looked up; what is wanted again, or may just be created by somebody, is given back.
    """
    if not items:
        return 0
    now = session.machine.now()
    entries: list[Entry] = []
    left = 0
    with session.database.transaction() as cur:
        claimed = [item.lane for item in items]
        may = never_created.to_leave(cur, claimed)
        creates = [item.lane.id for item in items if item.lane.kind not in STATUS_KINDS]
        doubtful = attempts.doubtful_creates(cur, creates)
        lanes.release(cur, [lane for lane in claimed if lane.id not in may and lane.id not in doubtful], None)
        for item in items:
            lane = item.lane
            if lane.id in doubtful:
                lanes.doubt(cur, lane, now)
            elif lane.id in may and lanes.acknowledge(
                cur, lane, None, lane.desired_hash, lane.desired_version, now, why="cancelled"
            ):
                left += 1
                if lane.kind not in STATUS_KINDS:
                    what = f"{lane.kind} left alone"
                    why = f"cancelled before {channel.connector.title} held it: nothing is created"
                    entries.append(Entry(channel.name, what, why, lane.order_id, lane.kind, lane.entity_id))
        journal.write(cur, entries, now, session.business.now())
        # No answer of a vendor will tell of it, and the CRM still shows it under way.
        journal.mark_stale(cur, [lane.order_id for lane in claimed])
    return left

"""After a restore: what the store may have forgotten is looked for before it is sent, however long ago the restore was.

A store from a backup does not know what was created since. What it wants while the recovery lasts a census adopts. Later a
document is prepared again under the same id, a month or a year after it was posted: its first send is taken to be in doubt
without being sent; settling looks it up, adopts it or sends it, and where no look-up can tell, a person is asked. And a deal that
was lost at that moment may be won once more: what the census then showed to a person is counted again, before it is created.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Operation, Outcome
from hub.session import Channel, Session
from hub.store import attempts, journal, lanes, recoveries
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.sync.outcomes import park, write_attempts
from hub.sync.prepare import Prepared
from oms_schema.problems import Problem, Reason, shown

_MESSAGE = "the store was restored: it may have been sent, and the store does not know of that any more"


def may_be_posted(session: Session, channel: Channel, prepared: Sequence[Prepared]) -> frozenset[int]:
    """The lanes of documents of which nothing was sent since the connection's last recovery ended."""
    suspects = [item.lane.id for item in _creates(prepared) if item.lane.kind == lanes.DOCUMENT]
    if not suspects:
        return frozenset()
    with session.database.transaction() as cur:
        return recoveries.not_sent_since(cur, channel.name, suspects)


def count_again(session: Session, channel: Channel, prepared: Sequence[Prepared]) -> frozenset[int]:
    """Give back what a census has found before its lane was there, and have it counted again; the lanes of it.

    Where that was done already, and the record cannot be told from others of its entity, a person is asked.
    """
    wanted = {item.lane.id: item for item in _creates(prepared) if item.lane.kind != lanes.DOCUMENT}
    if not wanted:
        return frozenset()
    now = session.machine.now()
    with session.database.transaction() as cur:
        found = {each.lane_id: each for each in recoveries.found_before(cur, channel.name, list(wanted))}
        for lane_id, each in found.items():
            item = wanted[lane_id]
            if each.counted_again:
                park(session, cur, channel, item.lane, item.name, [_cannot_be_told(channel, item, each.vendor_id)])
            else:
                lanes.release(cur, [item.lane], None)
        if any(not each.counted_again for each in found.values()):
            cause = "something that a census found and nobody knew is wanted again"
            if recoveries.begin(cur, channel.name, cause, now, anew=False):
                journal.write(cur, [Entry(channel.name, "recovery begun", cause)], now, session.business.now())
    return frozenset(found)


def _creates(prepared: Sequence[Prepared]) -> list[Prepared]:
    return [item for item in prepared if item.operation is Operation.CREATE and not item.left_alone]


def _cannot_be_told(channel: Channel, item: Prepared, vendor_id: str) -> Problem:
    return Problem(
        code="FOUND-BEFORE",
        reason=Reason.AMBIGUOUS,
        path=item.record,
        value=vendor_id,
        happened=f"{channel.connector.title} has {item.record} {vendor_id} with the mark of {shown(item.name, 60)!r}, from "
        "before the database was restored, and a count cannot tell whether it is this one.",
        effect="It is not created, so that it cannot exist twice.",
        fix=f"Ad operations looks at it: `orderhub adopt {item.lane.entity_id} {vendor_id} --connection {channel.name}`, or "
        "`--absent` instead of the id.",
        owner="Ad operations",
    )


def doubt(session: Session, cur: Cursor, channel: Channel, suspects: Sequence[Prepared]) -> None:
    """Write down that these may have been sent by somebody the store does not know of, and have them looked up."""
    now = session.machine.now()
    ours = {(lane.id, lane.fence) for lane in lanes.still_claimed(cur, [item.lane for item in suspects])}
    suspects = [item for item in suspects if (item.lane.id, item.lane.fence) in ours]
    for item, attempt_id in zip(suspects, write_attempts(session, cur, channel, suspects), strict=True):
        attempts.finish(cur, attempt_id, Outcome.IN_DOUBT, now, code=attempts.BEFORE_RESTORE, message=_MESSAGE)
        lanes.doubt(cur, item.lane, now)

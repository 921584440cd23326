"""Documents after a restore: each is asked for by its number before it is posted, however long ago the restore was.

A store from a backup does not know what was posted since; a document that it forgot is prepared again under the same id, a
month or a year later. Its first send after a recovery is therefore taken to be in doubt without being sent: settling looks it
up, adopts it or sends it, and where no look-up can tell, a person is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Operation, Outcome
from hub.session import Channel, Session
from hub.store import attempts, lanes, recoveries
from hub.store.database import Cursor
from hub.sync.outcomes import write_attempts
from hub.sync.prepare import Prepared

_MESSAGE = "the store was restored: it may have been posted by what the store does not know of any more"


def may_be_posted(session: Session, channel: Channel, prepared: Sequence[Prepared]) -> frozenset[int]:
    """The lanes of documents of which nothing was sent since the connection's last recovery ended."""
    suspects = [
        item.lane.id
        for item in prepared
        if item.lane.kind == lanes.DOCUMENT and item.operation is Operation.CREATE and not item.left_alone
    ]
    if not suspects:
        return frozenset()
    with session.database.transaction() as cur:
        return recoveries.not_sent_since(cur, channel.name, suspects)


def doubt(session: Session, cur: Cursor, channel: Channel, suspects: Sequence[Prepared]) -> None:
    """Write down that these may have been sent by somebody the store does not know of, and have them looked up."""
    now = session.machine.now()
    ours = {(lane.id, lane.fence) for lane in lanes.still_claimed(cur, [item.lane for item in suspects])}
    suspects = [item for item in suspects if (item.lane.id, item.lane.fence) in ours]
    for item, attempt_id in zip(suspects, write_attempts(session, cur, channel, suspects), strict=True):
        attempts.finish(cur, attempt_id, Outcome.IN_DOUBT, now, code=attempts.BEFORE_RESTORE, message=_MESSAGE)
        lanes.doubt(cur, item.lane, now)

"""Lanes of what was cancelled before its vendor held it: nothing is created of them any more, and nobody needs to act."""

from __future__ import annotations

from collections.abc import Sequence

from hub.store.database import Cursor
from hub.store.lane_conditions import LEFT_ALONE, NOT_CREATED
from hub.store.lanes import _JOIN, Lane


def not_created(cur: Cursor, lane_ids: Sequence[int]) -> frozenset[int]:
    """Those of these lanes of which the vendor has no record and is to get none, as the store stands now."""
    if not lane_ids:
        return frozenset()
    cur.execute(f"SELECT l.id FROM lane l {_JOIN} WHERE l.id = ANY(%s) AND {NOT_CREATED}", (list(lane_ids),))
    return frozenset(row[0] for row in cur.fetchall())


def to_leave(cur: Cursor, claimed: Sequence[Lane]) -> frozenset[int]:
    """Those of these claimed lanes that may be acknowledged with nothing sent, locked for this transaction.

    They want what they were claimed for, and that is nothing: a line that came back meanwhile, and perhaps went again, is
    to be claimed anew.
    """
    cur.execute(
        "SELECT l.id FROM lane l JOIN unnest(%s::bigint[], %s::bigint[], %s::uuid[]) AS w(id, fence, hash) ON l.id = w.id "
        "AND l.fence = w.fence AND l.desired_hash = w.hash ORDER BY l.order_id, l.id FOR UPDATE OF l",
        (
            [lane.id for lane in claimed],
            [lane.fence for lane in claimed],
            [lane.desired_hash for lane in claimed],
        ),
    )
    held = [row[0] for row in cur.fetchall()]
    # A statement of its own: it sees what was committed while the locks were waited for.
    cur.execute(f"SELECT l.id FROM lane l {_JOIN} WHERE l.id = ANY(%s) AND {LEFT_ALONE}", (held,))
    return frozenset(row[0] for row in cur.fetchall())

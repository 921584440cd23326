"""Answers that rest on looking: a vendor that does not show a new record yet has not seen what it says is missing or done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.base import Operation, Outcome, PushResult
from hub.session import Channel, Session
from hub.store import lane_standing
from hub.store.database import Cursor
from hub.sync.prepare import Prepared
from oms_schema.problems import Reason

NOT_SHOWN_YET = "NOT-SHOWN-YET"
"""The code of a RETRY: what was written may be too new for the vendor to show."""


def asked_again(
    session: Session, cur: Cursor, channel: Channel, batch: Sequence[Prepared], results: Sequence[PushResult]
) -> list[PushResult]:
    """The results of one call; those that a look at the vendor's index decided too early are RETRY until it must show all.

    Too early is within the longest `index_lag` that the connection declares (machine time) after the hub got the record that
    the lane writes, or after it got a line of the order that the lane acts on. The wait is over then, whatever the answer.
    """
    lag = max((each.index_lag for each in channel.capabilities.records.values()), default=0.0)
    doubtful = [
        item.lane.id for item, result in zip(batch, results, strict=True) if lag and _rests_on_looking(item, result)
    ]
    if not doubtful:
        return list(results)
    now, newest = session.machine.now(), lane_standing.newest_records(cur, doubtful)
    told = []
    for item, result in zip(batch, results, strict=True):
        since = newest.get(item.lane.id)
        wait = timedelta(0) if since is None else since + timedelta(seconds=lag) - now
        told.append(result if wait <= timedelta(0) else _later(result, wait))
    return told


def _rests_on_looking(item: Prepared, result: PushResult) -> bool:
    """Whether the vendor found the record itself missing, or found nothing left to do for an action.

    An action that changed something was carried out on what is stored, shown or not. A missing field is no missing record.
    """
    if item.operation is Operation.ACT and result.outcome is Outcome.UNCHANGED:
        return True
    return (
        item.operation is not Operation.CREATE
        and result.outcome is Outcome.REJECTED
        and result.reason == Reason.REFERENCE_MISSING
        and result.path is None
    )


def _later(result: PushResult, wait: timedelta) -> PushResult:
    said = "nothing to do" if result.outcome is Outcome.UNCHANGED else result.message or result.code or "not found"
    return replace(
        result,
        outcome=Outcome.RETRY,
        code=NOT_SHOWN_YET,
        message=f"The vendor may not show yet what is new there, and said: {said}",
        reason=None,
        after=wait.total_seconds(),
    )

"""Updates in doubt: what the record shows says what became of them, so that nobody's edit is overwritten unseen.

The vendor's present state is compared with what was sent and with what was acknowledged before. Whichever of the two it
shows is what it holds from now on; the next update and `hub.sync.drift` find whatever differs from that as somebody's edit,
and the field's owner decides as elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from functools import partial

from connectors.base import ComparesRecords, Native, Operation
from hub.encoding import decode
from hub.errors import ConnectorStumbled
from hub.session import Channel, Session
from hub.store import attempts, lanes, write_ledger
from hub.store.attempts import Attempt
from hub.store.database import Cursor
from hub.store.lanes import Lane
from hub.sync.conflicts import asks_somebody, checks_before_update, shown_now
from hub.sync.outcomes import tell
from hub.sync.vendor import caught

Doubtful = tuple[Lane, Attempt]
"""A claimed lane and its newest attempt, an update of which nothing can be under way any more."""


class Verdict(StrEnum):
    """What became of an update."""

    APPLIED = "applied"
    NOT_APPLIED = "not applied"
    UNKNOWN = "unknown"


def judged(
    comparing: ComparesRecords, record: str, sent: Native, acknowledged: Native | None, present: Native
) -> Verdict:
    """What became of an update by what the record shows. Pure.

    A single field that shows what was sent, where something else was acknowledged, proves it applied: an update is written
    whole. Where every field that it changed shows a third value, it makes no difference: it is told by that value.
    """
    unlike_sent = {each.path for each in comparing.differences(record, sent, present)}
    if acknowledged is None:
        return Verdict.UNKNOWN if unlike_sent else Verdict.APPLIED
    unlike_acknowledged = {each.path for each in comparing.differences(record, acknowledged, present)}
    if unlike_acknowledged - unlike_sent:
        return Verdict.APPLIED
    return Verdict.NOT_APPLIED if unlike_sent else Verdict.UNKNOWN


def worth_a_look(channel: Channel, lane: Lane, attempt: Attempt) -> bool:
    """Whether the record is looked at before an update in doubt is repeated: where it would be before any update."""
    return (
        attempt.operation == Operation.UPDATE
        and lane.vendor_id is not None
        and checks_before_update(channel)
        and asks_somebody(channel, lane.kind)
    )


def settle_by_look(
    session: Session, channel: Channel, doubtful: Sequence[Doubtful]
) -> tuple[list[Doubtful], list[Doubtful], Counter[str]]:
    """Look at the records of these lanes; returns those of which nothing can be told, those over which the connector
    stumbled (each then looked at by itself), and how many of the others were applied (`adopted`) and are due again (`resent`).

    Raises VendorUnavailable and ConnectionBroken.
    """
    connector, counts = channel.connector, Counter[str]()
    left: list[Doubtful] = []
    failed: list[Doubtful] = []
    try:
        present = shown_now(session, channel, [(attempt.record, str(lane.vendor_id)) for lane, attempt in doubtful])
    except ConnectorStumbled:
        if len(doubtful) == 1:
            return [], list(doubtful), counts
        for each in doubtful:
            one, none, counted = settle_by_look(session, channel, [each])
            left += one
            failed += none
            counts += counted
        return left, failed, counts
    with session.database.transaction() as cur:
        for lane, attempt in doubtful:
            native = present.get((attempt.record, str(lane.vendor_id)))
            verdict = Verdict.UNKNOWN
            if native is not None and isinstance(connector, ComparesRecords):
                acknowledged = None if lane.acked_payload is None else decode(lane.acked_payload)
                sent = decode(attempt.payload)
                try:
                    verdict = caught(
                        channel, "compare", partial(judged, connector, attempt.record, sent, acknowledged, native)
                    )
                except ConnectorStumbled:
                    failed.append((lane, attempt))
                    continue
            if verdict is Verdict.UNKNOWN:
                left.append((lane, attempt))
            else:
                _conclude(session, cur, channel, lane, attempt, verdict)
                counts["adopted" if verdict is Verdict.APPLIED else "resent"] += 1
    return left, failed, counts


def _conclude(session: Session, cur: Cursor, channel: Channel, lane: Lane, attempt: Attempt, verdict: Verdict) -> None:
    now = session.machine.now()
    tell(session, cur, channel, lane, f"settled: {verdict}", attempt.code or "")
    if verdict is Verdict.APPLIED:
        attempts.finish(cur, attempt.id, "updated", now, code=attempt.code, message="found by look-up")
        lanes.acknowledge(cur, lane, attempt.payload, attempt.desired_hash, attempt.version, now)
        write_ledger.acknowledge(cur, [attempt.id])
        return
    attempts.finish(cur, attempt.id, "retry", now, code="PROVEN-ABSENT")
    lanes.release(cur, [lane], None)
    write_ledger.strike(cur, [attempt.id])

"""Look-ups of what is in doubt: a connector that stumbles over one record keeps neither itself nor the others from settling.

A look-up that failed proves nothing, neither presence nor absence. It is made again after growing waits and at last shown to
a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

from connectors.base import Native, PushesRecords, PushItem
from hub import log
from hub.encoding import decode
from hub.errors import ConnectorStumbled
from hub.session import Channel, Session
from hub.store import lanes
from hub.sync.doubtful_updates import Doubtful
from hub.sync.outcomes import park, retry_wait
from hub.sync.vendor import ask
from oms_schema.problems import Problem, Reason

FAILURES_ALLOWED = 8
"""Times that a look-up may fail before a person is told, sends that came to nothing included: eight minutes of waits."""

Hit = tuple[str, Native] | None
"""The record that was found, or nothing."""


def look_up(
    session: Session, channel: Channel, connector: PushesRecords, record: str, doubtful: Sequence[Doubtful]
) -> tuple[list[tuple[Doubtful, Hit]], list[Doubtful]]:
    """What was found of each, in order, and those whose look-up failed. After a failure each is looked up by itself.

    Raises VendorUnavailable and ConnectionBroken.
    """
    items = [PushItem(attempt.key, decode(attempt.payload)) for _, attempt in doubtful]
    found: Sequence[Hit] | None = None
    with suppress(
        ConnectorStumbled
    ):  # logged with its place; what no look-up of its own finds out is counted as failed
        answers = ask(session, channel, "find", lambda: list(connector.find(record, items)))
        if len(answers) == len(items) and all(_is_hit(each) for each in answers):
            found = answers
        else:
            log.misfit(channel.name, record, len(answers), len(items))
    if found is not None:
        return list(zip(doubtful, found, strict=True)), []
    if len(doubtful) == 1:
        return [], list(doubtful)
    told: list[tuple[Doubtful, Hit]] = []
    failed: list[Doubtful] = []
    for each in doubtful:
        one, none = look_up(session, channel, connector, record, [each])
        told += one
        failed += none
    return told, failed


def _is_hit(answer: object) -> bool:
    if answer is None:
        return True
    return (
        isinstance(answer, tuple)
        and len(answer) == 2
        and isinstance(answer[0], str)
        and bool(answer[0])
        and isinstance(answer[1], Mapping)
    )


def count_failures(session: Session, channel: Channel, failed: Sequence[Doubtful], tally: Counter[str]) -> None:
    """Have these looked up again later, or tell a person after too many failures."""
    if not failed:
        return
    now = session.machine.now()
    with session.database.transaction() as cur:
        for lane, attempt in failed:
            if lane.tries + 1 >= FAILURES_ALLOWED:
                park(session, cur, channel, lane, lane.entity_id, [_defect(channel, attempt.record, attempt.operation)])
                tally["parked"] += 1
            else:
                lanes.count_failed_look_up(cur, lane, now + retry_wait(lane.tries + 1))
                tally["waiting"] += 1


def count_stumble(session: Session, channel: Channel, lane: lanes.Lane) -> bool:
    """The connector stumbled over a record before anything of it was sent: try again later, or tell a person; whether told."""
    now = session.machine.now()
    last = lane.tries + 1 >= FAILURES_ALLOWED
    with session.database.transaction() as cur:
        if last:
            park(session, cur, channel, lane, lane.entity_id, [_stumbles(channel, lane.kind)])
        else:
            lanes.release(cur, [lane], now + retry_wait(lane.tries + 1), tried=True)
    return last


def _stumbles(channel: Channel, kind: str) -> Problem:
    return Problem(
        code="CONNECTOR-DEFECT",
        reason=Reason.PROTOCOL,
        path=kind,
        value="",
        happened=f"The connector {channel.connector.name} failed each time before this {kind} was sent: it could not look up "
        "a name or compare the record with what stands there.",
        effect="Nothing of it is sent.",
        fix="Integration mends the connector (the log names the place); operations then replays it.",
        owner="Integration",
    )


def _defect(channel: Channel, record: str, operation: str) -> Problem:
    return Problem(
        code="CONNECTOR-DEFECT",
        reason=Reason.AMBIGUOUS,
        path=record,
        value="",
        happened=f"Whether {channel.connector.title} applied the {operation} of the {record} is unknown, and the connector "
        f"{channel.connector.name} failed each time it looked.",
        effect="It is not sent again, so that nothing exists twice and no other edit is lost.",
        fix="Integration mends the connector (the log names the place); operations then replays it.",
        owner="Integration",
    )

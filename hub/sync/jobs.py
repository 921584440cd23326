"""Bulk jobs: thousands of records handed over at once, asked about until the vendor has worked them off.

A job that has not ended when the patience is over leaves its records in doubt, with its id as evidence; settling asks about
it again and sends nothing while it runs. A job whose start was not answered has no id: its records wait out the time for
which a request may still be applied, like those of any lost reply.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial

from connectors.base import (
    JobCapability,
    JobState,
    Operation,
    Outcome,
    PushesRecords,
    PushItem,
    PushResult,
    RunsBulkJobs,
)
from connectors.errors import ConnectorError
from hub.encoding import decode
from hub.errors import ConnectionBroken, ConnectorStumbled, VendorUnavailable
from hub.session import Channel, Session
from hub.store import attempts, lanes
from hub.store.attempts import Attempt
from hub.sync.prepare import Prepared
from hub.sync.vendor import ask

PATIENCE = 240.0
"""Seconds that a worker asks about its job; as long as a push usually lasts."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds between two questions: doubling from the first to the longest."""
STILL_RUNNING = "BULK-RUNNING"
ASK_AGAIN = timedelta(seconds=60)
"""After which settling asks again about a job that still runs."""


def of_kind(channel: Channel, kind: str, operation: Operation) -> JobCapability | None:
    """The jobs in which lanes of a kind may go; None where there are none."""
    if operation is Operation.ACT or kind == lanes.DOCUMENT or not isinstance(channel.connector, RunsBulkJobs):
        return None
    mapping = channel.mapping(kind, "out")
    capability = None if mapping is None else channel.capabilities.records.get(mapping.record)
    return None if capability is None else capability.jobs


def fitting(job: JobCapability | None, alike: Sequence[Prepared]) -> int:
    """How many of these records go as one job, from the first on; 0: they are too few for a job."""
    if job is None or len(alike) <= job.above:
        return 0
    size = 0
    for number, item in enumerate(alike[: job.batch]):
        size += len(item.payload_bytes)
        if size > job.size:
            return number
    return min(len(alike), job.batch)


def send(
    session: Session, channel: Channel, connector: PushesRecords, batch: Sequence[Prepared], items: Sequence[PushItem]
) -> Sequence[PushResult]:
    """Write a batch with one call, or as one job when it is larger than a call; one result per item, in order.

    Raises as `push` of a connector.
    """
    first = batch[0]
    capability = channel.capabilities.records.get(first.record)
    if capability is None or len(items) <= capability.batch or not isinstance(connector, RunsBulkJobs):
        return connector.push(first.record, first.operation, items)
    job = connector.start_bulk(first.record, first.operation, items)
    if not job or _ended(session, channel, connector, job, [item.lane for item in batch]):
        try:
            return ask(
                session, channel, "find", lambda: connector.bulk_results(first.record, first.operation, items, job)
            )
        except (VendorUnavailable, ConnectionBroken, ConnectorError):
            if not job:
                raise
    message = (
        f"Bulk job {job} has not told what became of this record. The hub asks about the job before it sends again."
    )
    return [
        PushResult(item.key, Outcome.IN_DOUBT, code=STILL_RUNNING, message=message, evidence={"job": job})
        for item in items
    ]


def _ended(
    session: Session, channel: Channel, connector: RunsBulkJobs, job: str, claimed: Sequence[lanes.Lane]
) -> bool:
    """Ask until the job has ended, renewing the leases. False when that is not known: the job may be applied all the same."""
    pause, waited = FIRST_PAUSE, 0.0
    renewed = session.machine.now()
    while waited < PATIENCE:
        session.sleep(pause)
        waited += pause
        pause = min(pause * 2, LONGEST_PAUSE)
        try:
            if ask(session, channel, "find", lambda: connector.bulk_state(job)) is not JobState.RUNNING:
                return True
        except VendorUnavailable as unavailable:
            pause = max(pause, min(unavailable.after, LONGEST_PAUSE))
        except (ConnectionBroken, ConnectorError):
            return False
        now = session.machine.now()
        if now - renewed > session.lease / 4:
            with session.database.transaction() as cur:
                lanes.hold(cur, claimed, now + session.lease)
            renewed = now
    return False


def still_running(session: Session, channel: Channel, last: Iterable[Attempt]) -> tuple[frozenset[int], frozenset[int]]:
    """Which of these attempts belong to a job that has not ended, and to one over which the connector stumbled.

    Raises VendorUnavailable and ConnectionBroken.
    """
    connector = channel.connector
    doubtful = [each.id for each in last if each.outcome == Outcome.IN_DOUBT and each.code == STILL_RUNNING]
    if not doubtful or not isinstance(connector, RunsBulkJobs):
        return frozenset(), frozenset()
    with session.database.transaction() as cur:
        told = {number: str(decode(told)["job"]) for number, told in attempts.evidence_of(cur, doubtful).items()}
    states: dict[str, JobState | None] = {}
    for job in dict.fromkeys(told.values()):
        try:
            states[job] = ask(session, channel, "find", partial(connector.bulk_state, job))
        except ConnectorStumbled:
            states[job] = None
    running = frozenset(number for number, job in told.items() if states[job] is JobState.RUNNING)
    return running, frozenset(number for number, job in told.items() if states[job] is None)

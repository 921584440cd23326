"""The six outcomes of a push, and what each does to its lane, its attempt, its reference and its order's projection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from connectors.base import CreateProtocol, Operation, Outcome, PushResult, RecordCapability
from hub.encoding import encode
from hub.session import Channel, Session
from hub.store import attempts, journal, lane_moves, lanes, parking, write_ledger
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import Lane
from hub.sync import echoes, young_records
from hub.sync.prepare import STATUS_KINDS, Prepared
from oms_schema.problems import Problem, Reason, shown

FIRST_WAIT = 2.0
LONGEST_WAIT = 300.0
"""Seconds between retries: doubling from the first to the longest."""


def reference_kind(lane_kind: str) -> str:
    """The kind of entity whose vendor record a lane writes."""
    return STATUS_KINDS.get(lane_kind, lane_kind).removesuffix("_projection")


def write_attempts(session: Session, cur: Cursor, channel: Channel, batch: Sequence[Prepared]) -> list[int]:
    """Write down that a batch is about to be sent; returns the attempts' numbers, in order."""
    now = session.machine.now()
    sends = [
        attempts.Send(
            item.lane.id,
            item.key,
            item.record,
            item.operation,
            item.action,
            item.lane.desired_version,
            item.lane.desired_hash,
            item.payload_bytes,
            item.lane.vendor_id,
            item.lane.fence,
        )
        for item in batch
    ]
    attempt_ids = attempts.invoke_all(cur, sends, now)
    echoes.enter(session, cur, channel, batch, attempt_ids)
    return attempt_ids


def settle_window(capability: RecordCapability | None, operation: str) -> timedelta:
    """How long after a send a look-up may still be wrong: requests in flight plus index lag.

    A unique field is looked up once the index may show it; the vendor itself refuses a second record.
    """
    if capability is None:
        return timedelta(seconds=LONGEST_WAIT)
    lag, flight = capability.index_lag, capability.max_in_flight
    if operation == Operation.CREATE and capability.create is CreateProtocol.UNIQUE_FIELD:
        return timedelta(seconds=lag)
    return timedelta(seconds=lag + flight)


def retry_wait(tries: int) -> timedelta:
    """How long to wait before another try, after so many."""
    return timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries, 30)))


def conclude(
    session: Session,
    cur: Cursor,
    channel: Channel,
    batch: Sequence[Prepared],
    attempt_ids: Sequence[int],
    results: Sequence[PushResult],
) -> Counter[str]:
    """Record the outcome of every record of one call; counts by outcome."""
    now = session.machine.now()
    counts: Counter[str] = Counter()
    stale: set[str] = set()
    entries: list[Entry] = []
    came: dict[Outcome, list[int]] = {}
    believed = young_records.asked_again(session, cur, channel, batch, results)
    for item, attempt_id, result in zip(batch, attempt_ids, believed, strict=True):
        outcome = result.outcome
        lane = item.lane
        if not result.vendor_id and (
            outcome is Outcome.CREATED or (outcome in _TAKEN and item.operation is Operation.CREATE)
        ):
            outcome = Outcome.IN_DOUBT  # a success without an id is no evidence of which object it was
        attempts.finish(
            cur,
            attempt_id,
            outcome,
            now,
            code=result.code,
            message=shown(result.message or "", 500) or None,
            vendor_id=result.vendor_id,
            evidence=encode(dict(result.evidence)) if result.evidence else None,
        )
        counts[outcome] += 1
        came.setdefault(outcome, []).append(attempt_id)
        if not lane.kind.endswith("_projection") and lane.order_id:
            stale.add(lane.order_id)
        if outcome in _TAKEN:
            holder = _record_reference(session, cur, channel, item, attempt_id, result.vendor_id)
            if holder is not None:
                park(session, cur, channel, lane, item.name, [two_entities_one_record(channel, item, holder)])
                continue
            if not lanes.acknowledge(cur, lane, item.payload_bytes, lane.desired_hash, lane.desired_version, now):
                # Another worker took the lane meanwhile. Whoever parked it asked for this answer.
                lanes.acknowledge_late(
                    cur, lane, item.payload_bytes, attempt_id, result.vendor_id or lane.vendor_id, now
                )
                if lanes.wake(cur, [lane.id], now, "an answer came late"):
                    parking.resolve(cur, now, "an answer came late", subject=f"lane:{lane.id}")
            if not lane.kind.endswith("_projection"):
                entries.append(_told(channel, item, outcome, result.vendor_id or lane.vendor_id))
        elif outcome is Outcome.RETRY:
            wait = result.after if result.after is not None else retry_wait(lane.tries).total_seconds()
            lanes.release(cur, [lane], now + timedelta(seconds=wait), tried=wait > 0, alone=result.alone)
        elif outcome is Outcome.IN_DOUBT:
            capability = channel.capabilities.records.get(item.record)
            # A native key needs no look-up while it lives: settling decides, and sends it again.
            keyed = item.operation is Operation.CREATE and capability is not None and capability.key_age > 0
            lanes.doubt(cur, lane, now if keyed else now + settle_window(capability, item.operation))
            entries.append(
                Entry(
                    channel.name,
                    f"{lane.kind} outcome unknown",
                    result.code or "",
                    lane.order_id,
                    lane.kind,
                    lane.entity_id,
                )
            )
        else:
            park(session, cur, channel, lane, item.name, [rejected(channel, item, result)])
    write_ledger.acknowledge(cur, came.get(Outcome.UPDATED, ()))
    write_ledger.strike(cur, [number for outcome in _NOTHING_WRITTEN for number in came.get(outcome, ())])
    if counts[Outcome.CREATED]:
        lane_moves.reopen_status(cur, channel.name, [item.lane for item in batch if item.operation is Operation.CREATE])
    journal.write(cur, entries, now, session.business.now())
    journal.mark_stale(cur, stale)
    return counts


_TAKEN = (Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED)
_NOTHING_WRITTEN = (Outcome.UNCHANGED, Outcome.REJECTED, Outcome.RETRY)


def _record_reference(
    session: Session, cur: Cursor, channel: Channel, item: Prepared, attempt_id: int, vendor_id: str | None
) -> str | None:
    if item.operation is not Operation.CREATE or vendor_id is None:
        return None
    return attempts.put_reference(
        cur,
        connection=channel.name,
        kind=reference_kind(item.lane.kind),
        entity_id=item.lane.entity_id,
        facet=item.lane.facet,
        record=item.record,
        vendor_id=vendor_id,
        account=channel.account,
        attempt_id=attempt_id,
        now=session.machine.now(),
    )


def _told(channel: Channel, item: Prepared, outcome: Outcome, vendor_id: str | None) -> Entry:
    what = f"{item.action} done" if item.action else f"{item.record} {outcome}"
    order_id = item.lane.order_id or None
    return Entry(channel.name, what, f"id {vendor_id}", order_id, reference_kind(item.lane.kind), item.lane.entity_id)


def tell(session: Session, cur: Cursor, channel: Channel, lane: Lane, what: str, detail: str) -> None:
    """Write into the journal what became of a lane, and have its order projected anew; the mirror's own lanes tell nothing."""
    if lane.kind.endswith("_projection"):
        return
    entry = Entry(channel.name, f"{lane.kind} {what}", detail, lane.order_id or None, lane.kind, lane.entity_id)
    journal.write(cur, [entry], session.machine.now(), session.business.now())
    if lane.order_id:
        journal.mark_stale(cur, [lane.order_id])


def park(session: Session, cur: Cursor, channel: Channel, lane: Lane, name: str, problems: Sequence[Problem]) -> None:
    """Take a lane out of work and say why, to whom."""
    if not lanes.park(cur, lane):
        return  # another worker has the lane: what this one saw is only an observation
    tell_parked(session, cur, channel, lane, name, problems)


def tell_parked(
    session: Session, cur: Cursor, channel: Channel, lane: Lane, name: str, problems: Sequence[Problem]
) -> None:
    """Say why a parked lane is parked, to whom."""
    now = session.machine.now()
    parking.open_items(
        cur,
        problems,
        connection=channel.name,
        subject=f"lane:{lane.id}",
        entity_kind=lane.kind,
        entity_id=lane.entity_id,
        order_id=lane.order_id or None,
        now=now,
        lane_id=lane.id,
    )
    journal.write(
        cur,
        [
            Entry(
                channel.name,
                f"{lane.kind} {shown(name, 60)!r} parked",
                p.sentence,
                lane.order_id or None,
                lane.kind,
                lane.entity_id,
            )
            for p in problems
        ],
        now,
        session.business.now(),
    )
    if lane.order_id:
        journal.mark_stale(cur, [lane.order_id])


def rejected(channel: Channel, item: Prepared, result: PushResult) -> Problem:
    """What the vendor said, as a person can act on it."""
    reason = Reason(result.reason) if result.reason in set(Reason) else Reason.VALIDATION
    words = shown(result.message or "it gave no reason", 300).rstrip(".") + "."
    happened = f"{channel.connector.title} refused {item.record} {shown(item.name, 60)!r}: {words}"
    if item.lane.kind == lanes.DOCUMENT:
        return Problem(
            code=result.code or "REJECTED",
            reason=reason,
            path=result.path or item.record,
            value="",
            happened=happened,
            effect="It is not posted.",
            fix="Finance settles it there, or billing makes another document; then operations replays it.",
            owner="Finance",
        )
    return Problem(
        code=result.code or "REJECTED",
        reason=reason,
        path=result.path or item.record,
        value="",
        happened=happened,
        effect="It stays as it was there.",
        fix=_FIXES.get(reason, "Sales corrects the record in the CRM; it is then sent again by itself."),
        owner="Ad operations" if reason in _FIXES else "Sales",
    )


_FIXES = {
    Reason.VENDOR_STATE: "Ad operations reopens the record at the ad server, makes room for it or books a new one, and "
    "operations replays it; or Sales changes the order.",
    Reason.PERMISSION: "An administrator of the ad server grants the right, then operations replays it.",
    Reason.REFERENCE_MISSING: "Ad operations creates what is missing, then operations replays it.",
    Reason.DUPLICATE: "Ad operations decides which of the two records is the right one.",
}


def two_entities_one_record(channel: Channel, item: Prepared, holder: str) -> Problem:
    """Two canonical entities must never share one vendor record."""
    return Problem(
        code="TWO-ENTITIES-ONE-RECORD",
        reason=Reason.DUPLICATE,
        path=item.record,
        value=holder,
        happened=f"The {item.record} found for {shown(item.name, 60)!r} already belongs to {holder}.",
        effect="It is not used twice, so this one is not sent.",
        fix="Sales merges the two records in the CRM or gives one of them another name.",
        owner="Sales",
    )

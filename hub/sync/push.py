"""Push: claim due lanes, write each attempt down, send full batches, and record what became of every single record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from connectors.base import CreateProtocol, JobCapability, Operation, Outcome, PushesRecords, PushItem, PushResult
from connectors.errors import (
    AuthFailed,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RetryLater,
    SchemaDrift,
)
from hub import log
from hub.errors import ConnectionBroken, ConnectorStumbled, StoreContended, VendorUnavailable
from hub.results import PushSummary
from hub.session import Channel, Session
from hub.store import breakers, journal, lane_standing, lanes, parking, recoveries, seen_plans
from hub.store.lanes import Lane
from hub.store.seen_plans import SeenPlan
from hub.sync import breaker, guard, jobs, native_keys, posted_before, projection
from hub.sync.conflicts import before_update
from hub.sync.left_alone import leave_alone
from hub.sync.look_ups import count_stumble
from hub.sync.outcomes import conclude, park, write_attempts
from hub.sync.ownership import only_ours
from hub.sync.prepare import MODELS, STATUS_KINDS, Prepared, prepare
from hub.sync.repeat import as_first_sent
from hub.sync.stumbles import Apart, by_halves
from hub.sync.targets import STAGES
from hub.sync.vendor import answered, close_bucket, stop, take_tokens

CREATED_KINDS = frozenset({"party", "order", "line", lanes.DOCUMENT})
"""The kinds whose records the hub creates itself."""

CONTENDED_TRIES = 5
"""Times that outcomes are written down before a deadlock with other workers is given up to the look-up."""

_FOUND_AGAIN = (CreateProtocol.PROBE, CreateProtocol.UNIQUE_FIELD)


@dataclass
class _Tally:
    calls: int = 0
    records: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    parked: int = 0
    held: dict[str, datetime] = field(default_factory=dict)
    """Operations that an open circuit breaker keeps from being sent, and when the vendor is tried again."""
    silent: str = ""
    """Why the vendor did not answer the last call."""
    restored: bool = False
    """Whether the store was once put back to a backup."""


def push(session: Session, name: str, *, max_seconds: float = 240.0, seen: SeenPlan | None = None) -> PushSummary:
    """Send everything that is due at a connection, parents before children, until nothing is due or the time is over.

    With a plan that was `seen`, only what it showed, at the versions it showed; the rest stays due and is counted.
    Raises ConnectionBroken (all claimed work is given back) and NotFound.
    """
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, PushesRecords):
        raise ConnectionBroken(
            name, f"Connection {name} takes no records. Nothing was sent. Choose another connection."
        )
    projection.refresh(session)
    tally = _Tally()
    deadline = session.machine.now() + timedelta(seconds=max_seconds)
    breaker.look(session, channel)
    watch = guard.Watch(session, channel)
    with session.database.transaction() as cur:
        tally.restored = recoveries.was_restored(cur, name)
        due = lanes.kinds_due(cur, name, deadline)
    try:
        for kind in sorted({kind for kind, _ in due}, key=lambda kind: STAGES[kind]):
            for updates in (False, True):
                if not _may_be_due(kind, updates, due, tally):
                    continue
                try:
                    breaker.admit_due(
                        session, channel, operation_of(kind, updates), partial(_check_token, session, channel)
                    )
                    _push_kind(session, channel, connector, kind, updates, tally, deadline, watch, seen)
                except breaker.BreakerOpen as opened:
                    tried_at = session.machine.now() + timedelta(seconds=opened.after)
                    tally.held[operation_of(kind, updates)] = tried_at
                    tally.silent = str(opened)
    except VendorUnavailable as unavailable:
        tally.outcomes["postponed"] += 1
        tally.silent = str(unavailable)
        if not tally.calls and unavailable.after > max_seconds:
            raise
    projection.refresh(session)
    return _summary(session, name, tally, seen)


def _may_be_due(kind: str, updates: bool, due: frozenset[tuple[str, bool]], tally: _Tally) -> bool:
    """Whether there may be something to claim: asking the store costs more than knowing that there is nothing.

    What acts on a record or mirrors one waits until it exists; what was created in this push may have news already.
    """
    if kind in STATUS_KINDS:
        return updates or (kind, False) in due  # that of a record that is not created any more ends without one
    if kind not in CREATED_KINDS:
        return updates
    return (kind, updates) in due or (updates and bool(tally.calls) and (kind, False) in due)


def operation_of(kind: str, updates: bool) -> Operation:
    """What the lanes of a kind ask of the vendor, by whether their record exists."""
    return Operation.ACT if kind in STATUS_KINDS else Operation.UPDATE if updates else Operation.CREATE


def _check_token(session: Session, channel: Channel) -> None:
    take_tokens(session, channel, "check")


def _summary(session: Session, name: str, tally: _Tally, seen: SeenPlan | None) -> PushSummary:
    beside = seen_plans.Beside(0, 0)
    with session.database.transaction() as cur:
        waiting, due, in_doubt = lane_standing.outlook(cur, name, session.machine.now())
        if seen is not None:
            waiting, due = seen_plans.outlook(cur, name, seen)
            beside = seen_plans.beside(cur, name, seen)
        stopped = {*tally.held, *([Operation.CREATE] if name in recoveries.standing(cur) else [])}
        held = breakers.lanes_held(cur, name, sorted(stopped), session.machine.now()) if stopped else 0
        if held:
            waiting += held
            due = min((at for at in (due, *tally.held.values()) if at is not None), default=None)
        parked = parking.count(cur, name)
    return PushSummary(
        connection=name,
        calls=tally.calls,
        records=tally.records,
        outcomes=dict(tally.outcomes),
        waiting=waiting,
        parked=parked,
        in_doubt=in_doubt,
        next_due=due,
        not_in_plan=beside.lanes,
        plan_moved=beside.moved,
        silent=tally.silent,
    )


def _batch_size(channel: Channel, kind: str) -> int:
    if kind == lanes.DOCUMENT:
        mapped = {mapping.record for each in MODELS if (mapping := channel.mapping(each, "out")) is not None}
        return max((_together(channel, record) for record in channel.capabilities.records.keys() - mapped), default=1)
    mapping = channel.mapping(kind.removesuffix("_status"), "out")
    capability = None if mapping is None else channel.capabilities.records.get(mapping.record)
    return 1 if capability is None else capability.batch  # what cannot be carried is claimed, to be parked and said


def _together(channel: Channel, record: str) -> int:
    """How many documents of one record may share a call: several only where a look-up finds each of them by itself."""
    capability = channel.capabilities.records.get(record)
    if capability is None or capability.marker is None or capability.create not in _FOUND_AGAIN:
        return 1
    return capability.batch


def _push_kind(
    session: Session,
    channel: Channel,
    connector: PushesRecords,
    kind: str,
    updates: bool,
    tally: _Tally,
    deadline: object,
    watch: guard.Watch,
    seen: SeenPlan | None,
) -> None:
    """Everything due of one kind. Batches are filled across claims, so that refused records do not leave them half empty."""
    size = _batch_size(channel, kind)
    job = jobs.of_kind(channel, kind, operation_of(kind, updates))
    claimable = size * 2 if job is None else job.batch
    buffer: list[Prepared] = []
    try:
        while session.machine.now() < deadline:  # type: ignore[operator]
            if updates and (held := watch.hold()):
                tally.outcomes["held"] += held
            now = session.machine.now()
            with session.database.transaction() as cur:
                if operation_of(kind, updates) is Operation.CREATE and channel.name in recoveries.standing(cur):
                    break  # somebody may have created it after the backup was made; a recovery may begin during a push
                claimed = lanes.claim(
                    cur, channel.name, kind, claimable, now, now + session.lease, updates=updates, seen=seen
                )
            if not claimed:
                break
            calls = tally.calls
            ready, asked = watch.hold_billing(_ready(session, channel, claimed, tally, seen))
            buffer += ready
            if asked:
                tally.outcomes["held"] += asked
            while len(buffer) >= size:
                batch, buffer = _next_batch(channel, buffer, size, job)
                _send(session, channel, connector, batch, tally)
            if len(claimed) < claimable and tally.calls == calls and session.machine.now() < now + session.lease:
                break  # that was all; no call has made more of it due, and no lease ran out meanwhile
        while buffer and session.machine.now() < deadline:  # type: ignore[operator]
            batch, buffer = _next_batch(channel, buffer, size, job)
            _send(session, channel, connector, batch, tally)
    finally:
        if buffer:
            _give_back(session, [item.lane for item in buffer])


def _give_back(session: Session, claimed: Sequence[Lane]) -> None:
    """Release what is still claimed of these. Tried again when another worker's locks go first: what stays claimed waits for
    its lease."""
    tries = 0
    while True:
        tries += 1
        try:
            with session.database.transaction() as cur:
                lanes.release(cur, claimed, None, undecided=True)
            return
        except StoreContended:
            if tries == CONTENDED_TRIES:
                raise


def _next_batch(
    channel: Channel, buffer: list[Prepared], size: int, job: JobCapability | None
) -> tuple[list[Prepared], list[Prepared]]:
    """The next records that may share one call or job: one record and verb, at most `size` or what a job takes.

    One that must go alone goes alone.
    """
    first = buffer[0]
    if first.lane.alone:
        return buffer[:1], buffer[1:]
    if first.lane.kind == lanes.DOCUMENT:
        size = _together(channel, first.record)
    wanted = (first.record, first.action)
    alike = [item for item in buffer if (item.record, item.action) == wanted and not item.lane.alone]
    batch = alike[: jobs.fitting(job, alike) or size]
    chosen = {item.lane.id for item in batch}
    return batch, [item for item in buffer if item.lane.id not in chosen]


def _ready(
    session: Session, channel: Channel, claimed: Sequence[Lane], tally: _Tally, seen: SeenPlan | None
) -> list[Prepared]:
    """What can be sent of these lanes. Where the connector stumbles, halves are tried until each such record is found."""
    ready: list[Prepared] = []
    decided: set[int] = set()

    def prepare_some(some: Sequence[Lane]) -> None:
        try:
            ready.extend(_prepared(session, channel, some, tally, seen))
        except ConnectorStumbled:
            raise
        except BaseException:
            decided.update(lane.id for lane in some)
            raise
        decided.update(lane.id for lane in some)

    try:
        _, stumbles = by_halves(prepare_some, claimed, Apart(len(claimed)))
        for (lane,), _ in stumbles:
            decided.add(lane.id)
            tally.parked += count_stumble(session, channel, lane)
    except BaseException:
        rest = [*(item.lane for item in ready), *(lane for lane in claimed if lane.id not in decided)]
        if rest:
            _give_back(session, rest)
        raise
    return ready


def _prepared(
    session: Session, channel: Channel, claimed: Sequence[Lane], tally: _Tally, seen: SeenPlan | None
) -> list[Prepared]:
    """One try at all of them. Raises ConnectorStumbled, the lanes still claimed; with any other error they are given back, as
    far as nothing else was decided about them."""
    try:
        return _decided(session, channel, claimed, tally, seen)
    except ConnectorStumbled:
        raise
    except BaseException:
        _give_back(session, claimed)
        raise


def _decided(
    session: Session, channel: Channel, claimed: Sequence[Lane], tally: _Tally, seen: SeenPlan | None
) -> list[Prepared]:
    """What is to be sent of these; of the others it is written down what becomes of them."""
    prepared, refused = prepare(session, channel, claimed)
    if seen is not None:
        moved = _moved(session, claimed)
        prepared = [item for item in prepared if item.lane.id not in moved]
        refused = [item for item in refused if item.lane.id not in moved]
    never = [item for item in prepared if item.never_created]
    frozen = [item for item in prepared if item.left_alone and not item.never_created]
    prepared, later = as_first_sent(session, channel, [item for item in prepared if not item.left_alone])
    old_keys = native_keys.expired(session, channel, prepared)
    stale = [item for item in prepared if item.lane.id in old_keys]
    prepared = [item for item in prepared if item.lane.id not in old_keys]
    suspects: list[Prepared] = []
    if tally.restored:
        found = posted_before.count_again(session, channel, prepared)
        forgotten = posted_before.may_be_posted(session, channel, prepared)
        suspects = [item for item in prepared if item.lane.id in forgotten]
        prepared = [item for item in prepared if item.lane.id not in forgotten | found]
    prepared, conflicts = before_update(session, channel, only_ours(channel, prepared))
    if left := leave_alone(session, channel, never):
        tally.outcomes[Outcome.UNCHANGED] += left
    # What came back after it was claimed to be left alone may lack what it points to; it is claimed again when that is there.
    # So is what is left as it is: it may be wanted again by now, with the very content that it was claimed for.
    back = [each.lane for each in refused if each.lane.vendor_id is None]
    returned = _moved(session, [*back, *(item.lane for item in frozen)])
    refused = [each for each in refused if each.lane.id not in returned]
    prepared += [item for item in frozen if item.lane.id not in returned]
    send: list[Prepared] = []
    now = session.machine.now()
    with session.database.transaction() as cur:
        for item in prepared:
            if item.unchanged or _needs_no_call(item):
                # The change touched nothing this vendor sees or that is ours, a status that needs no verb, or what is cancelled.
                lanes.acknowledge(
                    cur, item.lane, item.held_by_vendor, item.lane.desired_hash, item.lane.desired_version, now
                )
                tally.outcomes[Outcome.UNCHANGED] += 1
            else:
                send.append(item)
        # No answer of a vendor will tell of what is left alone, and the CRM still shows it under way.
        journal.mark_stale(cur, [item.lane.order_id for item in prepared if item.left_alone])
        for lane, due in later:
            lanes.release(cur, [lane], due)
        for item in stale:
            lanes.doubt(cur, item.lane, now)
        if suspects:
            posted_before.doubt(session, cur, channel, suspects)
            tally.outcomes[Outcome.IN_DOUBT] += len(suspects)
        for refusal in (*refused, *conflicts):
            park(session, cur, channel, refusal.lane, refusal.name, refusal.problems)
            tally.parked += 1
            tally.outcomes[Outcome.REJECTED] += 1
    return send


def _moved(session: Session, claimed: Sequence[Lane]) -> frozenset[int]:
    """Give back what wants something else than it was claimed for: what was loaded may be newer than what a person saw."""
    if not claimed:
        return frozenset()
    with session.database.transaction() as cur:
        moved = seen_plans.moved(cur, {lane.id: (lane.desired_version, lane.desired_hash) for lane in claimed})
        if moved:
            lanes.release(cur, [lane for lane in claimed if lane.id in moved], None)
    return moved


def _needs_no_call(item: Prepared) -> bool:
    return item.action is None if item.operation is Operation.ACT else not item.payload


def _send(
    session: Session, channel: Channel, connector: PushesRecords, batch: Sequence[Prepared], tally: _Tally
) -> None:
    """One vendor call. The attempts are committed before the bytes leave, the outcomes after the answer came."""
    first = batch[0]
    try:
        take_tokens(session, channel, first.operation)
    except VendorUnavailable as unavailable:
        with session.database.transaction() as cur:
            # What a breaker holds stays due: it may close any moment.
            later = session.machine.now() + timedelta(seconds=unavailable.after)
            due = None if isinstance(unavailable, breaker.BreakerOpen) else later
            lanes.release(cur, [item.lane for item in batch], due)
        raise
    claimed = [item.lane for item in batch]
    try:
        with session.database.transaction() as cur:
            ours = lanes.hold(cur, claimed, session.machine.now() + session.lease)
            batch = [item for item in batch if (item.lane.id, item.lane.fence) in ours]
            attempt_ids = write_attempts(session, cur, channel, batch)
    except StoreContended:
        _give_back(session, claimed)  # another worker's locks went first; nothing was sent, it stays due
        return
    if not batch:
        return  # this worker stood still so long that its lease was over: another one has the work
    items = [PushItem(item.key, item.payload, item.lane.vendor_id, item.action) for item in batch]
    tally.calls += 1
    tally.records += len(batch)
    postponed: VendorUnavailable | None = None
    broken: ConnectionBroken | None = None
    tally.silent = ""
    try:
        with breaker.counting(session, channel, first.operation):
            results = list(jobs.send(session, channel, connector, batch, items))
        if [result.key for result in results] != [item.key for item in items]:
            results = _all(
                items,
                Outcome.IN_DOUBT,
                "BATCH-MISMATCH",
                f"{len(results)} answers for {len(items)} records, or out of order",
            )
    except OutcomeUnknown as error:
        tally.silent = _did_not_answer(channel, error)
        results = _all(items, Outcome.IN_DOUBT, error.code, error.message)
    except RetryLater as error:
        tally.silent = _did_not_answer(channel, error)
        results = _all(items, Outcome.RETRY, error.code, error.message, error.after)
    except QuotaExhausted as error:
        close_bucket(session, channel, error)
        results = _all(items, Outcome.RETRY, error.code, error.message, error.after)
        if error.after > 5:
            postponed = VendorUnavailable(channel.name, f"{error.code}: {error.message}", error.after)
    except (AuthFailed, PermissionMissing, SchemaDrift, Misconfigured) as error:
        results = _all(items, Outcome.RETRY, error.code, error.message, 60.0)
        broken = stop(session, channel, error)
    except Exception as error:
        # A connector that stumbles over an answer nobody expected has sent all the same. Raised, it would count as a dead
        # worker's attempt and be tried without end; written down, it is looked up and after some tries shown to a person.
        log.stumbled(channel.name, first.record, error)
        results = _all(items, Outcome.IN_DOUBT, "CONNECTOR-DEFECT", f"{type(error).__name__} in the connector")
    tally.outcomes.update(_write_down(session, channel, batch, attempt_ids, results))
    if any(result.outcome not in {Outcome.RETRY, Outcome.IN_DOUBT} for result in results):
        answered(session, channel)
    if broken is not None:
        raise broken
    if postponed is not None:
        raise postponed


def _did_not_answer(channel: Channel, error: OutcomeUnknown | RetryLater) -> str:
    what = f"{channel.connector.title} did not answer usefully ({error.code}: {error.message[:300]})."
    return f"{what} What was sent is sent again or looked up. Nobody needs to act unless this lasts."


def _write_down(
    session: Session,
    channel: Channel,
    batch: Sequence[Prepared],
    attempt_ids: Sequence[int],
    results: Sequence[PushResult],
) -> Counter[str]:
    """Record the outcomes. They are known only here: a deadlock with another worker must not turn them into doubt."""
    tries = 0
    while True:
        tries += 1
        try:
            with session.database.transaction() as cur:
                return conclude(session, cur, channel, batch, attempt_ids, results)
        except StoreContended:
            if tries == CONTENDED_TRIES:
                raise


def _all(
    items: Sequence[PushItem], outcome: Outcome, code: str, message: str, after: float | None = None
) -> list[PushResult]:
    return [PushResult(item.key, outcome, code=code, message=message, after=after) for item in items]

"""Settle: look up what became of writes in doubt, adopt what is ours, and send again only what is proven absent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from connectors.base import ComparesRecords, CreateProtocol, Native, Operation, PushesRecords, RecordCapability
from hub.encoding import decode
from hub.errors import ConnectionBroken, ConnectorStumbled, HubError, VendorUnavailable
from hub.results import SettleSummary
from hub.session import Channel, Session
from hub.store import attempts, lane_moves, lane_standing, lanes, never_created
from hub.store.attempts import Attempt
from hub.store.database import Cursor
from hub.store.lanes import Lane
from hub.sync import jobs, marked_for_nobody
from hub.sync.doubtful_updates import Doubtful, settle_by_look, worth_a_look
from hub.sync.look_ups import count_failures, look_up
from hub.sync.native_keys import may_resend
from hub.sync.outcomes import park, reference_kind, retry_wait, settle_window, tell
from hub.sync.targets import STAGES
from hub.sync.vendor import caught
from oms_schema.problems import Problem, Reason, shown

NEGATIVES_NEEDED = 2
"""Look-ups past the settle window that must find nothing before a record without a unique field is sent again."""

RESENDS_ALLOWED = 5
"""Times a record is sent again after a look-up found nothing; a vendor that then still calls it a duplicate needs a person."""

PROBE_PAUSE = timedelta(seconds=2)

PATIENT_TRIES = 12
"""Times a name is asked for again that another record of ours is about to give up: half an hour with the usual waits."""


def settle(session: Session, name: str) -> SettleSummary:
    """Settle everything in doubt that is due at a connection, and what dead workers left in flight.

    Raises ConnectionBroken and NotFound; when the vendor cannot be asked now, the rest stays in doubt.
    """
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, PushesRecords):
        raise ConnectionBroken(name, f"Connection {name} takes no records. Nothing is in doubt there.")
    tally: Counter[str] = Counter()
    with session.database.transaction() as cur:
        unsettled = lanes.kinds_unsettled(cur, name)
    for kind in sorted(unsettled, key=lambda kind: STAGES[kind]):
        while True:
            now = session.machine.now()
            with session.database.transaction() as cur:
                claimed = lanes.claim_doubtful(cur, name, kind, 50, now, now + session.lease)
                last = attempts.last_of(cur, [lane.id for lane in claimed])
            if not claimed:
                break
            tally["examined"] += len(claimed)
            try:
                _settle_batch(session, channel, connector, claimed, last, tally)
            except VendorUnavailable as unavailable:
                _give_back(session, claimed, session.machine.now() + timedelta(seconds=max(1.0, unavailable.after)))
                break
            except HubError:
                _give_back(session, claimed, session.machine.now())
                raise
    with session.database.transaction() as cur:
        ahead = lane_standing.outlook(cur, name, session.machine.now())
    return SettleSummary(
        connection=name,
        examined=tally["examined"],
        adopted=tally["adopted"],
        resent=tally["resent"],
        waiting=ahead.waiting,
        parked=tally["parked"],
        next_due=ahead.next_due,
    )


def _give_back(session: Session, claimed: Sequence[Lane], due: datetime) -> None:
    """Leave in doubt what was not decided, without waiting for the lease to end."""
    with session.database.transaction() as cur:
        for lane in lanes.still_claimed(cur, claimed):
            lanes.doubt(cur, lane, due)


def _settle_batch(
    session: Session,
    channel: Channel,
    connector: PushesRecords,
    claimed: Sequence[Lane],
    last: dict[int, Attempt],
    tally: Counter[str],
) -> None:
    probe: list[Doubtful] = []
    updates: list[Doubtful] = []
    stumbled: list[Doubtful] = []
    running, untold_jobs = jobs.still_running(session, channel, last.values())
    with session.database.transaction() as cur:
        first = attempts.first_invoked(cur, [lane.id for lane in claimed])
        open_creates = attempts.doubtful_creates(cur, [lane.id for lane in claimed])
        dropped = never_created.not_created(cur, [lane.id for lane in claimed if lane.vendor_id is None])
        for lane in claimed:
            attempt = last.get(lane.id)
            if lane.id in dropped and lane.id in open_creates:
                attempt = open_creates[lane.id]
            elif (older := _under_an_old_key(channel, lane, attempt, open_creates.get(lane.id))) is not None:
                attempt = older
            if attempt is None or attempt.outcome in {"rejected", "retry", "created", "updated", "unchanged"}:
                # The worker died before it wrote an attempt, or after the outcome was recorded: nothing is in doubt.
                lanes.release(cur, [lane], None)
                tally["resent"] += 1
                continue
            if attempt.id in running:
                lanes.doubt(cur, lane, session.machine.now() + jobs.ASK_AGAIN)
                tally["waiting"] += 1
                continue
            if attempt.id in untold_jobs:
                stumbled.append((lane, attempt))
                continue
            capability = channel.capabilities.records.get(attempt.record)
            if attempt.outcome is None:
                attempts.finish(cur, attempt.id, "in_doubt", session.machine.now(), code="WORKER-DIED")
            if (
                lane.vendor_id is None
                and lane.id not in dropped
                and may_resend(channel, attempt, first, session.machine.now())
            ):
                # The vendor knows the key and applies it once, however often it comes.
                lanes.release(cur, [lane], session.machine.now() + retry_wait(lane.tries), tried=True)
                tell(session, cur, channel, lane, "sent again under its key", attempt.code or "")
                tally["resent"] += 1
                continue
            # Nobody asks the vendor again for what is not created any more: no later refusal tells of a late commit.
            operation = Operation.UPDATE if lane.id in dropped else attempt.operation
            due = attempt.invoked_at + settle_window(capability, operation)
            if session.machine.now() < due:
                lanes.doubt(cur, lane, due)
                tally["waiting"] += 1
            elif worth_a_look(channel, lane, attempt):
                updates.append((lane, attempt))
            elif attempt.operation != Operation.CREATE or lane.vendor_id is not None:
                _send_again(session, cur, channel, lane, attempt, tally)
            elif capability is None or capability.create is CreateProtocol.NONE or capability.marker is None:
                park(session, cur, channel, lane, lane.entity_id, [_ambiguous(channel, attempt)])
                tally["parked"] += 1
            else:
                probe.append((lane, attempt))
    count_failures(session, channel, stumbled, tally)
    if updates:
        untold, failed, counts = settle_by_look(session, channel, updates)
        count_failures(session, channel, failed, tally)
        tally.update(counts)
        with session.database.transaction() as cur:
            for lane, attempt in untold:
                _send_again(session, cur, channel, lane, attempt, tally)
    by_record: dict[str, list[Doubtful]] = {}
    for lane, attempt in probe:
        by_record.setdefault(attempt.record, []).append((lane, attempt))
    for record, pairs in by_record.items():
        found, failed = look_up(session, channel, connector, record, pairs)
        count_failures(session, channel, failed, tally)
        with session.database.transaction() as cur:
            doubtful = attempts.doubtful_in_a_row(cur, [lane.id for (lane, _), _ in found])
            for (lane, attempt), hit in found:
                capability = channel.capabilities.records[record]
                if hit is None and lane.id in dropped:
                    _never_there(session, cur, channel, lane, capability, tally)
                elif hit is None:
                    resends = min(lane.tries, doubtful.get(lane.id, 0) - 1)
                    _absent(session, cur, channel, lane, attempt, capability, tally, resends)
                else:
                    _present(session, cur, channel, lane, attempt, capability, hit, tally)


def _send_again(
    session: Session, cur: Cursor, channel: Channel, lane: Lane, attempt: Attempt, tally: Counter[str]
) -> None:
    """Nothing of this update or verb can still be under way: sending the newest state again is safe."""
    lanes.send_again(cur, lane)
    tell(session, cur, channel, lane, "settled: sent again", attempt.code or "")
    tally["resent"] += 1


def _under_an_old_key(channel: Channel, lane: Lane, last: Attempt | None, older: Attempt | None) -> Attempt | None:
    """The create in doubt that a refused or failed repetition left open. Unless it is looked up, or shown to a person where no
    look-up can tell, it goes back and forth between pushing and settling for ever."""
    if older is None or last is None or lane.vendor_id is not None or last.outcome not in {"rejected", "retry"}:
        return None
    capability = channel.capabilities.records.get(older.record)
    return older if capability is not None and capability.create is CreateProtocol.NATIVE_KEY else None


def _absent(
    session: Session,
    cur: Cursor,
    channel: Channel,
    lane: Lane,
    attempt: Attempt,
    capability: RecordCapability,
    tally: Counter[str],
    resends: int,
) -> None:
    """Not found. With a unique field the vendor itself refuses a second one; otherwise two negatives past the window."""
    unique = capability.create is CreateProtocol.UNIQUE_FIELD
    if resends >= RESENDS_ALLOWED:
        park(session, cur, channel, lane, lane.entity_id, [_ambiguous(channel, attempt)])
        tally["parked"] += 1
        return
    if unique or lane.probes + 1 >= NEGATIVES_NEEDED:
        if capability.create is CreateProtocol.NATIVE_KEY:
            # The old keys are worth nothing any more; what comes now is a send of its own.
            attempts.finish_doubtful_creates(cur, lane.id, "retry", session.machine.now(), code="PROVEN-ABSENT")
        lanes.release(cur, [lane], None, tried=True)
        tell(session, cur, channel, lane, "proven absent: sent again", f"look-ups: {lane.probes + 1}")
        tally["resent"] += 1
        return
    lanes.count_probe(cur, lane, session.machine.now() + PROBE_PAUSE)
    tally["waiting"] += 1


def _never_there(
    session: Session, cur: Cursor, channel: Channel, lane: Lane, capability: RecordCapability, tally: Counter[str]
) -> None:
    """Not found, and not to be created any more. Once nothing can be under way, the next push leaves it alone."""
    if capability.create is not CreateProtocol.UNIQUE_FIELD and lane.probes + 1 < NEGATIVES_NEEDED:
        lanes.count_probe(cur, lane, session.machine.now() + PROBE_PAUSE)
        tally["waiting"] += 1
        return
    attempts.finish_doubtful_creates(cur, lane.id, "retry", session.machine.now(), code="PROVEN-ABSENT")
    lanes.release(cur, [lane], None)
    tell(session, cur, channel, lane, "proven absent: not sent again", f"look-ups: {lane.probes + 1}")
    tally["resent"] += 1


def _present(
    session: Session,
    cur: Cursor,
    channel: Channel,
    lane: Lane,
    attempt: Attempt,
    capability: RecordCapability,
    hit: tuple[str, Native],
    tally: Counter[str],
) -> None:
    """Found. Ours is adopted; an unmarked one by policy; a stranger's never."""
    vendor_id, native = hit
    ours = True
    if capability.mark is not None:
        wanted = decode(attempt.payload).get(capability.mark)
        mark = native.get(capability.mark)
        ours = mark == wanted
        if not ours and mark and _comes_free(cur, channel, lane, attempt, capability, vendor_id):
            # The vendor refuses a second record of this name while the other one bears it; sent too early it does so again.
            now = session.machine.now()
            attempts.finish(cur, attempt.id, "retry", now, code="NAME-COMES-FREE")
            lanes.release(cur, [lane], now + retry_wait(lane.tries), tried=True)
            tell(session, cur, channel, lane, "waits for its name", f"id {vendor_id} is being renamed")
            tally["waiting"] += 1
            return
        if not ours and (mark or not channel.settings.adopt_unmarked):
            park(session, cur, channel, lane, lane.entity_id, [_strangers(channel, attempt, vendor_id, mark)])
            tally["parked"] += 1
            return
    now = session.machine.now()
    made = _made_by(cur, attempt, capability, native, channel)
    holder = attempts.put_reference(
        cur,
        connection=channel.name,
        kind=reference_kind(lane.kind),
        entity_id=lane.entity_id,
        facet=lane.facet,
        record=attempt.record,
        vendor_id=vendor_id,
        account=channel.account,
        attempt_id=made.id,
        now=now,
    )
    if holder is not None:
        park(session, cur, channel, lane, lane.entity_id, [_strangers(channel, attempt, vendor_id, holder)])
        tally["parked"] += 1
        return
    if made.id != attempt.id:  # the vendor refused this one, because the other record was there
        attempts.finish(cur, attempt.id, "retry", now, code="MADE-BEFORE", message=attempt.code)
    code = made.code if ours else attempts.ADOPTED
    attempts.finish(cur, made.id, "created", now, code=code, message="found by look-up", vendor_id=vendor_id)
    if capability.create is CreateProtocol.NATIVE_KEY:  # all of them bore one key, so all of them made this one record
        attempts.finish_doubtful_creates(cur, lane.id, "created", now, code="SAME-KEY", vendor_id=vendor_id)
    if ours:
        lanes.acknowledge(cur, lane, made.payload, made.desired_hash, made.version, now, why="adopted")
    else:
        lanes.release(cur, [lane], None)  # it exists now; the next push writes our mark and fields into it
    lane_moves.reopen_status(cur, channel.name, [lane])
    if attempt.code == attempts.BEFORE_RESTORE:
        marked_for_nobody.known(cur, channel, attempt.record, vendor_id, now)
    tell(session, cur, channel, lane, "found and adopted", f"id {vendor_id}")
    tally["adopted"] += 1


def _made_by(cur: Cursor, attempt: Attempt, capability: RecordCapability, native: Native, channel: Channel) -> Attempt:
    """Which create made what was found: this one, or an earlier one of other content that was carried out after its look-up.

    The one that most of the fields agree with as the vendor compares them (an id sent as text comes back as a number), this
    one of two alike. What was wanted since is sent as an update, and what somebody else changed meanwhile is still known
    from what was sent.
    """
    if capability.create is not CreateProtocol.UNIQUE_FIELD:
        return attempt
    connector = channel.connector

    def unlike(one: Attempt) -> int:
        sent = decode(one.payload)
        if isinstance(connector, ComparesRecords):
            try:
                return len(caught(channel, "compare", partial(connector.differences, one.record, sent, native)))
            except ConnectorStumbled:
                pass  # its own figures are then compared as they are
        return sum(native.get(name) != value for name, value in sent.items())

    earlier = attempts.earlier_creates(cur, attempt)
    return min([attempt, *earlier], key=unlike) if earlier else attempt


def _comes_free(
    cur: Cursor, channel: Channel, lane: Lane, attempt: Attempt, capability: RecordCapability, vendor_id: str
) -> bool:
    """Whether the record of our name belongs to another entity of ours that is getting another name: renamed in the source
    just before this one took its name over, and not renamed at the vendor yet, or not yet as far as its index shows."""
    if capability.create is not CreateProtocol.UNIQUE_FIELD or capability.marker is None or lane.tries >= PATIENT_TRIES:
        return False
    held = attempts.holder(cur, channel.name, attempt.record, vendor_id)
    other = None if held is None else lane_moves.carrying(cur, channel.name, *held)
    if other is None or other.id == lane.id or other.state == lanes.PARKED:
        return False
    if other.acked_payload is None or other.state != lanes.READY or other.desired_hash != other.acked_hash:
        return True
    there, wanted = (decode(payload).get(capability.marker) for payload in (other.acked_payload, attempt.payload))
    return _folded(there) != _folded(wanted)  # names that differ only in case never come free of each other


def _folded(name: object) -> str:
    return " ".join(str(name).casefold().split())


def _ambiguous(channel: Channel, attempt: Attempt) -> Problem:
    title = channel.connector.title
    if attempt.code == attempts.BEFORE_RESTORE:
        unknown = f"The database was restored, and whether {title} had the {attempt.record} before is unknown"
    else:
        unknown = f"{title} never said clearly whether it created the {attempt.record}"
    return Problem(
        code=attempt.code or "NO-ANSWER",
        reason=Reason.AMBIGUOUS,
        path=attempt.record,
        value="",
        happened=f"{unknown}, and a look-up cannot tell.",
        effect="It is not sent again, so that it cannot exist twice.",
        fix="Operations looks it up by hand and answers: it exists with this id, or it does not exist.",
        owner="Operations",
    )


def _strangers(channel: Channel, attempt: Attempt, vendor_id: str, mark: object) -> Problem:
    return Problem(
        code="STRANGER-WITH-OUR-NAME",
        reason=Reason.DUPLICATE,
        path=attempt.record,
        value=shown(mark),
        happened=f"{channel.connector.title} already has {attempt.record} {vendor_id} of this name, marked {shown(mark)!r}.",
        effect="It is not touched, and nothing is created.",
        fix="Ad operations renames one of the two, or tells the hub to adopt it.",
        owner="Ad operations",
    )

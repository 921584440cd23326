"""Unheld records: live ones with a mark of ours that no reference names, as a census finds them.

A store that was restored does not know of them yet, or a vendor created them later than it may. What a look-up finds is left
to settling, which knows what was sent; what belongs to no lane is for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from connectors.base import CreateProtocol, Operation, Outcome, RecordCapability
from hub.encoding import decode
from hub.session import Channel, Session
from hub.store import attempts, censuses, journal, lane_moves, lanes, parking
from hub.store.attempts import Attempt
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import Lane
from hub.sync import marked_for_nobody
from hub.sync.marks import Ours
from hub.sync.prepare import prepare
from mappings.mapping import Mapping
from oms_schema.ids import EntityKind

FIRST_PART = "1"
"""The facet of an order's first part, and of what has no parts."""


@dataclass
class Unheld:
    """What became of them. `waiting` are left to settling, `unknown` (record, vendor id, entity id) belong to no lane."""

    adopted: int = 0
    waiting: int = 0
    unknown: list[tuple[str, str, str]] = field(default_factory=list)


def adopt_unheld(
    session: Session, channel: Channel, kind: EntityKind, mapping: Mapping, ours: Sequence[Ours]
) -> Unheld:
    """Adopt where a lane waits for its record, and tell the others."""
    tally = Unheld()
    with session.database.transaction() as cur:
        held = censuses.held(cur, channel.name, kind)
    taken = {(each.entity_id, each.facet) for each in held.values()}
    for each in sorted(ours, key=lambda o: (-(o.row.delivered or 0), o.row.vendor_id)):
        if each.row.archived or each.row.vendor_id in held:
            continue
        with session.database.transaction() as cur:
            candidates = [
                lane
                for lane in lane_moves.without_record(cur, channel.name, kind, each.entity_id)
                if (lane.entity_id, lane.facet) not in taken
            ]
        lane = _meant(session, channel, candidates, each)
        if lane is not None and _adopt(session, channel, kind, mapping, lane, each):
            taken.add((lane.entity_id, lane.facet))
            tally.adopted += 1
        elif any(entity_id == each.entity_id for entity_id, _ in taken):
            continue  # its twin is parked as a duplicate, or a worker has just recorded it
        elif _under_way(session, channel, kind, each.entity_id):
            tally.waiting += 1  # settling tells
        else:
            tally.unknown.append((mapping.record, each.row.vendor_id, each.entity_id))
    marked_for_nobody.no_more(session, channel, mapping.record, tally.unknown)
    return tally


def _meant(session: Session, channel: Channel, candidates: Sequence[Lane], each: Ours) -> Lane | None:
    """The lane that a record belongs to: the one that would write its scope, or the one of its part.

    Not simply the only one that waits for a record: a restored store may not know yet of another role or part.
    """
    if each.row.scope:
        prepared, _ = prepare(session, channel, candidates, planning=True)
        return next((item.lane for item in prepared if each.row.scope in item.payload.values()), None)
    if any(lane.kind == EntityKind.PARTY for lane in candidates):
        return candidates[0] if len(candidates) == 1 else None
    part = each.part or FIRST_PART  # an order that had one part when it was sent bears no number
    return next((lane for lane in candidates if lane.facet == part), None)


def _adopt(session: Session, channel: Channel, kind: EntityKind, mapping: Mapping, lane: Lane, each: Ours) -> bool:
    now = session.machine.now()
    with session.database.transaction() as cur:
        if attempts.holder(cur, channel.name, mapping.record, each.row.vendor_id):
            return False
        sent = _sent_in_doubt(cur, lane)
        capability = None if sent is None else channel.capabilities.records.get(sent.record)
        if sent is not None and capability is not None and _look_up_finds(capability, sent, each):
            lane_moves.look_up(cur, lane, now)
            return False
        if not lanes.answer(cur, lane):
            return False
        made = sent if capability is not None and capability.create is CreateProtocol.NONE else None
        attempts.put_reference(
            cur,
            connection=channel.name,
            kind=kind,
            entity_id=lane.entity_id,
            facet=lane.facet,
            record=mapping.record,
            vendor_id=each.row.vendor_id,
            account=channel.account,
            attempt_id=None if made is None else made.id,
            now=now,
        )
        if made is not None:
            _acknowledge(cur, lane, made, each.row.vendor_id, now)
        lane_moves.reopen_status(cur, channel.name, [lane])
        parking.resolve(cur, now, "adopted", subject=lanes.subject(lane.id))
        entry = Entry(
            channel.name,
            f"{kind} found by a census and adopted",
            f"id {each.row.vendor_id}",
            lane.order_id or None,
            kind,
            lane.entity_id,
        )
        journal.write(cur, [entry], now, session.business.now())
        if lane.order_id:
            journal.mark_stale(cur, [lane.order_id])
    return True


def _acknowledge(cur: Cursor, lane: Lane, made: Attempt, vendor_id: str, now: datetime) -> None:
    """This made the record, since it was sent once and never again: what somebody changed in it meanwhile is a conflict."""
    attempts.finish(cur, made.id, "created", now, code=made.code, message="found by a census", vendor_id=vendor_id)
    as_sent = replace(lane, desired_version=made.version, desired_hash=made.desired_hash)
    lanes.acknowledge_late(cur, as_sent, made.payload, made.id, vendor_id, now)


def _sent_in_doubt(cur: Cursor, lane: Lane) -> Attempt | None:
    """The last send of a lane, where it was a create and nobody knows what became of it."""
    last = attempts.last_of(cur, [lane.id]).get(lane.id)
    doubtful = last is not None and last.operation == Operation.CREATE and last.outcome in {None, Outcome.IN_DOUBT}
    return last if doubtful else None


def _look_up_finds(capability: RecordCapability, sent: Attempt, each: Ours) -> bool:
    """Whether a look-up finds what this made: settling knows what was sent, and so what somebody changed since."""
    if capability.marker is None or capability.create is CreateProtocol.NONE:
        return False
    return decode(sent.payload).get(capability.marker) in {each.row.marker, each.row.mark}


def _under_way(session: Session, channel: Channel, kind: EntityKind, entity_id: str) -> bool:
    """Whether a worker has the entity's own record, or had it until just now, or nobody knows what became of it."""
    with session.database.transaction() as cur:
        own = [lane for lane in lanes.of_entity(cur, channel.name, entity_id) if lane.kind == kind]
    return any(lane.vendor_id is not None or lane.state in {lanes.IN_FLIGHT, lanes.IN_DOUBT} for lane in own)

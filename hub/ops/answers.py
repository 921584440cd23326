"""Adopt: a person says which vendor object an entity is, or that it does not exist; looked at before it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.base import Native, ObservesRecords, Operation, PushesRecords, PushItem, ReadsChanges
from hub.encoding import decode
from hub.errors import NotFound, Refused
from hub.ops.people import who, why
from hub.results import AdoptResult
from hub.session import Channel, Session
from hub.store import attempts, documents, entities, journal, lane_moves, lanes, parking
from hub.store.attempts import Attempt
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import Lane
from hub.sync import marked_for_nobody
from hub.sync.outcomes import settle_window
from hub.sync.vendor import ask
from oms_schema.problems import shown


@dataclass(frozen=True, slots=True)
class _Question:
    """The lane an answer is about, the vendor's record type, and the last send that nobody answered."""

    channel: Channel
    lane: Lane
    record: str
    mark: str | None
    attempt: Attempt | None


def adopt(
    session: Session,
    entity_id: str,
    vendor_id: str,
    *,
    connection: str,
    facet: str | None = None,
    by: str | None,
    note_text: str | None,
) -> AdoptResult:
    """From now on the entity stands for this vendor object; the next push writes the hub's fields into it.

    Raises NotFound (no such entity there, no such object at the vendor), Refused (another entity holds the object or its
    mark, the record is being sent right now), VendorUnavailable and ConnectionBroken when the object cannot be looked at.
    """
    actor, reason = who(by), why(note_text)
    asked = _question(session, entity_id, connection, facet)
    native = _look_at(session, asked, vendor_id)
    if native is None:
        raise NotFound(
            f"{asked.channel.connector.title} has no {asked.record} {vendor_id}. Nothing was adopted. Look the id up again."
        )
    now = session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        _refuse_a_strangers_mark(cur, asked, native, vendor_id)
        holder = attempts.holder(cur, connection, asked.record, vendor_id)
        if holder is not None and holder != (entity_id, asked.lane.facet):
            raise Refused(
                f"{asked.record} {vendor_id} already belongs to {holder[0]}. Nothing was adopted: two entities never share one "
                "vendor object. Sales merges the two, or somebody finds the right object."
            )
        _answer(cur, asked)
        marked_for_nobody.answered(cur, connection, entity_id, now)
        attempts.put_reference(
            cur,
            connection=connection,
            kind=asked.lane.kind,
            entity_id=entity_id,
            facet=asked.lane.facet,
            record=asked.record,
            vendor_id=vendor_id,
            account=asked.channel.account,
            attempt_id=None if asked.attempt is None else asked.attempt.id,
            now=now,
        )
        lane_moves.reopen_status(cur, connection, [asked.lane])
        if asked.attempt is not None:
            attempts.finish(
                cur,
                asked.attempt.id,
                "created",
                now,
                code=attempts.ADOPTED,
                message=f"adopted by {actor}",
                vendor_id=vendor_id,
            )
        _close(session, cur, asked, f"adopted by {actor}", f"id {vendor_id}" + (f", {reason}" if reason else ""))
        note(cur, f"{asked.lane.kind}:{entity_id}", "adopt", connection=connection, vendor_id=vendor_id, note=reason)
    return AdoptResult(connection, asked.lane.kind, entity_id, asked.lane.facet, asked.record, vendor_id)


def declare_absent(
    session: Session,
    entity_id: str,
    *,
    connection: str,
    facet: str | None = None,
    by: str | None,
    note_text: str | None,
) -> AdoptResult:
    """The vendor does not have the entity's record: it may be created again.

    The hub looks for itself as far as the vendor lets it. Raises NotFound, VendorUnavailable, ConnectionBroken, and Refused
    when the record is there after all, or when the last send may still be under way.
    """
    actor, reason = who(by), why(note_text)
    asked = _question(session, entity_id, connection, facet)
    if asked.attempt is not None:
        capability = asked.channel.capabilities.records.get(asked.record)
        # The whole window, also of a unique field: where the deal is lost, nothing is sent again that the vendor could refuse.
        until = asked.attempt.invoked_at + settle_window(capability, Operation.UPDATE)
        if session.machine.now() < until:
            raise Refused(
                f"The last send of {asked.record} may still be carried out until {until:%H:%M:%S} UTC. Nothing was changed. "
                "Look and answer again after that."
            )
    there = _found_after_all(session, asked)
    if there is not None:
        raise Refused(
            f"{asked.channel.connector.title} has it: {asked.record} {there}. Nothing was changed. Answer with "
            f"`orderhub adopt {entity_id} {there} --connection {connection}`."
        )
    now = session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        _answer(cur, asked)
        marked_for_nobody.answered(cur, connection, entity_id, now)
        gone = attempts.supersede_reference(
            cur,
            connection=connection,
            kind=asked.lane.kind,
            entity_id=entity_id,
            facet=asked.lane.facet,
            now=now,
        )
        if asked.attempt is not None:
            attempts.finish(
                cur, asked.attempt.id, "retry", now, code="ANSWERED-ABSENT", message=f"{actor}: it does not exist"
            )
        # What was sent before is answered too; left open, an old key would bring the same question again.
        attempts.finish_doubtful_creates(cur, asked.lane.id, "retry", now, code="ANSWERED-ABSENT")
        _close(session, cur, asked, f"declared absent by {actor}", reason)
        note(cur, f"{asked.lane.kind}:{entity_id}", "absent", connection=connection, was=gone, note=reason)
    return AdoptResult(connection, asked.lane.kind, entity_id, asked.lane.facet, asked.record, None)


def _question(session: Session, entity_id: str, connection: str, facet: str | None) -> _Question:
    channel = session.channel(connection)
    if not isinstance(channel.connector, PushesRecords):
        raise Refused(f"Connection {connection} takes no records. Nothing was changed. Name an ad server's connection.")
    with session.database.transaction() as cur:
        found = lanes.of_entity(cur, connection, entity_id)
        if not found:
            raise NotFound(
                f"{entity_id} is wanted nowhere at {connection}. Nothing was changed. `orderhub trace` shows ids."
            )
        chosen = found if facet is None else [lane for lane in found if lane.facet == facet]
        names = ", ".join(lane.facet for lane in found)
        if not chosen:
            raise NotFound(f"{entity_id} has no part {facet!r} at {connection}. Nothing was changed. It has: {names}.")
        if len(chosen) != 1:
            raise Refused(
                f"{entity_id} has several records at {connection} ({names}). Nothing was changed. Name one: --part."
            )
        lane = chosen[0]
        last = attempts.last_of(cur, [lane.id]).get(lane.id)
        if lane.vendor_id is None and last is not None and last.outcome not in {None, "in_doubt"}:
            # A send that failed for certain says nothing about one before it that nobody answered.
            last = attempts.doubtful_creates(cur, [lane.id]).get(lane.id)
        record, mark = _record(cur, channel, lane)
    if lane.state == lanes.IN_FLIGHT:
        raise Refused(
            f"{entity_id} is being sent to {connection} right now. Nothing was changed. Ask again in a minute."
        )
    unanswered = last if last is not None and last.outcome in {None, "in_doubt"} else None
    return _Question(channel, lane, record, mark, unanswered)


def _record(cur: Cursor, channel: Channel, lane: Lane) -> tuple[str, str | None]:
    """The vendor's record type of a lane, and the field that says whose a record is. A document names its own type."""
    if lane.kind == lanes.DOCUMENT:
        record = documents.by_ids(cur, lane.connection, [lane.entity_id])[lane.entity_id].record
    else:
        mapping = channel.mapping(lane.kind, "out")
        if mapping is None:
            raise Refused(f"{channel.name} has no mapping for {lane.kind}. Nothing was changed. Integration adds one.")
        record = mapping.record
    capability = channel.capabilities.records.get(record)
    return record, None if capability is None else capability.mark


def _look_at(session: Session, asked: _Question, vendor_id: str) -> Native | None:
    """The vendor's object of this id. Raises Refused when the vendor shows none by id."""
    connector, record = asked.channel.connector, asked.record
    if isinstance(connector, ObservesRecords):
        seen = ask(session, asked.channel, "observe", lambda: connector.observe(record, [vendor_id]))
        return seen.get(vendor_id)
    if isinstance(connector, ReadsChanges):
        read: Mapping[str, Native] = ask(
            session, asked.channel, "fetch", lambda: connector.fetch(record, [], [vendor_id])
        )
        return read.get(vendor_id)
    raise Refused(
        f"{connector.title} shows no record by its id, so the answer cannot be checked. Nothing was adopted. "
        "Integration adds an observation to the connector."
    )


def _found_after_all(session: Session, asked: _Question) -> str | None:
    """The id of the object where it is not absent: the one the entity stands for, or one that carries its marker."""
    if asked.lane.vendor_id is not None:
        return asked.lane.vendor_id if _look_at(session, asked, asked.lane.vendor_id) is not None else None
    connector, attempt = asked.channel.connector, asked.attempt
    if attempt is None or attempt.operation != Operation.CREATE or not isinstance(connector, PushesRecords):
        return None
    capability = asked.channel.capabilities.records.get(asked.record)
    if capability is None or capability.marker is None:
        return None
    payload: dict[str, Any] = decode(attempt.payload)
    item = PushItem(attempt.key, payload)
    hits = ask(session, asked.channel, "find", lambda: connector.find(asked.record, [item]))
    if not hits or hits[0] is None:
        return None
    vendor_id, native = hits[0]
    mark = None if capability.mark is None else native.get(capability.mark)
    strangers = bool(mark) and mark != payload.get(str(capability.mark))
    return None if strangers else vendor_id


def _refuse_a_strangers_mark(cur: Cursor, asked: _Question, native: Native, vendor_id: str) -> None:
    """The mark on the object names whom it belongs to (canonical or external id); an entity that we know is not robbed."""
    mark = None if asked.mark is None else native.get(asked.mark)
    if not isinstance(mark, str) or not mark:
        return
    owners = entities.by_mark(cur, mark)
    if owners and asked.lane.entity_id not in owners:
        raise Refused(
            f"{asked.record} {vendor_id} carries the mark of {owners[0]} ({shown(mark)}). Nothing was adopted. Ad operations "
            "clears the mark there, or somebody finds the right object."
        )


def _answer(cur: Cursor, asked: _Question) -> None:
    """Take the lane back from being looked up; refuse when a worker was faster."""
    if not lanes.answer(cur, asked.lane):
        raise Refused(
            f"{asked.lane.entity_id} moved at {asked.lane.connection} meanwhile. Nothing was changed. Look at it again."
        )


def _close(session: Session, cur: Cursor, asked: _Question, what: str, detail: str) -> None:
    lane, now = asked.lane, session.machine.now()
    parking.resolve(cur, now, what, subject=lanes.subject(lane.id))
    entry = Entry(lane.connection, f"{lane.kind} {what}", detail, lane.order_id or None, lane.kind, lane.entity_id)
    journal.write(cur, [entry], now, session.business.now())
    if lane.order_id:
        journal.mark_stale(cur, [lane.order_id])

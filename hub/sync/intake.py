"""Intake: read what a source changed, and make each change a new version, a held one, or a parked one. Never drop it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from connectors.base import Page, ReadRecord, ReadsChanges, StreamCapability
from hub.encoding import decode, encode, fingerprint
from hub.errors import ConnectionBroken
from hub.results import IntakeResult
from hub.session import Channel, Session
from hub.store import changes, journal, parking
from hub.store.changes import StoredChange
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.sync import echoes, targets
from hub.sync.accept import Incoming, Ledger, Verdict, accept
from hub.sync.echoes import SOURCE_ENTITIES
from hub.sync.vendor import reading, take_tokens
from mappings.mapping import Mapping
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.problems import Problem, Reason


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    orders: set[str] = field(default_factory=set)
    fresh: list[str] = field(default_factory=list)


def source_streams(channel: Channel) -> list[tuple[str, StreamCapability, Mapping]]:
    """The streams of a connection that carry canonical entities, parents before children."""
    by_record = {
        mapping.record: mapping for entity in SOURCE_ENTITIES if (mapping := channel.mapping(entity, "in")) is not None
    }
    streams = channel.capabilities.streams
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name not in streams:
            return
        for parent in streams[name].parents:
            visit(parent)
        ordered.append(name)

    for name in streams:
        visit(name)
    return [
        (name, streams[name], by_record[streams[name].record]) for name in ordered if streams[name].record in by_record
    ]


def intake(session: Session, name: str) -> IntakeResult:
    """Read every stream of a source to its present end.

    Raises ConnectionBroken, VendorUnavailable (everything read so far is kept and acknowledged).
    """
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, ReadsChanges):
        raise ConnectionBroken(name, f"Connection {name} reads no changes. Nothing was read. Choose a source.")
    tally = _Tally()
    touched = 0
    for stream, _, mapping in source_streams(channel):
        with session.database.transaction() as cur:
            position = changes.position(cur, name, stream)
        pages = connector.read(stream, mapping.native_fields, position)
        while (page := _next_page(session, channel, pages)) is not None:
            batch = _Tally()
            with session.database.transaction() as cur:
                if _holds_news(cur, channel, stream, page.records):
                    changes.one_at_a_time(cur)
                    _take(session, cur, channel, stream, mapping, page.records, batch)
                    touched += targets.touch(session, cur, sorted(batch.orders))
                    journal.mark_stale(cur, batch.orders)
                else:
                    batch.counts.update(read=len(page.records), unchanged=len(page.records))
                if page.cursor != position:
                    changes.save_position(cur, name, stream, page.cursor, session.machine.now())
            position = page.cursor
            tally.counts.update(batch.counts)
    with session.database.transaction() as cur:
        if changes.still_held(cur, name):
            changes.one_at_a_time(cur)
            _say_what_waits(session, cur, channel)
        echoes.forget_old(session, cur, channel)
        journal.read_now(cur, name, session.machine.now())
    return IntakeResult(
        connection=name,
        read=tally.counts["read"],
        accepted=tally.counts["accepted"],
        unchanged=tally.counts["unchanged"],
        rejected=tally.counts["rejected"],
        held=max(0, tally.counts["held"] - tally.counts["freed"]),
        lanes_touched=touched,
        echoes=tally.counts["echoes"],
    )


def feed(
    session: Session, channel: Channel, stream: str, mapping: Mapping, records: Sequence[ReadRecord]
) -> Counter[str]:
    """Take records of a stream that no page brought; what became of them, counted."""
    with session.database.transaction() as cur:
        changes.one_at_a_time(cur)
        batch = _Tally()
        _take(session, cur, channel, stream, mapping, records, batch)
        targets.touch(session, cur, sorted(batch.orders))
        journal.mark_stale(cur, batch.orders)
    return batch.counts


def _next_page(session: Session, channel: Channel, pages: Iterable[Page]) -> Page | None:
    take_tokens(session, channel, "read")
    with reading(session, channel):
        return next(iter(pages), None)


def _holds_news(cur: Cursor, channel: Channel, stream: str, records: Sequence[ReadRecord]) -> bool:
    """Whether any record is not as it was read last. Most pages of a poll hold none, and need not wait for their turn."""
    known = changes.known_hashes(cur, channel.name, stream, [record.native_id for record in records]) if records else {}
    return any(known.get(record.native_id) != _hash_of(record, encode(dict(record.native))) for record in records)


def _hash_of(record: ReadRecord, native: bytes) -> UUID:
    return fingerprint(native + (b"-" if record.deleted else b"+"))


def _take(
    session: Session,
    cur: Cursor,
    channel: Channel,
    stream: str,
    mapping: Mapping,
    records: Sequence[ReadRecord],
    tally: _Tally,
) -> None:
    known = changes.known_hashes(cur, channel.name, stream, [record.native_id for record in records])
    seen = set(known)
    kind = EntityKind(mapping.entity)
    news: list[tuple[ReadRecord, bytes, UUID]] = []
    for record in records:
        tally.counts["read"] += 1
        native = encode(dict(record.native))
        native_hash = _hash_of(record, native)
        if known.get(record.native_id) == native_hash:
            tally.counts["unchanged"] += 1
            continue
        news.append((record, native, native_hash))
        known[record.native_id] = native_hash
    if not news:
        return
    wanted = [canonical_id(kind, channel.name, record.native_id) for record, _, _ in news]
    ledger = Ledger.of(cur, channel, kind, wanted)
    parked = parking.open_subjects(cur, channel.name)
    ours = echoes.own(session, cur, channel, mapping.record, stream, [record for record, _, _ in news])
    for (record, native, native_hash), entity_id in zip(news, wanted, strict=True):
        change_id = changes.add(
            cur,
            connection=channel.name,
            stream=stream,
            native_id=record.native_id,
            modified_at=record.modified_at,
            received_at=session.machine.now(),
            deleted=record.deleted,
            native=native,
            native_hash=native_hash,
            entity_kind=kind,
            entity_id=entity_id,
            first=record.native_id not in seen,
        )
        seen.add(record.native_id)
        if record.native_id in ours:
            changes.conclude(cur, change_id, "unchanged")
            entity = ledger.get(cur, kind, entity_id)
            order_id = None if entity is None else entity.id if kind is EntityKind.ORDER else entity.order_id
            ledger.entries.append(
                Entry(channel.name, f"{kind} shows what the hub wrote", "no change", order_id, kind, entity_id)
            )
            tally.counts["unchanged"] += 1
            tally.counts["echoes"] += 1
            continue
        incoming = Incoming(change_id, stream, record.native_id, record.native, record.deleted)
        _conclude(session, cur, channel, mapping, incoming, tally, ledger, parked)
    _free_waiting(session, cur, channel, tally, ledger, parked)
    ledger.write(session, cur)


def _conclude(
    session: Session,
    cur: Cursor,
    channel: Channel,
    mapping: Mapping,
    incoming: Incoming,
    tally: _Tally,
    ledger: Ledger,
    parked: set[str],
) -> Verdict:
    """Accept one change and write down what became of it. `parked` are the subjects that have open parked work."""
    verdict = accept(session, cur, channel, mapping, incoming, ledger)
    subject = f"change:{channel.name}:{incoming.stream}:{incoming.native_id}"
    now = session.machine.now()
    changes.conclude(cur, incoming.change_id, verdict.status, version=verdict.version, waits_for=verdict.waits_for)
    if verdict.status == "rejected":
        parked.add(subject)
        parking.open_items(
            cur,
            verdict.problems,
            connection=channel.name,
            subject=subject,
            entity_kind=mapping.entity,
            entity_id=verdict.entity_id,
            order_id=verdict.order_id,
            now=now,
            change_id=incoming.change_id,
        )
    elif verdict.status in {"accepted", "unchanged"}:
        if subject in parked:
            # A line that is deleted before it was ever accepted names no order, and its order showed what was wrong with it.
            tally.orders.update(parking.orders_of(cur, subject))
            parking.resolve(cur, now, "accepted", subject=subject)
        tally.fresh.append(verdict.entity_id)
    tally.counts[verdict.status] += 1
    if verdict.order_id is not None:
        tally.orders.add(verdict.order_id)
    tally.orders.update(verdict.orders)
    return verdict


def _free_waiting(
    session: Session, cur: Cursor, channel: Channel, tally: _Tally, ledger: Ledger, parked: set[str]
) -> None:
    """Changes that waited for what has just been accepted get their turn; what they free gets its turn too."""
    while tally.fresh:
        fresh, tally.fresh = tally.fresh, []
        for waiting in changes.waiting_for(cur, fresh):
            mapping = mapping_of(channel, waiting.stream)
            if mapping is not None:
                tally.counts["freed"] += 1
                _conclude(session, cur, channel, mapping, as_incoming(waiting), tally, ledger, parked)


def mapping_of(channel: Channel, stream: str) -> Mapping | None:
    """The mapping that a stream's records go through."""
    return next((mapping for name, _, mapping in source_streams(channel) if name == stream), None)


def as_incoming(change: StoredChange) -> Incoming:
    """A stored change as it came in."""
    return Incoming(change.id, change.stream, change.native_id, decode(change.native), change.deleted)


def _say_what_waits(session: Session, cur: Cursor, channel: Channel) -> None:
    """Whatever still waits for another record once everything was read is shown as parked."""
    for stream, native_id, change_id, kind, entity_id, waits_for in changes.still_held(cur, channel.name):
        order_id = waits_for if waits_for.startswith("ord_") else entity_id if kind == "order" else None
        parking.open_items(
            cur,
            [
                Problem(
                    code="REFERENCE-NOT-ACCEPTED",
                    reason=Reason.REFERENCE_MISSING,
                    path=stream,
                    value=waits_for,
                    happened=f"The {kind} points to {waits_for}, which the source has not shown or which was refused.",
                    effect=f"The {kind} is kept and not sent.",
                    fix="Sales corrects the record it points to; it then goes on by itself.",
                    owner="Sales",
                )
            ],
            connection=channel.name,
            subject=f"change:{channel.name}:{stream}:{native_id}",
            entity_kind=kind,
            entity_id=entity_id,
            order_id=order_id,
            now=session.machine.now(),
            change_id=change_id,
        )
        if order_id is not None:
            journal.mark_stale(cur, [order_id])


def replay_changes(session: Session, name: str, change_ids: Sequence[int]) -> int:
    """Try refused changes of one source again, for instance after its mapping was corrected; returns how many passed."""
    channel = session.channel(name)
    tally = _Tally()
    with session.database.transaction() as cur:
        changes.one_at_a_time(cur)
        ledger, parked = Ledger(), parking.open_subjects(cur, name)
        for change in changes.refused(cur, change_ids):
            mapping = mapping_of(channel, change.stream)
            if mapping is not None:
                _conclude(session, cur, channel, mapping, as_incoming(change), tally, ledger, parked)
        _free_waiting(session, cur, channel, tally, ledger, parked)
        ledger.write(session, cur)
        targets.touch(session, cur, sorted(tally.orders))
        journal.mark_stale(cur, tally.orders)
    return tally.counts["accepted"]

"""Intake: read what a source changed, and make each change a new version, a held one, or a parked one. Never drop it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as HashMapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from connectors.base import Page, ReadRecord, ReadsChanges, StreamCapability
from hub.encoding import decode, encode, fingerprint
from hub.errors import ConnectionBroken, ConnectorStumbled
from hub.results import IntakeResult
from hub.session import Channel, Session
from hub.store import changes, journal, parking
from hub.store.changes import Conclusion, NewChange, StoredChange
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.sync import echoes, targets
from hub.sync.accept import Incoming, Verdict, accept, order_of_line, parties_of
from hub.sync.accept_page import Ledger
from hub.sync.echoes import SOURCE_ENTITIES
from hub.sync.vendor import pages_of
from mappings.mapping import Mapping
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.problems import Problem, Reason, shown

BATCH = 500
"""Records of a page whose changes and versions are held back before they are written."""
READ_ANEW = 1_000
"""Accepted changes from which PostgreSQL is told to look at its tables again."""


@dataclass
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    orders: set[str] = field(default_factory=set)
    fresh: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Read:
    """One record as read, with what the store keeps of it."""

    record: ReadRecord
    native: bytes
    native_hash: UUID

    @classmethod
    def of(cls, channel: Channel, stream: str, record: ReadRecord) -> _Read:
        try:
            native = encode(dict(record.native))
        except TypeError as error:
            raise ConnectorStumbled(
                channel.name,
                f"The connector {channel.connector.name} of {channel.name} handed over {stream} {shown(record.native_id)!r} with "
                f"a value that cannot be kept ({error}). Nothing of its page was taken, and the next reading starts there. "
                "Integration mends the connector: text is whole Unicode, integers have at most 64 bits, numbers are Decimals.",
            ) from error
        return cls(record, native, fingerprint(native + (b"-" if record.deleted else b"+")))

    @property
    def native_id(self) -> str:
        return self.record.native_id


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

    Raises ConnectionBroken, VendorUnavailable, ConnectorStumbled (everything read so far is kept and acknowledged).
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
        pages = _pages(session, channel, connector, stream, mapping, position)
        while (page := next(pages, None)) is not None:
            batch = _Tally()
            read = [_Read.of(channel, stream, record) for record in page.records]
            with session.database.transaction() as cur:
                if _holds_news(cur, channel, stream, read):
                    changes.one_at_a_time(cur)
                    left_off = changes.position(cur, name, stream)
                    if left_off != position:
                        # Another worker has read on meanwhile: what it wrote may be newer than this page.
                        position = left_off
                        pages = _pages(session, channel, connector, stream, mapping, position)
                        continue
                    _take(session, cur, channel, stream, mapping, read, batch)
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
        if tally.counts["accepted"] >= READ_ANEW:
            changes.look_again(cur)
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


def _pages(
    session: Session, channel: Channel, connector: ReadsChanges, stream: str, mapping: Mapping, position: str | None
) -> Iterator[Page]:
    return pages_of(session, channel, "read", lambda: connector.read(stream, mapping.native_fields, position))


def feed(
    session: Session,
    channel: Channel,
    stream: str,
    mapping: Mapping,
    records: Sequence[ReadRecord],
    known: HashMapping[str, UUID],
) -> Counter[str]:
    """Take records of a stream that no page brought; what became of them, counted.

    `known` are the hashes of those that had been read when the source was asked for them (`changes.known_hashes`). One that
    came in since by itself is left out: what was asked for may be older, and the cursor is beyond it.
    """
    with session.database.transaction() as cur:
        changes.one_at_a_time(cur)
        batch = _Tally()
        present = changes.known_hashes(cur, channel.name, stream, [record.native_id for record in records])
        read = [
            _Read.of(channel, stream, each)
            for each in records
            if present.get(each.native_id) == known.get(each.native_id)
        ]
        _take(session, cur, channel, stream, mapping, read, batch)
        targets.touch(session, cur, sorted(batch.orders))
        journal.mark_stale(cur, batch.orders)
    return batch.counts


def _holds_news(cur: Cursor, channel: Channel, stream: str, read: Sequence[_Read]) -> bool:
    """Whether any record is not as it was read last. Most pages of a poll hold none, and need not wait for their turn."""
    known = changes.known_hashes(cur, channel.name, stream, [each.native_id for each in read]) if read else {}
    return any(known.get(each.native_id) != each.native_hash for each in read)


def _take(
    session: Session,
    cur: Cursor,
    channel: Channel,
    stream: str,
    mapping: Mapping,
    read: Sequence[_Read],
    tally: _Tally,
) -> None:
    known = changes.known_hashes(cur, channel.name, stream, [each.native_id for each in read])
    seen = set(known)
    kind = EntityKind(mapping.entity)
    news: list[_Read] = []
    for each in read:
        tally.counts["read"] += 1
        if known.get(each.native_id) == each.native_hash:
            tally.counts["unchanged"] += 1
            continue
        news.append(each)
        known[each.native_id] = each.native_hash
    if not news:
        return
    ledger = Ledger.of(cur, channel, kind, [canonical_id(kind, channel.name, each.native_id) for each in news])
    parked = parking.open_subjects(cur, channel.name)
    ours = echoes.own(session, cur, channel, mapping.record, stream, [each.record for each in news])
    for batch in _batches(news):
        _take_batch(session, cur, channel, stream, mapping, batch, seen, ours, tally, ledger, parked)
        seen.update(each.native_id for each in batch)
    _free_waiting(session, cur, channel, tally, ledger, parked)
    ledger.write(session, cur)


def _batches(news: Sequence[_Read]) -> Iterator[list[_Read]]:
    """In order, and no record twice in one batch: the later change of a record finds what became of the earlier one."""
    batch: dict[str, _Read] = {}
    for each in news:
        if each.native_id in batch or len(batch) >= BATCH:
            yield list(batch.values())
            batch = {}
        batch[each.native_id] = each
    yield list(batch.values())


def _take_batch(
    session: Session,
    cur: Cursor,
    channel: Channel,
    stream: str,
    mapping: Mapping,
    batch: Sequence[_Read],
    seen: AbstractSet[str],
    ours: AbstractSet[str],
    tally: _Tally,
    ledger: Ledger,
    parked: set[str],
) -> None:
    """Take records of which each is news; `seen` were read before, `ours` show what the hub itself wrote."""
    kind = EntityKind(mapping.entity)
    ids = {each.native_id: canonical_id(kind, channel.name, each.native_id) for each in batch}
    superseded = changes.supersede(cur, channel.name, stream, sorted(seen & ids.keys()))
    introduced: dict[str, str] = {ids[native_id]: native_id for native_id in ids if native_id not in ours}
    ledger.introduce(session, cur, channel, mapping.record, kind, introduced)
    if kind is EntityKind.PARTY:
        natives = {each.native_id: each.record.native for each in batch if not each.record.deleted}
        ledger.read_accounts(cur, channel.name, list(ids.values()), parties_of(channel, mapping, natives))
    if kind is EntityKind.LINE:
        orders = (order_of_line(channel, mapping, each.record.native) for each in batch)
        ledger.read(cur, EntityKind.ORDER, [order_id for order_id in orders if order_id is not None])
    for change_id, each in zip(changes.reserve(cur, len(batch)), batch, strict=True):
        record, entity_id = each.record, ids[each.native_id]
        changes.note_superseded(cur, superseded.get(record.native_id, ()))
        ledger.writes.add(
            NewChange(
                change_id,
                channel.name,
                stream,
                record.native_id,
                record.modified_at,
                session.machine.now(),
                record.deleted,
                each.native,
                each.native_hash,
                str(kind),
                entity_id,
            )
        )
        if record.native_id in ours:
            ledger.writes.conclude(cur, Conclusion(change_id, "unchanged", None, None))
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
    ledger.forget_accounts()
    ledger.writes.flush(cur)


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
    ledger.writes.conclude(cur, Conclusion(incoming.change_id, verdict.status, verdict.version, verdict.waits_for))
    if verdict.status == "rejected":
        parked.add(subject)
        parking.open_items(
            cur,
            verdict.problems,
            connection=channel.name,
            subject=subject,
            entity_kind=mapping.entity,
            entity_id=verdict.entity_id,
            order_id=_shown_on(cur, ledger, mapping, verdict) or verdict.order_id,
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
    if subject in parked and (order_id := _shown_on(cur, ledger, mapping, verdict)) is not None:
        tally.orders.add(order_id)
    if verdict.order_id is not None:
        tally.orders.add(verdict.order_id)
    tally.orders.update(verdict.orders)
    return verdict


def _shown_on(cur: Cursor, ledger: Ledger, mapping: Mapping, verdict: Verdict) -> str | None:
    """The order that an entity is accepted for: a line is shown there, whatever order its newest change names."""
    known = ledger.get(cur, EntityKind(mapping.entity), verdict.entity_id)
    return None if known is None else known.order_id


def _free_waiting(
    session: Session, cur: Cursor, channel: Channel, tally: _Tally, ledger: Ledger, parked: set[str]
) -> None:
    """Changes that waited for what has just been accepted get their turn; what they free gets its turn too."""
    while tally.fresh:
        fresh, tally.fresh = tally.fresh, []
        ledger.writes.flush(cur)
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
    held = changes.still_held(cur, channel.name)
    named = _native_ids(cur, channel, sorted({waits_for for *_, waits_for, _ in held}))
    for stream, native_id, change_id, kind, entity_id, waits_for, shown_on in held:
        there = named.get(waits_for, waits_for)
        order_id = shown_on or (waits_for if waits_for.startswith("ord_") else entity_id if kind == "order" else None)
        parking.open_items(
            cur,
            [
                Problem(
                    code="REFERENCE-NOT-ACCEPTED",
                    reason=Reason.REFERENCE_MISSING,
                    path=stream,
                    value=there,
                    happened=f"The {kind} points to {there}, which the source has not shown or which was refused.",
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


def _native_ids(cur: Cursor, channel: Channel, waited_for: Sequence[str]) -> dict[str, str]:
    """By canonical id, the record of the source that others wait for, as in "Account 001A": one of them names it."""
    records = {kind: mapping.record for kind in EntityKind if (mapping := channel.mapping(kind, "in")) is not None}
    found: dict[str, str] = {}
    for entity_id, native in changes.pointing_to(cur, channel.name, waited_for):
        for value in decode(native).values():
            for kind, record in records.items() if isinstance(value, str) and value else ():
                if canonical_id(kind, channel.name, value) == entity_id:
                    found[entity_id] = f"{record} {shown(value)}"
    return found


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

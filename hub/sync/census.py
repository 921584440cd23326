"""Census: compare everything a vendor has with everything the hub believes, and put right or show what differs.

At a target: a record we refer to that is gone (parked, `vendor_state`), two live ones with one mark (parked, `duplicate`), one
of ours that nobody refers to (`hub.sync.unheld_records`), a document that exists twice (`hub.sync.document_census`). At a
source: records that vanished without a tombstone (treated as deleted) and records that were never read (read by id). What is
young enough to be missed by a look-up proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from connectors.base import CountsRecords, ObservesRecords, ReadRecord, ReadsChanges
from hub.errors import ConnectionBroken
from hub.results import CensusSummary
from hub.session import Channel, Session
from hub.store import attempts, censuses, changes, entities, guarding, journal, lane_moves, parking
from hub.store.censuses import DUPLICATES, Held
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.sync import guard, intake, projection
from hub.sync.document_census import count_documents
from hub.sync.marks import TOKEN, Ours, ours_of
from hub.sync.outcomes import settle_window, tell_parked
from hub.sync.unheld_records import adopt_unheld
from hub.sync.vendor import ask, pages_of
from mappings.mapping import Mapping
from oms_schema.ids import EntityKind
from oms_schema.problems import Problem, Reason, shown

WRITTEN = (EntityKind.PARTY, EntityKind.ORDER, EntityKind.LINE)
CHUNK = 200


@dataclass
class _Tally:
    counted: int = 0
    gone: int = 0
    duplicates: int = 0
    adopted: int = 0
    waiting: int = 0
    vanished: int = 0
    never_read: int = 0
    unknown: list[tuple[str, str, str]] = field(default_factory=list)


def census(session: Session, name: str) -> CensusSummary:
    """Count a connection. Raises ConnectionBroken, VendorUnavailable, NotFound; what was found until then is kept."""
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, CountsRecords):
        raise ConnectionBroken(name, f"Connection {name} cannot be counted. Nothing was read. Choose another one.")
    tally = _Tally()
    for kind in WRITTEN:
        mapping = channel.mapping(kind, "out")
        if mapping is not None:
            _written(session, channel, connector, kind, mapping, tally)
    posted = count_documents(
        session, channel, lambda record: pages_of(session, channel, "census", lambda: connector.census(record))
    )
    tally.counted += posted.counted
    tally.duplicates += posted.duplicates
    tally.unknown += posted.unknown
    if isinstance(connector, ReadsChanges):
        for stream, capability, mapping in intake.source_streams(channel):
            _source(session, channel, connector, connector, stream, capability.record, mapping, tally)
    projection.refresh(session)
    with session.database.transaction() as cur:
        what = f"census: {tally.counted} counted"
        found = ", ".join(
            f"{count} {word}"
            for word, count in (
                ("gone", tally.gone),
                ("doubled", tally.duplicates),
                ("adopted", tally.adopted),
                ("vanished", tally.vanished),
                ("never read", tally.never_read),
                ("of nobody known", len(tally.unknown)),
            )
            if count
        )
        journal.write(cur, [Entry(name, what, found)], session.machine.now(), session.business.now())
    return CensusSummary(
        connection=name,
        counted=tally.counted,
        gone=tally.gone,
        duplicates=tally.duplicates,
        adopted=tally.adopted,
        waiting=tally.waiting,
        vanished=tally.vanished,
        never_read=tally.never_read,
        unknown=tuple(tally.unknown),
    )


# ---------------------------------------------------------------- what we wrote
def _written(
    session: Session,
    channel: Channel,
    connector: CountsRecords,
    kind: EntityKind,
    mapping: Mapping,
    tally: _Tally,
) -> None:
    began = session.machine.now()
    with session.database.transaction() as cur:
        held = censuses.held(cur, channel.name, kind)
        tokens = {entity_id.partition("_")[2][:TOKEN]: entity_id for entity_id in entities.all_ids(cur, kind)}
    seen: set[str] = set()
    ours: list[Ours] = []
    for page in pages_of(session, channel, "census", lambda: connector.census(mapping.record)):
        tally.counted += len(page)
        for row in page:
            if row.vendor_id in held:
                seen.add(row.vendor_id)
            marked = ours_of(row, tokens)
            if marked is not None:
                ours.append(marked)
    missing = [each for vendor_id, each in held.items() if vendor_id not in seen]
    _gone(session, channel, connector, kind, mapping, missing, began, tally)
    _twice(session, channel, kind, mapping, ours, held, tally)
    found = adopt_unheld(session, channel, kind, mapping, ours)
    tally.adopted += found.adopted
    tally.waiting += found.waiting
    tally.unknown += found.unknown


def _gone(
    session: Session,
    channel: Channel,
    connector: CountsRecords,
    kind: EntityKind,
    mapping: Mapping,
    missing: Sequence[Held],
    began: datetime,
    tally: _Tally,
) -> None:
    """References without a record; looked at by id once more, and only those old enough to be seen."""
    capability = channel.capabilities.records.get(mapping.record)
    settled = began - settle_window(capability, "update")
    old = [each for each in missing if each.since <= settled]
    for start in range(0, len(old), CHUNK):
        chunk = {each.vendor_id: each for each in old[start : start + CHUNK]}
        if isinstance(connector, ObservesRecords):
            there = ask(
                session,
                channel,
                "observe",
                lambda i=list(chunk): connector.observe(mapping.record, i),  # type: ignore[misc]
            )
            chunk = {vendor_id: each for vendor_id, each in chunk.items() if vendor_id not in there}
        with session.database.transaction() as cur:
            known = censuses.entity_orders(cur, kind, [each.entity_id for each in chunk.values()])
            for vendor_id, each in chunk.items():
                order_id, status, title = known.get(each.entity_id, (None, None, each.entity_id))
                tally.gone += _lose(session, cur, channel, kind, mapping, vendor_id, each, order_id, status, title)


def _lose(
    session: Session,
    cur: Cursor,
    channel: Channel,
    kind: EntityKind,
    mapping: Mapping,
    vendor_id: str,
    each: Held,
    order_id: str | None,
    status: str | None,
    title: str,
) -> bool:
    """Forget one reference whose record is gone and park its lane; what was cancelled anyway is only forgotten."""
    now = session.machine.now()
    if attempts.holder(cur, channel.name, mapping.record, vendor_id) != (each.entity_id, each.facet):
        return False  # it moved meanwhile
    lane = None
    if status != "cancelled":
        lane = lane_moves.lose(cur, channel.name, kind, each.entity_id, each.facet)
        if lane is None:
            return False  # a worker is at it; the next census comes
    attempts.supersede_reference(
        cur, connection=channel.name, kind=kind, entity_id=each.entity_id, facet=each.facet, now=now
    )
    if lane is not None:
        tell_parked(session, cur, channel, lane, title, [_record_gone(channel, mapping.record, vendor_id, title)])
    entry = Entry(channel.name, f"{kind} is gone there", f"id {vendor_id}", order_id, kind, each.entity_id)
    journal.write(cur, [entry], now, session.business.now())
    if order_id:
        journal.mark_stale(cur, [order_id])
    return True


def _record_gone(channel: Channel, record: str, vendor_id: str, title: str) -> Problem:
    return Problem(
        code="RECORD-GONE",
        reason=Reason.VENDOR_STATE,
        path=record,
        value=vendor_id,
        happened=f"{record} {vendor_id} of {shown(title, 60)!r} is gone from {channel.connector.title}.",
        effect="Nothing is delivered for it, and it is not created again unasked.",
        fix="Ad operations decides: a replay creates it anew; if it went on purpose, Sales cancels it in the CRM.",
        owner="Ad operations",
    )


def _twice(
    session: Session,
    channel: Channel,
    kind: EntityKind,
    mapping: Mapping,
    ours: Sequence[Ours],
    held: dict[str, Held],
    tally: _Tally,
) -> None:
    """Live records with one mark. What an earlier census parked and this one does not find is over."""
    groups: dict[tuple[str, str, str], list[Ours]] = {}
    for each in ours:
        if not each.row.archived:
            groups.setdefault((each.entity_id, each.row.scope, each.part), []).append(each)
    twins = {key: group for key, group in groups.items() if len(group) > 1}
    now = session.machine.now()
    with session.database.transaction() as cur:
        known = censuses.entity_orders(cur, kind, [entity_id for entity_id, _, _ in twins])
        found: set[str] = set()
        for (entity_id, scope, part), group in sorted(twins.items()):
            subject = f"{DUPLICATES}:{channel.name}:{mapping.record}:{entity_id}{scope}{part}"
            order_id, _, title = known.get(entity_id, (None, None, entity_id))
            found.add(subject)
            parking.open_items(
                cur,
                [_two_live(channel, mapping.record, title, group, held)],
                connection=channel.name,
                subject=subject,
                entity_kind=kind,
                entity_id=entity_id,
                order_id=order_id,
                now=now,
            )
            journal.mark_stale(cur, [order_id] if order_id else [])
        tally.duplicates += len(twins)
        for subject in censuses.open_subjects(cur, DUPLICATES, channel.name, mapping.record):
            if subject not in found:
                parking.resolve(cur, now, "in sync", subject=subject)


def _two_live(channel: Channel, record: str, title: str, group: Sequence[Ours], held: dict[str, Held]) -> Problem:
    """Which one to archive: of those that delivered least, one that the hub does not refer to."""
    ranked = sorted(group, key=lambda o: (o.row.delivered or 0, o.row.vendor_id in held, o.row.vendor_id))
    shown_rows = ", ".join(
        f"{o.row.vendor_id} ({o.row.delivered:,} delivered)" if o.row.delivered is not None else o.row.vendor_id
        for o in sorted(group, key=lambda o: o.row.vendor_id)
    )
    keep = ranked[-1].row.vendor_id
    out = ", ".join(o.row.vendor_id for o in ranked[:-1])
    several = sum(bool(o.row.delivered) for o in group) > 1
    proposal = (
        "Ad operations decides which one stays, because several delivered, and archives the others"
        if several
        else f"Ad operations archives {out}"
    )
    adopted = "" if keep in held or several else f"; `orderhub adopt` then tells the hub that it is {keep}"
    return Problem(
        code="TWO-LIVE-RECORDS",
        reason=Reason.DUPLICATE,
        path=record,
        value=shown(out),
        happened=f"{channel.connector.title} has {len(group)} live {record} records of {shown(title, 60)!r}: {shown_rows}.",
        effect="All of them may deliver.",
        fix=f"{proposal}{adopted}.",
        owner="Ad operations",
    )


# ---------------------------------------------------------------- what we read
def _source(
    session: Session,
    channel: Channel,
    counts: CountsRecords,
    reads: ReadsChanges,
    stream: str,
    record: str,
    mapping: Mapping,
    tally: _Tally,
) -> None:
    with session.database.transaction() as cur:
        known = censuses.source_records(cur, channel.name, stream)
    there: set[str] = set()
    for page in pages_of(session, channel, "census", lambda: counts.census(record)):
        tally.counted += len(page)
        there.update(row.vendor_id for row in page if not row.archived)
    vanished = sorted(native_id for native_id, deleted in known.items() if not deleted and native_id not in there)
    never = sorted(there - known.keys())
    now = session.business.now()
    gone: list[str] = []
    hashes: dict[str, UUID] = {}
    for start in range(0, len(vanished), CHUNK):
        chunk = vanished[start : start + CHUNK]
        hashes |= _read_last(session, channel, stream, chunk)
        present = ask(session, channel, "fetch", lambda i=chunk: reads.fetch(record, mapping.native_fields, i))  # type: ignore[misc]
        gone += [native_id for native_id in chunk if native_id not in present]
    if _may_vanish(session, channel, stream, mapping, gone, len(known)):
        for start in range(0, len(gone), CHUNK):
            tombstones = [ReadRecord(native_id, now, {}, deleted=True) for native_id in gone[start : start + CHUNK]]
            intake.feed(session, channel, stream, mapping, tombstones, hashes)
    tally.vanished += len(gone)
    for start in range(0, len(never), CHUNK):
        chunk = never[start : start + CHUNK]
        hashes = _read_last(session, channel, stream, chunk)
        natives = ask(session, channel, "fetch", lambda i=chunk: reads.fetch(record, mapping.native_fields, i))  # type: ignore[misc]
        records = [ReadRecord(i, now, native) for i, native in natives.items()]
        intake.feed(session, channel, stream, mapping, records, hashes)
        tally.never_read += len(natives)


def _read_last(session: Session, channel: Channel, stream: str, native_ids: Sequence[str]) -> dict[str, UUID]:
    """How those of these records that were read were last read; asked before the source is."""
    with session.database.transaction() as cur:
        return changes.known_hashes(cur, channel.name, stream, native_ids)


def _may_vanish(
    session: Session, channel: Channel, stream: str, mapping: Mapping, gone: Sequence[str], known: int
) -> bool:
    """Whether so many may count as deleted unasked: a right that was taken away looks the same as a mass deletion."""
    subject = f"vanished:{channel.name}:{stream}"
    limits = channel.settings.guard
    now = session.machine.now()
    with session.database.transaction() as cur:
        if len(gone) <= max(limits.minimum, limits.share_percent / 100 * known):
            parking.resolve(cur, now, "in sync", subject=subject)
            return True
        plan_hash = guard.digest(channel.name, stream, sorted(gone))
        approved = [plan for plan in guarding.find(cur, plan_hash) if plan.state == guarding.APPROVED]
        if approved:
            parking.resolve(cur, now, f"approved by {approved[0].decided_by}", subject=subject)
            return True
        why = f"{len(gone):,} of {known:,} {stream} records are gone at once"
        guarding.put(cur, plan_hash=plan_hash, connection=channel.name, why=why, records=len(gone), lanes=(), now=now)
        parking.open_items(
            cur,
            [
                Problem(
                    code="TOO-MANY-GONE",
                    reason=Reason.GUARD,
                    path=plan_hash,
                    value=stream,
                    happened=f"{why} from {channel.connector.title}, without a tombstone.",
                    effect="None of them is cancelled.",
                    fix="An administrator looks whether the hub's user still sees them; if they are truly deleted, operations "
                    f"runs `orderhub approve-plan {plan_hash} --by NAME` and `orderhub census {channel.name}`.",
                    owner="Administrator",
                )
            ],
            connection=channel.name,
            subject=subject,
            entity_kind=mapping.entity,
            entity_id=stream,
            order_id=None,
            now=now,
        )
    return False

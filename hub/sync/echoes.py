"""Echoes: a source shows what the hub itself wrote. Told by the value, once for each write, and never by who wrote it.

Every value that is written into a field which the same connection also reads is entered into the ledger with its attempt.
The first read-back that shows it takes the entry out and is no change. From then on the same value is somebody's edit, as
is an older value of ours that was followed by an acknowledged one. A connection that reads no field which it writes (the
built-in mappings) enters nothing, for nothing can come back.

Filtering by the integration user would also drop what the vendor's own automation does under that user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from connectors.base import ComparesRecords, Native, Operation, ReadRecord
from hub.encoding import decode, encode, fingerprint
from hub.errors import ConnectorStumbled
from hub.session import Channel, Session
from hub.store import write_ledger
from hub.store.database import Cursor
from hub.store.write_ledger import Writing, Written
from hub.sync.prepare import Prepared
from hub.sync.vendor import caught

SOURCE_ENTITIES = ("party", "order", "line")
"""The canonical entities that a source may bring."""

EXPIRES = timedelta(days=1)
"""Machine time after which a value that was never read back is forgotten: the source is read every few minutes."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the ledger says of one record: whether all of its news are ours, and which entries are spent or overtaken."""

    echo: bool
    spent: tuple[int, ...] = ()
    overtaken: tuple[int, ...] = ()
    near_misses: int = 0
    echoes: int = 0


def read_back(channel: Channel) -> Mapping[str, frozenset[str]]:
    """The vendor's top-level fields that this connection takes changes from, by record type."""
    fields: dict[str, frozenset[str]] = {}
    for entity in SOURCE_ENTITIES:
        mapping = channel.mapping(entity, "in")
        if mapping is not None:
            tops = frozenset(path.split(".")[0] for path in mapping.native_fields)
            fields[mapping.record] = fields.get(mapping.record, frozenset()) | tops
    return fields


def enter(
    session: Session, cur: Cursor, channel: Channel, batch: Sequence[Prepared], attempt_ids: Sequence[int]
) -> None:
    """Enter what a batch is about to write into fields that are read back. What does not exist yet has nothing to enter."""
    fields = read_back(channel)
    values = [
        Writing(item.record, item.lane.vendor_id, field, fingerprint(encode(value)), attempt_id)
        for item, attempt_id in zip(batch, attempt_ids, strict=True)
        if item.operation is Operation.UPDATE and item.lane.vendor_id is not None
        for field, value in sorted(item.payload.items())
        if field in fields.get(item.record, ())
    ]
    write_ledger.enter(cur, channel.name, values, session.machine.now())


def judge(channel: Channel, record: str, before: Native, shown: Native, written: Sequence[Written]) -> Judgement:
    """Compare the fields that moved with what was written into them. Pure."""
    by_field: dict[str, list[Written]] = {}
    for entry in written:
        by_field.setdefault(entry.field, []).append(entry)
    moved = [field for field in sorted({*before, *shown}) if encode(before.get(field)) != encode(shown.get(field))]
    spent: list[int] = []
    overtaken: list[int] = []
    echoes = near_misses = 0
    for field in moved:
        entries = by_field.get(field, [])
        hit = next((entry for entry in reversed(entries) if _shows(channel, record, entry, shown)), None)
        if hit is not None:
            echoes += 1
            spent += [entry.id for entry in entries if entry.id <= hit.id]
            continue
        # The vendor held our value and shows another one: whatever comes now is not the echo any more.
        gone = [entry.id for entry in entries if entry.acknowledged]
        near_misses += bool(gone)
        overtaken += gone
    return Judgement(bool(moved) and echoes == len(moved), tuple(spent), tuple(overtaken), near_misses, echoes)


def _shows(channel: Channel, record: str, entry: Written, shown: Native) -> bool:
    """Whether a record shows a written value, also in the vendor's own spelling of it."""
    if fingerprint(encode(shown.get(entry.field))) == entry.value_hash:
        return True
    connector = channel.connector
    if entry.field not in shown or not isinstance(connector, ComparesRecords):
        return False
    wanted = {entry.field: decode(entry.payload).get(entry.field)}
    there = {entry.field: shown[entry.field]}
    try:
        return not caught(channel, "compare", lambda: connector.differences(record, wanted, there))
    except ConnectorStumbled:
        return False  # a change too many costs a look; a lost edit costs the edit


def own(
    session: Session, cur: Cursor, channel: Channel, record: str, stream: str, news: Sequence[ReadRecord]
) -> frozenset[str]:
    """The native ids among these changed records whose news are nothing but echoes; their entries are spent by this.

    A record whose last change waits or was refused is none of them: its news must not push that change aside.
    """
    times = Counter(each.native_id for each in news)
    once = [each for each in news if times[each.native_id] == 1 and not each.deleted]
    now = session.machine.now()
    written = write_ledger.of_records(cur, channel.name, record, [each.native_id for each in once], now - EXPIRES)
    if not written:
        return frozenset()
    before = write_ledger.last_read(cur, channel.name, stream, sorted(written))
    echoed: set[str] = set()
    echoes = near_misses = 0
    for each in once:
        if each.native_id not in before:
            continue
        said = judge(channel, record, decode(before[each.native_id]), each.native, written.get(each.native_id, ()))
        taken = write_ledger.spend(cur, said.spent) if said.spent else 0
        if said.overtaken:
            write_ledger.spend(cur, said.overtaken)
        if said.echo and taken == len(said.spent):
            echoed.add(each.native_id)
        echoes += said.echoes
        near_misses += said.near_misses
    if echoes or near_misses:
        write_ledger.count(cur, channel.name, echoes, near_misses)
    return frozenset(echoed)


def forget_old(session: Session, cur: Cursor, channel: Channel) -> None:
    """Forget values that were never read back."""
    write_ledger.expire(cur, channel.name, session.machine.now() - EXPIRES)

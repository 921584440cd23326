"""The census of documents: which invoice or credit memo exists more than once at a vendor, counted by its number.

Counted are the record types that billing posts, and those that the hub posted documents as, where the connector declares the
field that look-ups go by (its `marker`): a vendor that cannot be asked for a document by number cannot be counted either, and
what is in doubt there waits for a person from the beginning. Voided and deleted documents are none. One that bears the id of a
document that nobody here knows was posted before the database was restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import CensusRow
from hub.session import Channel, Session
from hub.store import attempts, censuses, documents, journal, parking
from hub.store.censuses import DUPLICATES
from hub.store.documents import Numbered
from hub.store.lanes import DOCUMENT
from hub.sync import marked_for_nobody
from hub.sync.marked_for_nobody import OUR_DOCUMENT, Unknown
from oms_schema.problems import Problem, Reason, shown

Pages = Callable[[str], Iterator[Sequence[CensusRow]]]
"""Every record of a type, in pages; a page costs one request."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many documents a vendor showed, how many of ours exist more than once, and (record, vendor id, marker) of those that
    bear an id of ours which nobody here knows."""

    counted: int = 0
    duplicates: int = 0
    unknown: tuple[Unknown, ...] = ()


def count_documents(session: Session, channel: Channel, pages: Pages) -> Counted:
    """Count the documents of a connection; each of ours that exists twice is parked for finance. Raises like a read."""
    with session.database.transaction() as cur:
        posted = {*documents.records(cur, channel.name), documents.INVOICE, documents.CREDIT_MEMO}
    counted = duplicates = 0
    unknown: list[Unknown] = []
    for record in sorted(posted):
        capability = channel.capabilities.records.get(record)
        if capability is None or capability.marker is None:
            continue
        with session.database.transaction() as cur:
            ours = documents.numbered(cur, channel.name, record, capability.marker)
        found: dict[str, list[str]] = {}
        for page in pages(record):
            counted += len(page)
            for row in page:
                if row.archived:
                    continue
                if row.marker in ours:
                    found.setdefault(row.marker, []).append(row.vendor_id)
                elif OUR_DOCUMENT.search(row.marker):
                    unknown.append((record, row.vendor_id, row.marker))
        duplicates += _park(session, channel, record, ours, found)
        marked_for_nobody.no_more(session, channel, record, unknown)
    return Counted(counted, duplicates, tuple(unknown))


def _park(
    session: Session, channel: Channel, record: str, ours: Mapping[str, Numbered], found: Mapping[str, Sequence[str]]
) -> int:
    """Park what exists twice; what an earlier census parked and this one does not find is over."""
    twins = {number: ids for number, ids in sorted(found.items()) if len(ids) > 1}
    now = session.machine.now()
    with session.database.transaction() as cur:
        held = {vendor_id for _, _, vendor_id in attempts.live(cur, channel.name, DOCUMENT)} if twins else set()
        subjects: set[str] = set()
        for number, ids in twins.items():
            one = ours[number]
            subject = f"{DUPLICATES}:{channel.name}:{record}:{one.document_id}"
            subjects.add(subject)
            parking.open_items(
                cur,
                [_posted_twice(channel, record, one, ids, held)],
                connection=channel.name,
                subject=subject,
                entity_kind=DOCUMENT,
                entity_id=one.document_id,
                order_id=one.order_id,
                now=now,
            )
            journal.mark_stale(cur, [one.order_id] if one.order_id else [])
        for subject in censuses.open_subjects(cur, DUPLICATES, channel.name, record):
            if subject not in subjects:
                parking.resolve(cur, now, "in sync", subject=subject)
    return len(twins)


def _posted_twice(channel: Channel, record: str, one: Numbered, ids: Sequence[str], held: set[str]) -> Problem:
    known = [vendor_id for vendor_id in ids if vendor_id in held]
    others = [vendor_id for vendor_id in ids if vendor_id not in held]
    proposal = (
        f"Finance voids {', '.join(others)} there; the hub goes by {', '.join(known)}"
        if known and others
        else "Finance decides which one stays, and voids the others there"
    )
    return Problem(
        code="POSTED-TWICE",
        reason=Reason.DUPLICATE,
        path=record,
        value=", ".join(sorted(ids)),
        happened=f"{channel.connector.title} has {len(ids)} {record} records of {shown(one.name, 60)!r} ({one.document_id}): "
        f"{', '.join(sorted(ids))}.",
        effect="The buyer may be billed, or credited, more than once.",
        fix=f"{proposal}. The next census closes this.",
        owner="Finance",
    )

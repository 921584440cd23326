"""Repeat: a create that may have been applied is sent again under the same unique value, whatever changed since.

A unique field keeps a vendor from holding two records only as long as both carry the same value in it. A record that was
renamed while its creation was in doubt would otherwise exist under both names: the new one at once, the old one by the
late commit of the first request. The rename follows as an update, when nothing of the first request can be under way. So it
does where another record of that name was adopted: the name that it gives up is free for the lost request. And so it does
in recovery: a request that the restored store has forgotten may still create under the old name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.base import CreateProtocol, Operation, RecordCapability
from hub.encoding import decode, encode, fingerprint
from hub.session import Channel, Session
from hub.store import attempts, recoveries
from hub.store.attempts import Attempt
from hub.store.lanes import Lane
from hub.sync.prepare import Prepared

Later = list[tuple[Lane, datetime]]


def as_first_sent(session: Session, channel: Channel, prepared: Sequence[Prepared]) -> tuple[list[Prepared], Later]:
    """The writes that may go out now, in order, and the lanes that must wait until an instant of machine time.

    A create in doubt keeps the unique value, or the key and content, of its first send. An update that gives this value
    up waits until that first send, and whatever was sent before a recovery began, can no longer be applied.
    """
    lane_ids = [item.lane.id for item in prepared if _unique(channel, item) is not None]
    if not lane_ids:
        return list(prepared), []
    with session.database.transaction() as cur:
        doubtful = attempts.doubtful_creates(cur, lane_ids)
        adopted = attempts.adopted_instead(
            cur, [item.lane.id for item in prepared if item.operation is Operation.UPDATE]
        )
        recovery = recoveries.standing(cur).get(channel.name)
    now = session.machine.now()
    ready: list[Prepared] = []
    later: Later = []
    for item in prepared:
        capability = _unique(channel, item)
        open_creates = [each[item.lane.id] for each in (doubtful, adopted) if item.lane.id in each]
        first = max(open_creates, key=lambda each: each.invoked_at, default=None)
        if capability is None or item.operation is Operation.CREATE:
            ready.append(item if capability is None or first is None else _repeated(item, first, capability))
            continue
        sent: list[datetime] = []
        if first is not None and _renames(item, first.payload, capability):
            sent.append(first.invoked_at)
        if recovery is not None and _renames(item, item.lane.acked_payload, capability):
            sent.append(recovery.since)
        due = max((at + timedelta(seconds=capability.max_in_flight) for at in sent), default=now)
        if now < due:
            later.append((item.lane, due))
        else:
            ready.append(item)
    return ready, later


def _unique(channel: Channel, item: Prepared) -> RecordCapability | None:
    """The capability of a record that the vendor itself keeps from being created twice; None for any other write."""
    capability = channel.capabilities.records.get(item.record)
    if capability is None or item.operation is Operation.ACT:
        return None
    return capability if capability.create in {CreateProtocol.UNIQUE_FIELD, CreateProtocol.NATIVE_KEY} else None


def _renames(item: Prepared, known: bytes | None, capability: RecordCapability) -> bool:
    """Whether the unique value is another one than in this content of the record, or that is not known."""
    marker = capability.marker
    if capability.create is not CreateProtocol.UNIQUE_FIELD or marker is None:
        return False
    return known is None or decode(known).get(marker) != item.payload.get(marker)


def _repeated(item: Prepared, first: Attempt, capability: RecordCapability) -> Prepared:
    # Acknowledged as the first version, so that the newer content stays due and follows as an update.
    lane = replace(item.lane, desired_hash=first.desired_hash, desired_version=first.version)
    sent = decode(first.payload)
    if capability.create is CreateProtocol.NATIVE_KEY:  # a key with other content is an error
        return replace(item, lane=lane, payload=sent, payload_bytes=first.payload, key=first.key)
    marker = capability.marker
    if marker is None or not _renames(item, first.payload, capability):
        return item
    payload = {**item.payload, marker: sent[marker]}
    content = encode(payload)
    if content != first.payload:
        # The old name with newer fields is the content of no version: whichever is wanted after this, it is news.
        lane = replace(lane, desired_hash=fingerprint(content))
    return replace(item, lane=lane, payload=payload, payload_bytes=content)

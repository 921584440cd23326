"""Native idempotency keys: within its age the same key may be sent again freely; a vendor that forgot it must be asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.base import CreateProtocol, Operation, RecordCapability
from hub.session import Channel, Session
from hub.store import attempts
from hub.store.attempts import Attempt
from hub.sync.prepare import Prepared


def alive(capability: RecordCapability | None, first_sent: datetime | None, now: datetime) -> bool:
    """Whether the vendor surely still knows a key that was first sent then, until a request sent now is answered. Pure."""
    if capability is None or capability.create is not CreateProtocol.NATIVE_KEY or first_sent is None:
        return False
    return now + timedelta(seconds=capability.max_in_flight) < first_sent + timedelta(seconds=capability.key_age)


def expired(session: Session, channel: Channel, prepared: Sequence[Prepared]) -> frozenset[int]:
    """The lanes whose create may have been applied under a key that the vendor may have forgotten meanwhile."""
    suspects = [
        item
        for item in prepared
        if item.operation is Operation.CREATE and _has_key(channel.capabilities.records.get(item.record))
    ]
    if not suspects:
        return frozenset()
    lane_ids = [item.lane.id for item in suspects]
    with session.database.transaction() as cur:
        doubtful = attempts.doubtful_creates(cur, lane_ids)
        first = attempts.first_invoked(cur, lane_ids)
    now = session.machine.now()
    return frozenset(
        item.lane.id
        for item in suspects
        if (attempt := doubtful.get(item.lane.id)) is not None and not may_resend(channel, attempt, first, now)
    )


def may_resend(channel: Channel, attempt: Attempt, first: dict[tuple[int, str], datetime], now: datetime) -> bool:
    """Whether a create in doubt needs no look-up: its key is alive. When a lost store first sent it, nobody knows."""
    capability = channel.capabilities.records.get(attempt.record)
    return (
        attempt.operation == Operation.CREATE
        and attempt.code != attempts.BEFORE_RESTORE
        and alive(capability, first.get((attempt.lane_id, attempt.key)), now)
    )


def _has_key(capability: RecordCapability | None) -> bool:
    return capability is not None and capability.create is CreateProtocol.NATIVE_KEY

"""The blast-radius guard: a push that would change too much at once is held until a person approved exactly that plan.

Counted are updates and verbs for records that exist: more than the share of what the connection acknowledged, or one field
emptied on more than that share of its kind, and more than the minimum. A field that bills are made from asks on a single
record. First-time creates and the CRM's mirror are exempt.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Operation
from hub.encoding import decode, encode
from hub.session import Channel, Session
from hub.store import attempts, guarding, lane_moves, lanes
from hub.store.database import Cursor
from hub.sync.outcomes import reference_kind, tell_parked
from hub.sync.prepare import Prepared
from hub.sync.stumbles import Apart, prepared_apart
from mappings.mapping import Mapping as Mapping_
from oms_schema.problems import Problem, Reason

CHUNK = 500
EVERY = timedelta(seconds=5)
"""Between two looks of one push: what is due is counted whole each time."""
EMPTY: tuple[Any, ...] = (None, "", [], {})
BILLED_KINDS = ("party", "order", "line")


class Watch:
    """Watches one push; cheap until more is due than the minimum."""

    def __init__(self, session: Session, channel: Channel) -> None:
        self._session = session
        self._channel = channel
        self._acknowledged: dict[str, int] | None = None
        self._looked_at: datetime | None = None

    def hold(self) -> int:
        """Park what is due if it is too much for one plan; returns how many lanes were. Raises like `prepare`.

        Looks once when a push begins, and again every few seconds for what became due meanwhile.
        """
        session, channel = self._session, self._channel
        now = session.machine.now()
        if channel.mapping("order", "out") is None or (self._looked_at is not None and now - self._looked_at < EVERY):
            return 0
        self._looked_at = now
        with session.database.transaction() as cur:
            due = guarding.due(cur, channel.name, now)
            if sum(due.by_kind.values()) <= channel.settings.guard.minimum and not due.held_before:
                return 0
            if self._acknowledged is None:
                self._acknowledged = guarding.acknowledged(cur, channel.name)
            known = self._acknowledged
            suspicious = self._too_many(sum(due.by_kind.values()), sum(known.values())) or any(
                self._too_many(count, known.get(kind, 0)) for kind, count in due.by_kind.items()
            )
            if not suspicious and not due.held_before:
                return 0
            ids, held_before = guarding.due_lanes(cur, channel.name, now)
            claimed = lanes.by_ids(cur, ids)
        changing = _changing(session, channel, claimed)
        why = self._why(changing, known)
        if why is not None:
            return self._park(changing, why)
        again = [item for item in changing if item.lane.id in set(held_before)]
        return self._park(again, "they changed while their plan waits") if again else 0

    def hold_billing(self, claimed: Sequence[Prepared]) -> tuple[list[Prepared], int]:
        """Of claimed updates, those that may go; the others change a billing field nobody approved, and are parked.

        Free where a mapping writes no such field. What a person asked for by name (`resync`) was approved with it.
        """
        before = self._before([item for item in claimed if self._writes_for_bills(item)])
        hits = {item.lane.id: (item, fields) for item in claimed if (fields := self._billing_changes(item, before))}
        if not hits:
            return list(claimed), 0
        with self._session.database.transaction() as cur:
            waved = guarding.approved(cur, sorted(hits))
            held = [item for item, _ in hits.values() if item.lane.id not in waved]
            lanes.release(cur, [item.lane for item in held], None)
        if not held:
            return list(claimed), 0
        fields = sorted({field for item in held for field in hits[item.lane.id][1]})
        self._park(held, f"{', '.join(fields)} {'is' if len(fields) == 1 else 'are'} what bills are made from")
        gone = {item.lane.id for item in held}
        return [item for item in claimed if item.lane.id not in gone], len(held)

    def _writes_for_bills(self, item: Prepared) -> list[str]:
        """The billing fields that an update writes."""
        guard, kind = self._channel.settings.guard, item.lane.kind
        if item.operation is not Operation.UPDATE or kind not in BILLED_KINDS or guard.share_percent >= 100:
            return []
        mapping = self._channel.mapping(kind, "out")
        return [] if mapping is None else billing_fields(mapping, guard.billing_fields)

    def _billing_changes(self, item: Prepared, before: Mapping[int, Mapping[str, Any]]) -> list[str]:
        known = before.get(item.lane.id)
        if known is None:
            return []
        return [p for p in self._writes_for_bills(item) if encode(_at(known, p)) != encode(_at(item.payload, p))]

    def _before(self, updates: Sequence[Prepared]) -> dict[int, Mapping[str, Any]]:
        """By lane, what the vendor acknowledged before these updates.

        After a doubtful update a lane acknowledges nothing any more; what was acknowledged before is what a person knows of.
        """
        known = {item.lane.id: item.lane.acked_payload for item in updates if item.lane.acked_payload is not None}
        doubtful = [item.lane.id for item in updates if item.lane.id not in known]
        if doubtful:
            with self._session.database.transaction() as cur:
                known.update(attempts.last_taken(cur, doubtful))
        return {lane_id: decode(payload) for lane_id, payload in known.items()}

    def _too_many(self, count: int, known: int) -> bool:
        guard = self._channel.settings.guard
        return count > max(guard.minimum, guard.share_percent / 100 * known)

    def _why(self, changing: Sequence[Prepared], known: Mapping[str, int]) -> str | None:
        """What makes this plan too large; None when it is not."""
        touched = {(reference_kind(item.lane.kind), item.lane.entity_id, item.lane.facet) for item in changing}
        total = sum(known.values())
        if self._too_many(len(touched), total):
            return f"{len(touched):,} of {total:,} records change at once"
        emptied: Counter[tuple[str, str]] = Counter()
        before = self._before([item for item in changing if item.operation is Operation.UPDATE])
        for item in changing:
            if (known_there := before.get(item.lane.id)) is not None:
                fields = cleared(known_there, decode(item.payload_bytes))
                emptied.update((item.lane.kind, field) for field in fields)
        for (kind, field), count in sorted(emptied.items(), key=lambda each: (-each[1], each[0])):
            if self._too_many(count, known.get(kind, 0)):
                return f"{field} is emptied on {count:,} of {known.get(kind, 0):,} {kind} records"
        return None

    def _park(self, changing: Sequence[Prepared], why: str) -> int:
        """Hold these lanes, and what an open plan holds already, as one plan."""
        session, channel = self._session, self._channel
        names = {item.lane.id: item.name for item in changing}
        with session.database.transaction() as cur:
            moved = lane_moves.hold_back(cur, sorted(names))
            waiting = guarding.open_lanes(cur, channel.name)
            held = lanes.by_ids(cur, sorted({*moved, *waiting}))
            if not moved:
                return 0
            plan_hash = hash_of(cur, channel.name, [lane.id for lane in held])
            now = session.machine.now()
            records = len({(reference_kind(lane.kind), lane.entity_id, lane.facet) for lane in held})
            guarding.put(
                cur,
                plan_hash=plan_hash,
                connection=channel.name,
                why=why,
                records=records,
                lanes=[(lane.id, lane.desired_hash) for lane in held],
                now=now,
            )
            guarding.replace_open(cur, channel.name, plan_hash, now)
            problem = held_problem(channel, plan_hash, records, why)
            for lane in held:
                tell_parked(session, cur, channel, lane, names.get(lane.id, lane.entity_id), [problem])
        return len(moved)


def billing_fields(mapping: Mapping_, canonical: Sequence[str]) -> list[str]:
    """The vendor's fields that are written from these canonical ones or their parts, as dotted paths. Pure."""
    return sorted(
        {
            move.target
            for move in mapping.plan.writes
            for source in move.sources
            if any(source.path == path or source.path.startswith(f"{path}.") for path in canonical)
        }
    )


def _at(record: Mapping[str, Any], path: str) -> Any:
    """What a record holds at a dotted path; nothing and emptiness are the same."""
    value: Any = record
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return None if value in EMPTY else value


def _changing(session: Session, channel: Channel, claimed: Sequence[lanes.Lane]) -> list[Prepared]:
    """The lanes that would really write something; what the vendor sees unchanged, or cannot be mapped, is not counted, nor
    what the connector stumbles over: nothing of it can be sent."""
    found: list[Prepared] = []
    apart = Apart()
    for start in range(0, len(claimed), CHUNK):
        prepared, _ = prepared_apart(session, channel, claimed[start : start + CHUNK], apart)
        found += [
            item
            for item in prepared
            if not item.unchanged and not (item.operation is Operation.ACT and item.action is None)
        ]
    return found


def cleared(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields that held something and hold nothing now, as dotted paths. Pure."""
    now_held = dict(_held(after, ""))
    return sorted(path for path, _ in _held(before, "") if path not in now_held)


def _held(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{prefix}{name}"
        if isinstance(inner, Mapping):
            yield from _held(inner, f"{path}.")
        elif inner not in EMPTY:
            yield path, inner


def hash_of(cur: Cursor, connection: str, lane_ids: Sequence[int]) -> str:
    """What an approval is bound to: these lanes, what they would send, and what the vendor acknowledged before."""
    rows = [
        (lane_id, desired.hex, acked.hex if acked else None)
        for lane_id, desired, acked in guarding.contents(cur, lane_ids)
    ]
    return digest(connection, rows)


def digest(*content: Any) -> str:
    """16 hexadecimal digits: short enough to type, long enough that nobody meets another plan's."""
    return hashlib.blake2b(encode(list(content)), digest_size=8).hexdigest()


def held_problem(channel: Channel, plan_hash: str, records: int, why: str) -> Problem:
    """One sentence for the whole plan, so that it is one group."""
    changed = "1 record" if records == 1 else f"{records:,} records"
    return Problem(
        code="PLAN-HELD",
        reason=Reason.GUARD,
        path=plan_hash,
        value=changed,
        happened=f"A plan would change {changed} at {channel.connector.title}: {why}.",
        effect="Nothing of it is sent.",
        fix=f"Operations looks at `orderhub plan {channel.name}` and runs `orderhub approve-plan {plan_hash} --by NAME`, or "
        "corrects the source.",
        owner="Operations",
    )

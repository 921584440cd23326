"""Which lanes an order wants at a connection: its parties, its parts, its lines, its status. Pure but for the store calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.encoding import fingerprint
from hub.session import Channel, Session
from hub.store import entities, lane_moves, lanes
from hub.store.database import Cursor
from hub.store.entities import StoredEntity
from hub.store.lanes import Want
from oms_schema.ids import EntityKind
from oms_schema.order import Order
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

STAGES = {
    "party": 0,
    "order": 1,
    "line": 2,
    "line_status": 3,
    "order_status": 4,
    "order_projection": 5,
    "line_projection": 6,
    "document": 7,
}
"""Sending order: what is pointed to goes before what points to it."""

PUSHED_ROLES = (PartyRole.ADVERTISER, PartyRole.AGENCY)
LIVE = {CommercialStatus.BOOKED, CommercialStatus.ON_HOLD, CommercialStatus.COMPLETED, CommercialStatus.CANCELLED}
"""Commercial states in which an order exists outside; a cancelled one only if it was there before."""
CAME_BACK = b"active"
"""What the status lane of a line wants that was cancelled and is wanted again."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A lane an order wants: what, for whom, which vendor object of it, and the hash that says which content."""

    kind: str
    entity_id: str
    facet: str
    order_facet: str
    version: int
    content: bytes


def assign_parts(line_ids: Sequence[str], assigned: Mapping[str, str], limit: int | None) -> dict[str, str]:
    """Which part of a split order each line goes to: kept once given, new lines fill the first part with room.

    `limit` is the vendor's declared number of lines per order, None when it has none. Parts are "1", "2", …
    """
    parts = {line_id: assigned[line_id] for line_id in line_ids if line_id in assigned}
    used: dict[str, int] = {}
    for taken in assigned.values():
        used[taken] = used.get(taken, 0) + 1
    part = 1
    for line_id in line_ids:
        if line_id in parts:
            continue
        while limit is not None and used.get(str(part), 0) >= limit:
            part += 1
        parts[line_id] = str(part)
        used[str(part)] = used.get(str(part), 0) + 1
    return parts


def line_limit(channel: Channel) -> int | None:
    """The vendor's declared number of line records per order record."""
    order, line = channel.mapping("order", "out"), channel.mapping("line", "out")
    if order is None or line is None:
        return None
    capability = channel.capabilities.records.get(order.record)
    return None if capability is None else capability.children.get(line.record)


def desired_lanes(
    channel: Channel,
    order: StoredEntity,
    lines: Sequence[StoredEntity],
    parties: Mapping[str, StoredEntity],
    assigned: Mapping[str, str],
    archived: frozenset[str] = frozenset(),
) -> list[Desired]:
    """All lanes of one order at one ad server. `archived` are the lines that were wanted out of the market at some time."""
    contract = Order.from_bytes(order.canonical)
    if contract.status not in LIVE or (contract.status is CommercialStatus.CANCELLED and not assigned):
        return []
    wanted: list[Desired] = []
    for party in contract.parties:
        entity = parties.get(party.party_id)
        if party.role in PUSHED_ROLES and entity is not None:
            wanted.append(Desired("party", entity.id, party.role, "", entity.version, entity.canonical))
    cancelled = {line.id for line in lines if line.status == "cancelled"}
    wanted_there = set(assigned)
    if contract.status is not CommercialStatus.CANCELLED:
        wanted_there.update(line.id for line in lines if line.id not in cancelled)
    parts = assign_parts([line.id for line in lines if line.id in wanted_there], assigned, line_limit(channel))
    if not parts:
        return []
    names = sorted(set(parts.values()), key=int)
    # A part without a living line is not created; that it has one again is news, though the order itself is the same.
    living = {part for line_id, part in parts.items() if line_id not in cancelled}
    for part in names:
        empty = "" if part in living else "|no line"
        content = order.canonical + f"|{part}/{len(names)}{empty}".encode()
        wanted.append(Desired("order", order.id, part, part, order.version, content))
    # News for the lines too: what is parked of them wakes and is left alone, for nobody needs to mend it any more.
    gone = b"|its order is cancelled" if contract.status is CommercialStatus.CANCELLED else b""
    for line in lines:
        if line.id not in parts:
            continue
        wanted.append(Desired("line", line.id, "1", parts[line.id], line.version, line.canonical + gone))
        if line.id in cancelled:
            wanted.append(Desired("line_status", line.id, "1", parts[line.id], line.version, b"cancelled"))
        elif line.id in archived:  # it came back; cancelled once more it is news again
            wanted.append(Desired("line_status", line.id, "1", parts[line.id], line.version, CAME_BACK))
    for part in names:
        # A line that goes does not change the status of the others; a line that comes needs its order approved again.
        members = ",".join(sorted(line_id for line_id, p in parts.items() if p == part))
        content = f"{contract.status}|{members}".encode()
        wanted.append(Desired("order_status", order.id, part, part, order.version, content))
    return wanted


def touch(session: Session, cur: Cursor, order_ids: Sequence[str]) -> int:
    """Bring the lanes of these orders up to what their newest versions want; returns how many lanes got news."""
    ad_servers = [channel for channel in session.channels() if channel.mapping("order", "out") is not None]
    if not ad_servers or not order_ids:
        return 0
    news = 0
    for start in range(0, len(order_ids), 200):
        chunk = order_ids[start : start + 200]
        orders = entities.many(cur, EntityKind.ORDER, chunk)
        lines: dict[str, list[StoredEntity]] = {}
        for line in entities.lines_of(cur, chunk):
            lines.setdefault(str(line.order_id), []).append(line)
        wanted_parties = {p.party_id for o in orders.values() for p in Order.from_bytes(o.canonical).parties}
        parties = entities.many(cur, EntityKind.PARTY, sorted(wanted_parties))
        for channel in ad_servers:
            wanted = lanes.wanted(cur, channel.name, chunk, sorted(wanted_parties))
            assigned: dict[str, dict[str, str]] = {}
            archived = frozenset(entity_id for kind, entity_id, _ in wanted if kind == "line_status")
            for (kind, entity_id, _), known in wanted.items():
                if kind == "line":
                    assigned.setdefault(known.order_id, {})[entity_id] = known.order_facet
            wants: list[Want] = []
            changed: set[tuple[str, str]] = set()
            for order_id, order in sorted(orders.items()):
                parts = assigned.get(order_id, {})
                came_back: set[str] = set()
                for lane in desired_lanes(channel, order, lines.get(order_id, []), parties, parts, archived):
                    desired = fingerprint(lane.content)
                    there = wanted.get((lane.kind, lane.entity_id, lane.facet))
                    if there is not None and there.desired_hash == desired:
                        if lane.kind == "order_status" and lane.facet in came_back:
                            # Whether a status is owed is asked of the lanes as they are wanted by now.
                            news += lanes.want_all(cur, channel.name, wants, session.machine.now())
                            wants = []
                            news += lane_moves.owe_status(cur, channel.name, order_id, lane.facet)
                        continue
                    if lane.kind == "line_status" and lane.content == CAME_BACK:
                        came_back.add(lane.order_facet)
                    if there is not None and lane.kind in {"order", "line"}:
                        changed.add((order_id, lane.order_facet))
                    wants.append(
                        Want(
                            kind=lane.kind,
                            entity_id=lane.entity_id,
                            facet=lane.facet,
                            order_id=order_id if lane.kind != "party" else "",
                            order_facet=lane.order_facet,
                            stage=STAGES[lane.kind],
                            version=lane.version,
                            desired_hash=desired,
                        )
                    )
            news += lanes.want_all(cur, channel.name, wants, session.machine.now())
            if changed:
                news += lane_moves.wake_statuses(cur, channel.name, changed, session.machine.now())
    return news


def order_of(entity: StoredEntity) -> str:
    """The order an order or line belongs to."""
    return entity.id if entity.kind == EntityKind.ORDER else str(entity.order_id)

"""Plan: everything that apply would do, and every reason why it cannot, at once; nothing is written, here or there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from connectors.base import Operation
from hub.encoding import decode, encode
from hub.errors import ConnectionBroken, HubError, VendorUnavailable
from hub.results import PlanItem, PlanResult
from hub.session import Channel, Session
from hub.store import lane_moves, lanes, parking
from hub.store.lanes import Lane
from hub.store.seen_plans import SeenLane, SeenPlan
from hub.sync.prepare import KNOWN_AFTER_APPLY, Prepared, Refused
from hub.sync.stumbles import Apart, prepared_apart

CHUNK = 500
_ACTIONS = {Operation.CREATE: "create", Operation.UPDATE: "update", Operation.ACT: "act"}


def plan(session: Session, name: str | None = None) -> PlanResult:
    """The differences of one connection, or of all, between what vendors should have and what they acknowledged.

    What the connector stumbles over is shown as blocked. A connection that cannot be asked now is left out with a sentence,
    unless it was named. Raises NotFound, and for a named connection ConnectionBroken and VendorUnavailable.
    """
    channels = session.channels() if name is None else [session.channel(name)]
    items: list[PlanItem] = []
    unusable: dict[str, str] = {}
    asked = lost = 0
    for channel in channels:
        with session.database.transaction() as cur:
            dirty = lanes.dirty(cur, channel.name)
            stuck = lane_moves.orders_behind_parked(cur, channel.name)
            beside = lane_moves.lines_beside_their_order(cur, channel.name)
        try:
            found, values, losses = _of_connection(session, channel, dirty, stuck, beside)
        except (ConnectionBroken, VendorUnavailable) as error:
            if name is not None:
                raise
            unusable[channel.name] = _not_shown(channel, error, len(dirty))
            continue
        items += found
        asked += values
        lost += losses
    items += _parked_changes(session, name)
    blocked = sum(item.action == "blocked" for item in items)
    return PlanResult(
        items=items,
        plan_hash=plan_hash(items),
        blocked=blocked,
        values_asked=asked,
        values_expressed=asked - lost,
        values_lost=lost,
        unusable=unusable,
    )


def _of_connection(
    session: Session, channel: Channel, dirty: Sequence[Lane], stuck: frozenset[str], beside: frozenset[str]
) -> tuple[list[PlanItem], int, int]:
    items: list[PlanItem] = []
    asked = lost = 0
    apart = Apart()
    for start in range(0, len(dirty), CHUNK):
        found, values, losses = _chunk(session, channel, dirty[start : start + CHUNK], stuck, beside, apart)
        items += found
        asked += values
        lost += losses
    return items, asked, lost


def _not_shown(channel: Channel, error: HubError, due: int) -> str:
    writes = "1 write that is" if due == 1 else f"{due:,} writes that are"
    return f"{error} The {writes} due there cannot be shown; `orderhub plan {channel.name}` shows them once it answers."


def plan_hash(items: Sequence[PlanItem]) -> str:
    """What apply may be bound to: the same as long as what is wanted, what was acknowledged and what is wrong stay the same.

    The vendor is not asked: what somebody edited there is found before the update that would overwrite it, not here.
    """
    return hashlib.blake2b(encode([item.as_dict() for item in items]), digest_size=16).hexdigest()


def seen(plan: PlanResult, connection: str) -> SeenPlan:
    """What a person who read this plan saw of one connection."""
    return SeenPlan(
        tuple(
            SeenLane(
                item.kind, item.entity_id, item.facet, item.version, UUID(hex=item.content), item.action != "blocked"
            )
            for item in plan.items
            if item.connection == connection and item.content
        )
    )


def _chunk(
    session: Session,
    channel: Channel,
    dirty: Sequence[Lane],
    stuck: frozenset[str],
    beside: frozenset[str],
    apart: Apart,
) -> tuple[list[PlanItem], int, int]:
    prepared, refused = prepared_apart(session, channel, dirty, apart)
    done: dict[int, PlanItem] = {item.lane.id: _planned(channel, item, stuck, beside) for item in prepared}
    done.update({item.lane.id: _blocked(channel, item) for item in refused})
    asked = sum(item.asked for item in prepared)
    lost = sum(len(item.losses) for item in prepared)
    return [done[lane.id] for lane in dirty], asked, lost


def _planned(channel: Channel, item: Prepared, stuck: frozenset[str], beside: frozenset[str]) -> PlanItem:
    """`stuck` are the orders that something parked keeps from being created: they wait, and everything below them. `beside`
    are the lines that wait until they agree with their order."""
    action = _ACTIONS[item.operation]
    if item.lane.state == lanes.IN_DOUBT and item.never_created:
        action = "waiting"  # it may be there after all
    elif item.unchanged or (item.operation is Operation.ACT and item.action is None):
        action = "unchanged"
    elif (
        item.lane.state == lanes.IN_DOUBT
        or (item.lane.vendor_id is None and item.lane.order_id in stuck)
        or (item.lane.kind == "line" and item.lane.entity_id in beside)
    ):
        action = "waiting"
    before: Mapping[str, Any] = decode(item.lane.acked_payload) if item.lane.acked_payload else {}
    changes = (
        differences(before, {} if item.held_by_vendor is None else decode(item.held_by_vendor))
        if item.operation is not Operation.ACT
        else [("do", None, item.action)]
        if not item.left_alone
        else []
    )
    return PlanItem(
        connection=channel.name,
        kind=item.lane.kind,
        entity_id=item.lane.entity_id,
        facet=item.lane.facet,
        name=item.name,
        action=action,
        changes=changes,
        losses=[(loss.path, loss.value, loss.why) for loss in item.losses],
        version=item.lane.desired_version,
        content=item.lane.desired_hash.hex,
    )


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(field, before, after) of every top-level vendor field that differs; a missing field is None."""
    fields = sorted({*before, *after})
    pairs = [(field, before.get(field), _shown(after.get(field))) for field in fields]
    return [(field, old, new) for field, old, new in pairs if encode(old) != encode(new)]


def _shown(value: Any) -> Any:
    return "(known after apply)" if value == KNOWN_AFTER_APPLY else value


def _blocked(channel: Channel, item: Refused) -> PlanItem:
    return PlanItem(
        connection=channel.name,
        kind=item.lane.kind,
        entity_id=item.lane.entity_id,
        facet=item.lane.facet,
        name=item.name,
        action="blocked",
        problems=[problem.sentence for problem in item.problems],
        version=item.lane.desired_version,
        content=item.lane.desired_hash.hex,
    )


def _parked_changes(session: Session, connection: str | None) -> list[PlanItem]:
    """Changes that never became a version: they belong into the plan's list of what is wrong."""
    with session.database.transaction() as cur:
        items = parking.items(cur, parking.Selection(connection=connection))
    grouped: dict[str, list[parking.Item]] = {}
    for item in items:
        if item.change_id is not None:
            grouped.setdefault(item.subject, []).append(item)
    return [
        PlanItem(
            connection=group[0].connection,
            kind=group[0].entity_kind,
            entity_id=group[0].entity_id,
            facet="",
            name=subject.rpartition(":")[2],
            action="blocked",
            problems=[item.sentence for item in group],
        )
        for subject, group in sorted(grouped.items())
    ]

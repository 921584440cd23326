"""The projection: what the CRM sees of each order and line, computed from everything the hub knows. One true sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hub.encoding import fingerprint
from hub.session import Channel, Session
from hub.store import attempts, billed, entities, facts, journal, lane_standing, lanes, parked_parties, parking
from hub.store.billed import BilledDocument
from hub.store.database import Cursor
from hub.store.entities import Shown, StoredEntity
from hub.sync.billed import billing_sentence, order_billing
from hub.sync.targets import STAGES
from oms_schema.ids import EntityKind
from oms_schema.line import Line
from oms_schema.order import Order
from oms_schema.projection import LineProjection, OrderProjection, percent_of_goal
from oms_schema.status import CommercialStatus, DeliveryStatus

CHUNK = 200

LABELS: Mapping[str, str] = {
    DeliveryStatus.DRAFT: "Sent",
    DeliveryStatus.PENDING_RESERVATION: "Reserving",
    DeliveryStatus.RESERVED: "Reserved",
    DeliveryStatus.DECLINED: "Declined",
    DeliveryStatus.EXPIRED: "Expired",
    DeliveryStatus.PENDING_BOOKING: "Awaiting approval",
    DeliveryStatus.BOOKED: "Awaiting creative",
    DeliveryStatus.READY: "Scheduled",
    DeliveryStatus.IN_FLIGHT: "Live",
    DeliveryStatus.PAUSED: "Paused",
    DeliveryStatus.FINISHED: "Finished",
    DeliveryStatus.STOPPED: "Stopped",
    DeliveryStatus.CANCELLED: "Cancelled",
}
NEEDS_HUMAN, IN_DOUBT, SENDING, NOT_SENT = "Needs attention", "In doubt", "Sending", "Not sent"

ORDER_OF_ORDERS = (
    IN_DOUBT,
    SENDING,
    "Awaiting approval",
    "Awaiting creative",
    "Live",
    "Paused",
    "Scheduled",
    "Sent",
    "Reserving",
    "Reserved",
    "Finished",
    "Declined",
    "Stopped",
    "Expired",
    "Cancelled",
    NOT_SENT,
    NEEDS_HUMAN,
)
"""The order shows the first of these that any of its lines is in: what is least settled speaks."""

NEXT_STEP = {"Awaiting creative": "Ad operations", "Declined": "Ad operations", IN_DOUBT: "Operations"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One open parked item: who acts, what to say."""

    code: str
    owner: str
    sentence: str


@dataclass(frozen=True, slots=True)
class LineView:
    """Everything a line's projection depends on. `synced` is None while no ad server wants the line."""

    line_id: str
    version: int
    name: str
    goal: int
    delivered: int
    synced: bool | None
    doubtful: bool
    observed: str | None
    vendor_ids: tuple[str, ...] = ()
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class OrderView:
    """Everything an order's projection depends on. `status` is None for an order that was never accepted."""

    order_id: str
    version: int
    status: CommercialStatus | None
    systems: tuple[str, ...]
    lines: tuple[LineView, ...]
    vendor_ids: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    last_change_at: datetime | None = field(default=None)
    currency: str = ""
    billed: tuple[BilledDocument, ...] = ()
    """What the ERP holds of its bills, the latest first."""
    left_alone: bool = False
    """Whether it is settled that no ad server has, or is to get, anything of it."""


def line_label(view: LineView) -> str:
    """One word for a line."""
    if view.trouble is not None:
        return NEEDS_HUMAN
    if view.doubtful:
        return IN_DOUBT
    if view.synced is None:
        return NOT_SENT
    if view.observed is not None:
        return LABELS.get(view.observed, view.observed)
    return "Sent" if view.synced else SENDING


def _cut(text: str, limit: int = 255) -> str:
    """At most `limit` UTF-16 units: a CRM counts a four-byte character twice, and a refused sentence would tell nobody."""
    units = 0
    for place, character in enumerate(text):
        units += 2 if ord(character) > 0xFFFF else 1
        if units > limit:
            kept = text[:place]
            while kept and sum(2 if ord(c) > 0xFFFF else 1 for c in kept) > limit - 1:
                kept = kept[:-1]
            return kept + "…"
    return text


def project_line(order_id: str, view: LineView) -> LineProjection:
    """What the CRM sees of a line."""
    label = line_label(view)
    if view.trouble is not None:
        sentence = view.trouble.sentence
    else:
        sentence = f"{label}; {view.delivered:,} of {view.goal:,} impressions delivered."
    return LineProjection(
        line_id=view.line_id,
        order_id=order_id,
        version=view.version,
        status=label,
        sentence=_cut(sentence),
        delivered=view.delivered,
        goal=view.goal,
        ad_server_ids=view.vendor_ids,
    )


def order_status(view: OrderView, labels: Counter[str]) -> str:
    """One word for an order."""
    if view.troubles and not any(label != NEEDS_HUMAN for label in labels):
        return NEEDS_HUMAN
    if view.status is None:
        return NEEDS_HUMAN
    if view.status not in {CommercialStatus.BOOKED, CommercialStatus.COMPLETED}:
        return view.status.value.replace("_", " ").capitalize()
    return next((label for label in ORDER_OF_ORDERS if labels[label]), "No lines")


def order_sentence(view: OrderView, status: str, labels: Counter[str], delivered: int, goal: int) -> str:
    """One true sentence about an order."""
    total = sum(labels.values())
    trouble = next((line.trouble for line in view.lines if line.trouble is not None), None)
    trouble = view.troubles[0] if view.troubles else trouble
    if status == NEEDS_HUMAN and trouble is not None:
        return trouble.sentence
    where = " and ".join(view.systems)
    if view.status is CommercialStatus.CANCELLED and view.left_alone:
        return f"The order was cancelled before it was sent; nothing of it was created in {where}."
    if view.status is not None and view.status not in {CommercialStatus.BOOKED, CommercialStatus.COMPLETED}:
        return f"The order is {view.status.value.replace('_', ' ')}; nothing is sent to {where or 'an ad server'}."
    share = percent_of_goal(delivered, goal)
    words = f"{status} in {where}" if where else status
    sentence = f"{words}: {labels[status]} of {total} lines; {share} % delivered."
    if view.troubles:
        sentence += f" The order needs {view.troubles[0].owner}: {view.troubles[0].sentence}"
    elif labels[NEEDS_HUMAN] and trouble is not None:
        what = "line needs" if labels[NEEDS_HUMAN] == 1 else "lines need"
        sentence += f" {labels[NEEDS_HUMAN]} {what} {trouble.owner}: {trouble.sentence}"
    return sentence


def project_order(view: OrderView) -> OrderProjection:
    """What the CRM sees of an order."""
    labels = Counter(line_label(line) for line in view.lines)
    delivered, goal = sum(line.delivered for line in view.lines), sum(line.goal for line in view.lines)
    status = order_status(view, labels)
    troubles = [*view.troubles, *(line.trouble for line in view.lines if line.trouble is not None)]
    owner = troubles[0].owner if troubles else NEXT_STEP.get(status, "")
    sentence = order_sentence(view, status, labels, delivered, goal)
    billing = order_billing(view.currency, view.billed) if view.currency else None
    if billing is not None:
        told = f"{sentence} {billing_sentence(billing, view.billed)}"
        sentence = told if _cut(told) == told else sentence  # half an amount would be another amount
    return OrderProjection(
        order_id=view.order_id,
        version=view.version,
        status=status,
        sentence=_cut(sentence),
        next_step_owner=owner,
        last_change_at=view.last_change_at,
        delivered=delivered,
        goal=goal,
        delivered_pct=percent_of_goal(delivered, goal),
        ad_server_ids=view.vendor_ids,
        error_code=troubles[0].code if troubles else None,
        billing=billing,
    )


def views(session: Session, cur: Cursor, order_ids: Sequence[str]) -> list[OrderView]:
    """Everything known about these orders, read in a few statements."""
    orders = entities.many(cur, EntityKind.ORDER, order_ids)
    lines: dict[str, list[StoredEntity]] = {}
    for line in entities.lines_of(cur, order_ids):
        lines.setdefault(str(line.order_id), []).append(line)
    line_ids = [line.id for group in lines.values() for line in group]
    delivered = facts.totals(cur, line_ids)
    synced: dict[str, bool] = {}
    doubtful: set[str] = set()
    systems: dict[str, list[str]] = {}
    settled: dict[str, bool] = {}
    titles = {channel.name: channel.connector.title for channel in session.channels()}
    for order_id, connection, kind, entity_id, _, state, in_sync, _ in lane_standing.states_of_orders(cur, order_ids):
        if kind in {"order", "line"}:
            settled[order_id] = settled.get(order_id, True) and in_sync and state == lanes.READY
        if kind != "line":
            continue
        title = titles.get(connection, connection)
        if title not in systems.setdefault(order_id, []):
            systems[order_id].append(title)
        synced[entity_id] = synced.get(entity_id, True) and in_sync
        if state == lanes.IN_DOUBT:
            doubtful.add(entity_id)
    observed = {
        entity_id: status for _, kind, entity_id, status, _ in journal.observations(cur, order_ids) if kind == "line"
    }
    vendor_ids: dict[str, list[str]] = {}
    for _, connection, _, entity_id, facet, vendor_id in attempts.of_orders(cur, order_ids):
        if facet:
            vendor_ids.setdefault(entity_id, []).append(f"{connection}:{vendor_id}")
    troubles: dict[str, list[Trouble]] = {}
    homeless: dict[str, dict[str, Trouble]] = {}
    for row in parking.of_orders(cur, order_ids, line_ids):
        order_id, kind, entity_id, _, code, _, sentence, owner, _, resolved_at, _, _ = row
        if resolved_at is not None or kind.endswith("_projection"):
            continue  # a refused mirror that told of itself would be news for itself: woken, refused, told again
        trouble = Trouble(code, owner, sentence)
        base = kind.partition("_")[0]
        key = entity_id if base == "line" else order_id
        troubles.setdefault(key, []).append(trouble)
        if (
            base == "line"
            and entity_id not in delivered
            and not any(line.id == entity_id for line in lines.get(order_id, []))
        ):
            homeless.setdefault(order_id, {})[entity_id] = trouble
    for order_id, code, owner, sentence in parked_parties.of_orders(cur, order_ids):
        troubles.setdefault(order_id, []).append(Trouble(code, owner, sentence))
    # A line that another order was accepted with is shown there, whatever order its newest change names.
    lost = sorted({line_id for refused in homeless.values() for line_id in refused})
    elsewhere = entities.many(cur, EntityKind.LINE, lost) if lost else {}
    last = journal.last_event(cur, order_ids)
    bills = billed.of_orders(cur, order_ids)
    result = []
    for order_id in order_ids:
        stored = orders.get(order_id)
        own_lines = tuple(
            _line_view(line, delivered, synced, doubtful, observed, vendor_ids, troubles)
            for line in lines.get(order_id, [])
            if line.status != "cancelled" or line.id in synced
        )
        refused = tuple(
            LineView(line_id, 0, line_id, 0, 0, None, False, None, (), trouble)
            for line_id, trouble in sorted(homeless.get(order_id, {}).items())
            if line_id not in elsewhere
        )
        if stored is None and order_id not in troubles and not refused:
            continue
        order = None if stored is None else Order.from_bytes(stored.canonical)
        result.append(
            OrderView(
                order_id=order_id,
                version=0 if stored is None else stored.version,
                status=None if order is None else order.status,
                systems=tuple(systems.get(order_id, ())),
                lines=own_lines + refused,
                vendor_ids=tuple(vendor_ids.get(order_id, ())),
                troubles=tuple(troubles.get(order_id, ())),
                last_change_at=last.get(order_id),
                currency="" if order is None else order.currency,
                billed=tuple(bills.get(order_id, ())),
                left_alone=settled.get(order_id, False)
                and not any(vendor_ids.get(each) for each in (order_id, *(line.line_id for line in own_lines))),
            )
        )
    return result


def _line_view(
    stored: StoredEntity,
    delivered: Mapping[str, int],
    synced: Mapping[str, bool],
    doubtful: set[str],
    observed: Mapping[str, str],
    vendor_ids: Mapping[str, Sequence[str]],
    troubles: Mapping[str, Sequence[Trouble]],
) -> LineView:
    line = Line.from_bytes(stored.canonical)
    ids = tuple(vendor_ids.get(stored.id, ()))
    in_sync = synced.get(stored.id)
    return LineView(
        line_id=stored.id,
        version=stored.version,
        name=stored.name,
        goal=line.goal.quantity,
        delivered=delivered.get(stored.id, 0),
        synced=None if in_sync and not ids else in_sync,  # it or its order was cancelled before it was ever sent
        doubtful=stored.id in doubtful,
        observed=observed.get(stored.id),
        vendor_ids=ids,
        trouble=next(iter(troubles.get(stored.id, ())), None),
    )


def refresh(session: Session) -> int:
    """Compute every stale projection anew and bring the mirror's lanes up to it; returns how many lanes got news."""
    mirrors = [channel for channel in session.channels() if channel.mapping("order_projection", "out") is not None]
    news = 0
    while True:
        with session.database.transaction() as cur:
            order_ids = journal.take_stale(cur, CHUNK)
            if order_ids:
                news += _write(cur, mirrors, views(session, cur, order_ids), session.machine.now())
        if len(order_ids) < CHUNK:
            return news


def _write(cur: Cursor, mirrors: Sequence[Channel], orders: Sequence[OrderView], now: datetime) -> int:
    """Keep the projections of orders and their lines, and want them at the CRM each came from; what is the same is left."""
    shown = [shown for view in orders for shown in _shown(view)]
    kept = entities.projections_of_orders(cur, [view.order_id for view in orders])
    entities.put_projections(cur, [one for one in shown if kept.get((one.kind, one.entity_id)) != one.canonical])
    return sum(_want(cur, channel, shown, now) for channel in mirrors)


def _want(cur: Cursor, channel: Channel, shown: Sequence[Shown], now: datetime) -> int:
    wanted = [(one.kind.partition("_")[0], one.entity_id) for one in shown]
    native = {key[1] for key in attempts.references(cur, channel.name, wanted) if key[2] == ""}
    known = lanes.wanted(cur, channel.name, sorted({one.order_id for one in shown}))
    news = 0
    for one in shown:
        desired = fingerprint(one.canonical)
        there = known.get((one.kind, one.entity_id, ""))
        if (
            one.entity_id in native
            and channel.mapping(one.kind, "out") is not None
            and (there is None or there.desired_hash != desired)
        ):
            news += lanes.want(
                cur,
                connection=channel.name,
                kind=one.kind,
                entity_id=one.entity_id,
                facet="",
                order_id=one.order_id,
                order_facet="",
                stage=STAGES[one.kind],
                version=one.version,
                desired_hash=desired,
                now=now,
            )
    return news


def _shown(view: OrderView) -> list[Shown]:
    order = project_order(view)
    shown = [Shown("order_projection", view.order_id, view.order_id, order.version, order.canonical_bytes())]
    for line in view.lines:
        projected = project_line(view.order_id, line)
        shown.append(
            Shown("line_projection", line.line_id, view.order_id, projected.version, projected.canonical_bytes())
        )
    return shown

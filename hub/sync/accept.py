"""Accept one change: map it, check it against what the hub already holds, and write a new version or say why not."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hub.session import Channel, Session
from hub.store import attempts, changes, entities, lanes
from hub.store.database import Cursor
from hub.store.entities import NewVersion, StoredEntity
from hub.store.journal import Entry
from hub.sync.accept_page import Ledger
from hub.sync.prepare import mapping_defect
from mappings.errors import MappingDefect
from mappings.mapping import Mapping
from oms_schema.base import Canonical
from oms_schema.checks import check_line_against_order, check_order
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Line
from oms_schema.machines import COMMERCIAL, Cancellation, CommercialFacts, IllegalMove
from oms_schema.money import Money
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.problems import Problem, Problems, Reason, shown
from oms_schema.status import CommercialStatus


@dataclass(frozen=True, slots=True)
class Incoming:
    """One change on its way in."""

    change_id: int
    stream: str
    native_id: str
    native: MappingType[str, Any]
    deleted: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change. `order_id` is the order whose lanes and projection it touches; `orders` are more of them."""

    status: str
    entity_id: str
    version: int | None = None
    problems: tuple[Problem, ...] = ()
    waits_for: str | None = None
    order_id: str | None = None
    orders: tuple[str, ...] = field(default=())


def accept(
    session: Session, cur: Cursor, channel: Channel, mapping: Mapping, incoming: Incoming, ledger: Ledger
) -> Verdict:
    """Decide one change inside the caller's transaction: accepted, unchanged, rejected or held."""
    kind = EntityKind(mapping.entity)
    entity_id = canonical_id(kind, channel.name, incoming.native_id)
    known = ledger.get(cur, kind, entity_id, lock=True)
    _refer(session, cur, channel, mapping, incoming, entity_id, ledger)
    try:
        model = _mapped(channel, mapping, incoming, known, ledger)
        if model is None:
            return Verdict("unchanged", entity_id)
        if isinstance(model, Party):
            return _accept_party(session, cur, channel, incoming, model, known, ledger)
        if isinstance(model, Order):
            return _accept_order(session, cur, channel, incoming, model, known, ledger)
        if isinstance(model, Line):
            return _accept_line(session, cur, channel, incoming, model, known, ledger)
    except Problems as refused:
        order_id = entity_id if kind is EntityKind.ORDER else known.order_id if known else None
        if kind is EntityKind.LINE and order_id is None:
            order_id = order_of_line(channel, mapping, incoming.native)
        return Verdict("rejected", entity_id, problems=refused.problems, order_id=order_id)
    except MappingDefect as defect:
        return Verdict("rejected", entity_id, problems=(mapping_defect(mapping.name, defect),))
    raise TypeError(f"{mapping.name} makes a {type(model).__name__}, which no source may bring")


def _refer(
    session: Session,
    cur: Cursor,
    channel: Channel,
    mapping: Mapping,
    incoming: Incoming,
    entity_id: str,
    ledger: Ledger,
) -> None:
    """Have it on record which object of the source the entity is."""
    if entity_id in ledger.referenced:
        return
    ledger.referenced.add(entity_id)
    if entity_id in ledger.introduced:
        attempts.note_reference(
            cur, channel.name, mapping.entity, entity_id, "", mapping.record, incoming.native_id, None
        )
        return
    attempts.put_reference(
        cur,
        connection=channel.name,
        kind=EntityKind(mapping.entity),
        entity_id=entity_id,
        facet="",
        record=mapping.record,
        vendor_id=incoming.native_id,
        account=channel.account,
        attempt_id=None,
        now=session.machine.now(),
    )


def parties_of(
    channel: Channel, mapping: Mapping, natives: MappingType[str, MappingType[str, Any]]
) -> dict[str, Party]:
    """The parties that these records (by native id) describe; what cannot be mapped is refused in its turn."""
    found: dict[str, Party] = {}
    for native_id, native in natives.items():
        with suppress(Problems, MappingDefect):
            model = mapping.to_canonical(native, channel.name)
            if isinstance(model, Party):
                found[native_id] = model
    return found


def order_of_line(channel: Channel, mapping: Mapping, native: MappingType[str, Any]) -> str | None:
    """The order that a source's line says it belongs to: where a refused one is parked, whom an accepted one asks."""
    path = mapping.native_path("order_id")
    native_id = native.get(path) if path else None
    return canonical_id(EntityKind.ORDER, channel.name, native_id) if isinstance(native_id, str) and native_id else None


def _mapped(
    channel: Channel, mapping: Mapping, incoming: Incoming, known: StoredEntity | None, ledger: Ledger
) -> Canonical | None:
    """The canonical entity a change describes; a tombstone changes what is known. None: gone before it was ever seen."""
    if not incoming.deleted:
        party = ledger.mapped_party(incoming.native_id)
        return mapping.to_canonical(incoming.native, channel.name) if party is None else party
    if known is None:
        return None
    if known.kind == EntityKind.PARTY:
        party = Party.from_bytes(known.canonical)
        master = incoming.native.get(mapping.native_path("merged_into") or "")
        survivor = canonical_id(EntityKind.PARTY, channel.name, master) if isinstance(master, str) and master else None
        return party.model_copy(update={"deleted": True, "merged_into": survivor})
    if known.kind == EntityKind.ORDER:
        return Order.from_bytes(known.canonical).model_copy(update={"status": CommercialStatus.CANCELLED})
    return Line.from_bytes(known.canonical).model_copy(update={"cancelled": True})


def _put(
    session: Session,
    cur: Cursor,
    channel: Channel,
    incoming: Incoming,
    model: Party | Order | Line,
    known: StoredEntity | None,
    ledger: Ledger,
    *,
    kind: EntityKind,
    order_id: str | None,
    status: str | None,
    external_id: str | None,
) -> int | None:
    """Write a new version unless nothing changed; returns its number, None when nothing changed."""
    content_hash = UUID(model.content_hash())
    if known is not None and known.content_hash == content_hash:
        return None
    version = 1 if known is None else known.version + 1
    new = NewVersion(
        str(kind),
        model.id,
        version,
        model.canonical_bytes(),
        content_hash,
        channel.name,
        incoming.native_id,
        model.name,
        order_id,
        status,
        external_id,
        session.machine.now(),
        incoming.change_id,
    )
    ledger.put(cur, new, known)
    what = f"{kind} {shown(model.name, 60)!r} accepted as version {version}"
    ledger.entries.append(Entry(channel.name, what, f"change {incoming.change_id}", order_id or None, kind, model.id))
    return version


def _accept_party(
    session: Session,
    cur: Cursor,
    channel: Channel,
    incoming: Incoming,
    party: Party,
    known: StoredEntity | None,
    ledger: Ledger,
) -> Verdict:
    touched = ledger.orders_of_party(cur, party.id)
    if not party.deleted:
        twins = ledger.namesakes(cur, party, channel.name)
        same = [twin for twin in twins if twin.name == party.name]
        if same:
            # When the other one gets another name, this one gets another try.
            return Verdict(
                "rejected",
                party.id,
                problems=(_two_of_one_name(party, incoming, same[0].native_id),),
                waits_for=same[0].entity_id,
            )
        if twins and (known is None or known.name != party.name):
            ledger.entries.append(
                Entry(
                    channel.name,
                    f"account {shown(party.name, 60)!r} differs from {shown(twins[0].name, 60)!r} only in case",
                    "both are kept as two accounts",
                    None,
                    EntityKind.PARTY,
                    party.id,
                )
            )
    version = _put(
        session,
        cur,
        channel,
        incoming,
        party,
        known,
        ledger,
        kind=EntityKind.PARTY,
        order_id=None,
        status="deleted" if party.deleted else None,
        external_id=None,
    )
    status = "unchanged" if version is None else "accepted"
    return Verdict(status, party.id, version, orders=touched)


def _two_of_one_name(party: Party, incoming: Incoming, other: str) -> Problem:
    return Problem(
        code="PARTY-TWO-OF-ONE-NAME",
        reason=Reason.DUPLICATE,
        path="name",
        value=shown(party.name),
        happened=f"Two accounts are named {shown(party.name)!r}: {incoming.native_id} and {other}.",
        effect="The second one is not used, and its orders wait.",
        fix="Sales merges the accounts in the CRM or gives one of them another name.",
        owner="Sales",
    )


def _accept_order(
    session: Session,
    cur: Cursor,
    channel: Channel,
    incoming: Incoming,
    order: Order,
    known: StoredEntity | None,
    ledger: Ledger,
) -> Verdict:
    if not incoming.deleted and (problems := check_order(order)):
        raise Problems(problems)
    wanted = [party.party_id for party in order.parties]
    parties = ledger.many(cur, EntityKind.PARTY, wanted)
    missing = [party_id for party_id in wanted if party_id not in parties]
    if missing:
        return Verdict("held", order.id, waits_for=missing[0], order_id=order.id)
    gone = [entity for entity in parties.values() if entity.status == "deleted"]
    if gone and order.status is not CommercialStatus.CANCELLED:
        # When the account is restored, the order gets another try.
        problems = tuple(_party_gone(order, entity) for entity in gone)
        return Verdict("rejected", order.id, problems=problems, waits_for=gone[0].id, order_id=order.id)
    if known is not None:
        _check_move(session, cur, channel, order, known, ledger)
    version = _put(
        session,
        cur,
        channel,
        incoming,
        order,
        known,
        ledger,
        kind=EntityKind.ORDER,
        order_id=order.id,
        status=order.status,
        external_id=order.number,
    )
    if version is None:
        return Verdict("unchanged", order.id)
    if known is not None and Order.from_bytes(known.canonical).currency != order.currency:
        # Prices in another currency than their order's would be billed as if they were in it.
        ledger.writes.flush(cur)
        lines = [line.id for line in entities.lines_of(cur, [order.id]) if line.status != "cancelled"]
        changes.reconsider(cur, lines, order.id)
    ledger.writes.set_parties(order.id, sorted({(party.role, party.party_id) for party in order.parties}))
    return Verdict("accepted", order.id, version, order_id=order.id)


def _party_gone(order: Order, entity: StoredEntity) -> Problem:
    party = Party.from_bytes(entity.canonical)
    merged = f" It was merged into {party.merged_into}." if party.merged_into else ""
    return Problem(
        code="ORDER-PARTY-DELETED",
        reason=Reason.REFERENCE_MISSING,
        path="parties",
        value=shown(entity.name),
        happened=f"The account {shown(entity.name)!r} ({entity.native_id}) of order {shown(order.name)!r} was deleted.{merged}",
        effect="The order keeps its last version and is not sent.",
        fix="Sales points the opportunity to a living account, or restores this one.",
        owner="Sales",
    )


def _check_move(
    session: Session, cur: Cursor, channel: Channel, order: Order, known: StoredEntity, ledger: Ledger
) -> None:
    """Refuse a commercial status that cannot follow the present one; a CRM may jump, so the legal path is walked."""
    before = CommercialStatus(str(known.status))
    if before == order.status:
        return
    ledger.writes.flush_versions(cur, EntityKind.LINE)
    lines = entities.lines_of(cur, [order.id])
    facts = CommercialFacts.closed_won(
        vouched_by=channel.name,
        version=known.version,
        # A deal may be won before its lines have been read in; without lines nothing is sent, so none is lost here.
        priced_lines=max(1, len(lines)),
        purchase_order=order.purchase_order.number if order.purchase_order else None,
        # Once booked, a vendor may hold it archived: brought back it would not be live, and created anew it would be a second.
        never_wanted=before is CommercialStatus.CANCELLED and not lanes.any_of_order(cur, order.id),
    )
    if order.status is CommercialStatus.CANCELLED:
        facts = CommercialFacts(
            now=session.business.now(),
            version=known.version,
            cancellation=Cancellation(
                reason=f"lost or deleted at {channel.name}",
                notice_kept=False,
                fee=Money(micros=0, currency=order.currency),
            ),
        )
    try:
        COMMERCIAL.path(before, order.status, facts)
    except IllegalMove as illegal:
        raise Problems(
            [
                Problem(
                    code="ORDER-ILLEGAL-MOVE",
                    reason=Reason.VALIDATION,
                    path="status",
                    value=order.status,
                    happened=f"The order {shown(order.name)!r} cannot go from {before} to {order.status}: {illegal}",
                    effect=f"It stays {before}.",
                    fix="Sales sets the stage back, or makes a new opportunity for the new deal.",
                    owner="Sales",
                )
            ]
        ) from illegal


def _accept_line(
    session: Session,
    cur: Cursor,
    channel: Channel,
    incoming: Incoming,
    line: Line,
    known: StoredEntity | None,
    ledger: Ledger,
) -> Verdict:
    order = ledger.get(cur, EntityKind.ORDER, line.order_id)
    if order is None:
        return Verdict("held", line.id, waits_for=line.order_id, order_id=line.order_id)
    problems = check_line_against_order(ledger.order_model(order), line)
    if problems:
        # When the order gets another currency, the line gets another try.
        return Verdict("rejected", line.id, problems=problems, waits_for=line.order_id, order_id=line.order_id)
    version = _put(
        session,
        cur,
        channel,
        incoming,
        line,
        known,
        ledger,
        kind=EntityKind.LINE,
        order_id=line.order_id,
        status="cancelled" if line.cancelled else "active",
        external_id=line.external_id,
    )
    if version is None:
        return Verdict("unchanged", line.id)
    return Verdict("accepted", line.id, version, order_id=line.order_id)

"""From claimed lanes to vendor payloads: load the newest canonical state, resolve names, map, and collect every problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from connectors.base import Operation, ResolvesNames
from hub.encoding import decode, encode
from hub.session import Channel, Session
from hub.store import attempts, documents, entities, lookups, never_created
from hub.store.database import Cursor
from hub.store.documents import Document
from hub.store.lanes import DOCUMENT, Lane
from hub.sync.vendor import ask
from mappings.context import Lookup, Names
from mappings.errors import MappingDefect
from mappings.mapping import Loss, Mapping
from oms_schema.base import Canonical
from oms_schema.ids import EntityKind, idempotency_key
from oms_schema.line import Line
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.problems import Problem, Problems, Reason
from oms_schema.projection import LineProjection, OrderProjection
from oms_schema.status import CommercialStatus

MODELS: MappingType[str, type[Canonical]] = {
    "party": Party,
    "order": Order,
    "line": Line,
    "order_projection": OrderProjection,
    "line_projection": LineProjection,
}
STATUS_KINDS = {"order_status": "order", "line_status": "line"}
FORGET_UNKNOWN_AFTER = timedelta(hours=1)
"""A name the vendor did not know is asked again after this long: somebody may have added it."""

KNOWN_AFTER_APPLY = "0"
"""Stands in a plan for a vendor id that does not exist before the parent is created."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One write, ready to be sent."""

    lane: Lane
    record: str
    operation: Operation
    payload: MappingType[str, Any]
    """What is sent; an update leaves out what can be set at creation only."""
    payload_bytes: bytes
    """The whole desired record, the form that is kept and compared."""
    key: str
    name: str
    action: str | None = None
    losses: tuple[Loss, ...] = ()
    asked: int = 0
    left_alone: bool = False
    """Whether the record is out of the market, and stays as it was last written, or is not created any more."""

    @property
    def unchanged(self) -> bool:
        """Whether nothing is to be written: the vendor already holds exactly this, or the record is not changed any more."""
        acked = self.lane.acked_payload
        return self.left_alone or (acked is not None and acked == self.payload_bytes)

    @property
    def never_created(self) -> bool:
        """Whether it was cancelled before the vendor held it; of a status: what it is the status of."""
        return self.left_alone and self.operation is not Operation.UPDATE

    @property
    def held_by_vendor(self) -> bytes | None:
        """What the vendor holds when this is acknowledged; None of what is left alone and was never written, or is not known."""
        return self.lane.acked_payload if self.left_alone else self.payload_bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A lane that cannot be sent, with every reason."""

    lane: Lane
    name: str
    problems: tuple[Problem, ...]


class StoreContext:
    """Answers a mapping from what was loaded for a whole batch at once."""

    def __init__(
        self,
        channel: Channel,
        lane: Lane,
        references: MappingType[tuple[str, str, str], str],
        names: Names,
        facets: int,
        assumed: str | None,
    ) -> None:
        self._channel = channel
        self._lane = lane
        self._references = references
        self._names = names
        self._facets = facets
        self._assumed = assumed

    @property
    def facet(self) -> str:
        """The role or part this lane is for."""
        return self._lane.facet

    @property
    def facets(self) -> int:
        """How many parts the order has."""
        return self._facets

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        """The vendor id, or the plan's stand-in for one that will exist."""
        part = facet or self._lane.order_facet
        return self._references.get((kind, entity_id, part), self._assumed)

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        """Not needed outward: canonical ids are pure functions of native ids."""
        return None

    @property
    def names(self) -> Names:
        """The ids behind the batch's names."""
        return self._names

    def setting(self, name: str) -> str | None:
        """The connection's `mapping_settings`."""
        return self._channel.settings.mapping_settings.get(name)


def load_entities(cur: Cursor, lanes: Sequence[Lane]) -> dict[tuple[str, str], Canonical]:
    """The newest canonical state behind each lane, by (lane kind, entity id)."""
    models: dict[tuple[str, str], Canonical] = {}
    by_kind: dict[str, list[str]] = {}
    for lane in lanes:
        by_kind.setdefault(lane.kind, []).append(lane.entity_id)
    for kind, ids in by_kind.items():
        if kind.endswith("_projection"):
            for entity_id, canonical in entities.projections(cur, kind, ids).items():
                models[kind, entity_id] = MODELS[kind].from_bytes(canonical)
            continue
        stored_kind = EntityKind(STATUS_KINDS.get(kind, kind))
        for entity_id, stored in entities.many(cur, stored_kind, ids).items():
            models[kind, entity_id] = MODELS[stored_kind].from_bytes(stored.canonical)
    return models


def _pointed_to(models: Iterable[Canonical]) -> list[tuple[str, str]]:
    wanted: set[tuple[str, str]] = set()
    for model in models:
        if isinstance(model, Order):
            wanted.update((EntityKind.PARTY, party.party_id) for party in model.parties)
        elif isinstance(model, Line):
            wanted.add((EntityKind.ORDER, model.order_id))
    return sorted(wanted)


def resolve_names(
    session: Session, channel: Channel, wanted: Iterable[Lookup], *, remember: bool
) -> dict[lookups.Key, str | None]:
    """Ids behind names: from the store where known, else from the vendor; kept in the store unless this is a plan."""
    keys = sorted({(lookup.table, lookup.scope, lookup.name) for lookup in wanted})
    since = session.machine.now() - FORGET_UNKNOWN_AFTER
    with session.database.transaction() as cur:
        answers = lookups.known(cur, channel.name, keys, since)
    missing: dict[tuple[str, str], list[str]] = {}
    for table, scope, name in keys:
        if (table, scope, name) not in answers:
            missing.setdefault((table, scope), []).append(name)
    connector = channel.connector
    if not isinstance(connector, ResolvesNames):
        return answers
    for (table, scope), names in missing.items():
        found = ask(
            session,
            channel,
            "resolve",
            lambda t=table, n=names, s=scope: connector.resolve(t, n, s),  # type: ignore[misc]
        )
        fresh = {(table, scope, name): found.get(name) for name in names}
        answers.update(fresh)
        if remember:
            with session.database.transaction() as cur:
                lookups.remember(cur, channel.name, fresh, session.machine.now())
    return answers


def prepare(
    session: Session, channel: Channel, claimed: Sequence[Lane], *, planning: bool = False
) -> tuple[list[Prepared], list[Refused]]:
    """Payloads for claimed lanes, in their order, and the lanes that cannot be sent with all their problems.

    Raises VendorUnavailable or ConnectionBroken when names cannot be resolved now. With `planning` nothing is written.
    """
    if not claimed:
        return [], []
    with session.database.transaction() as cur:
        uncertain = [lane.id for lane in claimed if lane.kind in STATUS_KINDS or lane.vendor_id is None]
        dropped = never_created.not_created(cur, uncertain)
        models = load_entities(cur, claimed)
        references = attempts.references(cur, channel.name, _pointed_to(models.values()))
        parts = _parts(cur, channel.name, claimed)
        frozen = _frozen(cur, channel, models)
        stored = _documents(cur, channel.name, claimed)
    wanted: set[Lookup] = set()
    for lane in claimed:
        mapping, model = channel.mapping(lane.kind, "out"), models.get((lane.kind, lane.entity_id))
        if mapping is not None and model is not None and lane.id not in dropped and not _is_frozen(lane, frozen):
            wanted.update(mapping.lookups(model))
    answers = resolve_names(session, channel, wanted, remember=not planning) if wanted else {}
    names = Names.answered((Lookup(table, name, scope), found) for (table, scope, name), found in answers.items())
    ready: list[Prepared] = []
    refused: list[Refused] = []
    for lane in claimed:
        if lane.entity_id in stored:
            ready.append(_document(lane, stored[lane.entity_id]))
            continue
        model = models.get((lane.kind, lane.entity_id))
        context = StoreContext(
            channel, lane, references, names, parts.get(lane.entity_id, 1), KNOWN_AFTER_APPLY if planning else None
        )
        name = str(getattr(model, "name", lane.entity_id))
        if lane.id in dropped or _is_frozen(lane, frozen):
            ready.append(_left_alone(channel, lane, name))
            continue
        try:
            ready.append(_one(channel, lane, model, context, name))
        except Problems as problems:
            refused.append(Refused(lane, name, problems.problems))
        except MappingDefect as defect:
            refused.append(Refused(lane, name, (mapping_defect(lane.kind, defect),)))
    return ready, refused


def _frozen(cur: Cursor, channel: Channel, models: MappingType[tuple[str, str], Canonical]) -> frozenset[str]:
    """The orders and lines that are not changed any more: a verb of this connection takes them out of the market.

    A vendor refuses changes of what is archived; the order itself never comes back. What is not there yet is created at no
    connection (`hub.store.never_created`).
    """
    found: set[str] = set()
    lines = [model for (kind, _), model in models.items() if kind == "line" and isinstance(model, Line)]
    if CommercialStatus.CANCELLED in channel.actions.line:
        found.update(line.id for line in lines if line.cancelled)
    if CommercialStatus.CANCELLED in channel.actions.order:
        orders = {entity_id for (kind, entity_id) in models if kind == "order"} | {line.order_id for line in lines}
        gone = entities.cancelled_orders(cur, orders) if orders else frozenset()
        found.update(gone)
        found.update(line.id for line in lines if line.order_id in gone)
    return frozenset(found)


def _is_frozen(lane: Lane, frozen: frozenset[str]) -> bool:
    return lane.kind in {"order", "line"} and lane.vendor_id is not None and lane.entity_id in frozen


def _left_alone(channel: Channel, lane: Lane, name: str) -> Prepared:
    """Nothing to be sent of what was cancelled: not even mapped, for nobody needs to mend what is not sent."""
    mapping = channel.mapping(STATUS_KINDS.get(lane.kind, lane.kind), "out")
    record = lane.kind if mapping is None else mapping.record
    operation = Operation.UPDATE if lane.vendor_id is not None else Operation.CREATE
    if lane.kind in STATUS_KINDS:
        operation = Operation.ACT
    return Prepared(lane, record, operation, {}, lane.acked_payload or b"", "", name, left_alone=True)


def _documents(cur: Cursor, connection: str, lanes: Sequence[Lane]) -> dict[str, Document]:
    ids = [lane.entity_id for lane in lanes if lane.kind == DOCUMENT]
    return documents.by_ids(cur, connection, ids) if ids else {}


def _document(lane: Lane, document: Document) -> Prepared:
    """The one write of a document, as it was stored. What the vendor has already is never written again, whoever asks."""
    key = idempotency_key(lane.connection, EntityKind.DOCUMENT, lane.entity_id, f"{DOCUMENT}/{lane.facet}", 1)
    if lane.vendor_id is not None:
        return Prepared(lane, document.record, Operation.UPDATE, {}, document.payload, key, document.name)
    payload = decode(document.payload)
    return Prepared(lane, document.record, Operation.CREATE, payload, document.payload, key, document.name)


def _parts(cur: Cursor, connection: str, lanes: Sequence[Lane]) -> dict[str, int]:
    orders = sorted({lane.entity_id for lane in lanes if lane.kind == "order"})
    return entities.count_parts(cur, connection, orders) if orders else {}


def _one(channel: Channel, lane: Lane, model: Canonical | None, context: StoreContext, name: str) -> Prepared:
    key = idempotency_key(
        channel.name, _key_kind(lane.kind), lane.entity_id, f"{lane.kind}/{lane.facet}", lane.desired_version
    )
    if model is None:
        raise Problems([_nothing_known(lane)])
    if lane.kind in STATUS_KINDS:
        return _status(channel, lane, model, key, name)
    mapping = _mapping(channel, lane)
    payload = mapping.to_vendor(model, context)
    operation = Operation.CREATE if lane.vendor_id is None else Operation.UPDATE
    sent = payload
    if operation is Operation.UPDATE:
        sent = {field: value for field, value in payload.items() if field not in mapping.create_only}
    tally = mapping.tally(model, context)
    return Prepared(
        lane, mapping.record, operation, sent, encode(payload), key, name, losses=tally.losses, asked=tally.asked
    )


def _key_kind(lane_kind: str) -> EntityKind:
    return EntityKind(lane_kind.partition("_")[0])


def _status(channel: Channel, lane: Lane, model: Canonical, key: str, name: str) -> Prepared:
    """The verb that brings a record into its canonical status; a status without a verb needs none."""
    base = STATUS_KINDS[lane.kind]
    table = channel.actions.order if base == "order" else channel.actions.line
    status = (
        str(model.status) if isinstance(model, Order) else "cancelled" if getattr(model, "cancelled", False) else ""
    )
    mapping = _mapping(channel, lane)
    payload = {"status": status, "members": lane.desired_hash.hex}
    return Prepared(lane, mapping.record, Operation.ACT, payload, encode(payload), key, name, action=table.get(status))


def _nothing_known(lane: Lane) -> Problem:
    return Problem(
        code="LANE-NO-ENTITY",
        reason=Reason.REFERENCE_MISSING,
        path=lane.kind,
        value=lane.entity_id,
        happened=f"The {lane.kind} {lane.entity_id} is not in the store.",
        effect="It is not sent.",
        fix="Operations runs the intake of its source again.",
        owner="Operations",
    )


def _mapping(channel: Channel, lane: Lane) -> Mapping:
    """The mapping that writes a lane's record. Raises Problems when the connection cannot carry it."""
    kind = STATUS_KINDS.get(lane.kind, lane.kind)
    mapping = channel.mapping(kind, "out")
    if mapping is None:
        raise Problems([_not_carried(lane, f"{channel.name} has no mapping for {kind}.", "adds one")])
    if mapping.record not in channel.capabilities.records:
        title = channel.connector.title
        happened = f"{channel.name} maps {kind} to {mapping.record}, which the connector of {title} does not declare."
        raise Problems([_not_carried(lane, happened, "names another record, or has the connector declare it")])
    return mapping


def _not_carried(lane: Lane, happened: str, remedy: str) -> Problem:
    return Problem(
        code="LANE-NO-MAPPING",
        reason=Reason.MAPPING,
        path=lane.kind,
        value="",
        happened=happened,
        effect="It is not sent, and neither is what waits for it.",
        fix=f"Whoever owns the mappings {remedy}, and replays what is parked.",
        owner="Integration",
    )


def mapping_defect(path: str, defect: MappingDefect) -> Problem:
    """A fault of the mapping compiler itself, parked like any other so that the rest goes on."""
    return Problem(
        code="MAPPING-DEFECT",
        reason=Reason.MAPPING,
        path=path,
        value="",
        happened=str(defect),
        effect="The record is kept and not used.",
        fix="Integration reports it with the record's id; a replay follows the correction.",
        owner="Integration",
    )

"""Observe: read back how our records stand at the vendor, in canonical words."""

from __future__ import annotations

from connectors.base import ObservesRecords
from hub.errors import ConnectionBroken, ConnectorStumbled
from hub.results import ObserveSummary
from hub.session import Session
from hub.store import attempts, entities, journal
from hub.store.journal import Entry
from hub.sync import projection
from hub.sync.stumbles import Apart, shown_apart
from oms_schema.ids import EntityKind
from oms_schema.observation import LineObservation, OrderObservation
from oms_schema.problems import Problems

CHUNK = 500


def observe(session: Session, name: str) -> ObserveSummary:
    """Compare every live record of a connection with what was last seen; news marks its order's projection stale.

    Raises ConnectionBroken, VendorUnavailable, NotFound; ConnectorStumbled when all others were seen and the connector failed
    over some.
    """
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, ObservesRecords):
        raise ConnectionBroken(name, f"Connection {name} shows no records. Nothing was read.")
    examined = changed = 0
    stumbles: list[ConnectorStumbled] = []
    apart = Apart()
    for kind in ("order", "line"):
        inward, outward = channel.mapping(f"{kind}_observation", "in"), channel.mapping(kind, "out")
        if inward is None or outward is None:
            continue
        with session.database.transaction() as cur:
            live = attempts.live(cur, name, kind)
        for start in range(0, len(live), CHUNK):
            chunk = {vendor_id: (entity_id, facet) for entity_id, facet, vendor_id in live[start : start + CHUNK]}
            seen, failed = shown_apart(session, channel, connector, outward.record, list(chunk), apart)
            stumbles += failed.values()
            now, business = session.machine.now(), session.business.now()
            with session.database.transaction() as cur:
                entity_ids = [entity_id for entity_id, _ in chunk.values()]
                stored = entities.many(cur, EntityKind(kind), entity_ids)
                last = journal.last_observed(cur, name, kind, entity_ids)
                news: list[Entry] = []
                stale: set[str] = set()
                for vendor_id, native in seen.items():
                    if vendor_id not in chunk:
                        continue
                    entity_id, facet = chunk[vendor_id]
                    examined += 1
                    try:
                        model = inward.to_canonical(native, name)
                    except Problems as problems:
                        news.append(
                            Entry(name, f"{kind} {vendor_id} not understood", str(problems), None, kind, entity_id)
                        )
                        continue
                    status, observed = _status(model), model.canonical_bytes()
                    before = last.get((entity_id, facet))
                    if before is not None and before[1] == observed:
                        continue
                    journal.observe(
                        cur,
                        connection=name,
                        kind=kind,
                        entity_id=entity_id,
                        facet=facet,
                        observed=observed,
                        status=status,
                        archived=bool(getattr(model, "archived", False)),
                        now=business,
                    )
                    changed += 1
                    entity = stored.get(entity_id)
                    order_id = None if entity is None else entity.id if kind == "order" else entity.order_id
                    if order_id is not None:
                        stale.add(order_id)
                    if before is None or status != before[0]:
                        news.append(Entry(name, f"{kind} is {status}", f"id {vendor_id}", order_id, kind, entity_id))
                journal.write(cur, news, now, business)
                journal.mark_stale(cur, stale)
    projection.refresh(session)
    if stumbles:
        raise stumbles[0]
    return ObserveSummary(connection=name, examined=examined, changed=changed)


def _status(model: object) -> str:
    if isinstance(model, LineObservation):
        return str(model.status)
    if isinstance(model, OrderObservation):
        return "archived" if model.archived else "approved" if model.approved else "not approved"
    raise TypeError(f"{type(model).__name__} is no observation")

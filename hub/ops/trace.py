"""Trace: every change, attempt, evidence and mirror of one order, found by any of its ids."""

from __future__ import annotations

from hub.ops.resync import find_order
from hub.results import TraceEvent, TraceResult
from hub.session import Session
from hub.store import attempts, changes, entities, journal, lane_standing, lanes, parking
from hub.sync import projection
from oms_schema.ids import EntityKind


def trace(session: Session, text: str) -> TraceResult:
    """Everything known about the order that `text` names: canonical, source's or vendor's id, name, number, line id.

    Raises NotFound when nothing or more than one order answers to it.
    """
    with session.database.transaction() as cur:
        order_id = find_order(cur, text)
        stored = entities.get(cur, EntityKind.ORDER, order_id)
        lines = entities.lines_of(cur, [order_id])
        names = {line.id: line.name for line in lines}
        view = next(iter(projection.views(session, cur, [order_id])), None)
        ids = [order_id, *names]
        events: list[TraceEvent] = []
        for received, connection, stream, native_id, verdict, version, entity_id in changes.of_entity(cur, ids):
            what = f"change {verdict}" + (f" as version {version}" if version else "")
            events.append(
                TraceEvent(received, connection, names.get(entity_id, "order"), what, f"{stream} {native_id}")
            )
        for at, place, about, about_id, what, detail in journal.of_orders(cur, [order_id]):
            if "accepted as version" not in what:
                events.append(TraceEvent(at, place, names.get(about_id or "", about or "order"), what, detail))
        for row in attempts.of_order(cur, [order_id]):
            invoked, finished, place_sent, lane_kind, lane_entity, facet, operation, action, version = row[:9]
            outcome, code, message, written_id = row[9:]
            subject = names.get(lane_entity, lane_kind if facet in {"", "1"} else f"{lane_kind} {facet}")
            events.append(TraceEvent(invoked, place_sent, subject, f"{action or operation} version {version} sent", ""))
            if finished is not None:
                detail = " ".join(part for part in (code, message, f"id {written_id}" if written_id else None) if part)
                events.append(TraceEvent(finished, place_sent, subject, f"answer: {outcome}", detail))
        for item in parking.of_orders(cur, [order_id]):
            _, kind, entity, reason, problem, _, sentence, owner, opened, resolved, resolution, connection = item
            subject = names.get(str(entity), str(kind))
            events.append(
                TraceEvent(opened, connection, subject, f"parked ({reason}), {owner} acts", f"{problem}: {sentence}")
            )
            if resolved is not None:
                events.append(TraceEvent(resolved, connection, subject, f"no longer parked: {resolution}", problem))
        systems: dict[str, dict[str, int]] = {}
        for _, connection, _, _, _, state, in_sync, _ in lane_standing.states_of_orders(cur, [order_id]):
            word = (
                "in sync"
                if in_sync and state == lanes.READY
                else "pending"
                if state == lanes.READY
                else state.replace("_", " ")
            )
            counted = systems.setdefault(connection, {})
            counted[word] = counted.get(word, 0) + 1
        vendor_ids = [
            (connection, f"{kind} {facet}" if facet not in {"", "1"} else names.get(entity_id, kind), vendor_id)
            for _, connection, kind, entity_id, facet, vendor_id in attempts.of_orders(cur, [order_id])
        ]
    shown = None if view is None else projection.project_order(view)
    return TraceResult(
        order_id=order_id,
        name="" if stored is None else stored.name,
        version=0 if stored is None else stored.version,
        sentence="" if shown is None else shown.sentence,
        next_step="" if shown is None else shown.next_step_owner,
        systems=[
            (name, ", ".join(f"{count} {word}" for word, count in sorted(counted.items())))
            for name, counted in sorted(systems.items())
        ],
        vendor_ids=vendor_ids,
        events=sorted(events, key=lambda event: event.at),
    )

"""Drift: the plan against what vendors show, while nothing is under way. Who owns an edited field decides what follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from connectors.base import ComparesRecords, ObservesRecords
from hub.config import DriftPolicy
from hub.encoding import decode
from hub.errors import ConnectionBroken, ConnectorStumbled
from hub.results import DriftDefect, DriftItem, DriftResult
from hub.session import Channel, Session
from hub.store import acceptances, journal, lane_moves
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import Lane
from hub.sync import projection
from hub.sync.conflicts import Edit, conflict_problems, edits
from hub.sync.outcomes import tell_parked
from hub.sync.stumbles import Apart, shown_apart, title
from hub.sync.targets import STAGES
from hub.sync.vendor import caught
from mappings.mapping import Mapping
from oms_schema.problems import shown

CHUNK = 200


def drift(session: Session, name: str) -> DriftResult:
    """Compare every record that should be as acknowledged with what it shows now, and do what the policies say.

    `propose`: the lane is parked as a conflict; `owner_wins`: it is due again and written anew; `ignore`: nothing.
    A record over which the connector stumbles is told of, and nothing is done about it. Raises ConnectionBroken,
    VendorUnavailable, NotFound; what was found until then is kept.
    """
    channel = session.channel(name)
    connector = channel.connector
    if not isinstance(connector, ComparesRecords) or not isinstance(connector, ObservesRecords):
        raise ConnectionBroken(name, f"Connection {name} cannot be compared. Nothing was read. Choose another one.")
    examined = 0
    items: list[DriftItem] = []
    defects: list[DriftDefect] = []
    apart = Apart()
    for kind in sorted(STAGES, key=lambda kind: STAGES[kind]):
        mapping = channel.mapping(kind, "out")
        if mapping is None:
            continue
        after = 0
        while True:
            with session.database.transaction() as cur:
                lanes = acceptances.at_rest(cur, name, kind, after, CHUNK)
                accepted = acceptances.of_lanes(cur, [lane.id for lane in lanes])
            if not lanes:
                break
            after = lanes[-1].id
            ids = [str(lane.vendor_id) for lane in lanes]
            present, stumbles = shown_apart(session, channel, connector, mapping.record, ids, apart)
            for lane in lanes:
                if (stumble := stumbles.get(str(lane.vendor_id))) is not None:
                    defects.append(_defect(session, mapping, lane, stumble))
                    continue
                native = present.get(str(lane.vendor_id))
                if native is None or lane.acked_payload is None:
                    continue  # a census finds what is gone
                wanted, kept = decode(lane.acked_payload), accepted.get(lane.id, {})
                compare = partial(edits, channel, connector, kind, mapping, wanted, native, kept)
                try:
                    found = caught(channel, "compare", compare)
                except ConnectorStumbled as stumbled:
                    defects.append(_defect(session, mapping, lane, stumbled))
                    continue
                examined += 1
                if found:
                    items += _decide(session, channel, mapping, lane, found)
    projection.refresh(session)
    return DriftResult(name, examined, tuple(items), tuple(defects))


def _decide(session: Session, channel: Channel, mapping: Mapping, lane: Lane, found: Sequence[Edit]) -> list[DriftItem]:
    """Park the lane, or make it due again. One that moved meanwhile is left to its worker."""
    proposed = [edit for edit in found if edit.policy is DriftPolicy.PROPOSE]
    with session.database.transaction() as cur:
        name = title(cur, lane)
        if proposed:
            moved = lane_moves.hold_back(cur, [lane.id])
            if moved:
                problems = conflict_problems(channel, mapping.record, lane.vendor_id, name, proposed)
                tell_parked(session, cur, channel, lane, name, problems)
        else:
            moved = lane_moves.disavow(cur, [lane.id])
            if moved:
                _tell(session, cur, channel, lane, found)
    if not moved:
        return []
    done = "parked" if proposed else "written again"
    return [
        DriftItem(
            kind=lane.kind,
            entity_id=lane.entity_id,
            facet=lane.facet,
            record=mapping.record,
            vendor_id=str(lane.vendor_id),
            name=name,
            path=edit.path,
            wanted=edit.wanted,
            present=edit.present,
            done=done if not proposed or edit in proposed else "waits with it",
        )
        for edit in found
    ]


def _defect(session: Session, mapping: Mapping, lane: Lane, stumble: ConnectorStumbled) -> DriftDefect:
    with session.database.transaction() as cur:
        name = title(cur, lane)
    return DriftDefect(
        lane.kind, lane.entity_id, lane.facet, mapping.record, str(lane.vendor_id), name, f"Not compared. {stumble}"
    )


def _tell(session: Session, cur: Cursor, channel: Channel, lane: Lane, found: Sequence[Edit]) -> None:
    if lane.kind.endswith("_projection"):
        return
    entries = [
        Entry(
            channel.name,
            "foreign edit is overwritten",
            f"{edit.path}: {shown(edit.present, 100)}; its owner wins",
            lane.order_id or None,
            lane.kind,
            lane.entity_id,
        )
        for edit in found
    ]
    journal.write(cur, entries, session.machine.now(), session.business.now())
    if lane.order_id:
        journal.mark_stale(cur, [lane.order_id])

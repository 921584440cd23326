"""Accept: a person keeps what somebody set at the vendor, until our own value of that field changes."""

from __future__ import annotations

from connectors.base import ComparesRecords, ObservesRecords
from hub.encoding import decode, encode
from hub.errors import Refused
from hub.ops.people import who, why
from hub.ops.resync import find_order
from hub.results import AcceptResult
from hub.session import Session
from hub.store import acceptances, journal, lanes, parking
from hub.store.acceptances import Accepted
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.store.lanes import Lane
from hub.sync.conflicts import FOREIGN_EDIT, edits
from hub.sync.vendor import ask
from oms_schema.problems import shown


def accept(session: Session, text: str, *, by: str | None, note_text: str | None) -> AcceptResult:
    """Keep the vendor's values of everything of an order that is parked as a conflict.

    What is accepted is what the person was shown: it is looked at again, and refused if it moved. The hub goes on with the
    other fields, and with these as soon as the order's own value changes. Raises NotFound, Refused, VendorUnavailable.
    """
    actor, reason = who(by), why(note_text)
    with session.database.transaction() as cur:
        order_id = find_order(cur, text)
        waiting = acceptances.in_conflict(cur, order_id)
    if not waiting:
        raise Refused(
            f"Nothing of {order_id} is in conflict. Nothing was accepted. `orderhub trace` tells where it stands."
        )
    values = {lane.id: _present(session, lane) for lane in waiting}
    with session.database.acting(actor), session.database.transaction() as cur:
        now = session.machine.now()
        locked = {lane.id: lane for lane in acceptances.in_conflict(cur, order_id)}
        fields = 0
        for lane in waiting:
            if lane.id not in locked:
                continue  # somebody was faster
            shown_before = _shown_before(cur, lane)
            accepted = values[lane.id]
            moved = [path for path, value in accepted.seen.items() if shown_before.get(path, value) != value]
            moved += [path for path in shown_before if path not in accepted.seen]
            if moved:
                raise Refused(
                    f"{', '.join(sorted(moved))} of {lane.entity_id} moved at {lane.connection} since it was parked. Nothing was "
                    f"accepted. Run `orderhub drift {lane.connection}` and look again."
                )
            acceptances.accept(cur, lane.id, accepted.fields, actor, now)
            fields += len(accepted.fields)
            lanes.wake(cur, [lane.id], now, f"accepted by {actor}")
            parking.resolve(cur, now, f"accepted by {actor}", subject=lanes.subject(lane.id))
            note(
                cur, f"{lane.kind}:{lane.entity_id}", "accept", connection=lane.connection, fields=sorted(accepted.seen)
            )
        journal.mark_stale(cur, [order_id])
        journal.write(
            cur,
            [Entry("hub", f"vendor's values accepted by {actor}", reason, order_id, "order", order_id)],
            now,
            session.business.now(),
        )
    return AcceptResult(order_id, len(waiting), fields)


class _Seen:
    """What a record shows now: per path as a person reads it, per field as it is kept."""

    def __init__(self, seen: dict[str, str], fields: list[Accepted]) -> None:
        self.seen = seen
        self.fields = fields


def _present(session: Session, lane: Lane) -> _Seen:
    channel = session.channel(lane.connection)
    connector, mapping = channel.connector, channel.mapping(lane.kind, "out")
    if (
        mapping is None
        or lane.vendor_id is None
        or lane.acked_payload is None
        or not isinstance(connector, ComparesRecords)
        or not isinstance(connector, ObservesRecords)
    ):
        raise Refused(
            f"{lane.entity_id} at {lane.connection} cannot be compared any more. Nothing was accepted. Use `orderhub resync`."
        )
    vendor_id = lane.vendor_id
    native = ask(session, channel, "observe", lambda: connector.observe(mapping.record, [vendor_id])).get(vendor_id)
    if native is None:
        raise Refused(
            f"{mapping.record} {vendor_id} is gone from {channel.connector.title}. Nothing was accepted. A census parks it."
        )
    wanted = decode(lane.acked_payload)
    found = edits(channel, connector, lane.kind, mapping, wanted, native, {})
    fields = {
        edit.field: Accepted(edit.field, encode(wanted.get(edit.field)), encode(native.get(edit.field)))
        for edit in found
    }
    return _Seen({f"{mapping.record}.{edit.path}": shown(edit.present) for edit in found}, list(fields.values()))


def _shown_before(cur: Cursor, lane: Lane) -> dict[str, str]:
    """The values that the parked items showed, by path."""
    selection = parking.Selection(code=FOREIGN_EDIT, connection=lane.connection)
    return {item.path: item.value for item in parking.items(cur, selection) if item.lane_id == lane.id}

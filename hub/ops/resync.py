"""Resync: everything of one order is sent anew from its canonical state, even what vendors are believed to have."""

from __future__ import annotations

from hub.errors import NotFound, Refused
from hub.ops.people import who, why
from hub.results import ResyncResult
from hub.session import Session
from hub.store import changes, entities, guarding, journal, lanes, parking
from hub.store.audit import note
from hub.store.database import Cursor
from hub.store.journal import Entry
from hub.sync import targets
from oms_schema.problems import Reason

NEEDS_ANSWER = frozenset({Reason.AMBIGUOUS, Reason.DUPLICATE})
"""Sending these anew could make a second object at the vendor; a person answers first."""


def find_order(cur: Cursor, text: str) -> str:
    """The one order that an id, number or name leads to. Raises NotFound for none or several."""
    found = entities.find_order_ids(cur, text.strip())
    if not found:
        raise NotFound(
            f"No order answers to {text!r}. Try its canonical id, its id at the CRM or ad server, or its name."
        )
    if len(found) > 1:
        raise NotFound(f"{len(found)} orders answer to {text!r}: {', '.join(found)}. Use one of these ids.")
    return found[0]


def resync(session: Session, text: str, *, by: str | None, note_text: str | None) -> ResyncResult:
    """Send all lanes of an order, its lines and its parties anew. Raises NotFound, and Refused when it has none.

    What is being sent or looked up right now is left to end; what waits for an answer (`ambiguous`, `duplicate`) stays parked.
    Where the configuration no longer names a connection, nothing could be sent: what is there keeps its state.
    """
    actor, reason = who(by), why(note_text)
    now = session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        changes.one_at_a_time(cur)
        order_id = find_order(cur, text)
        targets.touch(session, cur, [order_id])
        about = [item for item in parking.items(cur, parking.Selection(subject=order_id)) if item.lane_id is not None]
        about += parking.of_parties(cur, order_id)
        left = {item.lane_id: item for item in about if item.reason in NEEDS_ANSWER and session.known(item.connection)}
        leave = [lane_id for lane_id in left if lane_id is not None]
        renewed = lanes.renew(cur, order_id, now, connections=session.names, leave=leave)
        elsewhere = lanes.elsewhere(cur, order_id, session.names)
        if not renewed and not left:
            if elsewhere:
                raise Refused(
                    f"The order {order_id} has records only at {', '.join(elsewhere)}, which the configuration no longer "
                    "names. Nothing is sent. Whoever took it out puts it back."
                )
            raise Refused(
                f"The order {order_id} has nothing at any connection. Nothing is sent. `orderhub trace` tells why."
            )
        # Somebody asked for exactly this by name: the guard against large plans has nothing to add.
        guarding.allow(cur, f"resync {order_id} {now.isoformat()}", renewed, actor, now)
        for lane_id in renewed:
            parking.resolve(cur, now, f"resync by {actor}", subject=lanes.subject(lane_id))
        journal.mark_stale(cur, [order_id])
        note(cur, f"order:{order_id}", "resync", note=reason, lanes=len(renewed))
        journal.write(
            cur,
            [Entry("hub", f"resync asked by {actor}", reason, order_id, "order", order_id)],
            now,
            session.business.now(),
        )
    return ResyncResult(order_id, len(renewed), [item.sentence for item in left.values()], elsewhere)

"""Approve: a person lets exactly one held plan go."""

from __future__ import annotations

from hub.errors import NotFound, PlanMoved, Refused
from hub.ops.people import who, why
from hub.results import ApprovalResult
from hub.session import Session
from hub.store import guarding, journal, lanes, parking
from hub.store.audit import note
from hub.store.journal import Entry

SHORTEST = 6
"""Digits of a hash that name a plan at least."""


def approve_plan(session: Session, plan_hash: str, *, by: str | None, note_text: str | None) -> ApprovalResult:
    """Let a held plan go as it was held. Raises NotFound, PlanMoved when a record of it changed since, Refused without a name."""
    if by is None or not by.strip():
        raise Refused("An approval needs a name. Nothing was approved. Give one with --by.")
    actor, reason = who(by), why(note_text)
    now = session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        found = guarding.find(cur, plan_hash.strip(), lock=True) if len(plan_hash.strip()) >= SHORTEST else []
        if len(found) != 1:
            raise NotFound(
                f"{len(found) or 'No'} plans answer to {plan_hash!r}. Nothing was approved. `orderhub parked` shows the hash."
            )
        (plan,) = found
        if plan.state == guarding.APPROVED:
            return ApprovalResult(plan.hash, plan.connection, plan.records, plan.decided_by or "", already=True)
        standing, moved = guarding.lanes_of(cur, plan.hash)
        if plan.state != guarding.OPEN or moved:
            raise PlanMoved(
                f"{moved or 'Some'} of {plan.records:,} records of plan {plan.hash} changed since it was held. Nothing was "
                f"approved. The next push at {plan.connection} makes a new plan; look at `orderhub parked` then."
            )
        guarding.decide(cur, plan.hash, guarding.APPROVED, actor, now)
        for lane_id in lanes.wake(cur, standing, now, f"approved by {actor}"):
            parking.resolve(cur, now, f"approved by {actor}", subject=lanes.subject(lane_id))
        parking.resolve(cur, now, f"approved by {actor}", subject=f"plan:{plan.hash}")
        orders = sorted({lane.order_id for lane in lanes.by_ids(cur, standing) if lane.order_id})
        journal.mark_stale(cur, orders)
        note(cur, f"plan:{plan.hash}", "approve", connection=plan.connection, records=plan.records, note=reason)
        journal.write(
            cur,
            [
                Entry(
                    plan.connection,
                    f"plan of {plan.records:,} records approved by {actor}",
                    f"{plan.hash} {reason}".strip(),
                )
            ],
            now,
            session.business.now(),
        )
    return ApprovalResult(plan.hash, plan.connection, plan.records, actor)

"""What people enter beside the counts: an override, a manual count, a settlement, the day until which a cancelled value is owed.

Each counts once somebody else approved it.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from hub.billing import withdrawing
from hub.billing.answers import Entered
from hub.billing.cases import CANCELLATION, MANUAL_COUNT, OVERRIDE, SETTLEMENT
from hub.billing.preparing import named
from hub.billing.rules import Outcome
from hub.encoding import decode, encode
from hub.errors import NotFound, Refused
from hub.ops.people import why
from hub.session import Session
from hub.store import billing_counts, billing_periods, report_facts
from hub.store.database import Cursor
from oms_schema.delivery import BillingPeriod
from oms_schema.person import same_person

KINDS = (OVERRIDE, MANUAL_COUNT, SETTLEMENT, CANCELLATION)
LARGEST = 2**63 - 1
"""The largest count that the store holds."""


def enter(
    session: Session,
    line: str,
    period: BillingPeriod,
    kind: str,
    *,
    quantity: int | None,
    reason: str,
    outcome: str | None = None,
    ends_on: date | None = None,
    by: str | None,
) -> Entered:
    """Enter a quantity, a settlement or a cancellation for one line-period; it changes nothing before its approval.

    `ends_on` is the first day that a cancelled line is not owed any more. Raises Refused, NotFound.
    """
    actor, said = named(by, "An entry"), why(reason)
    if kind == CANCELLATION:
        body = _cancellation(period, quantity, said, outcome, ends_on)
    elif ends_on is not None:
        raise Refused("Only a cancellation has a day on which it ends. Nothing was done.")
    else:
        body = _body(kind, quantity, said, outcome)
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        line_id = the_line(cur, line)
        number = billing_periods.add_input(cur, line_id, period.start, kind, encode(body), actor, session.machine.now())
    return Entered(number, line_id, period.label, kind, actor, None, body)


def confirm(session: Session, number: int, by: str | None) -> Entered:
    """Approve what somebody else entered; a withdrawal is carried out at once. Raises NotFound, Refused, VendorUnavailable."""
    actor = named(by, "An approval")
    with session.database.transaction() as cur:
        found = billing_periods.one_input(cur, number)
    if found is not None and found.kind == withdrawing.WITHDRAWAL and found.approved_by is None:
        # Before the lock: the ERP is asked over the network.
        withdrawing.look_up(session, found)
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        found = billing_periods.one_input(cur, number)
        if found is None:
            raise NotFound(f"Nothing was entered under number {number}. Nothing was approved.")
        if found.approved_by is not None:
            raise Refused(f"Entry {number} was approved by {found.approved_by} already. Nothing was approved twice.")
        if same_person(found.entered_by, actor):
            raise Refused(f"{actor} entered number {number}. It was not approved. Somebody else approves it.")
        if found.kind == withdrawing.WITHDRAWAL:
            withdrawing.withdraw(session, cur, found, actor)
        billing_periods.approve_input(cur, found, actor, session.machine.now())
    period = BillingPeriod.month(found.period_start.year, found.period_start.month)
    return Entered(number, found.line_id, period.label, found.kind, found.entered_by, actor, decode(found.body))


def the_line(cur: Cursor, text: str) -> str:
    """The line that any of its ids names. Raises NotFound when none or several do."""
    found = report_facts.lines_named(cur, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"No line answers to {text!r}. Nothing was done. `orderhub trace` of its order shows its ids.")
    raise NotFound(
        f"{len(found)} lines answer to {text!r}: {', '.join(found[:5])}. Nothing was done. Name one by its id."
    )


def _cancellation(
    period: BillingPeriod, quantity: int | None, reason: str, outcome: str | None, ends_on: date | None
) -> dict[str, Any]:
    if not reason:
        raise Refused("An entry needs a reason or its evidence. Nothing was done. Give it with --reason.")
    if quantity is not None or outcome is not None:
        raise Refused("A cancellation has neither a quantity nor an outcome. Nothing was done.")
    if ends_on is None or not period.start <= ends_on <= period.end:
        raise Refused(
            f"A cancellation names the first day that is not owed, in {period.label} or the day after it. Nothing was done. "
            "Give it with --ends-on."
        )
    return {"reason": reason, "ends_on": ends_on.isoformat()}


def _body(kind: str, quantity: int | None, reason: str, outcome: str | None) -> dict[str, Any]:
    if kind not in KINDS:
        raise Refused(f"{kind!r} cannot be entered. Nothing was done. Enter one of: {', '.join(KINDS)}.")
    if not reason:
        raise Refused("An entry needs a reason or its evidence. Nothing was done. Give it with --reason.")
    if quantity is not None and not 0 <= quantity <= LARGEST:
        raise Refused(f"{quantity} is no quantity. Nothing was done. Enter a count from 0 on.")
    body: dict[str, Any] = {"reason": reason}
    if kind == SETTLEMENT:
        outcomes = [str(one) for one in Outcome]
        if outcome not in outcomes:
            raise Refused(
                f"A settlement has an outcome: {', '.join(outcomes)}. Nothing was done. Give it with --outcome."
            )
        if (outcome == Outcome.AGREED) != (quantity is not None):
            raise Refused("An agreed outcome states its quantity, and no other one does. Nothing was done.")
        body["outcome"] = outcome
    elif quantity is None:
        raise Refused("A count has a quantity. Nothing was done. Give it with --quantity.")
    elif outcome is not None:
        raise Refused("Only a settlement has an outcome. Nothing was done.")
    if quantity is not None:
        body["quantity"] = quantity
    return body

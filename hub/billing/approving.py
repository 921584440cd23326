"""Approve: somebody other than the preparer lets exactly the figures go that were reviewed."""

from __future__ import annotations

from dataclasses import replace

from hub.billing import review
from hub.billing.answers import BillingApproval
from hub.billing.moving import approval_facts, moved
from hub.billing.preparing import named
from hub.errors import PlanMoved, Refused
from hub.session import Session
from hub.store import billing_counts, billing_documents, billing_periods
from hub.store.audit import note
from hub.store.billing_documents import DocumentState
from hub.store.database import Cursor
from oms_schema.delivery import BillingPeriod
from oms_schema.person import same_person
from oms_schema.status import BillingStatus


def approve(session: Session, period: BillingPeriod, review_hash: str, by: str | None) -> BillingApproval:
    """Approve what the hash names. Raises PlanMoved when figures changed since, Refused when it must not or need not be."""
    actor = named(by, "An approval")
    now = session.machine.now()
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        up = review.content(cur, period, lock=True)
        _check(cur, period, review_hash.strip(), up, actor)
        approved = []
        for one in up.periods:
            bound = replace(one, approved_by=actor, approved_hash=one.content_hash, approved_at=now)
            approved.append(moved(cur, bound, BillingStatus.APPROVED, approval_facts(bound, actor), by=actor))
        billing_periods.put(cur, approved)
        for document in up.documents:
            billing_documents.set_state(cur, document, DocumentState.APPROVED, approved_by=actor)
        billing_periods.add_approval(cur, up.hash, period.start, actor, now, len(approved), len(up.documents))
    return BillingApproval(period.label, up.hash, actor, len(approved), len(up.documents))


def _check(cur: Cursor, period: BillingPeriod, wanted: str, up: review.Content, actor: str) -> None:
    # Figures that changed and changed back have a hash that was approved before, and are approved once more.
    earlier = billing_periods.approval(cur, wanted) if wanted and wanted != up.hash else None
    if earlier is not None:
        raise Refused(
            f"These figures of {period.label} were approved by {earlier[0]} already. Nothing was approved twice. Nobody needs "
            "to act; `orderhub bill close` goes on."
        )
    if not up.hash:
        raise Refused(f"Nothing of {period.label} waits for approval. Nothing was done. Prepare it first.")
    if wanted != up.hash:
        raise PlanMoved(
            f"The figures of {period.label} are not those of review {wanted or '(none given)'} any more. Nothing was approved. "
            f"Look at them with `orderhub bill review --period {period.label}` and approve {up.hash}."
        )
    own = {one.prepared_by for one in up.periods} | {one.prepared_by for one in up.documents}
    if any(name is not None and same_person(name, actor) for name in own):
        raise Refused(
            f"{actor} prepared some of these figures. Nothing of {period.label} was approved. Somebody else approves "
            f"{up.hash}."
        )


def dispute(session: Session, line_id: str, period: BillingPeriod, reason: str, by: str | None) -> None:
    """Somebody objects to figures in review: nothing of them is invoiced until it is settled. Raises Refused."""
    actor = named(by, "An objection")
    said = reason.strip()
    if not said:
        raise Refused("An objection needs a reason. Nothing was done. Give one with --reason.")
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        found = next(iter(billing_periods.of_lines(cur, [line_id], period.start, lock=True)), None)
        if found is None or found.status is not BillingStatus.IN_REVIEW:
            stands = "is not calculated" if found is None else f"is {found.status}"
            raise Refused(
                f"Line {line_id} in {period.label} {stands}, and only figures in review can be disputed. Nothing was done. "
                "After the lock a correction is a credit memo."
            )
        objected = replace(found, dispute=f"{said} ({actor})")
        facts = replace(approval_facts(objected, actor), dispute=objected.dispute)
        billing_periods.put(cur, [moved(cur, objected, BillingStatus.DISPUTED, facts, reason=said)])


def resolve(session: Session, line_id: str, period: BillingPeriod, resolution: str, by: str | None) -> None:
    """An objection was settled without other figures: back into review. Raises Refused."""
    actor = named(by, "A resolution")
    said = resolution.strip()
    if not said:
        raise Refused("A resolution says how the objection was settled. Nothing was done. Give it with --reason.")
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        found = next(iter(billing_periods.of_lines(cur, [line_id], period.start, lock=True)), None)
        if found is None or found.status is not BillingStatus.DISPUTED or found.problem_code:
            raise Refused(
                f"No objection of a person is open for line {line_id} in {period.label}. Nothing was done. A variance between "
                "two counts is settled with `orderhub bill enter settlement`."
            )
        facts = replace(approval_facts(found, actor), dispute=found.dispute, resolution=said)
        note(cur, found.subject, "billing dispute resolved", resolution=said)
        settled = replace(found, dispute=None)
        billing_periods.put(cur, [moved(cur, settled, BillingStatus.IN_REVIEW, facts, resolution=said)])

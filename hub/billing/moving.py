"""One line-period on its way: every move goes through the machine's guards and into the audit chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from hub.billing.rules import Billable, Blocked, Flag, LinePeriodCase
from hub.store.audit import note
from hub.store.billing_periods import StoredPeriod
from hub.store.database import Cursor
from oms_schema.billing_terms import BillingSchedule
from oms_schema.machines import BILLING, BillingFacts
from oms_schema.status import BillingStatus as S


def moved(cur: Cursor, one: StoredPeriod, target: S, facts: BillingFacts, **detail: object) -> StoredPeriod:
    """The line-period after the shortest legal way to `target`. Raises IllegalMove; nothing is written but the event."""
    steps = BILLING.path(one.status, target, facts)
    if not steps:
        return one
    note(
        cur,
        one.subject,
        "billing moved",
        source=str(one.status),
        steps=[str(step.target) for step in steps],
        content=one.content_hash,
        **detail,
    )
    return replace(one, status=target)


def calculated(
    cur: Cursor,
    one: StoredPeriod,
    case: LinePeriodCase,
    result: Billable | Blocked,
    news_hash: str,
    by: str,
    now: datetime,
) -> StoredPeriod | None:
    """The line-period with a new calculation, as far on its way as it leads; None when nothing is new.

    A billable result goes into review, a variance into dispute; whatever else blocks leaves it waiting. Figures that were in
    review or approved go through review again. What a person objects to stays disputed until a person resolves it, whatever
    the numbers say by then.
    """
    content = result.content_hash()
    if one.content_hash == content:
        return None
    blocked = result if isinstance(result, Blocked) else None
    problem = None if blocked is None else blocked.problems[0]
    dispute = one.dispute if one.dispute and one.dispute != one.problem else None
    if dispute is None and problem is not None and blocked is not None and blocked.disputed:
        dispute = problem.sentence
    facts = BillingFacts(
        # A prepaid line is due when its period begins.
        period_ended=case.period_over or case.terms.schedule is BillingSchedule.PREPAID,
        final=blocked is None or blocked.disputed,
        fallback_agreed=Flag.FALLBACK in result.flags,
        content_hash=content,
        calculated_hash=one.content_hash or None,
        prepared_by=by,
        dispute=dispute,
    )
    known = one.status
    news = replace(
        one,
        inputs=case.canonical_bytes(),
        result=result.canonical_bytes(),
        content_hash=content,
        news_hash=news_hash,
        problem_code="" if problem is None else problem.code,
        problem="" if problem is None else problem.sentence,
        quantity=result.quantity if isinstance(result, Billable) else None,
        amounts=result.amounts if isinstance(result, Billable) else None,
        prepared_by=by,
        prepared_at=now,
        approved_by=None,
        approved_hash=None,
        approved_at=None,
        dispute=dispute,
    )
    if known in (S.IN_REVIEW, S.DISPUTED, S.APPROVED):
        news = moved(cur, news, S.CALCULATED, facts)
    if blocked is None and dispute is None:
        return moved(cur, news, S.IN_REVIEW, facts)
    if blocked is None or blocked.disputed:
        return moved(cur, news, S.DISPUTED, facts)
    if news.status is S.OPEN and case.period_over:
        return moved(cur, news, S.AWAITING_FINAL, facts)
    return news


def approval_facts(one: StoredPeriod, by: str) -> BillingFacts:
    """What the guards of an approval and of the lock look at."""
    return BillingFacts(
        content_hash=one.content_hash,
        calculated_hash=one.content_hash,
        prepared_by=one.prepared_by,
        approved_by=by,
        approved_hash=one.content_hash if one.approved_hash is None else one.approved_hash,
    )

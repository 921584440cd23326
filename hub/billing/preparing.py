"""Prepare: calculate every line-period of a month that is not locked, and propose adjustments of what is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from hub.billing import cases, restating, review
from hub.billing.answers import BlockedPeriod, PreparedSummary
from hub.billing.cases import LineFile
from hub.billing.moving import calculated
from hub.billing.rules import CURRENT, Billable, Blocked, LinePeriodCase, calculate
from hub.errors import Refused
from hub.ops.people import who
from hub.session import Session
from hub.store import billing_counts, billing_periods
from hub.store.billing_periods import StoredPeriod
from hub.store.database import Cursor
from oms_schema.delivery import BillingPeriod
from oms_schema.problems import Problem, Reason
from oms_schema.status import CommercialStatus

BILLABLE_ORDERS = (
    CommercialStatus.BOOKED,
    CommercialStatus.ON_HOLD,
    CommercialStatus.COMPLETED,
    CommercialStatus.CLOSED,
    CommercialStatus.CANCELLED,
)
"""Orders whose delivery is owed; of a cancelled one, what was delivered before."""

CONTRADICTION = "CONTRACT-CONTRADICTS"
NOT_OWED = "NOT-OWED"

CHUNK = 400
"""Lines in one transaction, orders whole."""


def month(text: str) -> BillingPeriod:
    """`2026-02` as a billing period. Raises Refused for anything else."""
    year, dash, number = text.strip().partition("-")
    if dash and len(year) == 4 and len(number) == 2 and (year + number).isascii() and (year + number).isdigit():
        try:
            return BillingPeriod.month(int(year), int(number))
        except ValueError:
            pass  # said below: there is no such month
    raise Refused(f"{text!r} is no billing period. Nothing was done. Write a month as YYYY-MM, for instance 2026-02.")


def named(by: str | None, what: str) -> str:
    """The person who acts. Raises Refused without a name: the hub answers for no figures."""
    if by is None or not by.strip():
        raise Refused(f"{what} needs a name. Nothing was done. Give one with --by (`bill close`: --prepared-by).")
    return who(by)


def prepare(session: Session, period: BillingPeriod, by: str | None) -> PreparedSummary:
    """Calculate what is not locked, propose adjustments of what is. Unchanged figures write nothing. Raises Refused."""
    actor = named(by, "A preparation")
    changed = lines = proposed = withdrawn = 0
    blocked: list[BlockedPeriod] = []
    with session.database.transaction() as cur:
        parts = list(chunks(cur, period))
    for chunk in parts:
        with session.database.acting(actor), session.database.transaction() as cur:
            billing_counts.one_at_a_time(cur)
            known = cases.files(session, cur, chunk, period)
            news: list[StoredPeriod] = []
            for file in known:
                done = _calculate(session, cur, file, period, actor, blocked)
                lines += done is not False
                if isinstance(done, StoredPeriod):
                    news.append(done)
            billing_periods.put(cur, news)
            changed += len(news)
            proposals = restating.propose(session, cur, known, period, actor)
        proposed += proposals.proposed
        withdrawn += proposals.withdrawn
        blocked += proposals.blocked
    with session.database.transaction() as cur:
        statuses = billing_periods.count_by_status(cur, period.start)
        up = review.content(cur, period)
    return PreparedSummary(
        period=period.label,
        prepared_by=actor,
        lines=lines,
        changed=changed,
        statuses=statuses,
        blocked=blocked,
        proposed=proposed,
        withdrawn=withdrawn,
        review_hash=up.hash,
    )


def chunks(cur: Cursor, period: BillingPeriod) -> Iterator[Sequence[str]]:
    """The lines that the period concerns, orders whole: those that run in it, or did when it was calculated, and those with
    anything locked up to it.

    A line that was moved after its bill keeps both orders in one chunk: a correction needs every line of its document.
    """
    found = billing_counts.billable_lines(cur, period.start, period.end, [str(s) for s in BILLABLE_ORDERS])
    known = {*billing_periods.lines_locked(cur, period.start), *billing_periods.lines_calculated(cur, period.start)}
    others = billing_counts.orders_of(cur, sorted(known - {line_id for _, line_id in found}))
    by_order: dict[str, set[str]] = {}
    for order_id, line_id in [*found, *others]:
        by_order.setdefault(order_id, set()).add(line_id)
    for before, after in billing_periods.moved_lines(cur, period.start):
        one, other = by_order.get(before, set()), by_order.get(after, set())
        if one is not other:
            one |= other
            for order_id in [known for known, lines in by_order.items() if lines is other] + [before, after]:
                by_order[order_id] = one
    chunk: list[str] = []
    given: set[str] = set()
    for order_id in sorted(by_order):
        chunk += sorted(by_order[order_id].difference(given))
        given |= by_order[order_id]
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _calculate(
    session: Session, cur: Cursor, file: LineFile, period: BillingPeriod, by: str, blocked: list[BlockedPeriod]
) -> StoredPeriod | bool:
    """The line-period with a new calculation; True when there is none; False when the line has nothing to do with the period."""
    known = file.periods.get(period.start)
    if known is not None and known.locked:
        return False
    if not file.concerns(period) or file.order.status not in BILLABLE_ORDERS:
        if known is None or known.inputs is None:
            return False
        news = _taken_back(cur, file, period, known, by, session.machine.now())
        return True if news is None else news
    if known is None and never_ran(file, period):
        return False
    try:
        case = cases.case(file, period, session.business.now())
    except ValueError as error:
        sentence = cases.contradiction(file, error)
        blocked.append(BlockedPeriod(file.line.id, file.order.id, CONTRADICTION, sentence))
        return True
    result = payable(file, case)
    if isinstance(result, Blocked):
        problem = result.problems[0]
        blocked.append(BlockedPeriod(file.line.id, file.order.id, problem.code, problem.sentence))
    one = known or StoredPeriod(
        line_id=file.line.id,
        period_start=period.start,
        period_end=period.end,
        order_id=file.order.id,
        currency=file.line.price.currency,
    )
    news = calculated(cur, one, case, result, cases.news_hash(case), by, session.machine.now())
    return True if news is None else news


def _taken_back(
    cur: Cursor, file: LineFile, period: BillingPeriod, known: StoredPeriod, by: str, now: datetime
) -> StoredPeriod | None:
    """The line-period without its figures, in review or approved: nothing is owed for it any more. None when it has none."""
    status = file.order.status
    booked = status in BILLABLE_ORDERS
    problem = Problem(
        code=NOT_OWED,
        reason=Reason.VENDOR_STATE,
        path="flight" if booked else "status",
        value="" if booked else status.value,
        happened=(
            f"The line does not run in {period.label} any more."
            if booked
            else f"The order is {status.value.replace('_', ' ')}."
        ),
        effect="What was calculated for the month is not billed.",
        fix="Nobody needs to act unless Sales finds the contract wrong at its source.",
        owner="Sales",
    )
    case = LinePeriodCase.from_bytes(known.inputs or b"")
    result = Blocked(
        line_id=case.line_id,
        order_id=case.order_id,
        period=case.period,
        problems=(problem,),
        steps=(),
        rules=CURRENT.version,
        inputs_hash=case.content_hash(),
    )
    return calculated(cur, known, case, result, known.news_hash, by, now)


def payable(file: LineFile, case: LinePeriodCase) -> Billable | Blocked:
    """What the rules say, unless nobody is known who would pay."""
    result = calculate(case)
    if file.bill_to is not None or isinstance(result, Blocked):
        return result
    problem = Problem(
        code="NO-BILL-TO",
        reason=Reason.REFERENCE_MISSING,
        path="parties",
        value="",
        happened="The order names neither a bill-to nor an advertiser.",
        effect="Nothing is billed for it.",
        fix="Sales names the advertiser at the source.",
        owner="Sales",
    )
    return Blocked(
        line_id=case.line_id,
        order_id=case.order_id,
        period=case.period,
        problems=(problem,),
        steps=result.steps,
        rules=CURRENT.version,
        inputs_hash=case.content_hash(),
    )


def never_ran(file: LineFile, period: BillingPeriod) -> bool:
    """Cancelled, and whole reports say that nothing ran, or people that it ended before: there is nothing to ask about.

    A fee for it is a contract of its own. Silence is no report: a month that nobody reported is asked about.
    """
    if not file.is_cancelled or file.inputs.get(period.start):
        return False
    told = file.counts.get(period, ())
    if any(one.as_of is not None for one in told):
        return False
    ended = file.ends_on is not None and file.ends_on <= period.start
    if told or file.by_value:
        return ended or (bool(told) and all(one.whole for one in told))
    return ended or period in file.covered

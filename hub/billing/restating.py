"""Restated after the lock: proposals that bring what was billed to what the numbers say now. A locked figure is never edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hub.billing import cases
from hub.billing.answers import BlockedPeriod
from hub.billing.cases import LineFile
from hub.billing.documents import Made, body_of, correction, correction_id, issue_date
from hub.billing.rules import Adjustment, Adjustments, LinePeriodCase, adjust
from hub.billing.rules.cost import BILLED_UNIT
from hub.errors import Refused
from hub.session import Session
from hub.store import billing_documents, billing_periods, entities
from hub.store.billing_documents import DocumentState, StoredDocument
from hub.store.billing_periods import StoredPeriod
from hub.store.database import Cursor
from oms_schema.delivery import BillingPeriod
from oms_schema.document import DocumentKind
from oms_schema.ids import EntityKind
from oms_schema.order import Order


@dataclass
class Proposals:
    """What was proposed and withdrawn, and what cannot be adjusted before somebody acts."""

    proposed: int = 0
    withdrawn: int = 0
    blocked: list[BlockedPeriod] = field(default_factory=list)


@dataclass
class _Wanted:
    """One correction of one document: its adjustments with their descriptions, and the cases they follow from."""

    adjustments: list[tuple[Adjustment, str]] = field(default_factory=list)
    cases: list[LinePeriodCase] = field(default_factory=list)


def propose(session: Session, cur: Cursor, files: Sequence[LineFile], until: BillingPeriod, by: str) -> Proposals:
    """Propose what the locked periods of these lines need; what newer numbers overtook is withdrawn. `files` hold orders whole.

    Raises Refused when a correction could be dated into no open accounting period.
    """
    found = Proposals()
    files_with = [one for one in files if one.positions]
    issued = sorted({document.document_id for one in files_with for document, _ in one.positions})
    known = billing_documents.corrections(cur, issued) if issued else []
    standing = [one for one in known if one.state is DocumentState.PROPOSED]
    touched = {line_id for one in standing for line_id, _ in billing_documents.lines_of(cur, one.document_id)}
    wanted: dict[tuple[str, DocumentKind], _Wanted] = defaultdict(_Wanted)
    settled: list[StoredPeriod] = []
    for file in files_with:
        _of_line(session, file, until, file.line.id in touched, wanted, settled, found)
    billing_periods.put(cur, settled)
    kept = set()
    for one in standing:
        key = (one.corrects or "", DocumentKind(one.kind))
        if key in wanted and _same(one, wanted[key]):
            kept.add(key)
        else:
            billing_documents.set_state(cur, one, DocumentState.WITHDRAWN)
            found.withdrawn += 1
    made = [_made(session, cur, key, need, known, by) for key, need in sorted(wanted.items()) if key not in kept]
    billing_documents.add(cur, [one.document for one in made], [p for one in made for p in one.positions])
    found.proposed += len(made)
    return found


def _of_line(
    session: Session,
    file: LineFile,
    until: BillingPeriod,
    proposed: bool,
    wanted: dict[tuple[str, DocumentKind], _Wanted],
    settled: list[StoredPeriod],
    found: Proposals,
) -> None:
    now = session.business.now()
    locked: list[tuple[StoredPeriod, LinePeriodCase]] = []
    news = proposed
    for cycle in file.cycles:
        stored = file.periods.get(cycle.start)
        if stored is None or not stored.locked or cycle.start > until.start:
            continue
        try:
            case = cases.case(file, cycle, now)
        except ValueError as error:
            sentence = cases.contradiction(file, error)
            found.blocked.append(BlockedPeriod(file.line.id, file.order.id, "CONTRACT-CONTRADICTS", sentence))
            return
        if not case.billed:
            continue
        locked.append((stored, case))
        news = news or cases.news_hash(case) != stored.news_hash
    if not locked or not (news or _out_of_turn(file)):
        return
    by_period = {case.period: (stored, case) for stored, case in locked}
    answer = adjust([case for _, case in locked])
    if not news and _only_traded(answer):
        return
    found.blocked += [
        BlockedPeriod(file.line.id, file.order.id, one.problems[0].code, one.problems[0].sentence, one.period.label)
        for one in answer.blocked
    ]
    for period in answer.unchanged:
        stored, case = by_period[period]
        if stored.news_hash != cases.news_hash(case):
            settled.append(replace(stored, news_hash=cases.news_hash(case)))
    touched: set[tuple[str, DocumentKind]] = set()
    for one in (*answer.credits, *answer.supplements):
        key = (one.corrects, DocumentKind(one.kind))
        wanted[key].adjustments.append((one, file.line.name))
        touched.add(key)
    for key in touched:
        # All billed periods of the line: each is corrected from the present numbers of all.
        wanted[key].cases += [case for _, case in locked]


def _out_of_turn(file: LineFile) -> bool:
    """Whether a month was billed after a later one, which left it room under the cap that it may not have needed."""
    billed = [
        (document.created_at, position.period_start)
        for document, position in file.positions
        if document.kind == DocumentKind.INVOICE and document.corrects is None
    ]
    return any(then < before for (_, before), (_, then) in pairwise(sorted(billed)))


def _only_traded(answer: Adjustments) -> bool:
    """Whether one month gives up what another gets: documents that say so month by month are of use to nobody.

    The same units may differ by a cent or two in money, each month being rounded by itself.
    """
    up, down = sum(one.quantity for one in answer.supplements), sum(one.quantity for one in answer.credits)
    if up and up == down:
        return True
    return sum(one.amounts.net for one in answer.supplements) == sum(one.amounts.net for one in answer.credits)


def _same(standing: StoredDocument, need: _Wanted) -> bool:
    lines = [
        (line.line_id, line.period, line.corrects, line.quantity, line.amounts) for line in body_of(standing).lines
    ]
    return lines == [
        (one.line_id, one.period, one.corrects_number, _quantity(one), one.amounts)
        for one, _ in _ordered(need.adjustments)
    ]


def _quantity(one: Adjustment) -> int | None:
    return None if BILLED_UNIT[one.price.method] is None else one.quantity


def _ordered(adjustments: Iterable[tuple[Adjustment, str]]) -> list[tuple[Adjustment, str]]:
    return sorted(adjustments, key=lambda pair: (pair[0].corrects_number, pair[0].line_id, pair[0].period.start))


def _made(
    session: Session,
    cur: Cursor,
    key: tuple[str, DocumentKind],
    need: _Wanted,
    known: Sequence[StoredDocument],
    by: str,
) -> Made:
    corrects, kind = key
    original = billing_documents.by_ids(cur, [corrects])[corrects]
    # Of the document, not of the line: that may have been moved to another order since.
    stored = entities.many(cur, EntityKind.ORDER, [original.order_id])[original.order_id]
    order = Order.from_bytes(stored.canonical)
    period = BillingPeriod(start=original.period_start, end=original.period_end)
    earlier = sum(one.corrects == corrects and one.kind == kind for one in known)
    try:
        issued_on = issue_date(period, billing_periods.closed_periods(cur), session.business.now().date())
    except ValueError as error:
        raise Refused(
            f"A correction of {period.label} has no open accounting period: {error}. Nothing was proposed."
        ) from None
    return correction(
        order,
        original.bill_to,
        _ordered(need.adjustments),
        need.cases,
        document_id=correction_id(kind, corrects, earlier),
        issued_on=issued_on,
        period=period,
        prepared_by=by,
        now=session.machine.now(),
    )

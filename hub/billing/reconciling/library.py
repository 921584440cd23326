"""Line-months that reconciliation in bulk cannot say in columns: each calculated by the billing rules, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.billing import cases
from hub.billing.cases import LineFile
from hub.billing.counts import LineCycles, counts_of
from hub.billing.preparing import CHUNK, CONTRADICTION, never_ran
from hub.billing.reconciling.contracts import month_number
from hub.billing.rules import Billable, LinePeriodCase, OtherPeriod, SourceCount, calculate
from hub.billing.rules.source import contracted_count, measured, over_life
from hub.billing.rules.tolerance import variance
from hub.session import Session
from hub.store import billing_periods
from hub.store.database import Cursor
from hub.store.reconciliation import CODES, LibraryMonth
from oms_schema.delivery import BillingPeriod, CountedBy

NOT_COMPARED, WITHIN, WITHIN_OVER_LIFE, OUTSIDE = range(4)


def library_months(
    session: Session, cur: Cursor, apart: Mapping[str, str], since: BillingPeriod, until: BillingPeriod
) -> Iterator[LibraryMonth]:
    """Every line-month of these lines from `since` to `until`, as if nothing of them had been billed."""
    ids = sorted(apart)
    for first in range(0, len(ids), CHUNK):
        for file in _files(session, cur, ids[first : first + CHUNK], until):
            yield from _of_line(session, file, apart[file.line.id], since, until)


def _files(session: Session, cur: Cursor, line_ids: list[str], until: BillingPeriod) -> list[LineFile]:
    """Contracts, counts and what people entered; what was calculated or billed before is left out."""
    found = {one.line.id: one for one in cases.contracts(cur, line_ids, until)}
    lines = [LineCycles(line_id, one.line.flight, one.terms, one.cycles) for line_id, one in found.items()]
    for (line_id, cycle), told in counts_of(session, cur, lines).items():
        found[line_id].counts[cycle] = told
    cases.look_for_coverage(cur, list(found.values()))
    for entered in billing_periods.inputs_of(cur, list(found)):
        found[entered.line_id].inputs.setdefault(entered.period_start, {})[entered.kind] = entered
    return list(found.values())


def _of_line(
    session: Session, file: LineFile, why: str, since: BillingPeriod, until: BillingPeriod
) -> Iterator[LibraryMonth]:
    taken: dict[BillingPeriod, int] = {}
    for cycle in file.cycles:
        if cycle.start > until.start:
            return
        if never_ran(file, cycle):
            continue
        try:
            case = cases.case(file, cycle, session.business.now())
        except ValueError:
            # Counts below zero, say: what the sources told cannot be.
            if cycle.start >= since.start:
                yield _contradiction(file, why, cycle)
            continue
        # A month that was settled or fell back goes into the cap with what it was calculated by, not with its source's count.
        others = [
            OtherPeriod(period=other.period, counted=taken.get(other.period, other.counted)) for other in case.others
        ]
        others += [OtherPeriod(period=p, counted=n) for p, n in taken.items() if p not in {o.period for o in others}]
        case = case.model_copy(update={"others": tuple(sorted(others, key=lambda known: known.period.start))})
        result = calculate(case)
        if isinstance(result, Billable) and result.counted is not None:
            taken[cycle] = result.counted
        if cycle.start < since.start:
            continue
        seller, other = (
            _side(case, CountedBy.SELLER),
            _side(case, CountedBy.MEASUREMENT) or _side(case, CountedBy.BUYER),
        )
        yield LibraryMonth(
            line_id=file.line.id,
            order_id=file.order.id,
            currency=file.line.price.currency,
            why=why,
            month=month_number(cycle),
            code=0 if isinstance(result, Billable) else CODES.index(result.problems[0].code),
            tolerance=_tolerance(case, seller, other),
            seller=None if seller is None else measured(case, seller),
            other=None if other is None else measured(case, other),
            chosen=result.counted if isinstance(result, Billable) else contracted_count(case),
            quantity=(result.quantity or 0) if isinstance(result, Billable) else 0,
            capped=result.bonus if isinstance(result, Billable) else 0,
            gross=result.amounts.gross if isinstance(result, Billable) else 0,
            commission=result.amounts.commission if isinstance(result, Billable) else 0,
        )


def _contradiction(file: LineFile, why: str, cycle: BillingPeriod) -> LibraryMonth:
    return LibraryMonth(
        line_id=file.line.id,
        order_id=file.order.id,
        currency=file.line.price.currency,
        why=why,
        month=month_number(cycle),
        code=CODES.index(CONTRADICTION),
        tolerance=NOT_COMPARED,
        seller=None,
        other=None,
        chosen=None,
        quantity=0,
        capped=0,
        gross=0,
        commission=0,
    )


def _side(case: LinePeriodCase, by: CountedBy) -> SourceCount | None:
    return next((count for count in case.counts if count.counted_by is by), None)


def _tolerance(case: LinePeriodCase, seller: SourceCount | None, other: SourceCount | None) -> int:
    """How the two counts compare, whatever became of the line-month."""
    if seller is None or other is None or not seller.final or not other.final:
        return NOT_COMPARED
    ours, theirs = measured(case, seller), measured(case, other)
    if ours is None or theirs is None:
        return NOT_COMPARED
    base, allowed = case.terms.variance_base, case.terms.tolerance_ppm
    if variance(ours, theirs, base, allowed).within:
        return WITHIN
    life = over_life(case, seller, other)
    return WITHIN_OVER_LIFE if life is not None and life.within else OUTSIDE

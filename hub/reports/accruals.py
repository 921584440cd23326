"""Accruals: what was delivered and is not billed yet, valued by the billing rules as if its numbers were final.

A line-period that is not locked is calculated anew: its delivery up to now counts although the month still runs or its numbers
may change; a line that bills its contract waits for the end of its period. What is billed at the end of the campaign is earned
month by month. A locked line-period accrues its proposed corrections: below zero, a credit memo is due. What the rules cannot
value (a dispute, say) is listed with the reason and without an amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from hub.billing import cases
from hub.billing.cases import LineFile
from hub.billing.preparing import BILLABLE_ORDERS, CHUNK, never_ran
from hub.billing.review import amount
from hub.billing.rules import Blocked, LinePeriodCase, calculate
from hub.billing.rules.source import contracted_count, measured
from hub.reports.answers import Cell, Kind, Report, ReportColumn
from hub.session import Session
from hub.store import money_reports
from oms_schema.billing_terms import BillingSchedule, BillingSource
from oms_schema.delivery import BillingPeriod
from oms_schema.line import CostMethod
from oms_schema.status import BillingStatus

COLUMNS: Sequence[ReportColumn] = (
    ReportColumn("order_id", Kind.TEXT),
    ReportColumn("order_name", Kind.TEXT),
    ReportColumn("line_id", Kind.TEXT),
    ReportColumn("line", Kind.TEXT),
    ReportColumn("period_start", Kind.DAY),
    ReportColumn("currency", Kind.TEXT),
    ReportColumn("status", Kind.TEXT),
    ReportColumn("delivered_units", Kind.COUNT),
    ReportColumn("final", Kind.FLAG),
    ReportColumn("valued", Kind.MONEY),
    ReportColumn("billed", Kind.MONEY),
    ReportColumn("accrued", Kind.MONEY),
    ReportColumn("reason", Kind.TEXT),
)


def accruals(session: Session, since: BillingPeriod, until: BillingPeriod) -> Report:
    """Every line-period of these months with anything accrued, or that cannot be valued; months of the future are left out."""
    today = session.business.now().date()
    last = min(until.start, today.replace(day=1))
    with session.database.transaction() as cur:
        lines = money_reports.lines_of_orders(cur, [str(status) for status in BILLABLE_ORDERS])
    rows: list[Sequence[Cell]] = []
    period = BillingPeriod.month(last.year, last.month)
    for first in range(0, len(lines), CHUNK):
        chunk = lines[first : first + CHUNK]
        with session.database.transaction() as cur:
            cur.execute("SET TRANSACTION READ ONLY")
            known = cases.files(session, cur, chunk, period)
            stored = money_reports.billable_and_billed(cur, chunk)
        for file in known:
            for cycle in file.cycles:
                if since.start <= cycle.start <= last and file.concerns(cycle) and not never_ran(file, cycle):
                    rows += _of_period(session, file, cycle, stored.get((file.line.id, cycle.start), (0, 0)))
    return Report("accruals", COLUMNS, rows)


def _of_period(
    session: Session, file: LineFile, cycle: BillingPeriod, stored: tuple[int, int]
) -> Iterator[Sequence[Cell]]:
    line, currency = file.line, file.line.price.currency
    known = file.periods.get(cycle.start)
    if known is not None and known.locked:
        currency = known.currency
    status = str(BillingStatus.OPEN if known is None else known.status)
    names: Sequence[Cell] = (file.order.id, file.order.name, line.id, line.name, cycle.start, currency, status)
    billed = amount(stored[1], currency)
    try:
        case = cases.case(file, cycle, session.business.now())
    except ValueError as error:
        # What is locked has its value; only what it would be by now is not known.
        locked = amount(stored[0], currency) if known is not None and known.locked else None
        if locked != billed:
            accrued = None if locked is None else locked - billed
            yield (*names, None, False, locked, billed, accrued, cases.contradiction(file, error))
        return
    delivered, reason = contracted_count(case), ""
    valued: Decimal | None
    if known is not None and known.locked:
        valued = amount(stored[0], currency)
    else:
        taken = as_if_final(case)
        result = calculate(taken)
        if isinstance(result, Blocked):
            # By anybody: what a silent third party is to tell of is owed all the same.
            if not any(measured(taken, count) for count in taken.counts):
                return
            valued, reason = None, result.problems[0].sentence
        else:
            valued = amount(result.amounts.net, currency)
    accrued = None if valued is None else valued - billed
    if accrued == 0:
        return
    final = bool(case.counts) and all(count.final for count in case.counts)
    yield (*names, delivered, final, valued, billed, accrued, reason)


def as_if_final(case: LinePeriodCase) -> LinePeriodCase:
    """The same case with every number taken for final, nothing billed, and a counted line's period over."""
    terms = case.terms
    by_count = terms.source is not BillingSource.CONTRACTED and case.price.method is not CostMethod.FLAT
    others = any(other.period == case.cycles[-1] and other.amounts is not None for other in case.others)
    if by_count and terms.schedule is BillingSchedule.END_OF_CAMPAIGN and not (others or case.billed):
        terms = terms.model_copy(update={"schedule": BillingSchedule.AS_DELIVERED})
    return case.model_copy(
        update={
            "terms": terms,
            "period_over": case.period_over or by_count,
            "counts": tuple(count.model_copy(update={"final": True, "final_months": None}) for count in case.counts),
            "billed": (),
        }
    )

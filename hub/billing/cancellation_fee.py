"""What a cancelled line owes in all: what it earned and, where notice was not kept, a fee on the rest of what was committed.

Share and notice stand in a cancellation clause, which no source of orders tells, so the asker gives them. The answer writes
nothing: a fee is billed as a flat line of its own, which sales books like every other.
"""

from __future__ import annotations

from datetime import date

from hub.billing import cases
from hub.billing.answers import CancellationFee
from hub.billing.cases import LineFile
from hub.billing.entering import the_line
from hub.billing.preparing import never_ran
from hub.billing.review import amount
from hub.billing.rules import agency_is_billed
from hub.billing.rules.agency import split
from hub.billing.rules.cancellation import cancellation, notice_kept
from hub.billing.rules.cost import contract_value, contracted_quantity
from hub.errors import NotFound, Refused
from hub.session import Session
from hub.store import money_reports
from oms_schema.delivery import BillingPeriod
from oms_schema.money import MICROS, Money


def cancellation_fee(
    session: Session, line: str, fee_ppm: int, *, notice_days: int = 0, told_on: date | None = None
) -> CancellationFee:
    """The fee for a cancelled line, net of commission; reads only.

    With `notice_days` the fee is due unless the cancellation was told (`told_on`) so many days before the day that was entered
    with `bill enter cancellation`. Raises NotFound, and Refused for a line not cancelled, of no known value, or without a day.
    """
    if not 0 <= fee_ppm <= MICROS:
        raise Refused("A cancellation fee is between 0 and 100 per cent. Nothing was calculated.")
    now = session.business.now().date()
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION READ ONLY")
        line_id = the_line(cur, line)
        found = cases.files(session, cur, [line_id], BillingPeriod.month(now.year, now.month))
        stored = money_reports.billable_and_billed(cur, [line_id])
    if not found:
        raise NotFound(f"Line {line_id} belongs to no order that is known. Nothing was calculated.")
    (file,) = found
    if not file.is_cancelled:
        raise Refused(f"Line {line_id} is not cancelled. Nothing was calculated.")
    committed = _committed(file)
    earned = Money(micros=sum(net for net, _ in stored.values()), currency=committed.currency)
    billed = Money(micros=sum(net for _, net in stored.values()), currency=committed.currency)
    notice = _notice(file, notice_days, told_on)
    owed = cancellation(committed, earned, fee_ppm, notice=notice)
    return CancellationFee(
        line_id=line_id,
        line=file.line.name,
        currency=committed.currency,
        committed=amount(committed.micros, committed.currency),
        earned=amount(earned.micros, committed.currency),
        billed=amount(billed.micros, committed.currency),
        notice_kept=notice,
        fee=amount(owed.fee.micros, committed.currency),
        total=amount(owed.total.micros, committed.currency),
        open_months=[one.label for one in _open(file, now)],
    )


def _committed(file: LineFile) -> Money:
    line = file.line
    value = contract_value(line.price, contracted_quantity(line.price, line.goal, line.budget))
    if value is None:
        raise Refused(
            f"Line {line.id} has neither a goal in what it is paid by nor a budget, so nobody knows what was committed. Nothing "
            "was calculated. Sales completes the line at its source."
        )
    return split(line.price, value, 1, 1, agency_billed=agency_is_billed(file.order)).net


def _notice(file: LineFile, notice_days: int, told_on: date | None) -> bool:
    if not notice_days:
        return False
    if told_on is None or file.ends_on is None:
        raise Refused(
            f"Whether notice was kept for line {file.line.id} follows from the day it was told and the day it ends. Nothing was "
            "calculated. Give --told-on, and enter the day with `orderhub bill enter cancellation`."
        )
    return notice_kept(told_on, file.ends_on, notice_days)


def _open(file: LineFile, today: date) -> list[BillingPeriod]:
    """Months up to today's of which it is not calculated yet what was earned."""
    return [
        one
        for one in file.cycles
        if one.start <= today
        and file.concerns(one)
        and ((known := file.periods.get(one.start)) is None or known.amounts is None)
        and not never_ran(file, one)
    ]

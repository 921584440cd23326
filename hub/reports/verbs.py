"""One report by its name: the views for what is stored, the rules for what is not billed yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from hub.billing.preparing import month
from hub.errors import Refused
from hub.reports import accruals
from hub.reports.answers import Cell, Kind, Report, ReportColumn
from hub.session import Session
from hub.store import money_reports
from hub.store.money_reports import LISTS, SUMMARIES, Found
from oms_schema.delivery import BillingPeriod
from oms_schema.money import exponent

EVER = BillingPeriod(start=date(1, 1, 1), end=date(1, 2, 1)), BillingPeriod.month(9998, 12)
"""The first and the last month that a selection may hold."""

# PostgreSQL's numbers of the types that the views use (`pg_type.oid`).
_KINDS: Mapping[int, Kind] = MappingProxyType(
    {
        16: Kind.FLAG,
        20: Kind.COUNT,
        21: Kind.COUNT,
        23: Kind.COUNT,
        25: Kind.TEXT,
        1043: Kind.TEXT,
        1082: Kind.DAY,
        1114: Kind.LOCAL_TIME,
        1184: Kind.TIME,
        1700: Kind.MONEY,
    }
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which months, both included, and what the summary is by."""

    since: BillingPeriod = EVER[0]
    until: BillingPeriod = EVER[1]
    by: str = "order"

    @classmethod
    def of(cls, since: str | None = None, until: str | None = None, by: str = "order") -> Selection:
        """From months written YYYY-MM. Raises Refused."""
        chosen = cls(EVER[0] if since is None else month(since), EVER[1] if until is None else month(until), by)
        if chosen.until.start < chosen.since.start:
            raise Refused(f"{until} lies before {since}. Nothing was reported. Give the earlier month as --since.")
        if by not in SUMMARIES:
            raise Refused(f"A summary is not by {by!r}. Nothing was reported. Choose one of: {', '.join(SUMMARIES)}.")
        return chosen


def report(session: Session, name: str, selection: Selection | None = None) -> Report:
    """A report by its name. Reads only. Raises Refused when there is none of that name."""
    chosen = selection or Selection()
    if name == "accruals":
        return accruals.accruals(session, chosen.since, chosen.until)
    statement = SUMMARIES[chosen.by] if name == "summary" else LISTS.get(name)
    if statement is None:
        raise Refused(f"There is no report {name!r}. Nothing was reported. Choose one of: {', '.join(NAMES)}.")
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION READ ONLY")
        found = money_reports.read(cur, statement, chosen.since.start, chosen.until.start, session.business.now())
    return _of_view(name, found)


NAMES: Sequence[str] = (
    *("summary", "discrepancies", "accruals", "make-goods", "documents", "payments"),
    *("reconciliation", "reconciled-lines"),
)
"""The reports that are tables; the ledger file is beside them."""


def _of_view(name: str, found: Found) -> Report:
    columns = [ReportColumn(column, _KINDS[number]) for column, number in found.columns]
    currency = next((place for place, column in enumerate(columns) if column.name == "currency"), None)
    make: list[Callable[[Cell, str], Cell]] = [_money if c.kind is Kind.MONEY else _as_is for c in columns]
    rows = [
        [convert(cell, "" if currency is None else str(row[currency])) for convert, cell in zip(make, row, strict=True)]
        for row in found.rows
    ]
    return Report(name, columns, rows)


def _as_is(cell: Cell, currency: str) -> Cell:
    return cell


def _money(cell: Cell, currency: str) -> Cell:
    """With the decimals of the minor unit, or all six when it is not whole in them."""
    if not isinstance(cell, Decimal):
        return cell
    shown = cell.quantize(Decimal(1).scaleb(-exponent(currency)))
    return shown if shown == cell else cell

"""The FX reports: what was billed in other currencies, at the booking's and at the invoice's rate of exchange, and the variance.

Rates are the reader's: a CSV file with the columns `currency`, `day` and `rate`, the units of the reporting currency for one of
`currency` from that day on. An order's booking day is when its source first said that it is booked (a UTC day), an invoice's its
date; a credit memo keeps the day of the invoice that it corrects. Amounts are net of commission and without tax, as billed, each
document rounded once; the sums add these. What has no rate is listed with the reason and is in no sum.
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hub.billing.documents import body_of
from hub.billing.preparing import BILLABLE_ORDERS
from hub.billing.review import amount
from hub.billing.rules.fx import FxReport, fx_report
from hub.errors import Refused
from hub.reports.answers import Cell, Kind, Report, ReportColumn
from hub.reports.verbs import Selection
from hub.session import Session
from hub.store import billing_documents, entities, money_reports
from hub.store.billing_documents import DocumentState, StoredDocument
from hub.store.database import Cursor
from oms_schema.currencies import ACTIVE
from oms_schema.document import DocumentKind
from oms_schema.ids import EntityKind
from oms_schema.money import Money

NAMES: Sequence[str] = ("fx", "fx-documents")
"""By currency, and document by document."""

DOCUMENTS: Sequence[ReportColumn] = (
    ReportColumn("document_id", Kind.TEXT),
    ReportColumn("number", Kind.TEXT),
    ReportColumn("kind", Kind.TEXT),
    ReportColumn("order_id", Kind.TEXT),
    ReportColumn("order_name", Kind.TEXT),
    ReportColumn("period_start", Kind.DAY),
    ReportColumn("currency", Kind.TEXT),
    ReportColumn("net", Kind.MONEY),
    ReportColumn("booked_on", Kind.DAY),
    ReportColumn("booked_rate", Kind.TEXT),
    ReportColumn("invoiced_on", Kind.DAY),
    ReportColumn("invoice_rate", Kind.TEXT),
    ReportColumn("into", Kind.TEXT),
    ReportColumn("at_booking", Kind.MONEY),
    ReportColumn("at_invoice", Kind.MONEY),
    ReportColumn("variance", Kind.MONEY),
    ReportColumn("reason", Kind.TEXT),
)
CURRENCIES: Sequence[ReportColumn] = (
    ReportColumn("currency", Kind.TEXT),
    ReportColumn("documents", Kind.COUNT),
    ReportColumn("net", Kind.MONEY),
    ReportColumn("into", Kind.TEXT),
    ReportColumn("at_booking", Kind.MONEY),
    ReportColumn("at_invoice", Kind.MONEY),
    ReportColumn("variance", Kind.MONEY),
    ReportColumn("without_rate", Kind.COUNT),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of exchange into one currency, by currency and the first day that each holds for."""

    into: str
    known: Mapping[str, Sequence[tuple[date, Decimal]]]

    def at(self, currency: str, day: date) -> Decimal | None:
        """The rate of a day: the newest that is not after it; None when there is none."""
        if currency == self.into:
            return Decimal(1)
        days = self.known.get(currency, ())
        place = bisect_right(days, day, key=lambda one: one[0])
        return days[place - 1][1] if place else None


def read_rates(path: Path, into: str) -> Rates:
    """The rates of a file. Raises Refused for a file that cannot be read or contradicts itself."""
    if into not in ACTIVE:
        raise Refused(
            f"{into!r} is no currency in use. Nothing was reported. Give the reporting currency's ISO 4217 code."
        )
    known: dict[str, dict[date, Decimal]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if rows.fieldnames is None or not {"currency", "day", "rate"} <= set(rows.fieldnames):
                raise _unusable(path, "it has no columns `currency`, `day` and `rate`")
            for row in rows:
                currency, day, rate = _rate(path, rows.line_num, row)
                if known[currency].setdefault(day, rate) != rate:
                    raise _unusable(path, f"line {rows.line_num} gives {currency} a second rate for {day}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, str(error)) from error
    if set(known.get(into, {}).values()) - {Decimal(1)}:
        raise _unusable(path, f"it has a rate of {into} into itself that is not 1")
    return Rates(into, {currency: sorted(days.items()) for currency, days in known.items()})


def _rate(path: Path, line: int, row: Mapping[str, str | None]) -> tuple[str, date, Decimal]:
    if None in row:
        raise _unusable(path, f"line {line} has more cells than columns")
    currency, day, rate = ((row[name] or "").strip() for name in ("currency", "day", "rate"))
    try:
        found = currency, date.fromisoformat(day), Decimal(rate)
    except (ValueError, InvalidOperation):
        raise _unusable(path, f"line {line} has no day written YYYY-MM-DD, or no rate") from None
    if currency not in ACTIVE or not found[2].is_finite() or found[2] <= 0:
        raise _unusable(path, f"line {line} has no currency in use, or a rate that is not above 0")
    return found


def _unusable(path: Path, why: str) -> Refused:
    return Refused(
        f"The rates in {path} cannot be used: {why}. Nothing was reported. Whoever keeps the file corrects it."
    )


def fx(session: Session, name: str, rates: Rates, selection: Selection | None = None) -> Report:
    """One of the two reports over the documents of these months that the ERP acknowledged. Reads only."""
    chosen = selection or Selection()
    with session.database.transaction() as cur:
        cur.execute("SET TRANSACTION READ ONLY")
        valued = _valued(cur, rates, chosen)
    if name == "fx-documents":
        return Report(name, DOCUMENTS, [one.row(rates.into) for one in valued])
    return Report(name, CURRENCIES, _by_currency(valued, rates.into))


@dataclass(frozen=True, slots=True)
class _Valued:
    """One document with its two days and rates; `found` is None when a rate is missing."""

    document: StoredDocument
    order_name: str
    net: Money
    booked_on: date | None
    booked_rate: Decimal | None
    invoiced_on: date
    invoice_rate: Decimal | None
    found: FxReport | None
    reason: str

    def row(self, into: str) -> Sequence[Cell]:
        one, found = self.document, self.found
        sums = (None,) * 3 if found is None else (found.booked_ledger, found.invoiced_ledger, found.variance)
        return (
            *(one.document_id, one.number, one.kind, one.order_id, self.order_name, one.period_start, one.currency),
            _shown(self.net),
            *(self.booked_on, _text(self.booked_rate), self.invoiced_on, _text(self.invoice_rate), into),
            *(None if money is None else _shown(money) for money in sums),
            self.reason,
        )


def _text(rate: Decimal | None) -> str | None:
    return None if rate is None else f"{rate:f}"


def _shown(money: Money) -> Decimal:
    return amount(money.micros, money.currency)


def _valued(cur: Cursor, rates: Rates, chosen: Selection) -> list[_Valued]:
    known = billing_documents.in_state(cur, [DocumentState.POSTED, DocumentState.PAID])
    documents = [one for one in known if chosen.since.start <= one.period_start <= chosen.until.start]
    originals = billing_documents.by_ids(cur, [one.corrects for one in documents if one.corrects is not None])
    order_ids = sorted({one.order_id for one in documents})
    booked = money_reports.booked_on(cur, order_ids, [str(status) for status in BILLABLE_ORDERS])
    orders = entities.many(cur, EntityKind.ORDER, order_ids)
    found = []
    for one in sorted(documents, key=lambda each: (each.period_start, each.number or "", each.document_id)):
        # A credit gives back what was owed at the invoice's rate.
        dated = originals[one.corrects or ""] if one.kind == DocumentKind.CREDIT_MEMO else one
        name = orders[one.order_id].name if one.order_id in orders else ""
        found.append(_value(one, name, rates, booked.get(one.order_id), body_of(dated).issued_on or dated.period_start))
    return found


def _value(
    document: StoredDocument, order_name: str, rates: Rates, booked_on: date | None, invoiced_on: date
) -> _Valued:
    currency = document.currency
    sign = -1 if document.kind == DocumentKind.CREDIT_MEMO else 1
    net = Money(micros=sign * document.amounts.net, currency=currency)
    booked_rate = None if booked_on is None else rates.at(currency, booked_on)
    invoice_rate = rates.at(currency, invoiced_on)
    missing = [
        f"The file has no rate of {currency} on or before {day}."
        for day, rate in ((booked_on, booked_rate), (invoiced_on, invoice_rate))
        if day is not None and rate is None
    ]
    if booked_on is None:
        missing.append("The hub does not know when the order was booked.")
    found = None
    if booked_rate is not None and invoice_rate is not None:
        # The library values amounts that are owed; what is given back is its mirror image.
        owed = fx_report(Money(micros=abs(net.micros), currency=currency), booked_rate, invoice_rate, rates.into)
        found = owed if sign > 0 else _negative(owed)
    return _Valued(
        document,
        order_name,
        net,
        booked_on,
        booked_rate,
        invoiced_on,
        invoice_rate,
        found,
        " ".join(dict.fromkeys(missing)),
    )


def _negative(one: FxReport) -> FxReport:
    return FxReport(-one.invoiced, one.booked_rate, one.invoice_rate, -one.booked_ledger, -one.invoiced_ledger)


def _by_currency(valued: Sequence[_Valued], into: str) -> list[Sequence[Cell]]:
    rows: list[Sequence[Cell]] = []
    for currency in sorted({one.document.currency for one in valued}):
        mine = [one for one in valued if one.document.currency == currency]
        told = [one.found for one in mine if one.found is not None]
        net = Money.total([one.invoiced for one in told], currency)
        booked = Money.total([one.booked_ledger for one in told], into)
        invoiced = Money.total([one.invoiced_ledger for one in told], into)
        sums = (_shown(booked), _shown(invoiced), _shown(invoiced - booked))
        rows.append((currency, len(mine), _shown(net), into, *sums, len(mine) - len(told)))
    return rows

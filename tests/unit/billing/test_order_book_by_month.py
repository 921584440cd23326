"""The order book of Snap's political ads, billed by month: every order's documents sum to its delivery's worth, to the cent.

The file is read where it lies (`ORDERHUB_DATA`), and where it is absent the generated book is billed; the oracle below is plain
Decimal arithmetic and shares no code with the rules.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import pytest

from cli.demo.order_book import BookLine, OrderBook
from cli.demo.run import chosen_book
from oms_schema.money import exponent

if TYPE_CHECKING:
    from conftest import Office

ORDERS = 1
"""Orders of the book; the real one's first has 132 lines. `ORDERHUB_BILL_ORDERS` takes more."""

Months = Mapping[str, Mapping[str, int]]
"""Impressions by line and month."""


@pytest.fixture
def book() -> OrderBook:
    return chosen_book(None).first(int(os.environ.get("ORDERHUB_BILL_ORDERS", ORDERS)))


def months_of(line: BookLine) -> list[str]:
    """The months a line runs in; an open one is taken to run for thirty days."""
    end = (line.flight_end or line.start + timedelta(days=30)) - timedelta(seconds=1)
    found, day = [], line.start.date().replace(day=1)
    while day <= end.date():
        found.append(day.isoformat()[:7])
        day = (day + timedelta(days=31)).replace(day=1)
    return found


def worth(line: BookLine, impressions: int, currency: str) -> Decimal:
    assert line.cpm is not None
    unit = Decimal(1).scaleb(-exponent(currency))
    return (line.cpm * impressions / 1000).quantize(unit, rounding=ROUND_HALF_UP)


def load(office: Office, months: Months, names: Mapping[str, BookLine], month: str) -> None:
    days: dict[str, dict[str, int]] = {}
    for line_id, by_month in months.items():
        if month in by_month:
            first = max(names[line_id].start.date(), date.fromisoformat(f"{month}-01"))
            days[line_id] = {f"{first.day:02}": by_month[month]}
    office.report(days, month=month)


def test_every_order_is_billed_what_its_delivery_is_worth(office: Office, book: OrderBook) -> None:
    names: dict[str, BookLine] = {}
    currency: dict[str, str] = {}
    order_of: dict[str, str] = {}
    months: dict[str, dict[str, int]] = {}
    for number, order in enumerate(book.orders):
        order_id = office.order(f"book {number}", currency=order.key.currency)
        for line in order.lines:
            if not line.usable:
                continue
            assert line.cpm is not None
            naive = {"start": line.start.replace(tzinfo=None), "end": None}
            if line.flight_end is not None:
                naive["end"] = line.flight_end.replace(tzinfo=None)
            line_id = office.line(
                order_id, line.ad_id, rate=str(line.cpm), goal=line.goal, currency=order.key.currency, **naive
            )
            names[line_id], currency[line_id], order_of[line_id] = line, order.key.currency, order_id
            run = months_of(line)
            share, rest = divmod(line.impressions, len(run))
            months[line_id] = {month: share + (rest if month == run[-1] else 0) for month in run}
    every = sorted({month for by_month in months.values() for month in by_month})
    for month in every:
        office.clock.time = datetime.fromisoformat(f"{month}-28").replace(tzinfo=UTC) + timedelta(days=10)
        load(office, months, names, month)
        office.close(month, patience=3600)
    billed = expected(months, names, currency, order_of)
    assert invoiced(office) == billed
    documents = len(office.erp.documents)

    restated = sorted(names)[::50]
    for line_id in restated:
        months[line_id] = {month: count * 9 // 10 for month, count in months[line_id].items()}
    for month in every:
        load(office, months, names, month)
    done = office.close(every[-1], patience=3600)
    assert done.second_close_documents == 0
    assert done.credits > 0
    assert done.mismatches == []
    assert invoiced(office) == expected(months, names, currency, order_of), "the credits net exactly"
    assert len(office.erp.documents) == documents + done.new_documents
    assert office.close(every[-1]).new_documents == 0
    assert len({one["reference"] for one in office.erp.documents.values()}) == len(office.erp.documents)


def expected(
    months: Months, names: Mapping[str, BookLine], currency: Mapping[str, str], order_of: Mapping[str, str]
) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for line_id, by_month in months.items():
        for impressions in by_month.values():
            sums[order_of[line_id]] += worth(names[line_id], impressions, currency[line_id])
    return {order_id: value for order_id, value in sums.items() if value}


def invoiced(office: Office) -> dict[str, Decimal]:
    """What the ERP holds by order, credits deducted."""
    of = dict(office.rows("SELECT document_id, order_id FROM billing_document"))
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in office.erp.documents.values():
        sums[of[one["reference"]]] += one["total"]
    return {order_id: value for order_id, value in sums.items() if value}

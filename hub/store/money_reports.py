"""Reads the reporting views of the schema `report`; amounts are decimals in major units, exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType

from hub.store.database import Cursor, Row

_FIVE = ", ".join(
    f"sum({name})::numeric(24, 6) AS {name}" for name in ("booked", "delivered", "billable", "billed", "paid")
)
_OPEN = "sum(not_calculated)::bigint AS not_calculated"

SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "order": "SELECT order_id, max(order_name) AS order_name, max(order_number) AS order_number, "
        f"max(advertiser) AS advertiser, currency, {_FIVE}, {_OPEN} FROM report.order_month "
        "WHERE period_start BETWEEN %(since)s AND %(until)s GROUP BY order_id, currency ORDER BY order_name, order_id, currency",
        "advertiser": f"SELECT advertiser_id, max(advertiser) AS advertiser, currency, {_FIVE}, {_OPEN} "
        "FROM report.advertiser_month WHERE period_start BETWEEN %(since)s AND %(until)s GROUP BY advertiser_id, currency "
        "ORDER BY advertiser, advertiser_id, currency",
        "month": "SELECT * FROM report.month WHERE period_start BETWEEN %(since)s AND %(until)s ORDER BY period_start, currency",
        "order-month": "SELECT * FROM report.order_month WHERE period_start BETWEEN %(since)s AND %(until)s "
        "ORDER BY order_name, order_id, currency, period_start",
        "advertiser-month": "SELECT * FROM report.advertiser_month WHERE period_start BETWEEN %(since)s AND %(until)s "
        "ORDER BY advertiser, advertiser_id, currency, period_start",
        "line-month": "SELECT * FROM report.line_month WHERE period_start BETWEEN %(since)s AND %(until)s "
        "ORDER BY order_id, line_id, currency, period_start",
    }
)
"""What the summary may be by; each row is of one currency."""

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "discrepancies": "SELECT * FROM report.discrepancy WHERE period_start BETWEEN %(since)s AND %(until)s AND difference <> 0 "
        "ORDER BY within_tolerance, abs(difference) DESC, line_id, period_start",
        "make-goods": "SELECT * FROM report.shortfall WHERE shortfall_units > 0 AND ends_at <= %(now)s "
        "AND ends_at >= %(since)s AND ends_at < (%(until)s + interval '1 month') "
        "ORDER BY liability DESC, shortfall DESC, line_id",
        "documents": "SELECT * FROM report.document WHERE period_start BETWEEN %(since)s AND %(until)s "
        "ORDER BY issued_on, number, document_id",
        "payments": "SELECT p.* FROM report.payment p JOIN billing_document d USING (document_id) "
        "WHERE d.period_start BETWEEN %(since)s AND %(until)s ORDER BY received_on, document_id, payment_id",
    }
)
"""Lists that come straight from one view."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a view answered: (name, PostgreSQL's type number) of each column, and the rows."""

    columns: Sequence[tuple[str, int]]
    rows: Sequence[Row]


def read(cur: Cursor, statement: str, since: date, until: date, now: datetime) -> Found:
    """One of the statements above for the months from `since` to `until`, both included; `now` is business time."""
    cur.execute(statement.encode(), {"since": since, "until": until, "now": now})
    assert cur.description is not None
    return Found([(column.name, column.type_code) for column in cur.description], cur.fetchall())


def lines_until(cur: Cursor, until: date, statuses: Sequence[str]) -> list[str]:
    """Lines of orders in these statuses of which anything is known up to the month that begins on `until`, orders together."""
    cur.execute(
        "SELECT DISTINCT m.order_id, m.line_id FROM report.line_month m JOIN entity o ON o.kind = 'order' AND o.id = m.order_id "
        "WHERE m.period_start <= %s AND o.status = ANY(%s) ORDER BY 1, 2",
        (until, list(statuses)),
    )
    return [row[1] for row in cur.fetchall()]


def unbilled(cur: Cursor, line_ids: Sequence[str]) -> dict[tuple[str, date], tuple[object, object]]:
    """(billable, billed) of the line-periods of these lines that are known to billing, in major units."""
    cur.execute(
        "SELECT line_id, period_start, billable, billed FROM report.line_month WHERE line_id = ANY(%s)",
        (list(line_ids),),
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in cur.fetchall()}

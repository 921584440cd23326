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

_MAJOR = "({0} * 0.000001)::numeric(24, 6)"
_LAST_RUN = "(SELECT max(run) FROM reconciliation_run WHERE finished_at IS NOT NULL)"

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "reconciliation": "SELECT l.order_id, x.line_id, x.period_start, x.code, x.tolerance, x.seller_units, x.other_units, "
        "x.chosen_units, x.billable_units, x.capped_units, l.currency, "
        f"{_MAJOR.format('x.gross')} AS gross, {_MAJOR.format('x.commission')} AS commission "
        "FROM reconciliation_exception x JOIN reconciliation_line l USING (run, line_id) "
        f"WHERE x.run = {_LAST_RUN} AND x.period_start BETWEEN %(since)s AND %(until)s "
        "ORDER BY x.code = '', l.order_id, x.line_id, x.period_start",
        "reconciled-lines": "SELECT order_id, line_id, line_months, billable_months, exceptions, by_library, seller_units, other_units, "
        "billable_units, capped_units, currency, "
        f"{_MAJOR.format('gross')} AS gross, {_MAJOR.format('commission')} AS commission "
        f"FROM reconciliation_line WHERE run = {_LAST_RUN} ORDER BY order_id, line_id",
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
"""Lists that come straight from one view, or from the newest finished reconciliation."""


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


def booked_on(cur: Cursor, order_ids: Sequence[str], statuses: Sequence[str]) -> dict[str, date]:
    """The UTC day on which each order's source first said that it is in one of these statuses; absent when it never did."""
    cur.execute(
        "SELECT DISTINCT ON (v.id) v.id, (coalesce(c.modified_at, v.accepted_at) AT TIME ZONE 'UTC')::date FROM entity_version v "
        "LEFT JOIN change c ON c.id = v.change_id WHERE v.kind = 'order' AND v.id = ANY(%s) "
        "AND convert_from(v.canonical, 'UTF8')::jsonb->>'status' = ANY(%s) ORDER BY v.id, v.version",
        (list(order_ids), list(statuses)),
    )
    return dict(cur.fetchall())


def lines_of_orders(cur: Cursor, statuses: Sequence[str]) -> list[str]:
    """The lines of orders in these statuses, orders together."""
    cur.execute(
        "SELECT l.id FROM entity l JOIN entity o ON o.kind = 'order' AND o.id = l.order_id AND o.status = ANY(%s) "
        "WHERE l.kind = 'line' ORDER BY l.order_id, l.id",
        (list(statuses),),
    )
    return [row[0] for row in cur.fetchall()]


def billable_and_billed(cur: Cursor, line_ids: Sequence[str]) -> dict[tuple[str, date], tuple[int, int]]:
    """Of the line-periods of these lines (billable with all corrections, billed), net, in micros, as `report.line_month` has it.

    Not from that view: it reads every line to answer for one.
    """
    cur.execute(
        "SELECT l.line_id, l.period_start, coalesce(l.net, 0) + coalesce(b.corrected, 0)::bigint, coalesce(b.net, 0)::bigint "
        "FROM line_period l LEFT JOIN LATERAL (SELECT sum(x.net) "
        "FILTER (WHERE d.state <> 'proposed' AND d.mismatch = '') AS net, "
        "sum(x.net) FILTER (WHERE d.corrects IS NOT NULL) AS corrected FROM billing_position p "
        "JOIN billing_document d USING (document_id) "
        "CROSS JOIN LATERAL (SELECT CASE d.kind WHEN 'credit_memo' THEN -p.net ELSE p.net END AS net) x "
        "WHERE p.line_id = l.line_id AND p.period_start = l.period_start AND d.state <> 'withdrawn') b ON true "
        "WHERE l.line_id = ANY(%s)",
        (list(line_ids),),
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in cur.fetchall()}

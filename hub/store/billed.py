"""What the ERP holds of orders' bills: every document it has numbered or shows otherwise than it was billed, with what was paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from hub.store.database import Cursor


@dataclass(frozen=True, slots=True)
class BilledDocument:
    """One document as the ERP shows it. Amounts are micros, positive for credit memos too; `paid` is money alone."""

    document_id: str
    kind: str
    currency: str
    period_start: date
    period_end: date
    net: int
    number: str | None
    balance: int | None
    mismatch: bool
    paid: int
    corrects: str | None
    """Number of the invoice that it corrects."""


def of_orders(cur: Cursor, order_ids: Sequence[str]) -> dict[str, list[BilledDocument]]:
    """The documents of these orders, the latest period first, and within a period the latest document."""
    cur.execute(
        "SELECT d.order_id, d.document_id, d.kind, d.currency, d.period_start, d.period_end, d.net, d.number, d.balance, "
        "d.mismatch <> '', (SELECT coalesce(sum(p.amount), 0)::bigint FROM billing_payment p "
        "  WHERE p.document_id = d.document_id AND p.connection = d.connection AND p.by_document IS NULL AND NOT p.gone), "
        "c.number FROM billing_document d LEFT JOIN billing_document c ON c.document_id = d.corrects "
        "WHERE d.order_id = ANY(%s) AND d.state NOT IN ('proposed', 'withdrawn') AND (d.number IS NOT NULL OR d.mismatch <> '') "
        "ORDER BY d.period_start DESC, d.created_at DESC, d.number DESC, d.document_id",
        (list(order_ids),),
    )
    found: dict[str, list[BilledDocument]] = {}
    for order_id, *rest in cur.fetchall():
        found.setdefault(order_id, []).append(BilledDocument(*rest))
    return found

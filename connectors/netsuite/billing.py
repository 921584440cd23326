"""Invoices and credit memos as SuiteQL shows them: number, state, balance, payments, and what corrects them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from connectors.base import Native
from connectors.billing_document import DocumentShown, PaymentShown
from connectors.netsuite.error_table import odd_reply
from connectors.netsuite.session import AccountSession, Row
from connectors.netsuite.suiteql import day, is_id, moment, one_of_ids

INVOICE, CREDIT, PAYMENT = "CustInvc", "CustCred", "CustPymt"
KINDS: Mapping[str, str] = {INVOICE: "invoice", CREDIT: "credit_memo"}
COLUMNS = ", ".join(
    (
        "t.id",
        "t.type",
        "t.externalid",
        "t.tranid",
        "t.status",
        "t.voided",
        "t.approvalstatus",
        "c.symbol AS currency",
        "u.externalid AS party",
        day("t.trandate", "day"),
        day("t.duedate", "due"),
        "t.foreigntotal",
        "t.foreignamountunpaid",
        "t.foreignpaymentamountunused",
        moment("t.lastmodifieddate", "changed"),
    )
)
FROM = "transaction t INNER JOIN currency c ON c.id = t.currency LEFT JOIN customer u ON u.id = t.entity"
_STATES: Mapping[tuple[str, str], str] = {
    (INVOICE, "A"): "open",
    (INVOICE, "B"): "paid",
    (INVOICE, "D"): "pending_approval",
    (INVOICE, "E"): "rejected",
    (CREDIT, "A"): "open",
    (CREDIT, "B"): "applied",
}
"""States by type and status letter; NetSuite shows the letter alone or behind the type (`CustInvc:A`)."""

_LINKS = (
    "SELECT l.previousdoc, l.nextdoc, l.foreignamount, p.type, p.tranid, p.externalid, p.foreigntotal, "  # noqa: S608
    + day("p.trandate", "day")
    + " FROM nexttransactionlink l INNER JOIN transaction p ON p.id = l.{other} WHERE l.linktype = 'Payment' AND {these}"
    + " ORDER BY l.previousdoc, l.nextdoc"
)


def by_ids(session: AccountSession, ids: Sequence[str]) -> list[Row]:
    """The rows of named documents, in the order of their ids; at most 1000."""
    if not ids:
        return []
    statement = f"SELECT {COLUMNS} FROM {FROM} WHERE {one_of_ids('t.id', ids)} ORDER BY t.id"  # noqa: S608 - checked ids
    return session.query(statement, most=1000, record="transaction")


def applied_to(session: AccountSession, ids: Sequence[str]) -> list[Row]:
    """What payments and credit memos are applied to: one row for each link."""
    return _links(session, "previousdoc", "nextdoc", ids)


def natives(session: AccountSession, rows: Sequence[Row]) -> Sequence[Native]:
    """The documents as records `Invoice` and `CreditMemo`; two more queries a page, for payments and credits.

    `total` and `balance` are negative for a credit memo. A payment's amount is positive when it lowers what the buyer owes;
    `by_document` is the number of the credit memo that was set off, None for money. `balance` is None for a document that is
    not posted yet, and what remains unapplied for a credit memo.
    """
    invoices = [row["id"] for row in rows if row.get("type") == INVOICE]
    memos = [row["id"] for row in rows if row.get("type") == CREDIT]
    payments = _grouped(_links(session, "nextdoc", "previousdoc", invoices), "previousdoc")
    targets = _grouped(_links(session, "previousdoc", "nextdoc", memos), "nextdoc")
    return [_native(row, payments.get(row["id"], []), targets.get(row["id"], [])) for row in rows]


def _links(session: AccountSession, other: str, this: str, ids: Sequence[str]) -> list[Row]:
    if not ids:
        return []
    found: list[Row] = []
    for start in range(0, len(ids), 500):
        these = one_of_ids(f"l.{this}", ids[start : start + 500])
        found += session.query_all(_LINKS.format(other=other, these=these), record="nexttransactionlink")
    if not all(is_id(row.get("previousdoc")) and is_id(row.get("nextdoc")) for row in found):
        raise odd_reply("a link has no ids")
    return found


def _grouped(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _native(row: Row, payments: Sequence[Row], targets: Sequence[Row]) -> DocumentShown:
    kind, status = row.get("type", ""), row.get("status", "").rpartition(":")[2]
    memo = kind == CREDIT
    posted = row.get("approvalstatus", "2") == "2"
    state = "voided" if row.get("voided") == "T" else _STATES.get((kind, status), status)
    total = number(row, "foreigntotal")
    left = number(row, "foreignpaymentamountunused" if memo else "foreignamountunpaid")
    return {
        "id": row["id"],
        "reference": row.get("externalid"),
        "number": row.get("tranid"),
        "kind": KINDS[kind],
        "state": state,
        "party": row.get("party"),
        "currency": row.get("currency"),
        "date": _day(row, "day"),
        "due_date": _day(row, "due"),
        "total": total,
        "balance": (-left if memo else left) if posted else None,
        "payments": [_payment(link) for link in payments],
        "corrects": [link.get("externalid") or link["previousdoc"] for link in targets],
        "corrected_by": [
            {
                "id": link["nextdoc"],
                "reference": link.get("externalid"),
                "number": link.get("tranid"),
                "date": _day(link, "day"),
                "total": number(link, "foreigntotal"),
            }
            for link in payments
            if link.get("type") == CREDIT
        ],
    }


def _payment(link: Row) -> PaymentShown:
    return {
        "id": link["nextdoc"],
        "date": _day(link, "day"),
        "amount": number(link, "foreignamount"),
        "number": link.get("tranid"),
        "by_document": link.get("tranid") if link.get("type") == CREDIT else None,
    }


def number(row: Row, column: str) -> Decimal:
    """An amount; absent is zero, as SuiteQL leaves empty columns out."""
    text = row.get(column, "0")
    try:
        amount = Decimal(text) if len(text) <= 40 else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or abs(amount.adjusted()) > 40:
        raise odd_reply(f"the {column} of {row.get('id', 'a link')} is no number")
    return amount


def _day(row: Row, column: str) -> date | None:
    text = row.get(column)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise odd_reply(f"the {column} of {row.get('id', 'a link')} is no date") from None

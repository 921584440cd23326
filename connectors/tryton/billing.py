"""An invoice or credit memo as Tryton shows it after posting: number, state, balance, payments, and what corrects it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.base import Native
from connectors.billing_document import DocumentShown, PaymentShown
from connectors.tryton.directory import Rows, rows
from connectors.tryton.rpc import RpcSession

MODEL = "account.invoice"
FIELDS = [
    "last_modified_at",
    "number",
    "reference",
    "state",
    "invoice_date",
    "total_amount",
    "amount_to_pay",
    "party.code",
    "currency.code",
    "payment_lines",
    "reconciliation_lines",
    "origin_invoices",
]
"""What is asked of Tryton for one document."""

_LINE_FIELDS = [
    "date",
    "debit",
    "credit",
    "amount_second_currency",
    "second_currency.code",
    "move.number",
    "move.origin",
]


def natives(session: RpcSession, found: Rows) -> Sequence[Native]:
    """The documents as records `Invoice`; two more calls a page, for their payments and for their credits, and a third one
    where a credit was set off.

    `total` and `balance` have the sign they have in Tryton: negative for a credit memo. A payment's amount is positive when
    it lowers what the buyer owes, in the invoice's currency; `by_document` is the number of the credit memo that was matched with
    the invoice, `account.invoice,60` where the hub's user may not see it, None for money. `balance` is None for a draft, which
    is not owed yet.
    """
    lines = _payment_lines(session, found)
    numbers = _set_off(session, found, lines.values())
    credits_ = _corrections(session, [row["id"] for row in found])
    return [_native(row, lines, credits_.get(row["id"], []), numbers) for row in found]


def sale_native(row: dict[str, Any]) -> dict[str, Any]:
    """A sale as record `Sale`."""
    return {
        "id": row["id"],
        "reference": row["reference"],
        "number": row["number"],
        "state": row["state"],
        "party": (row.get("party.") or {}).get("code"),
        "currency": (row.get("currency.") or {}).get("code"),
        "date": row["sale_date"],
        "total": row["total_amount"],
    }


def _payment_lines(session: RpcSession, found: Rows) -> dict[int, dict[str, Any]]:
    ids = sorted({line for row in found for line in _line_ids(row)})
    if not ids:
        return {}
    read = rows(session.read("account.move.line", "read", ids, _LINE_FIELDS), "account.move.line.read")
    return {line["id"]: line for line in read}


def _set_off(session: RpcSession, found: Rows, lines: Iterable[dict[str, Any]]) -> dict[str, str]:
    """By `account.invoice,<id>`, the numbers of the documents that such move lines come from; only posted ones have any."""
    numbers = {f"{MODEL},{row['id']}": row["number"] for row in found if row["number"]}
    origins = {_origin(line) for line in lines}
    ids = sorted(int(one.partition(",")[2]) for one in origins if one.startswith(f"{MODEL},") and one not in numbers)
    if ids:
        read = session.read(MODEL, "search_read", [["id", "in", ids]], 0, None, None, ["number"])
        for row in rows(read, "account.invoice.search_read"):
            if row["number"]:
                numbers[f"{MODEL},{row['id']}"] = row["number"]
    return numbers


def _origin(line: dict[str, Any]) -> str:
    return str((line.get("move.") or {}).get("origin") or "")


def _line_ids(row: Native) -> Iterable[int]:
    return dict.fromkeys([*(row.get("payment_lines") or []), *(row.get("reconciliation_lines") or [])])


def _corrections(session: RpcSession, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """By invoice, the posted documents that correct it."""
    if not ids:
        return {}
    domain = [["origin_invoices", "in", list(ids)], ["number", "!=", None]]
    fields = ["number", "reference", "state", "invoice_date", "total_amount", "origin_invoices"]
    order = [["id", "ASC"]]
    found = rows(session.read(MODEL, "search_read", domain, 0, None, order, fields), "account.invoice.search_read")
    by_invoice: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        for corrected in row["origin_invoices"]:
            by_invoice.setdefault(corrected, []).append(row)
    return by_invoice


def _native(
    row: dict[str, Any], lines: dict[int, dict[str, Any]], corrections: Rows, numbers: Mapping[str, str]
) -> DocumentShown:
    currency = (row.get("currency.") or {}).get("code")
    posted = row["state"] in ("posted", "paid")
    return {
        "id": row["id"],
        "reference": row["reference"],
        "number": row["number"],
        "state": row["state"],
        "party": (row.get("party.") or {}).get("code"),
        "currency": currency,
        "date": row["invoice_date"],
        "total": row["total_amount"],
        "balance": row["amount_to_pay"] if posted or row["number"] else None,
        "payments": [_payment(row["id"], lines[line], currency, numbers) for line in _line_ids(row) if line in lines],
        "corrects": row["origin_invoices"] or [],
        "corrected_by": [
            {
                "id": one["id"],
                "reference": one["reference"],
                "number": one["number"],
                "date": one["invoice_date"],
                "total": one["total_amount"],
            }
            for one in corrections
        ],
    }


def _payment(invoice: int, line: dict[str, Any], currency: str | None, numbers: Mapping[str, str]) -> PaymentShown:
    second = (line.get("second_currency.") or {}).get("code")
    if second is not None and second == currency and line["amount_second_currency"] is not None:
        amount = -Decimal(line["amount_second_currency"])
    else:
        amount = Decimal(line["credit"]) - Decimal(line["debit"])
    origin = _origin(line)
    ours = f"{MODEL},{invoice}"  # a payment's move names the invoice it pays; a matched credit's its own document
    return {
        "id": line["id"],
        "date": line["date"],
        "amount": amount,
        "number": (line.get("move.") or {}).get("number"),
        "by_document": numbers.get(origin, origin) if origin.startswith(f"{MODEL},") and origin != ours else None,
    }

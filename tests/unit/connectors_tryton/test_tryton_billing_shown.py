"""A document as it is read back: what was set off against it is named by the number that people know."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any, cast

from connectors.tryton import billing
from connectors.tryton.rpc import RpcSession


class Books:
    """Answers reads of move lines and documents; what the hub's user may not see is absent."""

    def __init__(self, lines: list[dict[str, Any]], documents: list[dict[str, Any]]) -> None:
        self.lines, self.documents = lines, documents
        self.calls: Counter[str] = Counter()

    def read(self, model: str, method: str, *parameters: Any, context: Any = None) -> Any:
        self.calls[f"{model}.{method}"] += 1
        match model, method, parameters[0]:
            case "account.move.line", "read", ids:
                return [line for line in self.lines if line["id"] in ids]
            case "account.invoice", "search_read", [["id", "in", ids]]:
                return [one for one in self.documents if one["id"] in ids]
            case "account.invoice", "search_read", _:
                return []
        raise AssertionError((model, method, parameters))


def invoice(number: int, *lines: int) -> dict[str, Any]:
    return {
        "id": number,
        "number": f"INV-{number}",
        "reference": f"doc-{number}",
        "state": "posted",
        "invoice_date": date(2020, 3, 31),
        "total_amount": Decimal("100.00"),
        "amount_to_pay": Decimal("40.00"),
        "party.": {"code": "acme"},
        "currency.": {"code": "EUR"},
        "payment_lines": [],
        "reconciliation_lines": list(lines),
        "origin_invoices": None,
    }


def line(number: int, origin: str | None, credit: str = "10.00") -> dict[str, Any]:
    return {
        "id": number,
        "date": date(2020, 4, 30),
        "debit": Decimal(0),
        "credit": Decimal(credit),
        "amount_second_currency": None,
        "second_currency.": None,
        "move.": {"number": f"M-{number}", "origin": origin},
    }


def shown(books: Books, *documents: dict[str, Any]) -> list[list[str | None]]:
    found = billing.natives(cast(RpcSession, books), list(documents))
    return [[payment["by_document"] for payment in one["payments"]] for one in found]


def test_a_credit_that_was_set_off_is_named_by_its_number_and_money_by_nothing() -> None:
    lines = [line(1, "account.invoice,60"), line(2, "account.invoice,7"), line(3, None), line(4, "account.invoice,61")]
    books = Books(lines, [{"id": 60, "number": "CRN-60"}])
    assert shown(books, invoice(7, 1, 2, 3, 4)) == [["CRN-60", None, None, "account.invoice,61"]]


def test_the_numbers_of_a_page_are_asked_for_once_and_only_where_a_credit_was_set_off() -> None:
    lines = [line(1, "account.invoice,60"), line(2, "account.invoice,61"), line(3, "account.invoice,8")]
    books = Books(lines, [{"id": 60, "number": "CRN-60"}, {"id": 61, "number": "CRN-61"}])
    both = shown(books, invoice(7, 1, 3), invoice(8, 2))
    assert both == [["CRN-60", "INV-8"], ["CRN-61"]]
    assert books.calls["account.invoice.search_read"] == 2  # the numbers, and what corrects these documents
    plain = Books([line(3, None)], [])
    assert shown(plain, invoice(7, 3)) == [[None]]
    assert plain.calls["account.invoice.search_read"] == 1

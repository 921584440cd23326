"""Plays the people of finance in Tryton, as their client does it: payments, closed periods, drafts corrected or posted.

The hub never uses this; demo and scenarios do.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from cli.erp.company import PAYMENT_METHOD
from connectors.tryton.error_table import Question
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings

MOST_QUESTIONS = 5
"""Questions about one document that are answered; more than that is a person's surprise, not a routine."""

_PAGE = 200
_INVOICE = "account.invoice"
_PAY = "account.invoice.pay"


class Bookkeeper:
    """One person's session. Every method raises what Tryton refuses as RecordRejected."""

    def __init__(self, settings: TrytonSettings) -> None:
        self._session = RpcSession(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def invoices(self, reference: str) -> list[dict[str, Any]]:
        """Every document with this reference, whatever its state: `id`, `state`, `number`, `total_amount`, `amount_to_pay`."""
        fields = ["state", "number", "total_amount", "amount_to_pay", "invoice_date", "currency.code"]
        found: list[dict[str, Any]] = self._session.read(
            _INVOICE, "search_read", [["reference", "=", reference]], 0, None, [["id", "ASC"]], fields
        )
        return found

    def documents(self) -> list[dict[str, Any]]:
        """Every customer document, by id: `reference`, `description`, `state`, `number`, `total_amount`, `currency.`."""
        fields = ["reference", "description", "state", "number", "total_amount", "currency.code"]
        found: list[dict[str, Any]] = []
        while True:
            last = found[-1]["id"] if found else 0
            page = self._session.read(
                _INVOICE, "search_read", [["type", "=", "out"], ["id", ">", last]], 0, _PAGE, [["id", "ASC"]], fields
            )
            found += page
            if len(page) < _PAGE:
                return found

    def count(self) -> int:
        """How many documents there are."""
        return int(self._session.read(_INVOICE, "search_count", []))

    def pay(self, invoice: int, amount: Decimal, on: date) -> None:
        """Register a payment, in the invoice's currency; what is not the balance is entered as a part payment."""
        where = {"active_model": _INVOICE, "active_id": invoice, "active_ids": [invoice]}
        wizard, state, _ = self._session.wizard(_PAY, "create", context=where)
        view = self._session.wizard(_PAY, "execute", wizard, {}, state, context=where)
        start = {**_defaults(view), "amount": amount, "date": on, "payment_method": self._method()}
        view = self._session.wizard(_PAY, "execute", wizard, {"start": start}, "choice", context=where)
        if "view" in view:  # it asks what a payment that is not the balance means
            ask = {**_defaults(view), "type": "partial"}
            self._session.wizard(_PAY, "execute", wizard, {"start": start, "ask": ask}, "pay", context=where)
        self._session.wizard(_PAY, "delete", wizard, context=where)

    def match(self, invoice: int, memo: int) -> None:
        """Set a credit memo off against the invoice of the same amount."""
        documents = self._session.read(_INVOICE, "read", [invoice, memo], ["lines_to_pay"])
        lines = [line for one in documents for line in one["lines_to_pay"]]
        where = {"active_model": "account.move.line", "active_id": lines[0], "active_ids": lines}
        wizard, state, _ = self._session.wizard("account.move.reconcile_lines", "create", context=where)
        self._session.wizard("account.move.reconcile_lines", "execute", wizard, {}, state, context=where)
        self._session.wizard("account.move.reconcile_lines", "delete", wizard, context=where)

    def post(self, invoice: int) -> None:
        """Post a draft by hand, answering yes to whatever Tryton asks."""
        for _ in range(MOST_QUESTIONS):
            try:
                self._session.write(_INVOICE, "post", [invoice])
                return
            except Question as question:
                self._session.write("res.user.warning", "skip", question.name, False)
        self._session.write(_INVOICE, "post", [invoice])

    def redate(self, invoice: int, on: date) -> None:
        """Give a draft another date."""
        self._session.write(_INVOICE, "write", [invoice], {"invoice_date": on})

    def reprice(self, invoice: int, price: Decimal) -> None:
        """Give the first line of a draft another unit price."""
        lines = self._session.read("account.invoice.line", "search", [["invoice", "=", invoice]], 0, 1, None)
        self._session.write("account.invoice.line", "write", lines, {"unit_price": price})

    def delete_draft(self, invoice: int) -> None:
        """Throw a draft away; it leaves no trace."""
        self._session.write(_INVOICE, "delete", [invoice])

    def close_period(self, on: date) -> None:
        """Close the accounting period of a day."""
        self._session.write("account.period", "close", [self._period(on)])

    def reopen_period(self, on: date) -> None:
        """Open it again."""
        self._session.write("account.period", "reopen", [self._period(on)])

    def _period(self, on: date) -> int:
        found = self._session.read(
            "account.period", "search", [["start_date", "<=", on], ["end_date", ">=", on]], 0, 1, None
        )
        return int(found[0])

    def _method(self) -> int:
        found = self._session.read(
            "account.invoice.payment.method", "search", [["name", "=", PAYMENT_METHOD]], 0, 1, None
        )
        return int(found[0])


def _defaults(view: Mapping[str, Any]) -> dict[str, Any]:
    """The values a form opens with; nested names of records are for display only."""
    return {name: value for name, value in view["view"]["defaults"].items() if not name.endswith(".")}

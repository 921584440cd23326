"""What people do in the account through the control interface: customers, items, payments, edits, periods, preferences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.netsuite.account import NetSuiteAccount, Row
from sandbox.netsuite.app import NetSuiteApp
from sandbox.netsuite.contract import checked
from sandbox.netsuite.errors import NetSuiteError
from sandbox.serving import ControlApp, ControlError


def add_routes(control: ControlApp, account: NetSuiteAccount, app: NetSuiteApp) -> None:
    """Add the vendor's own control routes."""
    people = _People(account, app)
    routes: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "customer": people.customer,
        "item": people.item,
        "period": people.period,
        "preferences": people.preferences,
        "pay": people.pay,
        "enter": people.enter,
        "edit": people.edit,
        "approve": people.approve,
        "void": people.void,
        "setup": people.set_up,
    }
    for path, act in routes.items():
        control.add("POST", path, _routed(control, account, act))
    control.add("GET", "setup", lambda _body, _query: people.shown_setup())


def _routed(
    control: ControlApp, account: NetSuiteAccount, act: Callable[[Mapping[str, Any]], object]
) -> Callable[[Mapping[str, Any], Mapping[str, str]], object]:
    def routed(body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        try:
            with account.lock:
                answer = act(body)
        except NetSuiteError as error:
            raise ControlError(f"{error.code}: {error.detail}") from error
        control.snapshot.mark_changed()
        return answer

    return routed


class _People:
    def __init__(self, account: NetSuiteAccount, app: NetSuiteApp) -> None:
        self._account = account
        self._app = app

    def customer(self, body: Mapping[str, Any]) -> object:
        """A person makes or changes a customer: {"externalId", "companyName", "isInactive"...}."""
        key = f"eid:{body.get('externalId', '')}"
        row = self._app.books.find("customer", key)
        return {"id": self._app.books.save_customer(row, checked("customer", body, creating=row is None))["id"]}

    def item(self, body: Mapping[str, Any]) -> object:
        """A person makes or changes an item: {"itemid", "isinactive": "T" or "F"}."""
        items = self._account.tables["item"].values()
        row = next((item for item in items if item["itemid"] == body["itemid"]), None)
        if row is None:
            row = self._account.add("item", {"itemid": str(body["itemid"]), "isinactive": "F"})
        row["isinactive"] = "T" if body.get("isinactive") == "T" else "F"
        return {"id": row["id"]}

    def period(self, body: Mapping[str, Any]) -> object:
        """Close or open the period of a name: {"period": "2026-10", "closed": true}."""
        for row in self._account.tables["accountingperiod"].values():
            if row["periodname"] == body["period"]:
                row["closed"] = "T" if body.get("closed", True) else "F"
                return row
        raise ControlError(f"there is no period {body['period']!r}; names are like 2026-10")

    def preferences(self, body: Mapping[str, Any]) -> object:
        """Change how the account is set up; see `Preferences`."""
        self._account.prefer(body)
        return {"done": True}

    def pay(self, body: Mapping[str, Any]) -> object:
        """A payment arrives: {"invoice": id or eid:KEY, "amount": "12.50", "date"}."""
        invoice = self._app.books.get("invoice", str(body["invoice"]))
        day = date.fromisoformat(str(body.get("date", self._account.stamp()[:10]))).isoformat()
        payment = self._app.books.pay(invoice, Decimal(str(body["amount"])), day)
        return {"id": payment["id"], "tranId": payment["tranId"]}

    def enter(self, body: Mapping[str, Any]) -> object:
        """A person enters a transaction: {"record", "fields"}."""
        record = str(body["record"])
        return {
            "id": self._app.books.save(record, None, checked(record, _decimals(body["fields"]), creating=True))["id"]
        }

    def edit(self, body: Mapping[str, Any]) -> object:
        """A person edits a transaction: {"record", "key", "fields", "replace": ["item"]}."""
        row = self._transaction(body)
        fields = _decimals(body["fields"])
        values = checked(row["recordType"], fields, creating=False)
        return {"id": self._app.books.save(row["recordType"], row, values, replace=body.get("replace", []))["id"]}

    def approve(self, body: Mapping[str, Any]) -> object:
        """A person approves an invoice: {"record": "invoice", "key"}."""
        row = self._transaction(body)
        return {"id": self._app.books.save("invoice", row, {"approvalStatus": str(body.get("status", "2"))})["id"]}

    def void(self, body: Mapping[str, Any]) -> object:
        """A person voids a transaction: {"record", "key"}; its amounts become zero."""
        row = self._transaction(body)
        row.update(voided="T", total="0", subtotal="0", taxTotal="0", lastModifiedDate=self._account.stamp())
        return {"id": row["id"]}

    def _transaction(self, body: Mapping[str, Any]) -> Row:
        return self._app.books.get(str(body.get("record", "invoice")), str(body["key"]))

    def set_up(self, body: Mapping[str, Any]) -> object:
        """The integration: {"certificate_id", "certificate" (null revokes), "token_seconds", "concurrency"}; memory only."""
        if unknown := set(body) - {"certificate_id", "certificate", "token_seconds", "concurrency"}:
            raise ControlError(f"unknown keys {sorted(unknown)}")
        if "certificate" in body:
            self._app.tokens.map(str(body["certificate_id"]), body["certificate"])
        if "token_seconds" in body:
            self._app.tokens.life_seconds = float(body["token_seconds"])
        if "concurrency" in body:
            self._app.concurrency = int(body["concurrency"])
        return self.shown_setup()

    def shown_setup(self) -> object:
        """The integration, without tokens."""
        return {
            "account": self._account.account,
            "client_id": self._app.tokens.client_id,
            "certificates": self._app.tokens.certificates,
            "concurrency": self._app.concurrency,
        }


def _decimals(value: Any) -> Any:
    """Numbers of a person's request as the record service reads them."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {name: _decimals(inner) for name, inner in value.items()}
    return [_decimals(inner) for inner in value] if isinstance(value, list) else value

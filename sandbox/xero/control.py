"""What people do to the organisation through the control interface: set-up, payments, edits in the browser, webhooks."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from sandbox.serving import ControlApp, ControlError, format_instant
from sandbox.xero.app import XeroApp
from sandbox.xero.ledger import ID, Ledger, Refused

_CATEGORY_PATH = {"INVOICE": "Invoices", "CREDITNOTE": "CreditNotes", "CONTACT": "Contacts"}


def add_routes(control: ControlApp, ledger: Ledger, app: XeroApp) -> None:
    """Add the vendor's own control routes, all POST."""
    people = _People(control, ledger, app)
    for path in ("setup", "pay", "unpay", "status", "redate", "archive", "limits", "webhook"):
        control.add("POST", path, people.route(getattr(people, path)))


class _People:
    def __init__(self, control: ControlApp, ledger: Ledger, app: XeroApp) -> None:
        self._control, self._ledger, self._app = control, ledger, app

    def route(
        self, act: Callable[[Mapping[str, Any]], object]
    ) -> Callable[[Mapping[str, Any], Mapping[str, str]], object]:
        """A control route that reports refusals as sentences and marks the state as changed."""

        def routed(body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
            try:
                answer = act(body)
            except Refused as refused:
                raise ControlError(str(refused)) from refused
            self._control.snapshot.mark_changed()
            return answer

        return routed

    def setup(self, body: Mapping[str, Any]) -> object:
        """Change the organisation: rounding, rates, accounts, currencies, lock dates."""
        self._ledger.set_up(body)
        return self._ledger.setup

    def pay(self, body: Mapping[str, Any]) -> object:
        """A payment arrives: {"invoice": number, "amount": "12.00", "date", "reference"}."""
        day = date.fromisoformat(body["date"]) if "date" in body else self._ledger.clock.now().date()
        paid = self._ledger.pay(str(body["invoice"]), Decimal(str(body["amount"])), day, str(body.get("reference", "")))
        return {"id": paid["PaymentID"]}

    def unpay(self, body: Mapping[str, Any]) -> object:
        """A payment is deleted: {"id"}."""
        return {"id": self._ledger.unpay(str(body["id"]))["PaymentID"]}

    def status(self, body: Mapping[str, Any]) -> object:
        """Somebody changes a document's status: {"id", "status"}."""
        with self._ledger.lock:
            row = self._ledger.documents.get(str(body["id"]))
            if row is None:
                raise ControlError("there is no such document")
            self._ledger.update_document(row["kind"], {ID[row["kind"]]: body["id"], "Status": body["status"]})
            return {"status": row["Status"]}

    def redate(self, body: Mapping[str, Any]) -> object:
        """Finance gives a draft another date: {"id", "date"}."""
        self._ledger.redate(str(body["id"]), date.fromisoformat(body["date"]))
        return {"date": body["date"]}

    def archive(self, body: Mapping[str, Any]) -> object:
        """A contact is archived: {"number"}."""
        with self._ledger.lock:
            found = [c for c in self._ledger.contacts.values() if c["ContactNumber"] == body["number"]]
            if not found:
                raise ControlError("there is no such contact")
            found[0]["ContactStatus"] = "ARCHIVED"
            return {"archived": found[0]["ContactID"]}

    def limits(self, body: Mapping[str, Any]) -> object:
        """Set the limits: {"minute", "day"}; the calls so far are forgotten."""
        limits = self._app.limits
        limits.minute, limits.day = int(body.get("minute", limits.minute)), int(body.get("day", limits.day))
        limits.reset()
        return {"minute": limits.minute, "day": limits.day}

    def webhook(self, body: Mapping[str, Any]) -> object:
        """The notification of all events since `after`, signed with `key`: its raw body as text, and the signature."""
        after = int(body.get("after", 0))
        with self._ledger.lock:
            events = [self._event(event) for event in self._ledger.events[after:]]
        said = {
            "events": events,
            "firstEventSequence": after + 1,
            "lastEventSequence": after + len(events),
            "entropy": "S0m3",
        }
        raw = orjson.dumps(said)
        signature = b64encode(hmac.new(str(body["key"]).encode(), raw, hashlib.sha256).digest()).decode("ascii")
        return {"body": raw.decode(), "signature": signature}

    def _event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        path = _CATEGORY_PATH[event["category"]]
        shown = {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/{path}/{event['id']}",
            "resourceId": event["id"],
            "tenantId": self._ledger.tenant_id,
            "tenantType": "ORGANISATION",
            "eventCategory": event["category"],
            "eventType": event["type"],
            "eventDateUtc": format_instant(event["at"]).removesuffix("Z"),
        }
        if event["category"] == "CREDITNOTE":
            note = self._ledger.documents[event["id"]]
            shown["data"] = {"Type": note["Type"], "Status": note["Status"]}
        return shown

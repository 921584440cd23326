"""What people do to the org through the control interface: Setup, edits by another user, credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.salesforce.api.app import SalesforceApp
from sandbox.salesforce.errors import RecordRefused, SalesforceError
from sandbox.salesforce.facts import SObject
from sandbox.salesforce.records import Unit
from sandbox.salesforce.state import SalesforceOrg
from sandbox.serving import ControlApp, ControlError


def add_routes(control: ControlApp, org: SalesforceOrg, app: SalesforceApp) -> None:
    """Add the vendor's own control routes."""
    people = _People(org, app, control)
    routes: dict[str, Callable[[Mapping[str, Any]], object]] = {
        "fields": people.fields,
        "fls": people.security,
        "picklist": people.picklist,
        "currencies": people.currencies,
        "validation": people.validation,
        "create": people.create,
        "edit": people.edit,
        "delete": people.delete,
        "merge": people.merge,
        "setup": people.set_up,
        "usage": people.usage,
    }
    for path, route in routes.items():
        control.add("POST", path, people.route(route))
    control.add("GET", "setup", lambda _body, _query: people.shown_setup())


class _People:
    def __init__(self, org: SalesforceOrg, app: SalesforceApp, control: ControlApp) -> None:
        self._org = org
        self._app = app
        self._control = control

    def route(
        self, act: Callable[[Mapping[str, Any]], object]
    ) -> Callable[[Mapping[str, Any], Mapping[str, str]], object]:
        """A control route that reports the vendor's refusals as sentences and marks the state as changed."""

        def routed(body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
            try:
                with self._org.lock:
                    answer = act(body)
            except RecordRefused as refused:
                raise ControlError("; ".join(f"{e.code}: {e.message}" for e in refused.errors)) from refused
            except SalesforceError as error:
                raise ControlError(f"{error.code}: {error.message.strip()}") from error
            self._control.snapshot.mark_changed()
            return answer

        return routed

    # -- Setup

    def fields(self, body: Mapping[str, Any]) -> object:
        """Create, change or drop a field: {"object", "field", describe facts, plain or under "facts"} or {"drop": true}."""
        given = {name: value for name, value in body.items() if name not in ("object", "field", "drop", "facts")}
        facts = {**body.get("facts", {}), **given}
        if body.get("drop"):
            dropped = self._org.schema.drop_field(body["object"], body["field"])
            self._org.schema_touched()
            return {"dropped": dropped}
        field = self._org.schema.put_field(body["object"], body["field"], facts)
        self._org.schema_touched()
        return {"object": body["object"], "field": field.name, "type": field.type}

    def security(self, body: Mapping[str, Any]) -> object:
        """Field-level security of the integration user: {"object", "field", "visible", "editable"}."""
        visible = bool(body.get("visible", True))
        editable = bool(body.get("editable", visible)) and visible
        self._org.schema.secure(body["object"], body["field"], visible=visible, editable=editable)
        self._org.schema_touched()
        return {"object": body["object"], "field": body["field"], "visible": visible, "editable": editable}

    def picklist(self, body: Mapping[str, Any]) -> object:
        """Set the values of a picklist {"object", "field", "values", "restricted"}, or a stage {"stage", facts...}."""
        if "stage" in body:
            self._org.set_stage(body["stage"], {name: value for name, value in body.items() if name != "stage"})
        else:
            facts: dict[str, Any] = {"picklist": list(body["values"])}
            if "restricted" in body:
                facts["restrictedPicklist"] = bool(body["restricted"])
            self._org.schema.put_field(body["object"], body["field"], facts)
        self._org.schema_touched()
        return {"done": True}

    def currencies(self, body: Mapping[str, Any]) -> object:
        """Activate currencies: {"currencies": ["SEK", ...]} or {"currencies": {"SEK": {"ConversionRate": 9.6}}}."""
        wanted = body["currencies"]
        self._org.set_currencies(wanted if isinstance(wanted, dict) else {code: {} for code in wanted})
        self._org.schema_touched()
        rows = self._org.tables["CurrencyType"].rows.values()
        return {"active": sorted(row["IsoCode"] for row in rows if row["IsActive"])}

    def validation(self, body: Mapping[str, Any]) -> object:
        """Set a validation rule {"object", "name", "error_when": SOQL condition, "message", "field"} or {"drop": true}."""
        rule = None if body.get("drop") else body
        self._org.set_validation(body["object"], body["name"], rule)
        return {"object": body["object"], "name": body["name"], "active": rule is not None}

    # -- people at the screen

    def create(self, body: Mapping[str, Any]) -> object:
        """A person makes a record: {"object", "fields"}."""
        return {"id": self._save(body, lambda unit, s: unit.create(s, unit.payload_from_json(s, body["fields"])))}

    def edit(self, body: Mapping[str, Any]) -> object:
        """A person changes a record: {"object", "id", "fields"}."""
        fields = body["fields"]
        return {"id": self._save(body, lambda unit, s: unit.update(s, body["id"], unit.payload_from_json(s, fields)))}

    def delete(self, body: Mapping[str, Any]) -> object:
        """A person deletes a record: {"object", "id"}."""
        return {"id": self._save(body, lambda unit, s: unit.delete(s, body["id"]))}

    def merge(self, body: Mapping[str, Any]) -> object:
        """A person merges two accounts: {"master", "loser"}."""
        self._org.merge(body["master"], body["loser"])
        return {"master": body["master"], "loser": body["loser"]}

    def _save(self, body: Mapping[str, Any], save: Callable[[Unit, SObject], str]) -> str:
        with self._org.as_person() as unit:
            sobject = unit.view.find(str(body["object"]))
            if sobject is None:
                raise ControlError(f"there is no object '{body['object']}'; known are {sorted(unit.view.objects)}")
            return unit.attempt(lambda: save(unit, sobject))

    # -- the app and the day's limit

    def set_up(self, body: Mapping[str, Any]) -> object:
        """Credentials of the app: {"client_id", "client_secret", "certificate", "token_seconds"}; kept in memory only."""
        unknown = set(body) - {"client_id", "client_secret", "certificate", "token_seconds"}
        if unknown:
            raise ControlError(f"unknown keys {sorted(unknown)}")
        self._app.sessions.set_up(body)
        return self.shown_setup()

    def shown_setup(self) -> object:
        """The app without its secret."""
        app = self._app.sessions.app
        user = self._org.tables["User"].rows[self._org.run_as]
        return {
            "client_id": app.client_id,
            "has_secret": bool(app.secret),
            "has_certificate": app.public_key is not None,
            "username": user["Username"],
            "multi_currency": self._org.schema.multi_currency,
        }

    def usage(self, body: Mapping[str, Any]) -> object:
        """Set the daily limit {"limit"} or forget the day's calls {"reset": true}."""
        usage = self._app.service.usage
        if "limit" in body:
            usage.limit = int(body["limit"])
        if body.get("reset"):
            usage.reset()
        return {"used": usage.used(), "limit": usage.limit}

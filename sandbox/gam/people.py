"""The control routes of this vendor: what its people do (trafficker, administrator, readers who see ads).

POST attach            {"line_item_ids": [..]} | {"external_ids": [..]} | {"all_approved": true}
POST trafficker        {"auto_attach": true}   a creative for each line as its order is approved, and for all now
POST impressions       {"lines": [{"external_id", "impressions", "from", "until", "clicks"?,
                        "viewable_impressions"?, "video_completions"?}]}  true lifetime totals
POST restate           {"external_id", "day", "impressions", ...}  one day's figures replaced
POST custom_targeting  {"keys": {"interest": ["..", ..]}}  keys and values, added where they are missing
POST currencies        {"currencies": ["JPY", ..]}  secondary currencies of the network, added where they are missing
POST users             {"users": [{"email", "name"?, "role"?, "active"?}]}  added or changed by e-mail
POST custom_fields     {"fields": [{"name", "entity": "ORDER" | "LINE_ITEM"}]}
POST archive           {"order_ids": [..]}  whatever their lines do
POST edit              {"type": "Order" | "LineItem" | "Company", "id", "fields": {..}}  an edit by hand
POST service_account   {"token_uri"}: a key file for the API's service account, or
                       {"client_email", "public_key"}: a key that somebody else made
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sandbox.gam.creatives import attach_creative
from sandbox.gam.custom_targeting import add_key, add_value, key_problem, value_problem
from sandbox.gam.delivery import METRICS, Truth
from sandbox.gam.line_status import is_missing_creatives, line_status
from sandbox.gam.moments import read_moment, seconds
from sandbox.gam.network import Network
from sandbox.gam.order_actions import archive_order
from sandbox.gam.soap import Native
from sandbox.gam.tokens import make_key_file, register_key
from sandbox.gam.users import ROLES
from sandbox.serving import ControlApp, ControlError, parse_instant

Body = Mapping[str, Any]
_EDITABLE = ("Order", "LineItem", "Company")


class People:
    """Adds the routes to a control application; each takes the network's lock."""

    def __init__(self, network: Network, control: ControlApp) -> None:
        self._network = network
        self._control = control
        for path, act in (
            ("attach", self._attach),
            ("trafficker", self._trafficker),
            ("impressions", self._impressions),
            ("restate", self._restate),
            ("custom_targeting", self._custom_targeting),
            ("currencies", self._currencies),
            ("users", self._users),
            ("custom_fields", self._custom_fields),
            ("archive", self._archive),
            ("edit", self._edit),
            ("service_account", self._register_service_account),
        ):
            control.add("POST", path, self._locked(act))

    def _locked(self, act: Callable[[Body], object]) -> Callable[[Body, Mapping[str, str]], object]:
        def route(body: Body, _query: Mapping[str, str]) -> object:
            with self._network.lock:
                reply = act(body)
            self._control.snapshot.mark_changed()
            return reply

        return route

    def _attach(self, body: Body) -> object:
        _only(body, "line_item_ids", "external_ids", "all_approved")
        table = self._network.tables["LineItem"]
        lines: list[Native] = []
        if body.get("all_approved"):
            lines = [line for line in table if line["_review"] == "APPROVED"]
        for line_id in body.get("line_item_ids", ()):
            lines.append(_found(table.get(int(line_id)), f"line item {line_id}"))
        for external_id in body.get("external_ids", ()):
            found = table.having("externalid", str(external_id))
            lines += found or [_found(None, f"line item with external id '{external_id}'")]
        return {"lines": len(lines), "attached": self._attach_all(lines)}

    def _attach_all(self, lines: list[Native]) -> int:
        lacking = [line for line in lines if not line["isArchived"] and is_missing_creatives(self._network, line)]
        return sum(attach_creative(self._network, line) for line in lacking)

    def _trafficker(self, body: Body) -> object:
        _only(body, "auto_attach")
        self._network.auto_attach = bool(body.get("auto_attach", self._network.auto_attach))
        attached = 0
        if self._network.auto_attach:
            lines = [line for line in self._network.tables["LineItem"] if line["_review"] == "APPROVED"]
            attached = self._attach_all(lines)
        return {"auto_attach": self._network.auto_attach, "attached": attached}

    def _impressions(self, body: Body) -> object:
        _only(body, "lines")
        truths = [(str(line["external_id"]), self._truth(line)) for line in body["lines"]]
        for external_id, truth in truths:
            self._network.delivery.set(external_id, truth)
        return {"lines": len(truths)}

    def _truth(self, line: Body) -> Truth:
        """The totals of one line; without `from` and `until` the line must exist and gives its own flight."""
        _only(line, "external_id", "from", "until", *METRICS)
        external_id = str(line["external_id"])
        known = self._network.tables["LineItem"].having("externalid", external_id)
        start, end = line.get("from"), line.get("until")
        if (start is None or end is None) and not known:
            raise ControlError(f"no line item has the external id '{external_id}' yet; give 'from' and 'until'")
        if end is None and known[0]["_end"] is None:
            raise ControlError(f"the line item '{external_id}' has an open end; give 'until'")
        begin = known[0]["_start"] if start is None else seconds(parse_instant(str(start)))
        until = known[0]["_end"] if end is None else seconds(parse_instant(str(end)))
        if until <= begin:
            raise ControlError(f"the delivery of '{external_id}' ends before it starts")
        totals = {metric: int(line[metric]) for metric in METRICS if line.get(metric) is not None}
        if "impressions" not in totals or any(total < 0 for total in totals.values()):
            raise ControlError(f"'{external_id}' needs impressions, and no total may be negative")
        return Truth(begin, until, totals)

    def _restate(self, body: Body) -> object:
        _only(body, "external_id", "day", *METRICS)
        figures = {metric: int(body[metric]) for metric in METRICS if metric in body}
        external_id = str(body["external_id"])
        if self._network.delivery.get(external_id) is None:
            raise ControlError(f"no impressions were set for '{external_id}'; POST /control/impressions first")
        self._network.delivery.restate(external_id, date.fromisoformat(str(body["day"])), figures)
        return {"external_id": external_id, "day": body["day"], **figures}

    def _custom_targeting(self, body: Body) -> object:
        _only(body, "keys")
        keys, values = self._network.tables["CustomTargetingKey"], self._network.tables["CustomTargetingValue"]
        refused: list[dict[str, str]] = []
        shown: dict[str, object] = {}
        for name, wanted in dict(body["keys"]).items():
            known = keys.having("name", name)
            if not known and (problem := key_problem(self._network, name)):
                refused.append({"key": name, "reason": problem})
                continue
            key = known[0] if known else add_key(self._network, {"name": name, "type": "PREDEFINED"})
            present = {value["name"] for value in values.having("customtargetingkeyid", key["id"])}
            for text in dict.fromkeys(map(str, wanted)):
                if text in present:
                    continue
                if problem := value_problem(self._network, key["id"], text):
                    refused.append({"key": name, "value": text, "reason": problem})
                else:
                    add_value(self._network, {"customTargetingKeyId": key["id"], "name": text})
            shown[name] = {"id": key["id"], "values": len(values.having("customtargetingkeyid", key["id"]))}
        return {"keys": shown, "refused": refused}

    def _currencies(self, body: Body) -> object:
        _only(body, "currencies")
        wanted = [str(code) for code in body["currencies"]]
        for code in wanted:
            if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
                raise ControlError(f"'{code}' is no ISO 4217 code")
        known = self._network.currencies
        new = [code for code in dict.fromkeys(wanted) if code not in known]
        self._network.secondary_currencies = (*self._network.secondary_currencies, *new)
        return {"secondary_currencies": list(self._network.secondary_currencies)}

    def _users(self, body: Body) -> object:
        _only(body, "users")
        users = self._network.tables["User"]
        shown = []
        for wanted in body["users"]:
            _only(wanted, "email", "name", "role", "active", "is_service_account")
            email = str(wanted["email"])
            role = wanted.get("role")
            if role is not None and role not in ROLES:
                raise ControlError(f"there is no role '{role}'; there are {', '.join(ROLES)}")
            known = next((user for user in users if user["email"] == email), None)
            if known is None:
                known = self._network.add_user(
                    str(wanted.get("name", email)),
                    email,
                    str(role or "Trafficker"),
                    is_service_account=bool(wanted.get("is_service_account", False)),
                    now=self._network.now(),
                )
            known.update(
                name=str(wanted.get("name", known["name"])),
                roleName=role or known["roleName"],
                isActive=bool(wanted.get("active", known["isActive"])),
            )
            shown.append({"id": known["id"], "email": email, "role": known["roleName"], "active": known["isActive"]})
        return {"users": shown}

    def _custom_fields(self, body: Body) -> object:
        _only(body, "fields")
        table = self._network.tables["CustomField"]
        shown = []
        for wanted in body["fields"]:
            _only(wanted, "name", "entity")
            if wanted["entity"] not in ("ORDER", "LINE_ITEM"):
                raise ControlError(f"a custom field belongs to ORDER or LINE_ITEM, not to {wanted['entity']}")
            known = [row for row in table if (row["name"], row["entityType"]) == (wanted["name"], wanted["entity"])]
            row = known[0] if known else {"id": table.new_id(), "name": wanted["name"], "entityType": wanted["entity"]}
            table.put(row)
            shown.append(row)
        return {"fields": shown}

    def _archive(self, body: Body) -> object:
        _only(body, "order_ids")
        table = self._network.tables["Order"]
        orders = [_found(table.get(int(order_id)), f"order {order_id}") for order_id in body["order_ids"]]
        for order in orders:
            archive_order(self._network, order, self._network.now())
        return {"archived": len(orders)}

    def _edit(self, body: Body) -> object:
        """Change fields of an object as a person with all rights would: no rule is checked but the field's name."""
        _only(body, "type", "id", "fields")
        type_name, fields = str(body["type"]), dict(body["fields"])
        if type_name not in _EDITABLE:
            raise ControlError(f"{type_name} cannot be edited; {', '.join(_EDITABLE)} can")
        table = self._network.tables[type_name]
        old = _found(table.get(int(body["id"])), f"{type_name} {body['id']}")
        unknown = set(fields) - set(self._network.contract.fields(type_name)) | set(fields) & {"id"}
        if unknown:
            raise ControlError(f"{type_name} has no field {sorted(unknown)} that could be edited")
        row = {**old, **fields, "_modified": self._network.now()}
        if type_name == "LineItem":
            for name, instant in (("startDateTime", "_start"), ("endDateTime", "_end")):
                if name in fields:
                    row[instant] = _instant(row.pop(name))
            row["unlimitedEndDateTime"] = row["_end"] is None
        table.put(row)
        return {"type": type_name, "id": row["id"], "fields": sorted(fields)}

    def _register_service_account(self, body: Body) -> object:
        _only(body, "client_email", "public_key", "token_uri")
        if "public_key" in body:
            register_key(self._network, str(body["client_email"]), str(body["public_key"]))
            return {"client_email": body["client_email"]}
        return make_key_file(self._network, str(body["token_uri"]))


class TrueState:
    """The oracle: what GET /control/state shows, and what a state file keeps.

    Types: those of the tables and `Delivery` (per external id: the totals set, and what has been delivered). Objects
    have the vendor's form with the truth of the moment; `fields=a,b` narrows them, `order_id=` picks an order's lines.
    """

    def __init__(self, network: Network, show: Mapping[str, Callable[[Network, Native], Native]]) -> None:
        self._network = network
        self._show = show
        self.on_reset: Callable[[], None] = lambda: None

    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        """True objects of a type as JSON values."""
        network = self._network
        with network.lock:
            if type_name == "Delivery":
                shown = [self._delivery(external_id) for external_id in network.delivery.external_ids()]
            elif type_name in network.tables:
                rows: list[Native] = list(network.tables[type_name])
                if type_name == "LineItem" and "order_id" in query:
                    rows = network.tables["LineItem"].having("orderid", int(query["order_id"]))
                if query.get("fields") and not set(query["fields"].split(",")) - _QUICK:
                    shown = [self._quick(type_name, row) for row in rows]
                else:
                    shown = [self._show.get(type_name, _plain)(network, row) for row in rows]
            else:
                raise ControlError(f"no type '{type_name}'; there are {', '.join((*network.tables, 'Delivery'))}")
        if fields := query.get("fields"):
            wanted = fields.split(",")
            shown = [{name: row[name] for name in wanted if name in row} for row in shown]
        return shown

    def dump(self) -> Any:
        """The whole state as one JSON value."""
        return self._network.dump()

    def restore(self, dumped: Any) -> None:
        """Take over what `dump` returned."""
        self._network.restore(dumped)

    def reset(self) -> None:
        """Back to a fresh network."""
        self._network.reset()
        self.on_reset()

    def _quick(self, type_name: str, row: Native) -> Native:
        """The fields a checker of thousands of lines wants, without working out the rest."""
        shown = _plain(self._network, row)
        if type_name == "LineItem":
            shown["status"] = line_status(self._network, row, self._network.now())
        return shown

    def _delivery(self, external_id: str) -> Native:
        network = self._network
        truth = network.delivery.get(external_id)
        lines = network.tables["LineItem"].having("externalid", external_id)
        return {
            "externalId": external_id,
            "lineItemIds": [line["id"] for line in lines],
            "totals": truth.totals if truth else {},
            "delivered": network.delivery.lifetime(external_id, network.now()),
        }


_QUICK = {"id", "externalId", "orderId", "name", "status", "isArchived", "lineItemType"}


def _plain(_network: Network, row: Native) -> Native:
    return {name: value for name, value in row.items() if name[0] != "_"}


def _instant(value: Any) -> int | None:
    if value is None:
        return None
    return read_moment(value) if isinstance(value, dict) else seconds(parse_instant(str(value)))


def _found(row: Native | None, what: str) -> Native:
    if row is None:
        raise ControlError(f"there is no {what}")
    return row


def _only(body: Body, *keys: str) -> None:
    unknown = set(body) - set(keys)
    if unknown:
        raise ControlError(f"unknown keys {sorted(unknown)}; known are {sorted(keys)}")

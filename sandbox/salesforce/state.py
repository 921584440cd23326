"""The true state of the simulated org: schema, records, people, currencies, validation rules; behind one lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from sandbox.salesforce import soql
from sandbox.salesforce.errors import RecordError
from sandbox.salesforce.facts import FactError, SObject
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.records import Unit
from sandbox.salesforce.schema import Schema, View
from sandbox.salesforce.tables import Row, Table
from sandbox.salesforce.values import stamp
from sandbox.serving import Clock, ControlError

_SEED = yaml.safe_load((Path(__file__).parent / "org" / "seed.yaml").read_text("utf-8"))
_FORECAST = {
    "Omitted": "Omitted",
    "Pipeline": "Pipeline",
    "Best Case": "BestCase",
    "Commit": "Forecast",
    "Closed": "Closed",
}


class SalesforceOrg:
    """One org. Take `lock` around everything that reads or writes it.

    Args:
        clock: all time stamps come from it.
        multi_currency: whether CurrencyIsoCode and CurrencyType exist.
        template: name of the custom-field template, None for a bare org.

    Attributes:
        organization_id, run_as, other: ids of the org, of the integration's user and of the person at the screen.
        schema_changed_at: describe's Last-Modified.
        on_reset: called when the org starts afresh.
    """

    def __init__(self, clock: Clock, *, multi_currency: bool = True, template: str | None = "adsales") -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.schema = Schema(multi_currency=multi_currency, template=template)
        self._template = template
        self.tables: dict[str, Table] = {}
        self.counters: dict[str, int] = {}
        self._rules: dict[tuple[str, str], dict[str, Any]] = {}
        self.on_reset: Callable[[], None] = lambda: None
        self.reset()

    def reset(self) -> None:
        """Back to a fresh org. Part of the control interface."""
        with self.lock:
            self.schema.reset()
            self.tables = {name: Table(sobject) for name, sobject in self.schema.full.objects.items()}
            self.counters = {}
            self._rules = {}
            self._seed()
            self.schema_touched()
            self.on_reset()

    def _seed(self) -> None:
        now = stamp(self.clock.now())
        run_as = make_id("005", 1)
        for user in _SEED["users"].values():
            name = f"{user['FirstName']} {user['LastName']}"
            self._plant("User", {**user, "Name": name}, now, run_as)
        self._plant("Organization", _SEED["organization"], now, run_as)
        self.run_as, self.other = sorted(self.tables["User"].rows)
        self.organization_id = next(iter(self.tables["Organization"].rows))
        for place, (label, stage) in enumerate(_SEED["stages"].items(), start=1):
            self._plant("OpportunityStage", {"SortOrder": place, **_stage_row(label, stage)}, now, run_as)
        for name, book in _SEED["pricebooks"].items():
            self._plant("Pricebook2", {"Name": name, **book}, now, run_as)
        if self.schema.multi_currency:
            self.set_currencies(_SEED["currencies"])

    def _plant(self, object_name: str, values: Mapping[str, Any], now: str, by: str) -> str:
        sobject = self.schema.full.objects[object_name]
        counter = f"{object_name}/0"
        number = self.counters[counter] = self.counters.get(counter, 0) + 1
        row: Row = {f.name: f.default for f in sobject.fields if f.default is not None}
        row |= values
        row |= {"Id": make_id(sobject.keyPrefix, number), "CreatedById": by, "LastModifiedById": by}
        row |= {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
        if "currencyisocode" in sobject.by_key and object_name == "User":
            row["CurrencyIsoCode"] = next(iter(_SEED["currencies"]))
        self.tables[object_name].put(row)
        return str(row["Id"])

    # -- reading and writing records

    def unit(self, user_id: str, view: View) -> Unit:
        """A call that writes, at this moment."""
        self.counters["calls"] = calls = self.counters.get("calls", 0) + 1
        now = self.clock.now()
        return Unit(self.schema, self.tables, self.counters, now, user_id, view, self._violated, block=calls % 2)

    @contextmanager
    def as_person(self) -> Iterator[Unit]:
        """A call of the person at the screen, who sees everything. Holds the lock; refused calls leave nothing."""
        with self.lock:
            unit = self.unit(self.other, self.schema.full)
            try:
                yield unit
                unit.finish()
            except Exception:
                unit.roll_back()
                raise

    def query_org(self, view: View) -> soql.Org:
        """What a query reads at this moment; relative dates are those of the user's time zone."""
        zone = ZoneInfo(self.tables["User"].rows[self.run_as]["TimeZoneSidKey"])
        return soql.Org(view, self.tables, self.clock.now(), zone)

    def _violated(self, sobject: SObject, row: Row) -> RecordError | None:
        for (object_name, _), rule in self._rules.items():
            if object_name != sobject.name:
                continue
            full = self.schema.full
            if soql.matcher(rule["error_when"], self.query_org(full), full.objects[object_name])(row):
                fields = (rule["field"],) if rule.get("field") else ()
                return RecordError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule["message"], fields)
        return None

    # -- Setup

    def set_currencies(self, currencies: Mapping[str, Mapping[str, Any]]) -> None:
        """Activate currencies; the first one ever is the corporate currency. Others keep what they have.

        Raises:
            ControlError: a single-currency org, or a code that is no ISO 4217 form.
        """
        if not self.schema.multi_currency:
            raise ControlError("this org runs in single-currency mode; start it without --single-currency")
        now = stamp(self.clock.now())
        table = self.tables["CurrencyType"]
        for code, facts in currencies.items():
            if len(code) != 3 or not code.isalpha() or not code.isupper():
                raise ControlError(f"'{code}' is no ISO 4217 code")
            values = {
                "IsoCode": code,
                "ConversionRate": float(facts.get("ConversionRate", 1.0)),
                "DecimalPlaces": int(facts.get("DecimalPlaces", 2)),
                "IsActive": bool(facts.get("IsActive", True)),
            }
            old = next((row for row in table.rows.values() if row["IsoCode"] == code), None)
            if old is None:
                self._plant("CurrencyType", {**values, "IsCorporate": not table.rows}, now, self.run_as)
            else:
                table.put({**old, **values, "SystemModstamp": now, "LastModifiedDate": now})
        active = tuple(sorted(row["IsoCode"] for row in table.rows.values() if row["IsActive"]))
        self.schema.set_currencies(active)

    def set_stage(self, label: str, facts: Mapping[str, Any]) -> None:
        """Add an opportunity stage or change one."""
        now = stamp(self.clock.now())
        table = self.tables["OpportunityStage"]
        old = next((row for row in table.rows.values() if row["MasterLabel"] == label), None)
        if old is None:
            self._plant(
                "OpportunityStage", {"SortOrder": len(table.rows) + 1, **_stage_row(label, facts)}, now, self.run_as
            )
        else:
            kept = {
                name: old[name]
                for name in ("DefaultProbability", "ForecastCategoryName", "IsClosed", "IsWon", "IsActive")
            }
            table.put({**old, **_stage_row(label, {**kept, **facts}), "SystemModstamp": now})
        labels = [
            row["MasterLabel"]
            for row in sorted(table.rows.values(), key=lambda row: row["SortOrder"])
            if row["IsActive"]
        ]
        self.schema.put_field("Opportunity", "StageName", {"picklist": labels})

    def set_validation(self, object_name: str, name: str, rule: Mapping[str, Any] | None) -> None:
        """Set a validation rule, `{"error_when": SOQL condition, "message", "field"}`, or drop it with None.

        Raises:
            SalesforceError: the condition does not compile.
            FactError: no such object.
        """
        if rule is None:
            self._rules.pop((object_name, name), None)
            return
        sobject = self.schema.full.objects.get(object_name)
        if sobject is None:
            raise FactError(f"there is no object '{object_name}'")
        soql.matcher(str(rule["error_when"]), self.query_org(self.schema.full), sobject)
        self._rules[object_name, name] = {
            "error_when": str(rule["error_when"]),
            "message": str(rule["message"]),
            "field": rule.get("field"),
        }

    def schema_touched(self) -> None:
        """Let tables and describe follow a change of the schema."""
        self.schema_changed_at = self.clock.now().replace(microsecond=0)
        for name, table in self.tables.items():
            table.fit(self.schema.full.objects[name])

    def merge(self, master_id: str, loser_id: str) -> None:
        """Merge two accounts or contacts as a person does: the loser goes, its children move to the master.

        Raises:
            ControlError: the ids are not two live records of one mergeable object.
            RecordRefused: a record that is gone already.
        """
        with self.as_person() as unit:
            sobject = self.schema.full.by_prefix.get(master_id[:3])
            if sobject is None or not sobject.mergeable or not loser_id.startswith(sobject.keyPrefix):
                raise ControlError("master and loser must be two accounts or two contacts")
            master, loser = unit.existing(sobject, master_id), unit.existing(sobject, loser_id)
            if master["Id"] == loser["Id"]:
                raise ControlError("master and loser are the same record")
            for relationship in self.schema.full.children(sobject.name):
                table = self.tables[relationship.child]
                for child_id in sorted(table.children(relationship.field.name, loser["Id"])):
                    child = table.rows[child_id]
                    if not child.get("IsDeleted"):
                        moved = {relationship.field.name: master["Id"], "SystemModstamp": unit.stamp}
                        unit.write(relationship.child, {**child, **moved})
            changed = {"LastModifiedDate": unit.stamp, "LastModifiedById": unit.user_id, "SystemModstamp": unit.stamp}
            unit.write(sobject.name, {**loser, **changed, "IsDeleted": True, "MasterRecordId": master["Id"]})
            unit.write(sobject.name, {**master, **changed})

    # -- control interface: VendorState

    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        """True records of an object with all fields, deleted ones included; other keys of the query filter by value.

        Raises:
            ControlError: no such object.
        """
        with self.lock:
            sobject = self.schema.full.objects.get(type_name or "")
            if sobject is None:
                raise ControlError(f"no object '{type_name}'; known are {sorted(self.schema.full.objects)}")
            wanted = {name: value for name, value in query.items() if name != "type"}
            unknown = [name for name in wanted if name.lower() not in sobject.by_key]
            if unknown:
                raise ControlError(f"object '{sobject.name}' has no fields {unknown}")
            rows = sorted(self.tables[sobject.name].rows.values(), key=lambda row: str(row["Id"]))
            full = [{field.name: row.get(field.name) for field in sobject.fields} for row in rows]
        return [row for row in full if all(_shown(row[name]) == value for name, value in wanted.items())]

    def dump(self) -> Any:
        """The whole state as one JSON value; credentials are not part of it."""
        with self.lock:
            return {
                "multi_currency": self.schema.multi_currency,
                "template": self._template,
                "schema": self.schema.dump(),
                "schema_changed_at": self.schema_changed_at.isoformat(),
                "counters": dict(self.counters),
                "rows": {name: list(table.rows.values()) for name, table in self.tables.items()},
                "rules": [[*key, rule] for key, rule in self._rules.items()],
            }

    def restore(self, dumped: Any) -> None:
        """Take over what `dump` returned.

        Raises:
            ValueError: the state belongs to an org of another kind.
        """
        with self.lock:
            if (dumped["multi_currency"], dumped["template"]) != (self.schema.multi_currency, self._template):
                raise ValueError("the state file belongs to an org with another currency mode or template")
            self.schema.restore(dumped["schema"])
            self.counters = dict(dumped["counters"])
            self.tables = {name: Table(sobject) for name, sobject in self.schema.full.objects.items()}
            for name, rows in dumped["rows"].items():
                for row in rows:
                    self.tables[name].put(row)
            self._rules = {(o, n): rule for o, n, rule in dumped["rules"]}
            self.schema_changed_at = datetime.fromisoformat(dumped["schema_changed_at"])
            self.run_as, self.other = sorted(self.tables["User"].rows)
            self.organization_id = next(iter(self.tables["Organization"].rows))


def _stage_row(label: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    forecast = str(facts.get("ForecastCategoryName", "Pipeline"))
    if forecast not in _FORECAST:
        raise FactError(f"forecast category '{forecast}' is none of {sorted(_FORECAST)}")
    return {
        "MasterLabel": label,
        "ApiName": label,
        "IsActive": bool(facts.get("IsActive", True)),
        "IsClosed": bool(facts.get("IsClosed", False)),
        "IsWon": bool(facts.get("IsWon", False)),
        "DefaultProbability": float(facts.get("DefaultProbability", 0)),
        "ForecastCategoryName": forecast,
        "ForecastCategory": _FORECAST[forecast],
    }


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def epoch_millis(instant: datetime) -> str:
    """Milliseconds since 1970 as text, the form of OAuth's issued_at."""
    return str(int(instant.astimezone(UTC).timestamp() * 1000))

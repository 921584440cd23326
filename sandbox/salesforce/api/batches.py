"""`/composite/sobjects`: collections of up to 200 records, answered record by record in the order they came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed, records_of, true_word
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import RecordError, RecordRefused, SalesforceError, not_found, refuse
from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.ids import normalise
from sandbox.salesforce.records import Unit, duplicates_in_request
from sandbox.salesforce.tables import lookup_key
from sandbox.salesforce.values import read_json

MAX_RECORDS = 200
MAX_CHUNKS = 10
_ROLLED_BACK = RecordError(
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "Record rolled back because not all records were valid and the request was using AllOrNone header",
)


@dataclass(frozen=True)
class _Item:
    """One record of a collection and what is to be done with it; returns its id and whether it is new."""

    sobject: SObject | None
    do: Callable[[Unit], tuple[str, bool]]


class Batches:
    """The collections resource."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404 or 405.
        """
        rest = call.segments[2:]
        count = records_of(call.body)
        if not rest:
            if call.method == "POST":
                return self._operation(call, "create", count, lambda name: self._create(call, name))
            if call.method == "PATCH":
                return self._operation(call, "update", count, lambda name: self._update(call, name))
            if call.method == "DELETE":
                ids = [id_.strip() for id_ in call.query.get("ids", "").split(",") if id_.strip()]
                name = f"DELETE collections {self._name_of_id(ids)}"
                return Operation(name, "act", lambda: self._delete(call, ids, name), True, len(ids))
            raise not_allowed(call.method, ("DELETE", "PATCH", "POST"))
        if len(rest) == 1 and call.method in ("GET", "POST"):
            return Operation(f"GET collections {rest[0]}", "read", lambda: self._read(call, rest[0]))
        if len(rest) == 2:
            if call.method != "PATCH":
                raise not_allowed(call.method, ("PATCH",))
            if not call.at_least(46.0):
                raise not_found()
            name = f"PATCH collections {rest[0]}"
            return Operation(name, "update", lambda: self._upsert(call, rest[0], rest[1], name), True, count)
        raise not_found()

    def _operation(self, call: Call, kind: Any, count: int, run: Callable[[str], Reply]) -> Operation:
        name = f"{call.method} collections {_first_type(call)}"
        return Operation(name, kind, lambda: run(name), True, count)

    def _name_of_id(self, ids: list[str]) -> str:
        sobject = self._service.view.by_prefix.get(ids[0][:3]) if ids else None
        return sobject.name if sobject else ""

    # -- the four writes

    def _create(self, call: Call, operation: str) -> Reply:
        records, all_or_none = self._records(call)

        def item(record: dict[str, Any]) -> _Item:
            sobject = self._type_of(record)
            return _Item(sobject, lambda unit: (unit.create(sobject, unit.payload_from_json(sobject, record)), True))

        return Reply(200, self._run(call, operation, [item(record) for record in records], all_or_none))

    def _update(self, call: Call, operation: str) -> Reply:
        records, all_or_none = self._records(call)

        def item(record: dict[str, Any]) -> _Item:
            sobject = self._type_of(record)

            def do(unit: Unit) -> tuple[str, bool]:
                payload = unit.payload_from_json(sobject, record)
                if normalise(payload.id) in twice:
                    raise refuse("DUPLICATE_VALUE", f"duplicate id in list: {payload.id}", ["Id"])
                return unit.update(sobject, payload.id, payload), False

            return _Item(sobject, do)

        ids = [normalise(next((v for k, v in record.items() if k.lower() == "id"), None)) for record in records]
        twice = {id_ for id_ in ids if id_ is not None and ids.count(id_) > 1}
        return Reply(200, self._run(call, operation, [item(record) for record in records], all_or_none))

    def _upsert(self, call: Call, name: str, key_name: str, operation: str) -> Reply:
        sobject = self._service.sobject(name)
        key = sobject.by_key.get(key_name.lower())
        if key is None or not key.idLookup:
            message = (
                f"Field name provided, {key_name} does not match an External ID, Salesforce Id, or indexed field for "
                f"{sobject.name}"
            )
            raise SalesforceError(400, "INVALID_FIELD", message)
        records, all_or_none = self._records(call)
        for record in records:
            if self._type_of(record).name != sobject.name:
                message = f"Record type must match the type in the URI: {sobject.name}"
                raise SalesforceError(400, "INVALID_INPUT", message)
        twice = duplicates_in_request((key, _raw(record, key)) for record in records)
        items = [self._upsert_item(sobject, key, record, twice) for record in records]
        results = self._run(call, operation, items, all_or_none, upsert=True)
        return Reply(200, results)

    def _upsert_item(self, sobject: SObject, key: Field, record: dict[str, Any], twice: set[Any]) -> _Item:
        def do(unit: Unit) -> tuple[str, bool]:
            payload = unit.payload_from_json(sobject, record)
            raw = _raw(record, key)
            if isinstance(raw, str) and lookup_key(key, raw) in twice:
                raise refuse("DUPLICATE_VALUE", f"Duplicate external id specified: {raw}", [key.name])
            if key.type == "id":
                return unit.upsert(sobject, key, payload.id, payload)
            if payload.id is not None:
                message = "The Id field should not be specified in the sobject data."
                raise refuse("INVALID_FIELD", message, ["Id"])
            return unit.upsert(sobject, key, read_json(key, raw), payload)

        return _Item(sobject, do)

    def _delete(self, call: Call, ids: list[str], operation: str) -> Reply:
        _limit(len(ids))

        def item(id_: str) -> _Item:
            sobject = self._service.view.by_prefix.get(id_[:3])

            def do(unit: Unit) -> tuple[str, bool]:
                if sobject is None or normalise(id_) is None:
                    raise refuse("MALFORMED_ID", f"malformed id {id_}")
                return unit.delete(sobject, id_), False

            return _Item(sobject, do)

        all_or_none = true_word(call.query.get("allOrNone"))
        return Reply(200, self._run(call, operation, [item(id_) for id_ in ids], all_or_none))

    def _run(
        self, call: Call, operation: str, items: list[_Item], all_or_none: bool, *, upsert: bool = False
    ) -> list[dict[str, Any]]:
        """Do each record by itself; results in order. With all-or-none one refusal takes all back."""
        _limit_chunks([item.sobject.name if item.sobject else "" for item in items])
        refusals = self._service.lock_refusals(operation, len(items))
        outcomes: list[tuple[str, bool] | RecordRefused] = []
        with self._service.writing(call, operation) as unit:
            mark = unit.savepoint()
            for index, item in enumerate(items):
                try:
                    if index in refusals:
                        raise RecordRefused((refusals[index],))
                    outcomes.append(unit.attempt(lambda item=item: item.do(unit)))  # type: ignore[misc]
                except RecordRefused as refused:
                    outcomes.append(refused)
            failed = any(isinstance(outcome, RecordRefused) for outcome in outcomes)
            if failed and all_or_none:
                unit.return_to(mark)
        results: list[dict[str, Any]] = []
        for outcome in outcomes:
            if isinstance(outcome, RecordRefused):
                result: dict[str, Any] = {"success": False, "errors": [e.as_result() for e in outcome.errors]}
            elif failed and all_or_none:
                result = {"success": False, "errors": [_ROLLED_BACK.as_result()]}
            else:
                result = {"id": outcome[0], "success": True, "errors": []}
            if upsert:
                result["created"] = not isinstance(outcome, RecordRefused) and result["success"] and outcome[1]
            results.append(result)
        return results

    # -- reading

    def _read(self, call: Call, name: str) -> Reply:
        """Records by id, null where there is none."""
        sobject = self._service.sobject(name)
        if call.method == "POST":
            ids, names = call.json_object.get("ids", []), call.json_object.get("fields", [])
        else:
            ids, names = call.query.get("ids", "").split(","), call.query.get("fields", "").split(",")
        if len(ids) > 2000:
            raise SalesforceError(
                400, "EXCEEDED_ID_LIMIT", "record limit reached. cannot retrieve more than 2000 records"
            )
        fields = []
        for name_ in names:
            field = sobject.by_key.get(str(name_).strip().lower())
            if field is None:
                message = f"No such column '{name_}' on sobject of type {sobject.name}"
                raise SalesforceError(400, "INVALID_FIELD", message)
            fields.append(field)
        found: list[dict[str, Any] | None] = []
        with self._service.org.lock:
            rows = self._service.org.tables[sobject.name].rows
            for id_ in ids:
                row = rows.get(normalise(str(id_).strip()) or "")
                if row is None or row.get("IsDeleted"):
                    found.append(None)
                    continue
                url = f"{call.prefix}/sobjects/{sobject.name}/{row['Id']}"
                values = {field.name: row.get(field.name) for field in fields}
                found.append({"attributes": {"type": sobject.name, "url": url}, **values})
        return Reply(200, found)

    # -- the request's form

    def _records(self, call: Call) -> tuple[list[dict[str, Any]], bool]:
        body = call.json_object
        records = body.get("records")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            message = "The request body must hold a list of objects named records"
            raise SalesforceError(400, "JSON_PARSER_ERROR", message)
        _limit(len(records))
        return records, bool(body.get("allOrNone", False))

    def _type_of(self, record: dict[str, Any]) -> SObject:
        attributes = record.get("attributes")
        name = attributes.get("type") if isinstance(attributes, dict) else None
        if not isinstance(name, str):
            raise SalesforceError(400, "INVALID_INPUT", "Each record must contain an attributes map with a type")
        sobject = self._service.view.find(name)
        if sobject is None:
            message = f"sObject type '{name}' is not supported."
            raise SalesforceError(400, "INVALID_TYPE", message)
        return sobject


def _raw(record: dict[str, Any], key: Field) -> Any:
    return next((value for name, value in record.items() if name.lower() == key.key), None)


def _limit(count: int) -> None:
    if count > MAX_RECORDS:
        message = f"record limit reached. cannot submit more than {MAX_RECORDS} records into this call"
        raise SalesforceError(400, "EXCEEDED_ID_LIMIT", message)


def _limit_chunks(types: list[str]) -> None:
    """The vendor works through runs of one type; more than ten runs in a call are refused."""
    chunks = sum(1 for index, name in enumerate(types) if index == 0 or types[index - 1] != name)
    if chunks > MAX_CHUNKS:
        what = f"Cannot have more than {MAX_CHUNKS} chunks in a single operation."
        message = f"{what} Please rearrange the data to reduce chunking."
        raise SalesforceError(400, "INVALID_INPUT", message)


def _first_type(call: Call) -> str:
    try:
        return str(call.json_object["records"][0]["attributes"]["type"])
    except (SalesforceError, KeyError, IndexError, TypeError):
        return "unknown"

"""`/sobjects`: describe and single records, by id or by external id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from sandbox.salesforce.api.describe import describe_global, describe_object, describe_summary
from sandbox.salesforce.api.http import Call, Operation, Reply, not_allowed
from sandbox.salesforce.api.service import Service
from sandbox.salesforce.errors import NotSimulatedError, SalesforceError, not_found
from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.ids import normalise
from sandbox.salesforce.records import Payload, Unit
from sandbox.salesforce.tables import Row

_NOT_SIMULATED = ("updated", "deleted", "listviews", "layouts", "quickActions", "relevantItems")


class Rows:
    """The sobjects resource."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def plan(self, call: Call) -> Operation:
        """Which operation a request is.

        Raises:
            SalesforceError: 404, 405 or NotSimulatedError.
        """
        rest = call.segments[1:]
        if not rest:
            return self._get(call, "describe global", "describe", lambda: self._describe(call, None))
        name = rest[0]
        if len(rest) == 1:
            if call.method == "POST":
                operation = f"POST sobjects {name}"
                return Operation(operation, "create", lambda: self._create(call, name, operation), True, 1)
            return self._get(call, f"describe basic {name}", "describe", lambda: self._basic(call, name), "POST")
        if len(rest) == 2 and rest[1] == "describe":
            return self._get(call, f"describe {name}", "describe", lambda: self._describe(call, name))
        if rest[1] in _NOT_SIMULATED or (rest[1] == "describe" and len(rest) > 2):
            raise NotSimulatedError(f"REST resource sobjects/{name}/{'/'.join(rest[1:])}")
        if len(rest) == 2:
            return self._record(call, name, "Id", rest[1])
        if len(rest) == 3:
            return self._record(call, name, rest[1], rest[2])
        raise not_found()

    def _get(self, call: Call, name: str, kind: Any, run: Callable[[], Reply], *others: str) -> Operation:
        if call.method not in ("GET", "HEAD"):
            raise not_allowed(call.method, ("GET", "HEAD", *others))
        return Operation(name, kind, run)

    def _record(self, call: Call, name: str, key: str, value: str) -> Operation:
        by_key = "" if key == "Id" else f" by {key}"
        operation = f"{call.method} sobjects {name}{by_key}"
        if call.method == "GET":
            return Operation(operation, "read", lambda: self._read(call, name, key, value), records=1)
        if call.method == "PATCH":
            return Operation(operation, "update", lambda: self._write(call, name, key, value, operation), True, 1)
        if call.method == "DELETE":
            return Operation(operation, "act", lambda: self._delete(call, name, key, value, operation), True, 1)
        raise not_allowed(call.method, ("DELETE", "GET", "HEAD", "PATCH"))

    # -- describe

    def _describe(self, call: Call, name: str | None) -> Reply:
        with self._service.org.lock:
            modified = self._service.org.schema_changed_at
            tag = f'"{self._service.org.schema.changed:08x}"'
            headers = {"ETag": tag, "Last-Modified": format_datetime(modified, usegmt=True)}
            if (since := call.headers.get("if-modified-since")) and _not_modified(modified, since):
                return Reply(304, headers=headers)
            view = self._service.view
            if name is None:
                return Reply(200, describe_global(view, call.prefix), headers)
            return Reply(200, describe_object(self._service.sobject(name), view, call.prefix), headers)

    def _basic(self, call: Call, name: str) -> Reply:
        summary = describe_summary(self._service.sobject(name), call.prefix)
        return Reply(200, {"objectDescribe": summary, "recentItems": []})

    # -- records

    def _create(self, call: Call, name: str, operation: str) -> Reply:
        sobject = self._service.sobject(name)
        body = call.json_object
        self._service.refuse_locked(operation)
        with self._service.writing(call, operation) as unit:
            id_ = unit.attempt(lambda: unit.create(sobject, unit.payload_from_json(sobject, body)))
        location = {"Location": f"{call.prefix}/sobjects/{sobject.name}/{id_}"}
        return Reply(201, {"id": id_, "success": True, "errors": []}, location)

    def _read(self, call: Call, name: str, key: str, value: str) -> Reply:
        sobject = self._service.sobject(name)
        with self._service.org.lock:
            found = self._find(sobject, key, value)
            if len(found) > 1:
                return self._several(call, sobject, found)
            row = self._live(sobject, found)
        names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
        fields = [self._field(sobject, name) for name in names] if names else list(sobject.fields)
        url = f"{call.prefix}/sobjects/{sobject.name}/{row['Id']}"
        values = {field.name: row.get(field.name) for field in fields}
        return Reply(200, {"attributes": {"type": sobject.name, "url": url}, **values})

    def _write(self, call: Call, name: str, key: str, value: str, operation: str) -> Reply:
        sobject = self._service.sobject(name)
        body = call.json_object
        for given in body:
            if given.lower() in ("id", key.lower()):
                message = f"The {given} field should not be specified in the sobject data."
                raise SalesforceError(400, "INVALID_FIELD", message)
        self._service.refuse_locked(operation)
        with self._service.writing(call, operation) as unit:
            found = self._find(sobject, key, value)
            if len(found) > 1:
                return self._several(call, sobject, found)
            if key == "Id":
                row = self._live(sobject, found)
                unit.attempt(lambda: unit.update(sobject, row["Id"], unit.payload_from_json(sobject, body)))
                return Reply(204)
            id_, created = unit.attempt(lambda: self._upsert(unit, sobject, key, value, body))
        if not created and not call.at_least(46.0):
            return Reply(204)
        return Reply(201 if created else 200, {"id": id_, "success": True, "errors": [], "created": created})

    def _upsert(self, unit: Unit, sobject: SObject, key: str, value: str, body: dict[str, Any]) -> tuple[str, bool]:
        payload: Payload = unit.payload_from_json(sobject, body)
        return unit.upsert(sobject, sobject.by_key[key.lower()], value, payload)

    def _delete(self, call: Call, name: str, key: str, value: str, operation: str) -> Reply:
        sobject = self._service.sobject(name)
        self._service.refuse_locked(operation)
        with self._service.writing(call, operation) as unit:
            found = self._find(sobject, key, value)
            if len(found) > 1:
                return self._several(call, sobject, found)
            row = self._live(sobject, found)
            unit.attempt(lambda: unit.delete(sobject, row["Id"]))
        return Reply(204)

    def _find(self, sobject: SObject, key: str, value: str) -> list[str]:
        if key == "Id":
            id_ = normalise(value)
            if id_ is None:
                raise not_found(f"Provided external ID field does not exist or is not accessible: {value}")
            if not id_.startswith(sobject.keyPrefix):
                message = f"{sobject.label} ID: id value of incorrect type: {value}"
                raise SalesforceError(400, "MALFORMED_ID", message, {"fields": ["Id"]})
            return [id_]
        field = sobject.by_key.get(key.lower())
        if field is None or not field.idLookup:
            raise not_found(f"Provided external ID field does not exist or is not accessible: {key}")
        if field.type == "id":
            return self._find(sobject, "Id", value)
        return self._service.org.tables[sobject.name].find(field, value)

    def _live(self, sobject: SObject, found: list[str]) -> Row:
        row = self._service.org.tables[sobject.name].rows.get(found[0]) if found else None
        if row is None:
            raise not_found()
        if row.get("IsDeleted"):
            raise SalesforceError(404, "ENTITY_IS_DELETED", "entity is deleted", {"fields": []})
        return row

    def _several(self, call: Call, sobject: SObject, found: list[str]) -> Reply:
        """More than one record has the external id: 300 with their addresses."""
        return Reply(300, [f"{call.prefix}/sobjects/{sobject.name}/{id_}" for id_ in found])

    def _field(self, sobject: SObject, name: str) -> Field:
        field = sobject.by_key.get(name.lower())
        if field is None:
            message = f"No such column '{name}' on sobject of type {sobject.name}"
            raise SalesforceError(400, "INVALID_FIELD", message)
        return field


def _not_modified(modified: Any, since: str) -> bool:
    try:
        asked = parsedate_to_datetime(since)
    except ValueError:
        return False
    return bool(modified <= (asked if asked.tzinfo else asked.replace(tzinfo=UTC)))

"""The contract of the simulated records: reads `records.yaml` and holds request bodies against it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from sandbox.netsuite.errors import NetSuiteError, content

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_DIGITS = 18


@dataclass(frozen=True)
class Field:
    """One field of a record or of a sublist's line."""

    type: str
    to: str = ""
    length: int = 0
    read: bool = False
    need: bool = False
    fields: Mapping[str, Field] = field(default_factory=dict)


@cache
def records() -> Mapping[str, Mapping[str, Field]]:
    """The fields of each record type, by the vendor's name."""
    table = yaml.safe_load(files("sandbox.netsuite.contract").joinpath("records.yaml").read_text("utf-8"))
    return {name: _fields(described) for name, described in table["records"].items()}


def _fields(described: Mapping[str, Any]) -> Mapping[str, Field]:
    return {
        name: Field(**{**facts, "fields": _fields(facts["fields"])} if "fields" in facts else facts)
        for name, facts in described.items()
    }


def fields_of(record: str) -> Mapping[str, Field]:
    """The fields of a record type. Raises NetSuiteError 404 for a type there is none of."""
    found = records().get(record)
    if found is None:
        raise NetSuiteError(404, "NOT_FOUND", f"Record type '{record}' does not exist.")
    return found


def checked(record: str, body: object, *, creating: bool) -> dict[str, Any]:
    """The body as values: decimals as Decimal, references as ids, sublists as lists of lines.

    Raises NetSuiteError INVALID_CONTENT with the path of the first thing that does not fit.
    """
    return _object(fields_of(record), body, "", creating=creating)


def _object(fields: Mapping[str, Field], body: object, path: str, *, creating: bool) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise content("The request body must be a JSON object.", path)
    values: dict[str, Any] = {}
    for name, value in body.items():
        here = f"{path}.{name}" if path else str(name)
        known = fields.get(name)
        if known is None:
            raise content(f"Unknown reference or property {name}.", here)
        if known.read:
            if path or name != "id":
                raise content(f"The property {name} is read-only.", here)
            continue
        values[name] = None if value is None else _value(known, value, here, creating=creating)
    if creating:
        for name, known in fields.items():
            if known.need and values.get(name) in (None, []):
                here = f"{path}.{name}" if path else name
                raise content(f"Please enter value(s) for: {name}.", here)
    return values


def _value(known: Field, value: object, path: str, *, creating: bool) -> Any:
    wrong = content(f"Invalid value for the property: {known.type} expected.", path)
    if known.type == "string":
        if not isinstance(value, str):
            raise wrong
        if known.length and len(value) > known.length:
            raise content(
                f"The field contained more than the maximum number ({known.length}) of characters allowed.", path
            )
        return value
    if known.type == "boolean":
        if not isinstance(value, bool):
            raise wrong
        return value
    if known.type in ("decimal", "integer"):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | Decimal)
            or (known.type == "integer" and value != int(value))
        ):
            raise wrong
        number = Decimal(value)
        if len(number.as_tuple().digits) > _MOST_DIGITS:
            raise wrong
        return int(number) if known.type == "integer" else number
    if known.type == "date":
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise wrong
        try:
            date.fromisoformat(value)
        except ValueError:
            raise wrong from None
        return value
    if known.type == "reference":
        return _reference(value, path)
    lines = value.get("items") if isinstance(value, Mapping) and set(value) <= {"items"} else None
    if not isinstance(lines, list):
        raise content("A sublist is an object with the property items.", path)
    return [
        _object(known.fields, line, f"{path}.items[{number}]", creating=creating) for number, line in enumerate(lines)
    ]


def _reference(value: object, path: str) -> str:
    """The id of `{"id": "45"}`; the vendor also takes the id as a number inside it."""
    named = value.get("id") if isinstance(value, Mapping) else None
    if isinstance(named, bool) or not isinstance(named, str | int) or not str(named):
        raise content("Invalid reference: an object with the property id is expected.", path)
    return str(named)

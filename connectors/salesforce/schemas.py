"""The standard objects the connector reads and writes, as data: `objects.json`.

Source: the vendor's object reference; what a recorded describe of a real org says is compared by a test. Custom fields
(`__c`) are every org's own and are not listed. `multicurrency` fields exist only in orgs with several currencies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from connectors.record_schema import FieldSchema, FieldType, RecordSchema

CUSTOM_SUFFIX = "__c"
ID_LENGTH = 18

TYPES: Mapping[str, FieldType] = {
    "id": FieldType.ID,
    "reference": FieldType.ID,
    "string": FieldType.STRING,
    "textarea": FieldType.STRING,
    "phone": FieldType.STRING,
    "email": FieldType.STRING,
    "url": FieldType.STRING,
    "encryptedstring": FieldType.STRING,
    "picklist": FieldType.ENUM,
    "combobox": FieldType.ENUM,
    "multipicklist": FieldType.STRING,
    "boolean": FieldType.BOOLEAN,
    "int": FieldType.INTEGER,
    "long": FieldType.INTEGER,
    "double": FieldType.DECIMAL,
    "currency": FieldType.DECIMAL,
    "percent": FieldType.DECIMAL,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
}
"""The vendor's describe types the connector can carry. Compound types (address, location) and files are not carried."""


@cache
def object_facts() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The facts as written, by object and field."""
    facts: dict[str, dict[str, dict[str, Any]]] = json.loads(
        Path(__file__).with_name("objects.json").read_text("utf-8")
    )
    return facts


@cache
def record_schemas() -> Mapping[str, RecordSchema]:
    """The objects as the mapping compiler takes them."""
    return {
        record: RecordSchema(record, {name: _field(name, facts) for name, facts in fields.items()}, CUSTOM_SUFFIX)
        for record, fields in object_facts().items()
    }


def _field(name: str, facts: Mapping[str, Any]) -> FieldSchema:
    kind = TYPES[facts["type"]]
    return FieldSchema(
        path=name,
        type=kind,
        length=ID_LENGTH if kind is FieldType.ID else facts.get("length"),
        required=facts.get("required", False),
        createable=facts.get("create", True),
        updateable=facts.get("update", True),
        values=frozenset(facts.get("values", ())),
        values_closed=facts.get("closed", False),
    )

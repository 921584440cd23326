"""The vendor's record types as data, read from `facts/records.json`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from connectors.record_schema import FieldSchema, FieldType, RecordSchema

_FACTS = Path(__file__).parent / "facts" / "records.json"


@cache
def record_schemas() -> Mapping[str, RecordSchema]:
    """Company, Order, LineItem and LineItemCreativeAssociation of v202608."""
    facts = json.loads(_FACTS.read_text("utf-8"))
    return {
        record: RecordSchema(record, {path: _field(path, fact) for path, fact in fields.items()})
        for record, fields in facts.items()
        if record != "about"
    }


@cache
def field_names(record: str) -> frozenset[str]:
    """The top-level fields of a record type."""
    return frozenset(path.split(".")[0] for path in record_schemas()[record].fields)


def _field(path: str, fact: Mapping[str, object]) -> FieldSchema:
    values = str(fact.get("values", "")).split()
    length = fact.get("length")
    return FieldSchema(
        path,
        FieldType(str(fact["type"])),
        length=length if isinstance(length, int) else None,
        required=bool(fact.get("required", False)),
        createable=fact.get("write") != "never",
        updateable=fact.get("write") is None,
        values=frozenset(values),
        values_closed=bool(values),
    )

"""What a vendor's record types hold, as data: for the mappings, which need nothing else of a connector.

Apart from `base`, which shows these names too: a process that only maps starts without everything a connector can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """The kinds of value a vendor field can hold, as far as mappings care."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    ENUM = "enum"
    ID = "id"
    OBJECT = "object"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field of a vendor record: dotted `path`, type, and what may be done with it."""

    path: str
    type: FieldType
    length: int | None = None
    required: bool = False
    readable: bool = True
    createable: bool = True
    updateable: bool = True
    values: frozenset[str] = frozenset()
    values_closed: bool = False
    """True when the vendor refuses any value outside `values`."""


@dataclass(frozen=True, slots=True)
class RecordSchema:
    """One vendor record type. `open_suffix`: fields ending so may exist beyond those listed (Salesforce: `__c`)."""

    record: str
    fields: Mapping[str, FieldSchema]
    open_suffix: str | None = None

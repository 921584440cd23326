"""The kinds of value that flow through a mapping, on both sides, and which may follow which."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a value is while it is mapped. `wire_*` are a vendor's own spelling of a date or time."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    LOCAL = "local"
    """A date and time without zone; the zone stands beside it."""
    INSTANT = "instant"
    """An aware date and time."""
    ENUM = "enum"
    NAMES = "names"
    """A tuple of texts."""
    LIST = "list"
    OBJECT = "object"
    WIRE_DATE = "wire_date"
    WIRE_DATETIME = "wire_datetime"


ANY = frozenset(Kind)

VENDOR_KINDS = {
    "string": Kind.TEXT,
    "enum": Kind.TEXT,
    "id": Kind.TEXT,
    "integer": Kind.INTEGER,
    "decimal": Kind.DECIMAL,
    "boolean": Kind.BOOLEAN,
    "date": Kind.WIRE_DATE,
    "datetime": Kind.WIRE_DATETIME,
    "object": Kind.OBJECT,
    "list": Kind.LIST,
}
"""The kind of each field type a connector's record schema can name."""

_FLOWS = {
    Kind.INTEGER: frozenset({Kind.INTEGER, Kind.DECIMAL}),
    Kind.ENUM: frozenset({Kind.ENUM, Kind.TEXT}),
    Kind.NAMES: frozenset({Kind.NAMES, Kind.LIST}),
}


def flows(gives: frozenset[Kind], takes: frozenset[Kind]) -> bool:
    """Whether every kind that may come out can go in. An integer is a decimal; a canonical enum value is text."""
    return all(_FLOWS.get(kind, frozenset({kind})) & takes for kind in gives)


def words(kinds: frozenset[Kind]) -> str:
    """Kinds as a sentence shows them."""
    return "anything" if kinds == ANY else " or ".join(sorted(kinds))

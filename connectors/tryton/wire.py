"""How values travel in Tryton's JSON-RPC: decimals, days and times as objects that name their class.

Source: the server's own protocol module (`trytond/protocols/jsonrpc.py`, series 8.0). Times are UTC without a zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

from connectors.exact_json import Unreadable, Unwritable, decimal, digits, plain, read, write


def encoded(value: object) -> bytes:
    """JSON as Tryton takes it. Raises Unwritable for floats and half characters: neither has an exact form."""
    return write(value, _tagged)


def _tagged(value: object) -> object:
    if isinstance(value, Quantity):
        return orjson.Fragment(digits(value.number))
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": digits(value)}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Unwritable("a time has no zone")
        at = value.astimezone(UTC)
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(at, part) for part in parts}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    return plain(value)


class Quantity:
    """A number that Tryton keeps as a binary fraction (its Float fields); sent as a plain literal, at most 15 digits.

    Raises Unwritable for a number that a binary double would not give back digit by digit.
    """

    def __init__(self, number: Decimal) -> None:
        if not number.is_finite() or Decimal(repr(float(number))) != number:
            raise Unwritable(f"the quantity {number} has more digits than Tryton keeps")
        self.number = number


def decoded(body: bytes) -> Any:
    """Values of any origin, with bounded depth and numbers; fractions as Decimal. Raises Unreadable."""
    values = read(body)
    try:
        return _untagged(values)
    except (ValueError, ArithmeticError, TypeError, KeyError) as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(inner) for inner in value]
    if isinstance(value, dict):
        match value.get("__class__"):
            case None:
                return {name: _untagged(inner) for name, inner in value.items()}
            case "Decimal":
                return decimal(str(value["decimal"]))
            case "date":
                return date(value["year"], value["month"], value["day"])
            case "datetime":
                clock = (value["hour"], value["minute"], value["second"], value["microsecond"])
                return datetime(value["year"], value["month"], value["day"], *clock, tzinfo=UTC)
            case "timedelta" | "time" | "bytes" as kind:
                return {"kind": kind}  # nothing the hub reads is of these kinds
            case other:
                raise ValueError(f"unknown class {other!r}")
    return value

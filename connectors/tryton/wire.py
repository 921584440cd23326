"""How values travel in Tryton's JSON-RPC: decimals, days and times as objects that name their class.

Source: the server's own protocol module (`trytond/protocols/jsonrpc.py`, series 8.0). Times are UTC without a zone.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

MAX_DEPTH = 32
_MAX_NUMBER = 40  # amounts have at most 18 digits here; a longer number is slow to handle and means nothing
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):  # noqa: N818
    """A body that is not the JSON it should be."""


class Unwritable(ValueError):  # noqa: N818
    """A value that cannot be sent; the sentence says which."""


def encoded(value: object) -> bytes:
    """JSON as Tryton takes it. Raises Unwritable for floats and half characters: neither has an exact form."""
    try:
        return orjson.dumps(_tagged(value))
    except TypeError as error:  # orjson's own, for text that is no Unicode among others
        raise Unwritable(f"a value cannot be sent to Tryton ({error})") from error


def _tagged(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if "\x00" in value:
            raise Unwritable("a text holds the character NUL")
        return value
    if isinstance(value, Quantity):
        return orjson.Fragment(format(value.number, "f"))
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MAX_NUMBER:
            raise Unwritable(f"{value} is no number that Tryton has")
        return {"__class__": "Decimal", "decimal": format(value, "f")}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Unwritable("a time has no zone")
        at = value.astimezone(UTC)
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(at, part) for part in parts}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, dict):
        return {str(name): _tagged(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tagged(inner) for inner in value]
    raise Unwritable(f"a {type(value).__name__} cannot be sent to Tryton")


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
    try:
        return _plain(json.loads(body, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant))
    except (ValueError, ArithmeticError, RecursionError, TypeError, KeyError) as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= _MAX_NUMBER else None
    if number is None or not number.is_finite() or abs(number.adjusted()) > _MAX_NUMBER:
        raise ValueError("a number beyond anything Tryton holds")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise ValueError("a number beyond anything Tryton holds")
    return int(text)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    if isinstance(value, dict):
        match value.get("__class__"):
            case None:
                return {name: _plain(inner, depth + 1) for name, inner in value.items()}
            case "Decimal":
                return _decimal(str(value["decimal"]))
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

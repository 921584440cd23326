"""How values travel to and from Xero: exact numbers, ISO dates outward, `/Date(1539993600000+0000)/` inward.

Source: the fields marked `x-is-msdate` (a day) and `x-is-msdate-time` (an instant in UTC) of Xero's published OpenAPI file.
Every instant's name ends in `UTC`; all other dates are days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

_MAX_DEPTH = 16
_MAX_NUMBER = 40  # amounts have at most 18 digits; a longer number is slow to handle and means nothing
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MOMENT = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unreadable(ValueError):  # noqa: N818
    """A body that is not the JSON it should be."""


class Unwritable(ValueError):  # noqa: N818
    """A value that cannot be sent; the sentence says which."""


def instant(text: object) -> datetime:
    """A `/Date(…)/` as an aware instant; the offset only says how it was shown. Raises ValueError."""
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("no /Date(…)/")
    try:
        return _EPOCH + timedelta(milliseconds=int(found[1]))
    except OverflowError as error:
        raise ValueError("a date beyond all calendars") from error


def decoded(body: bytes) -> Any:
    """Values of a body with bounded depth: fractions as Decimal, `/Date(…)/` as datetime or date. Raises Unreadable."""
    try:
        read = json.loads(body, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant)
        return _plain(read, "", 0)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= _MAX_NUMBER else None
    if number is None or abs(number.adjusted()) > _MAX_NUMBER:
        raise ValueError("a number beyond anything Xero holds")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise ValueError("a number beyond anything Xero holds")
    return int(text)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _plain(value: Any, name: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        if value.startswith("/Date("):
            moment = instant(value)
            return moment if name.endswith("UTC") else moment.date()
        return value if value.isascii() and "\x00" not in value else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_plain(inner, name, depth + 1) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner, key, depth + 1) for key, inner in value.items()}
    return value


def encoded(value: object) -> bytes:
    """JSON as Xero takes it, with exact decimals. Raises Unwritable."""
    try:
        return orjson.dumps(_writable(value))
    except TypeError as error:  # orjson's own, for text that is no Unicode among others
        raise Unwritable(f"a value cannot be sent to Xero ({error})") from error


def _writable(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if "\x00" in value:
            raise Unwritable("a text holds the character NUL")
        return value
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MAX_NUMBER:
            raise Unwritable(f"{value} is no number that Xero has")
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _writable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner) for inner in value]
    raise Unwritable(f"a {type(value).__name__} cannot be sent to Xero")


def writable_in_where(text: str) -> bool:
    """Whether a text can be looked up: how Xero escapes quotes and backslashes is not documented."""
    return bool(text) and text.isprintable() and not any(sign in text for sign in '"\\')


def quoted(text: str) -> str:
    """A text inside a `where` clause. Raises Unwritable."""
    if not writable_in_where(text):
        raise Unwritable(f"{text[:60]!r} holds a sign that cannot be looked up in Xero")
    return f'"{text}"'

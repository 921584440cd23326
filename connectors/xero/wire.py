"""How values travel to and from Xero: exact numbers, ISO dates outward, `/Date(1539993600000+0000)/` inward.

Source: the fields marked `x-is-msdate` (a day) and `x-is-msdate-time` (an instant in UTC) of Xero's published OpenAPI file.
Every instant's name ends in `UTC`; all other dates are days.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.exact_json import Unreadable, Unwritable, read

_MOMENT = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    values = read(body)
    try:
        return _dated(values, "")
    except ValueError as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def _dated(value: Any, name: str) -> Any:
    if isinstance(value, str) and value.startswith("/Date("):
        moment = instant(value)
        return moment if name.endswith("UTC") else moment.date()
    if isinstance(value, list):
        return [_dated(inner, name) for inner in value]
    if isinstance(value, dict):
        return {key: _dated(inner, key) for key, inner in value.items()}
    return value


def writable_in_where(text: str) -> bool:
    """Whether a text can be looked up: how Xero escapes quotes and backslashes is not documented."""
    return bool(text) and text.isprintable() and not any(sign in text for sign in '"\\')


def quoted(text: str) -> str:
    """A text inside a `where` clause. Raises Unwritable."""
    if not writable_in_where(text):
        raise Unwritable(f"{text[:60]!r} holds a sign that cannot be looked up in Xero")
    return f'"{text}"'

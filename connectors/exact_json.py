"""JSON with exact numbers: fractions as Decimal, whole numbers as int (Decimal beyond 64
bits), and never a float on either way.

What is read is of any origin and bounded in depth and digits; half surrogates and NUL, which no database takes, are shown as
U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Clamped, Context, Decimal, InvalidOperation, Overflow, Rounded
from typing import Any

import msgspec
import orjson

MOST_DEPTH = 16
MOST_DIGITS = 40
"""No vendor's number has more, nor a power of ten beyond it; a longer one would be slow to handle and means nothing."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BACKSLASH = ord("\\")
_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""Escapes that the quick reader takes otherwise than the thorough one: of NUL and of halves of a surrogate pair. Asked only of
a body with a backslash in it, which takes a tenth of the time to find."""
_TOO_LARGE = 10**MOST_DIGITS
_WORD, _LOWEST = 2**63, -(2**63)
_NUMBERS = Context(
    prec=MOST_DIGITS,
    Emax=MOST_DIGITS,
    Emin=-1,  # with the digits, no place behind the fortieth
    traps=[Clamped, InvalidOperation, Overflow, Rounded],
)
"""Takes a number with all its digits or not at all. It is asked without a function of ours, which costs as much again."""


class Unreadable(ValueError):  # noqa: N818
    """A body that is not the JSON it should be."""


class Unwritable(ValueError):  # noqa: N818
    """A value that cannot be sent; the sentence says which."""


def read(body: bytes, dropped: Collection[str] = frozenset()) -> Any:
    """The values of a body, without the members whose name is in `dropped`. Raises Unreadable.

    The quick reader takes an eighth of the time; whatever it does not take goes through the thorough one.
    """
    try:
        if _BACKSLASH not in body or _ESCAPED.search(body) is None:
            try:
                value = _quick(body)
            except (ValueError, ArithmeticError):
                value = _thorough(body)
        else:
            value = _thorough(body)
        return _settled(value, dropped, 0)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def decimal(text: str) -> Decimal:
    """A number as written. ValueError beyond `MOST_DIGITS` digits or powers of ten."""
    try:
        number = _NUMBERS.create_decimal(text)
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite():
        raise ValueError("a number beyond anything a vendor holds")
    return number


_quick = msgspec.json.Decoder(float_hook=_NUMBERS.create_decimal).decode


def _thorough(body: bytes) -> Any:
    return _storable(json.loads(body, parse_float=decimal, parse_int=_integer, parse_constant=_no_constant))


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS + 1:
        raise ValueError("a number beyond anything a vendor holds")
    return int(text)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_UNSTORABLE.sub("\ufffd", name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value


def _settled(value: Any, dropped: Collection[str], depth: int) -> Any:
    """The value with depth and whole numbers checked, and members taken out where they are: building every record anew
    would cost more than reading it."""
    inners: Iterable[Any]
    # Every value of every record comes by here; most are null or text, and `type` is a third of the time of `__class__`.
    if type(value) is dict:
        for name in dropped:
            value.pop(name, None)
        inners = value.values()
    elif type(value) is list:
        inners = value
    else:
        return _narrow(value)
    if depth > MOST_DEPTH:
        raise ValueError("nested too deeply")
    wide = False
    for inner in inners:
        if inner is None:
            continue
        kind = type(inner)
        if kind is str:
            continue
        if kind is dict or kind is list:
            _settled(inner, dropped, depth + 1)
        elif kind is int and not _LOWEST <= inner < _WORD:
            wide = True
    if wide:
        for key, inner in list(value.items() if type(value) is dict else enumerate(value)):
            value[key] = _narrow(inner)
    return value


def _narrow(value: Any) -> Any:
    """A whole number beyond 64 bits as Decimal, because the store's encoder takes no larger int; anything else as it is."""
    if value.__class__ is not int or _LOWEST <= value < _WORD:
        return value
    if not -_TOO_LARGE < value < _TOO_LARGE:
        raise ValueError("a number beyond anything a vendor holds")
    return Decimal(value)


def write(value: object, form: Callable[[object], object] | None = None) -> bytes:
    """JSON of texts, whole numbers, truth values, lists and mappings, with every other value as `form` (`plain`) gives it.

    Raises Unwritable for floats, NUL and half characters, which have no exact form, and for numbers and types without one.
    """
    try:
        return orjson.dumps(_writable(value, form or plain))
    except (TypeError, RecursionError) as error:  # orjson's own, for text that is no Unicode among others
        raise Unwritable(f"a value has no form in JSON ({error})") from error


def plain(value: object) -> object:
    """A decimal as digits without an exponent, a day as ISO 8601. Raises Unwritable for anything else."""
    if isinstance(value, Decimal):
        return orjson.Fragment(digits(value))
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise Unwritable(f"a {type(value).__name__} cannot be sent")


def digits(number: Decimal) -> str:
    """A decimal as digits without an exponent. Raises Unwritable beyond `MOST_DIGITS` powers of ten."""
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise Unwritable(f"{number} is no number that a vendor has")
    return format(number, "f")


def _writable(value: object, form: Callable[[object], object]) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if "\x00" in value:
            raise Unwritable("a text holds the character NUL")
        return value
    if isinstance(value, Mapping):
        return {str(name): _writable(inner, form) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner, form) for inner in value]
    return form(value)

"""Turns values of a request into stored values, and refuses what the vendor refuses, in its words.

Stored forms are the forms of a REST reply: dates `YYYY-MM-DD`, date-times `YYYY-MM-DDTHH:MM:SS.000+0000` (UTC; the
vendor keeps no fraction), ids of 18 characters, doubles as floats (xsd:double). Text is trimmed, empty text is null.
Lengths count UTF-16 units, as the vendor's Java strings do (describe's byteLength is three per unit).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.salesforce.errors import RecordError, RecordRefused, refuse
from sandbox.salesforce.facts import Field
from sandbox.salesforce.ids import normalise

_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)", re.IGNORECASE | re.ASCII
)
_NUMBER = re.compile(r"[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_JAVA_SPACE = "".join(map(chr, range(33)))  # what Java's String.trim takes off; a no-break space stays
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_XSD = {"double": "double", "currency": "double", "percent": "double", "int": "int"}


def stamp(instant: datetime) -> str:
    """A date-time as the REST API writes it, UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def parse_datetime(text: str) -> str | None:
    """The stored form of an ISO date-time with a zone; None if it is none. Fractions of a second are dropped."""
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    zone = match.group(7).upper()
    if zone != "Z" and ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    try:
        instant = datetime.fromisoformat(
            f"{'-'.join(match.group(1, 2, 3))}T{':'.join(match.group(4, 5, 6))}{'+00:00' if zone == 'Z' else zone}"
        )
        return stamp(instant)
    except (ValueError, OverflowError):
        return None


def parse_date(text: str) -> str | None:
    """The stored form of an ISO date; None if it is none."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def utf16_length(text: str) -> int:
    """How many UTF-16 units a text has: a character beyond the basic plane counts two."""
    return len(text) + sum(1 for sign in text if ord(sign) > 0xFFFF) if not text.isascii() else len(text)


def round_half_up(value: Decimal, scale: int) -> Decimal:
    """A number at so many decimals, halves away from zero."""
    return value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)


def java_double(value: float) -> str:
    """A number as Java prints it, as in the vendor's messages: 1.0E20."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    exponent = Decimal(repr(float(value))).adjusted()
    mantissa = Decimal(repr(float(value))).scaleb(-exponent).normalize()
    return f"{mantissa if '.' in str(mantissa) else f'{mantissa}.0'}E{exponent}"


def _json_token(value: object) -> str:
    if isinstance(value, bool):
        return f"VALUE_{str(value).upper()}"
    if isinstance(value, int):
        return "VALUE_NUMBER_INT"
    if isinstance(value, float):
        return "VALUE_NUMBER_FLOAT"
    if isinstance(value, str):
        return "VALUE_STRING"
    return "START_OBJECT" if isinstance(value, dict) else "START_ARRAY"


def _not_a(kind: str, value: object) -> RecordRefused:
    shown = str(value).lower() if isinstance(value, bool) else "{" if isinstance(value, dict) else value
    return refuse(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {kind} from {_json_token(value)} value {shown} "
        "or request may be missing a required field at [line:1, column:2]",
    )


def read_json(field: Field, value: object) -> Any:
    """The typed value of a JSON value, not yet checked against the field's limits.

    Raises:
        RecordRefused: JSON_PARSER_ERROR, the value has not the field's type.
    """
    if value is None:
        return None
    kind = field.type
    if kind in _XSD:
        return _read_number(field, value)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise _not_a("boolean", value)
    if not isinstance(value, str):
        raise _not_a(kind if kind in ("date", "datetime") else "string", value)
    if kind == "date":
        if (read := parse_date(value)) is None:
            raise _not_a("date", value)
        return read
    if kind == "datetime":
        if (read := parse_datetime(value)) is None:
            raise _not_a("datetime", value)
        return read
    return value.strip(_JAVA_SPACE) or None


def _read_number(field: Field, value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _not_a(_XSD[field.type], value)
    if isinstance(value, str) and not value.strip():
        return None
    text = str(value).strip(_JAVA_SPACE)
    if not _NUMBER.fullmatch(text):
        raise _not_a(_XSD[field.type], value)
    number = Decimal(text)
    if not number.is_finite() or (field.type == "int" and number != number.to_integral_value()):
        raise _not_a(_XSD[field.type], value)
    return number


def read_csv(field: Field, text: str) -> Any:
    """The typed value of a Bulk 2.0 cell; `#N/A` is null. An empty cell is the caller's: it means "leave alone".

    Raises:
        RecordRefused: INVALID_TYPE_ON_FIELD_IN_RECORD, the cell has not the field's type.
    """
    if text == "#N/A":
        return None
    if field.type == "boolean" and text in ("0", "1"):
        return text == "1"
    try:
        return read_json(field, text)
    except RecordRefused as refused:
        message = f"{field.label}: value not of required type: {text}"
        raise refuse("INVALID_TYPE_ON_FIELD_IN_RECORD", message, [field.name]) from refused


def settle(field: Field, value: Any, errors: list[RecordError]) -> Any:
    """The stored form of a typed value; what breaks the field's limits is added to `errors`."""
    if value is None:
        return None
    if field.type in ("double", "currency", "percent"):
        rounded = round_half_up(value, field.scale) if abs(value.adjusted()) < 40 else value
        if abs(rounded) >= Decimal(10) ** (field.precision - field.scale):
            shown = java_double(float(value))
            message = f"{field.label}: value outside of valid range on numeric field: {shown}"
            errors.append(RecordError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,)))
            return None
        return float(rounded)
    if field.type == "int":
        if not -(2**31) <= value < 2**31:
            message = f"{field.label}: value outside of valid range on numeric field: {value}"
            errors.append(RecordError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,)))
            return None
        return int(value)
    if field.type in ("date", "datetime"):
        if not "1700" <= value[:4] < "4001":
            message = f"{field.label}: invalid date: {value}"
            errors.append(RecordError("NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,)))
        return value
    if field.type == "reference":
        id_ = normalise(value)
        if id_ is None:
            message = f"{field.label}: id value of incorrect type: {value}"
            errors.append(RecordError("MALFORMED_ID", message, (field.name,)))
        return id_
    if field.is_text:
        _check_text(field, value, errors)
    # Recorded: an e-mail address comes back in lower case.
    return value.lower() if field.type == "email" else value


def _check_text(field: Field, value: str, errors: list[RecordError]) -> None:
    if field.restrictedPicklist and value not in field.picklist:
        message = f"{field.label}: bad value for restricted picklist field: {value}"
        errors.append(RecordError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,)))
    elif len(value) * 2 > field.length and utf16_length(value) > field.length:
        shown = value if len(value) <= 1000 else value[:1000] + "..."
        message = f"{field.label}: data value too large: {shown} (max length={field.length})"
        errors.append(RecordError("STRING_TOO_LONG", message, (field.name,)))
    elif field.type == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        message = f"{field.label}: invalid email address: {value}"
        errors.append(RecordError("INVALID_EMAIL_ADDRESS", message, (field.name,)))

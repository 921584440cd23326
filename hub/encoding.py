"""JSON bytes for what the store keeps: decimals exact in both directions, keys sorted, so that equal means equal bytes."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson


def _default(value: object) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode(value: Any) -> bytes:
    """Canonical JSON bytes; decimals as exact number literals. Integers beyond 64 bits are not accepted."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


_EXACT = json.JSONDecoder(parse_float=Decimal)
"""Made once: `json.loads` makes one for each call that asks for anything unusual."""


def decode(data: bytes | memoryview) -> Any:
    """Back from bytes, with every fractional number as a Decimal."""
    return _EXACT.decode(bytes(data).decode())


def fingerprint(data: bytes) -> UUID:
    """blake2b-128 as a UUID, the form the store compares."""
    return UUID(bytes=hashlib.blake2b(data, digest_size=16).digest())

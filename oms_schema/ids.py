"""Canonical ids and the one idempotency key, both pure functions of what they name."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NewType

EntityId = NewType("EntityId", str)
ConnectionName = NewType("ConnectionName", str)
KEY_RECIPE = "v1"
"""Part of every idempotency key. Changing it makes every open attempt look new: never do it while attempts are open."""


class EntityKind(StrEnum):
    """What a canonical entity is; the value is also the word in tables, files and the command line."""

    PARTY = "party"
    ORDER = "order"
    LINE = "line"
    DEAL = "deal"
    DOCUMENT = "document"


_PREFIX = {
    EntityKind.PARTY: "pty",
    EntityKind.ORDER: "ord",
    EntityKind.LINE: "lin",
    EntityKind.DEAL: "dea",
    EntityKind.DOCUMENT: "doc",
}


def _digest(*parts: str) -> bytes:
    joined = "\x1f".join(parts).encode()
    return hashlib.blake2b(joined, digest_size=15).digest()


_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)


def _base32(raw: bytes) -> str:
    """RFC 4648 base32 of 15 bytes in lower case, two digits at a time: half the time of `base64.b32encode`."""
    number, pairs = int.from_bytes(raw, "big"), _PAIRS
    return (
        pairs[number >> 110]
        + pairs[number >> 100 & 1023]
        + pairs[number >> 90 & 1023]
        + pairs[number >> 80 & 1023]
        + pairs[number >> 70 & 1023]
        + pairs[number >> 60 & 1023]
        + pairs[number >> 50 & 1023]
        + pairs[number >> 40 & 1023]
        + pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023]
        + pairs[number >> 10 & 1023]
        + pairs[number & 1023]
    )


def canonical_id(kind: EntityKind, connection: str, native_id: str) -> EntityId:
    """The id of the entity that `connection` calls `native_id`: `ord_` + 24 lower-case base32 digits.

    Deterministic, so a change that is read twice, or read again after a restore, names the same entity.
    """
    return EntityId(f"{_PREFIX[kind]}_{_base32(_digest('id', kind, connection, native_id))}")


def idempotency_key(connection: str, kind: EntityKind, entity: str, facet: str, version: int) -> str:
    """The key of one intended vendor write (architecture, decision 4): 24 lower-case base32 digits."""
    return _base32(_digest("key", KEY_RECIPE, connection, kind, entity, facet, str(version)))

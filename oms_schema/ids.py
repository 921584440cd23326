"""Canonical ids and the one idempotency key, both pure functions of what they name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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


def _hash_of(*parts: str) -> hashlib.blake2b:
    """A hash that has read these parts and the separator behind each."""
    return hashlib.blake2b("".join(f"{part}\x1f" for part in parts).encode(), digest_size=15)


_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)


def _base32(prefix: str, raw: bytes) -> str:
    """`prefix` and RFC 4648 base32 of 15 bytes in lower case.

    Two digits at a time, out of four numbers that fit one machine word: half the time of `base64.b32encode`. A table of
    three digits is faster in a loop of its own, but falls out of the processor's cache between two records.
    """
    fourth, pairs = int.from_bytes(raw, "big"), _PAIRS
    first, second, third = fourth >> 90, fourth >> 60 & 0x3FFFFFFF, fourth >> 30 & 0x3FFFFFFF
    fourth &= 0x3FFFFFFF
    return (
        f"{prefix}{pairs[first >> 20]}{pairs[first >> 10 & 1023]}{pairs[first & 1023]}"
        f"{pairs[second >> 20]}{pairs[second >> 10 & 1023]}{pairs[second & 1023]}"
        f"{pairs[third >> 20]}{pairs[third >> 10 & 1023]}{pairs[third & 1023]}"
        f"{pairs[fourth >> 20]}{pairs[fourth >> 10 & 1023]}{pairs[fourth & 1023]}"
    )


_CONNECTIONS = 256
"""How many connections' beginnings are kept; nobody has more."""


def _beginning(kind: EntityKind, connection: str) -> tuple[hashlib.blake2b, str]:
    """What all ids of one kind and connection begin with: the hash so far, and the prefix."""
    return _hash_of("id", kind, connection), f"{_PREFIX[kind]}_"


def ids_of(kind: EntityKind) -> Callable[[str, str], EntityId]:
    """`(connection, native_id) -> id` for entities of one kind: `canonical_id` for who asks once for each record."""
    known: dict[str, tuple[hashlib.blake2b, str]] = {}

    def identity(connection: str, native_id: str) -> EntityId:
        beginning = known.get(connection)
        if beginning is None:
            if len(known) >= _CONNECTIONS:
                known.clear()
            beginning = known[connection] = _beginning(kind, connection)
        begun, prefix = beginning
        whole = begun.copy()
        whole.update(native_id.encode())
        made: str = _base32(prefix, whole.digest())
        return made  # type: ignore[return-value]  # EntityId(…) is a call of Python that does nothing: 5 % of this

    return identity


_OF_KIND = {kind: ids_of(kind) for kind in EntityKind}


def canonical_id(kind: EntityKind, connection: str, native_id: str) -> EntityId:
    """The id of the entity that `connection` calls `native_id`: `ord_` + 24 lower-case base32 digits.

    Deterministic, so a change that is read twice, or read again after a restore, names the same entity.
    """
    return _OF_KIND[kind](connection, native_id)


def idempotency_key(connection: str, kind: EntityKind, entity: str, facet: str, version: int) -> str:
    """The key of one intended vendor write (architecture, decision 4): 24 lower-case base32 digits."""
    whole = _hash_of("key", KEY_RECIPE, connection, kind, entity, facet)
    whole.update(str(version).encode())
    return _base32("", whole.digest())

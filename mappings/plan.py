"""A checked mapping as a list of moves: where each value comes from, what is done with it, and where it goes.

The generated functions and the reference both follow this plan, so they can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mappings.entities import CanonicalField
from mappings.kinds import Kind
from mappings.registry import Quick, Resolving
from mappings.spec import Owner, TooLong, Unknown
from oms_schema.base import Canonical
from oms_schema.ids import EntityKind


@dataclass(frozen=True, slots=True)
class Apply:
    """Call a transform. `takes_context`: the context is its last argument. `absent`: also called when a value is None.
    `shared` prepares the last value, see `registry.Resolving`; `quick` says the answer without a call."""

    name: str
    call: Callable[..., Any]
    absent: bool = False
    takes_context: bool = False
    shared: Callable[..., Any] | None = None
    quick: Quick | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Look the value up in a table of words."""

    words: Mapping[str, str]
    unknown: Unknown | None
    default: str | None = None


@dataclass(frozen=True, slots=True)
class ToCanonicalId:
    """A vendor id becomes the canonical id of the entity it names, a pure function."""

    kind: EntityKind


@dataclass(frozen=True, slots=True)
class ToVendorId:
    """A canonical id becomes the vendor's, if the entity is known there."""

    kind: EntityKind
    facet: str


@dataclass(frozen=True, slots=True)
class AsText:
    """A number as its digits: ids are texts inside."""


@dataclass(frozen=True, slots=True)
class AsInteger:
    """Digits as a number: some vendors' ids are numbers."""


@dataclass(frozen=True, slots=True)
class Bare:
    """A canonical word (an enum member) as plain text."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A text of at most `most` characters."""

    most: int
    policy: TooLong


Op = Apply | Table | ToCanonicalId | ToVendorId | AsText | AsInteger | Bare | Limit


@dataclass(frozen=True, slots=True)
class InMove:
    """One canonical field of the way in."""

    target: CanonicalField
    paths: tuple[str, ...]
    const: str | int | bool | None
    ops: tuple[Op, ...]
    default: str | int | bool | None
    required: bool
    owner: Owner
    line: int
    file: str
    lossy: str | None
    derived: str | None
    why: str

    @property
    def returns(self) -> bool:
        """Whether the vendor's field can be restored from the canonical one."""
        return self.lossy is None and self.derived is None


@dataclass(frozen=True, slots=True)
class OutMove:
    """One vendor field of the way out."""

    target: str
    sources: tuple[CanonicalField, ...]
    const: str | int | bool | None
    setting: str | None
    context: str | None
    ops: tuple[Op, ...]
    default: str | int | bool | None
    required: bool
    clear: bool
    owner: Owner
    line: int
    file: str
    why: str
    resolving: tuple[Resolving, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole mapping, checked. `kinds` are those of the vendor fields it touches; `writes` the out moves the hub sends,
    `restores` the inverses of the fields that return (empty where the file's direction needs none)."""

    name: str
    record: str
    entity: type[Canonical]
    reads: tuple[InMove, ...]
    writes: tuple[OutMove, ...]
    restores: tuple[OutMove, ...]
    kinds: Mapping[str, Kind]
    lists: frozenset[str] = field(default_factory=frozenset)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and 8 hex digits of the hash of the whole, at most `most` characters together."""
    if len(text) <= most:
        return text
    mark = "~" + hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return (text[: most - len(mark)] + mark)[-most:] if most > len(mark) else mark[-most:]

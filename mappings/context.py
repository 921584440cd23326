"""What a mapping may ask of its surroundings while it maps one record: references, look-ups and settings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from oms_schema.ids import EntityKind


class Lookup(NamedTuple):
    """A name to be turned into a vendor id by the vendor's own table, for instance Geo_Target."""

    table: str
    name: str
    scope: str = ""


class Names:
    """Vendor ids behind the names that one batch of records asks for, by table and scope; None means not known.

    The contexts of one batch share it, and with it what follows from names alone: the lines of an order mostly share their
    targeting, so it is expressed once. It is dropped with the batch, and answers never change within it.
    """

    __slots__ = ("_ids", "worked_out")

    def __init__(self, ids: Mapping[tuple[str, str], Mapping[str, str | None]]) -> None:
        self._ids = ids
        self.worked_out: dict[Hashable, Any] = {}
        """Results of transforms by all that they depend on, besides these names."""

    @classmethod
    def answered(cls, answers: Iterable[tuple[Lookup, str | None]]) -> Names:
        """From single answers."""
        ids: dict[tuple[str, str], dict[str, str | None]] = {}
        for wanted, found in answers:
            ids.setdefault((wanted.table, wanted.scope), {})[wanted.name] = found
        return cls(ids)

    def of(self, table: str, scope: str, names: Sequence[str]) -> list[str | None]:
        """The vendor ids behind names of one table, in order; None where it does not know the name or knows several."""
        return list(map(self._ids.get((table, scope), _NONE).get, names))


_NONE: Mapping[str, str | None] = {}


class Context(Protocol):
    """Answers from the store; None means not known."""

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        """The live vendor id of a canonical entity here; for a line's order, `facet` "" means the part the line is in."""
        ...

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        """The canonical id of what this source calls `native_id`, once it was accepted; None before."""
        ...

    @property
    def names(self) -> Names:
        """The vendor ids behind names, for the whole batch that this record is part of."""
        ...

    @property
    def facet(self) -> str:
        """Which vendor object of the entity this is: the party's role, or the part of a split order, from "1"."""
        ...

    @property
    def facets(self) -> int:
        """How many vendor objects the entity has at this connection."""
        ...

    def setting(self, name: str) -> str | None:
        """A value of the connection's `mapping_settings`, for instance the trafficker's user id."""
        ...

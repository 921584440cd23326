"""What a mapping may ask of its surroundings while it maps one record: references, look-ups and settings."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from oms_schema.ids import EntityKind


class Lookup(NamedTuple):
    """A name to be turned into a vendor id by the vendor's own table, for instance Geo_Target."""

    table: str
    name: str
    scope: str = ""


class Context(Protocol):
    """Answers from the store; None means not known."""

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        """The live vendor id of a canonical entity here; for a line's order, `facet` "" means the part the line is in."""
        ...

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        """The canonical id of what this source calls `native_id`, once it was accepted; None before."""
        ...

    def lookup(self, wanted: Lookup) -> str | None:
        """The vendor id behind a name; None when the vendor does not know the name or knows several."""
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

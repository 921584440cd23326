"""The surroundings of a mapping that is tried where there is no store and no vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mappings.context import Names
from oms_schema.ids import EntityKind, canonical_id

CONNECTION = "trial"
"""The connection whose ids a tried record gets."""


class _Ids(dict[str, str | None]):
    """The ids of one table, made when they are first asked for."""

    def __missing__(self, name: str) -> str:
        made = self[name] = str(1_000_000 + len(self))
        return made


class EveryName(Names):
    """Knows each name: what is not expressed then is what the vendor cannot express at all. The batches of one process know
    the same."""

    __slots__ = ()

    _made: ClassVar[dict[tuple[str, str], _Ids]] = {}

    def __init__(self) -> None:
        super().__init__({})

    def of(self, table: str, scope: str, names: Sequence[str]) -> list[str | None]:
        """An id for each name, the same for the same name."""
        return list(map(self._made.setdefault((table, scope), _Ids()).__getitem__, names))


@dataclass(slots=True)
class TrialContext:
    """Answers as a store would in which every entity exists at the vendor, under one id."""

    names: Names
    settings: Mapping[str, str] = field(default_factory=dict)
    facet: str = ""
    facets: int = 1
    known_as: str = "1"

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        """Every entity exists at the vendor."""
        return self.known_as

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        """Every native id was accepted."""
        return canonical_id(kind, CONNECTION, native_id)

    def setting(self, name: str) -> str | None:
        """A setting as it was given."""
        return self.settings.get(name)

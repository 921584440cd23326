"""What a mapping may ask on its way out, answered as after a first push: every reference and every name is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mappings.context import Names
from oms_schema.ids import EntityKind

_SETTINGS = {"root_ad_unit_id": "21700000001", "trafficker_id": "7"}


class _Ids(dict[str, str | None]):
    """The ids of one table, made when they are first asked for."""

    def __missing__(self, name: str) -> str:
        made = self[name] = str(1_000_000 + len(self))
        return made


class EveryName(Names):
    """Knows each name from the first time on; the batches of one process know the same."""

    __slots__ = ()

    _made: ClassVar[dict[tuple[str, str], _Ids]] = {}

    def __init__(self) -> None:
        super().__init__({})

    def of(self, table: str, scope: str, names: Sequence[str]) -> list[str | None]:
        """An id for each name, the same for the same name."""
        return list(map(self._made.setdefault((table, scope), _Ids()).__getitem__, names))


@dataclass(slots=True)
class Answers:
    """The surroundings of one batch of records."""

    names: Names
    facet: str = ""
    facets: int = 1

    def vendor_id(self, kind: EntityKind, entity_id: str, facet: str) -> str | None:
        """The id at the ad server."""
        return "2890417203"

    def entity_id(self, kind: EntityKind, native_id: str) -> str | None:
        """Not asked on the way out."""
        return None

    def setting(self, name: str) -> str | None:
        """The settings that the shipped mappings need."""
        return _SETTINGS.get(name)

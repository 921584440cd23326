"""The contract table and its compact notation.

`types.json`, one line per type: `"LineItem": "extends LineItemSummary; targeting Targeting?, creativeTargetings
CreativeTargeting*"`. A field is `name Type`, then how often it occurs: nothing = once, `?` = 0..1, `*` = 0..n,
`+` = 1..n. `abstract;` marks an abstract type. Lower-case types are XML Schema's.

`enums.json`: `"GoalType": "NONE LIFETIME DAILY UNKNOWN"`.

`services.json`: per service its operations (`"in"`, `"out"` in field notation), the PQL properties each
...ByStatement operation filters on (PQL name -> field), and the names of the types its WSDL shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_MARKS: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}


@dataclass(frozen=True)
class Field:
    """One element of a type: `most` None is unbounded; `type` is a type or enum name, or one of XML Schema's."""

    name: str
    type: str
    least: int = 0
    most: int | None = 1

    @classmethod
    def parse(cls, notation: str) -> Field:
        """Read `name Type?`."""
        name, type_name = notation.split()
        least, most = _MARKS.get(type_name[-1], (1, 1))
        return cls(name, type_name.rstrip("?*+"), least, most)

    def __str__(self) -> str:
        mark = {occurs: mark for mark, occurs in _MARKS.items()}.get((self.least, self.most), "")
        return f"{self.name} {self.type}{mark}"


@dataclass(frozen=True)
class ComplexType:
    """A type with its base and its own fields in order (the base's come first on the wire)."""

    name: str
    base: str | None = None
    abstract: bool = False
    fields: tuple[Field, ...] = ()

    @classmethod
    def parse(cls, name: str, notation: str) -> ComplexType:
        """Read `abstract; extends Base; field Type?, ...`."""
        base: str | None = None
        abstract = False
        fields: tuple[Field, ...] = ()
        for part in (part.strip() for part in notation.split(";")):
            if part == "abstract":
                abstract = True
            elif part.startswith("extends "):
                base = part.removeprefix("extends ")
            elif part:
                fields = tuple(Field.parse(field) for field in part.split(","))
        return cls(name, base, abstract, fields)

    def __str__(self) -> str:
        parts = [
            "abstract" if self.abstract else "",
            f"extends {self.base}" if self.base else "",
            ", ".join(map(str, self.fields)),
        ]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Operation:
    """One SOAP operation, document/literal wrapped; `filters` maps a PQL property to the object's field."""

    name: str
    parameters: tuple[Field, ...]
    result: Field
    filters: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """One service with its operations and the names of the types that its WSDL shows."""

    name: str
    operations: Mapping[str, Operation]
    type_names: tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """The whole table of one API version."""

    version: str
    types: Mapping[str, ComplexType]
    enums: Mapping[str, tuple[str, ...]]
    services: Mapping[str, Service]

    @cached_property
    def _all_fields(self) -> dict[str, dict[str, Field]]:
        return {}

    def fields(self, type_name: str) -> Mapping[str, Field]:
        """All fields of a type by name, its bases' first: the order on the wire."""
        known = self._all_fields.get(type_name)
        if known is None:
            own = self.types[type_name]
            known = dict(self.fields(own.base)) if own.base else {}
            known.update((field.name, field) for field in own.fields)
            self._all_fields[type_name] = known
        return known

    def is_a(self, type_name: str, base: str) -> bool:
        """Whether a type is, or extends at any distance, another."""
        at: str | None = type_name
        while at is not None and at != base:
            at = self.types[at].base if at in self.types else None
        return at == base


def known_versions() -> list[str]:
    """API versions that have a table, oldest first."""
    return sorted(folder.name for folder in _FOLDER.iterdir() if (folder / "services.json").exists())


@cache
def load_contract(version: str) -> Contract:
    """The table of an API version, for instance `v202608`.

    Raises:
        ValueError: there is no table for it.
    """
    if version not in known_versions():
        raise ValueError(f"no contract table for {version}; there are tables for {', '.join(known_versions())}")
    folder = _FOLDER / version
    types, enums, services = (
        json.loads((folder / f"{part}.json").read_text("utf-8")) for part in ("types", "enums", "services")
    )
    return Contract(
        version,
        {name: ComplexType.parse(name, notation) for name, notation in types.items()},
        {name: tuple(values.split()) for name, values in enums.items()},
        {name: _service(name, row) for name, row in services.items()},
    )


def _service(name: str, row: Mapping[str, Any]) -> Service:
    operations = {
        operation: Operation(
            operation,
            tuple(Field.parse(field) for field in facts["in"].split(",") if field),
            Field.parse(facts["out"]),
            facts.get("filters", {}),
        )
        for operation, facts in row["operations"].items()
    }
    return Service(name, operations, tuple(row["types"].split()))


def store_contract(contract: Contract, folder: Path) -> None:
    """Write a table in its notation: one fact per line, so that a new version reads as a difference."""
    folder.mkdir(parents=True, exist_ok=True)
    services = {
        service.name: {
            "operations": {
                operation.name: {
                    "in": ", ".join(map(str, operation.parameters)),
                    "out": str(operation.result),
                    **({"filters": dict(operation.filters)} if operation.filters else {}),
                }
                for operation in service.operations.values()
            },
            "types": " ".join(service.type_names),
        }
        for service in contract.services.values()
    }
    tables: dict[str, Mapping[str, object]] = {
        "types": {name: str(facts) for name, facts in sorted(contract.types.items())},
        "enums": {name: " ".join(values) for name, values in sorted(contract.enums.items())},
        "services": services,
    }
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")

"""A vendor's record schema as mappings see it; `connectors.base.RecordSchema` satisfies it without being imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class FieldView(Protocol):
    """One vendor field: dotted path, kind of value, and what may be done with it."""

    @property
    def path(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def length(self) -> int | None: ...
    @property
    def required(self) -> bool: ...
    @property
    def readable(self) -> bool: ...
    @property
    def createable(self) -> bool: ...
    @property
    def updateable(self) -> bool: ...
    @property
    def values(self) -> frozenset[str]: ...
    @property
    def values_closed(self) -> bool: ...


class SchemaView(Protocol):
    """One vendor record type. Fields that end in `open_suffix` may exist beyond those listed."""

    @property
    def record(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, FieldView]: ...
    @property
    def open_suffix(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class DeclaredField:
    """A field that a mapping file declares because only this account has it (a custom field)."""

    path: str
    type: str
    length: int | None = None
    required: bool = False
    readable: bool = True
    createable: bool = True
    updateable: bool = True
    values: frozenset[str] = field(default_factory=frozenset)
    values_closed: bool = False

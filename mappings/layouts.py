"""Reads records that do not name all fields of a mapping: a query of a few fields, a vendor that leaves out what is empty.

A function is written for each layout, which is the names of a record's fields in their order: it asks nothing about what
can only be absent, and takes half the time of one that does. A source has few layouts; one that has many is read by one
function for any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.codegen import Part, Reader, reader, top
from mappings.plan import Plan

LAYOUTS_KEPT = 4
"""Layouts for which a function is written, which takes a few milliseconds; each keeps parts of its own."""


class Layouts:
    """The readers of a mapping. Called with a record that lacks a field it returns what is read of it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = frozenset(top(path) for move in plan.reads for path in move.paths)
        self._readers: dict[tuple[str, ...], Reader] = {}
        self._parts: list[Part] = []
        self.whole, self.text = self._kept(*reader(plan, self))
        self._any: Reader | None = None

    @property
    def parts(self) -> Sequence[Part]:
        """What all of them keep of earlier records."""
        return self._parts

    def __call__(self, native: Mapping[str, Any], connection: str) -> dict[str, Any]:
        """As `whole`, of a record without some of the fields."""
        layout = tuple(native)
        read = self._readers.get(layout)
        if read is None:
            read = self._written(layout)
        return read(native, connection)

    def _written(self, layout: tuple[str, ...]) -> Reader:
        if len(self._readers) < LAYOUTS_KEPT:
            read, _ = self._kept(*reader(self._plan, named=self._fields.intersection(layout)))
            self._readers[layout] = read
            return read
        if self._any is None:
            self._any, _ = self._kept(*reader(self._plan))
        return self._any

    def _kept(self, read: Reader, text: str, parts: Sequence[Part]) -> tuple[Reader, str]:
        self._parts += parts
        return read, text

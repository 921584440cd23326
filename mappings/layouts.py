"""Reads records that do not name all fields of a mapping: a query of a few fields, a vendor that leaves out what is empty.

A function is written for each layout, which is the names of a record's fields in their order: it asks nothing about what
can only be absent, and takes half the time of one that does. A source has few layouts that come often; all others are read
by one function for any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mappings.codegen import Part, Reader, reader, top
from mappings.plan import Plan

LAYOUTS_KEPT = 4
"""Layouts for which a function is written; each keeps parts of its own."""
WRITTEN_AFTER = 500
"""Records of a layout until a function is written for it: that takes as long as it saves on about so many (1 ms, and 1 to 2 µs
a record, measured). The first layouts to come are not always those that come often."""
LAYOUTS_COUNTED = 256
"""Layouts whose records are counted at a time; beyond that, counting begins again."""


class Layouts:
    """The readers of a mapping. Called with a record that lacks a field it returns what is read of it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = frozenset(top(path) for move in plan.reads for path in move.paths)
        self._readers: dict[tuple[str, ...], Reader] = {}
        self._seen: dict[tuple[str, ...], int] = {}
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
            read = self._written(layout) if self._comes_often(layout) else self._for_any()
        return read(native, connection)

    def _comes_often(self, layout: tuple[str, ...]) -> bool:
        """Whether the layout has just earned a function of its own, and there is room for one."""
        if len(self._readers) >= LAYOUTS_KEPT:
            return False
        seen = self._seen.get(layout, 0) + 1
        if seen >= WRITTEN_AFTER:
            return True
        if len(self._seen) >= LAYOUTS_COUNTED:
            self._seen.clear()
        self._seen[layout] = seen
        return False

    def _written(self, layout: tuple[str, ...]) -> Reader:
        read, _ = self._kept(*reader(self._plan, named=self._fields.intersection(layout)))
        self._readers[layout] = read
        return read

    def _for_any(self) -> Reader:
        if self._any is None:
            self._any, _ = self._kept(*reader(self._plan))
        return self._any

    def _kept(self, read: Reader, text: str, parts: Sequence[Part]) -> tuple[Reader, str]:
        self._parts += parts
        return read, text

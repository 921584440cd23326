"""Lists on their way to PostgreSQL: as psycopg writes them, in a third of the time for lists of texts, bytes or UUIDs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.abc import Buffer, DumperKey
from psycopg.adapt import PyFormat
from psycopg.types.array import ListDumper

_PLAIN = frozenset({str, bytes, UUID})
"""Types of which psycopg decides by the type alone how they are written; of numbers also by their size."""


class Lists(ListDumper):
    """A list of one plain type is joined at once; every other one is psycopg's own."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002  (psycopg's own name for it)
        """As psycopg's."""
        kinds = set(map(type, obj))
        if len(kinds) == 1 and not self.oid:
            (kind,) = kinds
            if kind in _PLAIN:
                return (self.cls, kind)
        return super().get_key(obj, format)

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The list's text form."""
        kind = type(obj[0]) if obj else None
        if kind not in _PLAIN or any(type(each) is not kind for each in obj):
            return super().dump(obj)
        if kind is bytes:
            return b'{"\\\\x%b"}' % '","\\\\x'.join([each.hex() for each in obj]).encode()
        if kind is UUID:
            return b"{%b}" % ",".join([each.hex for each in obj]).encode()
        text = '","'.join(obj)
        if "\\" in text or text.count('"') != 2 * len(obj) - 2:
            return super().dump(obj)
        return b'{"%b"}' % text.encode()

"""True records of the org: one table per object, indexed by id, unique fields, parents and SystemModstamp.

Rows are never changed in place: a change puts a new dictionary, so a snapshot or a page may keep the old one. A field
that is not in a row is null.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.salesforce.facts import Field, SObject

Row = dict[str, Any]


def lookup_key(field: Field, value: Any) -> Any:
    """The form in which two values of a field are the same: text without case unless the field minds it."""
    return value.casefold() if isinstance(value, str) and not field.caseSensitive else value


class Table:
    """The records of one object, deleted ones included."""

    def __init__(self, sobject: SObject) -> None:
        self.rows: dict[str, Row] = {}
        self._keyed: dict[str, tuple[Field, dict[Any, set[str]]]] = {}
        self._children: dict[str, dict[str, set[str]]] = {}
        self._stamps: list[tuple[str, str]] = []
        self._hidden_until: dict[str, float] = {}
        self.fit(sobject)

    def fit(self, sobject: SObject) -> None:
        """Follow a change of the object's fields: keep only their indexes, and drop values of fields that are gone."""
        names = {field.name for field in sobject.fields}
        for id_, row in self.rows.items():
            if row.keys() - names:
                self.rows[id_] = {name: value for name, value in row.items() if name in names}
        self._keyed = {f.name: (f, {}) for f in sobject.fields if (f.idLookup or f.unique) and f.type != "id"}
        self._children = {field.name: {} for field in sobject.fields if field.type == "reference"}
        self._stamps = []
        for row in self.rows.values():
            self._index(row)

    def put(self, row: Row) -> None:
        """Insert or replace a row."""
        old = self.rows.get(row["Id"])
        if old is not None:
            self._unindex(old)
        self.rows[row["Id"]] = row
        self._index(row)

    def forget(self, id_: str) -> None:
        """Take a row out as if it had never been (undo of an insert)."""
        row = self.rows.pop(id_)
        self._hidden_until.pop(id_, None)
        self._unindex(row)

    def find(self, field: Field, value: Any) -> list[str]:
        """Ids of live records whose indexed field has a value, oldest first."""
        ids = self._keyed[field.name][1].get(lookup_key(field, value), ())
        return sorted(id_ for id_ in ids if not self.rows[id_].get("IsDeleted"))

    def is_keyed(self, name: str) -> bool:
        """Whether a field has a value index."""
        return name in self._keyed

    def keyed(self, name: str, value: Any) -> Iterable[str]:
        """Ids, deleted ones included, whose indexed field has a value."""
        field, index = self._keyed[name]
        return index.get(lookup_key(field, value), ())

    def children(self, name: str, parent_id: str) -> set[str]:
        """Ids, deleted ones included, whose reference field points to a parent."""
        return self._children[name].get(parent_id, set())

    def has_children_index(self, name: str) -> bool:
        """Whether a field is a reference."""
        return name in self._children

    def stamped_since(self, stamp: str) -> Iterator[str]:
        """Ids whose SystemModstamp is at or after a stamp, in its order."""
        for found, id_ in self._stamps[bisect_left(self._stamps, (stamp, "")) :]:
            row = self.rows.get(id_)
            if row is not None and row.get("SystemModstamp") == found:
                yield id_

    def hide(self, id_: str, seconds: float) -> None:
        """Keep a record out of queries for a while, machine time (index lag)."""
        self._hidden_until[id_] = time.monotonic() + seconds

    def hidden(self) -> set[str]:
        """Ids that queries do not see yet."""
        now = time.monotonic()
        self._hidden_until = {id_: until for id_, until in self._hidden_until.items() if until > now}
        return set(self._hidden_until)

    def _index(self, row: Row) -> None:
        id_ = row["Id"]
        for name, (field, index) in self._keyed.items():
            if (value := row.get(name)) is not None:
                index.setdefault(lookup_key(field, value), set()).add(id_)
        for name, parents in self._children.items():
            if (parent := row.get(name)) is not None:
                parents.setdefault(parent, set()).add(id_)
        if (stamp := row.get("SystemModstamp")) is not None:
            place = bisect_left(self._stamps, (stamp, id_))
            if place == len(self._stamps) or self._stamps[place] != (stamp, id_):
                self._stamps.insert(place, (stamp, id_))
            if len(self._stamps) > 64 + 2 * len(self.rows):
                self._stamps = sorted({(r["SystemModstamp"], r["Id"]) for r in self.rows.values()})

    def _unindex(self, row: Row) -> None:
        id_ = row["Id"]
        for name, (field, index) in self._keyed.items():
            if (value := row.get(name)) is not None:
                index[lookup_key(field, value)].discard(id_)
        for name, parents in self._children.items():
            if (parent := row.get(name)) is not None:
                parents[parent].discard(id_)

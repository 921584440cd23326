"""One type's objects by id, with indexes. Objects are replaced, never changed in an indexed field."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from sandbox.gam.pql import Condition, equal_values
from sandbox.gam.soap import Native


class Table:
    """Objects of one type. Not thread-safe: the network's lock guards it.

    Args:
        first_id: where the ids begin; each type has its own range, as ids of different types differ at the vendor.
        indexes: PQL property in lower case -> key of an object; `id` is always there.
    """

    def __init__(self, first_id: int, indexes: Mapping[str, Callable[[Native], Hashable]] | None = None) -> None:
        self._next = first_id
        self._rows: dict[int, Native] = {}
        self._keys = dict(indexes or {})
        self._indexes: dict[str, dict[Hashable, dict[int, None]]] = {name: {} for name in self._keys}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Native]:
        return iter(list(self._rows.values()))

    def new_id(self) -> int:
        """The next id, never given twice."""
        self._next += 1
        return self._next - 1

    def get(self, object_id: int | None) -> Native | None:
        """The object of an id, or None."""
        return None if object_id is None else self._rows.get(object_id)

    def put(self, row: Native) -> None:
        """Add an object or replace the one with its id."""
        row_id = row["id"]
        self._unindex(row_id)
        self._rows[row_id] = row
        for name, key in self._keys.items():
            self._indexes[name].setdefault(key(row), {})[row_id] = None

    def remove(self, object_id: int) -> None:
        """Take an object away."""
        self._unindex(object_id)
        del self._rows[object_id]

    def having(self, name: str, key: Hashable) -> list[Native]:
        """The objects with this key in an index, oldest first."""
        return [self._rows[each] for each in self._indexes[name].get(key, ())]

    def candidates(self, condition: Condition | None) -> Iterable[Native]:
        """All objects that may meet a condition: read by index where it names equal values, else all."""
        ids = equal_values(condition, "id")
        if ids is not None:
            return [row for each in dict.fromkeys(map(_as_id, ids)) if (row := self._rows.get(each)) is not None]
        for name in self._keys:
            values = equal_values(condition, name)
            if values is not None:
                found = dict.fromkeys(each for value in values for each in self._indexes[name].get(value, ()))
                return [self._rows[each] for each in found]
        return list(self._rows.values())

    def dump(self) -> dict[str, Any]:
        """The table as JSON values."""
        return {"next": self._next, "rows": list(self._rows.values())}

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        self._rows.clear()
        for index in self._indexes.values():
            index.clear()
        for row in dumped["rows"]:
            self.put(row)
        self._next = int(dumped["next"])

    def _unindex(self, row_id: int) -> None:
        old = self._rows.get(row_id)
        if old is None:
            return
        for name, key in self._keys.items():
            self._indexes[name][key(old)].pop(row_id, None)


def _as_id(value: Any) -> int:
    # A value that is no whole number cannot be an id; the evaluator refuses it with its own words later.
    try:
        return int(value) if int(value) == value else -1
    except (TypeError, ValueError):
        return -1

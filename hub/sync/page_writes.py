"""What accepting a page of changes writes: held back in memory and written in one statement for each table.

Every transition is noted where it happens, so that the audit chain tells it in the order of the records. Whoever reads a
table that something is held back for has it written first (`flush`); nothing may be held back when the transaction ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.store import changes, entities
from hub.store.changes import Conclusion, NewChange
from hub.store.database import Cursor
from hub.store.entities import NewVersion
from oms_schema.ids import EntityKind


class PageWrites:
    """Changes, versions and parts on orders of one transaction that are not written yet."""

    def __init__(self) -> None:
        self._changes: dict[int, NewChange] = {}
        self._concluded: dict[int, Conclusion] = {}
        self._versions: dict[tuple[str, str], NewVersion] = {}
        self._parties: dict[str, Sequence[tuple[str, str]]] = {}

    def add(self, change: NewChange) -> None:
        """Store a change as received, under a reserved number; no second one of a source record without a flush between."""
        self._changes[change.id] = change

    def conclude(self, cur: Cursor, conclusion: Conclusion) -> None:
        """Say what became of a change; a version that it once became is remembered."""
        number = conclusion.change_id
        before = self._changes.get(number) or self._concluded.get(number)
        version = conclusion.version if conclusion.version is not None or before is None else before.version
        if number in self._changes:
            self._changes[number] = self._changes[number]._replace(
                status=conclusion.status, version=version, waits_for=conclusion.waits_for
            )
        else:
            self._concluded[number] = conclusion._replace(version=version)
        changes.note_concluded(cur, conclusion)

    def put(self, cur: Cursor, new: NewVersion) -> None:
        """Write a version and make it the newest."""
        key = (new.kind, new.entity_id)
        if key in self._versions:  # one statement cannot touch an entity twice
            self.flush(cur)
        self._versions[key] = new
        entities.note_version(cur, new)

    def set_parties(self, order_id: str, parties: Sequence[tuple[str, str]]) -> None:
        """Who plays which (role, party id) on an order."""
        self._parties[order_id] = parties

    def flush_versions(self, cur: Cursor, kind: EntityKind) -> None:
        """Before entities of a kind are read from the store."""
        if any(each == kind for each, _ in self._versions):
            self.flush(cur)

    def flush_parties(self, cur: Cursor) -> None:
        """Before it is read from the store who plays which part."""
        if self._parties:
            self.flush(cur)

    def flush(self, cur: Cursor) -> None:
        """Write whatever is held back."""
        changes.add_all(cur, list(self._changes.values()))
        changes.conclude_all(cur, list(self._concluded.values()))
        entities.put_all(cur, list(self._versions.values()))
        entities.set_parties(cur, self._parties)
        self._changes, self._concluded, self._versions, self._parties = {}, {}, {}, {}

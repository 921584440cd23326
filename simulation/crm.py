"""A simulated CRM: records that people edit, stamped in whole seconds, some visible only later; and the mirror's fields.

A change made in a long transaction carries the stamp of its making and shows itself after its commit, at most `overlap`
minus two seconds later; several changes may share one stamp. The mirror's writes move the stamp of a record like anybody's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Native, Outcome, Page, PushItem, PushResult, ReadRecord
from simulation.terms import Terms

STREAMS = {"Account": (), "Opportunity": ("Account",), "OpportunityLineItem": ("Opportunity",)}


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a record and when it became visible."""

    visible_at: datetime
    stamp: datetime
    fields: Mapping[str, Any]
    deleted: bool


@dataclass(slots=True)
class Record:
    """One record with its history; `mirror` holds the hub's own fields."""

    native_id: str
    versions: list[Version] = field(default_factory=list)
    mirror: dict[str, Any] = field(default_factory=dict)
    mirror_version: int = 0

    @property
    def newest(self) -> Version:
        """The state that everybody will see in the end."""
        return self.versions[-1]

    def seen_at(self, now: datetime) -> Version | None:
        """The state that a reader sees."""
        return next((version for version in reversed(self.versions) if version.visible_at <= now), None)


class Crm:
    """True state. Only the connector of a worker, the disturber and the checker touch it."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.records: dict[str, dict[str, Record]] = {stream: {} for stream in STREAMS}
        self.applied = 0
        self.edits = 0
        self.broken: list[tuple[str, str]] = []
        self.strict_cursor = False
        """A reader that asks for `>` instead of `>=` (a planted fault)."""
        self.overlap = terms.overlap
        self.under_way: list[tuple[datetime, int, str, tuple[PushItem, ...], tuple[int, ...]]] = []
        self._numbers = 0

    # ---------------------------------------------------------------- people
    def put(
        self,
        stream: str,
        native_id: str,
        now: datetime,
        fields: Mapping[str, Any],
        *,
        deleted: bool = False,
        later: float = 0.0,
    ) -> None:
        """Write a record as a user would; fields not named keep their values. `later`: seconds until it is visible."""
        table = self.records[stream]
        record = table.setdefault(native_id, Record(native_id))
        stamp, visible_at = now.replace(microsecond=0), now + timedelta(seconds=later)
        known: Mapping[str, Any] = {}
        if record.versions:
            newest = record.newest
            known, stamp = newest.fields, max(stamp, newest.stamp)
            visible_at = max(visible_at, newest.visible_at)
        record.versions.append(Version(visible_at, stamp, {**known, **fields, "Id": native_id}, deleted))
        self.edits += 1

    def present(self, stream: str) -> list[Record]:
        """Records that are not deleted."""
        return [record for record in self.records[stream].values() if not record.newest.deleted]

    # ---------------------------------------------------------------- reads
    def read(self, stream: str, fields: Sequence[str], cursor: str | None, now: Any) -> Iterator[Page]:
        """Pages in (stamp, id) order from `overlap` behind the cursor; `now` is asked anew for each page."""
        begun = None if cursor in {None, "{}"} else json.loads(str(cursor))
        since = None if begun is None else datetime.fromisoformat(begun["t"]) - timedelta(seconds=self.overlap)
        last: tuple[datetime, str] | None = None
        while True:
            rows = self._rows(stream, since, last, now())
            page = rows[: self.terms.page_size]
            complete = len(rows) <= self.terms.page_size
            if page:
                last = (page[-1][1].stamp, page[-1][0])
            newest = begun
            if last is not None and (begun is None or last[0] >= datetime.fromisoformat(begun["t"])):
                newest = {"t": last[0].isoformat(), "id": last[1]}
            records = [
                ReadRecord(native_id, version.stamp, self.shown(version, fields), version.deleted)
                for native_id, version in page
            ]
            yield Page(records, json.dumps(newest) if newest else "{}", last=complete)
            if complete:
                return

    def _rows(
        self, stream: str, since: datetime | None, last: tuple[datetime, str] | None, now: datetime
    ) -> list[tuple[str, Version]]:
        rows = []
        for native_id, record in self.records[stream].items():
            version = record.seen_at(now)
            if version is None:
                continue
            if since is not None and (version.stamp <= since if self.strict_cursor else version.stamp < since):
                continue
            if last is not None and (version.stamp, native_id) <= last:
                continue
            rows.append((native_id, version))
        return sorted(rows, key=lambda row: (row[1].stamp, row[0]))

    @staticmethod
    def shown(version: Version, fields: Sequence[str]) -> Native:
        """The fields asked for, as far as the record has them."""
        return {name: version.fields[name] for name in ("Id", *fields) if name in version.fields}

    # ---------------------------------------------------------------- the mirror's writes
    def write(
        self, stream: str, items: Sequence[PushItem], versions: Sequence[int], now: datetime, locked: frozenset[int]
    ) -> list[PushResult]:
        """Each row for itself; `locked` rows are held by somebody else."""
        results = []
        for at, (item, version) in enumerate(zip(items, versions, strict=True)):
            record = self.records[stream].get(item.vendor_id or "")
            if at in locked:
                results.append(PushResult(item.key, Outcome.RETRY, item.vendor_id, "UNABLE_TO_LOCK_ROW", "locked"))
            elif record is None or record.newest.deleted:
                results.append(
                    PushResult(
                        item.key,
                        Outcome.REJECTED,
                        item.vendor_id,
                        "ENTITY_IS_DELETED",
                        "gone",
                        reason="vendor_state",
                    )
                )
            else:
                self._mirror(stream, record, item, version, now)
                results.append(PushResult(item.key, Outcome.UPDATED, item.vendor_id))
        return results

    def _mirror(self, stream: str, record: Record, item: PushItem, version: int, now: datetime) -> None:
        foreign = [name for name in item.payload if not name.startswith("Hub_")]
        if foreign:
            self.broken.append(("I5", f"the mirror writes {', '.join(foreign)}, which belongs to the CRM's people"))
        if version < record.mirror_version:
            self.broken.append(
                ("I6", f"{stream} {record.native_id} went from version {record.mirror_version} back to {version}")
            )
        record.mirror_version = max(record.mirror_version, version)
        if any(record.mirror.get(name) != value for name, value in item.payload.items()):
            self.applied += 1
        record.mirror.update(item.payload)
        changes = {}
        if self.terms.automation and stream == "Opportunity" and record.newest.fields.get("Description") != "by flow":
            changes = {"Description": "by flow"}
        edits = self.edits
        self.put(stream, record.native_id, now, changes)
        self.edits = edits + bool(changes)

    def postpone(self, due: datetime, stream: str, items: Sequence[PushItem], versions: Sequence[int]) -> None:
        """These writes will be applied at `due`."""
        self._numbers += 1
        self.under_way.append((due, self._numbers, stream, tuple(items), tuple(versions)))

    def catch_up(self, now: datetime) -> int:
        """Apply what has come due; returns how many requests."""
        due = sorted((late for late in self.under_way if late[0] <= now), key=lambda late: late[:2])
        self.under_way = [late for late in self.under_way if late[0] > now]
        for when, _, stream, items, versions in due:
            self.write(stream, items, versions, when, frozenset())
        return len(due)

"""Reading what changed: keyset pages over (SystemModstamp, Id), deleted and merged records included."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.base import Native, Page, ReadRecord
from connectors.errors import Misconfigured
from connectors.salesforce.session import odd_reply
from connectors.salesforce.soql import changed_after, changed_since, instant, instant_literal, is_id, select

ORDER = "SystemModstamp, Id"
ALWAYS = ("Id", "SystemModstamp", "IsDeleted")

_FRAME = frozenset({"SystemModstamp", "IsDeleted"})

Ask = Callable[[str], list[Native]]
"""Runs a query, deleted records included, and returns its rows."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The last record of a stream that was read."""

    modified_at: datetime
    native_id: str

    def cursor(self) -> str:
        """As the opaque text the engine keeps."""
        return json.dumps({"t": instant_literal(self.modified_at), "id": self.native_id}, separators=(",", ":"))


BEGINNING = "{}"


def position(cursor: str | None) -> Position | None:
    """The position a cursor stands for; None is the beginning. Raises Misconfigured for text that is no cursor."""
    if cursor is None or cursor == BEGINNING:
        return None
    try:
        kept = json.loads(cursor)
        if not is_id(kept["id"]):
            raise ValueError("no id")
        return Position(instant(kept["t"]), kept["id"])
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(
            "CURSOR-UNREADABLE",
            "The stored cursor is not one of this connector's. Nothing is read. An administrator resets the stream's "
            "cursor; reading from the beginning loses nothing.",
        ) from error


def read_changes(
    ask: Ask, stream: str, fields: Sequence[str], cursor: str | None, *, overlap: timedelta, page_size: int
) -> Iterator[Page]:
    """Pages from `overlap` behind the cursor to the present.

    The cursor of a page never lies behind the one given: a run that ends inside the overlap must not creep backwards.
    """
    begun = position(cursor)
    wanted = tuple(dict.fromkeys((*ALWAYS, *fields)))
    where = changed_since(begun.modified_at - overlap if begun else None)
    seen: set[str] = set()  # ids at the newest moment so far; a page that brings one again does not advance
    last: Position | None = None
    while True:
        rows = ask(select(stream, wanted, where, order=ORDER, limit=page_size))
        records = [_record(row, fields) for row in rows]
        for record in records:
            if last is not None and record.modified_at < last.modified_at:
                raise odd_reply("records came out of order")
            if last is None or record.modified_at > last.modified_at:
                seen = set()
            if record.native_id in seen:
                raise odd_reply("a record came twice")
            seen.add(record.native_id)
            last = Position(record.modified_at, record.native_id)
        complete = len(rows) < page_size
        newest = max((p for p in (begun, last) if p is not None), default=None, key=lambda p: p.modified_at)
        yield Page(records, newest.cursor() if newest else BEGINNING, last=complete)
        if complete or last is None:
            return
        where = changed_after(last.modified_at, last.native_id)


def _record(row: Native, fields: Sequence[str]) -> ReadRecord:
    native_id, deleted = row.get("Id"), row.get("IsDeleted")
    if not isinstance(native_id, str) or not is_id(native_id) or not isinstance(deleted, bool):
        raise odd_reply("a record has no Id or no IsDeleted")
    try:
        modified_at = instant(row.get("SystemModstamp"))
    except ValueError:
        raise odd_reply(f"the SystemModstamp of {native_id} is no date-time") from None
    # The stamp moves with every write, ours included; kept out of the record, an echo of ours equals what was read before.
    native = {name: value for name, value in row.items() if name not in _FRAME or name in fields}
    return ReadRecord(native_id, modified_at, native, deleted)

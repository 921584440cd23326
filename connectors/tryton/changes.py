"""Reading what changed: keyset pages over (last_modified_at, id), with an overlap.

`last_modified_at` is the time at which the writing transaction began, not when it committed: a slow one that commits after
our read would stay behind the cursor for ever (seen on PostgreSQL), so every read starts `overlap` seconds behind. A part
payment is a write of the invoice, so it is seen here; a credit memo is an invoice of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Native, Page, ReadRecord
from connectors.errors import Misconfigured
from connectors.tryton.directory import Rows
from connectors.tryton.error_table import Effect, unreadable

ORDER = [["last_modified_at", "ASC"], ["id", "ASC"]]
BEGINNING = "{}"

Ask = Callable[[list[Any]], Rows]
"""Reads the first page of a domain, in ORDER, with at least `id` and `last_modified_at`."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The last record of a stream that was read."""

    modified_at: datetime
    native_id: int

    def cursor(self) -> str:
        """As the opaque text the engine keeps."""
        return json.dumps({"t": self.modified_at.isoformat(), "id": self.native_id}, separators=(",", ":"))


def position(cursor: str | None) -> Position | None:
    """The position a cursor stands for; None is the beginning. Raises Misconfigured for text that is no cursor."""
    if cursor is None or cursor == BEGINNING:
        return None
    try:
        kept = json.loads(cursor)
        at = datetime.fromisoformat(kept["t"])
        if at.tzinfo is None or type(kept["id"]) is not int:
            raise ValueError("no position")
        return Position(at.astimezone(UTC), kept["id"])
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(
            "CURSOR-UNREADABLE",
            "The stored cursor is not one of this connector's. Nothing is read. An administrator resets the stream's cursor; "
            "reading from the beginning loses nothing.",
        ) from error


def read_changes(
    ask: Ask,
    cursor: str | None,
    *,
    overlap: timedelta,
    page_size: int,
    native: Callable[[Rows], Sequence[Native]],
) -> Iterator[Page]:
    """Pages from `overlap` behind the cursor to the present; `native` makes a page's rows into records, in order.

    The cursor of a page never lies behind the one given: a run that ends inside the overlap must not creep backwards.
    """
    begun = position(cursor)
    domain: list[Any] = [["last_modified_at", ">=", begun.modified_at - overlap]] if begun else []
    last: Position | None = None
    while True:
        rows = ask(domain)
        records = []
        for row, shown in zip(rows, native(rows), strict=True):
            at = row.get("last_modified_at")
            if not isinstance(at, datetime):
                raise unreadable(f"record {row['id']} without its time", "search_read", Effect.READ)
            here = Position(at, row["id"])
            if last is not None and here <= last:
                raise unreadable("records out of order", "search_read", Effect.READ)
            last = here
            records.append(ReadRecord(str(row["id"]), at, shown))
        complete = len(rows) < page_size
        newest = max((p for p in (begun, last) if p is not None), default=None)
        yield Page(records, newest.cursor() if newest else BEGINNING, last=complete)
        if complete or last is None:
            return
        same_moment = [["last_modified_at", "=", last.modified_at], ["id", ">", last.native_id]]
        domain = ["OR", [["last_modified_at", ">", last.modified_at]], same_moment]

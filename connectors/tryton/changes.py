"""Reading what changed: keyset pages over (last_modified_at, id), with an overlap.

`last_modified_at` is the time at which the writing transaction began, not when it committed: a slow one that commits after
our read would stay behind the cursor for ever (seen on PostgreSQL), so every read starts `overlap` seconds behind. A part
payment is a write of the invoice, so it is seen here; a credit memo is an invoice of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Native, Page, ReadRecord
from connectors.position import Position, furthest, instant, number, position
from connectors.tryton.directory import Rows
from connectors.tryton.error_table import Effect, unreadable

ORDER = [["last_modified_at", "ASC"], ["id", "ASC"]]
Ask = Callable[[list[Any]], Rows]
"""Reads the first page of a domain, in ORDER, with at least `id` and `last_modified_at`."""


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
    begun = position(cursor, instant, number)
    domain: list[Any] = [["last_modified_at", ">=", begun.changed - overlap]] if begun else []
    last: Position[int] | None = None
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
        yield Page(records, furthest(begun, last), last=complete)
        if complete or last is None:
            return
        same_moment = [["last_modified_at", "=", last.changed], ["id", ">", last.native_id]]
        domain = ["OR", [["last_modified_at", ">", last.changed]], same_moment]

"""Reading what changed: `If-Modified-Since`, in the order of UpdatedDateUTC, with an overlap.

Xero pages by number, and every change moves a record to the end of this order. Page two of a list that moved would skip a
record, so the next page is asked for as page one of a later moment, wherever the page spans more than one second (the header
holds whole seconds). Part payments and set-off credits change the invoice's own UpdatedDateUTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Native, Page, ReadRecord
from connectors.position import Position, furthest, instant, position
from connectors.xero.elements import is_uuid
from connectors.xero.error_table import Effect, unreadable

Rows = list[dict[str, Any]]
Ask = Callable[[datetime | None, int], Rows]
"""Reads one page of what changed since a moment (None: all), in the order of UpdatedDateUTC."""


def read_changes(
    ask: Ask,
    id_field: str,
    cursor: str | None,
    *,
    overlap: timedelta,
    page_size: int,
    native: Callable[[dict[str, Any]], Native],
) -> Iterator[Page]:
    """Pages from `overlap` behind the cursor to the present, each record once for each state it is seen in.

    The cursor of a page never lies behind the one given: a run that ends inside the overlap must not creep backwards.
    """
    begun = position(cursor, instant, _uuid)
    since = _whole(begun.changed - overlap) if begun else None
    page, newest = 1, begun
    seen: dict[str, datetime] = {}
    stale = 0
    while True:
        rows = ask(since, page)
        if len(rows) > page_size:
            raise unreadable(f"{len(rows)} records for a page of {page_size}", "a page", Effect.READ)
        fresh: list[ReadRecord] = []
        last: datetime | None = None
        for row in rows:
            native_id, at = row.get(id_field), row.get("UpdatedDateUTC")
            if not is_uuid(native_id) or not isinstance(at, datetime):
                raise unreadable("a record without its id or time", "a page", Effect.READ)
            if last is not None and at < last:
                raise unreadable("records out of order", "a page", Effect.READ)
            last = at
            if seen.get(str(native_id)) == at:
                continue
            seen[str(native_id)] = at
            fresh.append(ReadRecord(str(native_id), at, native(row)))
        fresh.sort(key=lambda record: (record.modified_at, record.native_id))
        if fresh:
            here = Position(fresh[-1].modified_at, fresh[-1].native_id)
            newest = here if newest is None else max(newest, here)
        complete = len(rows) < page_size or last is None
        stale = 0 if fresh else stale + 1
        if not complete and stale * page_size > len(seen):
            raise unreadable("the same page over and over", "a page", Effect.READ)
        yield Page(fresh, furthest(newest), last=complete)
        if complete or last is None:
            return
        # One second early: whether the header's own second is among what changed since is not documented.
        later = _whole(last) - timedelta(seconds=1)
        if since is None or later > since:
            # What was seen before this second cannot come again unless it changes.
            seen = {native_id: at for native_id, at in seen.items() if at >= later}
            since, page = later, 1
        else:
            page += 1


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _uuid(kept: object) -> str:
    if not isinstance(kept, str) or not is_uuid(kept):
        raise ValueError("no id")
    return kept

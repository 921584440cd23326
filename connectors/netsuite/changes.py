"""Reading what changed: keyset pages over (lastmodifieddate, id), with an overlap.

A transaction is stamped while it is saved and seen after its commit, so every read starts `overlap` seconds behind. Whether a
payment moves the time of its invoice is said nowhere, so payments and credit memos are read as well, and the invoices they are
applied to are shown with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.base import Native, Page, ReadRecord
from connectors.netsuite.error_table import odd_reply
from connectors.netsuite.session import Row
from connectors.netsuite.suiteql import instant, is_id, read_wall, wall, wall_start
from connectors.position import Position, furthest, number, position
from connectors.position import wall as kept_wall

Ask = Callable[[str], list[Row]]
"""Reads the first rows behind a condition, in (lastmodifieddate, id) order, with `id` and `changed`."""
Show = Callable[[Sequence[Row]], Sequence[Sequence[tuple[str, Native]]]]
"""For each row the records to show for it, (id, record)."""


def read_changes(
    ask: Ask, cursor: str | None, show: Show, *, column: str, zone: ZoneInfo, overlap: timedelta, page_size: int
) -> Iterator[Page]:
    """Pages from `overlap` behind the cursor to the present; `column` is the alias whose row is keyed (`t`).

    The cursor of a page never lies behind the one given: a run that ends inside the overlap must not creep backwards. A
    record that several rows of one page lead to is shown once, at the first.
    """
    begun = position(cursor, kept_wall, number)
    condition = f"{column}.id > 0"
    if begun is not None:
        condition = f"{column}.lastmodifieddate >= {wall(wall_start(instant(begun.changed, zone) - overlap, zone))}"
    last: Position[int] | None = None
    while True:
        rows = ask(condition)
        times: list[datetime] = []
        for row in rows:
            here = _position(row)
            if last is not None and here <= last:
                raise odd_reply("rows came out of order")
            last = here
            times.append(instant(here.changed, zone))
        records: dict[str, ReadRecord] = {}
        for at, shown in zip(times, show(rows), strict=True):
            for native_id, native in shown:
                records.setdefault(native_id, ReadRecord(native_id, at, native))
        complete = len(rows) < page_size
        yield Page(list(records.values()), furthest(begun, last), last=complete)
        if complete or last is None:
            return
        there = wall(last.changed)
        stamp = f"{column}.lastmodifieddate"
        condition = f"({stamp} > {there} OR ({stamp} = {there} AND {column}.id > {last.native_id}))"


def _position(row: Mapping[str, str]) -> Position[int]:
    if not is_id(row.get("id")):
        raise odd_reply("a row has no id")
    try:
        return Position(read_wall(row.get("changed")), int(row["id"]))
    except ValueError:
        raise odd_reply(f"the time of {row['id']} is none") from None

"""Counts every record of an object, those in the recycle bin too: pages by Id, because Ids never move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from connectors.base import CensusRow, Native
from connectors.salesforce.session import odd_reply
from connectors.salesforce.soql import above_id, is_id, select

FIELDS = ("Id", "IsDeleted")

Ask = Callable[[str], list[Native]]
"""Runs a query, deleted records included, and returns its rows."""


def census(ask: Ask, record: str, page_size: int) -> Iterator[Sequence[CensusRow]]:
    """All records in Id order. Those that were emptied from the recycle bin are gone. Raises like a read."""
    last, before = "", set[str]()
    while True:
        rows = ask(select(record, FIELDS, above_id(last), order="Id", limit=page_size))
        found: list[CensusRow] = []
        ids = set[str]()
        for row in rows:
            native_id, deleted = row.get("Id"), row.get("IsDeleted")
            if not isinstance(native_id, str) or not is_id(native_id) or not isinstance(deleted, bool):
                raise odd_reply("a record has no Id or no IsDeleted")
            if native_id in ids or native_id in before:
                raise odd_reply("a record came twice")
            ids.add(native_id)
            last = native_id
            found.append(CensusRow(native_id, archived=deleted))
        yield found
        before = ids
        if len(rows) < page_size:
            return

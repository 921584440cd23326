"""Reads what changed since a cursor, in (modification time, id) order.

PQL orders by one property only, the vendor's times have whole seconds and offsets shift while others write. So pages go by
keyset: a page ordered by time, cut before the last second it shows, then that second in id order to its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Page, ReadRecord
from connectors.errors import Misconfigured, SchemaDrift
from connectors.gam.objects import Objects
from connectors.gam.plain import project
from connectors.gam.settings import GamSettings
from connectors.gam.statement import Where, moment_of

STREAMS = ("Order", "LineItem")
_TIME = "lastModifiedDateTime"
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def read(
    objects: Objects, settings: GamSettings, stream: str, fields: Sequence[str], cursor: str | None, overlap: float
) -> Iterator[Page]:
    """Pages from `overlap` seconds behind the cursor to the present; the last one may be empty."""
    if stream not in STREAMS:
        raise Misconfigured("STREAM-UNKNOWN", f"There is no stream {stream!r}. Choose {', '.join(STREAMS)}.")
    seen = _parse(cursor)
    since = _BEGINNING if seen is None else seen - timedelta(seconds=overlap)
    size = settings.page_size
    where = Where().from_(_TIME, since)
    while True:
        natives, total = objects.page(stream, where.statement(order=f"{_TIME} ASC", limit=size, offset=0))
        records = sorted((_record(native, fields) for native in natives), key=_order)
        if len(natives) >= total:
            seen = max([r.modified_at for r in records] + ([seen] if seen else []), default=None)
            yield Page(records, _cursor(seen), last=True)
            return
        edge = records[-1].modified_at
        whole = [record for record in records if record.modified_at < edge]
        if whole:
            yield Page(whole, _cursor(whole[-1].modified_at))
        yield from _one_second(objects, stream, fields, edge, size)
        where = Where().above(_TIME, edge)


def _one_second(objects: Objects, stream: str, fields: Sequence[str], at: datetime, size: int) -> Iterator[Page]:
    """Everything that was modified in one second, in id order; a bulk edit stamps thousands alike."""
    last = 0
    while True:
        where = Where().equals(_TIME, at).above("id", last)
        natives, total = objects.page(stream, where.statement(order="id ASC", limit=size, offset=0))
        if natives:
            yield Page([_record(native, fields) for native in natives], _cursor(at))
            last = int(natives[-1]["id"])
        if len(natives) >= total:
            return


def _record(native: Mapping[str, Any], fields: Sequence[str]) -> ReadRecord:
    try:
        modified = moment_of(native[_TIME])
    except (KeyError, ValueError) as error:
        raise SchemaDrift("TIME-MISSING", f"A record came without a readable {_TIME}.", _TIME) from error
    kept = dict(native) if not fields else project(native, fields)
    return ReadRecord(str(native["id"]), modified, kept)


def _order(record: ReadRecord) -> tuple[datetime, int]:
    return record.modified_at, int(record.native_id)


def _cursor(seen: datetime | None) -> str:
    return json.dumps({"modified": seen.isoformat() if seen else None})


def _parse(cursor: str | None) -> datetime | None:
    if not cursor:
        return None
    try:
        value = json.loads(cursor)["modified"]
        return datetime.fromisoformat(value) if value else None
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured("CURSOR-UNREADABLE", f"{cursor[:80]!r} is no cursor of this connector.") from error

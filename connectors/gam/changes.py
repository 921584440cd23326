"""Reads what changed since a cursor, in (modification time, id) order.

PQL orders by one property only, the vendor's times have whole seconds and offsets shift while others write. So pages go by
keyset: a page ordered by time, cut before the last second it shows, then that second in id order to its end.

Times are shown in the network's zone and name no fold (`DateTime` of the WSDL: date, hour, minute, second, timeZoneId), so when
clocks go back an hour comes twice: 01:30 is 05:30 or 06:30 UTC. The earlier is taken, which loses nothing, unless it lies
before what was asked for; else the later hour would be asked for again and again. Whether the vendor compares more than the
whole seconds it shows is not published [K], so a second is asked for as from its beginning to before its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Page, ReadRecord
from connectors.errors import Misconfigured, RetryLater, SchemaDrift
from connectors.gam.objects import Objects
from connectors.gam.plain import project
from connectors.gam.settings import GamSettings
from connectors.gam.statement import Where, moment_of

STREAMS = ("Order", "LineItem")
_TIME = "lastModifiedDateTime"
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def read(
    objects: Objects, settings: GamSettings, stream: str, fields: Sequence[str], cursor: str | None, overlap: float
) -> Iterator[Page]:
    """Pages from `overlap` seconds behind the cursor to the present; the last one may be empty."""
    if stream not in STREAMS:
        raise Misconfigured("STREAM-UNKNOWN", f"There is no stream {stream!r}. Choose {', '.join(STREAMS)}.")
    seen = _parse(cursor)
    since = _BEGINNING if seen is None else (seen - timedelta(seconds=overlap)).replace(microsecond=0)
    size = settings.page_size
    while True:
        where = Where().from_(_TIME, since)
        natives, total = objects.page(stream, where.statement(order=f"{_TIME} ASC", limit=size, offset=0))
        records = sorted((_record(native, fields, since) for native in natives), key=_order)
        if len(natives) >= total:
            seen = max([r.modified_at for r in records] + ([seen] if seen else []), default=None)
            yield Page(records, _cursor(seen), last=True)
            return
        if not records or records[-1].modified_at < since:
            raise RetryLater("PAGE-UNREADABLE", f"A page of changes since {since.isoformat()} shows none of them.")
        edge = records[-1].modified_at
        whole = [record for record in records if record.modified_at < edge]
        if whole:
            yield Page(whole, _cursor(whole[-1].modified_at))
        yield from _one_second(objects, stream, fields, edge, size)
        since = edge + _SECOND


def _one_second(objects: Objects, stream: str, fields: Sequence[str], at: datetime, size: int) -> Iterator[Page]:
    """Everything that was modified in one second, in id order; a bulk edit stamps thousands alike."""
    last = 0
    while True:
        where = Where().from_(_TIME, at).below(_TIME, at + _SECOND).above("id", last)
        natives, total = objects.page(stream, where.statement(order="id ASC", limit=size, offset=0))
        if natives:
            yield Page([_record(native, fields, at) for native in natives], _cursor(at))
            reached = int(natives[-1]["id"])
            if reached <= last:
                raise RetryLater("PAGE-UNREADABLE", f"A page of changes behind id {last} ends with id {reached}.")
            last = reached
        if len(natives) >= total:
            return


def _record(native: Mapping[str, Any], fields: Sequence[str], since: datetime) -> ReadRecord:
    """A record that was asked for from `since` on."""
    try:
        modified = moment_of(native[_TIME])
        if modified < since <= (later := moment_of(native[_TIME], fold=1)):
            modified = later
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

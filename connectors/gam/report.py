"""Delivery by day and line: the report query, and the rows of its gzip CSV, streamed and checked."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from connectors.base import DeliveryQuery, DeliveryRow
from connectors.errors import OutcomeUnknown, RecordRejected, SchemaDrift
from connectors.gam.settings import GamSettings

DIMENSIONS = ("DATE", "ORDER_ID", "LINE_ITEM_ID")
_FIELDS: Mapping[str, str] = {
    "AD_SERVER_IMPRESSIONS": "impressions",
    "AD_SERVER_CLICKS": "clicks",
    "VIDEO_VIEWERSHIP_COMPLETE": "completed_views",
    "TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS": "viewable_impressions",
}
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NOTHING = frozenset({"", "-", "N/A"})
"""How a cell without a number may read [K]; never accepted for impressions."""

_ID = re.compile(r"[1-9][0-9]{0,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""The one spelling of a line and of a day: delivery is added up by both, and under two spellings one number would count twice."""

_NO_LINE = frozenset({"0", "-1", "-", "N/A", ""})
"""Line item ids of impressions that no line item served (backfill) [K]; such rows are not ours."""


def report_query(query: DeliveryQuery, settings: GamSettings) -> dict[str, Any]:
    """The `ReportQuery` of a delivery report; days inclusive, in the zone of `report_time_zone`."""
    return {
        "dimensions": list(DIMENSIONS),
        "columns": list(settings.report_columns),
        "dateRangeType": "CUSTOM_DATE",
        "startDate": _date(query.since),
        "endDate": _date(query.until),
        "timeZoneType": settings.report_time_zone.value,
    }


DOWNLOAD_OPTIONS: Mapping[str, Any] = {
    "exportFormat": "CSV_DUMP",
    "includeReportProperties": False,
    "includeTotalsRow": False,
    "useGzipCompression": True,
}


def unpacked(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The bytes of a gzip stream, piece by piece; several members and a second layer of gzip are understood.

    Raises OutcomeUnknown when the stream ends before its trailer, is damaged, or unpacks to more than `most` bytes.
    """
    stream = _layer(iter(chunks), most)
    first = next(stream, b"")
    while 0 < len(first) < 2:
        more = next(stream, None)
        if more is None:
            break
        first += more
    rest = _prepended(first, stream)
    # a server may pack a file that is packed already (Content-Encoding on top of .gz)
    yield from _layer(rest, most) if first[:2] == b"\x1f\x8b" else rest


def _prepended(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _layer(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    machine = zlib.decompressobj(31)
    size, started = 0, False
    for chunk in chunks:
        data = chunk
        while data:
            if machine.eof:
                machine = zlib.decompressobj(31)
            started = True
            try:
                piece = machine.decompress(data, 1 << 20)
            except zlib.error as error:
                raise OutcomeUnknown("REPORT-DAMAGED", f"The report file is damaged ({error}).") from error
            size += len(piece)
            if size > most:
                raise OutcomeUnknown("REPORT-TOO-LARGE", f"The report unpacks to more than {most} bytes.")
            if piece:
                yield piece
            data = machine.unconsumed_tail or machine.unused_data
    if started and not machine.eof:
        yield machine.flush()
    if not started or not machine.eof:
        raise OutcomeUnknown(
            "REPORT-CUT", "The report file ends in the middle; it is not used and must be loaded again."
        )


def rows(pieces: Iterable[bytes], columns: Sequence[str]) -> Iterator[DeliveryRow]:
    """The delivery rows of an unpacked CSV_DUMP.

    Raises SchemaDrift when a column is missing, stands twice or holds what it cannot, RecordRejected for a negative number,
    OutcomeUnknown when the file is no UTF-8, ends in the middle of a row or names one line twice on one day.
    """
    reader = _cells(pieces)
    header = next(reader, None)
    if header is None:
        raise OutcomeUnknown("REPORT-EMPTY", "The report file holds not even a header.")
    places = _places(header, columns)
    day_at, order_at, line_at = (places[name] for name in DIMENSIONS)
    seen: set[tuple[str, str]] = set()
    for number, row in enumerate(reader, start=2):
        if len(row) != len(header):
            raise OutcomeUnknown("REPORT-ROW", f"Row {number} of the report has {len(row)} cells, not {len(header)}.")
        line, day = row[line_at].strip(), row[day_at].strip()
        if line in _NO_LINE:
            continue
        if not _ID.fullmatch(line):
            raise SchemaDrift("LINE-UNREADABLE", f"Row {number}: LINE_ITEM_ID is {line[:40]!r}, no id.", "LINE_ITEM_ID")
        if (day, line) in seen:
            raise OutcomeUnknown("REPORT-TWICE", f"Row {number} names line {line} on {day} again.")
        seen.add((day, line))
        numbers = {_FIELDS[name]: _number(row[places[name]], name, number) for name in columns}
        yield DeliveryRow(_day(day, number), line, row[order_at].strip(), **numbers)


def _cells(pieces: Iterable[bytes]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(_lines(pieces), strict=True)
    except csv.Error as error:
        raise OutcomeUnknown("REPORT-ROW", f"The report is no CSV ({error}); it must be loaded again.") from error


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Lines of UTF-8 text with their ends; the last must be ended, else the file was cut."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield _text(line) + "\n"
    if rest:
        raise OutcomeUnknown(
            "REPORT-CUT", "The report's last row is not ended; it is not used and must be loaded again."
        )


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise OutcomeUnknown("REPORT-ENCODING", f"The report is not UTF-8 ({error.reason}).") from error


def _places(header: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    """Where each wanted column stands. Cells are `Dimension.DATE`, `Column.AD_SERVER_CLICKS` [K]; bare names do too."""
    names = [cell.strip().rsplit(".", 1)[-1] for cell in header]
    at = {name: place for place, name in enumerate(names)}
    missing = [name for name in (*DIMENSIONS, *columns) if name not in at]
    if missing:
        raise SchemaDrift(
            "COLUMN-MISSING",
            f"The delivery report has no {', '.join(missing)}; it has {', '.join(header)[:200]}.",
            missing[0],
        )
    doubled = [name for name in (*DIMENSIONS, *columns) if names.count(name) > 1]
    if doubled:
        raise SchemaDrift(
            "COLUMN-TWICE",
            f"The delivery report has {', '.join(doubled)} twice; it has {', '.join(header)[:200]}.",
            doubled[0],
        )
    return at


def _number(cell: str, column: str, row: int) -> int:
    text = cell.strip()
    if text in _NOTHING and column != "AD_SERVER_IMPRESSIONS":
        return 0
    if not _WHOLE.fullmatch(text):  # int() would take 1_500 and the digits of any script
        raise SchemaDrift("NUMBER-UNREADABLE", f"Row {row}: {column} is {text[:40]!r}, no whole number.", column)
    value = int(text)
    if value < 0:
        raise RecordRejected(
            "NUMBER-NEGATIVE", f"Row {row}: {column} is {value}; nothing is delivered below zero.", column
        )
    return value


def _day(cell: str, row: int) -> date:
    try:
        if not _DAY.fullmatch(cell):  # fromisoformat takes 20200229 and 2020-W09-6 too
            raise ValueError("another spelling")
        return date.fromisoformat(cell)
    except ValueError:
        raise SchemaDrift("DATE-UNREADABLE", f"Row {row}: DATE is {cell[:40]!r}, no day.", "DATE") from None


def _date(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}

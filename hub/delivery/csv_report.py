"""A CSV report as frames: cut at row ends, read column by column, its header and its trailer understood."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future

import polars as pl

from hub.delivery.checking import ASK, Told
from hub.delivery.refusals import ReportRefused
from hub.delivery.room import Room
from hub.delivery.shape import UNITS, Evidence, ReportShape
from hub.delivery.unpacking import AGAIN, side_by_side

LONGEST_ROW = 16 << 20
"""Bytes within which a row must end, or within the double of it."""

LONGEST_HEADER = 1 << 20
"""Bytes within which the first row must end; what has no row end is no CSV."""


def frames(source: str, shape: ReportShape, pieces: Iterator[bytes], told: Told, room: Room) -> Iterator[pl.DataFrame]:
    """Frames with our column names, values as they are read; the trailer's claims go into `told`. Raises ReportRefused.

    About `room.chunk` bytes of text become one frame, so many at once as it has workers.
    A row end inside quotes is understood. The file must end with a row end, else it was cut.
    """
    chunks = _chunks(source, pieces, room.chunk)
    header, rest = _header(source, shape, next(chunks, b""))
    places = _places(source, shape, header)
    reading = _Reading(source, shape, header, places)
    last: list[bytes] = []
    rows = _without_last(_again(rest, chunks), last) if shape.trailer is not None else _again(rest, chunks)
    for text, read in side_by_side(reading.frame, rows, room.workers):
        yield reading.done(text, read, told)
    if shape.trailer is not None:
        _trailer(source, shape, header, places, b"".join(last), told)
    if shape.complete_by is Evidence.GZIP:
        told.complete = True  # the unpacking ends without complaint only after length and check sum agreed
    elif shape.complete_by is Evidence.ROWS:
        told.complete = told.declared_rows is not None


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _without_last(chunks: Iterator[bytes], last: list[bytes]) -> Iterator[bytes]:
    """The same rows but the last, which is in `last` afterwards."""
    held = b""
    for chunk in chunks:
        whole = held + chunk
        cut = whole.rfind(b"\n", 0, len(whole) - 1) + 1
        held = whole[cut:]
        if cut:
            yield whole[:cut]
    last.append(held)


def _chunks(source: str, pieces: Iterator[bytes], about: int) -> Iterator[bytes]:
    """About so many bytes each, ending at the end of a row: where an even number of quotes stands before it."""
    held: list[bytes] = []
    size, due = 0, about
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size < due:
            continue
        text = b"".join(held)
        cut = _row_end(text)
        if cut == 0 and size > LONGEST_ROW:
            raise ReportRefused(source, "no_rows", f"No row of the report ends within {size:,} bytes.", ASK)
        held, size = [text[cut:]], len(text) - cut
        due = about if cut else 2 * size  # looking again at every piece would read a long row over and over
        if cut:
            yield text[:cut]
    text = b"".join(held)
    if text and (not text.endswith(b"\n") or text.count(b'"') % 2):
        raise ReportRefused(source, "row_cut", "The last row of the report does not end.", AGAIN)
    if text:
        yield text


def _row_end(text: bytes) -> int:
    quotes = text.count(b'"')
    end = len(text)
    while True:
        cut = text.rfind(b"\n", 0, end) + 1
        if cut == 0:
            return 0
        quotes -= text.count(b'"', cut, end)
        if quotes % 2 == 0:
            return cut
        end = cut - 1


def _header(source: str, shape: ReportShape, chunk: bytes) -> tuple[list[str], bytes]:
    end = chunk.find(b"\n", 0, LONGEST_HEADER)
    if end < 0:
        raise ReportRefused(source, "empty", "The report has not even a header.", AGAIN)
    try:
        line = chunk[:end].decode("utf-8").removeprefix("\ufeff").rstrip("\r")
    except UnicodeDecodeError as error:
        raise ReportRefused(source, "not_utf8", "The report is not UTF-8 text.", ASK) from error
    return next(csv.reader([line], delimiter=shape.delimiter), []), chunk[end + 1 :]


def _places(source: str, shape: ReportShape, header: Sequence[str]) -> dict[str, int]:
    named = shape.columns.named
    if missing := [theirs for theirs in named.values() if theirs not in header]:
        raise ReportRefused(
            source, "columns", f"The report has no column {', '.join(missing)}; it has {', '.join(header)[:300]}.", ASK
        )
    if twice := sorted({theirs for theirs in named.values() if header.count(theirs) > 1}):
        raise ReportRefused(source, "columns", f"The report has the column {', '.join(twice)} twice.", ASK)
    return {ours: header.index(theirs) for ours, theirs in named.items()}


class _Reading:
    """How each chunk is read: the places of the columns, and what they hold."""

    def __init__(self, source: str, shape: ReportShape, header: Sequence[str], places: Mapping[str, int]) -> None:
        self._source, self._shape, self._places = source, shape, places
        ours = {place: name for name, place in places.items()}
        self._names = [ours.get(at, f"column_{at}") for at in range(len(header))]
        iso = shape.day_format == "%Y-%m-%d"
        kinds: dict[str, type[pl.DataType]] = {"day": pl.Date if iso else pl.String}
        kinds |= dict.fromkeys(UNITS, pl.Int64)
        self._kinds = {name: kinds.get(name, pl.String) for name in self._names}
        self._wanted = [self._names[place] for place in sorted(places.values())]

    def frame(self, text: bytes) -> pl.DataFrame:
        """One chunk of whole rows; in any thread."""
        return self._read(text, self._kinds)

    def done(self, text: bytes, read: Future[pl.DataFrame], told: Told) -> pl.DataFrame:
        """What became of a chunk, once every chunk before it was counted. Raises ReportRefused."""
        try:
            return read.result()
        except pl.exceptions.PolarsError as error:
            raise self._refusal(text, told.rows + 1, error) from error

    def _read(self, text: bytes, kinds: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
        return pl.read_csv(
            text,
            has_header=False,
            separator=self._shape.delimiter,
            schema=dict(kinds),
            columns=sorted(self._places.values()),
            null_values=list(self._shape.nothing),
            glob=False,
        )

    def _refusal(self, text: bytes, first: int, error: Exception) -> ReportRefused:
        """Look which cell it was; the fast reader does not say it well."""
        try:
            frame = self._read(text, dict.fromkeys(self._names, pl.String))
        except pl.exceptions.PolarsError:
            detail = " ".join(str(error).split())[:200]
            return ReportRefused(self._source, "row", f"A row after row {first:,} cannot be read ({detail}).", ASK)
        for name in self._wanted:
            kind = self._kinds[name]
            if kind == pl.String:
                continue
            if kind == pl.Date:
                cells = frame[name].str.to_date("%Y-%m-%d", strict=False)
            else:
                cells = frame[name].cast(pl.Int64, strict=False)
            wrong = frame.with_row_index("at", first).filter(cells.is_null() & frame[name].is_not_null())
            if wrong.height:
                value, word = str(wrong[name][0])[:40], "a day" if kind == pl.Date else "a whole number"
                return ReportRefused(
                    self._source,
                    "day" if kind == pl.Date else "number",
                    f"Row {wrong['at'][0]:,} has {value!r} under {self._shape.columns.named[name]}, which is not {word}.",
                    ASK,
                )
        detail = " ".join(str(error).split())[:200]
        return ReportRefused(self._source, "row", f"A row after row {first:,} cannot be read ({detail}).", ASK)


def _trailer(
    source: str, shape: ReportShape, header: Sequence[str], places: Mapping[str, int], line: bytes, told: Told
) -> None:
    trailer = shape.trailer
    assert trailer is not None
    cells = next(csv.reader(io.StringIO(line.decode("utf-8", "replace")), delimiter=shape.delimiter), [])
    if not cells or cells[0].strip() != trailer.mark:
        raise ReportRefused(source, "no_trailer", f"The report does not end with its row {trailer.mark!r}.", AGAIN)
    claims: dict[str, int] = {}
    for name in (*shape.metrics, *(["rows"] if trailer.rows_in else [])):
        place = places[name] if name != "rows" else _rows_place(source, header, trailer.rows_in or "")
        cell = cells[place].strip() if place < len(cells) else ""
        if cell and cell not in shape.nothing:
            if not cell.isdecimal():
                raise ReportRefused(source, "trailer", f"The report's last row has {cell[:40]!r} for {name}.", ASK)
            claims[name] = int(cell)
    if not claims:
        raise ReportRefused(source, "trailer", "The report's last row holds no sum and no number of rows.", ASK)
    if "rows" in claims:
        told.declared_rows = claims.pop("rows")
    told.declared_sums = claims
    told.complete = True


def _rows_place(source: str, header: Sequence[str], name: str) -> int:
    if name not in header:
        raise ReportRefused(source, "columns", f"The report has no column {name} for its number of rows.", ASK)
    return header.index(name)

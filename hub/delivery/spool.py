"""Rows of a report put by day on disk: reports come in any order of rows, and the (source, day) is what is loaded."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from hub.delivery import content
from hub.delivery.names import Names
from hub.delivery.room import Room

SPILL_ROWS = 100_000
"""Rows held before they are written by day: about 2 MB. Fewer would cut many days into crumbs."""

READ_ROWS = 50_000
"""Rows of a day, of which one part is wanted, looked at together: one look costs as much as some thousand rows."""

_WIDTHS = ((1 << 16, pl.UInt16), (1 << 32, pl.UInt32))
"""Counts below the number stand in so narrow a column: most do, and wide ones took half of a row."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """Rows with numbers for their texts, and of each of their days: how many, the sums of both lanes, whether all are final."""

    rows: pl.DataFrame
    days: pl.DataFrame


@dataclass(slots=True)
class DayTold:
    """What is known of a day without reading its rows back. `final`: every row says that it is."""

    rows: int = 0
    sums: content.Sums = content.NOTHING
    final: bool = True


class Spool:
    """One file of Arrow pieces and, per day, where its pieces lie. Read from several threads; written from one (`take`).

    Texts are kept as numbers (`hub.delivery.names`), counts as narrow as they are: 12 bytes a row instead of 60. `columns` are
    what a day's content is told by, `texts` the columns that are text, by the first of which a day is cut into parts; a row
    may have more of either. A part has about as many rows as the `room` says where its texts are of about the same number of
    rows.
    """

    def __init__(self, columns: Sequence[str], texts: Sequence[str], room: Room, folder: Path | None = None) -> None:
        self._columns, self._room = tuple(columns), room
        self._cut_by = texts[0]
        self._told: dict[date, DayTold] = {}
        self._file = tempfile.TemporaryFile(prefix="orderhub-report-", dir=folder)  # noqa: SIM115 - closed by __exit__
        self._names = {name: Names() for name in texts}
        self._places: dict[date, list[tuple[int, int]]] = {}
        self._held: list[pl.DataFrame] = []
        self._held_rows = 0
        self._end = 0

    def numbered(self, frame: pl.DataFrame) -> Numbered:
        """Rows that have a `day`, made ready for `take`; in any thread, which is most of the work."""
        frame = frame.with_columns(names.numbers(frame[name]).alias(name) for name, names in self._names.items())
        lanes = content.mixed(frame, self._columns, self.lanes)
        final = frame["final"] if "final" in frame.columns else pl.repeat(False, frame.height, eager=True)
        rows = pl.concat([frame.select("day"), lanes, final.alias("final").to_frame()], how="horizontal")
        days = rows.group_by("day").agg(pl.len(), pl.col("lane_0", "lane_1").sum(), pl.col("final").all())
        return Numbered(_narrow(frame), days)

    def take(self, numbered: Numbered) -> None:
        """Keep such rows."""
        for day, count, first, second, all_final in numbered.days.iter_rows():
            told = self._told.setdefault(day, DayTold())
            told.rows += count
            told.sums = content.added(told.sums, (first, second))
            told.final = told.final and all_final
        self._held.append(numbered.rows)
        self._held_rows += numbered.rows.height
        if self._held_rows >= SPILL_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        frame = pl.concat(self._held, how="vertical_relaxed", rechunk=False)
        self._held, self._held_rows = [], 0
        for rows in frame.partition_by("day", maintain_order=False):
            day = rows["day"][0]
            buffer = io.BytesIO()
            rows.drop("day").write_ipc_stream(buffer, compression="uncompressed")
            piece = buffer.getbuffer()
            self._file.write(piece)
            self._places.setdefault(day, []).append((self._end, len(piece)))
            self._end += len(piece)

    def seal(self) -> None:
        """To be called once after the last row, before any is read back."""
        self.flush()
        self._file.flush()
        for names in self._names.values():
            names.seal()  # here, by one thread, before several ask

    @property
    def days(self) -> Sequence[date]:
        """Every day that has rows, oldest first."""
        return sorted(self._places)

    def told(self, day: date) -> DayTold:
        """What is known of a day without reading its rows back."""
        return self._told.get(day, DayTold(final=False))

    @property
    def lanes(self) -> dict[str, tuple[pl.Series, pl.Series]]:
        """By text column, what stands for its texts in a day's content: by number, after `seal` by place."""
        return {name: names.lanes for name, names in self._names.items()}

    def texts(self, column: str) -> pl.Series:
        """Every text of a column once, in order of its bytes: what the places in `parts_of` stand for."""
        return self._names[column].texts

    def parts_of(self, day: date) -> Iterator[pl.DataFrame]:
        """All rows of one day, without the day, in no order; instead of each text its place in `texts`, counts narrow.

        A long day comes in parts, of which each has all rows of its texts in the first column and texts after those of the part
        before it. What was written is read again for every few parts, so that memory holds these.
        """
        texts, at_once = self._names[self._cut_by].texts.len(), max(1, self._room.held_rows // self._room.part_rows)
        parts = max(1, -(-self.told(day).rows // self._room.part_rows))
        cuts = [texts * part // parts for part in range(parts + 1)]
        for at in range(0, parts, at_once):
            inside = cuts[at : at + at_once + 1]
            held = pl.concat(self._between(day, inside[0], inside[-1]), how="vertical_relaxed", rechunk=False)
            for first, end in pairwise(inside):
                one = len(inside) == 2
                part = held if one else held.filter(held[self._cut_by].is_between(first, end, closed="left"))
                if part.height:
                    yield part.rechunk()

    def _between(self, day: date, first: int, end: int) -> Iterator[pl.DataFrame]:
        """The rows of one day whose text in the first column has one of these places, the end not among them."""
        cut_by, number = self._cut_by, self._file.fileno()
        whole = end - first == self._names[cut_by].texts.len()
        pieces: list[pl.DataFrame] = []
        held = 0
        for at, (start, length) in enumerate(self._places[day], 1):
            pieces.append(pl.read_ipc_stream(io.BytesIO(os.pread(number, length, start))))
            held += pieces[-1].height
            if held < READ_ROWS and at < len(self._places[day]):
                continue
            rows = pl.concat(pieces, how="vertical_relaxed")
            pieces, held = [], 0
            place = self._names[cut_by].places(rows[cut_by])
            if not whole:
                inside = (place >= first) & (place < end)
                rows, place = rows.filter(inside), place.filter(inside)
            yield rows.with_columns(
                place.alias(cut_by),
                *(
                    names.places(rows[column]).alias(column)
                    for column, names in self._names.items()
                    if column in rows.columns and column != cut_by
                ),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows, each count in the narrowest column that holds all of it here."""
    narrow = []
    for column in frame.iter_columns():
        most = column.max() if column.dtype == pl.Int64 else None
        kind = next((kind for limit, kind in _WIDTHS if isinstance(most, int) and most < limit), column.dtype)
        narrow.append(column.cast(kind))
    return pl.DataFrame(narrow)

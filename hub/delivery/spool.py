"""Rows of a report put by day on disk: reports come in any order of rows, and the (source, day) is what is loaded."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from hub.delivery import content
from hub.delivery.names import Names

SPILL_ROWS = 100_000
"""Rows held before they are written by day: about 3 MB. Fewer would cut many days into crumbs."""


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

    Texts are kept as numbers (`hub.delivery.names`): 24 bytes a row instead of 60. `columns` are what a day's content is told
    by, `texts` the columns that are text; a row may have more of either.
    """

    def __init__(self, columns: Sequence[str], texts: Sequence[str], folder: Path | None = None) -> None:
        self._columns = tuple(columns)
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
        return Numbered(frame, days)

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
        frame = pl.concat(self._held, rechunk=False)
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
        """Every text of a column once, in order of its bytes: what the places in `rows_of` stand for."""
        return self._names[column].texts

    def rows_of(self, day: date) -> pl.DataFrame:
        """All rows of one day, without the day, in no order; instead of each text its place in `texts`."""
        number = self._file.fileno()
        pieces = [
            pl.read_ipc_stream(io.BytesIO(os.pread(number, length, start))) for start, length in self._places[day]
        ]
        rows = pl.concat(pieces, rechunk=True)
        return rows.with_columns(
            names.places(rows[column]).alias(column) for column, names in self._names.items() if column in rows.columns
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

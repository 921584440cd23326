"""One day of a report, or all rows of some of its lines: in order, without duplicates, its sums by line, and as COPY takes it.

Texts come as places in `Texts`, the sorted texts of each column (`hub.delivery.names`).
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import polars as pl

from hub.delivery.checking import ASK
from hub.delivery.refusals import ReportRefused
from hub.store import partitions

SLICE = 4_096
"""Sums written as CSV at once."""

Texts = Mapping[str, pl.Series]
"""By column, every text that the report has there, in order of its bytes."""

_COPYING = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
"""How COPY's text format writes what would end a value (PostgreSQL 18 manual, COPY)."""


def order_of(source: str, day: date, frame: pl.DataFrame, keys: Sequence[str], texts: Texts) -> pl.Series:
    """Where the rows of a day lie when they are sorted by what tells them apart. Raises ReportRefused when two are the same.

    Only this is sorted, and rows are taken by it slice by slice: a day's rows stand in memory once.
    """
    height = frame.height
    if math.prod(max(1, texts[key].len()) for key in keys) * max(1, height) < 2**63:
        # All of it in one number, and where the row lies: sorting such numbers alone takes a third of the time of sorting rows.
        number = pl.lit(0, pl.UInt64)
        for key in keys:
            number = number * texts[key].len() + pl.col(key).cast(pl.UInt64)
        numbers = frame.select(number * height + pl.int_range(height, dtype=pl.UInt64)).to_series().sort()
        order = (numbers % height).cast(pl.UInt32)
        told = numbers // height
        same = told == told.shift()
    else:
        order = frame.select(pl.arg_sort_by(keys)).to_series()
        inside = pl.all_horizontal(pl.col(key) == pl.col(key).shift() for key in keys)
        same = frame.select(keys)[order].select(inside).to_series()
    if same.any():
        twice = frame.row(int(order[int(same.arg_max() or 0)]), named=True)
        what = ", ".join(f"{key} {texts[key][twice[key]]}" for key in keys)
        raise ReportRefused(
            source, "twice", f"The report has {day} of {what} twice; which of the two is right cannot be known.", ASK
        )
    return order


def spelled(frame: pl.DataFrame, texts: Texts) -> pl.DataFrame:
    """The same rows with their texts instead of the places."""
    return frame.with_columns(texts[name].gather(frame[name]).alias(name) for name in frame.columns if name in texts)


def csv(frame: pl.DataFrame, texts: Texts) -> Iterator[bytes]:
    """The rows as CSV, some MB at a time."""
    for rows in frame.iter_slices(SLICE):
        buffer = io.BytesIO()
        spelled(rows, texts).write_csv(buffer, include_header=False)
        yield buffer.getvalue()


def _replaced(column: pl.Series, pairs: Mapping[str, str]) -> pl.Series:
    for before, after in pairs.items():
        column = column.str.replace_all(before, after, literal=True)
    return column


def heads(lines: pl.Series) -> pl.Series:
    """By place of a line, the text with which its record begins: the row end of the record before it, and its id."""
    ids = _replaced(lines, _COPYING).alias("line")
    return ids.to_frame().select(pl.concat_str(pl.lit("\n"), "line", pl.lit("\t"))).to_series()


def cells(texts: Texts) -> Texts:
    """The same texts as they stand in a row of `delivery_packed.detail`, for COPY."""
    return {name: _replaced(_replaced(column, partitions.WITHIN_ROW), _COPYING) for name, column in texts.items()}


def packed(
    frame: pl.DataFrame, order: pl.Series, line_heads: pl.Series, of_texts: Texts, slice_rows: int
) -> Iterator[bytes]:
    """The rows for COPY, a record for each line: its id, and its rows one after another as `delivery_packed.detail` has them.

    `line_heads` as `heads` makes them, `of_texts` as `cells` does. Numbers are written but once: a third of the time that arrays
    took. A line at the edge of two slices of so many rows becomes two records, which mean the same. Every line's head ends the
    record before it; the row end before the very first record is for the caller to leave out.
    """
    others = [name for name in frame.columns if name != "line"]
    for start in range(0, order.len(), slice_rows):
        rows = frame[order.slice(start, slice_rows)]
        line = rows["line"]
        first = (line != line.shift()).fill_null(value=True)
        told = rows.select(
            pl.when(first).then(line_heads.gather(line)).otherwise(pl.lit("")).alias("line"),
            *(of_texts[name].gather(rows[name]).alias(name) if name in of_texts else pl.col(name) for name in others),
        )
        buffer = io.BytesIO()
        told.write_csv(
            buffer,
            include_header=False,
            separator=partitions.CELL,
            line_terminator=partitions.ROW,
            quote_style="never",
        )
        yield buffer.getvalue()


def sums(day: date, frame: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """One row per line, in order: line, order where the report has one (the last of several), day, units."""
    order = [pl.col("order").max()] if "order" in frame.columns else []
    return (
        frame.group_by("line")
        .agg(*order, *(pl.col(unit).cast(pl.Int64).sum() for unit in metrics))
        .sort("line")
        .select("line", *(["order"] if order else []), pl.lit(day).alias("day"), *metrics)
    )

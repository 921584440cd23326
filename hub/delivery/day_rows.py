"""One day of a report: in the order of its lines, without duplicates, its sums by line, and as COPY takes it.

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

SLICE = 16_384
"""Rows written as text at once: a MB or two."""

Texts = Mapping[str, pl.Series]
"""By column, every text that the report has there, in order of its bytes."""

_PLAIN = r"^[0-9A-Za-z_.:/-]+$"
"""Texts that stand in an array's literal as they are; all others are quoted (PostgreSQL 18 manual, 8.15.6)."""


def order_of(source: str, day: date, frame: pl.DataFrame, keys: Sequence[str], texts: Texts) -> pl.Series:
    """Where the rows of a day lie when they are sorted by what tells them apart. Raises ReportRefused when two are the same.

    Only this is sorted, and rows are taken by it slice by slice: a day's rows stand in memory once.
    """
    if math.prod(max(1, texts[key].len()) for key in keys) < 2**63:
        # All of it in one number: sorting by that takes a third of the time of sorting by two columns.
        number = pl.lit(0, pl.UInt64)
        for key in keys:
            number = number * texts[key].len() + pl.col(key).cast(pl.UInt64)
        numbers = frame.select(number.alias("number"))
        order = numbers["number"].arg_sort()
        same = numbers[order].select(pl.col("number") == pl.col("number").shift()).to_series()
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


def literals(texts: Texts) -> Texts:
    """The same texts as elements of an array's literal."""
    escaped = pl.col("text").str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    quoted = pl.concat_str(pl.lit('"'), escaped, pl.lit('"'))
    plain = pl.col("text").str.contains(_PLAIN) & (pl.col("text").str.to_lowercase() != "null")
    return {
        name: column.rename("text").to_frame().select(pl.when(plain).then("text").otherwise(quoted)).to_series()
        for name, column in texts.items()
    }


def packed(frame: pl.DataFrame, order: pl.Series, lines: pl.Series, elements: Texts) -> Iterator[bytes]:
    """CSV with one record per line: its id, and every other column as an array. `elements` as `literals` makes them.

    A line at the edge of a slice becomes two records, which mean the same.
    """
    for start in range(0, order.len(), SLICE):
        rows = frame[order.slice(start, SLICE)]
        cells = rows.select(
            "line",
            *(
                elements[name].gather(rows[name]).alias(name)
                for name in frame.columns
                if name in elements and name != "line"
            ),
            *(pl.col(name).cast(pl.String) for name in frame.columns if name not in elements and name != "line"),
        )
        by_line = cells.group_by("line", maintain_order=True).agg(pl.exclude("line"))
        records = by_line.select(
            lines.gather(by_line["line"]).alias("line"),
            *(
                pl.concat_str(pl.lit("{"), pl.col(name).list.join(","), pl.lit("}")).alias(name)
                for name in frame.columns
                if name != "line"
            ),
        )
        buffer = io.BytesIO()
        records.write_csv(buffer, include_header=False)
        yield buffer.getvalue()


def sums(day: date, frame: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """One row per line, in order: line, order where the report has one (the last of several), day, units."""
    order = [pl.col("order").max()] if "order" in frame.columns else []
    return (
        frame.group_by("line")
        .agg(*order, *(pl.col(unit).sum() for unit in metrics))
        .sort("line")
        .select("line", *(["order"] if order else []), pl.lit(day).alias("day"), *metrics)
    )

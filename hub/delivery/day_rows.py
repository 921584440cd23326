"""One day of a report: in the order of its lines, without duplicates, with its digest and its sums by line."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from datetime import date

import polars as pl

from hub.delivery.checking import ASK
from hub.delivery.refusals import ReportRefused

SLICE = 65_536
"""Rows written as text at once: a few MB."""


def in_order(source: str, day: date, frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The day's rows sorted by what tells them apart. Raises ReportRefused when two rows are of the same thing."""
    rows = frame.sort(keys)
    del frame  # the caller keeps none either: a day of a third of a million rows is 30 MB
    same = pl.all_horizontal(pl.col(key) == pl.col(key).shift() for key in keys)
    twice = rows.filter(same)
    if twice.height:
        what = ", ".join(f"{key} {twice[key][0]}" for key in keys)
        raise ReportRefused(
            source, "twice", f"The report has {day} of {what} twice; which of the two is right cannot be known.", ASK
        )
    return rows


def texts(frame: pl.DataFrame) -> Iterator[bytes]:
    """The rows as CSV, some MB at a time."""
    for rows in frame.iter_slices(SLICE):
        buffer = io.BytesIO()
        rows.write_csv(buffer, include_header=False)
        yield buffer.getvalue()


class Digest:
    """What identifies the content of a day: blake2b-128 over its columns' names and its rows in order."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._hash = hashlib.blake2b(",".join(columns).encode(), digest_size=16)

    def through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces, each taken into the digest on its way."""
        for piece in pieces:
            self._hash.update(piece)
            yield piece

    def of(self, pieces: Iterator[bytes]) -> bytes:
        """The digest of all pieces."""
        for _ in self.through(pieces):
            pass
        return self.value

    @property
    def value(self) -> bytes:
        """16 bytes."""
        return self._hash.digest()


def sums(day: date, frame: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """One row per line: line, order where the report has one, day, units."""
    order = [pl.col("order").first()] if "order" in frame.columns else []
    return (
        frame.group_by("line", maintain_order=True)
        .agg(*order, *(pl.col(unit).sum() for unit in metrics))
        .select("line", *(["order"] if order else []), pl.lit(day).alias("day"), *metrics)
    )

"""Numbers far beyond a line's other days: a factor of ten is more often a wrong unit than a good day, so a person looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

ENOUGH = 2
"""Other days that a line must have before one of its days can be called unusual."""

Before = Callable[[Sequence[str]], Mapping[str, tuple[int, int]]]
"""By line: how many other days with delivery the store has, and the largest of them."""

_EMPTY = {"line": pl.UInt32, "day": pl.Date, "impressions": pl.Int64}


class Peaks:
    """The three largest days of each line, so that memory follows the lines and not the days of a report.

    `lines` are the vendor's ids of the places by which the sums name lines.
    """

    def __init__(self, lines: pl.Series) -> None:
        self._lines = lines
        self._largest = pl.DataFrame(schema=_EMPTY)

    def add(self, sums: pl.DataFrame) -> None:
        """Take the sums by line of some days."""
        days = sums.filter(pl.col("impressions") > 0).select("line", "day", "impressions")
        self._largest = (
            pl.concat([self._largest, days])
            .sort("impressions", descending=True)
            .group_by("line", maintain_order=True)
            .head(ENOUGH + 1)
        )

    def outliers(self, times: int, floor: int, before: Before) -> list[tuple[str, str, int, int]]:
        """(line, day, impressions, largest other day) where a day is over `times` that other day and not below `floor`."""
        lines = self._largest.group_by("line", maintain_order=True).agg(
            pl.col("day").first(),
            pl.col("impressions").first(),
            pl.col("impressions").get(1, null_on_oob=True).fill_null(0).alias("other"),
            (pl.len() - 1).alias("others"),
        )
        suspects = lines.filter((pl.col("impressions") >= floor) & (pl.col("impressions") > pl.col("other") * times))
        if not suspects.height:
            return []
        suspects = suspects.with_columns(self._lines.gather(suspects["line"]).alias("line"))
        known = before(suspects["line"].to_list())
        found = []
        for line, day, impressions, other, others in suspects.iter_rows():
            days, largest = known.get(line, (0, 0))
            usual = max(other, largest)
            if others + days >= ENOUGH and usual > 0 and impressions > usual * times:
                found.append((str(line), day.isoformat(), int(impressions), int(usual)))
        return sorted(found, key=lambda one: -one[2])

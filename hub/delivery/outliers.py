"""Numbers far beyond a line's other days: a factor of ten is more often a wrong unit than a good day, so a person looks.

Every unit that a line may be paid by is looked at: impressions, clicks, completed views, viewable impressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from hub.delivery.refusals import ENOUGH, RARER, Outlier
from hub.delivery.shape import UNITS

Before = Callable[[Sequence[str], str], Mapping[str, tuple[int, int]]]
"""By line, for a unit: how many other days with some of it the store has, and the largest of them."""

_EMPTY = {"line": pl.UInt32, "day": pl.Date, "number": pl.Int64}


class Peaks:
    """The three largest days of each line in each unit, so that memory follows the lines and not the days of a report.

    `lines` are the vendor's ids of the places by which the sums name lines.
    """

    def __init__(self, lines: pl.Series) -> None:
        self._lines = lines
        self._largest: dict[str, pl.DataFrame] = {}

    def add(self, sums: pl.DataFrame) -> None:
        """Take the sums by line of some days."""
        for unit in UNITS:
            if unit not in sums.columns:
                continue
            days = sums.filter(pl.col(unit) > 0).select("line", "day", pl.col(unit).cast(pl.Int64).alias("number"))
            if days.height:
                self._largest[unit] = (
                    pl.concat([self._largest.get(unit, pl.DataFrame(schema=_EMPTY)), days])
                    .sort("number", descending=True)
                    .group_by("line", maintain_order=True)
                    .head(ENOUGH + 1)
                )

    def outliers(self, times: int, floor: int, before: Before) -> list[Outlier]:
        """The days over `times` the line's largest other day and not below `floor`, the largest first."""
        found = [
            one for unit in self._largest for one in self._of_unit(unit, times, floor // RARER.get(unit, 1), before)
        ]
        return sorted(found, key=lambda one: -one[2])

    def _of_unit(self, unit: str, times: int, floor: int, before: Before) -> list[Outlier]:
        lines = (
            self._largest[unit]
            .group_by("line", maintain_order=True)
            .agg(
                pl.col("day").first(),
                pl.col("number").first(),
                pl.col("number").get(1, null_on_oob=True).fill_null(0).alias("other"),
                (pl.len() - 1).alias("others"),
            )
        )
        suspects = lines.filter((pl.col("number") >= floor) & (pl.col("number") > pl.col("other") * times))
        if not suspects.height:
            return []
        suspects = suspects.with_columns(self._lines.gather(suspects["line"]).alias("line"))
        known = before(suspects["line"].to_list(), unit)
        found = []
        for line, day, number, other, others in suspects.iter_rows():
            days, largest = known.get(line, (0, 0))
            usual = max(other, largest)
            if others + days >= ENOUGH and usual > 0 and number > usual * times:
                found.append((str(line), day.isoformat(), int(number), int(usual), unit))
        return found

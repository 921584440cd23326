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

Stood = Callable[[Sequence[tuple[str, str]], str], Mapping[tuple[str, str], int]]
"""By line and day, for a unit: how many the day had before this report."""


class Peaks:
    """The two largest days of each line in each unit, so that memory follows the lines and not the days of a report.

    `lines` are the vendor's ids of the places by which the sums name lines.
    """

    def __init__(self, lines: pl.Series) -> None:
        self._lines = lines
        self._units: dict[str, _Largest] = {}

    def add(self, sums: pl.DataFrame) -> None:
        """Take the sums of one day, each line at most once."""
        for unit in UNITS:
            if unit not in sums.columns:
                continue
            some = sums.select("line", "day", pl.col(unit).cast(pl.Int64).alias("number")).filter(pl.col("number") > 0)
            if some.height:
                self._units.setdefault(unit, _Largest(self._lines.len())).add(some)

    def outliers(self, times: int, floor: int, before: Before, stood: Stood) -> list[Outlier]:
        """The days over `times` the line's largest other day and not below `floor`, the largest first.

        A day that had as much before (somebody accepted it, or nobody minded) is none.
        """
        found = []
        for unit in self._units:
            ours = self._of_unit(unit, times, floor // RARER.get(unit, 1), before)
            known = stood([(line, day) for line, day, *_ in ours], unit) if ours else {}
            found += [one for one in ours if one[2] > known.get((one[0], one[1]), 0)]
        return sorted(found, key=lambda one: -one[2])

    def _of_unit(self, unit: str, times: int, floor: int, before: Before) -> list[Outlier]:
        suspects = (
            self._units[unit]
            .lines()
            .filter((pl.col("number") >= floor) & ((pl.col("number") - 1) // times >= pl.col("other")))
        )
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


class _Largest:
    """Of each line by place: its largest number with the day, the largest of its other days, and how many days it has."""

    def __init__(self, lines: int) -> None:
        self._number, self._other = (pl.repeat(0, lines, dtype=pl.Int64, eager=True) for _ in range(2))
        self._day = pl.repeat(None, lines, dtype=pl.Date, eager=True)
        self._days = pl.repeat(0, lines, dtype=pl.UInt32, eager=True)

    def add(self, some: pl.DataFrame) -> None:
        """One day's numbers by line, none of them zero."""
        at = some["line"]
        told = some.with_columns(
            self._number.gather(at).alias("before"),
            self._other.gather(at).alias("other"),
            self._days.gather(at).alias("days"),
        )
        higher = told.filter(pl.col("number") > pl.col("before"))
        now = told.select(
            pl.max_horizontal("number", "before").alias("number"),
            pl.max_horizontal("other", pl.min_horizontal("number", "before")).alias("other"),
            pl.col("days") + 1,
        )
        self._number.scatter(at, now["number"])
        self._other.scatter(at, now["other"])
        self._days.scatter(at, now["days"])
        self._day.scatter(higher["line"], higher["day"])

    def lines(self) -> pl.DataFrame:
        """A row for each line that has a day."""
        every = pl.DataFrame({"day": self._day, "number": self._number, "other": self._other, "days": self._days})
        some = every.with_row_index("line").filter(pl.col("days") > 0)
        return some.select("line", "day", "number", "other", (pl.col("days") - 1).alias("others"))

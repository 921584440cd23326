"""The largest days of every line, kept day by day: as if all days were looked at together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.outliers import Peaks
from hub.delivery.refusals import ENOUGH, RARER, Outlier

LINES = ("a", "b", "c")
UNITS = ("impressions", "clicks")
FIRST = date(2026, 3, 1)
Told = dict[str, dict[str, int]]
numbers = st.sampled_from([0, 1, 7, 10, 11, 99, 100, 101, 1_000, 1_001, 2**62])
days_ = st.lists(
    st.dictionaries(st.sampled_from(LINES), st.fixed_dictionaries(dict.fromkeys(UNITS, numbers)), max_size=3),
    max_size=6,
)
stored_ = st.dictionaries(st.sampled_from(LINES), st.tuples(st.integers(1, 3), numbers), max_size=3)


stood_ = st.dictionaries(st.tuples(st.sampled_from(LINES), st.integers(0, 5)), numbers)


def all_at_once(
    days: Sequence[Told],
    times: int,
    floor: int,
    stored: Mapping[str, tuple[int, int]],
    stood: Mapping[tuple[str, str], int],
) -> set[Outlier]:
    """Every number of a line beside every other."""
    found = set()
    for unit in UNITS:
        for line in LINES:
            counted = [
                (told[line][unit], (FIRST + timedelta(days=number)).isoformat())
                for number, told in enumerate(days)
                if told.get(line, {}).get(unit, 0) > 0
            ]
            for at, (number, day) in enumerate(counted):
                others = [one for place, (one, _) in enumerate(counted) if place != at]
                more, largest = stored.get(line, (0, 0))
                usual = max([largest, *others])
                if (
                    number >= floor // RARER.get(unit, 1)
                    and len(others) + more >= ENOUGH
                    and number > usual * times > 0
                    and number > stood.get((line, day), 0)
                ):
                    found.add((line, day, number, usual, unit))
    return found


@given(days_, st.integers(2, 10), st.sampled_from([1, 100]), stored_, stood_)
def test_the_largest_day_is_found_whatever_came_before_it(
    days: list[Told],
    times: int,
    floor: int,
    stored: dict[str, tuple[int, int]],
    earlier: dict[tuple[str, int], int],
) -> None:
    stood = {(line, (FIRST + timedelta(days=number)).isoformat()): many for (line, number), many in earlier.items()}
    peaks = Peaks(pl.Series(LINES))
    for number, told in enumerate(days):
        rows = [
            (LINES.index(line), FIRST + timedelta(days=number), *(units[unit] for unit in UNITS))
            for line, units in told.items()
        ]
        peaks.add(
            pl.DataFrame(
                rows, schema={"line": pl.UInt32, "day": pl.Date, **dict.fromkeys(UNITS, pl.Int64)}, orient="row"
            )
        )
    found = peaks.outliers(
        times,
        floor,
        lambda lines, _: {line: stored[line] for line in lines if line in stored},
        lambda them, _: {one: stood[one] for one in them if one in stood},
    )
    assert set(found) == all_at_once(days, times, floor, stored, stood)
    assert [one[2] for one in found] == sorted((one[2] for one in found), reverse=True)

"""Running totals by month, one array for each row, out of the bytes in which the store keeps them."""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Totals:
    """What each row had counted by the end of any of its months: nothing before the first one, the same ever after the last.

    `body` are 64-bit integers, big-endian: of each row that has totals the number of its months, then one for each month.
    `first` and `months` say which months its array is of, counted from year 0; rows that are not `counted` have none and
    stay at 0. Raises ValueError where the bytes are not those arrays.
    """

    def __init__(self, body: bytes, first: Ints, months: Ints, counted: Bools) -> None:
        whole = len(body) % 8 == 0
        numbers = np.frombuffer(body, dtype=">i8").astype(np.int64) if whole else np.zeros(0, dtype=np.int64)
        sizes = np.where(counted, 1 + months, 0)
        ends = np.cumsum(sizes)
        starts = ends - sizes
        fits = whole and numbers.size == (ends[-1] if ends.size else 0)
        if not fits or (numbers[starts[counted]] != months[counted]).any():
            raise ValueError(
                "the totals of these rows are not one array of 64-bit integers by month for each that has some"
            )
        self._numbers = numbers
        self._starts = starts + 1
        self._first, self._last, self._counted = first, months - 1, counted

    def of(self, rows: Ints, there: Bools) -> Totals:
        """Those of these rows, in this order; nothing where there is none."""
        chosen = copy(self)
        chosen._starts, chosen._first, chosen._last = self._starts[rows], self._first[rows], self._last[rows]
        chosen._counted = self._counted[rows] & there
        return chosen

    @property
    def counted(self) -> Bools:
        """Which rows have totals."""
        return self._counted

    def by(self, month: Ints | int) -> Ints:
        """Each row's total at the end of a month, its own or one for all."""
        if not self._numbers.size:
            return np.zeros(self._first.shape, dtype=np.int64)
        place = month - self._first
        there = self._counted & (place >= 0)
        at = np.where(there, self._starts + np.minimum(place, self._last), 0)
        return np.where(there, self._numbers[at], 0)

    def each(self, since: int, until: int) -> Ints:
        """A row for each of these months, both included."""
        return np.stack([self.by(month) for month in range(since, until + 1)])

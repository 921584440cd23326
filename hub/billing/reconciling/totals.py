"""Running totals by month, one array for each row, out of the bytes in which PostgreSQL sends its arrays."""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_HEAD = 5
"""32-bit words before the elements: dimensions, whether any is NULL, type, length, first index (PostgreSQL's `array_send`)."""
_EACH = 3
"""Words of one element: its length in bytes, then 64 bits, the higher half first."""


class Totals:
    """What each row had counted by the end of any of its months: nothing before the first one, the same ever after the last.

    `first` and `months` say which months its array is of, counted from year 0; rows that are not `counted` have none and
    stay at 0. Raises ValueError where the bytes are not those arrays.
    """

    def __init__(self, body: bytes, first: Ints, months: Ints, counted: Bools) -> None:
        words = np.frombuffer(body, dtype=">i4")
        sizes = np.where(counted, _HEAD + _EACH * months, 0)
        ends = np.cumsum(sizes)
        starts = ends - sizes
        if words.size != (ends[-1] if ends.size else 0) or not self._are_arrays(
            words, starts[counted], months[counted]
        ):
            raise ValueError(
                "the totals of these rows are not one array of 64-bit integers by month for each that has some"
            )
        self._words = words.astype(np.int32)
        self._elements = starts + _HEAD + 1
        self._first, self._last, self._counted = first, months - 1, counted

    @staticmethod
    def _are_arrays(words: NDArray[np.int32], starts: Ints, months: Ints) -> bool:
        if not starts.size:
            return True
        dimensions, nulls, size, each = (words[starts + place] for place in (0, 1, 3, _HEAD))
        return bool(((dimensions == 1) & (nulls == 0) & (size == months) & (each == 8)).all())

    def of(self, rows: Ints, there: Bools) -> Totals:
        """Those of these rows, in this order; nothing where there is none."""
        chosen = copy(self)
        chosen._elements, chosen._first, chosen._last = self._elements[rows], self._first[rows], self._last[rows]
        chosen._counted = self._counted[rows] & there
        return chosen

    @property
    def counted(self) -> Bools:
        """Which rows have totals."""
        return self._counted

    def by(self, month: Ints | int) -> Ints:
        """Each row's total at the end of a month, its own or one for all."""
        if not self._words.size:
            return np.zeros(self._first.shape, dtype=np.int64)
        place = month - self._first
        there = self._counted & (place >= 0)
        at = np.where(there, self._elements + _EACH * np.minimum(place, self._last), 0)
        high, low = self._words[at].astype(np.int64), self._words[at + 1].astype(np.int64)
        return np.where(there, high << 32 | low & 0xFFFF_FFFF, 0)

    def each(self, since: int, until: int) -> Ints:
        """A row for each of these months, both included."""
        return np.stack([self.by(month) for month in range(since, until + 1)])

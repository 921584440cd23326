"""Running totals out of the bytes in which the store keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.billing.reconciling.totals import Totals
from hub.store import reconciliation_columns

Row = tuple[int, list[int] | None]
numbers = st.integers(-(2**63), 2**63 - 1)
rows_ = st.lists(st.tuples(st.integers(0, 8), st.none() | st.lists(numbers, min_size=1, max_size=6)), max_size=6)


def sent(numbers: list[int]) -> bytes:
    """A length and its numbers."""
    return b"".join(one.to_bytes(8, signed=True) for one in (len(numbers), *numbers))


def ints(*numbers: int) -> Any:
    return np.array(numbers, dtype=np.int64)


def totals(rows: list[Row]) -> Totals:
    return Totals(
        b"".join(sent(numbers) for _, numbers in rows if numbers is not None),
        ints(*(first for first, _ in rows)),
        ints(*(len(numbers or [0]) for _, numbers in rows)),
        np.array([numbers is not None for _, numbers in rows], dtype=np.bool_),
    )


def plain(row: Row, month: int) -> int:
    first, numbers = row
    return 0 if numbers is None or month < first else numbers[min(month - first, len(numbers) - 1)]


@given(rows_, st.randoms())
def test_a_total_is_nothing_before_the_first_month_and_the_last_one_ever_after(rows: list[Row], random: Any) -> None:
    found = totals(rows)
    expected = [[plain(row, month) for row in rows] for month in range(16)]
    assert found.each(0, 15).tolist() == expected
    months = [random.randrange(16) for _ in rows]
    assert found.by(ints(*months)).tolist() == [plain(row, month) for row, month in zip(rows, months, strict=True)]
    some = [(random.randrange(len(rows)), random.random() < 0.5) for _ in range(3)] if rows else []
    chosen = found.of(ints(*(row for row, _ in some)), np.array([there for _, there in some], dtype=np.bool_))
    assert chosen.by(9).tolist() == [plain(rows[row], 9) if there else 0 for row, there in some]


@pytest.mark.parametrize("array", [[-(2**63), -1, 0, 2**31, 2**63 - 1], [None, 7], None])
def test_the_bytes_are_those_that_the_store_makes(database_url: str, array: list[int | None] | None) -> None:
    with psycopg.connect(database_url) as connection:
        made = f"SELECT {reconciliation_columns._array('given')} FROM (SELECT %s::bigint[] AS given) told"
        (body,) = connection.execute(made.encode(), (array,)).fetchone() or (b"",)
    numbers = [number for number in array or [] if number is not None]
    assert body == (None if array is None else len(array).to_bytes(8) + sent(numbers)[8:])


@pytest.mark.parametrize(
    "body",
    [
        sent([1, 2])[:-4],
        sent([1, 2, 3]),
        sent([1]) + sent([2]),
        sent([3, 1, 2])[8:],
        sent([1, 2])[:16],  # one of them was NULL
        b"",
    ],
    ids=["cut", "longer", "two", "length", "null", "none"],
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not one array of 64-bit integers by month"):
        Totals(body, ints(0), ints(2), np.array([True]))

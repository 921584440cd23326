"""What identifies the content of a day whatever the order of its rows: worked out while they come in, before any is sorted.

Each row becomes two 64-bit numbers, mixed from every column it is told by; a day's two sums modulo 2**64 change when any row
does. Rows that change places change nothing, so that a report pulled again is known to be the same without being sorted.
By accident two different days agree once in 2**128; nobody is kept from making them agree on purpose, who could as well
send the same report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

LANES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Odd multipliers of the two numbers (2**64 divided by the golden ratio; a prime of xxHash). Kept days rest on them."""

_HALF = 1 << 32

Sums = tuple[int, int]
"""Both sums of some rows, modulo 2**64."""

NOTHING: Sums = (0, 0)


def text_numbers(texts: Iterable[str]) -> list[bytes]:
    """Of each text, 16 bytes: one number for each lane."""
    return [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts]


def lanes_of(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Of each text, a number for either lane."""
    bytes_ = text_numbers(texts)
    first, second = (
        pl.Series([int.from_bytes(one[start : start + 8], "little") for one in bytes_], dtype=pl.UInt64)
        for start in (0, 8)
    )
    return first, second


def mixed(
    frame: pl.DataFrame, columns: Sequence[str], texts: Mapping[str, tuple[pl.Series, pl.Series]]
) -> pl.DataFrame:
    """The two numbers of every row as `lane_0` and `lane_1`. Text columns hold indices into `texts`, the others counts."""
    lanes = []
    for lane, multiplier in enumerate(LANES):
        odd = pl.lit(multiplier, pl.UInt64)
        number = pl.repeat(multiplier, frame.height, dtype=pl.UInt64, eager=True)
        for name in columns:
            part = texts[name][lane].gather(frame[name]) if name in texts else frame[name].cast(pl.UInt64)
            # Step by step: as one expression the number would be worked out anew for both sides of the xor.
            step = pl.select(number=(pl.lit(number) ^ pl.lit(part)) * odd)
            number = step.select(pl.col("number") ^ (pl.col("number") // _HALF)).to_series()
        lanes.append(pl.select((pl.lit(number) * odd).alias(f"lane_{lane}")))
    return pl.concat(lanes, how="horizontal")


def added(one: Sums, other: Sums) -> Sums:
    """Both together."""
    return (one[0] + other[0]) % 2**64, (one[1] + other[1]) % 2**64


def sums(lanes: pl.DataFrame) -> Sums:
    """Of all rows."""
    return int(lanes["lane_0"].sum()) % 2**64, int(lanes["lane_1"].sum()) % 2**64


def digest(columns: Sequence[str], rows: int, of_rows: Sums) -> bytes:
    """16 bytes of a day: the names of its columns, how many rows, and their sums."""
    told = f"sums 1:{','.join(columns)}:{rows}:{of_rows[0]}:{of_rows[1]}"
    return hashlib.blake2b(told.encode(), digest_size=16).digest()

"""Makes the reports of bench/facts.py: every row another (day, line, ad unit), in shuffled order; a process of its own.

Four files in a folder: `first.csv` and the same packed, `again.csv.gz` (the same rows in another order) and `week.csv.gz`
(the last seven days, one row in fifty restated).
"""

from __future__ import annotations

import gzip
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl

FIRST_DAY = date(2026, 1, 1)
FIRST_LINE = 7_000_000_000


def lines_of(rows: int) -> int:
    """How many lines a report of so many rows is about."""
    return 20_000 if rows >= 5_000_000 else max(200, rows // 100)


def main() -> None:
    """`python -m bench.report_rows FOLDER ROWS DAYS`."""
    folder, rows, days = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    lines = lines_of(rows)
    number = pl.int_range(rows, eager=True).alias("number")
    of_day = pl.col("number") // days
    frame = pl.DataFrame(number).select(
        (pl.lit(FIRST_DAY) + pl.duration(days=pl.col("number") % days)).alias("day"),
        (FIRST_LINE + of_day % lines).alias("line"),
        (22_000_000 + of_day // lines).alias("ad_unit"),
        (500 + pl.col("number") * 7919 % 1000).alias("impressions"),
        (pl.col("number") * 31 % 20).alias("clicks"),
    )
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(folder / "first.csv")
    _packed(folder / "first.csv", folder / "first.csv.gz")
    frame.sample(fraction=1, shuffle=True, seed=2).write_csv(folder / "plain.csv")
    _packed(folder / "plain.csv", folder / "again.csv.gz")
    week = frame.filter(pl.col("day") > FIRST_DAY + timedelta(days=days - 8)).with_columns(
        (pl.col("impressions") + (pl.int_range(pl.len()) % 50 == 0).cast(pl.Int64)).alias("impressions")
    )
    week.sample(fraction=1, shuffle=True, seed=3).write_csv(folder / "plain.csv")
    _packed(folder / "plain.csv", folder / "week.csv.gz")
    (folder / "plain.csv").unlink()


def _packed(plain: Path, to: Path) -> None:
    with plain.open("rb") as source, gzip.open(to, "wb", compresslevel=4) as target:
        shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    main()

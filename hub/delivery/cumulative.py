"""Counts up to a day turned into counts of the day, by differences; only for a source that declares it counts so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import polars as pl

from hub.delivery.checking import ASK
from hub.delivery.refusals import ReportRefused

Before = Mapping[str, tuple[Mapping[str, int], date]]
"""By line: what was counted before the report's first day, and the last day of it."""


def days_of(source: str, frame: pl.DataFrame, metrics: Sequence[str], before: Before) -> Mapping[date, pl.DataFrame]:
    """By day, the same rows with the day's own counts.

    The first day of a line that was never counted is its whole count. Raises ReportRefused when a count falls (there is no
    day to take it from), when days in between are not told (a difference over several days belongs to none of them), or
    when a line has a day twice.
    """
    rows = frame.sort("line", "day")
    line, previous = pl.col("line"), pl.col("line").shift()
    same = (line == previous).fill_null(value=False)
    twice = rows.filter(same & (pl.col("day") == pl.col("day").shift()))
    if twice.height:
        raise ReportRefused(source, "twice", f"The report has {twice['day'][0]} of line {twice['line'][0]} twice.", ASK)
    earlier = pl.DataFrame(
        {
            "line": list(before),
            "before_day": [day for _, day in before.values()],
            **{f"before_{unit}": [units[unit] for units, _ in before.values()] for unit in metrics},
        },
        schema={"line": pl.String, "before_day": pl.Date, **{f"before_{unit}": pl.Int64 for unit in metrics}},
    )
    rows = rows.join(earlier, on="line", how="left", maintain_order="left").with_columns(
        pl.when(same).then(pl.col("day").shift()).otherwise(pl.col("before_day")).alias("last_day"),
        *(
            (
                pl.col(unit) - pl.when(same).then(pl.col(unit).shift()).otherwise(pl.col(f"before_{unit}").fill_null(0))
            ).alias(f"own_{unit}")
            for unit in metrics
        ),
    )
    gap = rows.filter(pl.col("last_day").is_not_null() & ((pl.col("day") - pl.col("last_day")) > timedelta(days=1)))
    if gap.height:
        raise ReportRefused(
            source,
            "gap",
            f"Line {gap['line'][0]} is counted up to {gap['last_day'][0]} and then up to {gap['day'][0]}; what came between "
            "belongs to no single day.",
            "Whoever delivers the report sends the days in between with it.",
        )
    for unit in metrics:
        fallen = rows.filter(pl.col(f"own_{unit}") < 0)
        if fallen.height:
            one = fallen.row(0, named=True)
            raise ReportRefused(
                source,
                "fallen",
                f"The {unit} of line {one['line']} up to {one['day']} are {-one[f'own_{unit}']:,} fewer than up to the day "
                "before; a count up to a day cannot fall.",
                "Whoever delivers the report says which days were corrected, or sends the flight from its first day.",
            )
    kept = [name for name in frame.columns if name not in ("day", *metrics)]
    own = rows.select("day", *kept, *(pl.col(f"own_{unit}").alias(unit) for unit in metrics))
    split = own.partition_by("day", as_dict=True, include_key=False)
    return {key[0]: days for key, days in split.items()}

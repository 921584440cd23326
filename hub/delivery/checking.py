"""Every row of a report before it counts: days, lines, whole non-negative numbers, the right currency and network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from hub.delivery.refusals import ReportRefused
from hub.delivery.shape import UNITS, ReportShape

ASK = "Whoever delivers the report corrects it, or operations corrects `report:` of the connection."
_FINAL = ("true", "1", "yes", "final")
"""How a cell of the declared `final` column reads when it says yes; case does not matter."""


@dataclass(slots=True)
class Told:
    """What a report said about itself, and what was seen of it so far. `skipped` rows are of no line."""

    rows: int = 0
    skipped: int = 0
    declared_rows: int | None = None
    declared_sums: dict[str, int] = field(default_factory=dict)
    complete: bool = False
    final: bool = False
    sums: dict[str, int] = field(default_factory=dict)


def texts(shape: ReportShape) -> tuple[str, ...]:
    """The columns of a checked row that are text and tell its rows apart, `line` first."""
    return ("line", *(name for name in ("ad_unit", "creative") if getattr(shape.columns, name) is not None))


def checked(
    source: str, shape: ReportShape, frames: Iterator[pl.DataFrame], told: Told, since: date | None, until: date | None
) -> Iterator[pl.DataFrame]:
    """Frames with our column names, days as days and units as 64-bit integers; counted into `told`. Raises ReportRefused."""
    for raw in frames:
        first = told.rows + 1
        frame = _dated(source, shape, raw, first)
        if shape.no_line:
            unserved = pl.col("line").is_in(shape.no_line)
            # What reads as nothing arrives as null, also where it stands for no line.
            frame = frame.filter(~unserved.fill_null(value=not set(shape.no_line).isdisjoint({"", *shape.nothing})))
            told.skipped += raw.height - frame.height
        told.rows += raw.height
        _nothing_missing(source, frame, first)
        _nothing_foreign(source, shape, frame)
        _within(source, frame, since, until)
        for unit in shape.metrics:
            told.sums[unit] = told.sums.get(unit, 0) + int(raw[unit].sum())
        out: list[pl.Expr] = [pl.col("day"), *(pl.col(name).fill_null("") for name in texts(shape))]
        if shape.columns.order is not None:
            out.append(pl.col("order").fill_null(""))
        out += [pl.col(unit).fill_null(0) for unit in shape.metrics]
        if shape.columns.final is not None:
            out.append(pl.col("final").str.to_lowercase().is_in(_FINAL).fill_null(value=False))
        yield frame.select(out)


def _dated(source: str, shape: ReportShape, frame: pl.DataFrame, first: int) -> pl.DataFrame:
    if frame.schema["day"] == pl.Date:
        return frame
    dated = frame.with_columns(pl.col("day").str.to_date(shape.day_format, strict=False).alias("as_day"))
    wrong = dated.with_row_index("at", first).filter(pl.col("as_day").is_null())
    if wrong.height:
        value = str(wrong["day"][0])[:40]
        raise ReportRefused(
            source, "day", f"Row {wrong['at'][0]:,} has the day {value!r}, not one like {shape.day_format}.", ASK
        )
    return dated.drop("day").rename({"as_day": "day"})


def _nothing_missing(source: str, frame: pl.DataFrame, first: int) -> None:
    for name in ("day", "line", "impressions"):
        if frame[name].null_count() or (name == "line" and (frame[name] == "").any()):
            raise ReportRefused(source, "missing", f"A row near row {first:,} has no {name}.", ASK)
    for unit in (unit for unit in UNITS if unit in frame.columns):
        least = frame[unit].min()
        if isinstance(least, int) and least < 0:
            row = frame.row(int(frame[unit].arg_min() or 0), named=True)
            raise ReportRefused(
                source,
                "negative",
                f"Line {row['line']} has {row[unit]:,} {unit} on {row['day']}; no count is negative.",
                ASK,
            )


def _nothing_foreign(source: str, shape: ReportShape, frame: pl.DataFrame) -> None:
    for name, wanted in (("currency", shape.currency), ("network", shape.network)):
        if name not in frame.columns or wanted is None:
            continue
        others = frame.filter(pl.col(name).ne_missing(wanted))
        if others.height:
            foreign = others[name][0]
            raise ReportRefused(
                source,
                name,
                f"The report is of {name} {foreign!r} and this source of {wanted!r}.",
                "Operations looks whose report it is, or corrects `report:` of the connection.",
            )


def network_told(source: str, shape: ReportShape, network: object) -> None:
    """Refuse a report that names another network than the source's. Raises ReportRefused."""
    if shape.network is not None and network is not None and str(network) != shape.network:
        raise ReportRefused(
            source,
            "network",
            f"The report is of network {str(network)[:60]!r} and this source of {shape.network!r}.",
            "Operations looks whose report it is, or corrects `report:` of the connection.",
        )


def _within(source: str, frame: pl.DataFrame, since: date | None, until: date | None) -> None:
    if not frame.height or (since is None and until is None):
        return
    wrong = frame.filter(~pl.col("day").is_between(since or date.min, until or date.max))
    if wrong.height:
        raise ReportRefused(
            source,
            "span",
            f"The report is for {since} to {until} and has a row for {wrong['day'][0]}.",
            "Whoever delivers it sends the right span, or it is loaded with the days that it has.",
        )


def proven_whole(source: str, shape: ReportShape, told: Told) -> None:
    """Refuse a report whose declared numbers are not what was read, or that never said it was complete."""
    if told.declared_rows is not None and told.declared_rows != told.rows:
        raise ReportRefused(
            source,
            "rows",
            f"The report should have {told.declared_rows:,} rows and has {told.rows:,}.",
            "Whoever delivers it sends it again, whole.",
        )
    for unit, total in told.declared_sums.items():
        if told.sums.get(unit, 0) != total:
            raise ReportRefused(
                source,
                "sums",
                f"The report's rows sum to {told.sums.get(unit, 0):,} {unit} and its last row says {total:,}.",
                "Whoever delivers it sends it again, whole.",
            )
    if not told.complete:
        raise ReportRefused(
            source,
            "incomplete",
            f"Nothing proves that the report is whole (`complete_by: {shape.complete_by}`).",
            "Whoever delivers it sends it again, whole; a number of rows can be told with --rows.",
        )

"""A report as CSV that no spreadsheet executes, and as Parquet."""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hub.errors import Refused
from hub.reports.answers import Cell, Kind, Report

if TYPE_CHECKING:
    import polars as pl

# OWASP, "CSV Injection": the first four begin a formula, tab and CR hide one; LF and the full-width forms do so in some programs.
_EXECUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_csv(report: Report, out: TextIO) -> None:
    """RFC 4180 with a header row. Text that a spreadsheet could execute gets an apostrophe before it; numbers stay numbers.

    Unknown is an empty cell, a day is ISO 8601, an instant ISO 8601 in UTC, a flag `true` or `false`.
    """
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.name for column in report.columns])
    for row in report.rows:
        writer.writerow([as_text(cell) for cell in row])


def as_text(cell: Cell) -> str:
    """One cell of a CSV file."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    # Spaces in front do not protect: programs that trim cells would find the formula.
    return f"'{cell}" if cell.startswith(_EXECUTED) or cell.lstrip().startswith(_EXECUTED) else cell


def write_parquet(report: Report, path: Path) -> None:
    """Typed columns; amounts as decimal(38, 6). Raises Refused when polars is not installed."""
    _frame(report).write_parquet(path)


def _frame(report: Report) -> pl.DataFrame:
    try:
        import polars as pl
    except ImportError as error:
        raise Refused(
            "Parquet needs polars, which is not installed. No file was written. Whoever runs the hub installs "
            "`orderhub[facts]`, or takes CSV."
        ) from error
    types: dict[Kind, Any] = {
        Kind.TEXT: pl.String,
        Kind.COUNT: pl.Int64,
        Kind.MONEY: pl.Decimal(38, 6),
        Kind.DAY: pl.Date,
        Kind.TIME: pl.Datetime("us", "UTC"),
        Kind.LOCAL_TIME: pl.Datetime("us"),
        Kind.FLAG: pl.Boolean,
    }
    columns = {
        column.name: pl.Series(column.name, [row[place] for row in report.rows], dtype=types[column.kind], strict=True)
        for place, column in enumerate(report.columns)
    }
    return pl.DataFrame(columns)

"""CSV that no spreadsheet executes, and Parquet that keeps every digit."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Refused
from hub.reports import Kind, Report, ReportColumn
from hub.reports.export import as_text, write_csv, write_parquet

COLUMNS = tuple(ReportColumn(kind.value, kind) for kind in Kind)
ROW = {
    Kind.TEXT: 'Würth, "GmbH"\n',
    Kind.COUNT: -3,
    Kind.MONEY: Decimal("-1200.50"),
    Kind.DAY: date(2026, 2, 1),
    Kind.TIME: datetime(2026, 3, 1, 12, tzinfo=UTC),
    Kind.LOCAL_TIME: datetime.fromisoformat("2026-03-01T00:00:00"),
    Kind.FLAG: True,
}


def exported(report: Report) -> str:
    out = io.StringIO(newline="")
    write_csv(report, out)
    return out.getvalue()


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "  \t@"])
def test_text_that_begins_like_a_formula_is_not_executed(begin: str) -> None:
    assert as_text(f'{begin}HYPERLINK("http://evil")').startswith("'")


def test_numbers_below_zero_stay_numbers() -> None:
    assert (as_text(Decimal("-1200.50")), as_text(-3), as_text(Decimal("1E+3"))) == ("-1200.50", "-3", "1000")


def test_a_csv_file_is_read_back_as_it_was_written() -> None:
    report = Report("r", COLUMNS, [[ROW[kind] for kind in Kind], [None] * len(COLUMNS)])
    header, row, unknown = csv.reader(io.StringIO(exported(report), newline=""))
    assert header == [kind.value for kind in Kind]
    assert row[:4] == ['Würth, "GmbH"\n', "-3", "-1200.50", "2026-02-01"]
    assert set(unknown) == {""}


@given(st.text(), st.text())
def test_any_two_texts_stay_two_cells_and_none_begins_like_a_formula(a: str, b: str) -> None:
    report = Report("r", [ReportColumn("a", Kind.TEXT), ReportColumn("b", Kind.TEXT)], [[a, b]])
    if "\0" in a + b:
        return  # the store holds no such text
    _, row = csv.reader(io.StringIO(exported(report), newline=""))
    for cell, original in zip(row, (a, b), strict=True):
        assert cell in (original, f"'{original}")
        assert not cell.strip().startswith(("=", "+", "-", "@"))


def test_parquet_keeps_every_digit_and_every_type(tmp_path: Path) -> None:
    report = Report("r", COLUMNS, [[ROW[kind] for kind in Kind], [None] * len(COLUMNS)])
    write_parquet(report, tmp_path / "r.parquet")
    read = pl.read_parquet(tmp_path / "r.parquet")
    assert read.row(0) == tuple(ROW[kind] for kind in Kind)
    assert read.row(1) == (None,) * len(COLUMNS)
    assert read.schema["money"] == pl.Decimal(38, 6)


def test_without_polars_a_sentence_says_who_does_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(Refused, match=r"orderhub\[facts\]"):
        write_parquet(Report("r", COLUMNS, []), tmp_path / "r.parquet")
    assert not (tmp_path / "r.parquet").exists()

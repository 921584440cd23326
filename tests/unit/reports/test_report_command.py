"""`orderhub report`: one answer as a table, JSON, CSV, Parquet or a ledger file, and a sentence when it cannot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import hub
from cli.main import app

if TYPE_CHECKING:
    from conftest import Office

Orderhub = Callable[..., Result]


@pytest.fixture
def orderhub(office: Office, monkeypatch: pytest.MonkeyPatch) -> Orderhub:
    """The command line on an office that has billed a month."""
    line = office.line(office.order("=Spring"), "Home page")
    office.delivered(line, 900_000)
    office.close()
    monkeypatch.setattr(hub, "open_hub", lambda _: office.second_worker())

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["report", *words], env={"COLUMNS": "300"})

    return run


def test_a_report_is_a_table_json_csv_or_parquet_with_the_same_figures(orderhub: Orderhub, tmp_path: Path) -> None:
    table = orderhub("summary")
    assert table.exit_code == 0, table.output
    assert "10800.00" in table.stdout
    (row,) = json.loads(orderhub("summary", "--json").stdout)["rows"]
    assert (row["booked"], row["billed"], row["currency"]) == ("12000.00", "10800.00", "USD")
    (cells,) = csv.DictReader(io.StringIO(orderhub("summary", "--format", "csv").stdout))
    assert (cells["billed"], cells["order_name"]) == ("10800.00", "'=Spring")
    file = tmp_path / "r.parquet"
    assert orderhub("summary", "--format", "parquet", "--out", str(file)).exit_code == 0
    assert str(pl.read_parquet(file)["billed"][0]) == "10800.000000"


@pytest.mark.parametrize(
    "name", ["summary", "discrepancies", "accruals", "make-goods", "documents", "payments", "ledger"]
)
def test_every_report_can_be_written_to_a_file(orderhub: Orderhub, tmp_path: Path, name: str) -> None:
    file = tmp_path / "report.csv"
    done = orderhub(name, "--period", "2026-02", "--format", "csv", "--out", str(file))
    assert done.exit_code == 0, done.output
    assert file.read_text(encoding="utf-8")
    assert orderhub(name).exit_code == 0


@pytest.mark.parametrize("by", ["order", "advertiser", "month", "order-month", "advertiser-month", "line-month"])
def test_a_summary_is_by_what_one_asks(orderhub: Orderhub, by: str) -> None:
    (row,) = json.loads(orderhub("summary", "--by", by, "--json").stdout)["rows"]
    assert row["billed"] == "10800.00"


@pytest.mark.parametrize(
    "words",
    [("summary", "--format", "csv", "--out", "/nowhere/r.csv"), ("ledger", "--out", "/nowhere/r.beancount")],
)
def test_a_file_that_cannot_be_written_is_a_sentence(orderhub: Orderhub, words: tuple[str, ...]) -> None:
    refused = orderhub(*words)
    assert refused.exit_code == 1
    assert "cannot be written" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("width", ["80", "40"])
def test_figures_stay_whole_on_80_columns_and_are_never_cut_off(orderhub: Orderhub, width: str) -> None:
    shown = CliRunner().invoke(app, ["report", "summary", "--by", "month"], env={"COLUMNS": width}).stdout
    assert ("10800.00" in shown.split()) == (width == "80")
    assert "…" not in shown
    first = "".join(row.partition("│")[0].strip() for row in shown.splitlines() if "│" in row)
    assert "2026-02-01" in (shown if width == "80" else first)

"""The verbs `report` (one money report as a table, JSON, CSV or Parquet, or the ledger file) and `reconcile`."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.desk import ConfigOption, Desk, JsonOption, opened
from cli.months import in_order, month_written
from hub.billing.reconciling import MOST_SESSIONS, SESSIONS
from hub.errors import Refused
from hub.reports import NAMES, Kind, Report, Selection
from hub.reports import fx as fx_reports
from hub.reports import report as money_report
from hub.reports.export import as_text, write_csv, write_parquet
from hub.reports.ledger import ledger
from hub.store.money_reports import SUMMARIES

SHOWN = 50
"""Rows of a table; every other form holds all."""


_FIGURES = (Kind.MONEY, Kind.COUNT, Kind.DAY)


class Form(StrEnum):
    """How a report is shown."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"


def report(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"One of: {', '.join((*NAMES, *fx_reports.NAMES))}, ledger")
    ],
    by: Annotated[str, typer.Option("--by", help=f"What the summary is by: {', '.join(SUMMARIES)}")] = "order",
    period: Annotated[
        str | None, typer.Option("--period", parser=month_written, metavar="YYYY-MM", help="One month")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", parser=month_written, metavar="YYYY-MM", help="The first month")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", parser=month_written, metavar="YYYY-MM", help="The last month, included")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option("--rates", metavar="FILE", help="For fx: CSV with the columns currency, day, rate")
    ] = None,
    into: Annotated[
        str | None, typer.Option("--into", metavar="CURRENCY", help="For fx: the currency to report in")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Table, CSV or Parquet")] = Form.TABLE,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there instead of stdout")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Booked, delivered, billable, billed and paid; discrepancies, accruals, make-goods, documents. Reads only.

    `ledger` is a file for Beancount: invoices, credit memos, commission, tax and payments. `fx` values what was billed in other
    currencies at the rates of a file.
    """
    if as_json and form is not Form.TABLE and out is None:
        raise typer.BadParameter(f"--json and --format {form} are two answers for one stdout. Name a file with --out.")
    _asked_well(name, by, form, out)
    exchange = _exchange(name, rates, into)
    in_order(since or period, until or period)
    with opened(config, as_json) as (desk, hub):
        chosen = Selection.of(since or period, until or period, by)
        if name == "ledger":
            _write_ledger(desk, ledger(hub.session, chosen), out)
            return
        if exchange is not None:
            answer = fx_reports.fx(hub.session, name, fx_reports.read_rates(*exchange), chosen)
        else:
            answer = money_report(hub.session, name, chosen)
        if form is Form.TABLE:
            desk.answer(answer.as_dict(), *_table(answer, desk.out.width))
        elif out is None:
            with desk.written():
                _stdout_in_utf8()
                write_csv(answer, sys.stdout)
        else:
            _write_file(answer, form, out)
            _tell_of_file(desk, {"report": name, "format": form, "rows_written": len(answer.rows), "file": out})


def reconcile(
    since: Annotated[str, typer.Option("--since", parser=month_written, metavar="YYYY-MM", help="The first month")],
    until: Annotated[
        str, typer.Option("--until", parser=month_written, metavar="YYYY-MM", help="The last month, included")
    ],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who asks for it")],
    sessions: Annotated[
        int, typer.Option(min=1, max=MOST_SESSIONS, help="Database sessions at work at once")
    ] = SESSIONS,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reconcile every line-month: counts of each source, tolerance, cap, what may be billed. Bills nothing.

    What is blocked, capped or agrees over the line's life only is kept: `orderhub report reconciliation` lists it.
    """
    in_order(since, until)
    with opened(config, as_json) as (desk, hub):
        found = hub.reconcile(since, until, by=by, sessions=sessions)
        run = found.run
        table = Table(show_edge=False, pad_edge=False, header_style="bold")
        for name in ("exception", "line-months"):
            table.add_column(name, justify="right" if name == "line-months" else "left")
        for code, number in found.codes.items():
            table.add_row(code or "billable, capped or within tolerance over the line's life", f"{number:,}")
        sums = ", ".join(f"{currency} {as_text(amount)}" for currency, amount in found.gross.items()) or "nothing"
        summary = (
            f"{run.line_months:,} line-months of {run.lines:,} lines, {run.by_library:,} of them one by one through the library; "
            f"{run.exceptions:,} exceptions. Billable, gross: {sums}. Digest {run.digest}."
        )
        desk.answer(found.as_dict(), table, Text(summary))


def _asked_well(name: str, by: str, form: Form, out: Path | None) -> None:
    """Raises typer.BadParameter for what no report can be, whatever the hub holds."""
    known = (*NAMES, *fx_reports.NAMES, "ledger")
    if name not in known:
        raise typer.BadParameter(f"There is no report {name!r}. Choose one of: {', '.join(known)}.")
    if by not in SUMMARIES:
        raise typer.BadParameter(f"A summary is not by {by!r}. Choose one of: {', '.join(SUMMARIES)}.")
    if form is Form.PARQUET and out is None:
        raise typer.BadParameter("Parquet is no text. Name a file with --out.")
    if form is Form.TABLE and out is not None and name != "ledger":
        raise typer.BadParameter("A table is for the screen. Add --format csv or --format parquet.")


def _exchange(name: str, rates: Path | None, into: str | None) -> tuple[Path, str] | None:
    """The rates that a report in one currency needs, None for the others. Raises typer.BadParameter."""
    if name not in fx_reports.NAMES:
        if rates is not None or into is not None:
            raise typer.BadParameter(f"{name} takes no rates of exchange. `fx` does.")
        return None
    if rates is None or into is None:
        raise typer.BadParameter(f"{name} needs rates of exchange. Give --rates FILE and --into CURRENCY.")
    return rates, into


def _write_file(answer: Report, form: Form, out: Path) -> None:
    with _writing(out):
        if form is Form.PARQUET:
            write_parquet(answer, out)
        else:
            with out.open("w", encoding="utf-8", newline="") as file:
                write_csv(answer, file)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            f"{out} cannot be written ({error.strerror or error}). There is no complete file. Name another with --out."
        ) from error


def _write_ledger(desk: Desk, text: str, out: Path | None) -> None:
    if out is not None:
        with _writing(out):
            out.write_text(text, encoding="utf-8")
        if desk.as_json:
            desk.answer({"report": "ledger", "file": out})
    elif desk.as_json:
        desk.answer({"report": "ledger", "text": text})
    else:
        with desk.written():
            typer.echo(text.encode(), nl=False)


def _tell_of_file(desk: Desk, data: Mapping[str, Any]) -> None:
    """Stdout stays free for nothing but an answer: where no JSON was asked for, the remark goes to stderr."""
    if desk.as_json:
        desk.answer(data)
    else:
        desk.say(f"{data['rows_written']:,} rows in {data['file']}.")


def _stdout_in_utf8() -> None:
    """CSV is UTF-8 wherever it goes, whatever the terminal speaks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")


def _table(answer: Report, width: int) -> list[Table | Text]:
    """The first rows. A figure that is broken in two reads as another figure, so figures stay whole where `width` allows it;
    where it does not, they are folded between lines that show it: nothing is ever cut off.
    """
    shown = [column for column in answer.columns if not column.name.endswith("_id")]
    places = [answer.columns.index(column) for column in shown]
    rows = [[as_text(row[place]) for place in places] for row in answer.rows[:SHOWN]]
    words = [column.name.split("_") for column in shown]
    natural = [max(map(len, (*words[i], *(row[i] for row in rows)))) for i in range(len(shown))]
    least = (size if column.kind in _FIGURES else min(size, 10) for column, size in zip(shown, natural, strict=True))
    fits = sum(least) + len(shown) <= width
    table = (
        Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        if fits
        else Table(show_edge=False, pad_edge=False, header_style="bold")
    )
    for column, name in zip(shown, words, strict=True):
        right = column.kind in (Kind.MONEY, Kind.COUNT)
        whole = fits and column.kind in _FIGURES
        header = ("\n" if whole else " ").join(name)
        table.add_column(header, justify="right" if right else "left", overflow="fold", no_wrap=whole)
    for cells in rows:
        table.add_row(*map(Text, cells))
    if len(answer.rows) > SHOWN:
        return [table, Text(f"… and {len(answer.rows) - SHOWN:,} more (--json and --format csv hold all).")]
    return [table] if answer.rows else [Text("Nothing to report.")]

"""The verbs that compare the hub with its vendors, and decide what a person has to decide about the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from hub.results import CensusSummary

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection it is about")]
ROWS = 50
"""Rows shown before the rest is only counted; `--json` has them all."""


def census(connection: Connection, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Count everything there is at a connection: what vanished, exists twice, or was never read.

    Reads every record once, so it takes its time; `orderhub parked` then shows what a person has to decide.
    """
    with opened(config, as_json) as (desk, hub):
        counted = hub.census(connection)
        desk.answer({**counted.as_dict(), "agrees": counted.agrees}, _counted(counted))
    if not counted.agrees:
        raise typer.Exit(ExitCode.ATTENTION)


def _counted(counted: CensusSummary) -> RenderableType:
    told = [
        (counted.gone, "we refer to are gone there and parked"),
        (counted.duplicates, "exist twice and are parked"),
        (counted.adopted, "of ours that nobody referred to were adopted"),
        (counted.waiting, "of ours are just being written or settled"),
        (counted.vanished, "vanished from the source and count as deleted"),
        (counted.never_read, "had never been read and were read now"),
        (len(counted.unknown), "carry a mark of ours for nothing that we know"),
    ]
    lines: list[RenderableType] = [Text(f"{count:,} {words}.") for count, words in told if count]
    if counted.unknown:
        lines.append(table(("Record", "Vendor id", "Mark"), counted.unknown))
    verdict = Text("Both sides agree.", "green") if counted.agrees else Text("Somebody has to look.", "yellow")
    return Group(Text(f"{counted.counted:,} records counted at {counted.connection}."), *lines, verdict)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """The first rows of a list, and how many more there are."""
    shown = Table(*columns, show_edge=False, pad_edge=False, header_style="bold")
    for row in rows[:ROWS]:
        shown.add_row(*(Text(cell) for cell in row))
    return shown if len(rows) <= ROWS else Group(shown, Text(f"… and {len(rows) - ROWS:,} more (--json shows them)."))

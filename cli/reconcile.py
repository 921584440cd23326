"""The verbs that compare the hub with its vendors, and decide what a person has to decide about the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from cli.parked_work import By, Note
from cli.whole_words import WholeWords
from hub.results import CensusSummary, DriftResult, RecoverySummary

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


def drift(connection: Connection, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Compare what vendors show with what the hub wrote there, and find what somebody else changed.

    What follows stands in the connection's `drift` setting: the hub writes again, or a person is asked (`orderhub parked`).
    """
    with opened(config, as_json) as (desk, hub):
        result = hub.drift(connection)
        desk.answer(result.as_dict(), _drifted(result))
    if result.defects or any(item.done == "parked" for item in result.items):
        raise typer.Exit(ExitCode.ATTENTION)


def _drifted(result: DriftResult) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{result.examined:,} records of {result.connection} compared: {len(result.items):,} fields differ.")
    ]
    rows = [
        (f"{item.record} {item.vendor_id}", item.name, item.path, str(item.wanted), str(item.present), item.done)
        for item in result.items
    ]
    if rows:
        parts.append(table(("Record", "Name", "Field", "Ours", "Theirs", "Done"), rows))
    if result.defects:
        defects = [(f"{each.record} {each.vendor_id}", each.name, each.sentence) for each in result.defects]
        parts += [
            Text(f"{len(defects):,} records were not compared:", "red"),
            table(("Record", "Name", "Why"), defects),
        ]
    return Group(*parts)


def accept(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Any id of the order")],
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep what somebody set at the vendor, for everything of an order that is in conflict.

    It stays until the order's own value changes. `orderhub resync ORDER` writes the order's value instead.
    """
    with opened(config, as_json) as (desk, hub):
        result = hub.accept(order, by=by, note=note)
        words = f"{result.fields} fields of {result.records} records of {result.order_id} keep the vendor's value."
        desk.answer(result.as_dict(), words)


def recover(connection: Connection, by: By = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """After the database was restored: create nothing at a connection until a census adopted what is there already.

    Repeat it until it says that creates go again; the settle task goes on with it, too.
    """
    with opened(config, as_json) as (desk, hub):
        result = hub.recover(connection, by=by)
        desk.answer(result.as_dict(), _recovering(result))
    if not result.ended:
        raise typer.Exit(ExitCode.ATTENTION)


def _recovering(result: RecoverySummary) -> RenderableType:
    lines: list[RenderableType] = [] if result.census is None else [_counted(result.census)]
    if result.ended:
        lines.append(Text(f"{result.connection} creates again.", "green"))
    else:
        why = []
        if result.until is not None:
            why.append(f"until {result.until:%H:%M:%S} UTC something sent before may still be applied")
        if result.under_way:
            why.append(f"{result.under_way:,} writes are not settled")
        lines.append(Text(f"Nothing is created at {result.connection}: {' and '.join(why)}.", "yellow"))
    return Group(*lines)


def approve_plan(
    plan_hash: Annotated[str, typer.Argument(metavar="HASH", help="The plan's hash, as `orderhub parked` shows it")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who approves; kept in the audit chain")],
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let exactly the plan go that was held because it changes too much at once.

    Refused when any record of it changed since; the next push then makes a new plan.
    """
    with opened(config, as_json) as (desk, hub):
        result = hub.approve_plan(plan_hash, by=by, note=note)
        again = f" (approved before by {result.by})" if result.already else ""
        words = f"{result.records:,} records of {result.connection} go with the next push{again}."
        desk.answer(result.as_dict(), words)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """The first rows of a list, and how many more there are."""
    shown = WholeWords(*columns)
    for row in rows[:ROWS]:
        shown.add_row(*(Text(cell) for cell in row))
    return shown if len(rows) <= ROWS else Group(shown, Text(f"… and {len(rows) - ROWS:,} more (--json shows them)."))

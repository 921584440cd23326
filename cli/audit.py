"""The verbs of the audit chain: verify walks it, anchor writes its end outside the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from hub.results import AuditResult

app = typer.Typer(help="The audit chain: what happened, provable afterwards.", no_args_is_help=True)


@app.command()
def verify(
    anchor: Annotated[
        Path | None, typer.Option("--anchor", metavar="FILE", help="Compare with this file [default: audit_anchor]")
    ] = None,
    transitions: Annotated[
        bool, typer.Option("--transitions", help="Compare every event with the hub's tables, too")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the whole chain and find what was edited, removed, put in, moved or cut off.

    A tail that was cut off together with the chain's head is found by an anchor only.
    """
    with opened(config, as_json) as (desk, hub):
        result = hub.verify_audit(anchor)
        mismatches = list(hub.audit_mismatches()) if transitions and result.sound else []
        data = {**result.as_dict(), "sound": result.sound and not mismatches, "mismatches": mismatches}
        desk.answer(data, _verified(result, mismatches))
    if not result.sound or mismatches:
        raise typer.Exit(ExitCode.ATTENTION)


def _verified(result: AuditResult, mismatches: list[str]) -> RenderableType:
    lines: list[RenderableType] = [Text(fault.sentence, "red") for fault in result.faults]
    if result.faults_found > len(result.faults):
        lines.append(Text(f"… and {result.faults_found - len(result.faults):,} more faults.", "red"))
    lines += [Text(sentence, "red") for sentence in mismatches]
    anchors = f"compared with {result.anchors:,} anchors" if result.anchors else "compared with no anchor"
    wrong = result.faults_found + len(mismatches)
    verdict = Text(f"{wrong:,} faults", "bold red") if wrong else Text("sound", "bold green")
    lines.append(Text.assemble(f"{result.events:,} events up to {result.head:,}, {anchors}: ", verdict))
    return Group(*lines)


@app.command()
def anchor(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the line is appended; keep it off the database")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append the chain's present end (number, hash, time) to a file outside the database."""
    with opened(config, as_json) as (desk, hub):
        result = hub.anchor_audit(file)
        desk.answer(result.as_dict(), f"Event {result.sequence:,} ({result.hash[:16]}…) is anchored in {file}.")

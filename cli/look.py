"""The verbs that only look: check, plan, status, parked, trace. They write nothing at any vendor."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import tables
from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from cli.flows import chosen
from hub.errors import ConnectionBroken, ConnectorStumbled, VendorUnavailable
from hub.results import CheckResult, StatusResult

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[CONNECTION]...", help="Connections; all when none is named")
]


def check(connections: Names = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Try every connection: credentials, rights, and each field its mapping uses. Writes nothing."""
    with opened(config, as_json) as (desk, hub):
        results: list[CheckResult] = []
        unusable: dict[str, str] = {}
        names = connections or list(hub.connections)
        for info in chosen(hub, names, lambda info: True, "be checked"):
            try:
                results.append(hub.check(info.name))
            except (ConnectionBroken, ConnectorStumbled, VendorUnavailable) as error:
                unusable[info.name] = str(error)
        data = {"connections": [result.as_dict() for result in results], "unusable": unusable}
        desk.answer(data, tables.connections_checked(results, unusable))
    if unusable:
        raise typer.Exit(ExitCode.UNUSABLE)
    if not all(result.usable for result in results):
        raise typer.Exit(ExitCode.ATTENTION)


def plan(
    connection: Annotated[str | None, typer.Argument(help="Only this connection")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every row, not only the first")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every write the hub intends, and every problem that stops one. Writes nothing.

    `orderhub apply --plan-hash HASH` begins only if this is still what it would show, and writes nothing else.
    """
    with opened(config, as_json) as (desk, hub):
        broken = {} if connection else dict(hub.unusable())
        result = hub.plan(connection)
        unusable = {**broken, **result.unusable}
        table = tables.planned(result, everything=everything, whole=not unusable)
        desk.answer({**result.as_dict(), "unusable": unusable}, table, *tables.left_out(unusable))
    if unusable:
        raise typer.Exit(ExitCode.UNUSABLE)
    if result.blocked:
        raise typer.Exit(ExitCode.ATTENTION)


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The whole hub on one page: connections, lanes, orders, delivery, and what waits for a person."""
    with opened(config, as_json) as (desk, hub):
        result = hub.status()
        desk.answer(result.as_dict(), tables.status_tables(result))
    _attention(result)


def parked(
    everything: Annotated[bool, typer.Option("--all", help="Every single piece of work, not only the causes")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What waits for a person, by cause: how many, what happened, who does what."""
    with opened(config, as_json) as (desk, hub):
        groups = hub.status().parked
        items = hub.parked() if everything else ()
        data = {"parked": [group.as_dict() for group in groups]}
        if everything:
            data["items"] = [item.as_dict() for item in items]
        desk.answer(data, tables.parked_table(groups, items))
    if groups:
        raise typer.Exit(ExitCode.ATTENTION)


def trace(
    order: Annotated[str, typer.Argument(help="Any id of the order: canonical, CRM, ad server, external, or its name")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every change, attempt, evidence and mirror of one order, by any of its ids."""
    with opened(config, as_json) as (desk, hub):
        result = hub.trace(order)
        desk.answer(result.as_dict(), tables.trace_tables(result))


WELL = frozenset({"ok", "paused", "unreachable", "never used"})
"""States of a connection in which nobody needs to mend anything: a vendor that does not answer is asked again."""


def _attention(result: StatusResult) -> None:
    if result.parked or any(each.in_doubt or each.state not in WELL for each in result.connections):
        raise typer.Exit(ExitCode.ATTENTION)

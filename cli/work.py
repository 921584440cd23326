"""The verbs that work: pull reads sources and delivery, apply writes what is due."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import tables
from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode
from cli.flows import DELIVERED_STATES, Failure, pull_changes, pull_delivery
from cli.flows import apply as apply_until_rest
from cli.look import Names
from hub.errors import ConnectionPaused, PlanMoved
from hub.results import PlanResult


def pull(
    connections: Names = None,
    delivery: Annotated[bool, typer.Option("--delivery", help="Bring delivered numbers instead of changes")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Bring changes, then delivered numbers")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read what changed at the sources, or what was delivered at the ad servers. Writes only to the hub's own store."""
    with opened(config, as_json) as (desk, hub):
        names = connections or ()
        unusable = {} if names else dict(hub.unusable())

        def failed(error: Failure) -> None:
            if names:
                raise error
            unusable[error.connection] = str(error)

        resting: dict[str, str] = {}

        def paused(error: ConnectionPaused) -> None:
            resting[error.connection] = str(error)

        changes = pull_changes(hub, names, failed=failed, paused=paused)
        delivered = pull_delivery(hub, names, failed=failed, paused=paused)
        intakes = list(changes) if everything or not delivery else []
        deliveries = list(delivered) if everything or delivery else []
        data = {
            "intake": [result.as_dict() for result in intakes],
            "delivery": [result.as_dict() for result in deliveries],
            "unusable": unusable,
            "paused": resting,
        }
        shown = tables.pulled(intakes, deliveries) if intakes or deliveries else "Nothing was read."
        desk.answer(data, shown, *tables.left_out(unusable), *resting.values())
    if unusable:
        raise typer.Exit(ExitCode.UNUSABLE)
    if any(r.rejected or r.held for r in intakes) or any(
        d.state not in DELIVERED_STATES or d.quarantined for d in deliveries
    ):
        raise typer.Exit(ExitCode.ATTENTION)


def apply(
    connections: Names = None,
    plan_hash: Annotated[
        str | None, typer.Option("--plan-hash", metavar="HASH", help="Write only what this plan shows")
    ] = None,
    patience: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for writes that are not due yet")
    ] = 300.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that is due, settle what is in doubt, until all is at rest.

    With --plan-hash it begins only if `plan` still shows exactly that, and writes only what it shows, at the versions it
    shows; what is accepted meanwhile stays due and is counted.
    """
    with opened(config, as_json) as (desk, hub):
        only: PlanResult | None = None
        if plan_hash is not None:
            only = hub.plan(connections[0] if connections and len(connections) == 1 else None)
            if only.plan_hash != plan_hash:
                raise PlanMoved(
                    f"The plan {plan_hash} is no longer true (it is {only.plan_hash} now). Nothing was written. "
                    "Look at `orderhub plan` again and apply that one."
                )
        applied = apply_until_rest(hub, connections or (), patience=patience, only=only)
        desk.answer(applied.as_dict(), tables.applied_tables(applied))
    if applied.unusable:
        raise typer.Exit(ExitCode.UNUSABLE)
    done = applied.connections.values()
    if not applied.at_rest or applied.blocked or any(each.parked or each.in_doubt or each.plan_moved for each in done):
        raise typer.Exit(ExitCode.ATTENTION)

"""The command `orderhub`: which verbs there are. Each verb lives in the module of its kind."""

from __future__ import annotations

import sys

import typer

from cli import audit, bill, delivery, look, mapping_trial, parked_work, reconcile, reports, store, work
from cli.demo.run import demo
from cli.ending import Command, stopping_on_sigterm
from cli.exit_codes import EPILOG, ExitCode

app = typer.Typer(
    name="orderhub",
    cls=Command,
    help="Orders travel: CRM → canonical order → ad server → delivery → CRM.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
map_app = typer.Typer(help="Work on mapping files.", no_args_is_help=True)

app.command()(demo)
app.command()(look.check)
app.command()(work.pull)
app.command()(look.plan)
app.command()(work.apply)
app.command()(look.status)
app.command()(look.trace)
app.command()(bill.why)
app.command()(reports.report)
app.command()(reports.reconcile)
app.command()(look.parked)
app.command()(parked_work.replay)
app.command()(parked_work.ignore)
app.command()(parked_work.adopt)
app.command()(parked_work.resync)
app.command()(parked_work.pause)
app.command()(parked_work.resume)
app.command()(reconcile.census)
app.command()(reconcile.drift)
app.command()(reconcile.accept)
app.command()(reconcile.approve_plan)
app.command()(reconcile.recover)
app.command()(store.migrate)
map_app.command("try")(mapping_trial.try_mapping)
app.add_typer(map_app, name="map")
app.add_typer(audit.app, name="audit")
app.add_typer(delivery.app, name="delivery")
app.add_typer(bill.app, name="bill")


def run() -> None:
    """The console entry point; ends the process with a documented exit code."""
    stopping_on_sigterm()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)

"""The verbs of a person at work on what is parked: replay, ignore, adopt, resync; and pause and resume of a connection.

Each is written into the audit chain with who asked (`--by`, else the operating system's user) and why (`--note`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from cli.desk import ConfigOption, JsonOption, opened
from cli.exit_codes import ExitCode

Reason = Annotated[str | None, typer.Option(help="Only work parked for this reason, as `orderhub parked` names it")]
Code = Annotated[str | None, typer.Option(help="Only work parked with this code")]
Place = Annotated[str | None, typer.Option("--connection", help="Only work parked at this connection")]
GroupKey = Annotated[
    str | None, typer.Option("--group", metavar="KEY", help="One group, by the key that `orderhub parked` shows")
]
Subject = Annotated[str | None, typer.Option("--subject", metavar="ID", help="One order, line or party")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who asks [default: the system's user]")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; kept in the audit chain")]
At = Annotated[str, typer.Option("--connection", help="The connection it is about")]
Part = Annotated[
    str | None, typer.Option("--part", help="Which of several records: a part of a split order, a party's role")
]


def replay(
    reason: Reason = None,
    code: Code = None,
    connection: Place = None,
    group: GroupKey = None,
    subject: Subject = None,
    key: Annotated[
        str | None, typer.Option("--key", help="A second replay with the same key does nothing (for scripts)")
    ] = None,
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put parked work back, after its cause was removed. What is still wrong is parked again.

    A write whose answer never came is looked up first, not sent again.
    """
    more = {"group": group, "subject": subject, "key": key, "by": by, "note": note}
    with opened(config, as_json) as (desk, hub):
        given = {name: value for name, value in more.items() if value is not None}
        replayed = hub.replay(reason=reason, code=code, connection=connection, **given)
        desk.answer({"replayed": replayed}, f"{replayed} put back.")


def ignore(
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; kept in the audit chain")],
    reason: Reason = None,
    code: Code = None,
    connection: Place = None,
    group: GroupKey = None,
    subject: Subject = None,
    by: By = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close parked work without sending it. It comes up again when its entity changes."""
    with opened(config, as_json) as (desk, hub):
        ignored = hub.ignore(
            note=note, reason=reason, code=code, connection=connection, group=group, subject=subject, by=by
        )
        desk.answer({"ignored": ignored}, f"{ignored} closed without sending.")


def adopt(
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="Canonical id: ord_…, lin_…, pty_… or doc_…")],
    connection: At,
    vendor_id: Annotated[
        str | None, typer.Argument(metavar="[VENDOR_ID]", help="The vendor's object that it is")
    ] = None,
    absent: Annotated[bool, typer.Option("--absent", help="The vendor does not have it: it may be created")] = False,
    part: Part = None,
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which vendor object an entity is, or that it does not exist there; the hub looks before it believes.

    The answer to work parked as `ambiguous` or `duplicate`.
    """
    if absent == (vendor_id is not None):
        raise typer.BadParameter("Give either the vendor's id or --absent.")
    with opened(config, as_json) as (desk, hub):
        if vendor_id is None:
            answer = hub.declare_absent(entity, connection=connection, part=part, by=by, note=note)
            sentence = f"{answer.record} of {entity} does not exist at {connection}; the next push creates it."
        else:
            answer = hub.adopt(entity, vendor_id, connection=connection, part=part, by=by, note=note)
            sentence = (
                f"{entity} is {answer.record} {vendor_id} at {connection}; the next push writes our fields into it."
            )
        desk.answer(answer.as_dict(), sentence)


def resync(
    order: Annotated[str, typer.Argument(help="Any id of the order: canonical, CRM, ad server, external, or its name")],
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send everything of one order anew with the next push, even what vendors are believed to have."""
    with opened(config, as_json) as (desk, hub):
        result = hub.resync(order, by=by, note=note)
        left = [f"Left as it is: {sentence}" for sentence in result.left]
        gone = [
            f"{count} at {name} stay as they are: the configuration no longer names it."
            for name, count in result.elsewhere.items()
        ]
        desk.answer(result.as_dict(), f"{result.lanes} records of {result.order_id} are sent anew.", *gone, *left)
    if result.left:
        raise typer.Exit(ExitCode.ATTENTION)


def pause(
    connection: Annotated[str, typer.Argument(help="The connection to stop")],
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop reading from and writing to one connection. Its work waits; the other connections go on."""
    with opened(config, as_json) as (desk, hub):
        changed = hub.pause(connection, by=by, note=note)
        sentence = f"{connection} is paused." if changed else f"{connection} was paused already."
        desk.answer({"connection": connection, "paused": True, "changed": changed}, sentence)


def resume(
    connection: Annotated[str, typer.Argument(help="The connection that may go on")],
    by: By = None,
    note: Note = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a paused connection go on with the work that waited."""
    with opened(config, as_json) as (desk, hub):
        changed = hub.resume(connection, by=by, note=note)
        sentence = f"{connection} goes on." if changed else f"{connection} was not paused."
        desk.answer({"connection": connection, "paused": False, "changed": changed}, sentence)

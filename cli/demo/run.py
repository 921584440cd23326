"""`orderhub demo`: starts database, vendors and Airflow on this machine, lets an order book travel, checks the result."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from cli import tables
from cli.demo.airflow_api import AirflowApiError
from cli.demo.billing import DEFAULT_MONTHS, Billed, MonthsError, bill, months_wanted
from cli.demo.control import ControlError
from cli.demo.crm_client import CrmError
from cli.demo.embedded_postgres import EmbeddedPostgresError
from cli.demo.engine import EngineError
from cli.demo.generated_book import generated_book
from cli.demo.journey import Outcome, Stage, clock_stops, outcome_as_dict, play
from cli.demo.machinery import ENVIRONMENT, Machinery, running
from cli.demo.order_book import BookError, OrderBook, parse_order_book, read_order_book
from cli.demo.process_table import MemoryMeter
from cli.demo.progress import watched
from cli.demo.result_table import result
from cli.demo.signals import stopping_on_signals
from cli.demo.supervisor import SupervisionError, Supervisor
from cli.desk import Desk, JsonOption, new_desk
from cli.exit_codes import ExitCode
from hub.errors import HubError

STATE = Path(".orderhub/demo")
DATA = Path("../shared/data")
BOOK = Path("snap-political-ads/ads.csv")
MARK = "book.json"
"""Names the book that a state folder was begun with; also the proof that the folder is a demo's."""
TROUBLE = (
    AirflowApiError, BookError, ControlError, CrmError, EmbeddedPostgresError, EngineError, HubError, SupervisionError,
)  # fmt: skip


class StateError(BookError):
    """The state folder cannot be used for this demo."""


def demo(
    orders: Annotated[
        Path | None, typer.Option("--orders", metavar="FILE", help="Order book; a file of the shape of ads.csv")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N orders of the book")] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the checks; exit code 0 only if all held")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin with an empty store and empty vendors")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="Lose replies, commit late, run into quotas")] = False,
    direct: Annotated[bool, typer.Option("--without-airflow", help="Let this process do the DAGs' work")] = False,
    months: Annotated[
        str,
        typer.Option(
            "--bill",
            metavar="N|all|none",
            help="Close the N busiest months into Tryton, where it is installed (make tryton)",
        ),
    ] = DEFAULT_MONTHS,
    state: Annotated[Path, typer.Option("--state", metavar="FOLDER", help="Where the demo keeps everything")] = STATE,
    as_json: JsonOption = False,
) -> None:
    """Watch an order book travel: CRM → hub → ad server → delivery → CRM, on this machine alone.

    Without --orders: the file under $ORDERHUB_DATA if there is one, else a generated book of 100 orders.
    """
    began = time.monotonic()
    desk = new_desk(as_json)
    try:
        wanted = months_wanted(months)
    except MonthsError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        with stopping_on_signals():
            book = chosen_book(orders).first(limit)
            prepare_state(state, book, fresh=fresh)
            _tell_of_book(desk, book)
            clock = clock_stops(book)[0]
            with MemoryMeter() as meter, running(state, clock, with_airflow=not direct, heard=desk.say) as machinery:
                outcome = _play(desk, machinery, book, faults=faults)
                played = time.monotonic() - began
                billed = bill(machinery, book, state.resolve(), wanted, desk.say)
                outcome.checks += billed.checks
                _show(desk, machinery, outcome, billed, seconds=played, meter=meter)
                if not once:
                    _stay(desk, machinery, state)
    except TROUBLE as error:
        raise desk.fail(ExitCode.UNUSABLE, str(error)) from error
    except SystemExit as stop:
        raise typer.Exit(ExitCode.INTERRUPTED) from stop
    if not outcome.held:
        raise typer.Exit(ExitCode.ATTENTION)


def chosen_book(orders: Path | None) -> OrderBook:
    """The book of a file, of the data folder, or a generated one. Raises BookError."""
    if orders is not None:
        return read_order_book(orders)
    path = Path(os.environ.get("ORDERHUB_DATA", str(DATA))) / BOOK
    if path.exists():
        return read_order_book(path)
    return parse_order_book(generated_book(), source="generated book")


def prepare_state(state: Path, book: OrderBook, *, fresh: bool) -> None:
    """Make the state folder, empty it when asked to, and bind it to this book.

    Raises StateError when it was begun with another book, holds something that is no demo's, or cannot be used.
    Raises SupervisionError when another demo runs in it.
    """
    try:
        _bind_state(state, book, fresh=fresh)
    except OSError as error:
        raise StateError(
            f"The state folder {state} cannot be used ({error.strerror or error}). Nothing was started. "
            "Name a folder of your own with --state."
        ) from error


def _bind_state(state: Path, book: OrderBook, *, fresh: bool) -> None:
    mark = state / MARK
    if state.exists() and any(state.iterdir()) and not mark.exists():
        raise StateError(
            f"{state} holds files that are no demo's. Nothing was started. Name another folder with --state."
        )
    if fresh and mark.exists():
        Supervisor(state).stop_leftovers()
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    fingerprint = hashlib.blake2b(repr((book.orders, book.refused)).encode(), digest_size=16).hexdigest()
    if not mark.exists():
        mark.write_text(json.dumps({"source": book.source, "orders": len(book.orders), "hash": fingerprint}), "utf-8")
        return
    try:
        known = json.loads(mark.read_text("utf-8"))
        source, orders, begun_with = known["source"], known["orders"], known["hash"]
    except (ValueError, KeyError, TypeError) as error:  # a full disk or a power cut ends a file in its middle
        raise StateError(
            f"{mark} does not name the book that {state} was begun with. Nothing was started. Add --fresh to begin anew, "
            "or name another folder with --state."
        ) from error
    if begun_with != fingerprint:
        raise StateError(
            f"{state} was begun with another book ({source}, {orders} orders). Nothing was started. "
            "Add --fresh to begin anew, or name another folder with --state."
        )


def _tell_of_book(desk: Desk, book: OrderBook) -> None:
    desk.say(f"{book.source}: {len(book.orders)} orders, {len(book.lines)} lines, {', '.join(book.currencies)}.")
    for sentence in (*book.notices, *(row.sentence for row in book.refused)):
        desk.say(sentence)


def _play(desk: Desk, machinery: Machinery, book: OrderBook, *, faults: bool) -> Outcome:
    stage = Stage(
        book=book,
        hub=machinery.hub,
        engine=machinery.engine,
        people=machinery.people,
        crm=machinery.crm,
        faults=faults,
        heard=desk.say,
    )
    impressions = sum(line.impressions for line in book.lines)
    with watched(desk.err, machinery.configuration, lines=len(book.lines), impressions=impressions):
        return play(stage)


def _show(
    desk: Desk, machinery: Machinery, outcome: Outcome, billed: Billed, *, seconds: float, meter: MemoryMeter
) -> None:
    """`seconds` are those until the journey's end; the bills' own are apart."""
    meter.sample()
    pss_mb = meter.peak_mb or None
    data = {**outcome_as_dict(outcome), **billed.as_dict(), "seconds": round(seconds, 1), "pss_mb": pss_mb}
    shown = [] if desk.as_json else ["", _trace(machinery, outcome)]
    desk.answer(data, result(outcome, billed.billing, seconds=seconds, pss_mb=pss_mb), *shown)


def _trace(machinery: Machinery, outcome: Outcome) -> RenderableType:
    if outcome.told_order is None:
        return ""
    return tables.trace_tables(machinery.hub.trace(outcome.told_order))


def _stay(desk: Desk, machinery: Machinery, state: Path) -> None:
    """Keep everything running until a person stops it; what dies meanwhile is reported."""
    if machinery.url is not None:
        desk.say(f"Airflow: {machinery.url}  account: admin  password: {machinery.password}")
    desk.say(f"Another terminal: . {state / ENVIRONMENT} && orderhub status")
    desk.say("Everything stays up until Ctrl-C.")
    try:
        while True:
            machinery.supervisor.check()
            time.sleep(1)
    except SystemExit:
        desk.say("Stopping …")  # a stop is the expected end here: the exit code is that of the checks

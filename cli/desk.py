"""The desk of one command: opens the hub, shows one answer as a table or as JSON, turns expected errors into sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, RenderableType

import hub
from cli.exit_codes import ExitCode
from hub.errors import (
    ConfigurationError,
    ConnectionBroken,
    ConnectorStumbled,
    HubError,
    NotFound,
    PlanMoved,
    StoreUnavailable,
    VendorUnavailable,
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration file [default: $ORDERHUB_CONFIG, ./orderhub.yaml]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables")]

_CODES: Mapping[type[HubError], ExitCode] = {
    ConfigurationError: ExitCode.UNUSABLE,
    ConnectionBroken: ExitCode.UNUSABLE,
    ConnectorStumbled: ExitCode.UNUSABLE,
    VendorUnavailable: ExitCode.UNUSABLE,
    StoreUnavailable: ExitCode.UNUSABLE,
    NotFound: ExitCode.NOT_FOUND,
    PlanMoved: ExitCode.MOVED,
}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command puts its answer. Tables go to stdout, progress and errors to stderr."""

    as_json: bool
    out: Console
    err: Console

    def answer(self, data: Mapping[str, Any], *tables: RenderableType) -> None:
        """Show the one answer of this command: `data` as JSON, or the tables. A disk that is full is an expected error."""
        with self.written():
            if self.as_json:
                typer.echo(json_line(data))
            else:
                self.out.print(*tables, sep="\n")

    @contextmanager
    def written(self) -> Iterator[None]:
        """Around what is written to stdout."""
        try:
            yield
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            sentence = (
                f"The answer cannot be written ({error.strerror or error}). What was asked for is done, and its answer is not "
                "whole. Whoever runs the hub makes room and asks again."
            )
            self.err.print(sentence, style="red")
            _forget_stdout()
            raise typer.Exit(ExitCode.ATTENTION) from error

    def say(self, sentence: str) -> None:
        """A remark while the work goes on; never on stdout."""
        self.err.print(sentence, highlight=False)

    def fail(self, code: ExitCode, sentence: str) -> typer.Exit:
        """Report an expected error; raise what this returns."""
        self.tell(code, sentence)
        self.err.print(sentence, style="red", highlight=False)
        return typer.Exit(code)

    def tell(self, code: ExitCode, sentence: str) -> None:
        """The JSON object of an error; nothing where tables are shown. Where nobody reads it, the sentence on stderr remains."""
        if not self.as_json:
            return
        try:
            typer.echo(json_line({"error": code.name.lower(), "sentence": sentence, "exit_code": int(code)}))
        except OSError as error:
            self.say(f"stdout cannot be written ({error.strerror or error}): there is no JSON object.")
            _forget_stdout()


def _forget_stdout() -> None:
    """What is left in its buffer cannot be written when the process ends either, and would say so once more."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def json_line(data: Mapping[str, Any]) -> bytes:
    """One line of JSON, always UTF-8: aware instants in ISO 8601, decimals as text so that no digit is lost."""
    return orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def new_desk(as_json: bool) -> Desk:
    """The desk of a command that does not open the hub. Brackets and colons in somebody's names are text, never markup."""
    return Desk(as_json, Console(markup=False, emoji=False), Console(stderr=True, markup=False, emoji=False))


@contextmanager
def opened(config: Path | None, as_json: bool) -> Iterator[tuple[Desk, hub.Hub]]:
    """The desk and the open hub. Errors of the hub's own tree become their sentence and exit code."""
    desk = new_desk(as_json)
    try:
        with hub.open_hub(config) as opened_hub:
            yield desk, opened_hub
    except HubError as error:
        raise desk.fail(exit_code(error), str(error)) from error


def exit_code(error: HubError) -> ExitCode:
    """The exit code of an expected error."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.ATTENTION)

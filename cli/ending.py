"""How a command ends that a person or the machine cuts short: always a sentence, a documented exit code, and JSON if asked for.

Wrong command lines, Ctrl-C, SIGTERM, a full disk behind stdout, a terminal whose characters are not Unicode.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from typer import TyperException
from typer.core import TyperGroup

from cli.desk import new_desk
from cli.exit_codes import ExitCode

INTERRUPTED = (
    "Interrupted. What was done until then is recorded, and a write without an answer is looked up before it is sent again. "
    "Run it again to go on."
)


class Command(TyperGroup):
    """`orderhub` itself; every way out of it is a documented one."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run one command line. Ends the process in any mode: nobody calls this for a value."""
        words = list(sys.argv[1:] if args is None else args)
        desk = new_desk("--json" in words)
        unicode_or_escaped()
        if wrong := [word for word in words if not word.isascii() and not _is_text(word)]:
            shown = wrong[0].encode("utf-8", "backslashreplace").decode()
            sentence = f"'{shown}' is not UTF-8. Nothing was done. Give every argument in UTF-8."
            sys.exit(desk.fail(ExitCode.USAGE, sentence).exit_code)
        try:
            ended = super().main(words, prog_name, complete_var, False, windows_expand_args, **extra)
        except TyperException as error:
            from typer.rich_utils import rich_format_error  # costs every other start a few hundredths of a second

            rich_format_error(error)  # type: ignore[arg-type]  # the class that it names is private
            if desk.as_json:
                wrong_word = " ".join(error.format_message().split()).rstrip(".")
                desk.tell(
                    ExitCode.USAGE,
                    f"The command line is wrong: {wrong_word}. Nothing was done. `orderhub --help` shows every verb.",
                )
            sys.exit(error.exit_code)
        if ended == ExitCode.INTERRUPTED:
            desk.fail(ExitCode.INTERRUPTED, INTERRUPTED)
        sys.exit(ended or ExitCode.FINE)


def unicode_or_escaped() -> None:
    """A terminal that cannot show a character shows its number; without this, one foreign name would end the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def stopping_on_sigterm() -> None:
    """SIGTERM does what Ctrl-C does: the work stops in order, and the exit code is the documented one. In the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as lone surrogates, which no database takes
        return False
    return True

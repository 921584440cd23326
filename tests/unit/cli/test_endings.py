"""How a command ends that somebody or something cuts short: a sentence, a documented exit code, one JSON object if asked for."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import Result

from cli.desk import Desk, new_desk
from cli.ending import unicode_or_escaped
from cli.exit_codes import ExitCode
from hub.errors import ConnectionPaused, NotFound
from hub.results import ConnectionStatus, PlanItem, PlanResult, PushSummary, StatusResult

UNTIDY = "Fête 🌲 [/red] [bold]Ltd :tiger:"


def object_of(shown: Result) -> dict[str, Any]:
    (line,) = shown.stdout.splitlines()
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


# ---------------------------------------------------------------- a wrong command line
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bogus",), "No such command 'bogus'."),
        (("trace",), "Missing argument"),
        (("apply", "--wait", "-1"), "--wait"),
        (("adopt", "lin_a", "--connection", "gam-main"), "either the vendor's id or --absent"),
        (("bill", "what-if", "--period", "2026-02", "--tolerance", "some"), "'some' is no percentage."),
        (("report", "summary", "--format", "csv"), "two answers for one stdout"),
        (("bill", "close", "--period", "2019-13", "--prepared-by", "Ada"), "'2019-13' is no billing period"),
        (("why", "lin_a", "2019-1"), "'2019-1' is no billing period"),
        (
            ("bill", "enter", "withdrawal", "--closed", "now", "--reason", "r", "--by", "Ada"),
            "'now' is no billing period",
        ),
        (("reconcile", "--since", "2019-00", "--until", "2019-01", "--by", "Ada"), "'2019-00' is no billing period"),
        (("reconcile", "--since", "2019-02", "--until", "2019-01", "--by", "Ada"), "lies before"),
        (("report", "summary", "--since", "2019-02", "--until", "2019-01"), "lies before"),
        (("report", "profits"), "There is no report 'profits'"),
        (("report", "summary", "--by", "colour"), "A summary is not by 'colour'"),
        (("report", "summary", "--period", "2026-2"), "is no billing period"),
        (("report", "summary", "--format", "parquet"), "Name a file with --out"),
        (("report", "summary", "--out", "report.csv"), "A table is for the screen"),
        (("report", "fx"), "needs rates of exchange"),
        (("report", "summary", "--into", "USD"), "takes no rates of exchange"),
    ],
)
def test_a_wrong_command_line_is_one_json_object_too(
    words: tuple[str, ...], says: str, orderhub: Any, scripted: Any
) -> None:
    shown = orderhub(*words, "--json")
    told = object_of(shown)
    assert (shown.exit_code, told["error"], told["exit_code"]) == (2, "usage", 2)
    assert says in told["sentence"]
    assert "Nothing was done." in told["sentence"]
    assert scripted.asked == []
    as_tables = orderhub(*words[:2], "--bogus")
    assert (as_tables.exit_code, as_tables.stdout) == (2, "")


@pytest.mark.parametrize("word", ["\udcff", "caf\udce9"])
def test_an_argument_that_is_no_text_is_refused_before_anything_happens(
    word: str, orderhub: Any, scripted: Any
) -> None:
    shown = orderhub("trace", word, "--json")
    assert shown.exit_code == 2
    assert "is not UTF-8. Nothing was done." in object_of(shown)["sentence"]
    assert scripted.asked == []


# ---------------------------------------------------------------- a person or the machine stops it
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_an_interrupted_command_says_so_and_ends_with_130(
    flags: tuple[str, ...], orderhub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: Path | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hub.open_hub", interrupted)
    shown = orderhub("status", *flags)
    assert shown.exit_code == 130
    assert "Interrupted. What was done until then is recorded" in " ".join(shown.stderr.split())
    assert [json.loads(line)["error"] for line in shown.stdout.splitlines()] == (["interrupted"] if flags else [])


def test_sigterm_ends_like_ctrl_c() -> None:
    program = (
        "import os, hub, cli.start\n"
        "hub.open_hub = lambda config: os.kill(os.getpid(), 15)\n"  # the worker's own signal, in the middle of its work
        "cli.start.run()"
    )
    ended = subprocess.run([sys.executable, "-c", program, "status", "--json"], capture_output=True, check=False)
    assert ended.returncode == 130, ended.stderr
    assert json.loads(ended.stdout)["error"] == "interrupted"
    assert b"Traceback" not in ended.stderr


def test_ctrl_c_while_the_command_is_being_loaded_shows_no_traceback() -> None:
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # who runs the tests may have it ignored
        "class Interrupts:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'cli.main':\n"
        "            os.kill(os.getpid(), 2)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "import cli.start"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (-2, b"")


# ---------------------------------------------------------------- what is written
class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_disk_behind_stdout_is_a_sentence(as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    full = FullDisk()
    monkeypatch.setattr(sys, "stdout", full)
    desk = Desk(as_json, Console(file=full), Console(file=said, width=300))
    with pytest.raises(typer.Exit) as ended:
        desk.answer({"a": 1}, "shown")
    sys.stdout.close()
    assert ended.value.exit_code == ExitCode.ATTENTION
    assert "cannot be written (No space left on device). What was asked for is done" in said.getvalue()


def test_an_error_keeps_its_code_where_nobody_reads_its_json(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    full = FullDisk()
    monkeypatch.setattr(sys, "stdout", full)
    desk = Desk(True, Console(file=full), Console(file=said, width=300))
    assert desk.fail(ExitCode.UNUSABLE, "The store is away. Nothing was done. Start it.").exit_code == 3
    sys.stdout.close()
    assert "The store is away." in said.getvalue()


def test_a_terminal_without_the_characters_shows_their_numbers_and_json_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def written(encoding: str, *, as_json: bool) -> bytes:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        unicode_or_escaped()
        new_desk(as_json).answer({"name": UNTIDY}, UNTIDY)
        return raw.getvalue()

    assert rb"F\xeate \U0001f332" in written("ascii", as_json=False)
    assert "Fête".encode("latin-1") + rb" \U0001f332" in written("latin-1", as_json=False)
    for encoding in ("ascii", "latin-1", "utf-8"):
        assert json.loads(written(encoding, as_json=True)) == {"name": UNTIDY}


def test_brackets_and_colons_in_names_are_shown_as_they_are(orderhub: Any, scripted: Any) -> None:
    item = PlanItem("gam-main", "order", "ord_a", "", UNTIDY, "update", [("name", UNTIDY, "b")], [], [])
    scripted.says("plan", PlanResult([item], "h1", 0, 0, 0, 0))
    assert UNTIDY in orderhub("plan").stdout
    error = ConnectionPaused("sfdc", f"Kim paused sfdc: {UNTIDY}. Nothing is read. Operations resumes it.")
    scripted.says("intake", error)
    shown = orderhub("pull")
    assert UNTIDY in " ".join(shown.stdout.split())


# ---------------------------------------------------------------- names that nothing carries
@pytest.mark.parametrize("verb", [("replay",), ("ignore", "--note", "why")])
def test_a_name_that_nothing_has_is_not_found(verb: tuple[str, ...], orderhub: Any, scripted: Any) -> None:
    sentence = "There is no group 'x'. Nothing was put back. Parked now: a-1. `orderhub parked --all` shows every name."
    scripted.says(verb[0], NotFound(sentence))
    shown = orderhub(*verb, "--group", "x", "--json")
    assert (shown.exit_code, object_of(shown)["sentence"]) == (4, sentence)
    scripted.says(verb[0], 0)  # known, and nothing of it is parked any more
    assert orderhub(*verb, "--group", "a-1").exit_code == 0


def test_a_paused_source_is_told_and_not_passed_over_in_silence(orderhub: Any, scripted: Any) -> None:
    scripted.says("intake", ConnectionPaused("sfdc", "Kim paused sfdc. Nothing is read. Operations resumes it."))
    told = object_of(orderhub("pull", "--json"))
    assert told["paused"] == {"sfdc": "Kim paused sfdc. Nothing is read. Operations resumes it."}
    shown = orderhub("pull")
    assert (shown.exit_code, shown.stdout.splitlines()[:2]) == (
        0,
        ["Nothing was read.", "Kim paused sfdc. Nothing is read. Operations resumes it."],
    )


# ---------------------------------------------------------------- a terminal of 80 columns
@pytest.mark.parametrize("verb", ["status", "apply"])
def test_no_word_of_a_page_is_broken_on_80_columns(
    verb: str, orderhub: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)
    rows = [
        ConnectionStatus("gam-main", "salesforce", "unreachable", "It is away.", {"in_sync": 1234}, 12, 34, told, told)
    ]
    scripted.says("status", StatusResult(rows, (), {"booked": 1}, {"accepted": 9}, 0, told))
    outcomes = {"created": 1234, "updated": 1234, "in_doubt": 2}
    scripted.says("push gam-main", PushSummary("gam-main", 9, 2468, outcomes, parked=3), PushSummary("gam-main"))
    shown = orderhub(verb).stdout
    whole = {
        "status": (
            "Connection",
            "Connector",
            "salesforce",
            "unreachable",
            "2026-11-21",
            "12:34:56",
            "in_sync",
            "parked",
        ),
        "apply": ("Connection", "gam-main", "records", "outcomes", "created", "adopted", "waiting"),
    }
    for word in whole[verb]:
        assert word in shown.replace(",", " ").split(), shown

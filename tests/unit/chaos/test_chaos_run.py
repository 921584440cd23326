"""The figures of a run, and the command line around it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from chaos import __main__ as command
from chaos.crew import POSTS
from chaos.recovery import percentile
from chaos.run import Report
from chaos.worker import VERBS
from cli.demo.control import ControlError


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.5) is None
    assert percentile([1.0, 2.0, 9.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.95) == 95.0


def test_every_verb_is_manned_and_every_writing_verb_twice() -> None:
    verbs = [post.verb for post in POSTS]
    assert set(verbs) == set(VERBS)
    assert all(verbs.count(verb) >= 2 for verb in ("push", "settle", "mirror", "intake"))


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], report: Report, folder: Path
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr(command, "run", lambda *_, **__: report)
    monkeypatch.setattr("sys.argv", ["chaos", "--kills", "3", "--json", "--folder", str(folder)])
    code = command.main()
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_last_line_is_the_report_and_the_exit_code_its_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = Report(kills=3, recovery_s_p50=6.5, held=True)
    code, data = told(monkeypatch, capsys, good, tmp_path)
    assert code == 0
    assert {name: data[name] for name in ("kills", "duplicates", "lost", "recovery_s_p50")} == {
        "kills": 3,
        "duplicates": 0,
        "lost": 0,
        "recovery_s_p50": 6.5,
    }
    code, data = told(monkeypatch, capsys, dataclasses.replace(good, duplicates=1, held=False), tmp_path)
    assert (code, data["duplicates"]) == (1, 1)


def test_a_run_that_cannot_be_made_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> Report:
        raise ControlError("The sandbox is gone.")

    monkeypatch.setattr(command, "run", refuse)
    monkeypatch.setattr("sys.argv", ["chaos", "--folder", str(tmp_path / "empty")])
    assert command.main() == 2
    assert "The sandbox is gone." in capsys.readouterr().err

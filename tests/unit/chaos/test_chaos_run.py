"""The figures of a run, and the command line around it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import __main__ as command
from chaos import run as chaos_run
from chaos.crew import POSTS
from chaos.recovery import percentile
from chaos.run import Report
from chaos.worker import VERBS
from cli.demo.control import ControlError
from hub.results import ParkedItem


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 0.5) is None
    assert percentile([1.0, 2.0, 9.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.95) == 95.0


def test_every_verb_is_manned_and_every_writing_verb_twice() -> None:
    verbs = [post.verb for post in POSTS]
    assert set(verbs) == set(VERBS)
    assert all(verbs.count(verb) >= 2 for verb in ("push", "settle", "mirror", "intake", "post"))


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


@pytest.mark.parametrize(("freed", "rounds"), [([3, 1, 0], 2), ([3, 3], 1), ([0], 0), ([9, 8, 7, 6, 5, 4], 4)])
def test_what_is_parked_at_rest_is_put_back_as_long_as_that_frees_something(freed: list[int], rounds: int) -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    item = ParkedItem("gam-main", "line", "lin_1", None, "duplicate", "CODE", "", "", "Why.", "How.", "Sales", now)
    left, travelled, back = iter(freed), [], []
    hub = SimpleNamespace(parked=lambda: [item] * next(left), replay=lambda **signed: len(signed))
    engine: Any = SimpleNamespace(travel=lambda: travelled.append(1), come_back=lambda: back.append(1))
    ground: Any = SimpleNamespace(hub=hub)
    report = Report()
    chaos_run._replay(ground, engine, report)
    assert (len(travelled), len(back), report.replayed) == (rounds, rounds, 2 * rounds)
    assert report.parked_before_replay == ({"duplicate CODE": freed[0]} if freed[0] else {})
    assert {"parked", "parked_before_replay", "replayed", "stuck"} <= report.as_dict().keys()

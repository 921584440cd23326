"""The command line of the simulation: what it refuses, what its last line sums up, and when it fails."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from simulation import __main__ as command
from simulation import campaign, catching
from simulation.campaign import Figures
from simulation.catching import Catch, catch_again, record, recorded
from simulation.errors import Violation
from simulation.mutants import ALL_MUTANTS

TIMED: dict[str, Any] = {"schedules": 3, "duplicates": 2, "undetected": 0, "documents": 0, "ended_early": {}}


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each suite answers, without running it; a test changes it."""
    answers: dict[str, Any] = {
        "seeds": Figures(seeds=10, seconds=5.0),
        "reports": [],
        "exhaustive": Figures(seeds=4, seconds=1.0),
        "timing": dict(TIMED),
        "again": [Catch(mutant.name, 3, "I1", "two", 2) for mutant in ALL_MUTANTS],
    }

    def run_seeds(start: int, count: int, jobs: int, hear: Any, **_: Any) -> Figures:
        for report in answers["reports"]:
            hear(report, answers["seeds"])
        figures: Figures = answers["seeds"]
        return figures

    monkeypatch.setattr(campaign, "run_seeds", run_seeds)
    monkeypatch.setattr(campaign, "run_exhaustive", lambda *_, **__: answers["exhaustive"])
    monkeypatch.setattr(campaign, "run_timing", lambda *_, **__: answers["timing"])
    monkeypatch.setattr(command, "catch_all_again", lambda *_, **__: iter(answers["again"]), raising=False)
    return answers


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return body


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mutant", "no such engine"], "there is no broken engine 'no such engine'; there are: a look writes"),
        (["--replay", "3", "--mutant", "no such engine"], "there is no broken engine"),
        (["--seeds", "0"], "0 is not 1 or more; nothing would be run"),
        (["--seeds", "-5"], "-5 is not 1 or more; nothing would be run"),
        (["--exhaustive", "--every", "0"], "nothing would be run"),
        (["--timing", "0"], "nothing would be run"),
    ],
)
def test_what_would_prove_nothing_is_refused(
    suites: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_random_seeds_alone_tell_how_the_broken_engines_fared(
    suites: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--seeds", "10", "--start", "0", "--json"]) == 0
    body = told(capsys)
    assert (body["mutants"], body["mutants_caught"], body["median_seeds_to_catch"]) == (
        len(ALL_MUTANTS),
        len(ALL_MUTANTS),
        3,
    )
    assert body["schedules_per_s"] == 2.0, "the broken engines' time is not the schedules'"
    suites["again"][0] = Catch(ALL_MUTANTS[0].name, 500, None)
    assert command.main(["--seeds", "10", "--json"]) == 1, "a broken engine that nothing notices is a failure"
    assert told(capsys)["mutants_caught"] == len(ALL_MUTANTS) - 1


@pytest.mark.parametrize("arguments", [["--json"], []])
def test_a_failing_seed_is_named_with_its_replay_whatever_the_last_line_is_for(
    suites: dict[str, Any], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    suites["reports"] = [SimpleNamespace(seed=117, violations=(Violation("I4", "the goal never came", -1),))]
    command.main(["--seeds", "10", "--engine-only", *arguments])
    captured = capsys.readouterr()
    said = captured.err if arguments else captured.out
    assert "seed 117: I4 at rest: the goal never came" in said
    assert "python -m simulation --replay 117" in said
    assert len(captured.out.splitlines()) == 1 or not arguments


def test_what_the_single_faults_broke_is_in_the_sums(
    suites: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Figures(seeds=4, seconds=1.0, duplicates=2)
    broken.failures[7] = (Violation("I4", "the goal never came", -1), Violation("I1", "two of it", 3))
    suites["exhaustive"] = broken
    assert command.main(["--exhaustive", "--json"]) == 1
    body = told(capsys)
    assert (body["duplicates"], body["lost"], body["violations"]) == (2, 1, 2)


def test_a_schedule_with_broken_timing_that_ended_early_is_told_and_fails(
    suites: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--timing", "3", "--json"]) == 0
    suites["timing"] = {**TIMED, "ended_early": {17: "I4 at rest: the goal never came"}}
    assert command.main(["--timing", "3"]) == 1
    assert "schedule 17 ended early: I4 at rest" in capsys.readouterr().out


def test_the_seeds_on_record_name_broken_engines_and_can_be_written_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    file = tmp_path / "seeds.json"
    file.write_text('{"gone": 4, "no fence": 2}', encoding="utf-8")
    monkeypatch.setattr(catching, "RECORD", file)
    record([Catch("no budget", 8, "I20", "", 7), Catch("no fence", 500, None)])
    assert recorded() == {"no budget": 7, "no fence": 2}


def test_a_seed_on_record_that_catches_no_more_is_searched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = ALL_MUTANTS[0]
    tried: list[tuple[int, int]] = []

    def catch(arena: Any, mutant: Any, start: int, most: int) -> Catch:
        tried.append((start, most))
        caught = start <= 9 < start + most
        return Catch(mutant.name, 9 - start + 1, "I1", "", 9) if caught else Catch(mutant.name, most, None)

    monkeypatch.setattr(catching, "catch", catch)
    nowhere: Any = None
    assert catch_again(nowhere, mutant, 9, 500).seeds == 10, "counted from seed 0, as when it was recorded"
    assert tried == [(9, 1)]
    assert catch_again(nowhere, mutant, 4, 500).seeds == 10
    assert catch_again(nowhere, mutant, 4, 5).invariant is None
    assert tried[1:] == [(4, 1), (0, 500), (4, 1), (0, 5)]

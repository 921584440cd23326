"""Every broken engine is caught, else the checker proves nothing; and a catch can be replayed and shrunk."""

from __future__ import annotations

import shlex

import pytest

from simulation.__main__ import main
from simulation.arena import Arena
from simulation.catching import catch_again, recorded
from simulation.mutants import ALL_MUTANTS, Mutant
from simulation.schedule import generate, run, schedule_from
from simulation.shrinking import shrink

KNOWN = recorded()
"""Seeds that caught a mutant before. Only a short cut: where one does not any more, the first 500 are tried."""
MOST = 500


@pytest.mark.scenario
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", ALL_MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_engine_is_caught_within_500_seeds(arena: Arena, mutant: Mutant) -> None:
    found = catch_again(arena, mutant, KNOWN.get(mutant.name), MOST)
    assert found.invariant is not None, f"nothing notices that {mutant.name!r} gives up: {mutant.gives_up}"


def test_each_broken_engine_gives_up_something_else() -> None:
    assert len({mutant.name for mutant in ALL_MUTANTS}) == len({mutant.gives_up for mutant in ALL_MUTANTS})
    assert len(ALL_MUTANTS) >= 40
    assert set(KNOWN) <= {mutant.name for mutant in ALL_MUTANTS}
    assert all(0 <= seed < MOST for seed in KNOWN.values())


def test_a_failing_seed_prints_the_one_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mutant", "doubt is success", "--most", "40", "--jobs", "1"]) == 0
    told = capsys.readouterr().out
    (command,) = (line.partition("replay it with: ")[2] for line in told.splitlines() if "replay it with: " in line)
    invariant = told.partition("caught by ")[2].split()[0]
    program, *arguments = shlex.split(command)[1:]
    assert (program, arguments.pop(0)) == ("-m", "simulation")
    assert main(arguments) == 1
    assert f"{invariant} at" in capsys.readouterr().out


def test_a_failing_schedule_shrinks_to_a_short_one_that_breaks_the_same_promise(arena: Arena) -> None:
    mutant = next(each for each in ALL_MUTANTS if each.name == "doubt is success")
    seed = KNOWN[mutant.name]
    whole = generate(seed)
    with mutant.at_work():
        report = run(arena, whole)
        short, shortest = shrink(arena, whole, report, most=60)
        again = run(arena, schedule_from(short.to_json()))
    assert len(short.steps) < len(whole.steps) / 2
    assert again.violations[0].invariant == shortest.violations[0].invariant == report.violations[0].invariant
    assert again.log_hash == run_under(arena, mutant, short.to_json())
    assert run(arena, short).passed, "the engine itself keeps its promise"


def run_under(arena: Arena, mutant: Mutant, told: str) -> str:
    with mutant.at_work():
        return run(arena, schedule_from(told)).log_hash

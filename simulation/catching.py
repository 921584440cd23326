"""Setting mutants loose: how many seeds each survives, and which invariant catches it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simulation import campaign
from simulation.arena import Arena
from simulation.mutants import ALL_MUTANTS, Mutant
from simulation.schedule import generate, run

RECORD = Path(__file__).with_name("catching_seeds.json")
"""By mutant, the first seed from 0 on that caught it when all of them were last set loose (`--mutants --record`)."""


@dataclass(frozen=True, slots=True)
class Catch:
    """How a mutant fared: caught in its `seeds`-th schedule by `invariant`; None when it survived them all."""

    mutant: str
    seeds: int
    invariant: str | None
    sentence: str = ""
    seed: int = 0
    """Which seed caught it."""

    def __str__(self) -> str:
        if self.invariant is None:
            return f"{self.mutant}: survived {self.seeds} seeds{f', but {self.sentence}' if self.sentence else ''}"
        return (
            f"{self.mutant}: caught by {self.invariant} after {self.seeds} seeds ({self.sentence[:140]})\n"
            f"  replay it with: python -m simulation --replay {self.seed} --mutant {shlex.quote(self.mutant)}"
        )


def catch(arena: Arena, mutant: Mutant, start: int, most: int) -> Catch:
    """Run seeds until one of them breaks a promise; at most `most`.

    A worker that ends with an error of its program does not count: that is what a mutant does that no longer fits the engine.
    Neither does a seed that the engine itself fails: what it found is not the mutant's.
    """
    stumbled = ""
    for number in range(most):
        schedule = generate(start + number)
        with mutant.at_work():
            report = run(arena, schedule)
        promises = [violation for violation in report.violations if violation.invariant != "crash"]
        stumbled = next((str(violation) for violation in report.violations if violation not in promises), stumbled)
        if promises and run(arena, schedule).passed:
            first = promises[0]
            return Catch(mutant.name, number + 1, first.invariant, first.sentence, start + number)
    return Catch(mutant.name, most, None, stumbled)


def named(name: str) -> Mutant:
    """The mutant of a name. Raises KeyError."""
    return {mutant.name: mutant for mutant in ALL_MUTANTS}[name]


def recorded() -> Mapping[str, int]:
    """The seeds of `RECORD`."""
    found: dict[str, int] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def record(catches: Sequence[Catch]) -> None:
    """Write down which seed caught each of these; others keep theirs."""
    known = {**recorded(), **{catch.mutant: catch.seed for catch in catches if catch.invariant is not None}}
    names = {mutant.name for mutant in ALL_MUTANTS}
    told = {name: seed for name, seed in sorted(known.items()) if name in names}
    RECORD.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def catch_again(arena: Arena, mutant: Mutant, seed: int | None, most: int) -> Catch:
    """Run the seed that caught a mutant before; where it does so no more, search from seed 0 on.

    `seeds` is how many the search from 0 took, this one included.
    """
    again = None if seed is None else catch(arena, mutant, seed, 1)
    if again is None or again.invariant is None:
        return catch(arena, mutant, 0, most)
    return replace(again, seeds=again.seed + 1)


def _job(work: tuple[str, int, int]) -> Catch:
    name, start, most = work
    found: Catch = campaign.in_arena(lambda arena, _: catch(arena, named(name), start, most), None)
    return found


def _again_job(work: tuple[str, int | None, int]) -> Catch:
    name, seed, most = work
    found: Catch = campaign.in_arena(lambda arena, _: catch_again(arena, named(name), seed, most), None)
    return found


def catch_all(mutants: Sequence[Mutant], start: int, most: int, jobs: int) -> Iterator[Catch]:
    """Every mutant's fate, as it becomes known."""
    with campaign.server() as postgres, campaign.processes(postgres, jobs) as pool:
        yield from pool.imap_unordered(_job, [(mutant.name, start, most) for mutant in mutants])


def catch_all_again(mutants: Sequence[Mutant], most: int, jobs: int) -> Iterator[Catch]:
    """Every mutant caught by the seed on record, as it becomes known; in processes of their own."""
    known = recorded()
    with campaign.server() as postgres, campaign.processes(postgres, jobs) as pool:
        yield from pool.imap_unordered(_again_job, [(mutant.name, known.get(mutant.name), most) for mutant in mutants])

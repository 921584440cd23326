"""Setting mutants loose: how many seeds each survives, and which invariant catches it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulation import campaign
from simulation.arena import Arena
from simulation.document_mutants import ALL_MUTANTS
from simulation.mutants import Mutant
from simulation.schedule import generate, run


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


def _job(work: tuple[str, int, int]) -> Catch:
    name, start, most = work
    found: Catch = campaign.in_arena(lambda arena, _: catch(arena, named(name), start, most), None)
    return found


def catch_all(mutants: Sequence[Mutant], start: int, most: int, jobs: int) -> Iterator[Catch]:
    """Every mutant's fate, as it becomes known."""
    with campaign.server() as postgres, campaign.processes(postgres, jobs) as pool:
        yield from pool.imap_unordered(_job, [(mutant.name, start, most) for mutant in mutants])

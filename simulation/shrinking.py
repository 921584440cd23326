"""Shrinking: the fewest steps, and the fewest faults in them, that still break the same promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from simulation.arena import Arena
from simulation.schedule import Report, Schedule, run
from simulation.steps import Step

Fails = Callable[[Schedule], bool]


def shrink(arena: Arena, schedule: Schedule, report: Report, *, most: int = 400) -> tuple[Schedule, Report]:
    """The smallest schedule found in at most `most` runs that breaks the same invariant, and how it went."""
    wanted = report.violations[0].invariant
    best = report
    runs = 0

    def fails(candidate: Schedule) -> bool:
        nonlocal best, runs
        if runs >= most:
            return False
        runs += 1
        found = run(arena, candidate)
        if any(violation.invariant == wanted for violation in found.violations):
            best = found
            return True
        return False

    steps = _fewest(schedule, fails)
    schedule = replace(schedule, steps=steps)
    schedule = _plainest(schedule, fails)
    schedule = replace(schedule, steps=_fewest(schedule, fails))
    return schedule, best


def _fewest(schedule: Schedule, fails: Fails) -> tuple[Step, ...]:
    """Leave out runs of steps, long ones first."""
    steps = list(schedule.steps)
    size = max(1, len(steps) // 2)
    while True:
        at = 0
        while at < len(steps):
            candidate = steps[:at] + steps[at + size :]
            if fails(replace(schedule, steps=tuple(candidate))):
                steps = candidate
            else:
                at += size
        if size == 1:
            return tuple(steps)
        size //= 2


def _plainest(schedule: Schedule, fails: Fails) -> Schedule:
    """Leave out faults, crashes, and what happens inside them, one at a time."""
    steps = list(schedule.steps)
    for at in range(len(steps)):
        changed = True
        while changed:
            changed = False
            for plainer in _plainer(steps[at]):
                candidate = [*steps[:at], plainer, *steps[at + 1 :]]
                if fails(replace(schedule, steps=tuple(candidate))):
                    steps, changed = candidate, True
                    break
    return replace(schedule, steps=tuple(steps))


def _plainer(step: Step) -> Iterator[Step]:
    if step.crash is not None:
        yield replace(step, crash=None)
        for inner in _without_one(step.crash.inner):
            yield replace(step, crash=replace(step.crash, inner=inner))
    for at in range(len(step.faults)):
        yield replace(step, faults=step.faults[:at] + step.faults[at + 1 :])
    if len(step.together) == 1:
        yield step.together[0]
    for together in _without_one(step.together):
        if together:
            yield replace(step, together=together)
    for at, member in enumerate(step.together):
        for plainer in _plainer(member):
            yield replace(step, together=(*step.together[:at], plainer, *step.together[at + 1 :]))


def _without_one(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    for at in range(len(steps)):
        yield (*steps[:at], *steps[at + 1 :])

"""Every single fault at every point of a short story, and nothing else: the part of the space that can be walked whole.

The story books a deal, changes it, adds and deletes a line, renames the account, delivers and restates. For each of its
verbs: every way to stop a worker at every point it reaches, and every fate of every vendor call it makes. `pairs` are each
of these together with each fate of the first vendor call of the next settling, and of the next push, at the ad server. Two
faults further apart, two in one verb, and a second stop of a worker are left to the random schedules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from connectors.base import CreateProtocol
from simulation.arena import Arena
from simulation.schedule import Report, Schedule, run
from simulation.steps import VERBS, CallFault, Crash, Fate, Point, Step, Stop
from simulation.terms import Terms
from simulation.world import World

_AWAY = (Step("wait", amount=700.0), Step("settle_ads", worker=1), Step("push_ads", worker=1), Step("intake", worker=1))
"""What the others do while a worker stands still for longer than its lease."""
_SHORTLY = (Step("edit_line", salt=11), Step("intake", worker=1), Step("push_ads", worker=1))

STORY: tuple[Step, ...] = (
    Step("new_deal", salt=5, amount=2.0),
    Step("intake"),
    Step("push_ads"),
    Step("wait", amount=70.0),
    Step("settle_ads"),
    Step("push_ads"),
    Step("push_crm"),
    Step("edit_line", salt=7),
    Step("edit_order", salt=2),
    Step("add_line", salt=3),
    Step("rename_account", salt=9),
    Step("intake"),
    Step("push_ads"),
    Step("deliver_units", salt=1),
    Step("deliver"),
    Step("observe"),
    Step("bill", salt=1),
    Step("bill", salt=5),
    Step("delete_line", salt=4),
    Step("restate", salt=6),
    Step("next_day", amount=1.0),
    Step("intake"),
    Step("push_ads"),
    Step("deliver"),
    Step("wait", amount=70.0),
    Step("settle_ads"),
    Step("push_ads"),
    Step("push_crm"),
)
TERMS = (
    Terms(),
    Terms(line_protocol=CreateProtocol.NONE, lines_per_order=2, batch=2, page_size=2, crm_batch=2),
)
"""The plain terms, and those under which most things happen in several parts."""


def _points(arena: Arena, terms: Terms) -> dict[int, tuple[dict[Point, int], int]]:
    """For each verb of the story: how often it reaches each point, and how many vendor calls it makes."""
    world = World(arena, 0, terms)
    found: dict[int, tuple[dict[Point, int], int]] = {}
    for number, step in enumerate(STORY):
        world.step = number
        world.perform(step)
        if step.what in VERBS:
            found[number] = world.worker(0).reached
    return found


def schedules(arena: Arena, terms: Terms) -> Iterator[Schedule]:
    """All single faults under these terms."""
    for number, (reached, calls) in _points(arena, terms).items():
        for at, fate in ((at, fate) for at in range(calls) for fate in Fate):
            yield _with(number, terms, replace(STORY[number], faults=(CallFault(at, fate, at + 1),)))
        for crash in _crashes(reached):
            yield _with(number, terms, replace(STORY[number], crash=crash))


def _crashes(reached: dict[Point, int]) -> Iterator[Crash]:
    for point, times in reached.items():
        for nth in range(times):
            yield Crash(point, nth, Stop.KILL)
            yield Crash(point, nth, Stop.INTERRUPT)
            if point in {Point.BEGIN, Point.COMMIT, Point.COMMITTED}:
                yield Crash(point, nth, Stop.STORE_LOST)
            if point is not Point.COMMIT:
                yield Crash(point, nth, Stop.STALL, _AWAY)
                yield Crash(point, nth, Stop.STALL, _SHORTLY)


def _with(number: int, terms: Terms, step: Step) -> Schedule:
    return Schedule(number, terms, (*STORY[:number], step, *STORY[number + 1 :]))


def pairs(arena: Arena, terms: Terms) -> Iterator[Schedule]:
    """Each single fault with each fate of the first vendor call of the next settling, and of the next push."""
    for schedule in schedules(arena, terms):
        for verb in ("settle_ads", "push_ads"):
            later = [at for at, step in enumerate(STORY) if at > schedule.seed and step.what == verb]
            for at, fate in ((at, fate) for at in later[:1] for fate in Fate):
                steps = list(schedule.steps)
                steps[at] = replace(steps[at], faults=(*steps[at].faults, CallFault(0, fate, 1)))
                yield replace(schedule, steps=tuple(steps))


def run_each(arena: Arena, chosen: Sequence[Schedule]) -> list[tuple[Schedule, Report]]:
    """Run schedules one after another."""
    return [(schedule, run(arena, schedule)) for schedule in chosen]

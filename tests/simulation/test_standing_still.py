"""A worker that stands still in the middle of a verb is given no other one, however many stand still."""

from __future__ import annotations

from simulation.arena import WORKERS, Arena
from simulation.schedule import Schedule, run
from simulation.steps import Crash, Point, Step, Stop
from simulation.terms import Terms


def _standing(what: str, worker: int, *inner: Step) -> Step:
    """A verb whose worker stands still as it begins; meanwhile the others do `inner`."""
    return Step(what, worker=worker, crash=Crash(Point.BEGIN, 0, Stop.STALL, inner))


def test_work_given_while_two_stand_still_goes_to_the_third(arena: Arena) -> None:
    looking = _standing("plan", 0, _standing("push_ads", 2, Step("intake", worker=2)))
    report = run(arena, Schedule(1, Terms(), (Step("new_deal", salt=5), Step("intake"), looking)), keep_log=True)
    assert report.violations == (), "the plan looked only; it was the intake of another worker that wrote"
    stalled = next(at for at, line in enumerate(report.lines) if "w2 stall" in line)
    assert "w1 intake" in report.lines[stalled + 1]


def test_work_for_which_nobody_is_left_is_told_and_left_out(arena: Arena) -> None:
    everyone = Step("intake")
    for slot in reversed(range(WORKERS)):
        everyone = _standing("plan", slot, everyone)
    report = run(arena, Schedule(1, Terms(), (everyone,)), keep_log=True)
    assert report.violations == ()
    assert [line for line in report.lines if "nobody intake: every worker stands still" in line]

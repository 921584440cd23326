"""Every verb of a short story, stopped at every point and met by every fate of every vendor call; CI walks each n-th."""

from __future__ import annotations

import pytest

from simulation import campaign, exhaustive
from simulation.arena import Arena
from simulation.schedule import Report, Schedule
from simulation.steps import Fate
from simulation.terms import Terms

EVERY = 40
"""`make soak` walks all 9,700 of them, and the pairs of `simulation.exhaustive` after them."""


@pytest.mark.scenario
@pytest.mark.timeout(1800)
def test_no_single_fault_breaks_a_promise() -> None:
    figures = campaign.run_exhaustive(2, EVERY, pairs=False)
    assert not figures.failures, "\n".join(f"{number}: {found[0]}" for number, found in figures.failures.items())
    assert figures.seeds > 200
    assert figures.duplicates == 0


@pytest.mark.parametrize(
    ("every", "pairs", "walked"),
    [(1, False, ["a", "b", "c"]), (1, True, ["a", "b", "c", "a+", "b+", "c+"]), (2, True, ["a", "c", "b+"])],
)
def test_pairs_come_after_the_single_faults_and_replace_none(
    monkeypatch: pytest.MonkeyPatch, every: int, pairs: bool, walked: list[str]
) -> None:
    def named(names: str, more: str = "") -> list[Schedule]:
        return [Schedule(name + more, Terms(), ()) for name in names]  # type: ignore[arg-type]

    nowhere: object = None
    monkeypatch.setattr(exhaustive, "TERMS", (Terms(),))
    monkeypatch.setattr(exhaustive, "schedules", lambda *_: iter(named("abc")))
    monkeypatch.setattr(exhaustive, "pairs", lambda *_: iter(named("abc", "+")))
    monkeypatch.setattr(campaign, "in_arena", lambda work, argument: work(nowhere, argument))
    monkeypatch.setattr(campaign, "run", lambda _, schedule: Report(0, schedule.seed, (), 0.0, 0))
    shares = [campaign._exhaustive_job((number, 3, every, pairs)) for number in range(3)]
    reports = sorted((report for share in shares for report in share), key=lambda report: report.seed)
    assert [report.log_hash for report in reports] == walked
    assert [report.seed for report in reports] == list(range(0, 6 if pairs else 3, every)), "named by their place"


def test_a_pair_is_a_single_fault_and_a_fate_of_the_next_settlings_or_pushs_first_call(arena: Arena) -> None:
    number, verb = next((at, step) for at, step in enumerate(exhaustive.STORY) if step.what == "push_ads")
    singles = [each for each in exhaustive.schedules(arena, Terms()) if each.seed == number]
    pairs = [each for each in exhaustive.pairs(arena, Terms()) if each.seed == number]
    assert len(pairs) == len(singles) * 2 * len(Fate)
    later = {
        exhaustive.STORY[at].what for pair in pairs for at, step in enumerate(pair.steps) if at > number and step.faults
    }
    assert (verb.what, later) == ("push_ads", {"settle_ads", "push_ads"})

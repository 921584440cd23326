"""Counts, comparisons, backups and restores in the middle of everything else: still nothing is doubled and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.store import acceptances
from hub.sync import posted_before, recovery
from simulation import campaign, upheaval
from simulation.arena import Arena
from simulation.schedule import run

SEEDS = 150
"""`make soak` runs 10,000."""
JOBS = 2


@pytest.mark.scenario
@pytest.mark.timeout(1800)
def test_schedules_with_restores_and_counts_break_no_promise() -> None:
    figures = campaign.run_seeds(0, SEEDS, JOBS, upheavals=True)
    told = [f"{seed}: {found[0]} (--replay {seed} --upheavals)" for seed, found in figures.failures.items()]
    assert not told, "\n".join(told)
    assert (figures.seeds, figures.duplicates) == (SEEDS, 0)


def test_the_schedules_count_compare_and_restore() -> None:
    met = [step.what for seed in range(100) for step in upheaval.schedule(seed).steps]
    assert {"census_ads", "drift_ads", "recover_ads", "backup", "restore"} <= set(met)
    assert met.count("restore") == met.count("backup") > 50


def test_the_same_seed_leaves_the_same_log(arena: Arena) -> None:
    seed = 14
    assert "restore" in [step.what for step in upheaval.schedule(seed).steps]
    assert len({run(arena, upheaval.schedule(seed)).log_hash for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("engine", "name", "broken", "seed", "invariant"),
    [
        pytest.param(recovery, "begin", lambda *_, **__: False, 2, "I1", id="a restore goes unnoticed"),
        pytest.param(
            posted_before, "may_be_posted", lambda *_: frozenset(), 14, "I1", id="documents are not asked for"
        ),
        pytest.param(
            acceptances, "undecided", lambda *_: frozenset(), 325, "I4", id="a replay closes what nobody decided"
        ),
    ],
)
def test_a_broken_engine_is_caught_by_a_schedule_that_the_engine_passes(
    arena: Arena,
    monkeypatch: pytest.MonkeyPatch,
    engine: Any,
    name: str,
    broken: Callable[..., Any],
    seed: int,
    invariant: str,
) -> None:
    assert run(arena, upheaval.schedule(seed)).violations == ()
    monkeypatch.setattr(engine, name, broken)
    assert [each.invariant for each in run(arena, upheaval.schedule(seed)).violations] == [invariant]

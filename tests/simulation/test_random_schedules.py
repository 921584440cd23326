"""Random schedules: nothing lost, nothing doubled, whatever the vendors, the network and the people do."""

from __future__ import annotations

import pytest

from simulation import campaign

SEEDS = 2_000
"""Like `make simulate`; `make soak` runs 100,000."""
JOBS = 2


@pytest.mark.scenario
@pytest.mark.timeout(3600)
def test_two_thousand_random_schedules_break_no_promise() -> None:
    figures = campaign.run_seeds(0, SEEDS, JOBS)
    told = [f"{seed}: {found[0]} (python -m simulation --replay {seed})" for seed, found in figures.failures.items()]
    assert not told, "\n".join(told)
    assert (figures.seeds, figures.duplicates) == (SEEDS, 0)
    assert len(figures.faults) > 50, "the seeds must meet faults of every kind, else they prove nothing"

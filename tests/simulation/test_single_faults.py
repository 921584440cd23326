"""Every verb of a short story, stopped at every point and met by every fate of every vendor call; CI walks each n-th."""

from __future__ import annotations

import pytest

from simulation import campaign

EVERY = 40
"""`make soak` walks all 9,700 of them, and each together with every fate of the next call."""


@pytest.mark.scenario
@pytest.mark.timeout(1800)
def test_no_single_fault_breaks_a_promise() -> None:
    figures = campaign.run_exhaustive(2, EVERY, pairs=False)
    assert not figures.failures, "\n".join(f"{number}: {found[0]}" for number, found in figures.failures.items())
    assert figures.seeds > 200
    assert figures.duplicates == 0

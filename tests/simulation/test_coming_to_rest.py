"""What the checker calls "at rest" is at rest: what the last writes set off has been read and done before it is judged."""

from __future__ import annotations

import pytest

from simulation.arena import Arena
from simulation.schedule import Schedule, run
from simulation.steps import Step
from simulation.terms import Terms

_DEAL = Step("new_deal", 2_109_441_695), Step("wait", amount=31.0)
_BULK_EDIT, _SAME_EDIT = Step("touch_all", 1_886_351_309), Step("touch_all", 787_329_573)
"""Both write one text into the description of every opportunity."""


@pytest.mark.scenario
def test_an_edit_that_the_last_mirror_write_sets_off_is_done_before_anything_is_judged(arena: Arena) -> None:
    """Seed 20220: the CRM's own automation answers the last write to the mirror with an edit of the opportunity."""
    steps = (*_DEAL, _BULK_EDIT, Step("intake"), Step("push_ads"), Step("push_crm"), _SAME_EDIT)
    report = run(arena, Schedule(20220, Terms(automation=True), steps), keep_log=True)
    assert report.violations == (), "\n".join(report.lines)
    assert sum("people touch_all" in line for line in report.lines) == 2
    writes = [line for line in report.lines if "crm update Opportunity" in line]
    assert len(writes) > 2, "the mirror was written at the end, too"

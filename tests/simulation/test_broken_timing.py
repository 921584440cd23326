"""Vendors that commit later than they declare: duplicates cannot be avoided then, but a census must find every one."""

from __future__ import annotations

import pytest

from simulation import campaign


@pytest.mark.scenario
@pytest.mark.timeout(1800)
def test_every_duplicate_of_a_vendor_that_breaks_its_timing_is_found_by_one_census() -> None:
    found = campaign.run_timing(0, 60, 2)
    assert found["duplicates"] > found["documents"], "these vendors must make duplicates, else nothing is proven"
    assert found["undetected"] == 0
    assert found["ended_early"] == {}

"""A record renamed while its creation is in doubt: it exists once, and ends with its new name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, PushItem
from connectors.errors import OutcomeUnknown

if TYPE_CHECKING:
    from conftest import World

RENAMES = [("Company", 0, "Account", "001A"), ("Order", 1, "Opportunity", "006A")]


@pytest.mark.parametrize(("record", "step", "source", "native_id"), RENAMES, ids=["company", "order"])
@pytest.mark.parametrize("committed", ["before the repetition", "after the repetition", "never"])
def test_a_record_renamed_in_doubt_exists_once(
    world: World, record: str, step: int, source: str, native_id: str, committed: str
) -> None:
    world.book(lines=1)
    first: list[tuple[str, Operation, PushItem]] = []

    def lose(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        first.extend((record, operation, item) for item in items)
        raise OutcomeUnknown("TIMEOUT", "no answer")

    def commit_late() -> None:
        for late in first:
            world.ads.apply(*late)

    world.ads.misbehave = [*[lambda *_: None] * step, lose]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.crm.put(source, native_id, Name="Another name")
    world.hub.intake("sfdc")
    world.machine.advance(6)  # the look-up comes after the index lag and before the late commit
    world.hub.settle("gam-main")
    if committed == "before the repetition":
        commit_late()
    world.hub.push("gam-main")
    if committed == "after the repetition":
        commit_late()
    world.rest()
    (only,) = world.ads.live(record)
    assert only["name"].startswith("Another name")
    assert len(world.ads.live("LineItem")) == 1

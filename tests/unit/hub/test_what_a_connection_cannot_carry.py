"""A kind of record that a connection has no mapping for, or whose connector does not declare it, is parked and said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World


@pytest.mark.parametrize("missing", ["mapping", "record"])
def test_a_kind_that_the_connection_cannot_carry_is_parked_and_said_and_goes_once_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    channel = world.hub.session.channel("gam-main")
    with monkeypatch.context() as without:
        if missing == "mapping":
            without.delitem(channel.mappings, ("party", "out"))
        else:
            left = {name: one for name, one in channel.capabilities.records.items() if name != "Company"}
            without.setattr(channel, "capabilities", replace(channel.capabilities, records=left))
        world.book(lines=1)
        world.travel()
        assert not world.ads.live("Order")
        (row,) = world.hub.status().parked
        assert (row.reason, row.owner) == ("mapping", "Integration")
        assert "party" in row.sentence
    world.hub.replay(reason="mapping")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert not world.hub.status().parked

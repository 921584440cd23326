"""`apply` names a vendor that stayed silent, whichever call it did not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli import flows
from connectors.errors import RetryLater

if TYPE_CHECKING:
    from conftest import World


@pytest.mark.parametrize("call", ["push", "resolve"])
def test_apply_names_a_vendor_that_never_answers(world: World, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book(lines=1)
    world.crm.put("OpportunityLineItem", "00k006A0000", Geo_Countries__c="Norway")
    world.hub.intake("sfdc")

    def down(*_: object, **__: object) -> None:
        raise RetryLater("UNREACHABLE", "connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(world.ads, call, down)
        for _ in range(3):
            world.machine.advance(400)
            applied = flows.apply(world.hub, patience=0.0)
    assert "UNREACHABLE" in applied.unusable["gam-main"]
    world.machine.advance(400)
    assert flows.apply(world.hub, patience=0.0).unusable == {}

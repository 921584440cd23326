"""A line whose newest change names another order is shown once: on the order that it is accepted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World


def told_of(world: World, native_id: str) -> str:
    """What the CRM is to show of a line."""
    ((said,),) = world.hub.session.database.rows(
        "SELECT convert_from(p.canonical, 'UTF8') FROM projection p JOIN reference r ON r.entity_id = p.entity_id "
        "AND r.vendor_id = %s",
        (native_id,),
    )
    return str(said)


def test_a_line_that_names_another_order_is_shown_once(world: World) -> None:
    world.book(2, "006A")
    world.book(1, "006B")
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", OpportunityId="006B", CurrencyIsoCode="EUR")
    world.hub.intake("sfdc")
    world.rest()
    shown = world.hub.session.database.rows(
        "SELECT p.order_id = e.order_id FROM projection p JOIN entity e ON e.id = p.entity_id AND e.kind = 'line' "
        "WHERE p.kind = 'line_projection'"
    )
    assert shown == [(True,)] * 3
    assert [group.reason for group in world.hub.status().parked] != []
    assert "Needs attention" in told_of(world, "00k006A0000")
    world.crm.put("OpportunityLineItem", "00k006A0000", OpportunityId="006A", CurrencyIsoCode="USD")
    world.travel()
    assert world.hub.status().parked == []
    assert "Needs attention" not in told_of(world, "00k006A0000")


@pytest.mark.parametrize("order", ["006B", "006X"])
def test_what_is_wrong_with_a_line_is_shown_on_it_until_it_is_ignored(world: World, order: str) -> None:
    world.book(2, "006A")
    world.book(1, "006B")
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", OpportunityId=order, CurrencyIsoCode="EUR")
    world.travel()
    assert "Needs attention" in told_of(world, "00k006A0000")
    assert world.hub.ignore(note="it stays where it is", by="Ada", connection="sfdc")
    world.rest()
    assert "Needs attention" not in told_of(world, "00k006A0000")

"""A year of clock ticks without news leaves no row: the store grows with what happens, not with time that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.store.tables import metadata

if TYPE_CHECKING:
    from conftest import World


def rows(world: World) -> dict[str, int]:
    counted = {}
    for table in metadata.sorted_tables:
        ((number,),) = world.hub.session.database.rows(f'SELECT count(*) FROM "{table.name}"')
        counted[table.name] = number
    return counted


def tick(world: World) -> None:
    """What the flows do by the clock."""
    world.machine.advance(3600)
    world.business.advance(3600)
    world.hub.intake("sfdc")
    for name in ("gam-main", "sfdc"):
        world.hub.push(name)
        world.hub.settle(name)
        world.hub.check(name)
    world.hub.observe("gam-main")
    world.hub.retry_parked()
    world.hub.status()


def test_flows_that_find_nothing_leave_no_row(world: World) -> None:
    world.book(lines=3)
    world.travel()
    for _ in range(2):  # what the first look sees is news, and goes to the CRM
        tick(world)
    before = rows(world)
    assert before["lane"] > 0
    for _ in range(3):
        tick(world)
    assert rows(world) == before
    world.book(lines=1, order="006B")
    world.travel()
    assert rows(world) != before

"""Two workers read one source at the same time: what one accepts, the other does not undo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Native, Page
from hub import Hub
from hub.errors import VendorUnavailable
from hub.session import Session
from hub.store import database
from hub.sync import targets

if TYPE_CHECKING:
    from conftest import World


def side_by_side(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[], None],
    verb: Callable[[Hub], object] = lambda hub: hub.intake("sfdc"),
) -> None:
    """Intake, and in the middle of it, when it has read an order and not yet said what it wants, another whole verb."""
    session = world.hub.session
    store = database.Database(session.database.url)
    look = database.Database(session.database.url)
    other = Hub(Session(session.configuration, store, world.machine, world.business, connect=session.connect))
    first = iter([True])
    errors: list[BaseException] = []

    def act() -> None:
        try:
            verb(other)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=act)

    def blocked() -> bool:
        return bool(look.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))

    def desired_lanes(*arguments: Any) -> Any:
        if next(first, False):
            meanwhile()
            thread.start()
            while thread.is_alive() and not blocked():
                thread.join(0.005)
        return original(*arguments)

    original = targets.desired_lanes
    monkeypatch.setattr(targets, "desired_lanes", desired_lanes)
    world.hub.intake("sfdc")
    thread.join(60)
    assert not thread.is_alive()
    assert not errors
    other.close()
    look.close()


def test_an_order_accepted_by_another_worker_meanwhile_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    side_by_side(world, monkeypatch, lambda: world.crm.put("Opportunity", "006A", Name="Another name"))
    world.rest()
    (order,) = world.ads.live("Order")
    (line,) = world.ads.live("LineItem")
    assert order["name"].startswith("Another name")
    assert line["primaryGoal"]["units"] == 2000000


def test_a_census_at_the_source_and_an_intake_do_not_stumble_over_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("Opportunity", "006A", Name="Another name")
    world.book(lines=2, order="006B")
    side_by_side(world, monkeypatch, lambda: None, lambda hub: hub.census("sfdc"))
    world.rest()
    assert len(world.ads.live("Order")) == 2
    assert len(world.ads.live("LineItem")) == 3
    assert world.hub.session.database.rows("SELECT entity_id FROM change GROUP BY 1 HAVING count(*) > 2") == []


def test_a_page_read_before_another_workers_is_not_written_over_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", "006A", Name="First edit")
    first = world.crm.records["Opportunity"]["006A"]
    world.crm.put("Opportunity", "006A", Name="Second edit")
    second = world.crm.records["Opportunity"]["006A"]
    reads: list[str | None] = []

    def fresh(stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        yield Page([second] if stream == "Opportunity" else [], "later", last=True)

    def slow(stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        if stream != "Opportunity":
            yield Page([], cursor or "none", last=True)
            return
        reads.append(cursor)
        if cursor == "later":
            yield Page([], "later", last=True)
            return
        monkeypatch.setattr(world.crm, "read", fresh)
        with world.second_worker() as other:
            other.intake("sfdc")
        monkeypatch.setattr(world.crm, "read", slow)
        yield Page([first], "sooner", last=False)
        raise VendorUnavailable("sfdc", "the calls of today are used up", 3600.0)

    monkeypatch.setattr(world.crm, "read", slow)
    world.hub.intake("sfdc")
    assert reads[-1] == "later", "what the other worker left off at is read on from"
    ((kept,),) = world.hub.session.database.rows("SELECT name FROM entity WHERE kind = 'order'")
    assert kept == "Second edit"


def test_a_record_that_a_census_misses_is_not_written_over_what_came_in_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.book(lines=1, order="006B")
    fetch = world.crm.fetch

    def then_edited(record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        found = fetch(record, fields, native_ids)
        if "006B" in native_ids:
            world.crm.put("Opportunity", "006B", Name="Edited")
            world.hub.intake("sfdc")
        return found

    monkeypatch.setattr(world.crm, "fetch", then_edited)
    world.hub.census("sfdc")
    kept = world.hub.session.database.rows("SELECT name FROM entity WHERE kind = 'order' AND native_id = '006B'")
    assert kept == [("Edited",)]


@pytest.mark.parametrize(
    "verb", [lambda hub: hub.replay(connection="sfdc"), lambda hub: hub.ignore(connection="sfdc", note="not needed")]
)
def test_parked_work_and_an_intake_that_brings_its_correction_do_not_stumble_over_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Hub], object]
) -> None:
    world.book(lines=2)
    world.crm.put("OpportunityLineItem", "00k006A0000", CurrencyIsoCode="EUR")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    world.crm.put("OpportunityLineItem", "00k006A0000", CurrencyIsoCode="USD")
    side_by_side(world, monkeypatch, lambda: None, verb)
    world.rest()
    assert len(world.ads.live("LineItem")) == 2
    assert world.hub.status().parked == []
    assert world.hub.session.database.rows("SELECT 1 FROM change WHERE status = 'ignored'") == []

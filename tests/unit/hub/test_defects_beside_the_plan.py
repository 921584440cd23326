"""A connector that stumbles over one record holds up that record; plan, drift and the guard show and count all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from hub.errors import ConnectorStumbled
from hub.sync.stumbles import APART, Apart, by_halves

if TYPE_CHECKING:
    from conftest import World


def stumbling_resolve(world: World, poisoned: str) -> Callable[..., Any]:
    """The connector's `resolve` with a defect that one name meets."""
    resolve = world.ads.resolve

    def resolving(table: str, wanted: Sequence[str], scope: str = "") -> Any:
        if poisoned in wanted:
            raise IndexError("an answer nobody expected")
        return resolve(table, wanted, scope)

    return resolving


# ---------------------------------------------------------------- plan
def test_a_plan_names_the_line_over_which_the_connector_stumbles_and_shows_all_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=3)
    world.crm.line("00kX", "006A", Geo_Countries__c="Atlantis")
    world.hub.intake("sfdc")
    monkeypatch.setattr(world.ads, "resolve", stumbling_resolve(world, "Atlantis"))
    plan = world.hub.plan()
    lines = [item for item in plan.items if item.kind == "line" and item.connection == "gam-main"]
    assert sorted(item.action for item in lines) == ["blocked", "create", "create", "create"]
    (blocked,) = [item for item in lines if item.action == "blocked"]
    (sentence,) = blocked.problems
    assert "CONNECTOR-DEFECT" in sentence
    assert "failed with IndexError while it was asked to resolve" in sentence
    assert "the rest is" in sentence
    assert blocked.name == "Line 00kX"
    assert plan.blocked == 1
    assert world.hub.plan().plan_hash == plan.plan_hash


def test_a_connector_that_stumbles_over_everything_blocks_its_own_connection_after_few_questions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=60)
    for number in range(60):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", Geo_Countries__c=f"Land {number}")
    world.hub.intake("sfdc")
    asked = 0

    def never(*_: Any, **__: Any) -> Any:
        nonlocal asked
        asked += 1
        raise IndexError("an answer nobody expected")

    monkeypatch.setattr(world.ads, "resolve", never)
    plan = world.hub.plan()
    actions = {item.action for item in plan.items if item.kind == "line"}
    assert actions == {"blocked"}
    assert 60 <= plan.blocked <= 61, "what waits for the lines may be told with them"
    assert {item.action for item in plan.items if item.kind == "order"} == {"create"}
    assert asked <= 4 * APART, "the rates of a vendor are not spent on a defect"


def test_a_planned_defect_heals_with_the_connector(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book(lines=1)
    world.crm.line("00kX", "006A", Geo_Countries__c="Atlantis")
    world.hub.intake("sfdc")
    with monkeypatch.context() as patch:
        patch.setattr(world.ads, "resolve", stumbling_resolve(world, "Atlantis"))
        assert world.hub.plan("gam-main").blocked == 1
    assert world.hub.plan("gam-main").blocked == 0
    assert world.hub.parked() == [], "a plan writes nothing"


# ---------------------------------------------------------------- drift
@pytest.mark.parametrize("where", ["observe", "differences"])
def test_drift_names_the_record_over_which_the_connector_stumbles_and_decides_on_all_others(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=3)
    world.travel()
    poisoned = str(world.ads.line_of("00k006A0001")["id"])
    world.ads.line_of("00k006A0002")["primaryGoal"] = {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 5}
    observe, differences = world.ads.observe, world.ads.differences

    def observing(record: str, vendor_ids: Sequence[str]) -> Any:
        if record == "LineItem" and poisoned in vendor_ids:
            raise TypeError("an answer nobody expected")
        return observe(record, vendor_ids)

    def comparing(record: str, wanted: Any, present: Any) -> Any:
        if record == "LineItem" and present["id"] == poisoned:
            raise KeyError("a field nobody expected")
        return differences(record, wanted, present)

    monkeypatch.setattr(world.ads, where, observing if where == "observe" else comparing)
    result = world.hub.drift("gam-main")
    assert [(item.record, item.path, item.done) for item in result.items] == [
        ("LineItem", "primaryGoal.units", "parked")
    ]
    (defect,) = result.defects
    assert (defect.record, defect.vendor_id, defect.name) == ("LineItem", poisoned, "Line 00k006A0001")
    assert "Integration mends the connector" in defect.sentence
    assert result.examined == 4, "company, order and two lines"


# ---------------------------------------------------------------- the guard
def test_the_guard_counts_beside_a_record_over_which_the_connector_stumbles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=12)
    world.travel()
    guard = world.hub.session.configuration.connections["gam-main"].guard
    world.configure("gam-main", guard=guard.model_copy(update={"minimum": 5}))
    world.crm.put("OpportunityLineItem", "00k006A0000", Geo_Countries__c="Atlantis")
    for number in range(1, 12):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", Goal_Impressions__c=2_000_000)
    world.hub.intake("sfdc")
    monkeypatch.setattr(world.ads, "resolve", stumbling_resolve(world, "Atlantis"))
    assert world.hub.push("gam-main").outcomes["held"] == 11
    (held,) = {item.sentence for item in world.hub.parked() if item.code == "PLAN-HELD"}
    assert "11 of" in held


# ---------------------------------------------------------------- halves
def test_halves_find_each_record_and_ask_for_the_others_in_groups() -> None:
    asked: list[list[int]] = []

    def work(numbers: Sequence[int]) -> int:
        asked.append(list(numbers))
        if {3, 17} & set(numbers):
            raise ConnectorStumbled("gam-main", "it stumbled")
        return sum(numbers)

    done, stumbles = by_halves(work, range(32), Apart())
    assert sum(done) == sum(range(32)) - 20
    assert [group for group, _ in stumbles] == [[3], [17]]
    assert len(asked) < 25
    assert by_halves(work, [], Apart()) == ([], [])


def test_when_too_many_were_found_one_by_one_the_rest_is_told_together() -> None:
    def work(numbers: Sequence[int]) -> int:
        raise ConnectorStumbled("gam-main", "it stumbled")

    apart = Apart()
    done, stumbles = by_halves(work, range(1_000), apart)
    assert done == []
    assert sorted(number for group, _ in stumbles for number in group) == list(range(1_000))
    assert sum(len(group) == 1 for group, _ in stumbles) <= APART + 1
    assert len(by_halves(work, range(500), apart)[1]) == 1, "the next group is not taken apart any more"

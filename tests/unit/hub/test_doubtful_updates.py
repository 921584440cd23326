"""An update whose answer was lost is looked at before it is repeated: what somebody edited meanwhile is not overwritten."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import FieldDifference, Native, Operation
from connectors.gam import comparing
from hub.config import DriftPolicy
from hub.ops.correspondence import mismatches
from hub.sync.doubtful_updates import Verdict, judged
from mappings.spec import Owner

if TYPE_CHECKING:
    from conftest import FakeAdServer, World

OLD, NEW = 12_500_000, 13_000_000
Loss = Callable[["FakeAdServer"], None]


def reply(ads: FakeAdServer) -> None:
    ads.lose_reply()


def request_(ads: FakeAdServer) -> None:
    ads.lose_request()


both = pytest.mark.parametrize("loss", [reply, request_])


def in_doubt(world: World, loss: Loss) -> dict[str, Any]:
    """A line whose new price may or may not have been written; returns it as the vendor holds it."""
    world.book(lines=1)
    world.travel()
    world.ads.calls.clear()
    price(world, "13")
    loss(world.ads)
    world.hub.push("gam-main")
    return world.ads.line_of("00k006A0000")


def price(world: World, value: str) -> None:
    world.crm.put("OpportunityLineItem", "00k006A0000", CPM__c=Decimal(value))
    world.hub.intake("sfdc")


def settle(world: World) -> None:
    world.machine.advance(66)
    world.hub.settle("gam-main")


def goal(line: dict[str, Any]) -> int:
    return int(line["primaryGoal"]["units"])


def cost(line: dict[str, Any]) -> int:
    return int(line["costPerUnit"]["microAmount"])


def edit_goal(line: dict[str, Any]) -> None:
    line["primaryGoal"] = {**line["primaryGoal"], "units": 5}


def writes(world: World) -> int:
    return sum(call.record == "LineItem" and call.operation is Operation.UPDATE for call in world.ads.calls)


def conflicts(world: World) -> list[str]:
    return [item.path for item in world.hub.parked() if item.reason == "conflict"]


@both
def test_an_edit_in_the_window_is_not_overwritten(world: World, loss: Loss) -> None:
    line = in_doubt(world, loss)
    edit_goal(line)
    settle(world)
    world.rest()
    world.hub.drift("gam-main")
    assert goal(line) == 5
    assert conflicts(world) == ["LineItem.primaryGoal.units"]
    assert mismatches(world.hub.session) == []


@both
def test_an_edit_of_the_very_field_that_is_in_doubt_is_a_conflict(world: World, loss: Loss) -> None:
    line = in_doubt(world, loss)
    line["costPerUnit"] = {**line["costPerUnit"], "microAmount": 99}
    settle(world)
    world.rest()
    assert cost(line) == 99
    assert conflicts(world) == ["LineItem.costPerUnit"]
    assert mismatches(world.hub.session) == []


@both
def test_an_edit_after_the_look_is_not_overwritten_either(world: World, loss: Loss) -> None:
    line = in_doubt(world, loss)
    settle(world)
    edit_goal(line)
    price(world, "14")
    world.rest()
    assert goal(line) == 5
    assert conflicts(world) == ["LineItem.primaryGoal.units"]
    assert mismatches(world.hub.session) == []


@both
def test_where_the_owner_wins_an_edit_in_the_window_is_overwritten_and_told(world: World, loss: Loss) -> None:
    world.configure("gam-main", drift={Owner.CRM: DriftPolicy.OWNER_WINS})
    line = in_doubt(world, loss)
    edit_goal(line)
    settle(world)
    price(world, "14")
    world.rest()
    assert (goal(line), cost(line)) == (1_000_000, 14_000_000)
    assert any("foreign edit" in event.what for event in world.hub.trace("006A").events)
    assert mismatches(world.hub.session) == []


@pytest.mark.parametrize(("loss", "repeated"), [(reply, 0), (request_, 1)])
def test_only_what_was_not_applied_is_sent_again(world: World, loss: Loss, repeated: int) -> None:
    line = in_doubt(world, loss)
    settle(world)
    world.rest()
    assert (cost(line), writes(world)) == (NEW, 1 + repeated)
    assert world.hub.status().connections[1].in_doubt == 0
    outcomes = [
        row[0] for row in world.hub.session.database.rows("SELECT outcome FROM attempt ORDER BY id DESC LIMIT 1")
    ]
    assert outcomes == ["updated"]
    assert world.crm.mirror["00k006A0000"]["Hub_Status__c"] != "In doubt"
    assert mismatches(world.hub.session) == []


@pytest.mark.parametrize(("loss", "back"), [(reply, 1), (request_, 0)])
def test_an_order_that_went_back_meanwhile_ends_with_its_own_value(world: World, loss: Loss, back: int) -> None:
    line = in_doubt(world, loss)
    price(world, "12.5")
    settle(world)
    world.rest()
    assert (cost(line), writes(world)) == (OLD, 1 + back)
    assert world.hub.plan().items == []
    assert mismatches(world.hub.session) == []


def test_without_a_look_everything_in_doubt_is_sent_again(world: World) -> None:
    world.configure("gam-main", check_before_update=False)
    line = in_doubt(world, reply)
    settle(world)
    world.rest()
    assert (cost(line), writes(world)) == (NEW, 2)


# ---------------------------------------------------------------- the rule
class Comparing:
    """Compares like Ad Manager's connector."""

    def differences(self, record: str, wanted: Native, present: Native) -> list[FieldDifference]:
        return list(comparing.differences(wanted, present))


@pytest.mark.parametrize(
    ("present", "verdict"),
    [
        ({"name": "b", "notes": "x"}, Verdict.APPLIED),
        ({"name": "b", "notes": "theirs"}, Verdict.APPLIED),
        ({"name": "a", "notes": "x"}, Verdict.NOT_APPLIED),
        ({"name": "theirs", "notes": "x"}, Verdict.NOT_APPLIED),
        ({"name": "theirs", "notes": "theirs"}, Verdict.NOT_APPLIED),
    ],
)
def test_what_the_record_shows_decides_what_became_of_the_update(present: dict[str, Any], verdict: Verdict) -> None:
    acknowledged, sent = {"name": "a", "notes": "x"}, {"name": "b", "notes": "x"}
    assert judged(Comparing(), "Order", sent, acknowledged, present) is verdict


@pytest.mark.parametrize(
    ("acknowledged", "present", "verdict"),
    [
        ({"name": "b"}, {"name": "b"}, Verdict.UNKNOWN),
        (None, {"name": "b"}, Verdict.APPLIED),
        (None, {"name": "a"}, Verdict.UNKNOWN),
    ],
)
def test_what_cannot_be_told_apart_is_not_guessed(
    acknowledged: dict[str, Any] | None, present: dict[str, Any], verdict: Verdict
) -> None:
    assert judged(Comparing(), "Order", {"name": "b"}, acknowledged, present) is verdict

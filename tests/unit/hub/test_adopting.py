"""Answers of a person about a send that nobody answered: which object it made, or that it made none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from connectors.base import Operation, PushItem
from hub.errors import NotFound, Refused
from hub.store import audit

if TYPE_CHECKING:
    from conftest import World

pytestmark = pytest.mark.usefixtures("sound_audit")


def test_a_part_that_an_entity_does_not_have_is_not_found(world: World) -> None:
    line = world.leave_unanswered(applied=True)
    with pytest.raises(NotFound, match="has no part '7' at gam-main"):
        world.hub.adopt(line, "1", connection="gam-main", part="7")


def test_adopting_the_object_that_was_created_sends_nothing_twice(world: World) -> None:
    line = world.leave_unanswered(applied=True)
    (known,) = world.ads.live("LineItem")
    result = world.hub.adopt(line, known["id"], connection="gam-main", by="Dana", note="seen at the ad server")
    assert (result.record, result.vendor_id) == ("LineItem", known["id"])
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert world.ads.calls[-2].operation is Operation.UPDATE, "our fields are written into it"
    assert world.ads.live("Order")[0]["status"] == "APPROVED"
    assert not world.hub.parked()
    (link,) = world.events("adopt")
    assert (link.actor, audit.decoded(link)["vendor_id"]) == ("Dana", known["id"])


def test_declaring_absent_sends_it_again_once(world: World) -> None:
    line = world.leave_unanswered(applied=False)
    world.hub.declare_absent(line, connection="gam-main", by="Dana", note="looked")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert not world.hub.parked()


def test_declaring_absent_what_a_look_up_finds_is_refused(world: World) -> None:
    line = world.leave_unanswered(applied=True)
    (known,) = world.ads.live("LineItem")
    with pytest.raises(Refused, match=f"orderhub adopt {line} {known['id']}"):
        world.hub.declare_absent(line, connection="gam-main")
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_declaring_absent_too_early_is_refused(world: World) -> None:
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None] * 2
    world.ads.lose_request()
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    ((line,),) = world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'line'")
    with pytest.raises(Refused, match="may still be carried out until 09:01:05"):
        world.hub.declare_absent(line, connection="gam-main")
    world.machine.advance(66)
    world.hub.declare_absent(line, connection="gam-main")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1


def test_what_exists_cannot_be_declared_absent_and_what_was_deleted_can(world: World) -> None:
    world.book(lines=1)
    world.travel()
    (known,) = world.ads.live("LineItem")
    ((line,),) = world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'line'")
    with pytest.raises(Refused, match=known["id"]):
        world.hub.declare_absent(line, connection="gam-main")
    del world.ads.objects["LineItem"][known["id"]]
    world.hub.declare_absent(line, connection="gam-main", note="deleted by mistake")
    world.rest()
    (fresh,) = world.ads.live("LineItem")
    assert fresh["id"] != known["id"]


def test_an_object_that_another_entity_holds_is_not_adopted(world: World) -> None:
    world.book(lines=2)
    world.travel()
    rows = world.hub.session.database.rows(
        "SELECT entity_id, vendor_id FROM reference WHERE record = 'LineItem' ORDER BY 1"
    )
    (first, first_id), (second, _) = rows
    with pytest.raises(Refused, match=f"{first_id} carries the mark of {first}"):
        world.hub.adopt(second, first_id, connection="gam-main")
    world.ads.objects["LineItem"][first_id]["externalId"] = None
    with pytest.raises(Refused, match=f"already belongs to {first}"):
        world.hub.adopt(second, first_id, connection="gam-main")
    assert rows == world.hub.session.database.rows(
        "SELECT entity_id, vendor_id FROM reference WHERE record = 'LineItem' AND superseded_at IS NULL ORDER BY 1"
    )


def test_adopting_another_object_moves_the_reference_and_writes_into_the_new_one(world: World) -> None:
    world.book(lines=1)
    world.travel()
    (known,) = world.ads.live("LineItem")
    ((line,),) = world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'line'")
    world.ads.objects["LineItem"]["77"] = {
        "id": "77",
        "orderId": known["orderId"],
        "status": "DRAFT",
        "name": "by hand",
    }
    world.hub.adopt(line, "77", connection="gam-main", note="the one that is live")
    world.rest()
    assert world.ads.objects["LineItem"]["77"]["name"] == known["name"]
    assert ("gam-main", "77") in {(c, i) for c, _, i in world.hub.trace("006A").vendor_ids}


@pytest.mark.parametrize(
    ("entity", "vendor_id", "connection", "error", "words"),
    [
        ("lin_unknown", "1", "gam-main", NotFound, "wanted nowhere"),
        (None, "999999", "gam-main", NotFound, "has no LineItem 999999"),
        (None, "1", "sfdc", NotFound, "wanted nowhere"),
        (None, "1", "nowhere", NotFound, "There is no connection"),
    ],
)
def test_an_answer_that_cannot_be_checked_changes_nothing(
    entity: str | None, vendor_id: str, connection: str, error: type[Exception], words: str, world: World
) -> None:
    line = world.leave_unanswered(applied=True)
    with pytest.raises(error, match=words):
        world.hub.adopt(entity or line, vendor_id, connection=connection)
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_one_of_several_parts_must_be_named(world: World) -> None:
    world.ads.lines_per_order = 1
    world.book(lines=2)
    world.travel()
    ((order,),) = world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'order'")
    with pytest.raises(Refused, match=r"several records at gam-main \(1, 2\)"):
        world.hub.adopt(order, "1", connection="gam-main")
    held = {o["name"].split()[-1]: o["id"] for o in world.ads.live("Order")}
    assert world.hub.adopt(order, held["2/2]"], connection="gam-main", part="2").facet == "2"


def test_a_record_that_is_being_sent_is_not_answered(world: World) -> None:
    world.book(lines=1)
    asked: list[Exception] = []

    def meanwhile(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        ((line,),) = world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'line'")
        with pytest.raises(Refused) as refused:
            world.hub.adopt(line, "1", connection="gam-main")
        asked.append(refused.value)

    world.ads.misbehave = [lambda *_: None, lambda *_: None, meanwhile]
    world.travel()
    assert "being sent" in str(asked[0])

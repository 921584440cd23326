"""What a person and the hub itself do with parked work: nothing is sent twice, nothing is lost, everything is signed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest

from connectors.base import CreateProtocol, Operation, Outcome, PushItem, PushResult
from hub.errors import NotFound, Refused
from hub.store import audit

if TYPE_CHECKING:
    from conftest import World

HOUR = 3601.0
pytestmark = pytest.mark.usefixtures("sound_audit")


class Refusing:
    """An ad server that refuses records of one type by name, for one reason, until it is told otherwise."""

    def __init__(self, world: World, record: str = "LineItem", reason: str = "picklist", code: str = "ENUM") -> None:
        self.world, self.record, self.reason, self.code = world, record, reason, code
        self.on = True
        self.refused: list[str] = []
        world.ads.misbehave = [self.answer] * 10_000

    def answer(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult] | None:
        if record != self.record or not self.on:
            return None
        self.refused += [str(item.payload["name"]) for item in items]
        return [
            PushResult(item.key, Outcome.REJECTED, code=self.code, reason=self.reason, path=f"[{n}].tier", message="no")
            for n, item in enumerate(items)
        ]


def events(world: World, what: str) -> list[audit.Link]:
    """The chain's events of one kind."""
    with world.hub.session.database.transaction() as cur:
        return [link for link in audit.walk(cur) if audit.decoded(link)["what"] == what]


def ambiguous(world: World, *, applied: bool) -> str:
    """A line whose create nobody answered, at a vendor that cannot look it up; returns its id."""
    world.ads.line_protocol = CreateProtocol.NONE
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None] * 2
    if applied:
        world.ads.lose_reply()
    else:
        world.ads.lose_request()
    world.travel()
    (item,) = world.hub.parked()
    assert item.reason == "ambiguous"
    return item.entity_id


# ---------------------------------------------------------------- groups and replay
def test_many_records_failing_for_one_cause_are_one_row_and_one_replay(world: World) -> None:
    refusing = Refusing(world)
    for number in range(4):
        world.book(lines=30, order=f"006{number}")
    world.travel()
    (group,) = world.hub.status().parked
    assert (group.count, group.reason, group.owner) == (120, "picklist", "Sales")
    assert "every hour" in group.retry
    assert {item.key for item in world.hub.parked()} == {group.key}
    refusing.on = False
    assert world.hub.replay(group=group.key, by="Dana", note="value added") == 120
    world.rest()
    assert len(world.ads.live("LineItem")) == 120
    assert not world.hub.status().parked


def test_two_causes_are_two_rows_and_replaying_one_leaves_the_other(world: World) -> None:
    Refusing(world)
    world.book(lines=2)
    world.crm.line("00kBAD", "006A", CPM__c=None)
    world.travel()
    groups = {group.reason: group for group in world.hub.status().parked}
    assert {reason: group.count for reason, group in groups.items()} == {"picklist": 2, "validation": 1}
    assert world.hub.replay(group=groups["picklist"].key) == 2
    assert [item.reason for item in world.hub.parked()] == ["validation"]


@pytest.mark.parametrize("by", ["entity", "order", "subject"])
def test_one_subject_is_replayed_alone(by: str, world: World) -> None:
    Refusing(world)
    world.book(lines=2)
    world.travel()
    first = world.hub.parked()[0]
    named = {"entity": first.entity_id, "order": first.order_id, "subject": first.subject}[by]
    assert world.hub.replay(subject=named) == (2 if by == "order" else 1)


def test_the_same_key_twice_puts_back_once(world: World) -> None:
    Refusing(world)
    world.book(lines=3)
    world.travel()
    assert world.hub.replay(key="click-1") == 3
    world.rest()
    assert len(world.hub.parked()) == 3
    again = world.hub.replay(key="click-1")
    assert again == 3, "what the first click did is told"
    assert len(world.hub.parked()) == 3, "and nothing is done"
    assert world.hub.replay(key="click-2") == 3


def test_a_double_click_without_a_key_finds_nothing_the_second_time(world: World) -> None:
    Refusing(world)
    world.book(lines=3)
    world.travel()
    assert (world.hub.replay(), world.hub.replay()) == (3, 0)


def test_mass_replays_are_limited_and_single_ones_are_not(world: World) -> None:
    Refusing(world)
    world.book(lines=2)
    world.travel()
    for _ in range(5):
        assert world.hub.replay() == 2
        world.hub.push("gam-main")
    with pytest.raises(Refused, match=r"Nothing was put back\. Wait 10 s"):
        world.hub.replay()
    assert len(world.hub.parked()) == 2
    assert world.hub.replay(subject=world.hub.parked()[0].subject) == 1
    world.hub.push("gam-main")
    world.machine.advance(10)
    assert world.hub.replay() == 2


def test_a_replay_is_signed_with_who_and_why(world: World) -> None:
    Refusing(world)
    world.book(lines=2)
    world.travel()
    world.hub.replay(reason="picklist", by="Dana\n", note="tier added")
    (link,) = events(world, "replay")
    told = audit.decoded(link)
    assert (link.actor, told["note"], told["selection"], told["subjects"]) == (
        "Dana",
        "tier added",
        {"reason": "picklist"},
        2,
    )
    assert {woken.actor for woken in events(world, "lane woken")} == {"Dana"}
    assert any("put back by Dana" in event.what for event in world.hub.trace("006A").events)


def test_a_refused_change_is_accepted_anew_by_a_replay(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Twin", "001B")
    world.travel()
    assert "duplicate" in {item.reason for item in world.hub.parked()}
    world.hub.session.database.rows("UPDATE entity SET name = 'Other' WHERE kind = 'party' RETURNING 1")
    assert world.hub.replay(reason="duplicate") == 1
    assert not [item for item in world.hub.parked() if item.reason == "duplicate"]


def test_trouble_that_comes_back_keeps_its_beginning(world: World) -> None:
    Refusing(world)
    world.book(lines=1)
    world.travel()
    (before,) = world.hub.parked()
    world.machine.advance(100)
    world.hub.replay()
    world.rest()
    (after,) = world.hub.parked()
    assert (after.since, after.key) == (before.since, before.key)


def test_news_of_parked_work_takes_it_out_of_the_list_before_it_is_sent(world: World) -> None:
    Refusing(world)
    world.book(lines=2)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.hub.intake("sfdc")
    assert len(world.hub.parked()) == 1


def test_a_replay_of_an_unanswered_create_looks_before_it_sends(world: World) -> None:
    ambiguous(world, applied=True)
    sent = len(world.ads.calls)
    assert world.hub.replay() == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert [call for call in world.ads.calls[sent:] if call.record == "LineItem"] == []
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_news_of_an_unanswered_create_does_not_send_it_again(world: World) -> None:
    ambiguous(world, applied=True)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


# ---------------------------------------------------------------- ignore
def test_ignored_work_is_not_sent_and_comes_up_again_when_its_entity_changes(world: World) -> None:
    refusing = Refusing(world)
    world.book(lines=2)
    world.travel()
    (group,) = world.hub.status().parked
    assert world.hub.ignore(group=group.key, note="a test order", by="Dana") == 2
    assert not world.hub.status().parked
    assert world.hub.replay() == 0
    sent = len(refusing.refused)
    world.machine.advance(2 * HOUR)
    world.rest()
    assert len(refusing.refused) == sent
    assert any("ignored by Dana: a test order" in event.what for event in world.hub.trace("006A").events)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    (again,) = world.hub.parked()
    assert again.since > group.since, "what a person closed is over; this is new trouble"


def test_an_ignored_change_stays_ignored_until_its_source_changes(world: World) -> None:
    world.book(lines=1)
    world.crm.line("00kLOST", "006MISSING")
    world.travel()
    (item,) = world.hub.parked()
    assert item.reason == "reference_missing"
    assert world.hub.ignore(subject=item.subject, note="left over") == 1
    world.travel()
    assert world.hub.parked() == []
    world.book(lines=0, order="006MISSING")
    world.travel()
    assert len(world.ads.live("LineItem")) == 1, "its order came, but a person said no"
    world.crm.put("OpportunityLineItem", "00kLOST", Name="Mended")
    world.travel()
    assert len(world.ads.live("LineItem")) == 2


@pytest.mark.parametrize("note", ["", "  "])
def test_ignoring_needs_a_note_and_a_selection(note: str, world: World) -> None:
    with pytest.raises(Refused, match="--note"):
        world.hub.ignore(group="x", note=note)
    with pytest.raises(Refused, match="Name one"):
        world.hub.ignore(note="all of it")


# ---------------------------------------------------------------- names that nothing has
@pytest.mark.parametrize("verb", ["put back", "closed"])
@pytest.mark.parametrize(
    ("part", "given", "told"),
    [
        ("group", "picklist-00000000", "picklist-"),
        ("group", "nonsense", "Parked now: picklist-"),
        ("code", "ENOM", "Is it ENUM?"),
        ("reason", "piklist", "Is it picklist?"),
        ("connection", "gam-mian", "Is it gam-main?"),
        ("subject", "lin_unknown", "Parked now: lin_"),
        ("subject", "0061", "It leads to ord_"),
    ],
)
def test_a_misspelt_name_is_not_found_and_what_there_is_is_named(
    verb: str, part: str, given: str, told: str, world: World
) -> None:
    Refusing(world)
    world.book(lines=2, order="0061")
    world.travel()
    ask = partial(world.hub.ignore, note="no") if verb == "closed" else partial(world.hub.replay, key="click-1")
    with pytest.raises(NotFound) as refused:
        ask(**{part: given})
    assert repr(given) in str(refused.value)
    assert f"Nothing was {verb}." in str(refused.value)
    assert told in str(refused.value)
    (group,) = world.hub.status().parked
    assert world.hub.replay(key="click-1", group=group.key) == 2, "a wrong name uses no key up"


def test_what_was_parked_once_or_never_is_known_and_nothing_is_done(world: World) -> None:
    refusing = Refusing(world)
    world.book(lines=2)
    world.travel()
    (group,) = world.hub.status().parked
    item = world.hub.parked()[0]
    refusing.on = False
    assert world.hub.replay() == 2
    world.rest()
    assert item.order_id is not None
    for named in (item.entity_id, item.order_id, item.subject):
        assert world.hub.replay(subject=named) == 0
    assert world.hub.replay(group=group.key, code="ENUM", reason="picklist", connection="gam-main") == 0
    assert world.hub.replay(reason="length", connection="sfdc") == 0, "a known reason of which there is none"
    assert world.hub.ignore(note="not needed", group=group.key) == 0


# ---------------------------------------------------------------- adopt
def test_a_part_that_an_entity_does_not_have_is_not_found(world: World) -> None:
    line = ambiguous(world, applied=True)
    with pytest.raises(NotFound, match="has no part '7' at gam-main"):
        world.hub.adopt(line, "1", connection="gam-main", part="7")


def test_adopting_the_object_that_was_created_sends_nothing_twice(world: World) -> None:
    line = ambiguous(world, applied=True)
    (known,) = world.ads.live("LineItem")
    result = world.hub.adopt(line, known["id"], connection="gam-main", by="Dana", note="seen at the ad server")
    assert (result.record, result.vendor_id) == ("LineItem", known["id"])
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert world.ads.calls[-2].operation is Operation.UPDATE, "our fields are written into it"
    assert world.ads.live("Order")[0]["status"] == "APPROVED"
    assert not world.hub.parked()
    (link,) = events(world, "adopt")
    assert (link.actor, audit.decoded(link)["vendor_id"]) == ("Dana", known["id"])


def test_declaring_absent_sends_it_again_once(world: World) -> None:
    line = ambiguous(world, applied=False)
    world.hub.declare_absent(line, connection="gam-main", by="Dana", note="looked")
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert not world.hub.parked()


def test_declaring_absent_what_a_look_up_finds_is_refused(world: World) -> None:
    line = ambiguous(world, applied=True)
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
    line = ambiguous(world, applied=True)
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


# ---------------------------------------------------------------- resync
def test_resync_sends_every_record_of_one_order_anew_and_of_no_other(world: World) -> None:
    world.book(lines=2)
    world.book(lines=1, order="006B")
    world.travel()
    sent, mirrored = len(world.ads.calls), len(world.crm.calls)
    world.ads.objects["LineItem"][world.ads.live("LineItem")[0]["id"]]["name"] = "renamed at the ad server"
    result = world.hub.resync("006A", by="Dana", note="renamed there")
    assert (result.lanes, list(result.left)) == (8, [])
    world.rest()
    written = {(call.record, call.operation, len(call.items)) for call in world.ads.calls[sent:]}
    assert written == {
        ("Company", Operation.UPDATE, 1),
        ("Order", Operation.UPDATE, 1),
        ("LineItem", Operation.UPDATE, 2),
        ("Order", Operation.ACT, 1),
    }
    assert len(world.crm.calls) > mirrored
    assert "renamed at the ad server" not in {line["name"] for line in world.ads.live("LineItem")}
    assert len(world.ads.live("LineItem")) == 3
    assert any("resync asked by Dana" in event.what for event in world.hub.trace("006A").events)


def test_resync_leaves_what_waits_for_an_answer(world: World) -> None:
    ambiguous(world, applied=True)
    result = world.hub.resync("006A")
    assert len(result.left) == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_resync_of_an_unknown_order_or_one_that_is_nowhere_yet_says_so(world: World) -> None:
    world.book(lines=0, order="006Q")
    world.hub.intake("sfdc")
    with pytest.raises(NotFound, match="No order answers"):
        world.hub.resync("nothing")
    with pytest.raises(Refused, match="has nothing at any connection"):
        world.hub.resync("006Q")


def test_resync_names_and_leaves_what_is_at_a_connection_that_was_taken_out(world: World) -> None:
    world.book(lines=2)
    world.travel()
    configuration = world.hub.session.configuration
    ads = configuration.connections["gam-main"]
    del configuration.connections["gam-main"]  # type: ignore[attr-defined]
    result = world.hub.resync("006A")
    assert (result.lanes, result.elsewhere) == (3, {"gam-main": 5})
    sent = len(world.ads.calls)
    configuration.connections["gam-main"] = ads  # type: ignore[index]
    world.rest()
    assert len(world.ads.calls) == sent, "nothing of it was asked for"
    assert world.hub.resync("006A").elsewhere == {}


def test_resync_of_an_order_that_is_only_at_a_connection_that_was_taken_out_is_refused(world: World) -> None:
    world.book(lines=2)
    world.travel()
    for name in ("gam-main", "sfdc"):
        del world.hub.session.configuration.connections[name]  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="only at gam-main, sfdc, which the configuration no longer names"):
        world.hub.resync("006A")


# ---------------------------------------------------------------- what the hub tries again by itself
def test_one_of_a_group_is_tried_every_hour_and_the_others_follow_once_it_passed(world: World) -> None:
    refusing = Refusing(world)
    world.book(lines=40)
    world.travel()
    first = len(refusing.refused)
    assert world.hub.retry_parked() == 0, "not before an hour"
    tried = set()
    for _ in range(3):
        world.machine.advance(HOUR)
        settled = world.hub.settle("gam-main")
        assert settled.retried == 1
        assert world.hub.settle("gam-main").retried == 0
        world.hub.push("gam-main")
        assert world.hub.settle("gam-main").retried == 0
        tried.add(refusing.refused[-1])
    assert len(refusing.refused) == first + 3
    assert len(tried) == 3, "another one each time: one bad record does not hold the group"
    assert sorted({item.tries for item in world.hub.parked()}) == [0, 1]
    refusing.on = False
    world.machine.advance(HOUR)
    assert world.hub.settle("gam-main").retried == 1
    world.hub.push("gam-main")
    assert world.hub.settle("gam-main").retried == 39
    world.rest()
    assert len(world.ads.live("LineItem")) == 40
    assert not world.hub.parked()


def test_credentials_that_work_again_bring_their_work_back(world: World) -> None:
    refusing = Refusing(world, reason="auth", code="401")
    world.book(lines=2)
    world.travel()
    world.machine.advance(10 * HOUR)
    assert world.hub.retry_parked() == 0
    refusing.on = False
    world.hub.check("gam-main")
    assert world.hub.retry_parked() == 2
    world.rest()
    assert len(world.ads.live("LineItem")) == 2


@pytest.mark.parametrize(
    "reason", ["validation", "length", "ambiguous", "conflict", "duplicate", "vendor_state", "guard"]
)
def test_what_only_a_person_or_news_can_change_is_left_alone(reason: str, world: World) -> None:
    refusing = Refusing(world, reason=reason)
    world.book(lines=2)
    world.travel()
    sent = len(refusing.refused)
    for _ in range(3):
        world.machine.advance(10 * HOUR)
        assert world.hub.retry_parked() == 0
    assert len(refusing.refused) == sent
    refusing.on = False
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert len(world.ads.live("LineItem")) == 1, "news of the entity always is a try"


def test_a_missing_reference_that_arrives_brings_its_work_back_at_once(world: World) -> None:
    world.book(lines=1)
    refusing = Refusing(world, reason="reference_missing", code="UNKNOWN")
    world.travel()
    (item,) = world.hub.parked()
    refusing.on = False
    world.machine.advance(5)
    assert world.hub.retry_parked() == 0
    world.hub.session.database.rows(
        "UPDATE reference SET since = since + interval '1 day' WHERE kind = 'party' AND connection = 'gam-main' RETURNING 1"
    )
    assert world.hub.retry_parked() == 1
    world.rest()
    assert not world.hub.parked()
    assert item.reason == "reference_missing"


def test_two_accounts_of_one_name_are_tried_again_once_one_was_renamed(world: World) -> None:
    world.book(lines=1)
    world.crm.account("001B", "Acme")
    world.crm.opportunity("006B", "Twin", "001B")
    world.crm.line("00kB", "006B")
    world.travel()
    assert "duplicate" in {item.reason for item in world.hub.parked()}
    world.crm.account("001A", "Acme of old")
    world.travel()
    world.machine.advance(HOUR)
    world.rest()
    assert not world.hub.parked()
    assert len(world.ads.live("LineItem")) == 2


def test_a_paused_connection_is_not_tried(world: World) -> None:
    Refusing(world)
    world.book(lines=1)
    world.travel()
    world.machine.advance(HOUR)
    world.hub.pause("gam-main")
    assert world.hub.retry_parked() == 0
    world.hub.resume("gam-main")
    assert world.hub.retry_parked() == 1

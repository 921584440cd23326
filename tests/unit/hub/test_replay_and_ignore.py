"""Replaying parked work as one group, one record or all of it, and ignoring it; by names that there are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from hub.errors import NotFound, Refused
from hub.store import audit

if TYPE_CHECKING:
    from conftest import World

HOUR = 3601.0
pytestmark = pytest.mark.usefixtures("sound_audit")


# ---------------------------------------------------------------- groups and replay
def test_many_records_failing_for_one_cause_are_one_row_and_one_replay(world: World) -> None:
    refusing = world.refuse()
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
    world.refuse()
    world.book(lines=2)
    world.crm.line("00kBAD", "006A", CPM__c=None)
    world.travel()
    groups = {group.reason: group for group in world.hub.status().parked}
    assert {reason: group.count for reason, group in groups.items()} == {"picklist": 2, "validation": 1}
    assert world.hub.replay(group=groups["picklist"].key) == 2
    assert [item.reason for item in world.hub.parked()] == ["validation"]


@pytest.mark.parametrize("by", ["entity", "order", "subject"])
def test_one_subject_is_replayed_alone(by: str, world: World) -> None:
    world.refuse()
    world.book(lines=2)
    world.travel()
    first = world.hub.parked()[0]
    named = {"entity": first.entity_id, "order": first.order_id, "subject": first.subject}[by]
    assert world.hub.replay(subject=named) == (2 if by == "order" else 1)


def test_the_same_key_twice_puts_back_once(world: World) -> None:
    world.refuse()
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
    world.refuse()
    world.book(lines=3)
    world.travel()
    assert (world.hub.replay(), world.hub.replay()) == (3, 0)


def test_mass_replays_are_limited_and_single_ones_are_not(world: World) -> None:
    world.refuse()
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
    world.refuse()
    world.book(lines=2)
    world.travel()
    world.hub.replay(reason="picklist", by="Dana\n", note="tier added")
    (link,) = world.events("replay")
    told = audit.decoded(link)
    assert (link.actor, told["note"], told["selection"], told["subjects"]) == (
        "Dana",
        "tier added",
        {"reason": "picklist"},
        2,
    )
    assert {woken.actor for woken in world.events("lane woken")} == {"Dana"}
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
    world.refuse()
    world.book(lines=1)
    world.travel()
    (before,) = world.hub.parked()
    world.machine.advance(100)
    world.hub.replay()
    world.rest()
    (after,) = world.hub.parked()
    assert (after.since, after.key) == (before.since, before.key)


def test_news_of_parked_work_takes_it_out_of_the_list_before_it_is_sent(world: World) -> None:
    world.refuse()
    world.book(lines=2)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.hub.intake("sfdc")
    assert len(world.hub.parked()) == 1


def test_a_replay_of_an_unanswered_create_looks_before_it_sends(world: World) -> None:
    world.leave_unanswered(applied=True)
    sent = len(world.ads.calls)
    assert world.hub.replay() == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 1
    assert [call for call in world.ads.calls[sent:] if call.record == "LineItem"] == []
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


def test_news_of_an_unanswered_create_does_not_send_it_again(world: World) -> None:
    world.leave_unanswered(applied=True)
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    assert [item.reason for item in world.hub.parked()] == ["ambiguous"]


# ---------------------------------------------------------------- ignore
def test_ignored_work_is_not_sent_and_comes_up_again_when_its_entity_changes(world: World) -> None:
    refusing = world.refuse()
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
    world.refuse()
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
    refusing = world.refuse()
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

"""What the hub wrote comes back once as its echo; the same value later, an older one, or another one is somebody's edit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from connectors.base import Operation, Outcome, PushItem, PushResult, ReadRecord
from connectors.errors import OutcomeUnknown
from hub.encoding import encode, fingerprint
from hub.store import write_ledger
from hub.store.write_ledger import Written
from hub.sync import echoes

if TYPE_CHECKING:
    from conftest import World

ORDER = "006A"
PERSON, INTEGRATION = "005 Dana", "005 Orderhub"

# This org shows the hub's sentence in a field that sales also writes, and that the hub therefore reads.
OVERLAY = """
base: salesforce.order_projection@1
writes:
  Description: {from: sentence}
"""


class Org:
    """The CRM's true state of that field, who wrote it last, and what becomes of the next writes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by: dict[str, str] = {}
        self.next: list[str] = []
        self._push = world.crm.push
        world.crm.push = self.push  # type: ignore[method-assign]

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        fate = self.next.pop(0) if self.next and record == "Opportunity" else ""
        if fate == "rejected":
            return [PushResult(item.key, Outcome.REJECTED, code="X", message="no") for item in items]
        for item in items:
            if "Description" in item.payload:
                self.set(str(item.payload["Description"]), by=INTEGRATION)
        if fate == "lost reply":
            raise OutcomeUnknown("TIMEOUT", "no answer")
        return self._push(record, operation, items)

    def set(self, value: str, by: str = PERSON) -> None:
        self.world.crm.put("Opportunity", ORDER, Description=value)
        self.by[ORDER] = by

    @property
    def shows(self) -> str:
        return str(self.world.crm.records["Opportunity"][ORDER].native["Description"])


@pytest.fixture
def org(world: World, tmp_path: Path) -> Org:
    (tmp_path / "order_projection.v1.yaml").write_text(OVERLAY, encoding="utf-8")
    world.configure("sfdc", mapping=tmp_path)
    return Org(world)


def sent(world: World) -> None:
    """One deal, sent to the ad server; the CRM does not know yet."""
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")


def mirrored(world: World) -> None:
    """One deal, live in the ad server and mirrored in the CRM; what the mirror wrote has not been read back."""
    sent(world)
    world.rest()
    world.hub.push("sfdc")


def pause_at_the_ad_server(world: World) -> None:
    """What the hub says of the order changes."""
    for line in world.ads.objects["LineItem"].values():
        line["status"] = "PAUSED"
    world.hub.observe("gam-main")
    world.hub.push("sfdc")


def version(world: World) -> int:
    return int(world.hub.session.database.rows("SELECT version FROM entity WHERE kind = 'order'")[0][0])


def entered(world: World) -> int:
    return int(world.hub.session.database.rows("SELECT count(*) FROM write_ledger")[0][0])


def counted(world: World) -> tuple[int, int]:
    with world.hub.session.database.transaction() as cur:
        return write_ledger.counts(cur, "sfdc")


# ---------------------------------------------------------------- the promise
def an_echo_is_no_change_and_an_edit_is(world: World, org: Org) -> None:
    mirrored(world)
    ours = org.shows
    read = world.hub.intake("sfdc")
    assert (read.echoes, read.accepted, version(world)) == (1, 0, 1), "our own write is no change"
    org.set(ours.upper(), by=INTEGRATION)
    assert world.hub.intake("sfdc").accepted == 1, "the vendor's automation runs under our user; its edit is an edit"
    org.set(ours, by=PERSON)
    assert world.hub.intake("sfdc").accepted == 1, "the same value once more is somebody's edit"
    assert version(world) == 3


def test_an_echo_is_no_change_and_an_edit_is(world: World, org: Org) -> None:
    an_echo_is_no_change_and_an_edit_is(world, org)
    assert counted(world) == (1, 0)
    assert entered(world) == 0
    assert any("shows what the hub wrote" in event.what for event in world.hub.trace(ORDER).events)


def test_echoes_told_by_user_would_be_noticed(world: World, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_user(_s: object, _c: object, _h: object, _r: str, _t: str, news: Sequence[ReadRecord]) -> frozenset[str]:
        return frozenset(each.native_id for each in news if org.by.get(each.native_id) == INTEGRATION)

    monkeypatch.setattr(echoes, "own", by_user)
    with pytest.raises(AssertionError):
        an_echo_is_no_change_and_an_edit_is(world, org)


def test_a_ledger_that_is_not_asked_would_be_noticed(world: World, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echoes, "own", lambda *_: frozenset())
    with pytest.raises(AssertionError, match="our own write"):
        an_echo_is_no_change_and_an_edit_is(world, org)


def test_entries_that_are_never_spent_would_be_noticed(world: World, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ledger, "spend", lambda _cur, ids: len(ids))
    with pytest.raises(AssertionError):
        an_echo_is_no_change_and_an_edit_is(world, org)


# ---------------------------------------------------------------- what is not an echo
def test_an_older_value_of_ours_that_was_never_read_back_is_an_edit_when_it_returns(world: World, org: Org) -> None:
    mirrored(world)
    older = org.shows
    pause_at_the_ad_server(world)
    assert org.shows != older
    org.set(older)
    read = world.hub.intake("sfdc")
    assert (read.echoes, read.accepted, version(world)) == (0, 1, 2)


def test_a_value_that_automation_rewrites_at_once_is_ingested_and_counted_as_a_near_miss(
    world: World, org: Org
) -> None:
    mirrored(world)
    ours = org.shows
    org.set(f"[flow] {ours}", by=INTEGRATION)
    assert world.hub.intake("sfdc").accepted == 1
    assert counted(world) == (0, 1)
    assert {(c.name, c.echoes, c.near_misses) for c in world.hub.status().connections} == {
        ("sfdc", 0, 1),
        ("gam-main", 0, 0),
    }
    org.set(ours)
    assert world.hub.intake("sfdc").accepted == 1, "our value was overtaken: who sets it now means it"


def test_an_edit_of_another_field_together_with_the_echo_is_taken_in(world: World, org: Org) -> None:
    mirrored(world)
    world.crm.put("Opportunity", ORDER, Name="Renamed")
    read = world.hub.intake("sfdc")
    assert (read.accepted, read.echoes, version(world)) == (1, 0, 2)
    assert counted(world) == (1, 0)
    assert entered(world) == 0


def test_an_entry_expires(world: World, org: Org) -> None:
    mirrored(world)
    assert entered(world) > 0
    world.machine.advance(echoes.EXPIRES / timedelta(seconds=1) + 1)
    assert world.hub.intake("sfdc").accepted == 1, "a change too many costs a look; a lost edit costs the edit"
    assert entered(world) == 0


def test_a_refused_write_leaves_nothing_that_could_swallow_an_edit(world: World, org: Org) -> None:
    sent(world)
    org.next.append("rejected")
    world.hub.push("sfdc")
    assert entered(world) == 0


def test_the_echo_of_a_write_in_doubt_is_known(world: World, org: Org) -> None:
    sent(world)
    org.next.append("lost reply")
    world.hub.push("sfdc")
    read = world.hub.intake("sfdc")
    assert (read.echoes, read.accepted) == (1, 0)


def test_an_echo_does_not_push_a_refused_change_aside(world: World, org: Org) -> None:
    mirrored(world)
    world.hub.intake("sfdc")
    world.crm.put("Opportunity", ORDER, AccountId=None)
    assert world.hub.intake("sfdc").rejected == 1
    pause_at_the_ad_server(world)
    read = world.hub.intake("sfdc")
    assert (read.echoes, read.rejected) == (0, 1), "it is refused again, with the echo in it"
    assert len(world.hub.parked()) == 1


def test_a_connection_that_reads_nothing_it_writes_enters_nothing(world: World) -> None:
    world.book(lines=2)
    world.travel()
    world.hub.push("sfdc")
    assert entered(world) == 0
    assert world.hub.intake("sfdc").accepted == 0


# ---------------------------------------------------------------- one record, judged
def written(number: int, value: object, *, acknowledged: bool = True, field: str = "Hub_Version__c") -> Written:
    return Written(number, ORDER, field, fingerprint(encode(value)), acknowledged, encode({field: value}))


def test_the_vendors_own_spelling_of_a_value_is_the_same_value(world: World) -> None:
    channel = world.hub.session.channel("sfdc")
    said = echoes.judge(channel, "Opportunity", {}, {"Hub_Version__c": Decimal("3.0")}, [written(9, 3)])
    assert (said.echo, said.spent) == (True, (9,))
    moment = written(4, "2026-01-05T09:00:00+00:00", field="Hub_Last_Sync__c")
    shown = {"Hub_Last_Sync__c": "2026-01-05T09:00:00.000+0000"}
    assert echoes.judge(channel, "Opportunity", {}, shown, [moment]).echo


def test_a_hit_spends_what_came_before_it_and_leaves_what_is_still_under_way(world: World) -> None:
    channel = world.hub.session.channel("sfdc")
    entries = [written(1, 1), written(2, 2, acknowledged=False), written(3, 3, acknowledged=False)]
    said = echoes.judge(channel, "Opportunity", {"Hub_Version__c": 0}, {"Hub_Version__c": 2}, entries)
    assert (said.echo, said.spent, said.overtaken) == (True, (1, 2), ())
    other = echoes.judge(channel, "Opportunity", {"Hub_Version__c": 0}, {"Hub_Version__c": 7}, entries)
    assert (other.echo, other.spent, other.overtaken, other.near_misses) == (False, (), (1,), 1)


def test_a_record_that_did_not_move_is_no_echo(world: World) -> None:
    channel = world.hub.session.channel("sfdc")
    assert not echoes.judge(channel, "Opportunity", {"A": 1}, {"A": 1}, [written(1, 1)]).echo


def test_whoever_comes_second_does_not_spend_an_entry_again(world: World, org: Org) -> None:
    mirrored(world)
    with world.hub.session.database.transaction() as cur:
        found = write_ledger.of_records(cur, "sfdc", "Opportunity", [ORDER], world.machine.now() - echoes.EXPIRES)
        ids = [entry.id for entry in found[ORDER]]
        assert all(isinstance(entry.value_hash, UUID) for entry in found[ORDER])
        assert write_ledger.spend(cur, ids) == len(ids)
        assert write_ledger.spend(cur, ids) == 0


# ---------------------------------------------------------------- the ad server's side, compared with what it acknowledged
def test_a_value_that_we_once_wrote_to_the_ad_server_is_a_conflict_when_somebody_sets_it_back(world: World) -> None:
    world.book(lines=1)
    world.travel()
    line = world.ads.line_of("00k006A0000")
    older: dict[str, Any] = dict(line["primaryGoal"])
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2_000_000)
    world.travel()
    assert world.hub.drift("gam-main").items == (), "what we wrote ourselves is no edit"
    line["primaryGoal"] = older
    (item,) = world.hub.drift("gam-main").items
    assert (item.wanted, item.present, item.done) == (2_000_000, 1_000_000, "parked")

"""After a restore nothing is created twice: creates wait until a census has adopted what is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Operation, Page
from connectors.errors import RetryLater
from hub.errors import ConnectionBroken, ConnectionPaused
from hub.ops.correspondence import mismatches
from hub.store import recoveries
from hub.store.database import Cursor
from hub.sync import recovery, unheld_records
from hub.sync.recovery import newest_anchor

if TYPE_CHECKING:
    from conftest import World


OPEN = {"StageName": "Negotiation/Review", "IsWon": False, "IsClosed": False}
WON = {"StageName": "Closed Won", "IsWon": True, "IsClosed": True}


def creates(world: World) -> int:
    return sum(len(call.items) for call in world.ads.calls if call.operation is Operation.CREATE)


def standing(world: World) -> list[tuple[object, ...]]:
    """The connections in recovery."""
    return world.hub.session.database.rows("SELECT connection FROM recovery WHERE ended_at IS NULL")


def live(world: World) -> list[int]:
    return [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")]


def lost_a_day(world: World) -> None:
    """One order was there when the backup was made; another one, and a line of the first, came afterwards."""
    world.book(lines=2)
    world.travel()
    kept = world.backup()
    world.crm.line("00kNEW", "006A")
    world.book(lines=2, order="006B")
    world.travel()
    world.machine.advance(3600)
    world.restore(kept)


def test_without_recovery_a_restored_store_creates_again_what_exists(world: World) -> None:
    """The fault that recovery is for; a census shows it."""
    lost_a_day(world)
    world.hub.intake("sfdc")
    before = live(world)
    world.hub.push("gam-main")
    assert live(world)[2] > before[2], "a line has no unique field at this vendor"


def test_in_recovery_nothing_is_created_until_everything_of_ours_is_adopted(world: World) -> None:
    lost_a_day(world)
    before, made = live(world), creates(world)
    first = world.hub.recover("gam-main", by="Lee")
    assert not first.ended
    assert first.until is not None
    world.hub.intake("sfdc")
    pushed = world.hub.push("gam-main")
    assert pushed.waiting > 0, "what waits is not at rest"
    assert "in recovery since" in world.hub.status().connections[1].message
    assert live(world) == before
    world.machine.advance(66)
    done = world.hub.recover("gam-main", by="Lee")
    assert done.ended
    assert done.census is not None
    assert done.census.adopted == 4, "an order, its two lines, and the late line"
    world.rest()
    assert live(world) == before
    assert creates(world) == made
    assert {line["status"] for line in world.ads.live("LineItem")} == {"READY"}
    world.machine.advance(3600)
    assert world.hub.census("gam-main").agrees
    world.crm.line("00kLATER", "006A")
    world.travel()
    assert live(world)[2] == before[2] + 1, "and then creates go again"
    assert mismatches(world.hub.session) == []


def test_updates_go_on_in_recovery(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.hub.recover("gam-main")
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=5)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert world.ads.line_of("00k006A0000")["primaryGoal"]["units"] == 5


def test_no_name_is_given_up_that_a_forgotten_create_could_take(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.hub.recover("gam-main")
    world.crm.put("Opportunity", "006A", Name="Acme autumn")
    world.hub.intake("sfdc")
    pushed = world.hub.push("gam-main")
    assert "spring" in world.ads.live("Order")[0]["name"]
    assert pushed.next_due is not None
    world.machine.advance(66)
    world.rest()
    assert "autumn" in world.ads.live("Order")[0]["name"]


def test_the_settle_task_ends_a_recovery_by_itself(world: World) -> None:
    lost_a_day(world)
    before = live(world)
    world.hub.recover("gam-main")
    world.machine.advance(66)
    for _ in range(4):
        world.hub.settle("gam-main")
        world.hub.push("gam-main")
        world.machine.advance(61)
    world.rest()
    assert live(world) == before
    assert standing(world) == []


def test_a_source_that_is_away_keeps_the_recovery_open_and_settling_going(world: World) -> None:
    lost_a_day(world)
    world.hub.recover("gam-main")
    world.machine.advance(66)

    def away(*_: object) -> Iterator[Page]:
        raise RetryLater("503", "maintenance")
        yield

    world.crm.read = away  # type: ignore[method-assign]
    world.hub.settle("gam-main")
    assert len(standing(world)) == 1


def test_a_paused_source_is_not_read_and_the_recovery_waits_for_it(world: World) -> None:
    lost_a_day(world)
    before = live(world)
    world.hub.recover("gam-main")
    world.machine.advance(66)
    world.hub.pause("sfdc", by="Dana", note="a migration")
    read, reads = world.crm.read, []

    def counted(stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        reads.append(stream)
        return read(stream, fields, cursor)

    world.crm.read = counted  # type: ignore[method-assign]
    with pytest.raises(ConnectionPaused, match="Dana paused sfdc"):
        world.hub.recover("gam-main")
    world.hub.settle("gam-main")
    assert reads == []
    assert len(standing(world)) == 1
    world.hub.resume("sfdc", by="Dana")
    assert world.hub.recover("gam-main").ended
    world.rest()
    assert live(world) == before


def test_what_is_in_doubt_is_settled_before_a_census_is_believed(world: World) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.ads.lose_reply()
    world.hub.push("gam-main")
    world.hub.recover("gam-main")
    world.machine.advance(3600)
    summary = world.hub.recover("gam-main")
    assert (summary.ended, summary.under_way) == (False, 1)
    world.rest()
    assert standing(world) == [], "settling went on with it"
    assert live(world) == [1, 1, 1]


def test_a_mark_for_nothing_we_know_is_shown_to_a_person(world: World) -> None:
    lost_a_day(world)
    for record in ("OpportunityLineItem", "Opportunity"):
        for native_id in [i for i in world.crm.records[record] if "006B" in i]:
            del world.crm.records[record][native_id]
    world.hub.recover("gam-main")
    world.machine.advance(66)
    assert world.hub.recover("gam-main").ended
    items = [item for item in world.hub.parked() if item.code == "MARKED-FOR-NOBODY"]
    assert [item.path for item in items] == ["LineItem", "LineItem"]
    assert "nothing in the hub stands for it now" in items[0].sentence
    for item in items:
        world.ads.objects["LineItem"][item.value]["isArchived"] = True
    world.hub.census("gam-main")
    assert world.hub.parked() == []


def lost_meanwhile(world: World, **stage: Any) -> list[int]:
    """A deal went live after the backup was made, and is not won any more while the recovery counts."""
    world.crm.account("001A", "Acme")
    kept = world.backup()
    world.book(lines=2)
    world.travel()
    before = live(world)
    world.restore(kept)
    world.machine.advance(3600)
    world.crm.put("Opportunity", "006A", **(stage or OPEN))
    world.hub.recover("gam-main")
    world.machine.advance(66)
    assert world.hub.recover("gam-main").ended
    assert {item.code for item in world.hub.parked()} == {"MARKED-FOR-NOBODY"}
    return before


def test_a_deal_that_was_lost_during_the_recovery_and_is_won_again_is_not_doubled(world: World) -> None:
    before = lost_meanwhile(world)
    world.crm.put("Opportunity", "006A", **WON, Name="Acme spring, at last")
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert live(world) == before
    assert len(standing(world)) == 1, "counted again before anything is created"
    world.machine.advance(66)
    world.rest()
    assert (live(world), standing(world), world.hub.parked()) == (before, [], [])
    assert "at last" in world.ads.live("Order")[0]["name"]
    assert mismatches(world.hub.session) == []


def test_what_nobody_wants_is_shown_at_its_order_until_that_is_over(world: World) -> None:
    shown = "SELECT convert_from(canonical, 'UTF8') LIKE '%%MARKED-FOR-NOBODY%%' FROM projection WHERE kind = 'order_projection'"
    lost_meanwhile(world, StageName="Closed Lost", IsWon=False)
    world.hub.push("sfdc")
    assert {item.order_id is None for item in world.hub.parked() if item.kind != "Company"} == {False}
    assert world.hub.session.database.rows(shown) == [(True,)]
    for record in ("LineItem", "Order", "Company"):
        world.ads.objects[record].clear()
    world.hub.census("gam-main")
    world.hub.push("sfdc")
    assert (world.hub.parked(), world.hub.session.database.rows(shown)) == ([], [(False,)])


def test_what_a_second_count_cannot_tell_a_person_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lost_meanwhile(world)
    monkeypatch.setattr(unheld_records, "_meant", lambda *_: None)
    world.crm.put("Opportunity", "006A", **WON)
    world.hub.intake("sfdc")
    for _ in range(4):
        world.hub.push("gam-main")
        world.machine.advance(66)
        world.hub.settle("gam-main")
    assert (live(world), standing(world)) == (before, [])
    asked = {item.entity_id: item for item in world.hub.parked() if item.code == "FOUND-BEFORE"}
    (company,) = [each for each in asked if each.startswith("pty_")]
    assert (
        f"`orderhub adopt {company} {world.ads.live('Company')[0]['id']} --connection gam-main`" in asked[company].fix
    )
    del world.ads.objects["Company"][world.ads.live("Company")[0]["id"]]
    world.hub.declare_absent(company, connection="gam-main", by="Dana", note="looked")
    world.hub.push("gam-main")
    assert len(world.ads.live("Company")) == 1, "and it is not asked for again"


def test_a_recovery_that_begins_in_the_midst_of_a_push_stops_its_creates(world: World) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")

    def an_operator_says_so(*_: Any) -> None:
        with world.second_worker() as other:
            other.recover("gam-main")

    world.ads.misbehave.append(an_operator_says_so)
    pushed = world.hub.push("gam-main")
    assert (creates(world), live(world)) == (1, [1, 0, 0]), "what was under way, and nothing after it"
    assert pushed.waiting == 3
    world.machine.advance(66)
    world.rest()
    assert (standing(world), live(world)) == ([], [1, 1, 2])


def test_recover_twice_begins_once(world: World) -> None:
    world.book(lines=1)
    world.travel()
    assert not world.hub.recover("gam-main").ended
    world.machine.advance(30)
    assert not world.hub.recover("gam-main").ended
    world.machine.advance(36)
    assert world.hub.recover("gam-main").ended, "counted from the first time"


def test_a_recovery_that_another_worker_has_ended_is_not_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.travel()
    world.hub.recover("gam-main")
    world.machine.advance(66)
    begin = recovery.begin

    def ended_meanwhile(*given: Any, **more: Any) -> bool:
        fresh = begin(*given, **more)
        monkeypatch.undo()
        with world.second_worker() as other:
            assert other.recover("gam-main").ended
        return fresh

    monkeypatch.setattr(recovery, "begin", ended_meanwhile)
    assert world.hub.recover("gam-main").ended
    assert standing(world) == []


def test_settling_does_not_begin_what_another_worker_has_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book(lines=1)
    world.travel()
    world.hub.recover("gam-main")
    world.machine.advance(66)
    known = recoveries.standing

    def ended_meanwhile(cur: Cursor) -> dict[str, recoveries.Recovery]:
        found = known(cur)
        monkeypatch.undo()
        with world.second_worker() as other:
            assert other.recover("gam-main").ended
        return found

    monkeypatch.setattr(recoveries, "standing", ended_meanwhile)
    world.hub.settle("gam-main")
    assert standing(world) == []
    ended = "SELECT count(*) FROM journal WHERE what = 'recovery ended'"
    assert world.hub.session.database.rows(ended) == [(1,)]


def test_only_what_takes_orders_can_be_in_recovery(world: World) -> None:
    with pytest.raises(ConnectionBroken, match="Nothing is created at sfdc"):
        world.hub.recover("sfdc")
    world.hub.pause("gam-main")
    with pytest.raises(ConnectionPaused):
        world.hub.recover("gam-main")


# ---------------------------------------------------------------- noticing a restore
def anchor(world: World, file: Path) -> None:
    hub = world.hub.session.configuration.hub
    object.__setattr__(world.hub.session.configuration, "hub", hub.model_copy(update={"audit_anchor": file}))


def test_a_restored_store_is_noticed_by_its_anchor_and_goes_into_recovery(world: World, tmp_path: Path) -> None:
    anchor(world, tmp_path / "anchor.jsonl")
    lost_a_day(world)
    before = live(world)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert live(world) == before
    ((connection, cause),) = world.hub.session.database.rows("SELECT connection, cause FROM recovery")
    assert connection == "gam-main"
    assert "lost event" in cause
    world.machine.advance(66)
    world.rest()
    assert live(world) == before
    world.hub.push("gam-main")
    assert standing(world) == [], "one restore is noticed once"


def test_a_backup_that_was_in_recovery_itself_begins_anew(world: World, tmp_path: Path) -> None:
    """What stood then says nothing of what was sent since."""
    anchor(world, tmp_path / "anchor.jsonl")
    world.book(lines=1)
    world.travel()
    world.hub.recover("gam-main")
    kept = world.backup()
    world.machine.advance(66)
    world.hub.settle("gam-main")
    world.crm.line("00kNEW", "006A")
    world.machine.advance(3600)
    world.travel()
    before = live(world)
    world.restore(kept)
    world.hub.push("gam-main")
    world.hub.settle("gam-main")
    assert len(standing(world)) == 1, "what was sent a moment ago may still be under way"
    world.machine.advance(66)
    world.rest()
    assert (live(world), standing(world)) == (before, [])


def test_a_store_that_was_not_restored_notices_nothing(world: World, tmp_path: Path) -> None:
    anchor(world, tmp_path / "anchor.jsonl")
    world.book(lines=1)
    world.travel()
    world.travel()
    assert newest_anchor(tmp_path / "anchor.jsonl") is not None
    assert standing(world) == []


def test_the_highest_anchor_counts_and_a_broken_line_does_not(tmp_path: Path) -> None:
    file = tmp_path / "anchor.jsonl"
    assert newest_anchor(file) is None
    good = b'{"sequence":%d,"hash":"%s","at":"x"}\n'
    file.write_bytes(b"garbage\n" + good % (9, b"aa" * 32) + good % (7, b"bb" * 32))
    assert newest_anchor(file) == (9, bytes.fromhex("aa" * 32))
    file.write_bytes(good % (3, b"cc" * 32) * 2000 + good % (5, b"dd" * 32))
    assert newest_anchor(file) == (5, bytes.fromhex("dd" * 32))

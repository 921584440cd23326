"""Two workers that want the same rows in opposite order: one goes first, and what the other one knows is not forgotten."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hub.errors import StoreContended, StoreUnavailable
from hub.ops import parked_work
from hub.store.database import Database
from hub.sync import push
from hub.sync.outcomes import conclude

if TYPE_CHECKING:
    from conftest import World


def test_a_deadlock_is_told_as_trouble_of_the_store(database_url: str) -> None:
    one, two = Database(database_url), Database(database_url)
    with one.transaction() as cur:
        # Only the table's two rows matter, so the schema is not needed; a second is what PostgreSQL waits before it looks.
        cur.execute("CREATE TABLE pair (id int PRIMARY KEY); INSERT INTO pair VALUES (1), (2)")
    both = threading.Barrier(2, timeout=60)
    met: list[type[Exception] | None] = []

    def want(database: Database, first: int, second: int) -> None:
        try:
            with database.transaction() as cur:
                cur.execute("SELECT 1 FROM pair WHERE id = %s FOR UPDATE", (first,))
                both.wait()
                cur.execute("SELECT 1 FROM pair WHERE id = %s FOR UPDATE", (second,))
            met.append(None)
        except StoreUnavailable as error:
            met.append(type(error))

    threads = [threading.Thread(target=want, args=(one, 1, 2)), threading.Thread(target=want, args=(two, 2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(met, key=str) == sorted([StoreContended, None], key=str)
    for database in (one, two):
        database.close()


def test_an_outcome_that_met_a_deadlock_is_written_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.book(lines=2)
    world.hub.intake("sfdc")
    refusals = iter([True, True, False] * 20)

    def contended(*arguments: Any) -> Any:
        counts = conclude(*arguments)
        if next(refusals):
            raise StoreContended("the other one goes first")
        return counts

    monkeypatch.setattr("hub.sync.push.conclude", contended)
    summary = world.hub.push("gam-main")
    assert summary.in_doubt == 0
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == [1, 1, 2]
    assert world.hub.push("gam-main").calls == 0, "everything was acknowledged"


def test_work_whose_lease_cannot_be_renewed_for_locks_is_given_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, raised = push.lanes.hold, []

    def contended(*arguments: Any) -> Any:
        if not raised:
            raised.append(True)
            raise StoreContended("another worker went first")
        return hold(*arguments)

    monkeypatch.setattr(push.lanes, "hold", contended)
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert raised
    in_flight = world.hub.session.database.rows("SELECT count(*) FROM lane WHERE state = 'in_flight'")
    assert in_flight == [(0,)], "else it would wait until its lease is over"
    world.hub.push("gam-main")
    assert len(world.ads.live("Company")) == 1


@pytest.mark.parametrize("step", ["leave_alone", "journal.mark_stale"])
def test_work_that_is_not_decided_because_of_locks_is_given_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    world.book(lines=1)
    world.hub.intake("sfdc")
    if step == "leave_alone":
        world.hub.push("gam-main", max_seconds=0)
        world.crm.put("Opportunity", "006A", StageName="Closed Lost", IsWon=False)
        world.hub.intake("sfdc")
    reached: list[bool] = []

    def contended(*arguments: Any) -> Any:
        reached.append(True)
        raise StoreContended("another worker went first")

    with monkeypatch.context() as patched:
        patched.setattr(f"hub.sync.push.{step}", contended)
        with contextlib.suppress(StoreContended):
            world.hub.push("gam-main")
    assert reached
    assert world.hub.session.database.rows("SELECT count(*) FROM lane WHERE state = 'in_flight'") == [(0,)]
    world.rest()
    assert len(world.ads.live("Order")) == (0 if step == "leave_alone" else 1)


@pytest.mark.parametrize("verb", ["replay", "ignore"])
def test_what_a_person_does_with_parked_work_is_done_again_when_locks_go_first(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    world.book(lines=1)
    world.crm.put("OpportunityLineItem", "00k006A0000", CurrencyIsoCode="EUR")
    world.hub.intake("sfdc")
    mark_stale, met = parked_work.journal.mark_stale, iter([True, True, False])

    def contended(*arguments: Any) -> None:
        mark_stale(*arguments)
        if next(met, False):
            raise StoreContended("another worker went first")

    monkeypatch.setattr(parked_work.journal, "mark_stale", contended)
    if verb == "ignore":
        assert world.hub.ignore(connection="sfdc", note="not wanted", by="Ada") > 0
        assert world.hub.parked() == []
    else:
        assert world.hub.replay(connection="sfdc", by="Ada") == 1
    assert next(met, None) is None
    ((times,),) = world.hub.session.database.rows(
        "SELECT count(*) FROM audit WHERE convert_from(event, 'UTF8')::jsonb->>'what' = %s", (verb,)
    )
    assert times == 1

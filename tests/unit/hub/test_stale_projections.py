"""What a transaction says is to be shown anew is shown as that transaction left it, whoever computes projections meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from hub.store import journal
from hub.store.database import Cursor
from hub.sync import projection

if TYPE_CHECKING:
    from conftest import World


def test_an_order_that_is_marked_again_is_left_to_who_comes_after_the_commit(world: World) -> None:
    with world.second_worker() as other:
        with world.hub.session.database.transaction() as cur:
            journal.mark_stale(cur, ["ord_a", "ord_b"])
        with world.hub.session.database.transaction() as cur:
            journal.mark_stale(cur, ["ord_a", "ord_a"])
            with other.session.database.transaction() as beside:
                assert journal.take_stale(beside, 10) == ["ord_b"], "of ord_a it cannot see yet what is new"
        with other.session.database.transaction() as after:
            assert journal.take_stale(after, 10) == ["ord_a"]


def test_two_workers_mark_one_order_without_waiting_for_each_other(world: World) -> None:
    with world.second_worker() as other:
        with world.hub.session.database.transaction() as cur:
            journal.mark_stale(cur, ["ord_a"])
        with world.hub.session.database.transaction() as cur, other.session.database.transaction() as beside:
            beside.execute("SET LOCAL lock_timeout = '2s'")
            journal.mark_stale(cur, ["ord_a"])
            journal.mark_stale(beside, ["ord_a"])


def test_the_crm_sees_what_was_written_while_another_worker_refreshed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    with world.hub.session.database.transaction() as cur:
        journal.mark_stale(
            cur, [row[0] for row in world.hub.session.database.rows("SELECT id FROM entity WHERE kind = 'order'")]
        )
    mark_stale = journal.mark_stale

    def then_refreshed(cur: Cursor, order_ids: Iterable[str]) -> None:
        mark_stale(cur, order_ids)
        with world.second_worker() as other:
            projection.refresh(other.session)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "mark_stale", then_refreshed)
        world.hub.intake("sfdc")
    projection.refresh(world.hub.session)
    ((shown,),) = world.hub.session.database.rows(
        "SELECT convert_from(canonical, 'UTF8') FROM projection WHERE kind = 'line_projection'"
    )
    assert '"goal":2000000' in shown

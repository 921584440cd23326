"""The references of a page are read exactly, and by a plan for as many as are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.store import attempts
from hub.store.database import Cursor
from hub.sync import intake

if TYPE_CHECKING:
    import pytest
    from conftest import HandClock, World


def _put(cur: Cursor, clock: HandClock, kind: str, entity_id: str, vendor_id: str, facet: str = "") -> None:
    attempts.put_reference(
        cur,
        connection="sfdc",
        kind=kind,
        entity_id=entity_id,
        facet=facet,
        record=kind,
        vendor_id=vendor_id,
        account="",
        attempt_id=None,
        now=clock.now(),
    )


def test_only_the_wanted_pairs_of_kind_and_entity_are_read(world: World) -> None:
    with world.hub.session.database.transaction() as cur:
        for kind, entity_id, vendor_id in (
            ("order", "a", "1"),
            ("line", "a", "2"),
            ("line", "b", "3"),
            ("line", "c", "4"),
        ):
            _put(cur, world.machine, kind, entity_id, vendor_id)
        _put(cur, world.machine, "line", "b", "5", facet="part")
        _put(cur, world.machine, "line", "c", "6")  # takes the place of the first
        wanted = [("order", "a"), ("line", "b"), ("line", "c"), ("order", "c"), ("line", "unknown")]
        assert attempts.references(cur, "sfdc", wanted) == {
            ("order", "a", ""): "1",
            ("line", "b", ""): "3",
            ("line", "b", "part"): "5",
            ("line", "c", ""): "6",
        }
        assert attempts.references(cur, "gam-main", wanted) == {}


def test_however_often_references_are_read_no_plan_for_ten_of_them_is_kept(world: World) -> None:
    with world.hub.session.database.transaction() as cur:
        # psycopg prepares a statement at the sixth time, PostgreSQL forgets the sizes five times later.
        for _ in range(12):
            attempts.references(cur, "sfdc", [("line", "a"), ("line", "b")])
            cur.execute("SELECT 1 FROM connection_state LIMIT 1")
        cur.execute("SELECT statement FROM pg_prepared_statements")
        prepared = [row[0] for row in cur.fetchall()]
    assert any("connection_state" in statement for statement in prepared), "the driver prepares what comes again"
    assert not any("FROM reference" in statement for statement in prepared)


def test_after_much_news_the_store_is_planned_by_what_it_holds_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> list[tuple[object, ...]]:
        return world.hub.session.database.rows(
            "SELECT reltuples FROM pg_class WHERE relname = 'lane' AND relkind = 'r'"
        )

    world.book(2)
    world.hub.intake("sfdc")
    assert counted() == [(-1.0,)], "too little to look again"
    monkeypatch.setattr(intake, "READ_ANEW", 3)
    world.book(3, "006B")
    world.hub.intake("sfdc")
    ((lanes,),) = world.hub.session.database.rows("SELECT count(*) FROM lane")
    assert counted() == [(float(str(lanes)),)]

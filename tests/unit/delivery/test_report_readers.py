"""Readers of the detail rows: they delay the swap, and never see or leave half of a report."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import StoreContended
from hub.store import partitions
from hub.store.database import Database

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"


def test_a_reader_that_does_not_let_go_stops_the_whole_load_and_leaves_nothing_behind(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "SWAP_WAIT", "5ms")
    world.load("ads", HEAD + "2026-03-01,11,a,70,1\n")
    before = world.everything()
    reader = Database(world.session.database.url)
    with reader.transaction() as cur:
        cur.execute("SELECT count(*) FROM delivery_detail")
        with pytest.raises(StoreContended, match="could not be put in place"):
            world.load("ads", HEAD + "2026-03-01,11,a,71,1\n")
    reader.close()
    assert world.everything() == before
    assert world.load("ads", HEAD + "2026-03-01,11,a,71,1\n").facts_restated == 1


def test_a_reader_sees_the_old_day_until_the_new_one_is_whole(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.load("ads", HEAD + "2026-03-01,11,a,70,1\n2026-03-02,11,a,1,0\n")
    seen: list[list[int]] = []
    swap = partitions.swap

    def looked_at(*given: Any) -> None:
        reader = Database(world.session.database.url)
        for statement in (
            "SELECT impressions FROM delivery_detail ORDER BY 1",
            "SELECT impressions FROM delivery_day ORDER BY 1",
        ):
            seen.append([row[0] for row in reader.rows(statement)])
        reader.close()
        swap(*given)

    monkeypatch.setattr(partitions, "swap", looked_at)
    world.load("ads", HEAD + "2026-03-01,11,a,75,1\n2026-03-02,11,a,2,0\n")
    assert seen == [[1, 70], [1, 70]]
    assert [row[0] for row in world.session.database.rows("SELECT impressions FROM delivery_detail ORDER BY 1")] == [
        2,
        75,
    ]

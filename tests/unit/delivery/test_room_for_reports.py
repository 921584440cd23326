"""However little of a report is held at once: the same facts, details, digests, versions and quarantine."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from hub.config import HubSettings
from hub.delivery.loading import ReportRefused
from hub.delivery.names import Names
from hub.delivery.room import ROOMS, Room
from hub.delivery.spool import Spool

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
FIRST = date(2026, 3, 1)
UNITS = ["plain", "Zürich", '"a,b"', "back\\slash", '"x\ny"', "\x1f", ""]
COUNTS = [0, 7, 65_535, 65_536, 2**32 - 1, 2**32, 10**12]
TIGHT = Room(chunk=200, workers=1, held_rows=33, part_rows=11, slice_rows=5, sessions=1, fold_lines=3)
"""So little that a few hundred rows come in many chunks, parts, slices and folds."""


def rows_of(seed: int) -> list[str]:
    """Rows of three days in any order: two known lines, two that nobody knows, units and counts of every kind."""
    chance = random.Random(seed)
    rows = [
        f"{FIRST + timedelta(days=day)},{line},{unit},{chance.choice(COUNTS)},{chance.randrange(90)}\n"
        for day in range(3)
        for line in ("11", "12", "98", "99")
        for unit in [*UNITS, *(f"unit{number}" for number in range(20))]
        if chance.random() < 0.8
    ]
    chance.shuffle(rows)
    return rows


def stored(world: Any, source: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that the store holds of a source, without what only says which source and which table it is."""
    statements = {
        "facts": "SELECT line_id, day, as_of, impressions, clicks FROM delivery_fact WHERE source = %s ORDER BY 1, 2, 3",
        "waiting": "SELECT line_vendor_id, day, as_of, impressions, clicks FROM delivery_quarantine WHERE connection = %s "
        "ORDER BY 1, 2",
        "days": "SELECT day, as_of, rows, digest, final FROM delivery_partition WHERE source = %s ORDER BY 1",
        "detail": "SELECT p.day, d.line_vendor_id, d.ad_unit, d.impressions, d.clicks FROM delivery_detail d "
        "JOIN delivery_partition p USING (part) WHERE p.source = %s ORDER BY 1, 2, 3",
        "reports": "SELECT report, as_of, since, until, rows, days_changed FROM delivery_report WHERE source = %s ORDER BY 2",
    }
    return {name: list(world.session.database.rows(text, (source,))) for name, text in statements.items()}


def told(done: Any) -> dict[str, Any]:
    return {name: value for name, value in done.as_dict().items() if name != "source"}


def test_a_load_that_holds_little_leaves_the_same_in_the_store(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROOMS, "small", TIGHT)
    hub = world.session.configuration.hub
    shape = world.session.configuration.connections["ads"].report
    first, restated = rows_of(1), rows_of(2)
    again = [*restated]
    random.Random(3).shuffle(again)
    answers: dict[str, list[dict[str, Any]]] = {}
    for memory in ("ample", "small"):
        hub.report_memory = memory
        world.clock.time = world.clock.time.replace(hour=12, minute=0)
        world.source(memory, shape)
        world.know(memory, "11", "12")
        done = [
            world.load(memory, HEAD + "".join(rows), name=name, accept_outliers=True)
            for name, rows in (("first", first), ("restated", restated), ("again", again))
        ]
        answers[memory] = [told(one) for one in done]
    assert answers["small"] == answers["ample"]
    assert [one["days_changed"] for one in answers["small"]] == [3, 3, 0]
    one, other = stored(world, "ample"), stored(world, "small")
    for what, rows in one.items():
        assert rows, what
        assert other[what] == rows, what


def test_a_row_told_twice_is_found_in_whatever_part_it_lies(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROOMS, "small", TIGHT)
    world.session.configuration.hub.report_memory = "small"
    before = world.everything()
    rows = [f"{FIRST},{line},unit{number},5,0\n" for line in range(10, 40) for number in range(4)]
    for twice in (rows[0], rows[57], rows[-1]):
        with pytest.raises(ReportRefused, match="twice"):
            world.load("ads", HEAD + "".join([*rows, twice]))
    assert world.everything() == before


def test_room_is_one_of_two_words_and_small_is_never_the_larger() -> None:
    settings = {"store": {"url": "postgresql://"}}
    assert HubSettings.model_validate(settings).report_memory == "ample"
    assert HubSettings.model_validate({**settings, "report_memory": "small"}).report_memory == "small"
    with pytest.raises(ValidationError, match="report_memory"):
        HubSettings.model_validate({**settings, "report_memory": "tiny"})
    small, ample = ROOMS["small"], ROOMS["ample"]
    assert all(getattr(small, name) < getattr(ample, name) for name in Room.__slots__)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    room = replace(ROOMS["small"], held_rows=300, part_rows=100)
    with Spool(("line", "impressions"), ("line",), room, tmp_path) as made:
        yield made


def kept(spool: Spool, lines: list[str], counts: list[int], day: date = FIRST) -> None:
    frame = pl.DataFrame(
        {"day": [day] * len(lines), "line": lines, "impressions": counts}, schema_overrides={"day": pl.Date}
    )
    spool.take(spool.numbered(frame))
    spool.flush()


def test_a_long_day_comes_back_in_parts_that_follow_one_another(spool: Spool) -> None:
    chance = random.Random(5)
    rows = [(f"line{number % 50:02}", number) for number in range(1_000)]
    chance.shuffle(rows)
    for start in range(0, 1_000, 70):
        piece = rows[start : start + 70]
        kept(spool, [line for line, _ in piece], [count for _, count in piece])
    kept(spool, ["line07"], [1], FIRST + timedelta(days=1))
    spool.seal()
    texts = spool.texts("line")
    parts = list(spool.parts_of(FIRST))
    assert len(parts) == 10, "three times three that were read together, and one"
    assert all(part.height == 100 for part in parts)
    edges = [(part["line"].min(), part["line"].max()) for part in parts]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(edges))
    found = [(texts[place], count) for part in parts for place, count in part.select("line", "impressions").iter_rows()]
    assert sorted(found) == sorted(rows)


def test_counts_come_back_whole_however_narrow_the_rows_beside_them(spool: Spool) -> None:
    counts = [0, 2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**63 - 1]
    for number, count in enumerate(counts):
        kept(spool, [f"line{number}"], [count])
    spool.seal()
    (rows,) = spool.parts_of(FIRST)
    assert sorted(rows["impressions"].to_list()) == counts


def test_texts_have_one_number_each_whichever_thread_asks() -> None:
    names = Names()
    texts = [f"id {number * 7919 % 3_000}" for number in range(30_000)]
    series = pl.Series(texts)
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda start: names.numbers(series.slice(start, 500)), range(0, 30_000, 500)))
    given = pl.concat(numbers)
    assert sorted(given.unique().to_list()) == list(range(3_000))
    lanes_before = names.lanes[0].gather(given)
    names.seal()
    places = names.places(given)
    assert names.texts.to_list() == sorted(set(texts))
    assert names.texts.gather(places).to_list() == texts
    assert names.lanes[0].gather(places).to_list() == lanes_before.to_list()

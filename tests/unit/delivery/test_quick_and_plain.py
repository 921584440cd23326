"""Two ways into the facts, one for what is loaded first and one for what may stand already: always the same facts.

Generated reports go to two sources. One is new to the store (quick way); the other once loaded a report through a job, of which
no partition tells (plain way, by SQL alone). Both are compared with sums made in Python.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.delivery import loading
from hub.delivery.room import ROOMS, Room
from hub.store import report_facts

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
FIRST = date(2026, 3, 1)
Rows = dict[tuple[int, str, str], tuple[int, int]]

units = st.sampled_from(
    ["a", "b", "{c}", "NULL", 'q"x', "back\\slash", "é", "", "two words", "a,b", "x\ny", "\x1f", "\x1b1\x1e"]
)
rows_ = st.dictionaries(
    st.tuples(st.integers(0, 2), st.sampled_from(["11", "12", "13", "98", "99"]), units),
    st.tuples(st.integers(0, 10**12), st.integers(0, 50)),
    min_size=1,
    max_size=25,
)
_numbers = itertools.count()


def as_csv(rows: Rows, order: list[tuple[int, str, str]]) -> str:
    quoted = {key: key[2].replace('"', '""') for key in order}
    return HEAD + "".join(
        f'{FIRST + timedelta(days=key[0])},{key[1]},"{quoted[key]}",{rows[key][0]},{rows[key][1]}\n' for key in order
    )


def summed(rows: Rows) -> dict[tuple[str, date], tuple[int, int]]:
    found: dict[tuple[str, date], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (day, line, _), (impressions, clicks) in rows.items():
        key = (line, FIRST + timedelta(days=day))
        found[key] = (found[key][0] + impressions, found[key][1] + clicks)
    return dict(found)


def stored(world: Any, source: str) -> dict[str, Any]:
    """What the store has of a source, under names that are the same for any source."""
    ask = world.session.database.rows
    facts = ask("SELECT line_id, day, impressions, clicks FROM delivery_day WHERE source = %s", (source,))
    waiting = ask(
        "SELECT line_vendor_id, day, impressions, clicks FROM delivery_quarantine WHERE connection = %s", (source,)
    )
    detail = ask(
        "SELECT p.day, d.line_vendor_id, d.ad_unit, d.impressions, d.clicks, d.creative, d.completed_views "
        "FROM delivery_detail d JOIN delivery_partition p USING (part) WHERE p.source = %s ORDER BY 1, 2, 3",
        (source,),
    )
    days = ask("SELECT day, rows, digest FROM delivery_partition WHERE source = %s ORDER BY 1", (source,))
    return {
        "facts": {(row[0].removeprefix("lin_"), row[1]): (row[2], row[3]) for row in facts},
        "waiting": {(row[0], row[1]): (row[2], row[3]) for row in waiting},
        "detail": [tuple(row) for row in detail],
        "days": [tuple(row) for row in days],
    }


def uses_of_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many facts each use of the quick way added."""
    used: list[int] = []
    add_first = report_facts.add_first

    def counted(*given: Any) -> int:
        used.append(add_first(*given))
        return used[-1]

    monkeypatch.setattr(report_facts, "add_first", counted)
    return used


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=rows_, second=rows_, data=st.data())
def test_the_quick_way_and_the_plain_way_make_the_same_facts(
    world: Any, monkeypatch: pytest.MonkeyPatch, first: Rows, second: Rows, data: st.DataObject
) -> None:
    # Several chunks, parts, slices and folds, as in a report of millions.
    monkeypatch.setitem(
        ROOMS, "ample", Room(chunk=64, workers=2, held_rows=8, part_rows=4, slice_rows=3, sessions=2, fold_lines=2)
    )
    monkeypatch.setattr(loading, "RESTATED_LINES", 2)
    quickly = uses_of_the_quick_way(monkeypatch)
    number = next(_numbers)
    quick, plain = f"quick{number}", f"plain{number}"
    shape = world.session.configuration.connections["ads"].report
    for source in (quick, plain):
        world.source(source, shape)
        world.know(source, "11", "12", "13")
    with world.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO delivery_job (connection, job, since, until, as_of, state, requested_at) "
            "VALUES (%s, 'j', '2026-02-01', '2026-02-01', '2026-02-02Z', 'loaded', '2026-02-02Z')",
            (plain,),
        )
    span = {"since": FIRST, "until": FIRST + timedelta(days=2), "accept_outliers": True}
    ways: dict[str, int] = {}
    for step, rows in enumerate((first, second)):
        keys = list(rows)
        for source in (quick, plain):
            order = data.draw(st.permutations(keys), label=f"order of {source}")
            before = len(quickly)
            done = world.load(source, as_csv(rows, order), **span)
            ways.setdefault(source, len(quickly) - before)
            assert done.rows == len(rows)
        one, other = stored(world, quick), stored(world, plain)
        assert one["detail"] == other["detail"]
        assert one["days"] == other["days"]
        expected = summed(rows)
        assert one["detail"] == sorted(
            (
                (FIRST + timedelta(days=day), line, unit, *numbers, None, None)
                for (day, line, unit), numbers in rows.items()
            ),
            key=lambda row: (row[0], row[1].encode(), row[2].encode()),
        )
        for found in (one, other):
            # A line that delivered nothing is no fact and nothing that waits, or one that says so.
            assert {key: value for key, value in found["facts"].items() if value != (0, 0)} == {
                key: value for key, value in expected.items() if key[0] in {"11", "12", "13"} and value != (0, 0)
            }
            assert found["waiting"] == {
                key: value for key, value in expected.items() if key[0] in {"98", "99"} and value != (0, 0)
            }, step

    assert ways[quick] > 0
    assert ways[plain] == 0


def test_a_bad_cell_far_down_is_told_with_its_row(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROOMS, "ample", replace(ROOMS["ample"], chunk=64))
    rows = [f"2026-03-01,11,unit{number},{number},0\n" for number in range(40)]
    rows[31] = rows[31].replace(",31,", ",thirty-one,")
    with pytest.raises(loading.ReportRefused, match="Row 32 has 'thirty-one' under Impressions"):
        world.load("ads", HEAD + "".join(rows))


def test_impressions_that_move_to_another_ad_unit_of_a_final_day_need_no_adjustment(world: Any) -> None:
    world.load("ads", HEAD + "2026-03-01,11,a,70,1\n2026-03-02,11,a,10,0\n", final=True)
    moved = world.load("ads", HEAD + "2026-03-01,11,b,70,1\n2026-03-02,11,a,10,0\n")
    assert (moved.days_changed, moved.facts_restated, moved.final_restated) == (1, 0, 0)
    assert [row[0] for row in world.session.database.rows("SELECT ad_unit FROM delivery_detail ORDER BY 1")] == [
        "a",
        "b",
    ]


def test_a_report_with_orders_may_leave_a_day_empty(world: Any) -> None:
    columns = {"day": "Date", "line": "Line", "order": "Order", "impressions": "Impressions"}
    world.source(
        "ads",
        type(world.session.configuration.connections["ads"].report).model_validate(
            {"columns": columns, "zone": "UTC", "counted_by": "seller", "complete_by": "gzip"}
        ),
    )
    head = "Date,Line,Order,Impressions\n"
    world.load("ads", head + "2026-03-01,11,o1,70\n2026-03-02,99,o2,10\n")
    span = {"since": FIRST, "until": FIRST + timedelta(days=1)}
    done = world.load("ads", head + "2026-03-02,99,o3,11\n", **span)
    assert (done.days_changed, done.facts_restated, done.quarantined) == (2, 1, 1)
    rows = world.session.database.rows("SELECT order_vendor_id, impressions FROM delivery_quarantine")
    assert [tuple(row) for row in rows] == [("o3", 11)]

"""Reports into facts: versions, whole days, quarantine, and nothing written where nothing changed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

HEADER = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
FIRST = (
    HEADER
    + "2026-03-02,12,a,50,5\n2026-03-01,11,b,30,0\n2026-03-01,11,a,70,1\n2026-03-02,11,a,40,0\n2026-03-01,12,a,10,1\n"
)


def test_a_first_report_in_any_order_of_rows_becomes_facts_and_detail_rows(world: Any) -> None:
    done = world.load("ads", FIRST)
    assert (done.state, done.rows, done.days_changed, done.facts_new) == ("loaded", 5, 2, 4)
    assert world.newest("ads") == {
        ("lin_11", "2026-03-01"): (100, 1),
        ("lin_11", "2026-03-02"): (40, 0),
        ("lin_12", "2026-03-01"): (10, 1),
        ("lin_12", "2026-03-02"): (50, 5),
    }
    detail = world.session.database.rows(
        "SELECT p.day, d.line_vendor_id, d.ad_unit, d.impressions FROM delivery_detail d JOIN delivery_partition p USING (part) "
        "ORDER BY 1, 2, 3"
    )
    assert [tuple(row) for row in detail][:2] == [(date(2026, 3, 1), "11", "a", 70), (date(2026, 3, 1), "11", "b", 30)]
    assert len(detail) == 5


def test_the_same_numbers_again_in_another_order_write_no_fact(world: Any) -> None:
    world.load("ads", FIRST)
    before = world.everything()
    head, *rows = FIRST.splitlines(keepends=True)
    done = world.load("ads", head + "".join(reversed(rows)))
    after = world.everything()
    assert (done.days_changed, done.facts_new, done.facts_restated) == (0, 0, 0)
    assert {name: rows for name, rows in after.items() if name != "delivery_report"} == {
        name: rows for name, rows in before.items() if name != "delivery_report"
    }
    assert len(after["delivery_report"]) == 2


def test_a_restated_day_is_a_new_version_beside_the_old_one_and_other_days_stay(world: Any) -> None:
    first = world.load("ads", FIRST)
    done = world.load("ads", HEADER + "2026-03-02,11,a,41,0\n2026-03-02,12,a,50,5\n")
    assert (done.days_changed, done.facts_new, done.facts_restated) == (1, 0, 1)
    rows = world.session.database.rows(
        "SELECT as_of, impressions FROM delivery_fact WHERE line_id = 'lin_11' AND day = '2026-03-02' ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(first.as_of, 40), (done.as_of, 41)]
    assert world.newest("ads")["lin_11", "2026-03-01"] == (100, 1)
    assert len(world.session.database.rows("SELECT 1 FROM delivery_detail")) == 5


def test_a_line_that_a_whole_day_does_not_name_any_more_was_restated_to_nothing(world: Any) -> None:
    world.load("ads", FIRST)
    done = world.load("ads", HEADER + "2026-03-02,12,a,50,5\n")
    assert done.facts_restated == 1
    assert world.newest("ads")["lin_11", "2026-03-02"] == (0, 0)


def test_a_day_that_a_report_says_it_covers_and_leaves_empty_counts_nothing(world: Any) -> None:
    world.load("ads", FIRST)
    span = {"since": date(2026, 3, 1), "until": date(2026, 3, 2)}
    done = world.load("ads", HEADER + "2026-03-01,11,a,100,1\n2026-03-01,12,a,10,1\n", **span)
    assert done.days_changed == 2  # the first day has other detail rows
    assert world.newest("ads")["lin_12", "2026-03-02"] == (0, 0)
    assert world.newest("ads")["lin_11", "2026-03-01"] == (100, 1)


def test_an_older_report_that_comes_late_changes_no_newer_day(world: Any) -> None:
    world.load("ads", FIRST)
    before = world.newest("ads")
    late = world.clock.now() - timedelta(days=1)
    done = world.load("ads", HEADER + "2026-03-02,11,a,1,0\n", as_of=late)
    assert (done.days_changed, done.days_older) == (0, 1)
    assert world.newest("ads") == before


def test_the_same_report_loaded_twice_is_loaded_once(world: Any) -> None:
    done = world.load("ads", FIRST)
    before = world.everything()
    again = world.load("ads", HEADER + "2026-03-02,11,a,1,0\n", as_of=done.as_of)
    assert again.state == "loaded before"
    assert world.everything() == before


def test_rows_of_unknown_lines_wait_in_quarantine_and_are_claimed_when_the_line_is_known(world: Any) -> None:
    done = world.load("ads", FIRST.replace(",12,", ",99,"))
    assert done.quarantined == 2
    assert set(world.newest("ads")) == {("lin_11", "2026-03-01"), ("lin_11", "2026-03-02")}
    world.know("ads", "99")
    again = world.load("ads", FIRST.replace(",12,", ",99,"))
    assert (again.days_changed, again.claimed) == (0, 2)
    assert world.newest("ads")["lin_99", "2026-03-02"] == (50, 5)
    assert world.everything()["delivery_quarantine"] == []
    as_of = world.session.database.rows("SELECT DISTINCT as_of FROM delivery_day WHERE line_id = 'lin_99'")
    assert [row[0] for row in as_of] == [done.as_of]


def test_a_restated_unknown_line_stands_in_quarantine_once_with_its_newest_number(world: Any) -> None:
    world.load("ads", FIRST.replace(",12,", ",99,"))
    world.load("ads", HEADER + "2026-03-02,11,a,40,0\n2026-03-02,99,a,60,5\n")
    rows = world.session.database.rows("SELECT day, impressions FROM delivery_quarantine ORDER BY 1")
    assert [row[1] for row in rows] == [10, 60]


def test_a_crashed_load_leaves_tables_behind_that_the_next_load_removes(world: Any) -> None:
    world.load("ads", FIRST)
    with world.session.database.transaction() as cur:
        cur.execute("CREATE TABLE delivery_detail_1_999 (LIKE delivery_detail)")
        cur.execute("CREATE TABLE delivery_detail_7_999 (LIKE delivery_detail)")
    world.load("ads", HEADER + "2026-03-02,11,a,41,0\n")
    names = {row[0] for row in world.everything()["tables"]}
    assert "delivery_detail_1_999" not in names
    assert "delivery_detail_7_999" in names, "another source may be at work"

"""Bad reports: each a clear sentence, and nothing of it loaded; every case begins from a store that has the day already."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from hub.delivery.refusals import ReportHeld, ReportRefused
from hub.delivery.shape import ReportShape

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
GOOD = HEAD + "2026-03-01,11,a,70,1\n2026-03-01,12,a,10,1\n2026-03-02,11,a,40,0\n"
ZIP = gzip.compress(GOOD.encode())
COLUMNS = {
    "day": "Date",
    "line": "Line item ID",
    "impressions": "Impressions",
    "clicks": "Clicks",
    "ad_unit": "Ad unit",
}
USUAL: dict[str, Any] = {
    "columns": COLUMNS,
    "zone": "America/New_York",
    "counted_by": "seller",
    "complete_by": "gzip",
}
MONEY = {"columns": {**COLUMNS, "currency": "Currency", "network": "Network"}, "currency": "USD", "network": "777"}
TRAILED = {"complete_by": "trailer", "trailer": {"mark": "Total", "rows_in": "Ad unit"}}
PAGED = {"format": "json", "complete_by": "flag", "network": "777"}
SEVEN = "Date,Line item ID,Ad unit,Impressions,Clicks,Currency,Network\n"


def page(*rows: Mapping[str, Any], **more: Any) -> bytes:
    return json.dumps({"rows": list(rows), **more}).encode() + b"\n"


ROW = {"Date": "2026-03-01", "Line item ID": "11", "Ad unit": "a", "Impressions": 70, "Clicks": 1}

CASES: dict[str, tuple[dict[str, Any], bytes | str, str, str]] = {
    "gzip that ends in the middle": ({}, ZIP[:-20], "gzip_cut", "ends in the middle"),
    "gzip without its trailer": ({}, ZIP[:-8], "gzip_cut", "ends in the middle"),
    "gzip with another check sum": ({}, ZIP[:-8] + b"\0\0\0\0" + ZIP[-4:], "gzip_damaged", "damaged"),
    "no gzip at all": ({}, GOOD.encode(), "no_gzip", "not packed"),
    "nothing": ({}, b"", "empty", "empty"),
    "a missing column": ({}, GOOD.replace("Clicks", "Taps"), "columns", "no column Clicks"),
    "a column twice": ({}, GOOD.replace("Ad unit", "Clicks"), "columns", "Ad unit"),
    "a negative number": ({}, GOOD.replace(",70,", ",-70,"), "negative", "Line 11 has -70 impressions on 2026-03-01"),
    "a number with a fraction": ({}, GOOD.replace(",70,", ",70.5,"), "number", "Row 1 has '70.5' under Impressions"),
    "a number of another kind": ({}, GOOD.replace(",40,", ",forty,"), "number", "Row 3 has 'forty'"),
    "a day that is none": ({}, GOOD.replace("2026-03-02", "2026-02-30"), "day", "'2026-02-30'"),
    "no impressions": ({}, GOOD.replace(",70,", ",,"), "missing", "no impressions"),
    "a row without a line": ({}, GOOD.replace(",12,", ",,"), "missing", "no line"),
    "a row cut short": ({}, GOOD.removesuffix("\n"), "row_cut", "does not end"),
    "a row of too many cells": ({}, GOOD + "2026-03-02,12,a,1,1,9\n", "row", "cannot be read"),
    "a day of one line twice": ({}, GOOD + "2026-03-01,11,a,3,0\n", "twice", "2026-03-01 of line 11, ad_unit a twice"),
    "another currency": (MONEY, SEVEN + "2026-03-01,11,a,1,1,EUR,777\n", "currency", "currency 'EUR'"),
    "another network": (MONEY, SEVEN + "2026-03-01,11,a,1,1,USD,778\n", "network", "network '778'"),
    "a trailer that is not there": (TRAILED, GOOD.encode(), "no_trailer", "does not end with its row 'Total'"),
    "a trailer of more rows": (TRAILED, (GOOD + "Total,,4,120,2\n").encode(), "rows", "should have 4 rows and has 3"),
    "a trailer of another sum": (TRAILED, (GOOD + "Total,,3,121,2\n").encode(), "sums", "says 121"),
    "fewer rows than told": ({"complete_by": "rows"}, GOOD, "incomplete", "Nothing proves"),
    "pages of another network": (PAGED, page(ROW, network="9", complete=True), "network", "network '9'"),
    "pages that never end": (PAGED, page(ROW), "incomplete", "Nothing proves"),
    "a page after the last": (PAGED, page(ROW, complete=True) + page(ROW), "pages", "after the one"),
    "fewer rows than the pages say": (PAGED, page(ROW, complete=True, total_rows=2), "rows", "should have 2 rows"),
    "a page cut short": (PAGED, page(ROW, complete=True)[:-9], "json", "no JSON"),
    "a page without a column": (PAGED, page({**ROW, "Impressions": None}, complete=True), "number", "'None'"),
    "another zone": ({"zone": "Europe/Berlin"}, GOOD, "zone", "was America/New_York"),
    "cumulative among daily": (
        {"counting": "cumulative", "columns": {k: v for k, v in COLUMNS.items() if k != "ad_unit"}},
        GOOD,
        "counting",
        "cannot be mixed",
    ),
    "fewer days than before": ({}, HEAD + "2026-03-01,11,a,1,1\n2026-03-03,11,a,1,1\n", "gap", "no row for 2026-03-02"),
}


def test_bad_reports_are_refused_with_a_sentence_and_nothing_of_them_is_loaded(world: Any) -> None:
    world.load("ads", GOOD)
    before = world.everything()
    for name, (more, content, code, words) in CASES.items():
        world.source("ads", ReportShape.model_validate({**USUAL, **more}))
        with pytest.raises(ReportRefused) as refused:
            world.load("ads", content)
        assert refused.value.code == code, (name, str(refused.value))
        assert words in str(refused.value), (name, str(refused.value))
        assert "Nothing of the report of ads was loaded." in str(refused.value), name
        assert world.everything() == before, name


def test_reports_that_prove_themselves_whole_are_loaded(world: Any) -> None:
    cases: list[tuple[dict[str, Any], bytes | str, dict[str, Any]]] = [
        (TRAILED, (GOOD + "Total,,3,120,2\n").encode(), {}),
        ({"complete_by": "rows"}, GOOD, {"rows": 3}),
        (PAGED, page(ROW) + page({**ROW, "Line item ID": 12}, complete=True, total_rows=2, network=777), {}),
        (MONEY, SEVEN + '2026-03-01,11,"a ""x"",\ny",1,1,USD,777\n', {}),
        ({"day_format": "%d.%m.%Y"}, GOOD.replace("2026-03-01", "01.03.2026").replace("2026-03-02", "02.03.2026"), {}),
        ({"no_line": ("-", "0")}, GOOD + "2026-03-02,-,a,9,9\n2026-03-02,0,a,9,9\n", {}),
    ]
    span = {"since": date(2026, 3, 1), "until": date(2026, 3, 2)}
    for number, (more, content, told) in enumerate(cases):
        name = f"source{number}"
        world.know(name, "11", "12")
        world.source(name, ReportShape.model_validate({**USUAL, **more}))
        assert world.load(name, content, **told, **span).state == "loaded"
        assert world.newest(name)["lin_11", "2026-03-01"][0] in {70, 1}
        assert world.everything()["delivery_quarantine"] == []


def test_a_report_for_one_day_has_no_row_of_another(world: Any) -> None:
    with pytest.raises(ReportRefused, match="has a row for 2026-03-02"):
        world.load("ads", GOOD, since=date(2026, 3, 1), until=date(2026, 3, 1))


def test_a_tenfold_day_is_held_until_a_person_accepts_it(world: Any) -> None:
    days = HEAD + "".join(f"2026-03-0{day},11,a,{2000 + day},0\n" for day in (1, 2, 3))
    world.load("ads", days)
    before = world.everything()
    tenfold = HEAD + "2026-03-04,11,a,20500,0\n2026-03-04,12,a,999999,0\n"
    with pytest.raises(ReportHeld, match="over 10 times its largest other day of 2,003") as held:
        world.load("ads", tenfold)
    assert held.value.outliers == (("11", "2026-03-04", 20500, 2003, "impressions"),), (
        "line 12 has no other day to be compared with"
    )
    assert world.everything() == before
    assert world.load("ads", tenfold, accept_outliers=True).days_changed == 1
    assert world.newest("ads")["lin_11", "2026-03-04"] == (20500, 0)


def test_a_tenfold_day_that_was_accepted_is_not_held_again(world: Any) -> None:
    world.load("ads", GOOD)
    tenfold = HEAD + "2026-03-04,11,a,20500,0\n2026-03-04,12,a,5,0\n"
    world.load("ads", tenfold, accept_outliers=True)
    assert world.load("ads", tenfold.replace(",12,a,5,", ",12,a,6,")).days_changed == 1, "another line was restated"
    with pytest.raises(ReportHeld, match="20,501 impressions on 2026-03-04"):
        world.load("ads", tenfold.replace("20500", "20501"))
    world.load("ads", tenfold.replace("20500", "2000"))
    with pytest.raises(ReportHeld):
        world.load("ads", tenfold)  # it was taken back meanwhile


def test_a_tenfold_day_is_seen_within_one_report_too(world: Any) -> None:
    rows = HEAD + "2026-03-01,11,a,2000,0\n2026-03-02,11,a,30000,0\n2026-03-03,11,a,1000,0\n"
    with pytest.raises(ReportHeld, match="30,000 impressions on 2026-03-02"):
        world.load("ads", rows)
    assert world.newest("ads") == {}


def test_a_tenfold_day_of_clicks_is_held_before_a_line_paid_by_click_is_billed_for_it(world: Any) -> None:
    days = [f"2026-03-{day:02},11,a,50000,100" for day in range(1, 6)]
    with pytest.raises(ReportHeld, match="4,000,000 clicks on 2026-03-06, over 10 times its largest other day of 100"):
        world.load("ads", HEAD + "\n".join([*days, "2026-03-06,11,a,50000,4000000", ""]))
    assert world.newest("ads") == {}
    world.load("ads", HEAD + "\n".join([*days, ""]))
    with pytest.raises(ReportHeld, match="4,000,000 clicks"):
        world.load("ads", HEAD + "2026-03-06,11,a,50000,4000000\n")


@pytest.mark.parametrize("unit", ["completed_views", "viewable_impressions"])
def test_a_tenfold_day_of_views_is_held(world: Any, unit: str) -> None:
    columns = {
        "day": "Date",
        "line": "Line item ID",
        "ad_unit": "Ad unit",
        "impressions": "Impressions",
        "clicks": "Clicks",
    }
    world.declare("ads", columns=columns | {unit: "Seen"})
    rows = [f"2026-03-{day:02},11,a,50000,0,{300_000 if day == 3 else 900}" for day in range(1, 5)]
    with pytest.raises(ReportHeld, match=f"300,000 {unit.replace('_', ' ')} on 2026-03-03"):
        world.load("ads", HEAD.replace("Clicks", "Clicks,Seen") + "\n".join([*rows, ""]))


def test_a_restatement_of_a_final_day_is_told(world: Any) -> None:
    world.load("ads", GOOD, final=True)
    assert world.load("ads", GOOD.replace(",70,", ",71,")).final_restated == 1

"""Ad server, measurement company and buyer side by side: who counted, how, in which zone, and when it is final."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from hub.delivery.finality import asked, closes_at, finality, verdict
from hub.delivery.refusals import ReportRefused
from hub.delivery.shape import ReportShape
from hub.errors import NotFound, Refused
from hub.store import facts, partitions

BY_LINE: dict[str, Any] = {
    "columns": {"day": "Day", "line": "Placement", "impressions": "Imps"},
    "zone": "UTC",
    "counted_by": "measurement",
    "complete_by": "gzip",
    "line_ids": "ads",
}
TODATE = {**BY_LINE, "counting": "cumulative"}


def day(world: Any, source: str, number: int) -> str:
    return str(finality(world.session, source, date(2026, 3, number), date(2026, 3, number))[0].how)


def test_sources_stand_side_by_side_and_only_the_sellers_count_is_what_was_delivered(world: Any) -> None:
    world.source("measured", ReportShape.model_validate(BY_LINE))
    buyer = {**BY_LINE, "counted_by": "buyer", "line_ids": "orderhub", "zone": "Asia/Tokyo"}
    world.source("dsp", ReportShape.model_validate(buyer))
    with world.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO entity (kind, id, version, canonical, content_hash, source, native_id, name, accepted_at) "
            "VALUES ('line', 'lin_11', 1, '', gen_random_uuid(), 'sfdc', '1', 'Line', %s)",
            (world.clock.now(),),
        )
    world.load("ads", "Date,Line item ID,Ad unit,Impressions,Clicks\n2026-03-01,11,a,100,1\n")
    world.load("measured", "Day,Placement,Imps\n2026-03-01,11,90\n")
    world.load("dsp", "Day,Placement,Imps\n2026-03-01,lin_11,80\n")
    assert world.newest("measured") == {("lin_11", "2026-03-01"): (90, 0)}
    with world.session.database.transaction() as cur:
        assert facts.totals(cur, ["lin_11"]) == {"lin_11": 100}
        assert facts.total(cur) == 100
        measured = partitions.source(cur, "measured")
    assert measured is not None
    assert (measured.counted_by, measured.zone, measured.metrics) == ("measurement", "UTC", ("impressions",))


def test_counts_up_to_a_day_become_counts_of_the_day_across_reports(world: Any) -> None:
    world.source("measured", ReportShape.model_validate(TODATE))
    world.load("measured", "Day,Placement,Imps\n2026-03-02,11,250\n2026-03-01,11,100\n2026-03-01,99,7\n")
    world.load("measured", "Day,Placement,Imps\n2026-03-03,11,400\n2026-03-02,99,9\n2026-03-02,11,250\n")
    assert world.newest("measured") == {
        ("lin_11", "2026-03-01"): (100, 0),
        ("lin_11", "2026-03-02"): (150, 0),
        ("lin_11", "2026-03-03"): (150, 0),
    }
    quarantined = world.session.database.rows("SELECT day, impressions FROM delivery_quarantine ORDER BY 1")
    assert [row[1] for row in quarantined] == [7, 2]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ("2026-03-02,11,99\n", "fallen"),
        ("2026-03-04,11,300\n", "gap"),
        ("2026-03-02,11,120\n2026-03-02,11,130\n", "twice"),
    ],
)
def test_counts_up_to_a_day_that_cannot_be_taken_apart_are_refused(world: Any, rows: str, code: str) -> None:
    world.source("measured", ReportShape.model_validate(TODATE))
    world.load("measured", "Day,Placement,Imps\n2026-03-01,11,100\n")
    before = world.everything()
    with pytest.raises(ReportRefused) as refused:
        world.load("measured", "Day,Placement,Imps\n" + rows)
    assert refused.value.code == code
    assert world.everything() == before


def test_a_day_is_final_when_declared_or_when_a_report_comes_after_it_closed(world: Any) -> None:
    world.source("measured", ReportShape.model_validate({**BY_LINE, "closing_days": 3}))
    world.load("measured", "Day,Placement,Imps\n2026-03-06,11,90\n2026-03-07,11,90\n")  # as of the 10th, at noon
    assert (day(world, "measured", 5), day(world, "measured", 6), day(world, "measured", 7)) == (
        "missing",
        "closed",
        "open",
    )
    world.clock.time = datetime(2026, 3, 20, tzinfo=UTC)
    assert day(world, "measured", 7) == "open", "age alone closes nothing"
    world.load("measured", "Day,Placement,Imps\n2026-03-07,11,90\n")
    assert day(world, "measured", 7) == "closed", "the same numbers again confirm the day"
    world.load("measured", "Day,Placement,Imps\n2026-03-19,11,90\n")
    assert day(world, "measured", 19) == "open"
    world.load("measured", "Day,Placement,Imps\n2026-03-19,11,90\n", final=True)
    assert day(world, "measured", 19) == "declared"


def test_a_day_closes_at_midnight_of_the_networks_own_zone() -> None:
    assert closes_at(date(2026, 3, 7), "America/New_York", 1).astimezone(UTC) == datetime(2026, 3, 9, 4, tzinfo=UTC)
    closing = closes_at(date(2026, 3, 7), "America/New_York", 1)
    assert verdict(date(2026, 3, 7), "America/New_York", 1, closing, declared=False) == "closed"
    assert verdict(date(2026, 3, 7), "America/New_York", None, closing, declared=False) == "open"


def test_what_a_source_declares_must_hold_together() -> None:
    for wrong in (
        {"complete_by": "trailer"},
        {"complete_by": "flag"},
        {"currency": "USD"},
        {"zone": "Mars/Olympus"},
        {"columns": {"day": "Day", "line": "Day", "impressions": "Imps"}},
        {"counting": "cumulative", "columns": {**BY_LINE["columns"], "ad_unit": "Unit"}},
    ):
        with pytest.raises(ValueError, match="validation error"):
            ReportShape.model_validate({**BY_LINE, **wrong})


def test_no_day_at_all_and_no_source_at_all_are_never_answered_as_final(world: Any) -> None:
    first, last = date(2026, 3, 1), date(2026, 3, 2)
    assert [one.how for one in asked(world.session, "ads", first, last)] == ["missing", "missing"]
    with pytest.raises(Refused, match="lies before"):
        asked(world.session, "ads", last, first)
    with pytest.raises(NotFound, match="no connection 'asd'"):
        asked(world.session, "asd", first, last)

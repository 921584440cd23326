"""What has not arrived is told by day, source and line; what arrived early is not whole; restated days are read again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.main import app
from hub import Hub
from hub.config import ConnectionSettings
from hub.delivery.completeness import completeness, late_sources, running_lines, spans
from hub.encoding import fingerprint
from hub.errors import NotFound
from hub.store import facts, journal
from hub.store.arrivals import ExpectedLine
from hub.store.entities import NewVersion
from hub.sync.page_writes import PageWrites
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import World

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"
ORDER = canonical_id(EntityKind.ORDER, "sfdc", "spring")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def keep(world: World, kind: EntityKind, body: Any, status: str | None = None) -> None:
    with world.session.database.transaction() as cur:
        writes = PageWrites()
        writes.put(
            cur,
            NewVersion(
                kind=kind,
                entity_id=body.id,
                version=1,
                canonical=body.canonical_bytes(),
                content_hash=fingerprint(body.canonical_bytes()),
                source="sfdc",
                native_id=body.id,
                name=body.name,
                change_id=None,
                now=world.clock.now(),
                order_id=ORDER,
                status=status,
                external_id=None,
            ),
        )
        writes.flush(cur)


def order(world: World, status: CommercialStatus = CommercialStatus.BOOKED) -> None:
    keep(world, EntityKind.ORDER, Order(id=ORDER, name="Spring", currency="USD", status=status), status)


def line(
    world: World, vendor_id: str, first: str, last: str, source: str = "ads", zone: str = "UTC", name: str = ""
) -> str:
    """A line that runs on both days and those between, known to a source under a vendor's id."""
    line_id = canonical_id(EntityKind.LINE, "sfdc", vendor_id)
    ends = datetime.fromisoformat(last) + timedelta(days=1)
    body = Line(
        id=line_id,
        order_id=ORDER,
        name=name or f"Line {vendor_id}",
        flight=Flight(start=datetime.fromisoformat(first), end=ends, zone=zone),
        price=Price(method=CostMethod.CPM, rate=1_000_000, currency="USD"),
        goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=1000),
    )
    keep(world, EntityKind.LINE, body)
    with world.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO reference (connection, kind, entity_id, facet, record, vendor_id, account, since) "
            "VALUES (%s, 'line', %s, '1', 'LineItem', %s, 'n', %s)",
            (source, line_id, vendor_id, NOW),
        )
    return line_id


def declared(world: World, **changes: Any) -> None:
    """The source `ads`, whose network's day ends at midnight UTC, looking back ten days."""
    known = world.session.configuration.connections["ads"].report
    assert known is not None
    world.source("ads", known.model_copy(update={"zone": "UTC", "look_back_days": 10, **changes}))


def rows(vendor_id: str, first: str, last: str) -> str:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return HEAD + "".join(f"{day},{vendor_id},a,10,0\n" for day in days)


@pytest.fixture
def ran(world: World) -> World:
    """A booked order whose line 71 ran from the 3rd to the 20th; it is noon of the 10th of March."""
    declared(world)
    order(world)
    line(world, "71", "2026-03-03", "2026-03-20")
    return world


def test_days_that_no_report_covered_are_named_with_who_does_what(ran: World) -> None:
    ran.load("ads", rows("71", "2026-03-03", "2026-03-04"))
    ran.load("ads", rows("71", "2026-03-07", "2026-03-07"))
    (one,) = completeness(ran.session)
    assert (one.since, one.until, one.days_expected) == (date(2026, 2, 26), date(2026, 3, 8), 6)
    assert [(each.day.day, each.how, each.lines) for each in one.missing] == [
        (5, "missing", 1),
        (6, "missing", 1),
        (8, "missing", 1),
    ]
    assert not one.complete
    assert one.sentence == (
        "ads: 3 of 6 days have not arrived whole: 2026-03-05 to 2026-03-06, 2026-03-08. Pacing and bills do without them. "
        "Operations loads their report with `orderhub delivery load FILE --source ads`."
    )


def test_a_report_from_before_the_day_was_over_does_not_make_it_whole(ran: World) -> None:
    early = datetime(2026, 3, 8, 18, tzinfo=UTC)
    ran.load("ads", rows("71", "2026-03-03", "2026-03-08"), as_of=early)
    (one,) = completeness(ran.session)
    assert [(each.day.day, each.how, each.as_of) for each in one.missing] == [(8, "early", early)]
    assert "(1 of them only from before it was over)" in one.sentence
    ran.load("ads", rows("71", "2026-03-08", "2026-03-08"))
    assert completeness(ran.session)[0].complete


def test_an_empty_day_that_a_whole_report_covered_is_whole(ran: World) -> None:
    ran.load("ads", rows("71", "2026-03-03", "2026-03-05"), since=date(2026, 3, 3), until=date(2026, 3, 8))
    assert completeness(ran.session)[0].complete


def test_a_line_that_ran_and_was_never_named_is_named_here(ran: World) -> None:
    line(ran, "72", "2026-03-01", "2026-03-20")
    line(ran, "73", "2026-03-09", "2026-03-20")
    ran.load("ads", rows("71", "2026-03-01", "2026-03-08"), since=date(2026, 2, 26), until=date(2026, 3, 8))
    (one,) = completeness(ran.session)
    assert one.complete, "a line may have served nothing"
    assert (one.lines_expected, one.lines_silent) == (2, 1)
    assert [each.name for each in one.silent] == ["Line 72"]
    assert "Line 72" in one.sentence
    with ran.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO observation (connection, kind, entity_id, facet, observed, status, archived, observed_at) "
            "VALUES ('ads', 'line', %s, '1', '', 'paused', false, %s)",
            (one.silent[0].line_id, NOW),
        )
    assert completeness(ran.session)[0].lines_silent == 0, "a paused line is right to be silent"


def test_a_name_that_looks_like_a_flight_is_a_name(ran: World) -> None:
    said = '"flight":{"start":"2031-01-01T00:00:00","zone":"UTC"}'
    line(ran, "72", "2026-03-01", "2026-03-02", name=said)
    assert completeness(ran.session)[0].days_expected == 8


def test_a_day_is_not_missed_before_it_is_late(ran: World) -> None:
    ran.load("ads", rows("71", "2026-03-03", "2026-03-08"))
    ran.clock.time = datetime(2026, 3, 10, 23, 59, tzinfo=UTC)
    assert completeness(ran.session)[0].complete
    ran.clock.time = datetime(2026, 3, 11, 0, 0, tzinfo=UTC)
    (one,) = completeness(ran.session)
    assert [each.day.day for each in one.missing] == [9]


def test_the_end_of_a_day_is_that_of_the_sources_zone(ran: World) -> None:
    declared(ran, zone="Asia/Tokyo")
    ran.load("ads", rows("71", "2026-03-03", "2026-03-08"), as_of=datetime(2026, 3, 8, 15, tzinfo=UTC))
    (one,) = completeness(ran.session)
    assert (one.until, one.complete) == (date(2026, 3, 8), True), "the 8th ended in Tokyo at 15:00 UTC"
    # Midnight of the 3rd in UTC is 9 o'clock there; the flight ends on the morning of the 21st there.
    assert one.days_expected == 6


@pytest.mark.parametrize("status", [CommercialStatus.DRAFT, CommercialStatus.CANCELLED, CommercialStatus.ON_HOLD])
def test_nothing_is_expected_of_an_order_that_does_not_run(world: World, status: CommercialStatus) -> None:
    declared(world)
    order(world, status)
    line(world, "71", "2026-03-03", "2026-03-20")
    (one,) = completeness(world.session)
    assert (one.complete, one.days_expected, one.sentence) == (True, 0, "ads: no day is expected.")


def test_a_source_that_names_lines_by_another_systems_ids_is_expected_to_know_those(ran: World) -> None:
    known = ran.session.configuration.connections
    assert isinstance(known, dict)
    shape = known["ads"].report
    assert shape is not None
    measured = shape.model_copy(update={"line_ids": "ads", "folder": Path("/drop"), "look_back_days": 3})
    known["measured"] = ConnectionSettings(connector="report-api", report=measured)
    known["buyer"] = ConnectionSettings(connector="report-api", report=shape.model_copy(update={"look_back_days": 3}))
    ours = shape.model_copy(update={"line_ids": "orderhub", "look_back_days": 3})
    known["by-our-ids"] = ConnectionSettings(
        connector="report-api", settings={"url": "https://reports.example"}, report=ours
    )
    by_name = {one.source: one for one in completeness(ran.session)}
    assert by_name["measured"].days_expected == by_name["by-our-ids"].days_expected == 4
    assert by_name["buyer"].days_expected == 0, "it was told of no line"
    assert "put those days into /drop" in by_name["measured"].sentence
    assert (
        "orderhub delivery fetch --source by-our-ids --since 2026-03-05 --until 2026-03-08"
        in by_name["by-our-ids"].sentence
    )


def test_a_connectors_own_reports_count_days_before_their_last(world: World) -> None:
    known = world.session.configuration.connections
    assert isinstance(known, dict)
    del known["ads"]
    known["gam-main"] = ConnectionSettings(connector="gam", delivery_look_back_days=5)
    order(world)
    line(world, "71", "2026-03-03", "2026-03-20", source="gam-main", zone="America/New_York")
    (one,) = completeness(world.session)
    assert (one.until, len(one.missing)) == (date(2026, 3, 8), 6)
    assert "orderhub pull gam-main --delivery" in one.sentence
    as_of = datetime(2026, 3, 8, 6, tzinfo=UTC)
    with world.session.database.transaction() as cur:
        facts.add_job(cur, "gam-main", "j1", date(2026, 3, 1), date(2026, 3, 8), as_of, "loaded", as_of)
    (one,) = completeness(world.session)
    assert [(each.day.day, each.how) for each in one.missing] == [(8, "early")]
    late = datetime(2026, 3, 10, 6, tzinfo=UTC)
    with world.session.database.transaction() as cur:
        facts.add_job(cur, "gam-main", "j2", date(2026, 3, 5), date(2026, 3, 10), late, "loaded", late)
    assert completeness(world.session)[0].complete
    assert late_sources(world.session) == []


def test_status_names_what_is_missing_and_asks_little_while_everything_arrives(ran: World) -> None:
    hub = Hub(ran.session)
    (sentence,) = hub.status().delivery_missing
    assert sentence.startswith("ads: 6 of 6 days have not arrived whole: 2026-03-03 to 2026-03-08.")
    ran.load("ads", rows("71", "2026-03-03", "2026-03-09"))
    assert hub.status().delivery_missing == []


def test_a_question_about_what_counts_nothing_names_those_that_count(ran: World) -> None:
    with pytest.raises(NotFound, match=r"counts no delivery.*These do: ads"):
        completeness(ran.session, "sfdc")


def test_a_restated_day_within_the_look_back_is_a_new_version_and_an_unchanged_one_writes_nothing(ran: World) -> None:
    ran.load("ads", rows("71", "2026-03-03", "2026-03-08"))
    before = ran.everything()
    again = ran.load("ads", rows("71", "2026-03-03", "2026-03-08"))
    assert (again.days_changed, again.facts_new, again.facts_restated) == (0, 0, 0)
    assert ran.everything()["delivery_day"] == before["delivery_day"]
    restated = ran.load(
        "ads", rows("71", "2026-03-03", "2026-03-08").replace("2026-03-06,71,a,10", "2026-03-06,71,a,9")
    )
    assert (restated.days_changed, restated.facts_restated) == (1, 1)
    assert len(ran.everything()["delivery_superseded"]) == 1


def test_the_command_ends_with_1_while_something_is_missing(ran: World, tmp_path: Path) -> None:
    shape = ran.session.configuration.connections["ads"].report
    assert shape is not None
    config = tmp_path / "orderhub.yaml"
    connections = {"ads": {"connector": "gam", "report": shape.model_dump(mode="json", exclude_none=True)}}
    settings = {"store": {"url": ran.session.database.url}, "connections": connections, "business_clock": "store"}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with ran.session.database.transaction() as cur:
        journal.set_business_time(cur, NOW)
    result = CliRunner().invoke(app, ["delivery", "complete", "--config", str(config), "--json"])
    assert result.exit_code == 1, result.output
    (source,) = json.loads(result.stdout)["sources"]
    assert (source["source"], len(source["missing"])) == ("ads", 6)
    shown = CliRunner().invoke(app, ["delivery", "complete", "--config", str(config)])
    assert "Operations loads their report" in " ".join(shown.stdout.split())
    ran.load("ads", rows("71", "2026-03-03", "2026-03-09"))
    assert CliRunner().invoke(app, ["delivery", "complete", "--config", str(config)]).exit_code == 0


DAYS = st.dates(date(2026, 1, 1), date(2026, 2, 1))


@given(st.lists(st.tuples(DAYS, DAYS).map(sorted), max_size=8))
def test_running_lines_are_those_that_a_slow_count_finds(flights: list[list[date]]) -> None:
    lines = [ExpectedLine(str(number), "", first, last) for number, (first, last) in enumerate(flights)]
    every = [date(2026, 1, 1) + timedelta(days=number) for number in range(40)]
    slow = {day: sum(one.first <= day <= one.last for one in lines) for day in every}
    assert running_lines(lines) == {day: count for day, count in slow.items() if count}


def test_days_in_words() -> None:
    days = [date(2026, 3, day) for day in (1, 2, 3, 5, 7, 8)]
    assert spans(days) == ["2026-03-01 to 2026-03-03", "2026-03-05", "2026-03-07 to 2026-03-08"]
    assert spans([]) == []

"""What a source's reports are worth to billing: side by side, final only when whole reports say so, unknown units unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hub.billing.counts import live_days
from hub.config import ConnectionSettings
from oms_schema.billing_terms import BillingSource, Finality
from oms_schema.delivery import BillingPeriod
from oms_schema.line import CostMethod, Flight, GoalUnit

if TYPE_CHECKING:
    from conftest import Office

FEBRUARY = BillingPeriod.month(2026, 2)


def second_server(office: Office) -> None:
    known = office.hub.session.configuration.connections
    assert isinstance(known, dict)
    known["video"] = ConnectionSettings(connector="report_api", report=known["ads"].report)


def test_two_ad_servers_of_the_seller_are_added_up(office: Office) -> None:
    second_server(office)
    line = office.line(office.order())
    office.delivered(line, 300_000)
    office.delivered(line, 200_000, source="video")
    assert office.close().sums["USD"].invoiced == Decimal("6000.00")
    assert "ads+video" in dict(office.hub.billing.why(line, "2026-02").steps)["source"]


def test_one_of_two_ad_servers_that_is_not_final_holds_the_line(office: Office) -> None:
    second_server(office)
    line = office.line(office.order(finality=Finality.DECLARED))
    office.delivered(line, 300_000)
    office.delivered(line, 200_000, source="video", final=False)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}
    office.delivered(line, 200_000, source="video", final=True)
    assert office.close().complete


def test_a_measurement_is_never_added_to_the_sellers_count(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    office.delivered(line, 490_000, source="moat")
    assert office.close().sums["USD"].invoiced == Decimal("6000.00")


def test_a_unit_that_no_source_reports_is_unknown_and_not_zero(office: Office) -> None:
    line = office.line(
        office.order(), rate="0.05", method=CostMethod.CPCV, unit=GoalUnit.COMPLETED_VIEWS, goal=1_000_000
    )
    office.delivered(line, 500_000)
    assert dict(office.close().blocked) == {"NO-REPORT": 1}


def test_a_month_whose_last_days_no_report_covered_is_not_final(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000, month="2026-02")
    with office.hub.session.database.transaction() as cur:
        cur.execute("UPDATE delivery_report SET until = '2026-02-20'")
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}


def test_other_numbers_than_the_declared_ones_are_not_final_before_the_source_says_so_again(office: Office) -> None:
    line = office.line(office.order(finality=Finality.DECLARED))
    office.delivered(line, 500_000)
    shown = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", shown.review_hash, by="Grace")
    office.delivered(line, 510_000, final=False)
    done = office.close()
    assert (dict(done.blocked), done.invoices) == ({"NOT-FINAL": 1}, 0)
    office.delivered(line, 510_000)
    assert office.close().complete
    office.delivered(line, 490_000, final=False)
    assert (dict(office.close().blocked), office.erp.total()) == ({"NOT-FINAL": 1}, Decimal("6120.00"))
    office.delivered(line, 490_000)
    assert office.close().credits == 1


def test_declared_terms_wait_for_the_sources_own_word_however_old_the_month(office: Office) -> None:
    line = office.line(office.order(finality=Finality.DECLARED))
    office.clock.time += timedelta(days=90)
    office.delivered(line, 500_000, final=False)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}
    assert "has not declared" in dict(office.hub.billing.why(line, "2026-02").steps)["final"]


def test_an_empty_day_that_was_reported_before_it_ended_is_not_taken_for_declared(office: Office) -> None:
    line = office.line(office.order(finality=Finality.DECLARED))
    office.clock.time = office.clock.now().replace(month=2, day=28)
    office.delivered(line, 500_000)
    office.clock.time = office.clock.now().replace(month=3, day=10)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}
    office.delivered(line, 500_000)
    assert office.close().complete


def test_delivery_in_the_measurement_window_counts_into_the_lines_last_month(office: Office) -> None:
    line = office.line(office.order(measurement_window_days=5))
    office.report({line: {"10": 400_000}})
    office.clock.time += timedelta(days=5)
    office.report({line: {"03": 50_000, "09": 70_000}}, month="2026-03")
    assert office.close().sums["USD"].invoiced == Decimal("5400.00"), "3 March lies in the window, 9 March does not"


def test_a_silent_third_party_falls_back_only_when_the_terms_let_it(office: Office) -> None:
    strict = office.line(office.order("Strict", source=BillingSource.THIRD_PARTY))
    lenient = office.line(office.order("Lenient", source=BillingSource.THIRD_PARTY, fallback_days=5))
    office.report({strict: {"10": 500_000}, lenient: {"10": 500_000}})
    done = office.close()
    assert dict(done.blocked) == {"NO-REPORT": 1}
    assert (office.status(strict), office.status(lenient)) == ("awaiting_final", "invoiced")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-02-10T00:00", "2026-02-20T00:00", ("2026-02-10", "2026-02-19")),
        ("2026-01-10T00:00", "2026-02-20T00:01", ("2026-02-01", "2026-02-20")),
        ("2026-01-10T00:00", "2026-02-01T00:00", None),
        ("2026-02-28T23:00", None, ("2026-02-28", "2026-02-28")),
        ("2026-03-01T00:00", None, None),
    ],
)
def test_live_days_follow_the_flights_own_hours(start: str, end: str | None, expected: tuple[str, str] | None) -> None:
    until = None if end is None else datetime.fromisoformat(end)
    flight = Flight(start=datetime.fromisoformat(start), end=until, zone="UTC")
    days = live_days(flight, FEBRUARY)
    assert (None if days is None else (days[0].isoformat(), days[1].isoformat())) == expected

"""Days on which a network's calendar and the flight's disagree: every impression of a flight counts into exactly one period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.billing.cases import cycles_of
from hub.billing.counts import LineCycles, spans
from hub.billing.rules.window import day_of, period_of, ran_on
from oms_schema.billing_terms import BillingTerms, Finality
from oms_schema.delivery import BillingPeriod
from oms_schema.line import Flight

if TYPE_CHECKING:
    from conftest import Office

ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kolkata")
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"


def counting_in(office: Office, zone: str, until: str = "2026-03-31") -> None:
    """The seller's ad server counts in another zone, and reported all days around February."""
    with office.hub.session.database.transaction() as cur:
        cur.execute("UPDATE delivery_source SET zone = %s", (zone,))
        cur.execute("UPDATE delivery_report SET since = '2026-01-01', until = %s", (until,))


def counted_on(office: Office, line: str, day: date, impressions: int) -> None:
    with office.hub.session.database.transaction() as cur:
        cur.execute(
            "INSERT INTO delivery_day (source, line_id, day, as_of, impressions, clicks, completed_views, viewable_impressions) "
            "VALUES ('ads', %s, %s, now(), %s, 0, 0, 0)",
            (line, day, impressions),
        )


@pytest.mark.parametrize(
    ("start", "end", "zone", "day"),
    [
        # 02:23 UTC on the first is the last evening of January in New York, the first day of the flight there.
        (datetime(2026, 2, 1, 2, 23), datetime(2026, 2, 20), NEW_YORK, date(2026, 1, 31)),  # noqa: DTZ001
        # The last hours of February in UTC are a morning in March in Tokyo.
        (datetime(2026, 2, 3), datetime(2026, 3, 1), TOKYO, date(2026, 3, 1)),  # noqa: DTZ001
    ],
)
def test_hours_that_the_network_puts_into_a_month_without_the_line_are_billed(
    office: Office, start: datetime, end: datetime, zone: str, day: date
) -> None:
    line = office.line(office.order(), start=start, end=end)
    office.delivered(line, 400_000)
    counting_in(office, zone)
    counted_on(office, line, day, 100_000)
    assert office.close().sums["USD"].invoiced == Decimal("6000.00")


@pytest.mark.parametrize("day", [date(2026, 1, 30), date(2026, 2, 28)])
def test_days_of_the_network_on_which_the_flight_did_not_run_stay_outside(office: Office, day: date) -> None:
    """A day before the flight in a month without it is not billed; one in its month is, as before."""
    line = office.line(office.order(), start=datetime(2026, 2, 1, 2, 23), end=datetime(2026, 2, 20))  # noqa: DTZ001
    office.delivered(line, 400_000)
    counting_in(office, NEW_YORK)
    counted_on(office, line, day, 100_000)
    billed = {1: "4800.00", 2: "6000.00"}[day.month]
    assert office.close().sums["USD"].invoiced == Decimal(billed)


def test_a_month_waits_for_the_networks_own_day_before_it(office: Office) -> None:
    line = office.line(
        office.order(finality=Finality.DECLARED),
        start=datetime(2026, 2, 1, 2, 23),  # noqa: DTZ001
        end=datetime(2026, 2, 20),  # noqa: DTZ001
    )
    office.delivered(line, 400_000)
    counting_in(office, NEW_YORK)
    with office.hub.session.database.transaction() as cur:
        cur.execute("UPDATE delivery_report SET since = '2026-02-01'")
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}


MOMENT = st.integers(0, 120 * 24 * 60)


@given(
    start=st.integers(0, 70 * 24) | st.sampled_from([31 * 24, 59 * 24, 59 * 24 + 2]),
    hours=st.integers(1, 60 * 24) | st.sampled_from([24, 28 * 24, 59 * 24]),
    zone=st.sampled_from(ZONES),
    network=st.sampled_from(ZONES),
    window=st.sampled_from([0, 1, 7]),
    open_ended=st.booleans(),
    moments=st.lists(MOMENT, min_size=1, max_size=40),
)
def test_every_impression_of_a_flight_is_in_exactly_one_period(
    start: int, hours: int, zone: str, network: str, window: int, open_ended: bool, moments: list[int]
) -> None:
    """Sums preserved: whatever the network's zone, the periods' counts add up to what was delivered while the flight ran."""
    begins = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=start)
    ends = begins + timedelta(hours=hours)
    flight = Flight.between(begins, None if open_ended else ends, zone)
    terms = BillingTerms(measurement_window_days=window)
    cycles = cycles_of(flight, BillingPeriod.month(2026, 6))
    found = [
        one
        for one in spans(LineCycles("line", flight, terms, cycles), sorted({zone, network}))
        if one.zone in (None, network)
    ]
    edges = [begins, ends - timedelta(microseconds=1)]
    within = [begins + timedelta(minutes=moment % (hours * 60)) for moment in moments]
    for instant in (*edges, *within):
        day = day_of(instant, network)
        places = [one.place for one in found if one.since <= day < one.until]
        assert len(places) == 1, (day, found)
        assert cycles[places[0]] == period_of(day, cycles, terms, ran_on(flight, network))


def test_an_open_flight_counts_a_day_into_one_month_whichever_is_asked_for() -> None:
    """The month that is asked for is not a last one, so no window of later days belongs to it."""
    flight = Flight(start=datetime(2026, 1, 1), zone="UTC")  # noqa: DTZ001
    line = LineCycles("line", flight, BillingTerms(measurement_window_days=7), cycles_of(flight, FEBRUARY))
    assert [(one.since, one.until) for one in spans(line, ["UTC"])][-1] == (date(2026, 2, 1), date(2026, 3, 1))


FEBRUARY = BillingPeriod.month(2026, 2)

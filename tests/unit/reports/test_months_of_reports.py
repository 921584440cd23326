"""A report's month is the one that is billed: no row contradicts an invoice where the network's day is not the flight's."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hub.billing.rules import monthly_cycles
from hub.billing.rules.window import period_of, ran_on
from hub.store import entities
from oms_schema.billing_terms import BillingTerms
from oms_schema.ids import EntityKind
from oms_schema.line import Flight, Line

if TYPE_CHECKING:
    from conftest import Office

LATE = datetime.fromisoformat("2027-01-01")
ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Etc/GMT+12")


def counted_in(office: Office, zone: str) -> None:
    with office.hub.session.database.transaction() as cur:
        cur.execute("UPDATE delivery_source SET zone = %s WHERE source = 'ads'", (zone,))
        cur.execute("UPDATE delivery_report SET since = '2026-01-01', until = '2026-03-31'")


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
        (datetime(2026, 2, 1, 2, 23), datetime(2026, 2, 20), "America/New_York", date(2026, 1, 31)),  # noqa: DTZ001
        (datetime(2026, 2, 3), datetime(2026, 3, 1), "Asia/Tokyo", date(2026, 3, 1)),  # noqa: DTZ001
    ],
)
def test_what_is_billed_at_a_months_border_is_delivered_in_the_same_row(
    office: Office, start: datetime, end: datetime, zone: str, day: date
) -> None:
    line = office.line(office.order(), start=start, end=end)
    office.delivered(line, 400_000)
    counted_in(office, zone)
    counted_on(office, line, day, 100_000)
    office.close()
    rows = office.rows("SELECT period_start, delivered_units, billed_units, delivered, billed FROM report.line_month")
    assert rows == [(date(2026, 2, 1), 500_000, 500_000, Decimal(6000), Decimal(6000))]
    assert office.rows("SELECT not_calculated FROM report.month") == [(0,)]
    assert office.rows("SELECT period_start, impressions FROM report.source_month") == [(date(2026, 2, 1), 500_000)]


def test_late_delivery_within_the_measurement_window_is_in_the_month_that_bills_it(office: Office) -> None:
    of_order = office.line(office.order("A", measurement_window_days=3))
    of_nobody = office.line(office.order("B"))
    office.report({of_order: {"10": 1_000}, of_nobody: {"10": 1_000}})
    for line in (of_order, of_nobody):
        counted_on(office, line, date(2026, 3, 3), 10)
        counted_on(office, line, date(2026, 3, 4), 7)
    found = office.rows("SELECT line_id, period_start, impressions FROM report.source_month ORDER BY 2, 3")
    february, march = date(2026, 2, 1), date(2026, 3, 1)
    assert set(found) == {
        *((of_order, february, 1_010), (of_order, march, 7)),
        *((of_nobody, february, 1_000), (of_nobody, march, 17)),
    }


def test_every_day_is_in_the_month_that_the_rules_say(office: Office) -> None:
    chance = random.Random(17)
    expected: Counter[tuple[str, date]] = Counter()
    lines = []
    for number in range(60):
        begins = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(
            hours=chance.choice((0, 31 * 24, chance.randrange(1_400)))
        )
        ends = begins + timedelta(hours=chance.choice((24, 28 * 24, chance.randrange(1, 1_400))))
        flight = Flight.between(begins, None if number % 7 == 0 else ends, chance.choice(ZONES))
        line = office.line(office.order(f"O{number}", measurement_window_days=chance.choice((0, 2))))
        lines.append((line, flight))
    office.report({line: {} for line, _ in lines})
    network = chance.choice(ZONES[1:])
    counted_in(office, network)
    for line, flight in lines:
        with office.hub.session.database.transaction() as cur:
            stored = entities.get(cur, EntityKind.LINE, line)
        assert stored is not None
        body = Line.from_bytes(stored.canonical).model_copy(update={"flight": flight})
        office.keep(EntityKind.LINE, line, body, body.name, order_id=body.order_id)
        for _ in range(12):
            around = (
                flight.start_instant() if chance.random() < 0.5 else (flight.end_instant() or flight.start_instant())
            )
            day = around.date() + timedelta(days=chance.randrange(-3, 4))
            if (line, day) in expected:
                continue
            expected[line, day] = chance.randrange(1, 10**6)
            counted_on(office, line, day, expected[line, day])
    windows = {
        row[0]: row[1]
        for row in office.rows(
            "SELECT l.id, (convert_from(o.canonical, 'UTF8')::jsonb->'terms'->>'measurement_window_days')::int FROM entity l "
            "JOIN entity o ON o.id = l.order_id AND o.kind = 'order' WHERE l.kind = 'line'"
        )
    }
    wanted: Counter[tuple[str, date]] = Counter()
    moved = 0
    for line, flight in lines:
        cycles = monthly_cycles(flight if flight.end is not None else flight.model_copy(update={"end": LATE}))
        for (known, day), count in expected.items():
            if known != line:
                continue
            terms_of = BillingTerms(measurement_window_days=windows[line] or 0)
            period = period_of(day, cycles, terms_of, ran_on(flight, network))
            month = day.replace(day=1) if period is None else period.start
            moved += month != day.replace(day=1)
            wanted[line, month] += count
    found = office.rows("SELECT line_id, period_start, impressions FROM report.source_month WHERE impressions > 0")
    assert {(line, month): count for line, month, count in found} == dict(wanted)
    assert moved > 10

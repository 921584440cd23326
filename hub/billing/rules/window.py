"""The measurement window: which period a day of delivery counts into, when its numbers are final, when a fallback is due.

A source counts by the days of its own zone, periods are months of the flight's. A day counts into the month of its name; at a
line's edges, where the source's day may lie in a month that the line does not have, `ran_on` says which days are the flight's.
A day lies in exactly one period, or in none, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from oms_schema.billing_terms import BillingTerms, Finality
from oms_schema.delivery import BillingPeriod
from oms_schema.line import Flight
from oms_schema.local_time import zone


def day_of(instant: datetime, zone_name: str) -> date:
    """The calendar day of an instant in a zone: 03:00 UTC on 1 January is 31 December in New York.

    ValueError when the instant is naive, NoSuchZone when the zone is unknown.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(zone(zone_name)).date()


def ran_on(flight: Flight, zone_name: str) -> tuple[date, date | None]:
    """The first and the last day on which a flight ran by the calendar of a zone; no last one when it has no end.

    A flight from 02:23 UTC on 1 March begins on 29 February (2020) in New York.
    """
    end = flight.end_instant()
    last = None if end is None else day_of(end - timedelta(microseconds=1), zone_name)
    return day_of(flight.start_instant(), zone_name), last


def period_of(
    day: date, cycles: Sequence[BillingPeriod], terms: BillingTerms, ran: tuple[date, date | None] | None = None
) -> BillingPeriod | None:
    """The period that a day's delivery counts into, None when it is outside the line.

    Delivery in the window after the line's last period (an ad server that goes on to make up for under-delivery) counts
    into that last one; within the line a late day has a period of its own. `ran` are the flight's days by the source's
    calendar: those before the first period count into the first, those after the last one into the last. An open flight has
    no last period.
    """
    if not cycles:
        return None
    for cycle in cycles:
        if day in cycle:
            return cycle
    first, last = cycles[0], cycles[-1]
    if day < first.start:
        return first if ran is not None and ran[0] <= day else None
    return last if day < counted_until(last, terms, ran) else None


def counted_until(last: BillingPeriod, terms: BillingTerms, ran: tuple[date, date | None] | None = None) -> date:
    """Up to which day, exclusive, delivery counts into a line's last period; `ran` as in `period_of`."""
    if ran is None:
        return last.end + timedelta(days=terms.measurement_window_days)
    if ran[1] is None:
        return last.end
    return max(last.end + timedelta(days=terms.measurement_window_days), ran[1] + timedelta(days=1))


def closes_on(period: BillingPeriod, terms: BillingTerms) -> date:
    """The first day on which our own closing rule takes the period's numbers for final: window and settling days over."""
    return period.end + timedelta(days=terms.measurement_window_days + terms.finality_days)


def is_final(period: BillingPeriod, terms: BillingTerms, *, declared: bool, today: date) -> bool:
    """Whether a source's numbers for the period may be billed: it said so, or the terms let time decide and it has passed.

    Under `Finality.DECLARED` time never makes a number final (AdCP: nothing is invoiced on `final: false` or absent).
    """
    return declared or (terms.finality is Finality.AFTER_WINDOW and today >= closes_on(period, terms))


def fallback_due(period: BillingPeriod, terms: BillingTerms, today: date) -> bool:
    """Whether the terms let the seller's own count stand in for a contracted source that is still silent."""
    return terms.fallback_days is not None and today >= period.end + timedelta(days=terms.fallback_days)

"""The measurement window: which period a day of delivery counts into, when its numbers are final, when a fallback is due.

Days of the delivery and of the periods are days of the order's billing calendar; whoever reads facts moves them to its
zone first (`day_of`). A day lies in exactly one period, or in none, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from oms_schema.billing_terms import BillingTerms, Finality
from oms_schema.delivery import BillingPeriod
from oms_schema.local_time import zone


def day_of(instant: datetime, zone_name: str) -> date:
    """The calendar day of an instant in a zone: 03:00 UTC on 1 January is 31 December in New York.

    ValueError when the instant is naive, NoSuchZone when the zone is unknown.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(zone(zone_name)).date()


def period_of(day: date, cycles: Sequence[BillingPeriod], terms: BillingTerms) -> BillingPeriod | None:
    """The period that a day's delivery counts into, None when it is outside the line.

    Delivery in the window after the line's last period (an ad server that goes on to make up for under-delivery) counts
    into that last one; within the line a late day has a period of its own.
    """
    for cycle in cycles:
        if day in cycle:
            return cycle
    if cycles and cycles[-1].end <= day < cycles[-1].end + timedelta(days=terms.measurement_window_days):
        return cycles[-1]
    return None


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

"""Schedules that bill the contract's value: prepaid, at the end, straightline, prorated by time.

Google Ad Manager's `BillingSchedule` words. Each period but the last is rounded on its own and the remainder falls on the
last one (Salesforce Billing's "Last Period", ADvendio), so the periods' sum is the contract's value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from hub.billing.rules import rounding
from hub.billing.rules.spread import by_weight, evenly, time_weights
from oms_schema.billing_terms import BillingSchedule
from oms_schema.delivery import BillingPeriod
from oms_schema.line import Flight
from oms_schema.money import Money


def amounts(
    schedule: BillingSchedule, value: Money, flight: Flight, cycles: Sequence[BillingPeriod]
) -> tuple[Money, ...]:
    """The part of a rounded contract value that each cycle bills. ValueError when the flight does not lie in the cycles.

    Cycles before and after the flight bill nothing. A tiny value may be used up before the last period (0.03 over six
    months is 0.01, 0.01, 0.01, 0, 0, 0), because no period is ever billed below zero.
    """
    weights = _weights(schedule, flight, cycles)
    last = max(place for place, weight in enumerate(weights) if weight)
    left = value.micros
    parts: list[Money] = []
    for place, weight in enumerate(weights):
        part = left if place == last else min(left, rounding.share(value, weight, sum(weights)).micros)
        parts.append(Money(micros=part, currency=value.currency))
        left -= part
    return tuple(parts)


def until(ends_on: date, cycles: Sequence[BillingPeriod]) -> tuple[BillingPeriod, ...]:
    """The cycles with the one that holds the first day not owed cut in two before that day."""
    parts: list[BillingPeriod] = []
    for cycle in cycles:
        if cycle.start < ends_on < cycle.end:
            parts += (BillingPeriod(start=cycle.start, end=ends_on), BillingPeriod(start=ends_on, end=cycle.end))
        else:
            parts.append(cycle)
    return tuple(parts)


def quantities(
    schedule: BillingSchedule, quantity: int, flight: Flight, cycles: Sequence[BillingPeriod]
) -> tuple[int, ...]:
    """The contracted units that go with each cycle's amount, by largest remainder. ValueError as `amounts`."""
    weights = _weights(schedule, flight, cycles)
    if schedule is BillingSchedule.STRAIGHTLINE:
        places = [place for place, weight in enumerate(weights) if weight]
        even = dict(zip(places, evenly(quantity, len(places)), strict=True))
        return tuple(even.get(place, 0) for place in range(len(weights)))
    return by_weight(quantity, weights)


def _weights(schedule: BillingSchedule, flight: Flight, cycles: Sequence[BillingPeriod]) -> tuple[int, ...]:
    times = time_weights(flight, cycles)
    live = [place for place, duration in enumerate(times) if duration]
    if schedule is BillingSchedule.PRORATED:
        return times
    if schedule is BillingSchedule.STRAIGHTLINE:
        billed = live
    elif schedule is BillingSchedule.PREPAID:
        billed = live[:1]
    elif schedule is BillingSchedule.END_OF_CAMPAIGN:
        billed = live[-1:]
    else:
        raise ValueError(f"{schedule.value} bills what was delivered and spreads no contract value")
    return tuple(int(place in billed) for place in range(len(cycles)))

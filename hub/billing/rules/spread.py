"""A whole spread over periods without losing anything: evenly, by time, or by the flights' own goals.

Time is local wall-clock time of the flight's zone: a day has 24 hours there also when the clocks change, so a fee for 50
days costs the same per day in every zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum

from oms_schema.delivery import BillingPeriod
from oms_schema.line import Flight, Goal, GoalMeasure

_MICROSECOND = timedelta(microseconds=1)


class Regoal(StrEnum):
    """Where a past shortfall goes (FreeWheel's three words for an imbalance)."""

    PROPORTIONAL = "proportional"
    NEXT_PERIOD = "next_period"
    LAST_PERIOD = "last_period"


def by_weight(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Whole units by largest remainder, the sum kept; of equal remainders the later place is served first.

    ValueError when the total or a weight is negative, or no weight is positive.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("a quantity and its weights are never negative")
    whole = sum(weights)
    if whole == 0:
        raise ValueError("a spread needs at least one positive weight")
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (total * weights[i] % whole, i), reverse=True)
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return tuple(parts)


def evenly(total: int, places: int) -> tuple[int, ...]:
    """Equal whole parts, what is left over in the last places (100,000 in four: 25,000 each)."""
    return by_weight(total, [1] * places)


def live_time(start: datetime, end: datetime | None, period: BillingPeriod) -> int:
    """Microseconds of local time that a flight runs within the period; no end means until the period's."""
    first = max(start.replace(tzinfo=None, fold=0), datetime.combine(period.start, time()))
    last = datetime.combine(period.end, time())
    if end is not None:
        last = min(last, end.replace(tzinfo=None, fold=0))
    return max(0, (last - first) // _MICROSECOND)


def time_weights(flight: Flight, cycles: Sequence[BillingPeriod]) -> tuple[int, ...]:
    """The flight's local time in each cycle. ValueError when the flight has no end or runs outside the cycles."""
    if flight.end is None:
        raise ValueError("the flight has no end, so no share of it can be told")
    weights = tuple(live_time(flight.start, flight.end, cycle) for cycle in cycles)
    length = (flight.end.replace(tzinfo=None, fold=0) - flight.start.replace(tzinfo=None, fold=0)) // _MICROSECOND
    if sum(weights) != length or length <= 0:
        raise ValueError("the billing cycles do not cover the flight")
    return weights


def cycle_quantities(
    total: int, flight: Flight, flights: Sequence[Flight], goal: Goal, cycles: Sequence[BillingPeriod]
) -> tuple[int, ...]:
    """The contracted quantity of each cycle: the flights' own goals where all state one in the goal's unit, else by time.

    A flight that runs over several cycles gives each its share by time. ValueError as `time_weights`.
    """
    goals = [quantity for part in flights if (quantity := _count(part.goal, goal)) is not None]
    if goals and len(goals) == len(flights) and sum(goals) == total:
        parts = [by_weight(quantity, time_weights(part, cycles)) for part, quantity in zip(flights, goals, strict=True)]
        return tuple(sum(part[place] for part in parts) for place in range(len(cycles)))
    return by_weight(total, time_weights(flight, cycles))


def regoaled(shortfall: int, remaining: Sequence[int], how: Regoal) -> tuple[int, ...]:
    """New goals of the remaining periods after a shortfall (a negative one is a surplus); the sum moves by exactly it.

    A surplus larger than a period's goal takes that goal to zero and goes on to the next. ValueError when no period is left
    or the surplus is more than all of them.
    """
    if not remaining:
        raise ValueError("no period is left to carry the shortfall")
    left = sum(remaining)
    if shortfall < -left:
        raise ValueError("the surplus is more than what is left to deliver")
    if how is Regoal.PROPORTIONAL and left > 0:
        return by_weight(left + shortfall, remaining)
    goals = list(remaining)
    places = range(len(goals)) if how is not Regoal.LAST_PERIOD else range(len(goals) - 1, -1, -1)
    for place in places:
        moved = max(shortfall, -goals[place])
        goals[place] += moved
        shortfall -= moved
        if not shortfall:
            break
    return tuple(goals)


def _count(part: Goal | None, goal: Goal) -> int | None:
    if part is None or part.unit is not goal.unit or part.measure is not GoalMeasure.COUNT:
        return None
    return part.quantity

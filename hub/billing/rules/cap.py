"""Caps: how much of what was delivered may be billed, cycle by cycle; the rest is a bonus.

The four modes are Google Ad Manager's `BillingCap` (v202105). Its fifth value, with rollover, carries the same text as
another one and is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oms_schema.billing_terms import CapMode


@dataclass(frozen=True, slots=True)
class Cycle:
    """One billing cycle of a line: what the billing source counted, its part of the goal, and what was billed for it.

    `goal` is None when the line states none; `billed` is None as long as the cycle is not billed.
    """

    delivered: int
    goal: int | None = None
    billed: int | None = None


def billable(mode: CapMode, earlier: Sequence[Cycle], present: Cycle, total_goal: int | None, taken: int) -> int:
    """The billable units of the present cycle when the earlier ones took `taken` units; never negative.

    ValueError when the mode needs a goal that is not known, or a count is negative.
    """
    if taken < 0 or any(cycle.delivered < 0 for cycle in (*earlier, present)):
        raise ValueError("a count is never negative")
    if mode is CapMode.NO_CAP:
        return present.delivered
    if mode is CapMode.PER_CYCLE:
        return min(present.delivered, _known(present.goal))
    if mode is CapMode.CUMULATIVE:
        return max(0, min(present.delivered, _known(total_goal) - taken))
    return max(0, _entitled((*earlier, present)) - taken)


def chain(mode: CapMode, cycles: Sequence[Cycle], total_goal: int | None) -> tuple[int, ...]:
    """The billable units of every cycle, each taken before the next is looked at, whatever was billed."""
    taken: list[int] = []
    for place, cycle in enumerate(cycles):
        taken.append(billable(mode, cycles[:place], cycle, total_goal, sum(taken)))
    return tuple(taken)


def first_bill(mode: CapMode, cycles: Sequence[Cycle], place: int, total_goal: int | None) -> int:
    """What the cycle at `place` may bill now, whichever cycles were billed before it.

    An earlier cycle that is not billed yet (in dispute, say) keeps the units it is entitled to, and what later cycles have
    billed already is not billed again. So the cap holds in whatever order the cycles are billed. ValueError as `billable`.
    """
    taken = 0
    for earlier in range(place):
        billed = cycles[earlier].billed
        entitled = billable(mode, cycles[:earlier], cycles[earlier], total_goal, taken)
        taken += entitled if billed is None else billed
    own = billable(mode, cycles[:place], cycles[place], total_goal, taken)
    later = 0
    for end in range(place + 1, len(cycles)):
        billed = cycles[end].billed
        if billed is None:
            continue
        later += billed
        if mode is CapMode.CUMULATIVE:
            own = min(own, _known(total_goal) - taken - later)
        elif mode is CapMode.CUMULATIVE_PER_CYCLE:
            own = min(own, _entitled(cycles[: end + 1]) - taken - later)
    return max(0, own)


def _entitled(cycles: Sequence[Cycle]) -> int:
    return min(sum(cycle.delivered for cycle in cycles), sum(_known(cycle.goal) for cycle in cycles))


def _known(goal: int | None) -> int:
    if goal is None:
        raise ValueError("this cap needs a goal that the line does not state")
    return goal

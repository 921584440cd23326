"""Corrections of issued documents: component by component, what is left unapplied, when a void is allowed, which period.

An original is immutable. A credit is original minus corrected for gross, commission, net, tax and total each; rates applied
to the difference would be a cent off.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hub.billing.rules.line_period import BilledPosition
from oms_schema.delivery import BillingPeriod
from oms_schema.document import Amounts
from oms_schema.money import Money


@dataclass(frozen=True, slots=True)
class PositionCredit:
    """The part of a credit that falls on one billed position."""

    position: BilledPosition
    quantity: int
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Application:
    """How a credit meets an invoice's open balance: what lowers it, and what stays with the buyer as unapplied credit."""

    applied: Money
    unapplied: Money


def billed_net(positions: Sequence[BilledPosition], currency: str) -> Amounts:
    """What was billed for a line-period in all and not credited, component by component."""
    return Amounts.sum((position.net_amounts for position in positions), currency)


def placed(quantity: int, amounts: Amounts, positions: Sequence[BilledPosition]) -> tuple[PositionCredit, ...]:
    """Place a credit on the billed positions, newest first, none below zero; the parts' sum is the credit exactly.

    Net, commission and tax are placed each by itself, so no position gives back more of one than it still carries. Units
    that no position carries (they were worth nothing when they were billed) fall on the oldest. ValueError when the credit
    is more than what was billed.
    """
    parts: list[PositionCredit] = []
    for place in range(len(positions) - 1, -1, -1):
        position = positions[place]
        part = _within(amounts, position.net_amounts)
        units = quantity if place == 0 else min(quantity, position.net_quantity)
        quantity, amounts = quantity - units, amounts.minus(part)
        if units or part.net or part.commission or part.tax:
            parts.append(PositionCredit(position, units, part))
    if amounts.net or amounts.commission or amounts.tax:
        raise ValueError("the credit is more than what was billed")
    return tuple(parts)


def applied(credit: Money, open_balance: Money) -> Application:
    """Split a credit at the open balance: above it, it stays unapplied. ValueError when one is negative."""
    if credit.micros < 0 or open_balance.micros < 0:
        raise ValueError("a credit and an open balance are never negative")
    part = Money(micros=min(credit.micros, open_balance.micros), currency=credit.currency)
    return Application(part, credit - part)


def may_void(total: Money, balance: Money, *, latest_on_schedule: bool) -> bool:
    """Whether an invoice may be voided rather than credited: nothing is paid or credited and no later one follows it."""
    return latest_on_schedule and balance == total


def posting_period(
    period: BillingPeriod, calendar: Sequence[BillingPeriod], closed: Collection[BillingPeriod]
) -> BillingPeriod:
    """The accounting period that a correction of `period` is posted to: its own, or the next open one.

    ValueError when the calendar has no open period from there on: somebody has to open one.
    """
    for candidate in sorted(calendar, key=lambda known: known.start):
        if candidate.start >= period.start and candidate not in closed:
            return candidate
    raise ValueError(f"no accounting period from {period.label} on is open; Finance opens one")


def _within(amounts: Amounts, limit: Amounts) -> Amounts:
    """As much of `amounts` as the position still carries, by component."""
    net, commission = min(amounts.net, limit.net), min(amounts.commission, limit.commission)
    tax = min(amounts.tax, limit.tax)
    return Amounts(
        currency=amounts.currency, gross=net + commission, commission=commission, net=net, tax=tax, total=net + tax
    )

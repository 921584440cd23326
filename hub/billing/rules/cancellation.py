"""The cancellation fee: a share of what was committed and not earned, due when notice was not kept (AdCP's policy)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from hub.billing.rules import rounding
from oms_schema.money import MICROS, Money


@dataclass(frozen=True, slots=True)
class CancellationBill:
    """What a cancelled line or order owes in all: what was earned, and the fee."""

    earned: Money
    fee: Money

    @property
    def total(self) -> Money:
        """Earned plus fee."""
        return self.earned + self.fee


def notice_kept(told_on: date, ends_on: date, notice_days: int) -> bool:
    """Whether the cancellation was told at least the agreed days before it took effect. ValueError on negative days."""
    if notice_days < 0:
        raise ValueError("a notice period is never negative")
    return ends_on - told_on >= timedelta(days=notice_days)


def cancellation(committed: Money, earned: Money, fee_ppm: int, *, notice: bool) -> CancellationBill:
    """The fee on the remaining commitment; nothing when notice was kept or more was earned than committed.

    ValueError when currencies differ, the amounts are negative, or the rate is not within 0 and 1_000_000.
    """
    if not 0 <= fee_ppm <= MICROS:
        raise ValueError(f"{fee_ppm} parts per million is not a cancellation fee")
    if committed.micros < 0 or earned.micros < 0:
        raise ValueError("what was committed or earned is never negative")
    remaining = committed - earned
    if notice or remaining.micros <= 0:
        return CancellationBill(earned, Money.zero(earned.currency))
    return CancellationBill(earned, rounding.share(remaining, fee_ppm, MICROS))

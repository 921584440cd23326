"""The variance test: two counts of one delivery, and how far they may differ before somebody has to talk.

The base is part of the contract: IAB UK takes the publisher's figure, AdCP the larger of the two (domain study, section
3). Exactly at the tolerance is within it. The test is made in integers, so no rounding decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hub.billing.rules import rounding
from oms_schema.billing_terms import VarianceBase
from oms_schema.money import MICROS


@dataclass(frozen=True, slots=True)
class Variance:
    """How far two counts differ. `base` is the count that the difference is a share of."""

    publisher: int
    counterparty: int
    base: int
    tolerance_ppm: int

    @property
    def difference(self) -> int:
        """Publisher minus counterparty, in units."""
        return self.publisher - self.counterparty

    @property
    def within(self) -> bool:
        """Whether the difference is at most the tolerance. Nothing against nothing is; something against a base of 0 is not."""
        return abs(self.difference) * MICROS <= self.base * self.tolerance_ppm

    @property
    def share(self) -> Fraction | None:
        """The difference as a share of the base, exact; None when the base is 0."""
        return Fraction(abs(self.difference), self.base) if self.base else None

    @property
    def percent(self) -> str:
        """The share as text with two decimals; `over` where they hide a rest, so that 10.001 % does not read as 10.00 %."""
        if self.share is None:
            return "0.00 %" if self.difference == 0 else "beyond any share (the base is 0)"
        shown = rounding.units(abs(self.difference), 10_000, self.base)
        over = "over " if Fraction(shown, 10_000) < self.share else ""
        return f"{over}{shown // 100}.{shown % 100:02d} %"


def variance(publisher: int, counterparty: int, base: VarianceBase, tolerance_ppm: int) -> Variance:
    """Compare the publisher's count with the counterparty's. ValueError when a count is negative."""
    if publisher < 0 or counterparty < 0:
        raise ValueError("a count is never negative")
    of = {
        VarianceBase.PUBLISHER: publisher,
        VarianceBase.BUYER: counterparty,
        VarianceBase.LARGER: max(publisher, counterparty),
    }[base]
    return Variance(publisher, counterparty, of, tolerance_ppm)

"""Agency commission: gross, commission and net of one line-period, from a gross or from a net rate.

Commission is due only when the bill-to is the agency. Net to gross divides by one minus the rate and never multiplies:
85,000 at 15 % is 100,000, not 97,750. Google tells net-based and gross-based rate cards apart by who absorbs the fee.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.billing.rules import rounding
from oms_schema.line import Price, PriceBasis
from oms_schema.money import Money


@dataclass(frozen=True, slots=True)
class Split:
    """One amount as gross, commission and net; `net = gross - commission` to the micro."""

    gross: Money
    commission: Money

    @property
    def net(self) -> Money:
        """What remains for the seller."""
        return self.gross - self.commission


def split(price: Price, amount: Money, numerator: int, denominator: int, *, agency_billed: bool) -> Split:
    """Split `amount × numerator ÷ denominator`, an exact value in the price's own basis.

    A gross rate: commission of the rounded gross. A net rate billed to an agency: net and gross are each rounded once from
    the exact value, and the commission is what lies between them. Billed to the advertiser directly there is no commission
    in either case. ValueError for a net rate at a commission of 100 %.
    """
    plain = rounding.share(amount, numerator, denominator)
    none = Money.zero(plain.currency)
    if not agency_billed or not price.commission_ppm:
        return Split(plain, none)
    if price.basis is PriceBasis.GROSS:
        return Split(plain, rounding.commission(plain, price.commission_ppm))
    gross = rounding.grossed_up(amount, numerator, denominator, price.commission_ppm)
    return Split(gross, gross - plain)

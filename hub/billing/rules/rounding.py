"""The one place where billing rounds: HALF_UP, in the currency's minor unit, from the exact value in one step.

Every amount of a line-period comes through here and is never rounded again; whatever is above a line-period is a sum. A
test reads the other modules of this package and finds no rounding in them.
"""

from __future__ import annotations

from decimal import Decimal

from oms_schema.commission import commission as _commission
from oms_schema.money import MICROS, Money, half_up, minor_unit


def share(amount: Money, numerator: int, denominator: int) -> Money:
    """`amount × numerator ÷ denominator` in minor units. ValueError unless the denominator is positive."""
    return amount.share_rounded(numerator, denominator)


def commission(gross: Money, commission_ppm: int) -> Money:
    """The agency's share of a rounded gross amount."""
    return _commission(gross, commission_ppm)


def grossed_up(net: Money, numerator: int, denominator: int, commission_ppm: int) -> Money:
    """The gross amount of which `net × numerator ÷ denominator` remains, rounded once and not from the rounded net.

    ValueError at a commission of 100 %: nothing remains of any gross amount.
    """
    if commission_ppm >= MICROS:
        raise ValueError("no gross amount has a net when the commission is 100 %")
    return net.share_rounded(numerator * MICROS, denominator * (MICROS - commission_ppm))


def converted(amount: Money, rate: Decimal, currency: str) -> Money:
    """The amount in another currency, at `rate` units of it for one. ValueError unless the rate is a positive number."""
    if not rate.is_finite() or rate <= 0:
        raise ValueError(f"{rate} is not a rate of exchange")
    numerator, denominator = rate.as_integer_ratio()
    unit = minor_unit(currency)
    return Money(micros=half_up(amount.micros * numerator, denominator * unit) * unit, currency=currency)


def whole(numerator: int, denominator: int) -> int:
    """`numerator ÷ denominator` to the nearest integer, a half upward; for columns of amounts that are never negative."""
    return (2 * numerator + denominator) // (2 * denominator)


def units(quantity: int, numerator: int, denominator: int) -> int:
    """`quantity × numerator ÷ denominator` in whole units, for a settlement that adds a share to a count and for percentages."""
    return half_up(quantity * numerator, denominator)

"""Gross, agency commission and net: rounded per line in the minor unit, then summed, never recomputed on a sum."""

from __future__ import annotations

from oms_schema.money import MICROS, Money


def commission(gross: Money, commission_ppm: int) -> Money:
    """The agency's share of one line's gross amount, HALF_UP to the minor unit.

    Three lines of 10.10 at 15 % are 3 × 1.52 = 4.56; the same share of their sum would be 4.55.
    ValueError when the rate is not within 0 and 1_000_000.
    """
    _check_rate(commission_ppm)
    return gross.share_rounded(commission_ppm, MICROS)


def net_of(gross: Money, commission_ppm: int) -> Money:
    """What remains of one line's gross amount after commission."""
    return gross - commission(gross, commission_ppm)


def gross_of(net: Money, commission_ppm: int) -> Money:
    """The gross amount whose net is `net`, HALF_UP to the minor unit: net divided by (1 - rate), never multiplied.

    85,000 at 15 % is 100,000; multiplying by 1.15 would give 97,750. ValueError at a rate of 100 %: nothing remains.
    """
    _check_rate(commission_ppm)
    if commission_ppm == MICROS:
        raise ValueError("no gross amount has a net when the commission is 100 %")
    return net.share_rounded(MICROS, MICROS - commission_ppm)


def _check_rate(commission_ppm: int) -> None:
    if not 0 <= commission_ppm <= MICROS:
        raise ValueError(f"{commission_ppm} parts per million is not a commission rate")

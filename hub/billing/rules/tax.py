"""The tax estimate: on what the bill-to owes, rounded per line-period, to be compared with what the ERP computes.

Tax is the ERP's to compute. The estimate tells the buyer what to expect and lets a wrong tax code be seen before posting.
"""

from __future__ import annotations

from hub.billing.rules import rounding
from oms_schema.money import MICROS, Money


def estimate(due: Money, tax_ppm: int) -> Money:
    """Tax on the amount due from the bill-to (net of commission for an agency). ValueError when the rate is negative.

    2.50 at 5 % is 0.13 (HALF_UP); the ERP's HALF_EVEN would give 0.12, which is why both are kept and compared.
    """
    if tax_ppm < 0:
        raise ValueError("a tax rate is never negative")
    return rounding.share(due, tax_ppm, MICROS)


def difference(ours: Money, theirs: Money) -> Money:
    """The ERP's tax minus our estimate; anything but zero is shown to a person. ValueError when currencies differ."""
    return theirs - ours

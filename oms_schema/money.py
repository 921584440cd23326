"""Money as integer micros of a currency, with each currency's own minor unit and one rounding place."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from oms_schema.base import Canonical

MICROS = 1_000_000

# ISO 4217: currencies whose minor unit is not 2 decimals.
_EXPONENTS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
        + ("XAF", "XOF", "XPF"),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Micros = Annotated[int, Field(ge=-(2**63), lt=2**63, strict=True)]


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit: JPY 0, USD 2, KWD 3 (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


class Money(Canonical):
    """An amount in millionths of the currency's major unit: 12.50 USD is 12_500_000."""

    micros: Micros
    currency: CurrencyCode

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> Self:
        """From major units; HALF_UP at the sixth decimal. Raises ValueError on NaN or infinity."""
        if not amount.is_finite():
            raise ValueError(f"{amount} is not an amount of money")
        micros = (amount * MICROS).quantize(Decimal(1), rounding=ROUND_HALF_UP)
        return cls(micros=int(micros), currency=currency)

    @property
    def amount(self) -> Decimal:
        """Major units, exact."""
        return Decimal(self.micros).scaleb(-6)

    def rounded(self) -> Money:
        """HALF_UP to the currency's minor unit (decision 7: only at the line-period)."""
        unit = Decimal(1).scaleb(-exponent(self.currency))
        return Money.of(self.amount.quantize(unit, rounding=ROUND_HALF_UP), self.currency)

    def __add__(self, other: Money) -> Money:
        """Sum in one currency; ValueError when the currencies differ."""
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(micros=self.micros + other.micros, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        """Difference in one currency; ValueError when the currencies differ."""
        return self + Money(micros=-other.micros, currency=other.currency)

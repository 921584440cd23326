"""Money as integer micros of a currency, with each currency's own minor unit and one rounding place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from oms_schema.base import Canonical

MICROS = 1_000_000

# ISO 4217 (list one, active codes): currencies whose minor unit is not 2 decimals.
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"
_EXPONENTS: dict[str, int] = {
    code: decimals
    for codes, decimals in ((_NO_DECIMALS, 0), (_THREE_DECIMALS, 3), (_FOUR_DECIMALS, 4))
    for code in codes.split(" ")
}

CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Micros = Annotated[int, Field(ge=-(2**63), lt=2**63, strict=True)]
PartsPerMillion = Annotated[int, Field(ge=0, le=1_000_000, strict=True)]
"""A share as an integer: 15 % is 150_000."""

_DECIMAL_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
# 64-bit micros have 19 digits; our own context keeps a caller's precision or rounding from changing an amount.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def exponent(currency: str) -> int:
    """Decimals of the currency's minor unit: JPY 0, USD 2, KWD 3 (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def minor_unit(currency: str) -> int:
    """Micros in one minor unit: a cent is 10_000, a yen 1_000_000, a fils of KWD 1_000."""
    return int(10 ** (6 - exponent(currency)))


def half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, ties away from zero; ValueError unless denominator > 0."""
    if denominator <= 0:
        raise ValueError("a denominator is a positive number")
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


class Money(Canonical):
    """An amount in millionths of the currency's major unit: 12.50 USD is 12_500_000."""

    micros: Micros
    currency: CurrencyCode

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> Self:
        """From major units; HALF_UP at the sixth decimal. ValueError on NaN, infinity, or more than 64 bits."""
        if not amount.is_finite():
            raise ValueError(f"{amount} is not an amount of money")
        if amount.adjusted() > 18:
            raise ValueError(f"{amount} is too large for an amount of money")
        micros = _EXACT.quantize(_EXACT.scaleb(amount, 6), Decimal(1))
        return cls(micros=int(micros), currency=currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """From a plain decimal string of major units (`-12.50`), exactly.

        ValueError on anything else: spaces, plus signs, separators, exponents, other digits than 0-9, or a value that
        six decimals cannot hold. Nothing is rounded here: a source that sends more decimals has said something else.
        """
        if not _DECIMAL_TEXT.fullmatch(text):
            raise ValueError(f"{text!r} is not a plain decimal number")
        whole, _, fraction = text.partition(".")
        if len(fraction.rstrip("0")) > 6:
            raise ValueError(f"{text!r} has more than six decimals")
        if len(whole) > 20:
            raise ValueError(f"{text!r} is too large for an amount of money")
        return cls(micros=int(whole + fraction[:6].ljust(6, "0")), currency=currency)

    @classmethod
    def zero(cls, currency: str) -> Self:
        """Nothing, in a currency."""
        return cls(micros=0, currency=currency)

    @classmethod
    def total(cls, amounts: Iterable[Money], currency: str) -> Money:
        """The sum, zero of `currency` when there are none; ValueError when one is in another currency."""
        total: Money = cls.zero(currency)
        for amount in amounts:
            total = total + amount
        return total

    @property
    def amount(self) -> Decimal:
        """Major units, exact."""
        return _EXACT.scaleb(Decimal(self.micros), -6)

    @property
    def is_rounded(self) -> bool:
        """Whether this is a whole number of the currency's minor units, as an invoice can show it."""
        return self.micros % minor_unit(self.currency) == 0

    def rounded(self) -> Money:
        """HALF_UP to the currency's minor unit (decision 7: only at the line-period)."""
        return self.share_rounded(1, 1)

    def share(self, numerator: int, denominator: int) -> Money:
        """`self × numerator ÷ denominator`, HALF_UP to a whole micro."""
        return Money(micros=half_up(self.micros * numerator, denominator), currency=self.currency)

    def share_rounded(self, numerator: int, denominator: int) -> Money:
        """`self × numerator ÷ denominator`, HALF_UP to the minor unit in one step.

        Not `share(...).rounded()`: rounding twice turns 0.0049999996 into 0.01.
        """
        unit = minor_unit(self.currency)
        return Money(micros=half_up(self.micros * numerator, denominator * unit) * unit, currency=self.currency)

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split by weight without losing anything: the parts' sum is this amount, to the micro.

        Largest remainder, counted in minor units when the amount is whole in them and in micros when it is not. Equal
        remainders: larger weight first, then later place, so 10,000.00 in three is 3,333.33, 3,333.33, 3,333.34.
        ValueError when a weight is negative or none is positive.
        """
        if any(weight < 0 for weight in weights):
            raise ValueError("a weight is never negative")
        whole = sum(weights)
        if whole <= 0:
            raise ValueError("an allocation needs at least one positive weight")
        unit = minor_unit(self.currency) if self.is_rounded else 1
        sign = -1 if self.micros < 0 else 1
        units = abs(self.micros) // unit
        shares = [units * weight // whole for weight in weights]
        order = sorted(range(len(weights)), key=lambda i: (units * weights[i] % whole, weights[i], i), reverse=True)
        for place in order[: units - sum(shares)]:
            shares[place] += 1
        return tuple(Money(micros=sign * share * unit, currency=self.currency) for share in shares)

    def __add__(self, other: Money) -> Money:
        """Sum in one currency; ValueError when the currencies differ."""
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(micros=self.micros + other.micros, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        """Difference in one currency; ValueError when the currencies differ."""
        return self + -other

    def __neg__(self) -> Money:
        """The same amount the other way."""
        return Money(micros=-self.micros, currency=self.currency)

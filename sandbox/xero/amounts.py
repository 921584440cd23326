"""How a document's lines become its totals: rounding and tax as the organisation is set up.

Sources: Xero's page "Rounding in Xero" (unit amounts to 2 decimals, 4 with `unitdp=4`; line amounts and tax to 2, arithmetic
rounding) and "Tax in Xero" (`Exclusive` adds tax, `Inclusive` takes it out, `NoTax` has none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

_CENT = Decimal("0.01")
ROUNDINGS: Mapping[str, str] = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN}


@dataclass(frozen=True, slots=True)
class Money:
    """How the organisation rounds, and its tax rates in percent by tax type."""

    rounding: str
    rates: Mapping[str, Decimal]

    def cents(self, amount: Decimal) -> Decimal:
        """The amount in cents."""
        return amount.quantize(_CENT, ROUNDINGS[self.rounding])

    def lines(self, lines: list[dict[str, Any]], amounts: str, unit_decimals: int) -> list[dict[str, Any]]:
        """The lines with UnitAmount, LineAmount and TaxAmount as Xero keeps them."""
        return [self._line(line, amounts, unit_decimals) for line in lines]

    def _line(self, line: dict[str, Any], amounts: str, unit_decimals: int) -> dict[str, Any]:
        quantity = line.get("Quantity", Decimal(1)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        unit = line.get("UnitAmount", Decimal(0)).quantize(Decimal(1).scaleb(-unit_decimals), ROUND_HALF_UP)
        amount = self.cents(quantity * unit)
        rate = Decimal(0) if amounts == "NoTax" else self.rates.get(line.get("TaxType", "NONE"), Decimal(0))
        tax = self.cents(amount * rate / (100 + rate if amounts == "Inclusive" else Decimal(100)))
        return {**line, "Quantity": quantity, "UnitAmount": unit, "LineAmount": amount, "TaxAmount": tax}


def totals(lines: list[dict[str, Any]], amounts: str) -> dict[str, Decimal]:
    """SubTotal, TotalTax and Total of finished lines."""
    booked = sum((line["LineAmount"] for line in lines), Decimal(0))
    tax = sum((line["TaxAmount"] for line in lines), Decimal(0))
    if amounts == "Inclusive":
        return {"SubTotal": booked - tax, "TotalTax": tax, "Total": booked}
    return {"SubTotal": booked, "TotalTax": tax, "Total": booked + tax}

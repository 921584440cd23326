"""The FX report: what moved between the rate at booking and the rate at invoicing. It never touches the line.

An invoice is in the order's currency; only reports in the seller's ledger currency see the variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hub.billing.rules import rounding
from oms_schema.money import Money


@dataclass(frozen=True, slots=True)
class FxReport:
    """One invoiced amount, in its own currency and twice in the ledger's."""

    invoiced: Money
    booked_rate: Decimal
    invoice_rate: Decimal
    booked_ledger: Money
    invoiced_ledger: Money

    @property
    def variance(self) -> Money:
        """Ledger amount at invoicing minus ledger amount at booking: a gain when positive."""
        return self.invoiced_ledger - self.booked_ledger


def fx_report(invoiced: Money, booked_rate: Decimal, invoice_rate: Decimal, ledger_currency: str) -> FxReport:
    """Value an invoiced amount at both rates (ledger units for one unit of its currency), each rounded once.

    ValueError when a rate is not a positive number.
    """
    return FxReport(
        invoiced=invoiced,
        booked_rate=booked_rate,
        invoice_rate=invoice_rate,
        booked_ledger=rounding.converted(invoiced, booked_rate, ledger_currency),
        invoiced_ledger=rounding.converted(invoiced, invoice_rate, ledger_currency),
    )

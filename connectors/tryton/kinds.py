"""The two kinds of document the hub makes in Tryton: their models, their states, and the steps from one to the next.

A sale is the booked order as finance sees it. Its invoice method is `manual`: Tryton makes no invoice of it, because bills
follow delivery and not what was booked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Native
from connectors.tryton.documents import Booking, Document, draft, priced
from connectors.tryton.wire import Quantity


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One model. `steps` names the method that leads on from a state, `back` the one that makes it a draft again, `done` the
    states in which the document stands."""

    record: str
    model: str
    day: str
    scope: tuple[tuple[str, str, object], ...]
    steps: Mapping[str, str]
    done: frozenset[str]
    values: Callable[[Document, Booking, int], dict[str, Any]]
    back: Mapping[str, str] = field(default_factory=dict)
    cancelled_keeps_number: bool = False

    def is_done(self, row: Native) -> bool:
        """Whether nothing is left to do. An invoice credited in full is called cancelled, but it keeps its number."""
        if row.get("state") in self.done:
            return True
        return self.cancelled_keeps_number and row.get("state") == "cancelled" and bool(row.get("number"))

    @property
    def seen(self) -> list[str]:
        """What is read of a document to compare it with the wanted one."""
        own = ["number", "reference", "state", self.day, "total_amount", "tax_amount"]
        return [*own, "party.code", "currency.code", "line_lines.amount"]


def sale_draft(wanted: Document, booking: Booking, price_decimals: int) -> dict[str, Any]:
    """The values that create the draft of a sale."""
    lines = []
    for number, (line, sold) in enumerate(zip(wanted.lines, booking.sold, strict=True), start=1):
        quantity, price = priced(line, booking.digits, price_decimals, sold.unit_digits)
        values: dict[str, Any] = {
            "type": "line",
            "sequence": number,
            "description": line.description if line.period is None else f"{line.description} ({line.period})",
            "quantity": Quantity(quantity),
            "unit_price": price,
        }
        if sold.product is not None and quantity == line.quantity and price == line.unit_price:
            values |= {"product": sold.product, "unit": sold.unit}
        lines.append(values)
    return {
        "party": booking.party,
        "invoice_address": booking.address,
        "shipment_address": booking.address,
        "currency": booking.currency,
        "payment_term": booking.payment_term,
        "reference": wanted.reference,
        "description": wanted.description,
        "sale_date": wanted.date,
        "invoice_method": "manual",
        "shipment_method": "manual",
        "lines": [["create", lines]],
    }


INVOICE = DocumentKind(
    record="Invoice",
    model="account.invoice",
    day="invoice_date",
    scope=(("type", "=", "out"),),
    # Posting alone costs twice as much: Tryton checks the lines' taxes unless they were validated, and begins a posting anew
    # for each number sequence that it finds it has to lock (33 ms a line, 16 ms after a validation).
    steps={"draft": "validate_invoice", "validated": "post"},
    back={"validated": "draft"},
    done=frozenset({"posted", "paid"}),
    values=draft,
    cancelled_keeps_number=True,
)
SALE = DocumentKind(
    record="Sale",
    model="sale.sale",
    day="sale_date",
    scope=(),
    steps={"draft": "quote", "quotation": "confirm"},
    done=frozenset({"confirmed", "processing", "done"}),
    values=sale_draft,
)

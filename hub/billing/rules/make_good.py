"""The make-good ledger of one line: what it fell short by, what was promised for it, and what that may still cost.

A make-good is at a deferred price (the origin was billed as delivered) or at zero (the origin was billed in full). Origin
and make-goods together never cost more than the contract's value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from hub.billing.rules.cost import cost
from oms_schema.line import Price
from oms_schema.money import Money


class MakeGoodPricing(StrEnum):
    """Whether the additional delivery is billed."""

    DEFERRED = "deferred"
    ZERO = "zero"


class MakeGoodRefused(ValueError):  # noqa: N818 - named after what is wrong
    """An entry that would promise or bill more than the origin fell short by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeGood:
    """One make-good line: the units promised, those delivered so far, and what was billed for them."""

    line_id: str
    units: int
    pricing: MakeGoodPricing
    delivered: int = 0
    billed: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeGoodLedger:
    """The origin line and its make-goods. `billed` is what the origin was billed, in the price's basis.

    ValueError when a quantity is negative or an amount is in another currency than the price.
    """

    price: Price
    booked: int
    delivered: int
    billed: Money
    entries: tuple[MakeGood, ...] = ()

    def __post_init__(self) -> None:
        """Counts are counts, and money is of one currency."""
        if min(self.booked, self.delivered, *(min(e.units, e.delivered) for e in self.entries), 0) < 0:
            raise ValueError("a quantity is never negative")
        amounts = [self.billed, *(e.billed for e in self.entries if e.billed is not None)]
        if any(amount.currency != self.price.currency for amount in amounts):
            raise ValueError("a make-good ledger is in one currency")

    @property
    def value(self) -> Money:
        """What the contract is worth: the ceiling of everything billed here."""
        return cost(self.price, self.booked)

    @property
    def shortfall(self) -> int:
        """Units that the origin did not deliver."""
        return max(0, self.booked - self.delivered)

    @property
    def unpromised(self) -> int:
        """Units of the shortfall that no make-good covers yet."""
        return max(0, self.shortfall - sum(entry.units for entry in self.entries))

    @property
    def liability(self) -> int:
        """Units that are promised and not delivered."""
        return sum(max(0, entry.units - entry.delivered) for entry in self.entries)

    @property
    def liability_value(self) -> Money:
        """What the liability is worth at the contract's price, whether or not it will be billed."""
        return cost(self.price, self.liability)

    @property
    def total_billed(self) -> Money:
        """Origin and make-goods together."""
        return Money.total(
            [self.billed, *(entry.billed for entry in self.entries if entry.billed is not None)], self.price.currency
        )

    def promise(self, entry: MakeGood) -> Self:
        """The ledger with one more make-good. MakeGoodRefused when it promises more than is still open, or twice."""
        if any(known.line_id == entry.line_id for known in self.entries):
            raise MakeGoodRefused(f"line {entry.line_id} is in the ledger already; nothing is added to it.")
        if entry.units > self.unpromised:
            raise MakeGoodRefused(
                f"The make-good promises {entry.units:,} units and {self.unpromised:,} are open. "
                "It is not entered. Sales agrees a smaller make-good or a new order."
            )
        return replace(self, entries=(*self.entries, entry))

    def charge(self, line_id: str, delivered: int) -> tuple[Self, Money]:
        """Deliver a make-good up to `delivered` units in all: the new ledger, and what is billed for it now.

        Nothing at zero price; at a deferred price the units up to those promised, less what was billed, and never above
        what the contract's value leaves. KeyError when the ledger has no such line, ValueError when the count falls.
        """
        entry = next((known for known in self.entries if known.line_id == line_id), None)
        if entry is None:
            raise KeyError(line_id)
        if delivered < entry.delivered:
            raise ValueError(
                "a make-good's delivery does not fall here; a restatement is an adjustment of its own line"
            )
        before = entry.billed or Money.zero(self.price.currency)
        due = Money.zero(self.price.currency)
        if entry.pricing is MakeGoodPricing.DEFERRED:
            worth = cost(self.price, min(delivered, entry.units)) - before
            room = self.value - self.total_billed
            due = Money(micros=max(0, min(worth.micros, room.micros)), currency=self.price.currency)
        entries = tuple(
            replace(known, delivered=delivered, billed=before + due) if known is entry else known
            for known in self.entries
        )
        return replace(self, entries=entries), due

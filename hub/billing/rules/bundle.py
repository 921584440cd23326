"""A bundle's price over its components, by list price and without losing a cent."""

from __future__ import annotations

from collections.abc import Sequence

from oms_schema.money import Money


def allocate(price: Money, list_prices: Sequence[Money]) -> tuple[Money, ...]:
    """Each component's part by largest remainder in minor units; of equal remainders the larger component is served first.

    ValueError when the bundle's price is not rounded or negative, a list price is in another currency or negative, or none
    is above zero.
    """
    if any(part.currency != price.currency for part in list_prices):
        raise ValueError("a bundle and its list prices are in one currency")
    if price.micros < 0 or not price.is_rounded:
        raise ValueError(f"{price.amount} {price.currency} is not an amount that an invoice can show")
    return price.allocate([part.micros for part in list_prices])

"""Cost methods: what one price buys, which count measures it, and what a quantity of it costs.

The rate is per thousand for CPM and vCPM, per unit for CPC, CPCV and CPA, per day for CPD, and the whole for flat
(OpenDirect 2.1). Amounts have the exponent of their currency: two decimals in USD, none in JPY, three in KWD.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hub.billing.rules import rounding
from oms_schema.delivery import METRIC_OF_GOAL, Metric, Units
from oms_schema.line import CostMethod, Goal, GoalMeasure, GoalUnit, Price
from oms_schema.money import Money

BILLED_UNIT: Mapping[CostMethod, GoalUnit | None] = MappingProxyType(
    {
        CostMethod.CPM: GoalUnit.IMPRESSIONS,
        CostMethod.VCPM: GoalUnit.VIEWABLE_IMPRESSIONS,
        CostMethod.CPC: GoalUnit.CLICKS,
        CostMethod.CPCV: GoalUnit.COMPLETED_VIEWS,
        CostMethod.CPD: GoalUnit.DAYS,
        CostMethod.FLAT: None,
        CostMethod.CPA: GoalUnit.CONVERSIONS,
    }
)
"""What a cost method counts for the bill; flat counts nothing."""

_PER_THOUSAND = frozenset({CostMethod.CPM, CostMethod.VCPM})


def per(method: CostMethod) -> int:
    """How many units one rate buys."""
    return 1_000 if method in _PER_THOUSAND else 1


def cost(price: Price, quantity: int) -> Money:
    """What `quantity` units cost, HALF_UP to the minor unit, in the price's own basis; a flat price ignores the quantity.

    ValueError when the quantity is negative.
    """
    if quantity < 0:
        raise ValueError("a quantity is never negative")
    if price.method is CostMethod.FLAT:
        return rounding.share(price.money, 1, 1)
    return rounding.share(price.money, quantity, per(price.method))


def counted(method: CostMethod, units: Units, active_days: int | None) -> int | None:
    """A source's count of what the method bills; None when it reported none, or for flat, which is not counted."""
    unit = BILLED_UNIT[method]
    if unit is None:
        return None
    metric: Metric | None = METRIC_OF_GOAL[unit]
    return active_days if metric is None else units.of(metric)


def contracted_quantity(price: Price, goal: Goal, budget: Money | None) -> int | None:
    """The contract's quantity in billed units; None when neither the goal nor the budget states one.

    A goal in the billed unit is the contract. Where impressions merely steer the delivery of a line that is paid by click,
    view or action, or the goal is a percentage, the budget is: the largest quantity whose cost does not exceed it.
    """
    unit = BILLED_UNIT[price.method]
    if unit is None:
        return None
    if goal.unit is unit and goal.measure is GoalMeasure.COUNT:
        return goal.quantity
    if budget is None or budget.currency != price.currency or price.rate <= 0 or budget.micros < 0:
        return None
    return budget.micros * per(price.method) // price.rate


def contract_value(price: Price, quantity: int | None) -> Money | None:
    """What the whole contract is worth in the price's basis, rounded once; None when its quantity is not known."""
    if price.method is CostMethod.FLAT:
        return cost(price, 1)
    return None if quantity is None else cost(price, quantity)

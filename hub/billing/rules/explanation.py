"""How a result came about: one step per rule applied, in order, with what it was given and what came out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from oms_schema.base import Canonical
from oms_schema.money import Money, exponent


class Rule(StrEnum):
    """The rules, in the order in which a line-period meets them."""

    TERMS = "terms"
    ALREADY_BILLED = "already_billed"
    PERIOD = "period"
    SCHEDULE = "schedule"
    SOURCE = "source"
    FINALITY = "finality"
    DELIVERY = "delivery"
    TOLERANCE = "tolerance"
    DISPUTE = "dispute"
    OVERRIDE = "override"
    CAP = "cap"
    PRICE = "price"
    COMMISSION = "commission"
    TAX = "tax"
    ADJUSTMENT = "adjustment"


class Flag(StrEnum):
    """What a reader of a result should know although nothing is wrong with it."""

    ALREADY_BILLED = "already_billed"
    NOT_THIS_PERIOD = "not_this_period"
    """The schedule bills the line in another period."""
    FALLBACK = "fallback"
    """The contracted source was silent at its deadline; the seller's own count is billed."""
    MANUAL_COUNT = "manual_count"
    OVERRIDE = "override"
    DISPUTE_SETTLED = "dispute_settled"
    BOUNDARY_DIFFERENCE = "boundary_difference"
    """The sources differ in this period and agree over the line's life: their days begin at different hours."""
    NOT_COMPARED = "not_compared"
    """The other side's count is missing or not final, so no variance was tested."""
    CAPPED = "capped"
    BONUS = "bonus"
    NOTHING_LEFT = "nothing_left"
    """The cap is reached: whatever was delivered is a bonus."""
    UNDER_DELIVERY = "under_delivery"
    NO_DELIVERY = "no_delivery"


class Step(Canonical):
    """One rule at work. `given` are its inputs by name, `result` what it decided, `sentence` both in words."""

    rule: Rule
    given: tuple[tuple[str, str], ...] = ()
    result: str
    sentence: Annotated[str, Field(min_length=1)]


def shown_amount(amount: Money) -> str:
    """An amount for a sentence: with its minor unit's decimals, or with all it has when it is not rounded."""
    if amount.is_rounded:
        return f"{amount.amount:,.{exponent(amount.currency)}f}"
    return f"{amount.amount.normalize():,f}"


class Explanation:
    """Collects the steps of one calculation."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def add(self, rule: Rule, result: object, sentence: str, **given: object) -> None:
        """One more step; values are kept as plain text, so that they read the same in every later version."""
        texts = tuple((name, str(value)) for name, value in given.items())
        self._steps.append(Step(rule=rule, given=texts, result=str(result), sentence=sentence))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was added so far, in order."""
        return tuple(self._steps)

"""A dispute and its outcomes: which quantity is billed once two counts lie too far apart and the parties have talked.

Standard terms v3.0 as reported let an agency, after failed good-faith resolution above 10 %, pay the controlling count, or
that plus 10 %; anything in between may be agreed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from hub.billing.rules import rounding
from hub.billing.rules.rule_set import RuleSet
from hub.billing.rules.tolerance import Variance
from oms_schema.base import Canonical
from oms_schema.delivery import Count
from oms_schema.instant import Instant
from oms_schema.money import MICROS
from oms_schema.person import same_person

_Word = Annotated[str, Field(min_length=1)]


class Outcome(StrEnum):
    """How the parties settle."""

    CONTROLLING = "controlling"
    """The counterparty's count is paid; the gap is under-delivery."""
    CONTROLLING_PLUS_UPLIFT = "controlling_plus_uplift"
    """The counterparty's count and the uplift of the rule set, at most the publisher's own count."""
    AGREED = "agreed"
    """A quantity between the two counts."""


class Settlement(Canonical):
    """What was settled, by whom, and who approved it; kept beside the two counts."""

    outcome: Outcome
    quantity: Count | None = Field(default=None, description="The agreed quantity; only for `agreed`")
    reason: _Word
    decided_by: _Word
    approved_by: _Word
    approved_at: Instant

    @model_validator(mode="after")
    def _is_whole_and_seen_by_two(self) -> Self:
        if (self.outcome is Outcome.AGREED) != (self.quantity is not None):
            raise ValueError("an agreed outcome states its quantity, and no other outcome does")
        if same_person(self.decided_by, self.approved_by):
            raise ValueError("whoever settles a dispute does not approve the settlement")
        return self


def settled(settlement: Settlement, variance: Variance, rules: RuleSet) -> int:
    """The quantity to go on with. ValueError when an agreed quantity lies outside the two counts."""
    if settlement.outcome is Outcome.CONTROLLING:
        return variance.counterparty
    low, high = sorted((variance.publisher, variance.counterparty))
    if settlement.outcome is Outcome.CONTROLLING_PLUS_UPLIFT:
        return min(high, rounding.units(variance.counterparty, MICROS + rules.dispute_uplift_ppm, MICROS))
    agreed = settlement.quantity or 0
    if not low <= agreed <= high:
        raise ValueError(f"the agreed {agreed:,} lies outside the two counts {low:,} and {high:,}")
    return agreed

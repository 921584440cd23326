"""What goes into the calculation of one line-period and what comes out: values that can be stored and replayed.

A case holds everything the rules look at. It has no clock: whether the period is over, a number final or a fallback due is
decided before (`window`) and stored as a yes or no, so that a replay years later sees the same case.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hub.billing.rules.dispute import Settlement
from hub.billing.rules.explanation import Flag, Step
from oms_schema.base import Canonical
from oms_schema.billing_terms import BillingSource, BillingTerms
from oms_schema.delivery import BillingPeriod, Count, CountedBy, QuantityOverride, Units
from oms_schema.document import Amounts
from oms_schema.instant import Instant
from oms_schema.line import Flight, Goal, GoalUnit, Price
from oms_schema.money import Micros, Money, PartsPerMillion
from oms_schema.party import ID
from oms_schema.person import same_person
from oms_schema.problems import Problem

_Word = Annotated[str, Field(min_length=1)]
_Number = Annotated[int, Field(ge=1, strict=True)]


class FinalMonths(Canonical):
    """What a source counted in those months of the line's life that are final on both sides; `open_months` are not."""

    units: Units
    active_days: Count | None = None
    open_months: _Number


class SourceCount(Canonical):
    """What one source says it counted in the period, and over the line's life up to the period's end.

    `active_days` are the days that have delivery, for lines paid by day. `final`: the numbers of the period may be billed.
    Where the whole line is billed at its end, `final` is said of all its months up to this one, `life` is unknown while one
    was not reported, and `awaited` is the first month that is missing, else the first that is not final. `final_months` is what
    of `life` may be compared with the other side, None where all of it may.
    """

    counted_by: CountedBy
    source: _Word
    units: Units
    active_days: Count | None = None
    final: bool = False
    life: Units | None = None
    life_days: Count | None = None
    awaited: BillingPeriod | None = None
    final_months: FinalMonths | None = None


class ManualCount(Canonical):
    """A count that a person entered from the source's own evidence and another approved. It stands for the source."""

    quantity: Count
    evidence: _Word
    entered_by: _Word
    approved_by: _Word
    approved_at: Instant

    @model_validator(mode="after")
    def _four_eyes(self) -> Self:
        if same_person(self.entered_by, self.approved_by):
            raise ValueError("whoever enters a count does not approve it")
        return self


class CancelledContract(Canonical):
    """The line or its order is cancelled. `ends_on` is the first day that is no longer owed, None until people said it."""

    ends_on: date | None = None
    reason: str = ""
    entered_by: str = ""
    approved_by: str = ""

    @model_validator(mode="after")
    def _four_eyes(self) -> Self:
        if self.ends_on is not None and same_person(self.entered_by, self.approved_by):
            raise ValueError("whoever enters the day of a cancellation does not approve it")
        return self


class OtherPeriod(Canonical):
    """Another period of the same line: what its billing source counted and what was billed for it, credits deducted.

    `counted` is None while unknown; `quantity` and `amounts` are None while nothing was billed.
    """

    period: BillingPeriod
    counted: Count | None = None
    quantity: Count | None = None
    amounts: Amounts | None = None


class BilledPosition(Canonical):
    """One position of an issued document that billed this line-period, with what was credited of it since.

    Price, bill-to and tax rate are those it was billed with: a correction uses them again.
    """

    document_id: ID
    number: _Number
    quantity: Count | None = None
    amounts: Amounts
    price: Price
    agency_billed: bool = False
    tax_ppm: PartsPerMillion = 0
    credited_quantity: Count = 0
    credited: Amounts | None = None

    @property
    def net_quantity(self) -> int:
        """Units billed and not credited."""
        return (self.quantity or 0) - self.credited_quantity

    @property
    def net_amounts(self) -> Amounts:
        """Amounts billed and not credited."""
        return self.amounts if self.credited is None else self.amounts.minus(self.credited)


class LinePeriodCase(Canonical):
    """All inputs of one line-period.

    `cycles` are all billing periods of the line in order, without gaps; `others` what is known of the other ones. `budget`
    is the contract's value where the goal does not count what is paid for. `paused_hours` lie within the period.
    `tax_ppm` None: no estimate is made.
    """

    line_id: ID
    order_id: ID
    period: BillingPeriod
    cycles: Annotated[tuple[BillingPeriod, ...], Field(min_length=1)]
    period_over: bool
    terms: BillingTerms
    price: Price
    goal: Goal
    budget: Money | None = None
    flight: Flight
    flights: tuple[Flight, ...] = ()
    paused_hours: Count = 0
    agency_billed: bool = False
    tax_ppm: PartsPerMillion | None = None
    counts: tuple[SourceCount, ...] = ()
    fallback_due: bool = False
    manual: ManualCount | None = None
    override: QuantityOverride | None = None
    settlement: Settlement | None = None
    cancelled: CancelledContract | None = None
    others: tuple[OtherPeriod, ...] = ()
    billed: tuple[BilledPosition, ...] = ()

    @model_validator(mode="after")
    def _periods_fit(self) -> Self:
        if any(a.end != b.start for a, b in zip(self.cycles, self.cycles[1:], strict=False)):
            raise ValueError("the billing cycles do not follow one another without a gap")
        if self.period not in self.cycles:
            raise ValueError("the period is none of the line's billing cycles")
        known = [other.period for other in self.others]
        if self.period in known or len(set(known)) != len(known) or not set(known) <= set(self.cycles):
            raise ValueError("the other periods are other billing cycles of the line, each once")
        if len({count.counted_by for count in self.counts}) != len(self.counts):
            raise ValueError("a case has one count of the seller, one of a measurement company and one of the buyer")
        billed = [part.amounts for part in self.billed] + [o.amounts for o in self.others if o.amounts is not None]
        if any(amounts.currency != self.price.currency for amounts in billed):
            raise ValueError("what was billed is in another currency than the price")
        return self

    @property
    def place(self) -> int:
        """Which of the cycles this period is."""
        return self.cycles.index(self.period)


class Billable(Canonical):
    """What may be billed for a line-period now; a zero one says in its flags and steps why it is zero.

    `delivered` is the billing source's own count, `counted` what goes into the cap (after a settlement or an override),
    `booked` the cycle's part of the contract, `bonus` what was counted above the cap, listed at 0.00 and worth
    `bonus_value`. Amounts are rounded; `tax` is an estimate.
    """

    kind: Literal["billable"] = "billable"
    line_id: ID
    order_id: ID
    period: BillingPeriod
    unit: GoalUnit | None = None
    quantity: Count | None = None
    delivered: Count | None = None
    counted: Count | None = None
    booked: Count | None = None
    bonus: Count = 0
    bonus_value: Money | None = None
    rate: Micros
    amounts: Amounts
    source: BillingSource | None = None
    counted_by: str = ""
    flags: tuple[Flag, ...] = ()
    steps: tuple[Step, ...]
    rules: _Word
    inputs_hash: _Word

    @property
    def is_empty(self) -> bool:
        """Nothing to put on a document: no amount and no bonus to list."""
        return not self.amounts.gross and not self.quantity and not self.bonus

    @property
    def sentences(self) -> tuple[str, ...]:
        """How it came about, in words."""
        return tuple(step.sentence for step in self.steps)


class Blocked(Canonical):
    """Why a line-period cannot be billed. `disputed`: the counts differ too far, and people have to settle it."""

    kind: Literal["blocked"] = "blocked"
    line_id: ID
    order_id: ID
    period: BillingPeriod
    problems: Annotated[tuple[Problem, ...], Field(min_length=1)]
    disputed: bool = False
    flags: tuple[Flag, ...] = ()
    steps: tuple[Step, ...]
    rules: _Word
    inputs_hash: _Word

    @property
    def sentences(self) -> tuple[str, ...]:
        """How far the calculation came, then what stopped it and who does what."""
        return (*(step.sentence for step in self.steps), *(problem.sentence for problem in self.problems))


Result = Annotated[Billable | Blocked, Field(discriminator="kind")]
"""The result of one calculation, told apart by `kind`."""

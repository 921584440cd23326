"""Whose count is billed: approved override, then approved manual count, then the contracted source, compared and final.

ADvendio uses the same order for the first two (domain study, section 3). The override comes in at the cap; here are the
counts, the fallback, the test for a silent zero, and the variance with its settlement.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hub.billing.rules import refusals
from hub.billing.rules.cost import BILLED_UNIT, counted
from hub.billing.rules.dispute import settled
from hub.billing.rules.explanation import Explanation, Flag, Rule
from hub.billing.rules.line_period import LinePeriodCase, SourceCount
from hub.billing.rules.rule_set import RuleSet
from hub.billing.rules.spread import live_time
from hub.billing.rules.tolerance import Variance, variance
from oms_schema.billing_terms import BillingSchedule, BillingSource
from oms_schema.delivery import CountedBy

_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Counted:
    """The count to bill by, before the cap; `delivered` is what the source itself said, None when none did."""

    quantity: int
    delivered: int | None
    source: BillingSource
    counted_by: str


def chosen(case: LinePeriodCase, rules: RuleSet, why: Explanation, flags: list[Flag]) -> Counted:
    """The count that the terms bill by. Raises NotBillable: no report, not final, no delivery, or a variance."""
    if case.manual is not None:
        flags.append(Flag.MANUAL_COUNT)
        why.add(
            Rule.SOURCE,
            case.manual.quantity,
            f"An approved manual count of {case.manual.quantity:,} stands for the {case.terms.source.value} source.",
            evidence=case.manual.evidence,
            entered_by=case.manual.entered_by,
            approved_by=case.manual.approved_by,
        )
        return Counted(case.manual.quantity, case.manual.quantity, case.terms.source, "manual count")
    seller, other = _count(case, CountedBy.SELLER), _counterparty(case)
    first_party = case.terms.source is BillingSource.FIRST_PARTY
    contracted = seller if first_party else other
    fallback = not first_party and case.fallback_due and not _ready(case, other)
    if fallback:
        contracted = seller
        flags.append(Flag.FALLBACK)
    taken, quantity = _reported(case, contracted, "publisher's ad server" if first_party or fallback else "third party")
    sentence = f"{taken.source} is billed: its count is {quantity:,}."
    if fallback:
        sentence = (
            f"The third party was silent at its deadline, so {taken.source} is billed: its count is {quantity:,}."
        )
    why.add(Rule.SOURCE, quantity, sentence, contracted=case.terms.source.value, source=taken.source)
    if not taken.final:
        why.add(Rule.FINALITY, "not final", f"The numbers of {taken.source} may still change.", source=taken.source)
        raise refusals.not_final(taken.source, None if taken.awaited is None else taken.awaited.label)
    why.add(Rule.FINALITY, "final", f"The numbers of {taken.source} are final.", source=taken.source)
    _delivered_something(case, rules, why, taken, quantity, seller)
    if fallback:
        return Counted(quantity, quantity, BillingSource.FIRST_PARTY, taken.source)
    agreed = _compared(case, rules, why, flags, seller, other, quantity)
    return Counted(agreed, quantity, case.terms.source, taken.source)


def publisher_count(case: LinePeriodCase) -> int | None:
    """The seller's own count, None when it has not reported: what under-delivery is told by on a contracted line."""
    seller = _count(case, CountedBy.SELLER)
    return None if seller is None else measured(case, seller)


def contracted_count(case: LinePeriodCase) -> int | None:
    """What the contracted source says, final or not; the seller's own count on a contracted line."""
    count = _counterparty(case) if case.terms.source is BillingSource.THIRD_PARTY else _count(case, CountedBy.SELLER)
    return None if count is None else measured(case, count)


def live_hours(case: LinePeriodCase) -> int:
    """Whole hours in which the line was to deliver in the period: its flights' local time less the pauses."""
    flights = case.flights or (case.flight,)
    return max(0, sum(live_time(f.start, f.end, case.period) for f in flights) // _HOUR - case.paused_hours)


def measured(case: LinePeriodCase, count: SourceCount) -> int | None:
    """What a source counted of the billed unit: in the period, or over the line's life when all is billed at its end."""
    if case.terms.schedule is BillingSchedule.END_OF_CAMPAIGN:
        return _life(case, count)
    return counted(case.price.method, count.units, count.active_days)


def _life(case: LinePeriodCase, count: SourceCount) -> int | None:
    return None if count.life is None else counted(case.price.method, count.life, count.life_days)


def _count(case: LinePeriodCase, by: CountedBy) -> SourceCount | None:
    return next((count for count in case.counts if count.counted_by is by), None)


def _counterparty(case: LinePeriodCase) -> SourceCount | None:
    # A measurement company is neutral and comes first; without one the buyer's own ad server is the other side.
    return _count(case, CountedBy.MEASUREMENT) or _count(case, CountedBy.BUYER)


def _ready(case: LinePeriodCase, count: SourceCount | None) -> bool:
    return count is not None and count.final and measured(case, count) is not None


def _reported(case: LinePeriodCase, count: SourceCount | None, who: str) -> tuple[SourceCount, int]:
    quantity = None if count is None else measured(case, count)
    if count is None or quantity is None:
        unit = BILLED_UNIT[case.price.method]
        month = None if count is None or count.awaited is None else count.awaited.label
        raise refusals.no_report(who, "units" if unit is None else unit.value.replace("_", " "), month)
    return count, quantity


def _delivered_something(
    case: LinePeriodCase,
    rules: RuleSet,
    why: Explanation,
    taken: SourceCount,
    quantity: int,
    seller: SourceCount | None,
) -> None:
    if quantity or (seller is not None and measured(case, seller)):
        return
    hours = live_hours(case)
    if hours > rules.no_delivery_after_hours:
        sentence = f"{taken.source} counted nothing in {hours:,} live hours."
        why.add(Rule.DELIVERY, "no_delivery", sentence, live_hours=hours, after=rules.no_delivery_after_hours)
        raise refusals.no_delivery(taken.source, hours)


def _compared(
    case: LinePeriodCase,
    rules: RuleSet,
    why: Explanation,
    flags: list[Flag],
    seller: SourceCount | None,
    other: SourceCount | None,
    quantity: int,
) -> int:
    ours = None if seller is None or not seller.final else measured(case, seller)
    theirs = None if other is None or not other.final else measured(case, other)
    if ours is None or theirs is None:
        if (seller is not None and other is not None) or case.terms.source is BillingSource.THIRD_PARTY:
            flags.append(Flag.NOT_COMPARED)
            sentence = "One of the two counts is missing or not final, so no variance was tested."
            why.add(Rule.TOLERANCE, "not compared", sentence)
        return quantity
    found = variance(ours, theirs, case.terms.variance_base, case.terms.tolerance_ppm)
    _explain(case, why, found, "in this period")
    if found.within:
        return quantity
    if _agree_over_life(case, why, seller, other):
        flags.append(Flag.BOUNDARY_DIFFERENCE)
        return quantity
    if case.settlement is None:
        allowed = f"{Decimal(case.terms.tolerance_ppm).scaleb(-4):f} %"
        raise refusals.variance_too_large(ours, theirs, found.percent, allowed, case.terms.variance_base.value)
    try:
        agreed = settled(case.settlement, found, rules)
    except ValueError:
        low, high = sorted((ours, theirs))
        raise refusals.settlement_outside(case.settlement.quantity or 0, low, high) from None
    flags.append(Flag.DISPUTE_SETTLED)
    why.add(
        Rule.DISPUTE,
        agreed,
        f"The dispute was settled ({case.settlement.outcome.value}): {agreed:,} units.",
        outcome=case.settlement.outcome.value,
        decided_by=case.settlement.decided_by,
        approved_by=case.settlement.approved_by,
    )
    return agreed


def over_life(case: LinePeriodCase, seller: SourceCount | None, other: SourceCount | None) -> Variance | None:
    """How two sources differ over the months of the line's life that are final on both sides; None when one knows no life.

    A number that may still change neither makes a dispute nor excuses one.
    """
    ours = None if seller is None else _final_life(case, seller)
    theirs = None if other is None else _final_life(case, other)
    if ours is None or theirs is None or case.terms.schedule is BillingSchedule.END_OF_CAMPAIGN:
        return None
    return variance(ours, theirs, case.terms.variance_base, case.terms.tolerance_ppm)


def _final_life(case: LinePeriodCase, count: SourceCount) -> int | None:
    final = count.final_months
    if final is None:
        return _life(case, count)
    return counted(case.price.method, final.units, final.active_days)


def _agree_over_life(
    case: LinePeriodCase, why: Explanation, seller: SourceCount | None, other: SourceCount | None
) -> bool:
    found = over_life(case, seller, other)
    if found is None:
        return False
    final = None if seller is None else seller.final_months
    if final is None:
        _explain(case, why, found, "over the line's life")
        return found.within
    months, verb = ("1 month", "is") if final.open_months == 1 else (f"{final.open_months} months", "are")
    where = f"over the line's life; {months} that {verb} not final on both sides {verb} left out"
    _explain(case, why, found, where, open_months=final.open_months)
    return found.within


def _explain(case: LinePeriodCase, why: Explanation, found: Variance, where: str, **more: object) -> None:
    why.add(
        Rule.TOLERANCE,
        "within" if found.within else "outside",
        f"The two counts differ by {found.percent} of the {case.terms.variance_base.value} figure {where}.",
        publisher=found.publisher,
        counterparty=found.counterparty,
        base=found.base,
        tolerance_ppm=found.tolerance_ppm,
        **more,
    )

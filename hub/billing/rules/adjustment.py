"""Restated after billing: the adjustments that bring what was billed of a line to what its numbers say now.

All billed periods of a line are corrected together, each from the present numbers of all of them and never from earlier
adjustments, so the order in which restatements arrive makes no difference and a cap holds for the line as a whole. The
documents of one call belong together: those that credit room under a cap to one period come before those that use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from hub.billing.rules.calculation import calculate
from hub.billing.rules.credit import billed_net, placed
from hub.billing.rules.explanation import Rule, Step
from hub.billing.rules.line_period import Billable, BilledPosition, Blocked, LinePeriodCase, OtherPeriod
from hub.billing.rules.rule_set import CURRENT, RuleSet
from oms_schema.base import Canonical
from oms_schema.delivery import BillingPeriod, Count
from oms_schema.document import Amounts, DocumentKind
from oms_schema.line import Price
from oms_schema.money import PartsPerMillion
from oms_schema.party import ID


class Adjustment(Canonical):
    """A proposed position of a new document that corrects one billed position; amounts are positive either way.

    A credit memo owes them to the buyer, a supplementary invoice asks for them. Price, bill-to and tax rate are the
    original's.
    """

    kind: Literal[DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO]
    line_id: ID
    order_id: ID
    period: BillingPeriod
    corrects: ID
    corrects_number: Annotated[int, Field(ge=1, strict=True)]
    quantity: Count
    price: Price
    agency_billed: bool
    tax_ppm: PartsPerMillion
    amounts: Amounts
    steps: tuple[Step, ...]
    rules: str
    inputs_hash: str


class Adjustments(Canonical):
    """What a line's restated numbers ask for. Blocked periods keep what they were billed until they are settled."""

    credits: tuple[Adjustment, ...] = ()
    supplements: tuple[Adjustment, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    unchanged: tuple[BillingPeriod, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing to issue."""
        return not self.credits and not self.supplements


def adjust(cases: Sequence[LinePeriodCase], rules: RuleSet = CURRENT) -> Adjustments:
    """Compare every billed period of one line with what its present numbers give.

    `cases` are the line's billed periods, each with its present counts and its `billed` positions (oldest first). What
    they say of one another in `others` is replaced by what is calculated here; other periods there stay. A blocked period
    keeps what it was billed, and no earlier one is billed into the room that it takes. A change of units
    that moves no amount (less than half a minor unit's worth) asks for no document. ValueError when the cases are of
    several lines, name a period twice, or one was not billed.
    """
    if len({case.line_id for case in cases}) > 1:
        raise ValueError("an adjustment looks at one line at a time")
    if len({case.period for case in cases}) != len(cases):
        raise ValueError("a period is named twice")
    ordered = sorted(cases, key=lambda known: known.period.start)
    kept: dict[BillingPeriod, OtherPeriod] = {}
    while True:
        found = _adjusted(ordered, kept, rules)
        blocked = {result.period for result in found.blocked} - kept.keys()
        if not blocked:
            return found
        for case in ordered:
            if case.period in blocked:
                net = billed_net(case.billed, case.price.currency)
                units = sum(position.net_quantity for position in case.billed)
                kept[case.period] = OtherPeriod(period=case.period, counted=units, quantity=units, amounts=net)


def _adjusted(
    cases: Sequence[LinePeriodCase], kept: Mapping[BillingPeriod, OtherPeriod], rules: RuleSet
) -> Adjustments:
    """One look at the periods in their order; earlier ones know what the blocked ones after them keep (`kept`)."""
    owed: list[Adjustment] = []
    due: list[Adjustment] = []
    blocked: list[Blocked] = []
    unchanged: list[BillingPeriod] = []
    corrected: dict[BillingPeriod, OtherPeriod] = {}
    mine = {case.period for case in cases}
    for case in cases:
        if not case.billed:
            raise ValueError(f"{case.period.label} was not billed, so there is nothing to adjust")
        outside = (other for other in case.others if other.period not in mine)
        later = (other for period, other in kept.items() if period.start > case.period.start)
        result = calculate(_as_if_unbilled(case, (*corrected.values(), *later, *outside)), rules)
        net = billed_net(case.billed, case.price.currency)
        units = sum(position.net_quantity for position in case.billed)
        if isinstance(result, Blocked):
            blocked.append(result)
            # Its count is in question, so a cap that adds counts up waits for it; one that adds bills up need not.
            corrected[case.period] = OtherPeriod(period=case.period, quantity=units, amounts=net)
            continue
        quantity = result.quantity or 0
        corrected[case.period] = OtherPeriod(
            period=case.period, counted=result.counted, quantity=quantity, amounts=result.amounts
        )
        up, down = result.amounts.minus(net), net.minus(result.amounts)
        if not up.gross and not up.total:
            unchanged.append(case.period)
        elif up.gross > 0 or up.total > 0:
            original = case.billed[0]
            due.append(_adjustment(DocumentKind.INVOICE, original, max(0, quantity - units), up, result))
        else:
            owed += (
                _adjustment(DocumentKind.CREDIT_MEMO, part.position, part.quantity, part.amounts, result)
                for part in placed(max(0, units - quantity), down, case.billed)
            )
    return Adjustments(credits=tuple(owed), supplements=tuple(due), blocked=tuple(blocked), unchanged=tuple(unchanged))


def _as_if_unbilled(case: LinePeriodCase, others: tuple[OtherPeriod, ...]) -> LinePeriodCase:
    """The case as if nothing were billed for it, at the price, bill-to and tax rate it was billed with."""
    original = case.billed[0]
    changes = {
        "billed": (),
        "others": tuple(sorted(others, key=lambda known: known.period.start)),
        "price": original.price,
        "agency_billed": original.agency_billed,
        "tax_ppm": original.tax_ppm,
    }
    return case.model_copy(update=changes)


def _adjustment(
    kind: Literal[DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO],
    position: BilledPosition,
    quantity: int,
    amounts: Amounts,
    result: Billable,
) -> Adjustment:
    what = "credit memo" if kind is DocumentKind.CREDIT_MEMO else "supplementary invoice"
    step = Step(
        rule=Rule.ADJUSTMENT,
        given=(
            ("billed", str(position.net_amounts.due.amount)),
            ("corrected", str(result.amounts.due.amount)),
            ("document", position.document_id),
            ("position", str(position.number)),
        ),
        result=str(amounts.due.amount),
        sentence=f"The {what} corrects position {position.number} of {position.document_id} component by component.",
    )
    return Adjustment(
        kind=kind,
        line_id=result.line_id,
        order_id=result.order_id,
        period=result.period,
        corrects=position.document_id,
        corrects_number=position.number,
        quantity=quantity,
        price=position.price,
        agency_billed=position.agency_billed,
        tax_ppm=position.tax_ppm,
        amounts=amounts,
        steps=(*result.steps, step),
        rules=result.rules,
        inputs_hash=result.inputs_hash,
    )

"""From the store to the rules: everything that is known of a line, and the case of any of its billing periods.

What is not kept anywhere is not guessed: pauses within a period are not deducted from live hours, and no tax is estimated,
because the ERP computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from hub.billing.counts import Counts, LineCycles, PeriodCount, counts_of, live_days
from hub.billing.rules import (
    Billable,
    BilledPosition,
    Blocked,
    CancelledContract,
    LinePeriodCase,
    ManualCount,
    OtherPeriod,
    Outcome,
    Settlement,
    case_of,
    monthly_cycles,
)
from hub.billing.rules.cost import counted
from hub.billing.rules.window import day_of, fallback_due
from hub.encoding import decode, encode, fingerprint
from hub.session import Session
from hub.store import billing_counts, billing_documents, billing_periods, entities, partitions
from hub.store.billing_documents import StoredDocument, StoredPosition
from hub.store.billing_periods import StoredInput, StoredPeriod
from hub.store.database import Cursor
from oms_schema.billing_terms import BillingSource, BillingTerms, CapMode
from oms_schema.delivery import BillingPeriod, CountedBy, QuantityOverride
from oms_schema.document import Amounts, DocumentKind
from oms_schema.ids import EntityKind
from oms_schema.line import CostMethod, Flight, Line, Price
from oms_schema.order import Order
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

OVERRIDE, MANUAL_COUNT, SETTLEMENT, CANCELLATION = "override", "manual_count", "settlement", "cancellation"


@dataclass(frozen=True, slots=True)
class Terms:
    """Other terms than the contract's, for a question that is only asked: what is None stays."""

    source: BillingSource | None = None
    cap: CapMode | None = None
    tolerance_ppm: int | None = None

    def of(self, terms: BillingTerms) -> BillingTerms:
        """The contract's terms with these instead."""
        changes = {"source": self.source, "cap": self.cap, "tolerance_ppm": self.tolerance_ppm}
        return terms.model_copy(update={name: value for name, value in changes.items() if value is not None})


CONTRACT = Terms()
"""The contract's own terms."""


def payer_of(order: Order) -> str | None:
    """Who pays for an order: its bill-to, else its advertiser."""
    return order.party(PartyRole.BILL_TO) or order.party(PartyRole.ADVERTISER)


@dataclass
class LineFile:
    """All that billing knows of one line. `periods` are the stored line-periods by first day."""

    order: Order
    line: Line
    cycles: tuple[BillingPeriod, ...]
    counts: dict[BillingPeriod, tuple[PeriodCount, ...]] = field(default_factory=dict)
    inputs: dict[date, dict[str, StoredInput]] = field(default_factory=dict)
    positions: list[tuple[StoredDocument, StoredPosition]] = field(default_factory=list)
    periods: dict[date, StoredPeriod] = field(default_factory=dict)
    covered: frozenset[BillingPeriod] = frozenset()
    """Of a cancelled line: the months of which whole reports of the seller's told every live day, naming the line or not."""

    @property
    def bill_to(self) -> str | None:
        """Who pays."""
        return payer_of(self.order)

    @property
    def is_cancelled(self) -> bool:
        """Whether the line or its order is cancelled."""
        return self.line.cancelled or self.order.status is CommercialStatus.CANCELLED

    @property
    def by_value(self) -> bool:
        """Whether the contract's value is billed, and not a count."""
        return self.line.price.method is CostMethod.FLAT or self.terms.source is BillingSource.CONTRACTED

    @property
    def ends_on(self) -> date | None:
        """The first day that is not owed, as people said it last, under whichever month they did; None while nobody has."""
        said = cancellation_of(self)
        return None if said is None else date.fromisoformat(_body(said)["ends_on"])

    @property
    def terms(self) -> BillingTerms:
        """The line's own terms where it has some, else the order's."""
        return self.line.terms or self.order.terms

    def concerns(self, period: BillingPeriod) -> bool:
        """Whether the line runs in the period or was billed for it; `cycles` also hold the months between, when it was moved."""
        known = self.periods.get(period.start)
        return (known is not None and known.locked) or period in cycles_of(self.line.flight, period)

    def is_over(self, period: BillingPeriod, now: datetime) -> bool:
        """Whether the period has ended where the line runs."""
        return day_of(now, self.line.flight.zone) >= period.end


def cycles_of(flight: Flight, period: BillingPeriod) -> tuple[BillingPeriod, ...]:
    """The calendar months that a flight runs in; those of an open one up to `period`."""
    if flight.end is not None:
        return monthly_cycles(flight)
    open_until = max(flight.start + timedelta(days=1), datetime.combine(period.end, datetime.min.time()))
    return monthly_cycles(Flight(start=flight.start, end=open_until, zone=flight.zone, start_fold=flight.start_fold))


def contracts(cur: Cursor, line_ids: Sequence[str], period: BillingPeriod) -> list[LineFile]:
    """Orders, lines and billing periods alone, in the order of the lines' ids; a line whose order is gone is left out."""
    stored = entities.many(cur, EntityKind.LINE, line_ids)
    lines = {line_id: Line.from_bytes(one.canonical) for line_id, one in stored.items()}
    named = entities.many(cur, EntityKind.ORDER, sorted({line.order_id for line in lines.values()}))
    orders = {order_id: Order.from_bytes(one.canonical) for order_id, one in named.items()}
    return [
        LineFile(orders[line.order_id], line, cycles_of(line.flight, period))
        for _, line in sorted(lines.items())
        if line.order_id in orders
    ]


def files(session: Session, cur: Cursor, line_ids: Sequence[str], period: BillingPeriod) -> list[LineFile]:
    """All that is known of these lines, in the order of their ids."""
    found = {one.line.id: one for one in contracts(cur, line_ids, period)}
    for known in billing_periods.of_lines(cur, list(found)):
        found[known.line_id].periods[known.period_start] = known
    for file in found.values():
        file.cycles = _with_billed(file.cycles, [known for known in file.periods.values() if known.locked])
    counts: Counts = counts_of(
        session,
        cur,
        [LineCycles(line_id, one.line.flight, one.terms, one.cycles) for line_id, one in found.items()],
    )
    for (line_id, cycle), told in counts.items():
        found[line_id].counts[cycle] = told
    look_for_coverage(cur, list(found.values()))
    for entered in billing_periods.inputs_of(cur, list(found)):
        found[entered.line_id].inputs.setdefault(entered.period_start, {})[entered.kind] = entered
    for document, position in billing_documents.positions_of_lines(cur, list(found)):
        found[position.line_id].positions.append((document, position))
    return list(found.values())


def look_for_coverage(cur: Cursor, files: Sequence[LineFile]) -> None:
    """Say of cancelled lines which months the seller's reports covered."""
    cancelled = [file for file in files if file.is_cancelled]
    if not cancelled:
        return
    since = min(file.cycles[0].start for file in cancelled)
    until = max(file.cycles[-1].end for file in cancelled)
    told = [partitions.days_confirmed(cur, name, since, until) for name in billing_counts.sellers(cur)]
    for file in cancelled:
        file.covered = frozenset(
            cycle
            for cycle in file.cycles
            if (live := live_days(file.line.flight, cycle)) is not None
            and any(all(day in days for day in _each(*live)) for days in told)
        )


def _each(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _with_billed(cycles: tuple[BillingPeriod, ...], locked: Sequence[StoredPeriod]) -> tuple[BillingPeriod, ...]:
    """The months of the flight and those that were billed before it was moved: what is billed stays under the cap."""
    first = min([cycles[0].start, *(one.period_start for one in locked)])
    last = max([cycles[-1].end, *(one.period_end for one in locked)])
    months = [BillingPeriod.month(first.year, first.month)]
    while months[-1].end < last:
        months.append(BillingPeriod.month(months[-1].end.year, months[-1].end.month))
    return tuple(months)


class CountBelowZeroError(ValueError):
    """A source's count that cannot be."""


def contradiction(file: LineFile, error: ValueError) -> str:
    """What is said when what is stored cannot be: a contract in another currency than the one billed in, a count below zero."""
    if isinstance(error, CountBelowZeroError):
        return (
            f"Of line {file.line.id} {error}. Nothing is billed or corrected for it from that month on. Ad operations has that "
            "month reported again."
        )
    if isinstance(error, ValidationError):
        said = "; ".join(str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors())
    else:
        said = str(error)
    return (
        f"Line {file.line.id} contradicts what was billed of it: {said}. Nothing is billed or corrected for it. Sales puts the "
        "contract right at its source, or Finance bills the rest by hand."
    )


def case(file: LineFile, period: BillingPeriod, now: datetime, terms: Terms = CONTRACT) -> LinePeriodCase:
    """The case of one period as things stand. ValueError when what is stored contradicts itself; see `contradiction`."""
    line, order = file.line, file.order
    if terms != CONTRACT:
        line = line.model_copy(update={"terms": terms.of(file.terms)})
    valid = line.terms or order.terms
    entered = file.inputs.get(period.start, {})
    for told in file.counts.get(period, ()):
        if told.impossible is not None:
            raise CountBelowZeroError(told.impossible)
    return case_of(
        order,
        line,
        period,
        file.cycles,
        period_over=file.is_over(period, now),
        counts=tuple(told.count for told in file.counts.get(period, ())),
        others=_others(file, period, valid),
        billed=billed(file, period),
        manual=_manual(entered.get(MANUAL_COUNT)),
        override=_override(entered.get(OVERRIDE)),
        settlement=_settlement(entered.get(SETTLEMENT)),
        cancelled=_cancelled(file),
        fallback_due=fallback_due(period, valid, day_of(now, line.flight.zone)),
    )


def news_hash(case: LinePeriodCase) -> str:
    """Of what may be restated: the counts and what people entered; whether a number is final does not change it."""
    told = [
        count.model_copy(update={"final": False}).model_dump(mode="json", exclude={"awaited", "final_months"})
        for count in case.counts
    ]
    entered = [
        None if one is None else one.model_dump(mode="json") for one in (case.manual, case.override, case.settlement)
    ]
    if case.cancelled is not None and case.cancelled.ends_on is not None:
        # That it is cancelled corrects no bill; the day that people agreed on does.
        entered.append(case.cancelled.model_dump(mode="json"))
    return fingerprint(encode([told, entered])).hex


def billed(file: LineFile, period: BillingPeriod) -> tuple[BilledPosition, ...]:
    """The positions that billed a period, the oldest first, each with what was credited of it since."""
    credited: dict[tuple[str, int], tuple[int, Amounts]] = {}
    for document, position in file.positions:
        if document.kind != DocumentKind.CREDIT_MEMO or document.corrects is None or position.corrects_number is None:
            continue
        key = (document.corrects, position.corrects_number)
        units, amounts = credited.get(key, (0, Amounts.sum((), document.currency)))
        summed = Amounts.sum((amounts, position.amounts), document.currency)
        credited[key] = (units + (position.quantity or 0), summed)
    found = []
    for document, position in file.positions:
        if document.kind != DocumentKind.INVOICE or position.period_start != period.start or position.bonus:
            continue
        units, given_back = credited.get((document.document_id, position.number), (0, None))
        found.append(
            BilledPosition(
                document_id=document.document_id,
                number=position.number,
                quantity=position.quantity,
                amounts=position.amounts,
                price=Price.from_bytes(position.price),
                agency_billed=position.agency_billed,
                tax_ppm=position.tax_ppm,
                credited_quantity=units,
                credited=given_back,
            )
        )
    return tuple(found)


def result_of(stored: StoredPeriod) -> Billable | Blocked | None:
    """The stored result of a line-period."""
    if stored.result is None:
        return None
    if decode(stored.result)["kind"] == "billable":
        return Billable.from_bytes(stored.result)
    return Blocked.from_bytes(stored.result)


def _others(file: LineFile, period: BillingPeriod, terms: BillingTerms) -> tuple[OtherPeriod, ...]:
    found = []
    for cycle in file.cycles:
        if cycle == period:
            continue
        positions = billed(file, cycle)
        amounts = Amounts.sum((one.net_amounts for one in positions), file.line.price.currency) if positions else None
        quantity = sum(one.net_quantity for one in positions) if positions else None
        units = _counted_elsewhere(file, cycle, terms)
        if units is not None or positions:
            found.append(OtherPeriod(period=cycle, counted=units, quantity=quantity, amounts=amounts))
    return tuple(found)


def _counted_elsewhere(file: LineFile, cycle: BillingPeriod, terms: BillingTerms) -> int | None:
    """What goes into the cap for another period: what people approved, else what its calculation took, else its source."""
    entered = file.inputs.get(cycle.start, {})
    for kind in (OVERRIDE, MANUAL_COUNT):
        if kind in entered:
            return int(_body(entered[kind])["quantity"])
    stored = file.periods.get(cycle.start)
    third = terms.source is BillingSource.THIRD_PARTY
    if stored is not None and (third or SETTLEMENT in entered):
        # A settlement or a fallback decided it: the source's own number is not what was billed.
        result = result_of(stored)
        if isinstance(result, Billable) and result.counted is not None:
            return result.counted
    told = {one.count.counted_by: one for one in file.counts.get(cycle, ())}
    source = told.get(CountedBy.SELLER)
    if third:
        source = told.get(CountedBy.MEASUREMENT) or told.get(CountedBy.BUYER)
    if source is None or not source.whole:
        return None
    return counted(file.line.price.method, source.count.units, source.count.active_days)


def cancellation_of(file: LineFile) -> StoredInput | None:
    """The last approved day of a cancellation, entered under any of the line's months."""
    said = [kinds[CANCELLATION] for kinds in file.inputs.values() if CANCELLATION in kinds]
    return max(said, key=lambda one: (str(one.approved_at), one.id), default=None)


def _cancelled(file: LineFile) -> CancelledContract | None:
    if not file.is_cancelled:
        return None
    said = cancellation_of(file)
    if said is None:
        return CancelledContract()
    return CancelledContract(
        ends_on=file.ends_on,
        reason=_body(said)["reason"],
        entered_by=said.entered_by,
        approved_by=said.approved_by or "",
    )


def _body(one: StoredInput) -> dict[str, Any]:
    body: dict[str, Any] = decode(one.body)
    return body


def _approved(one: StoredInput) -> dict[str, Any]:
    return {"approved_by": one.approved_by, "approved_at": one.approved_at}


def _manual(one: StoredInput | None) -> ManualCount | None:
    if one is None:
        return None
    body = _body(one)
    return ManualCount(quantity=body["quantity"], evidence=body["reason"], entered_by=one.entered_by, **_approved(one))


def _override(one: StoredInput | None) -> QuantityOverride | None:
    if one is None:
        return None
    body = _body(one)
    return QuantityOverride(
        quantity=body["quantity"], reason=body["reason"], requested_by=one.entered_by, **_approved(one)
    )


def _settlement(one: StoredInput | None) -> Settlement | None:
    if one is None:
        return None
    body = _body(one)
    return Settlement(
        outcome=Outcome(body["outcome"]),
        quantity=body.get("quantity"),
        reason=body["reason"],
        decided_by=one.entered_by,
        **_approved(one),
    )

"""Contracts compiled for reconciliation in bulk, by the billing rules themselves; what they cannot say in columns stays apart.

A line that bills its contract's value gets the months' amounts from `calculate`, since no count changes them. A line that
bills what was counted gets its terms, its goals by month and where it was live; the counts come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import gcd
from uuid import UUID

from hub.billing.counts import live_days
from hub.billing.rules import CURRENT, Billable, LinePeriodCase, agency_is_billed, calculate, case_of, monthly_cycles
from hub.billing.rules.cost import BILLED_UNIT, contracted_quantity, per
from hub.billing.rules.spread import cycle_quantities, live_time
from hub.store.billing_contracts import Contract
from hub.store.delivery_life import MOST_MONTHS
from hub.store.entities import StoredEntity
from hub.store.reconciliation import NO_END
from oms_schema.billing_terms import BillingSchedule, BillingSource, BillingTerms, CapMode, VarianceBase
from oms_schema.delivery import BillingPeriod
from oms_schema.line import CostMethod, GoalUnit, Line, PriceBasis
from oms_schema.money import MICROS, minor_unit
from oms_schema.order import Order
from oms_schema.status import CommercialStatus

CAPS = (CapMode.NO_CAP, CapMode.CUMULATIVE, CapMode.PER_CYCLE, CapMode.CUMULATIVE_PER_CYCLE)
BASES = (VarianceBase.PUBLISHER, VarianceBase.BUYER, VarianceBase.LARGER)
UNITS = (
    None,
    GoalUnit.IMPRESSIONS,
    GoalUnit.CLICKS,
    GoalUnit.COMPLETED_VIEWS,
    GoalUnit.VIEWABLE_IMPRESSIONS,
    GoalUnit.DAYS,
)
"""By their number in the columns: what is counted, 0 for a contract that is billed by its value."""

_HOUR = 3_600_000_000
LARGEST = 2**61
"""What a whole contract costs in micros stays below it (a net rate scaled up): twice of it and a little fits into 64 bits."""

LONG = "runs for more than 60 months"
CANCELLED = "the line or its order is cancelled"
AT_END = "billed at the end of the campaign"
NOT_COUNTED = "paid by conversions, which no report tells"
BLOCKED = "the contract itself blocks it"
TOO_LARGE = "its figures are too large for 64 bits"
NO_GOAL = "the cap needs a goal that the contract does not state"


def month_number(period: BillingPeriod) -> int:
    """Months since year 0."""
    return period.start.year * 12 + period.start.month - 1


def closing(terms: BillingTerms, zone: str) -> str:
    """What decides, beside the reports, from when a period's numbers may be billed; as one word."""
    return f"{zone}|{terms.finality.value}|{terms.finality_days}|{terms.measurement_window_days}"


def compiled(stored: StoredEntity, stored_order: StoredEntity) -> Contract:
    """One line's contract in columns."""
    line, order = Line.from_bytes(stored.canonical), Order.from_bytes(stored_order.canonical)
    terms = line.terms or order.terms
    status = stored_order.status
    if line.flight.end is None:
        # Its months depend on when one asks; the columns only say that it runs from then on.
        first = BillingPeriod.month(line.flight.start.year, line.flight.start.month)
        return _columns(stored, stored_order, line, terms, (first,), NO_END)
    cycles = monthly_cycles(line.flight)
    if len(cycles) > MOST_MONTHS:
        return _columns(stored, stored_order, line, terms, cycles, LONG)
    if line.cancelled or CommercialStatus.CANCELLED in (order.status, status):
        return _columns(stored, stored_order, line, terms, cycles, CANCELLED)
    if line.price.method is CostMethod.FLAT or terms.source is BillingSource.CONTRACTED:
        return _by_value(stored, stored_order, line, order, terms, cycles)
    return _by_count(stored, stored_order, line, order, terms, cycles)


def _by_value(
    stored: StoredEntity,
    stored_order: StoredEntity,
    line: Line,
    order: Order,
    terms: BillingTerms,
    cycles: tuple[BillingPeriod, ...],
) -> Contract:
    results = [calculate(_case(order, line, cycle, cycles)) for cycle in cycles]
    if not all(isinstance(result, Billable) for result in results):
        return _columns(stored, stored_order, line, terms, cycles, BLOCKED)
    found = [result for result in results if isinstance(result, Billable)]
    return _columns(
        stored,
        stored_order,
        line,
        terms,
        cycles,
        prepaid=terms.schedule is BillingSchedule.PREPAID,
        fixed_units=[result.quantity or 0 for result in found],
        fixed_gross=[result.amounts.gross for result in found],
        fixed_commission=[result.amounts.commission for result in found],
    )


def _by_count(
    stored: StoredEntity,
    stored_order: StoredEntity,
    line: Line,
    order: Order,
    terms: BillingTerms,
    cycles: tuple[BillingPeriod, ...],
) -> Contract:
    price = line.price
    total = contracted_quantity(price, line.goal, line.budget)
    unit = BILLED_UNIT[price.method]
    agency = agency_is_billed(order)
    if unit not in UNITS:
        return _columns(stored, stored_order, line, terms, cycles, NOT_COUNTED)
    if terms.schedule is BillingSchedule.END_OF_CAMPAIGN:
        return _columns(stored, stored_order, line, terms, cycles, AT_END)
    if terms.schedule is not BillingSchedule.AS_DELIVERED:
        return _columns(stored, stored_order, line, terms, cycles, BLOCKED)
    if total is None and terms.cap is not CapMode.NO_CAP:
        return _columns(stored, stored_order, line, terms, cycles, NO_GOAL)
    net_rate = agency and price.basis is PriceBasis.NET and price.commission_ppm > 0
    if net_rate and price.commission_ppm == MICROS:
        return _columns(stored, stored_order, line, terms, cycles, BLOCKED)
    scale = MICROS // gcd(MICROS, price.commission_ppm) if net_rate else 1
    if max(total or 0, 1) * max(price.rate, 1) * scale >= LARGEST:
        return _columns(stored, stored_order, line, terms, cycles, TOO_LARGE)
    goals = None
    if terms.cap in (CapMode.PER_CYCLE, CapMode.CUMULATIVE_PER_CYCLE):
        running, goals = 0, []
        for quantity in cycle_quantities(total or 0, line.flight, line.flights, line.goal, cycles):
            running += quantity
            goals.append(running)
    return _columns(
        stored,
        stored_order,
        line,
        terms,
        cycles,
        per=per(price.method),
        commission_ppm=price.commission_ppm if agency else 0,
        net_rate=net_rate,
        third_party=terms.source is BillingSource.THIRD_PARTY,
        cap=CAPS.index(terms.cap),
        tolerance_ppm=terms.tolerance_ppm,
        variance_base=BASES.index(terms.variance_base),
        unit=UNITS.index(unit),
        total=total,
        goals=goals,
        live=sum(
            1 << place
            for place, cycle in enumerate(cycles)
            if _live_hours(line, cycle) > CURRENT.no_delivery_after_hours
        ),
    )


def _live_hours(line: Line, period: BillingPeriod) -> int:
    """Whole hours in which the line was to deliver, as `live_hours` of a case without pauses: none are kept anywhere."""
    flights = line.flights or (line.flight,)
    return sum(live_time(flight.start, flight.end, period) for flight in flights) // _HOUR


def _case(order: Order, line: Line, period: BillingPeriod, cycles: tuple[BillingPeriod, ...]) -> LinePeriodCase:
    return case_of(order, line, period, cycles, period_over=True)


def _columns(
    stored: StoredEntity,
    stored_order: StoredEntity,
    line: Line,
    terms: BillingTerms,
    cycles: Sequence[BillingPeriod],
    apart: str = "",
    *,
    per: int = 1,
    commission_ppm: int = 0,
    net_rate: bool = False,
    third_party: bool = False,
    cap: int = 0,
    tolerance_ppm: int = 0,
    variance_base: int = 0,
    unit: int = 0,
    total: int | None = None,
    prepaid: bool = False,
    goals: list[int] | None = None,
    live: int = 0,
    fixed_units: list[int] | None = None,
    fixed_gross: list[int] | None = None,
    fixed_commission: list[int] | None = None,
) -> Contract:
    first = live_days(line.flight, cycles[0]) or _whole(cycles[0])
    last = live_days(line.flight, cycles[-1]) or _whole(cycles[-1])
    return Contract(
        line_id=stored.id,
        order_id=stored_order.id,
        line_hash=UUID(str(stored.content_hash)),
        order_hash=UUID(str(stored_order.content_hash)),
        order_status=stored_order.status,
        apart=apart,
        currency=line.price.currency,
        minor=minor_unit(line.price.currency),
        rate=line.price.rate,
        per=per,
        commission_ppm=commission_ppm,
        net_rate=net_rate,
        third_party=third_party,
        cap=cap,
        tolerance_ppm=tolerance_ppm,
        variance_base=variance_base,
        unit=unit,
        total=total,
        prepaid=prepaid,
        fallback_days=terms.fallback_days,
        window_days=terms.measurement_window_days,
        closing=closing(terms, line.flight.zone),
        first_month=month_number(cycles[0]),
        months=len(cycles),
        first_live=first[0],
        first_until=first[1],
        last_since=last[0],
        last_live=last[1],
        goals=goals,
        live=live,
        fixed_units=fixed_units,
        fixed_gross=fixed_gross,
        fixed_commission=fixed_commission,
    )


def _whole(period: BillingPeriod) -> tuple[date, date]:
    return period.start, period.end - timedelta(days=1)

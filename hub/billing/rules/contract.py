"""From the contract to a case: what an order and one of its lines say about billing a period."""

from __future__ import annotations

from datetime import time

from hub.billing.rules.dispute import Settlement
from hub.billing.rules.line_period import (
    BilledPosition,
    CancelledContract,
    LinePeriodCase,
    ManualCount,
    OtherPeriod,
    SourceCount,
)
from oms_schema.delivery import BillingPeriod, QuantityOverride
from oms_schema.line import Flight, Line
from oms_schema.order import Order
from oms_schema.party import PartyRole


def monthly_cycles(flight: Flight) -> tuple[BillingPeriod, ...]:
    """The calendar months that a flight runs in, by its local time. ValueError when it has no end."""
    if flight.end is None:
        raise ValueError("the flight has no end, so its billing cycles cannot be counted")
    months = [BillingPeriod.month(flight.start.year, flight.start.month)]
    # The end is exclusive: a flight that ends at midnight of the first does not run in that month.
    while months[-1].end < flight.end.date() or (months[-1].end == flight.end.date() and flight.end.time() > time()):
        months.append(BillingPeriod.month(months[-1].end.year, months[-1].end.month))
    return tuple(months)


def agency_is_billed(order: Order) -> bool:
    """Whether the bill-to is the order's agency: only then commission is due. No bill-to is the advertiser itself."""
    agency = order.party(PartyRole.AGENCY)
    return agency is not None and order.party(PartyRole.BILL_TO) == agency


def case_of(
    order: Order,
    line: Line,
    period: BillingPeriod,
    cycles: tuple[BillingPeriod, ...],
    *,
    period_over: bool,
    counts: tuple[SourceCount, ...] = (),
    others: tuple[OtherPeriod, ...] = (),
    billed: tuple[BilledPosition, ...] = (),
    manual: ManualCount | None = None,
    override: QuantityOverride | None = None,
    settlement: Settlement | None = None,
    cancelled: CancelledContract | None = None,
    fallback_due: bool = False,
    paused_hours: int = 0,
    tax_ppm: int | None = None,
) -> LinePeriodCase:
    """The case of one line-period: the line's own terms where it has some, else the order's.

    ValueError when the line belongs to another order, pydantic.ValidationError when the case contradicts itself.
    """
    if line.order_id != order.id:
        raise ValueError(f"line {line.id} belongs to order {line.order_id}, not to {order.id}")
    return LinePeriodCase(
        line_id=line.id,
        order_id=order.id,
        period=period,
        cycles=cycles,
        period_over=period_over,
        terms=line.terms or order.terms,
        price=line.price,
        goal=line.goal,
        budget=line.budget,
        flight=line.flight,
        flights=line.flights,
        paused_hours=paused_hours,
        agency_billed=agency_is_billed(order),
        tax_ppm=tax_ppm,
        counts=counts,
        fallback_due=fallback_due,
        manual=manual,
        override=override,
        settlement=settlement,
        cancelled=cancelled,
        others=others,
        billed=billed,
    )

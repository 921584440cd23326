"""The delivery status of a line: from a held reservation to the last impression (OpenDirect names, plus READY)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from oms_schema.machines.machine import Guard, Machine, Origin, Transition
from oms_schema.status import DeliveryStatus as D


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFacts:
    """What the guards of a line look at. The defaults know nothing, so that what is not stated is refused.

    Times are aware instants; `now` is business time; `end` is exclusive and None when the line runs until stopped.
    """

    now: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    hold_expires: datetime | None = None
    hold_granted: bool | None = None
    """The ad server's answer to the hold; None before it has answered."""
    reset_by: str | None = None
    """Who explicitly put the line back to draft."""
    order_booked: bool = False
    ad_server_id: str | None = None
    forecast_pending: bool = False
    """The ad server still computes its forecast (Google: up to 60 minutes) and cannot approve yet."""
    booking_refused: str | None = None
    """Why the ad server refused the booking; None when it did not."""
    creatives_assigned: bool = False
    order_approved: bool = False
    """The order is approved at the ad server."""
    delivered: int = 0
    delivering: bool = False
    """The ad server shows the line as delivering."""
    delivery_extended: bool = False
    """The ad server goes on past the end date to make up for under-delivery."""
    run_completed: bool = False
    """The ad server itself says that the run is over."""
    pause_reason: str | None = None
    """Why the line is to stand still (a user, a credit hold); None when it is to run."""
    hold_released: bool = False
    """While paused, its inventory was given back."""
    availability_rechecked: bool = False
    cancel_reason: str | None = None


def _hold_has_expiry(f: DeliveryFacts) -> str | None:
    if f.hold_expires is None:
        return "it has none"
    if f.now is None:
        return "the time is not known"
    return None if f.hold_expires > f.now else f"it was {f.hold_expires.isoformat()}"


def _granted(f: DeliveryFacts) -> str | None:
    if f.hold_granted is None:
        return "it has not answered"
    return None if f.hold_granted else "it declined"


def _declined(f: DeliveryFacts) -> str | None:
    if f.hold_granted is None:
        return "it has not answered"
    return "it granted the hold" if f.hold_granted else None


def _hold_over(f: DeliveryFacts) -> str | None:
    if f.hold_expires is None:
        return "it has no expiry"
    if f.now is None:
        return "the time is not known"
    return None if f.now >= f.hold_expires else f"it lasts until {f.hold_expires.isoformat()}"


def _reset(f: DeliveryFacts) -> str | None:
    return None if f.reset_by else "nobody did"


def _order_booked(f: DeliveryFacts) -> str | None:
    return None if f.order_booked else "it is not"


def _has_id(f: DeliveryFacts) -> str | None:
    return None if f.ad_server_id else "none is stored"


def _forecast_done(f: DeliveryFacts) -> str | None:
    return "it is still being made" if f.forecast_pending else None


def _not_refused(f: DeliveryFacts) -> str | None:
    return f"it did: {f.booking_refused}" if f.booking_refused else None


def _refused(f: DeliveryFacts) -> str | None:
    return None if f.booking_refused else "it did not"


def _creatives(f: DeliveryFacts) -> str | None:
    return None if f.creatives_assigned else "none is"


def _no_creatives(f: DeliveryFacts) -> str | None:
    return "creatives are assigned and the order is approved" if f.creatives_assigned and f.order_approved else None


def _approved(f: DeliveryFacts) -> str | None:
    return None if f.order_approved else "it is not"


def _started(f: DeliveryFacts) -> str | None:
    if f.start is None or f.now is None:
        return "the start or the time is not known"
    return None if f.now >= f.start else f"it starts {f.start.isoformat()}"


def _before_start(f: DeliveryFacts) -> str | None:
    if f.start is None or f.now is None:
        return "the start or the time is not known"
    return f"it was {f.start.isoformat()}" if f.now >= f.start else None


def _delivery_seen(f: DeliveryFacts) -> str | None:
    return None if f.delivered > 0 or f.delivering else "none is"


def _nothing_ran(f: DeliveryFacts) -> str | None:
    if f.delivered > 0:
        return f"{f.delivered} units are delivered"
    return "it is delivering" if f.delivering else None


def _wants_pause(f: DeliveryFacts) -> str | None:
    return None if f.pause_reason else "nobody does"


def _wants_run(f: DeliveryFacts) -> str | None:
    return f"somebody does: {f.pause_reason}" if f.pause_reason else None


def _inventory_there(f: DeliveryFacts) -> str | None:
    return "it was not" if f.hold_released and not f.availability_rechecked else None


def _run_over(f: DeliveryFacts) -> str | None:
    if f.delivery_extended:
        return "the ad server extends it"
    if f.run_completed:
        return None
    if f.end is None:
        return "it has no end"
    if f.now is None:
        return "the time is not known"
    return None if f.now >= f.end else f"it ends {f.end.isoformat()}"


def _cancel_reason(f: DeliveryFacts) -> str | None:
    return None if f.cancel_reason and f.cancel_reason.strip() else "there is none"


_G = Guard[DeliveryFacts]
HOLD_HAS_EXPIRY = _G("the hold's expiry lies ahead", _hold_has_expiry)
GRANTED = _G("the ad server grants the hold", _granted)
HOLD_DECLINED = _G("the ad server declines the hold", _declined)
HOLD_OVER = _G("the hold has run out", _hold_over)
RESET = _G("a person resets it", _reset)
ORDER_BOOKED = _G("the order is booked", _order_booked)
HAS_ID = _G("the ad server's id is stored", _has_id)
FORECAST_DONE = _G("the ad server's forecast is made", _forecast_done)
NOT_REFUSED = _G("the ad server does not refuse the booking", _not_refused)
REFUSED = _G("the ad server refuses the booking", _refused)
CREATIVES = _G("a creative is assigned", _creatives)
NO_CREATIVES = _G("a creative or the approval is missing again", _no_creatives)
APPROVED = _G("the order is approved at the ad server", _approved)
STARTED = _G("the start is reached", _started)
BEFORE_START = _G("the start is not reached", _before_start)
DELIVERY_SEEN = _G("delivery is seen", _delivery_seen)
NOTHING_RAN = _G("nothing has run yet", _nothing_ran)
WANTS_PAUSE = _G("somebody wants it paused", _wants_pause)
WANTS_RUN = _G("nobody wants it paused", _wants_run)
INVENTORY_THERE = _G("availability was checked again if the inventory was released", _inventory_there)
RUN_OVER = _G("the end is reached", _run_over)
CANCEL_REASON = _G("a reason is given", _cancel_reason)

_ADDED = Origin.ADDED


def _row(
    source: D, target: D, trigger: str, sentence: str, *guards: _G, origin: Origin = Origin.DOMAIN
) -> Transition[D, DeliveryFacts]:
    return Transition(source, target, trigger, guards, sentence, origin)


DELIVERY: Machine[D, DeliveryFacts] = Machine(
    "delivery",
    "line",
    D.DRAFT,
    [
        _row(D.DRAFT, D.PENDING_RESERVATION, "hold asked", "A hold on inventory was asked for.", HOLD_HAS_EXPIRY),
        _row(
            D.PENDING_RESERVATION,
            D.RESERVED,
            "hold granted",
            "The ad server holds the inventory.",
            GRANTED,
            HOLD_HAS_EXPIRY,
        ),
        _row(D.PENDING_RESERVATION, D.DECLINED, "hold declined", "The ad server declined the hold.", HOLD_DECLINED),
        _row(D.RESERVED, D.EXPIRED, "hold timer", "The hold ran out and the inventory is free again.", HOLD_OVER),
        *(
            _row(source, D.DRAFT, "reset", "A person put the line back to draft.", RESET)
            for source in (D.DECLINED, D.EXPIRED, D.RESERVED)
        ),
        *(
            _row(source, D.PENDING_BOOKING, "booking sent", "The line is being booked at the ad server.", ORDER_BOOKED)
            for source in (D.DRAFT, D.RESERVED)
        ),
        _row(
            D.PENDING_BOOKING,
            D.BOOKED,
            "booking confirmed",
            "The ad server has the line.",
            ORDER_BOOKED,
            HAS_ID,
            FORECAST_DONE,
            NOT_REFUSED,
        ),
        _row(D.PENDING_BOOKING, D.DECLINED, "booking refused", "The ad server refused the line.", REFUSED),
        _row(D.BOOKED, D.READY, "creative assigned", "The line will start by itself.", CREATIVES, APPROVED),
        _row(D.READY, D.IN_FLIGHT, "first delivery", "The line is delivering.", STARTED, DELIVERY_SEEN),
        _row(D.IN_FLIGHT, D.PAUSED, "pause", "The line is paused.", WANTS_PAUSE),
        _row(D.PAUSED, D.IN_FLIGHT, "resume", "The line delivers again.", WANTS_RUN, INVENTORY_THERE),
        _row(D.IN_FLIGHT, D.FINISHED, "end reached", "The line has finished.", RUN_OVER),
        _row(D.IN_FLIGHT, D.STOPPED, "cancellation", "The line was stopped in flight.", CANCEL_REASON),
        *(
            _row(
                source,
                D.CANCELLED,
                "cancellation",
                "The line was cancelled before anything ran.",
                CANCEL_REASON,
                NOTHING_RAN,
            )
            for source in (D.RESERVED, D.BOOKED, D.READY)
        ),
        *(
            _row(source, D.CANCELLED, "cancellation", "The line was given up.", CANCEL_REASON, origin=_ADDED)
            for source in (D.DRAFT, D.DECLINED, D.EXPIRED)
        ),
        _row(D.READY, D.PAUSED, "pause", "The line is paused before its start.", WANTS_PAUSE, origin=_ADDED),
        _row(
            D.PAUSED,
            D.READY,
            "resume",
            "The line will start by itself again.",
            WANTS_RUN,
            INVENTORY_THERE,
            BEFORE_START,
            origin=_ADDED,
        ),
        *(
            _row(
                source,
                D.BOOKED,
                "creative withdrawn",
                "The line waits for a creative again.",
                NO_CREATIVES,
                origin=_ADDED,
            )
            for source in (D.READY, D.IN_FLIGHT)
        ),
        _row(D.PAUSED, D.FINISHED, "end reached", "The line ended while paused.", RUN_OVER, origin=_ADDED),
        _row(D.PAUSED, D.STOPPED, "cancellation", "The paused line was stopped.", CANCEL_REASON, origin=_ADDED),
        *(
            _row(
                source,
                D.FINISHED,
                "end reached",
                "The line ended without delivering anything.",
                RUN_OVER,
                NOTHING_RAN,
                origin=_ADDED,
            )
            for source in (D.BOOKED, D.READY)
        ),
    ],
)
"""The line's machine (order-management domain study, section 2).

"Before start" of the study's last row is read as "before anything ran": a line whose start has passed without a
creative can otherwise be neither cancelled nor stopped, and its order never completes.
"""

"""When a source's day is final: because the source says so, or by a closing rule of our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hub.delivery.answers import DayFinality
from hub.errors import NotFound, Refused
from hub.session import Session
from hub.store import partitions


def closes_at(day: date, zone: str, closing_days: int) -> datetime:
    """The instant from which a report closes a day: the end of the network's own day and `closing_days` more, aware.

    Local midnight by the zone's own calendar, so that a day of 23 or 25 hours moves nothing.
    """
    return datetime.combine(day + timedelta(days=1 + closing_days), time(), ZoneInfo(zone))


def verdict(day: date, zone: str, closing_days: int | None, confirmed: datetime | None, *, declared: bool) -> str:
    """How one day stands, from what is known of it. Age alone closes nothing: a whole report of that age must have come."""
    if confirmed is None:
        return "missing"
    if declared:
        return "declared"
    if closing_days is not None and confirmed >= closes_at(day, zone, closing_days):
        return "closed"
    return "open"


def asked(session: Session, source: str, since: date, until: date) -> Sequence[DayFinality]:
    """The days that a person asks about: an answer about no day at all would read as if every day were final.

    Raises Refused for a span that ends before it begins, NotFound for a name that no source has or ever had.
    """
    if until < since:
        raise Refused(f"{until} lies before {since}. Nothing was looked at. Give the earlier day first.")
    days = finality(session, source, since, until)
    if source not in session.configuration.connections and all(day.confirmed_as_of is None for day in days):
        known = ", ".join(session.configuration.connections) or "none"
        raise NotFound(f"There is no connection {source!r}. Nothing was looked at. The configuration names: {known}.")
    return days


def finality(session: Session, source: str, since: date, until: date) -> Sequence[DayFinality]:
    """Every day of a span, inclusive. A source without `report:` has no closing rule: its days are open until declared."""
    settings = session.configuration.connections.get(source)
    shape = settings.report if settings is not None else None
    zone, closing = ("UTC", None) if shape is None else (shape.zone, shape.closing_days)
    with session.database.transaction() as cur:
        known = partitions.days_confirmed(cur, source, since, until)
    answers = []
    for number in range((until - since).days + 1):
        day = since + timedelta(days=number)
        confirmed, declared = known.get(day, (None, False))
        answers.append(DayFinality(source, day, verdict(day, zone, closing, confirmed, declared=declared), confirmed))
    return answers

"""The vendor's DateTime and Date structures, and instants as whole seconds since 1970 UTC.

The sandbox keeps instants and returns every DateTime in the network's time zone, whatever zone it was sent in. The
vendor's documents do not promise an echo of the zone, so no client may lean on one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.gam.soap import Native


class MomentError(ValueError):
    """A DateTime that names no instant. `part` is the offending member, empty for the whole."""

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(sentence)
        self.part = part


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of a name.

    Raises:
        MomentError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise MomentError("timeZoneId", f"no time zone '{name}'") from error


def read_moment(value: Native) -> int:
    """The instant of a DateTime, seconds since 1970 UTC; an hour that a zone skips or repeats is read as the earlier.

    Raises:
        MomentError: a part is missing, no such day, or no such zone.
    """
    if not value.get("timeZoneId"):
        raise MomentError("timeZoneId", "a DateTime needs a timeZoneId")
    day = read_date(value.get("date") or {})
    try:
        local = datetime(
            day.year,
            day.month,
            day.day,
            value.get("hour", 0),
            value.get("minute", 0),
            value.get("second", 0),
            tzinfo=zone(value["timeZoneId"]),
        )
    except ValueError as error:
        if isinstance(error, MomentError):
            raise
        raise MomentError("", str(error)) from error
    return int(local.timestamp())


def read_date(value: Native) -> date:
    """The day of a Date.

    Raises:
        MomentError: a part is missing, or no such day.
    """
    try:
        return date(value["year"], value["month"], value["day"])
    except (KeyError, ValueError) as error:
        raise MomentError("date", f"no such day: {error}") from error


def write_moment(instant: int, zone_name: str) -> Native:
    """An instant as a DateTime in a zone."""
    local = datetime.fromtimestamp(instant, zone(zone_name))
    return {
        "date": write_date(local.date()),
        "hour": local.hour,
        "minute": local.minute,
        "second": local.second,
        "timeZoneId": zone_name,
    }


def write_date(day: date) -> Native:
    """A day as a Date."""
    return {"year": day.year, "month": day.month, "day": day.day}


def day_start(day: date, zone_name: str) -> int:
    """The instant at which a day begins in a zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone(zone_name)).timestamp())


def day_of(instant: int, zone_name: str) -> date:
    """The day an instant falls on in a zone."""
    return datetime.fromtimestamp(instant, zone(zone_name)).date()


def next_day(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)


def seconds(instant: datetime) -> int:
    """An aware datetime as whole seconds since 1970 UTC."""
    return int(instant.timestamp())


def iso(instant: int) -> str:
    """An instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

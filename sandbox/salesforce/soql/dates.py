"""SOQL's relative dates: each is a half-open range of instants in the user's time zone.

Source of the ranges: the vendor's "Date Formats and Date Literals". Weeks start on Sunday (locale en_US); fiscal
periods equal calendar ones (FiscalYearStartMonth 1).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

_FIXED = {
    "YESTERDAY": ("DAY", -1, 1),
    "TODAY": ("DAY", 0, 1),
    "TOMORROW": ("DAY", 1, 1),
    "LAST_WEEK": ("WEEK", -1, 1),
    "THIS_WEEK": ("WEEK", 0, 1),
    "NEXT_WEEK": ("WEEK", 1, 1),
    "LAST_MONTH": ("MONTH", -1, 1),
    "THIS_MONTH": ("MONTH", 0, 1),
    "NEXT_MONTH": ("MONTH", 1, 1),
    "THIS_QUARTER": ("QUARTER", 0, 1),
    "LAST_QUARTER": ("QUARTER", -1, 1),
    "NEXT_QUARTER": ("QUARTER", 1, 1),
    "THIS_YEAR": ("YEAR", 0, 1),
    "LAST_YEAR": ("YEAR", -1, 1),
    "NEXT_YEAR": ("YEAR", 1, 1),
    "NEXT_90_DAYS": ("DAY", 1, 90),
}
_UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")


def _unit_start(day: date, unit: str, steps: int) -> date:
    """First day of the unit that lies so many units after the one with `day`."""
    if unit == "DAY":
        return day + timedelta(days=steps)
    if unit == "WEEK":
        return day - timedelta(days=(day.weekday() + 1) % 7) + timedelta(weeks=steps)
    months = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}[unit]
    index = (day.year * 12 + day.month - 1) // months + steps
    return date(index * months // 12, index * months % 12 + 1, 1)


def days_of(literal: str, today: date) -> tuple[date, date] | None:
    """The days [first, past the last) of a literal such as `LAST_N_DAYS:7`; None if there is no such literal.

    LAST_N_DAYS and LAST_90_DAYS reach into the current day; `range_of` ends them at the current second.
    """
    name, colon, number = literal.partition(":")
    name = name.replace("_FISCAL_", "_")
    if not colon:
        if name == "LAST_90_DAYS":
            return today - timedelta(days=90), today + timedelta(days=1)
        if name not in _FIXED:
            return None
        unit, first, count = _FIXED[name]
        return _unit_start(today, unit, first), _unit_start(today, unit, first + count)
    if not number.isdigit():
        return None
    n = int(number)
    for unit in _UNITS:
        if name == f"LAST_N_{unit}S":
            if unit == "DAY":
                return today - timedelta(days=n), today + timedelta(days=1)
            return _unit_start(today, unit, -n), _unit_start(today, unit, 0)
        if name == f"NEXT_N_{unit}S":
            return _unit_start(today, unit, 1), _unit_start(today, unit, n + 1)
        if name == f"N_{unit}S_AGO":
            return _unit_start(today, unit, -n), _unit_start(today, unit, 1 - n)
    return None


def range_of(literal: str, now: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The instants [start, end) of a literal at an aware `now`, its days being those of `zone`; None if unknown."""
    days = days_of(literal, now.astimezone(zone).date())
    if days is None:
        return None
    start, end = (datetime.combine(day, time(), zone) for day in days)
    if literal.startswith(("LAST_N_DAYS", "LAST_90_DAYS")):
        end = now + timedelta(seconds=1)
    return start, end

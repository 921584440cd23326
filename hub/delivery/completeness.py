"""Completeness: has every expected day of every source arrived whole, and were the lines that ran in it? Reads only the store.

Expected is a day of the look-back on which a line of the source ran, once it is late: some hours after the day was over in the
source's own zone. A load is whole or not at all, so a day is whole when a report that was made after its end covered it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from connectors.base import OffersReportPages, ReportsDelivery
from connectors.discovery import load as load_connector
from connectors.errors import Misconfigured
from hub.config import ConnectionSettings
from hub.delivery.shape import CANONICAL_LINES
from hub.errors import ConnectionBroken, NotFound
from hub.results import Result
from hub.session import Session
from hub.store import arrivals
from hub.store.arrivals import Arrival, ExpectedLine

LAST_ZONE = "Etc/GMT+12"
"""UTC-12, where a day ends last: the zone of a source that declared none (a connector's jobs)."""

MOST_NAMED = 20
"""Silent lines that are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class MissingDay(Result):
    """A day that has not arrived whole. `how`: missing (no report), or early (only reports made before it was over)."""

    day: date
    how: str
    lines: int
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class SilentLine(Result):
    """A line that ran on days that arrived whole and that the source named on none of them."""

    line_id: str
    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class SourceCompleteness(Result):
    """How one source stands; days inclusive and of its own zone. `sentence` says what is missing and who does what."""

    source: str
    since: date
    until: date
    days_expected: int
    missing: Sequence[MissingDay]
    lines_expected: int
    lines_silent: int
    silent: Sequence[SilentLine]
    complete: bool
    sentence: str


def sources(session: Session) -> Sequence[str]:
    """Connections that count delivery: those with `report:`, and those whose connector reports it."""
    return [name for name, settings in session.configuration.connections.items() if _counts(settings)]


def completeness(session: Session, source: str | None = None) -> Sequence[SourceCompleteness]:
    """How every source stands, or one. Raises NotFound, ConnectionBroken."""
    if source is None:
        return [_of(session, name) for name in sources(session)]
    if source in session.configuration.broken:
        raise ConnectionBroken(source, session.configuration.broken[source])
    if source not in sources(session):
        raise NotFound(
            f"Connection {source!r} counts no delivery. Nothing was looked at. These do: {', '.join(sources(session)) or 'none'}."
        )
    return [_of(session, source)]


def late_sources(session: Session) -> Sequence[SourceCompleteness]:
    """The sources of which a day is missing. Costs one small query while everything arrives."""
    with session.database.transaction() as cur:
        newest = arrivals.newest_days(cur)
    behind = [
        name
        for name in sources(session)
        if name not in newest or newest[name] < _span(session, _settings(session, name))[1]
    ]
    return [one for one in (_of(session, name) for name in behind) if not one.complete]


def _settings(session: Session, name: str) -> ConnectionSettings:
    return session.configuration.connections[name]


def _counts(settings: ConnectionSettings) -> bool:
    if settings.report is not None:
        return True
    try:
        return issubclass(load_connector(settings.connector), ReportsDelivery)
    except Misconfigured:
        return False


def look_back_days(settings: ConnectionSettings) -> int:
    """How many days behind the newest are read again: the report's own setting, or the connection's."""
    return settings.delivery_look_back_days if settings.report is None else settings.report.look_back_days


def _zone(settings: ConnectionSettings) -> str:
    return LAST_ZONE if settings.report is None else settings.report.zone


def _span(session: Session, settings: ConnectionSettings) -> tuple[date, date]:
    """First and last day that are expected by now, if a line ran on them."""
    zone = ZoneInfo(_zone(settings))
    late = session.business.now() - timedelta(hours=settings.delivery_late_after_hours)
    last = late.astimezone(zone).date() - timedelta(days=1)
    return last - timedelta(days=look_back_days(settings)), last


def _of(session: Session, name: str) -> SourceCompleteness:
    settings = _settings(session, name)
    since, until = _span(session, settings)
    named_by = name if settings.report is None else settings.report.line_ids or name
    with session.database.transaction() as cur:
        ids_of = "" if named_by == CANONICAL_LINES else named_by
        lines = arrivals.expected_lines(
            cur, ids_of, None if settings.report is None else settings.report.zone, since, until
        )
        seen = arrivals.arrivals(cur, name, _zone(settings), since, until)
        running = running_lines(lines)
        whole = [day for day in running if (arrival := seen.get(day)) is not None and arrival.whole]
        ran = [line for line in lines if any(line.first <= day <= line.last for day in _ends(whole, line))]
        spoken = arrivals.named_lines(cur, name, [line.line_id for line in ran], since, until) if ran else set()
    missing = missing_days(running, seen)
    silent = [SilentLine(one.line_id, one.name, one.first, one.last) for one in ran if one.line_id not in spoken]
    return SourceCompleteness(
        source=name,
        since=since,
        until=until,
        days_expected=len(running),
        missing=missing,
        lines_expected=len(lines),
        lines_silent=len(silent),
        silent=silent[:MOST_NAMED],
        complete=not missing,
        sentence=_sentence(name, settings, missing, len(running), silent),
    )


def running_lines(lines: Iterable[ExpectedLine]) -> Mapping[date, int]:
    """How many lines ran on each day on which any did, in the days' order."""
    change: dict[date, int] = {}
    for line in lines:
        change[line.first] = change.get(line.first, 0) + 1
        after = line.last + timedelta(days=1)
        change[after] = change.get(after, 0) - 1
    running: dict[date, int] = {}
    count, days = 0, sorted(change)
    for day, following in pairwise(days):
        count += change[day]
        if count:
            running |= {day + timedelta(days=number): count for number in range((following - day).days)}
    return running


def _ends(whole: Sequence[date], line: ExpectedLine) -> Sequence[date]:
    """Enough of the whole days, which are in order, to see whether one lies in a line's flight."""
    place = bisect_left(whole, line.first)
    return whole[place : place + 1]


def missing_days(running: Mapping[date, int], seen: Mapping[date, Arrival]) -> list[MissingDay]:
    """The days of running lines that no report, or no report made after their end, has covered."""
    missing = []
    for day, lines in running.items():
        arrival = seen.get(day)
        if arrival is None:
            missing.append(MissingDay(day, "missing", lines))
        elif not arrival.whole:
            missing.append(MissingDay(day, "early", lines, arrival.as_of))
    return missing


def _sentence(
    name: str,
    settings: ConnectionSettings,
    missing: Sequence[MissingDay],
    expected: int,
    silent: Sequence[SilentLine],
) -> str:
    if missing:
        days = ", ".join(spans([one.day for one in missing]))
        early = sum(one.how == "early" for one in missing)
        also = f" ({early} of them only from before {'it was' if early == 1 else 'they were'} over)" if early else ""
        return (
            f"{name}: {len(missing)} of {expected} days have not arrived whole: {days}{also}. Pacing and bills do without them. "
            f"{_who(name, settings, missing[0].day, missing[-1].day)}"
        )
    arrived = (
        f"{name}: all {expected} expected days have arrived whole." if expected else f"{name}: no day is expected."
    )
    if not silent:
        return arrived
    few = ", ".join(one.name for one in silent[:5])
    more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
    return (
        f"{arrived} It named {len(silent)} lines on none of them although they ran: {few}{more}. They count as not delivered. "
        "Ad operations looks whether they serve, and whether the source knows them."
    )


def _who(name: str, settings: ConnectionSettings, first: date, last: date) -> str:
    if settings.report is not None and settings.report.folder is not None:
        return f"Operations asks whoever delivers its files to put those days into {settings.report.folder}."
    if settings.report is not None and _offers_pages(settings):
        return f"Operations runs `orderhub delivery fetch --source {name} --since {first} --until {last}`."
    if settings.report is not None:
        return f"Operations loads their report with `orderhub delivery load FILE --source {name}`."
    return f"Operations looks at the last run of its delivery flow, or runs `orderhub pull {name} --delivery`."


def _offers_pages(settings: ConnectionSettings) -> bool:
    try:
        return issubclass(load_connector(settings.connector), OffersReportPages)
    except Misconfigured:
        return False


def spans(days: Sequence[date]) -> list[str]:
    """Days in order as spans: `2026-03-04 to 2026-03-06`, single days as they are."""
    found: list[list[date]] = []
    for day in days:
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    return [f"{few[0]} to {few[-1]}" if len(few) > 1 else few[0].isoformat() for few in found]

"""What every source counted of a line in each of its billing periods, and whether those numbers may be billed.

The only place where billing reads delivery. Facts are kept by the day of the source's own zone, so a period's count is the
sum of those days; hours at a period's edges that another source puts into the neighbour month are evened out over the line's
life, which the rules compare before they call a difference a dispute; months that are not final on both sides are left out of
that. At the line's own edges there is no neighbour month: the source's days before its first and after its last one, on which the
flight did run, belong to these.

A period is final for a source when it said so of every day, or when the terms let time decide, that time has passed, and a
whole report covered each day late enough. Age alone makes nothing final. A line that is billed at its end is final when every
live month of it is. Several ad servers of the seller are added up; of
several measurement companies, or several of the buyer's servers, the first by name is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from hub.billing.rules import FinalMonths, SourceCount
from hub.billing.rules.window import counted_until, day_of, is_final, ran_on
from hub.delivery.finality import closes_at
from hub.session import Session
from hub.store import billing_counts, partitions
from hub.store.billing_counts import Span, Sum
from hub.store.database import Cursor
from hub.store.facts import UNITS
from hub.store.partitions import Source
from oms_schema.billing_terms import BillingSchedule, BillingTerms
from oms_schema.delivery import BillingPeriod, CountedBy, Units
from oms_schema.line import Flight

_NAMES = tuple(UNITS.split(", "))
_NONE = (0, 0, 0, 0)
_ONE_DAY = timedelta(days=1)
FARTHEST = timedelta(days=2)
"""So far a zone's calendar may be from another's: 26 hours lie between the ends of the world."""


@dataclass(frozen=True, slots=True)
class LineCycles:
    """What is asked of one line: its flight, terms and billing periods."""

    line_id: str
    flight: Flight
    terms: BillingTerms
    cycles: tuple[BillingPeriod, ...]


@dataclass(frozen=True, slots=True)
class PeriodCount:
    """One source's count of one period. `whole`: reports covered every live day; `as_of`: the newest fact, None without one.

    `impossible` says what cannot be: a count below zero in this period or in one before. The count then stands at 0, for nobody
    to use; `cases.case` refuses it.
    """

    count: SourceCount
    whole: bool
    as_of: datetime | None
    impossible: str | None = None


Counts = Mapping[tuple[str, BillingPeriod], tuple[PeriodCount, ...]]


def counts_of(session: Session, cur: Cursor, lines: Sequence[LineCycles]) -> Counts:
    """The counts of every (line, period), at most one for each kind of counter; periods of which nothing is known are absent."""
    if not lines:
        return {}
    zones = billing_counts.zones(cur)
    sums = billing_counts.sums(cur, [span for line in lines for span in spans(line, zones)])
    by_line: dict[str, dict[str, dict[int, Sum]]] = {}
    for one in sums:
        by_line.setdefault(one.line_id, {}).setdefault(one.source, {})[one.place] = one
    for line_id, names in billing_counts.reporting(cur, [line.line_id for line in lines]).items():
        for name in names:
            by_line.setdefault(line_id, {}).setdefault(name, {})
    reports = _Reports(session, cur, {name for found in by_line.values() for name in found}, lines)
    counts: dict[tuple[str, BillingPeriod], tuple[PeriodCount, ...]] = {}
    for line in lines:
        told: dict[int, list[tuple[CountedBy, PeriodCount]]] = {}
        for source, places in sorted(by_line.get(line.line_id, {}).items()):
            by = reports.counted_by(source)
            for place, counted in _of_source(line, source, by, places, reports).items():
                told.setdefault(place, []).append((by, counted))
        by_place = {place: _one_each(found) for place, found in told.items()}
        for place, found in _with_final_months(line, by_place).items():
            counts[line.line_id, line.cycles[place]] = found
    return counts


def live_days(flight: Flight, period: BillingPeriod) -> tuple[date, date] | None:
    """The first and the last day of the period on which the flight runs, by its local time; None when it does not."""
    first = max(flight.start.date(), period.start)
    last = period.end - _ONE_DAY
    if flight.end is not None:
        # The end is exclusive: what ends at midnight does not run on the day that begins.
        last = min(last, (flight.end - timedelta(microseconds=1)).date())
    return None if last < first else (first, last)


def spans(line: LineCycles, zones: Sequence[str]) -> list[Span]:
    """Which days count into which of a line's periods, by the place of the period, for sources that count in these zones.

    The same as `window.period_of` says day by day.
    """
    flight, terms, first, last = line.flight, line.terms, line.cycles[0], line.cycles[-1]
    own = counted_until(last, terms, ran_on(flight, flight.zone))
    found = [Span(line.line_id, place, cycle.start, cycle.end) for place, cycle in enumerate(line.cycles)]
    found[-1] = replace(found[-1], until=own)
    for zone in zones:
        if zone == flight.zone:
            continue
        ran = ran_on(flight, zone)
        if ran[0] < first.start:
            found.append(Span(line.line_id, 0, ran[0], first.start, zone))
        if (until := counted_until(last, terms, ran)) > own:
            found.append(Span(line.line_id, len(line.cycles) - 1, own, until, zone))
    return found


def _reported_days(line: LineCycles, period: BillingPeriod, zone: str) -> tuple[date, date] | None:
    """The days that a source's reports have to cover: the period's live ones, and the flight's in its zone that count into it."""
    live = live_days(line.flight, period)
    if live is None or zone == line.flight.zone:
        return live
    first, last = live
    if period == line.cycles[0] or period == line.cycles[-1]:
        ran = ran_on(line.flight, zone)
        if period == line.cycles[0] and ran[0] < period.start:
            first = ran[0]
        if period == line.cycles[-1] and ran[1] is not None and ran[1] >= period.end:
            last = ran[1]
    return first, last


def _of_source(
    line: LineCycles, source: str, by: CountedBy, places: Mapping[int, Sum], reports: _Reports
) -> dict[int, PeriodCount]:
    found: dict[int, PeriodCount] = {}
    life: tuple[int, int, int, int] = (0, 0, 0, 0)
    life_days = 0
    zone = reports.zone(source, line.flight)
    at_end = line.terms.schedule is BillingSchedule.END_OF_CAMPAIGN
    silent: BillingPeriod | None = None
    still_open: BillingPeriod | None = None
    impossible: str | None = None
    for place, period in enumerate(line.cycles):
        live = _reported_days(line, period, zone)
        summed = places.get(place)
        whole = live is not None and reports.cover(source, *live)
        units = (0, 0, 0, 0) if summed is None else summed.units
        days = 0 if summed is None else summed.active_days
        life = (life[0] + units[0], life[1] + units[1], life[2] + units[2], life[3] + units[3])
        life_days += days
        final = live is not None and reports.final(source, line, period, live)
        if at_end and live is not None:
            silent = silent or (None if whole else period)
            still_open = still_open or (None if final else period)
        # At the end of a campaign a source that fell silent is not forgotten: what it counted before is billed, too.
        if impossible is None and min(units) < 0:
            impossible = f"{source} counts below zero in {period.label}"
        if summed is None and not whole and impossible is None and not (at_end and any(life)):
            continue
        count = SourceCount(
            counted_by=by,
            source=source,
            units=reports.units(source, units if impossible is None else _NONE),
            active_days=days,
            final=final and still_open is None,
            life=reports.units(source, life if impossible is None else _NONE) if silent is None else None,
            life_days=life_days if silent is None else None,
            awaited=silent or still_open,
        )
        found[place] = PeriodCount(count, whole, None if summed is None else summed.as_of, impossible)
    return found


def _one_each(found: Sequence[tuple[CountedBy, PeriodCount]]) -> tuple[PeriodCount, ...]:
    chosen: dict[CountedBy, PeriodCount] = {}
    for by, one in found:
        known = chosen.get(by)
        if known is None:
            chosen[by] = one
        elif by is CountedBy.SELLER:
            chosen[by] = _both(known, one)
    return tuple(chosen[by] for by in CountedBy if by in chosen)


def _with_final_months(
    line: LineCycles, by_place: dict[int, tuple[PeriodCount, ...]]
) -> dict[int, tuple[PeriodCount, ...]]:
    """The same with what may be compared over the line's life, where a month before is not final on both sides.

    A line that is billed at its end compares nothing before all of its months are final.
    """
    if line.terms.schedule is BillingSchedule.END_OF_CAMPAIGN:
        return by_place
    found = dict(by_place)
    # A measurement company comes last: where there is one, it is whom the seller is compared with.
    known = {one.count.counted_by for told in by_place.values() for one in told}
    for kind in (CountedBy.BUYER, CountedBy.MEASUREMENT):
        if not {CountedBy.SELLER, kind} <= known:
            continue
        sums: dict[CountedBy, tuple[Units, int]] = {}
        open_months = 0
        for place in range(len(line.cycles)):
            pair = {one.count.counted_by: one.count for one in by_place.get(place, ())}
            pair = {by: count for by, count in pair.items() if by in (CountedBy.SELLER, kind)}
            if len(pair) < 2 or not all(count.final for count in pair.values()):
                open_months += 1
                continue
            for by, count in pair.items():
                units, days = sums.get(by, (Units(), 0))
                sums[by] = (units + count.units, days + (count.active_days or 0))
            if open_months:
                final = {
                    by: FinalMonths(units=units, active_days=days, open_months=open_months)
                    for by, (units, days) in sums.items()
                }
                found[place] = tuple(
                    replace(one, count=one.count.model_copy(update={"final_months": final[one.count.counted_by]}))
                    if one.count.counted_by in final
                    else one
                    for one in found[place]
                )
    return found


def _both(a: PeriodCount, b: PeriodCount) -> PeriodCount:
    """Two ad servers of the seller that each delivered a part."""
    x, y = a.count, b.count
    life = x.life if y.life is None else y.life if x.life is None else x.life + y.life
    awaited = min((one.awaited for one in (x, y) if one.awaited is not None), key=lambda p: p.start, default=None)
    if awaited is not None and None in (x.life, y.life):
        # Half of a life is no count of it.
        life = None
    times = [at for at in (a.as_of, b.as_of) if at is not None]
    count = SourceCount(
        counted_by=x.counted_by,
        source=f"{x.source}+{y.source}",
        units=x.units + y.units,
        # The days on which either delivered are not known from sums; the larger number never bills a day twice.
        active_days=max(x.active_days or 0, y.active_days or 0),
        final=x.final and y.final,
        life=life,
        life_days=None if life is None else max(x.life_days or 0, y.life_days or 0),
        awaited=awaited,
    )
    return PeriodCount(count, a.whole and b.whole, max(times, default=None), a.impossible or b.impossible)


class _Reports:
    """What the sources' reports covered, and when; looked up once for all lines."""

    def __init__(self, session: Session, cur: Cursor, names: set[str], lines: Sequence[LineCycles]) -> None:
        self._now = session.business.now()
        since = min(line.cycles[0].start for line in lines) - FARTHEST
        until = max(line.cycles[-1].end for line in lines) + FARTHEST
        until = min(until, self._now.date() + _ONE_DAY)
        self._declared: dict[str, Source | None] = {name: partitions.source(cur, name) for name in names}
        self._days = {
            name: partitions.days_confirmed(cur, name, since, until) if since <= until else {} for name in names
        }
        self._closing: dict[str, int | None] = {}
        for name in names:
            settings = session.configuration.connections.get(name)
            shape = settings.report if settings is not None else None
            self._closing[name] = None if shape is None else shape.closing_days
        self._with_rows = {
            name: set(partitions.partitions(cur, name, list(days))) if days else set()
            for name, days in self._days.items()
        }
        self._covered: dict[tuple[str, date, date], bool] = {}
        self._late: dict[tuple[str, date, date, str, int], bool] = {}
        self._said: dict[tuple[str, date, date, str], bool] = {}

    def counted_by(self, source: str) -> CountedBy:
        declared = self._declared[source]
        return CountedBy.SELLER if declared is None else CountedBy(declared.counted_by)

    def zone(self, source: str, flight: Flight) -> str:
        """The zone in which a source counts: its own, or the flight's when it never declared one."""
        declared = self._declared[source]
        return flight.zone if declared is None else declared.zone

    def units(self, source: str, numbers: tuple[int, int, int, int]) -> Units:
        """A unit that the source does not report is unknown, not zero."""
        declared = self._declared[source]
        reported = _NAMES if declared is None else declared.metrics
        named = zip(_NAMES, numbers, strict=True)
        return Units.model_validate({name: number for name, number in named if name in reported})

    def cover(self, source: str, first: date, last: date) -> bool:
        """Whether whole reports told of every day."""
        key = (source, first, last)
        if key not in self._covered:
            self._covered[key] = all(day in self._days[source] for day in _each(first, last))
        return self._covered[key]

    def final(self, source: str, line: LineCycles, period: BillingPeriod, live: tuple[date, date]) -> bool:
        """Whether the period's numbers of this source may be billed under the line's terms."""
        if not self.cover(source, *live):
            return False
        if self._declared_final(source, line, *live):
            return True
        terms = line.terms
        if not is_final(period, terms, declared=False, today=day_of(self._now, line.flight.zone)):
            return False
        zone = self.zone(source, line.flight)
        closing = self._closing[source]
        settling = terms.finality_days if closing is None else min(closing, terms.finality_days)
        return self._late_enough(source, *live, zone, settling)

    def _declared_final(self, source: str, line: LineCycles, first: date, last: date) -> bool:
        """Whether the source said of every day that it will not change.

        A day on which nobody delivered anything has no row to say it of. It goes with the others, once a report came after it.
        """
        zone = self.zone(source, line.flight)
        key = (source, first, last, zone)
        if key not in self._said:
            days, with_rows = self._days[source], self._with_rows[source]
            told = [day for day in _each(first, last) if day in with_rows]
            empty = [day for day in _each(first, last) if day not in with_rows]
            self._said[key] = (
                bool(told)
                and all(days[day][1] for day in told)
                and all(days[day][0] >= closes_at(day, zone, 0) for day in empty)
            )
        return self._said[key]

    def _late_enough(self, source: str, first: date, last: date, zone: str, settling: int) -> bool:
        key = (source, first, last, zone, settling)
        if key not in self._late:
            days = self._days[source]
            self._late[key] = all(
                days[day][1] or days[day][0] >= closes_at(day, zone, settling) for day in _each(first, last)
            )
        return self._late[key]


def _each(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]

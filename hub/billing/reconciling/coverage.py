"""Which months the sources' reports cover and from when their numbers may be billed, for whole months and parts of them.

The same answers as `hub.billing.counts` gives line by line: coverage and finality depend on the source, the days and the terms
alone, so a book of lines asks few different questions. Sums over days from the first on answer each in constant time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate, product

from hub.billing.counts import FARTHEST
from hub.billing.rules.window import day_of
from hub.delivery.finality import closes_at
from hub.session import Session
from hub.store import delivery_life, partitions, reconciliation_columns
from hub.store.database import Cursor
from hub.store.delivery_life import MOST_MONTHS
from hub.store.reconciliation_statement import Coverage, Edge, Today
from oms_schema.billing_terms import Finality
from oms_schema.delivery import BillingPeriod

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Closing:
    """Finality terms and the zone of a flight, as `closing` of a contract in columns names them."""

    name: str
    zone: str
    finality: Finality
    finality_days: int
    window_days: int

    @classmethod
    def of(cls, name: str) -> Closing:
        """From its name."""
        zone, finality, days, window = name.split("|")
        return cls(name, zone, Finality(finality), int(days), int(window))


def month_of(number: int) -> BillingPeriod:
    """The month of that number since year 0."""
    return BillingPeriod.month(number // 12, number % 12 + 1)


def todays(closings: Iterable[str], now: datetime) -> list[Today]:
    """What day it is under each kind of closing terms."""
    found = []
    for name in closings:
        today = day_of(now, Closing.of(name).zone)
        found.append(Today(name, today.year * 12 + today.month - 1, today))
    return found


class Reports:
    """What the reports of one source covered, asked once for all lines. `first` and `last` are month numbers."""

    def __init__(self, session: Session, cur: Cursor, source: str, first: int, last: int) -> None:
        self.source = source
        self._now = session.business.now()
        self._first, self._last = first, last
        self._since = month_of(first).start - FARTHEST
        until = month_of(last).end + FARTHEST
        declared = partitions.source(cur, source)
        self._zone = None if declared is None else declared.zone
        confirmed_until = min(until, self._now.date() + _ONE_DAY)
        self._days = (
            partitions.days_confirmed(cur, source, self._since, confirmed_until)
            if self._since <= confirmed_until
            else {}
        )
        self._with_rows = set(partitions.partitions(cur, source, list(self._days))) if self._days else set()
        settings = session.configuration.connections.get(source)
        shape = settings.report if settings is not None else None
        self._closing_days = None if shape is None else shape.closing_days
        self._each = [self._since + timedelta(days=number) for number in range((until - self._since).days)]
        self._covered = _sums(day in self._days for day in self._each)
        self._rowed = _sums(day in self._with_rows for day in self._each)
        self._said: dict[str, list[int]] = {}
        self._late: dict[tuple[str, int], list[int]] = {}

    def whole(self, first: date, last: date) -> bool:
        """Whether whole reports told of every day, both included."""
        return self._all(self._covered, first, last)

    def final(self, closing: Closing, first: date, last: date, period: BillingPeriod) -> bool:
        """Whether the numbers of these days of a period may be billed; `hub.billing.counts` says when."""
        if not self.whole(first, last):
            return False
        zone = self._zone or closing.zone
        if zone not in self._said:
            self._said[zone] = _sums(self._said_final(day, zone) for day in self._each)
        start, end = self._place(first), self._place(last) + 1
        if self._rowed[end] > self._rowed[start] and self._all(self._said[zone], first, last):
            return True
        if closing.finality is not Finality.AFTER_WINDOW:
            return False
        if day_of(self._now, closing.zone) < period.end + timedelta(days=closing.window_days + closing.finality_days):
            return False
        settling = closing.finality_days
        if self._closing_days is not None:
            settling = min(self._closing_days, settling)
        if (zone, settling) not in self._late:
            self._late[zone, settling] = _sums(self._late_enough(day, zone, settling) for day in self._each)
        return self._all(self._late[zone, settling], first, last)

    def months(self, name: str) -> Iterator[Coverage]:
        """Every month as a line's first one, and whether it and the whole months after it are covered and final."""
        closing = Closing.of(name)
        periods = [month_of(number) for number in range(self._first, self._last + 1)]
        whole = sum(1 << place for place, one in enumerate(periods) if self.whole(one.start, one.end - _ONE_DAY))
        final = sum(
            1 << place for place, one in enumerate(periods) if self.final(closing, one.start, one.end - _ONE_DAY, one)
        )
        window = (1 << MOST_MONTHS) - 1
        for place in range(len(periods)):
            yield Coverage(self.source, name, self._first + place, whole >> place & window, final >> place & window)

    def edge(self, name: str, first: date, last: date) -> Edge:
        """A part of one month under these closing terms."""
        closing, period = Closing.of(name), BillingPeriod.month(first.year, first.month)
        early = late = False
        if self._zone is not None and self._zone != closing.zone:
            before = [days for days in range(FARTHEST.days + 1) if days == 0 or first - FARTHEST < period.start]
            after = [days for days in range(FARTHEST.days + 1) if days == 0 or last + FARTHEST >= period.end]
            told = {
                (x, y): self._told(closing, first - timedelta(days=x), last + timedelta(days=y), period)
                for x, y in product(before, after)
            }
            early = any(one != told[0, 0] for (x, _), one in told.items() if x)
            late = any(one != told[0, 0] for (_, y), one in told.items() if y)
        whole, final = self._told(closing, first, last, period)
        return Edge(self.source, name, first, last, whole, final, early, late)

    def _told(self, closing: Closing, first: date, last: date, period: BillingPeriod) -> tuple[bool, bool]:
        return self.whole(first, last), self.final(closing, first, last, period)

    def _said_final(self, day: date, zone: str) -> bool:
        if day not in self._days:
            return False
        confirmed, declared = self._days[day]
        return declared if day in self._with_rows else confirmed >= closes_at(day, zone, 0)

    def _late_enough(self, day: date, zone: str, settling: int) -> bool:
        if day not in self._days:
            return False
        confirmed, declared = self._days[day]
        return declared or confirmed >= closes_at(day, zone, settling)

    def _place(self, day: date) -> int:
        return (day - self._since).days

    def _all(self, sums: Sequence[int], first: date, last: date) -> bool:
        start, end = self._place(first), self._place(last) + 1
        return sums[end] - sums[start] == end - start


class Sources:
    """The sources that ever loaded a report, by place, and what is asked of each once for a whole run.

    Whoever works on a range of lines asks here: most ranges have the same months.
    """

    def __init__(self, session: Session, cur: Cursor) -> None:
        self.names = delivery_life.sources(cur)
        self.numbers = reconciliation_columns.numbers_of(cur, self.names)
        self.knowing = [place for place, one in enumerate(self.names) if reconciliation_columns.knows_lines(cur, one)]
        self._session = session
        self._reports: dict[tuple[str, int, int], Reports] = {}

    def reports(self, cur: Cursor, first: int, last: int) -> list[Reports]:
        """What each source covered from the first to the last of these months."""
        found = []
        for name in self.names:
            key = name, first, last
            if key not in self._reports:
                self._reports[key] = Reports(self._session, cur, name, first, last)
            found.append(self._reports[key])
        return found


def _sums(each: Iterable[bool]) -> list[int]:
    return list(accumulate(map(int, each), initial=0))

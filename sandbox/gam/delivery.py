"""True delivery: what people set as a line's lifetime totals, spread over the days of its flight.

A total is spread in proportion to the seconds of the flight on each day of the network's zone, in whole units by the
largest remainder, so the days sum to the total exactly. Of the day that is running, the part of its seconds that has
passed counts, rounded down; later days count nothing. A line delivers only while it is approved and has an active
creative at the time of asking (`live`): what a person set for a line that never went live is not delivered.

Totals are kept by the line's `externalId`; if several lines carry it, the oldest gets them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from sandbox.gam.moments import day_of, day_start, next_day

METRICS = ("impressions", "clicks", "viewable_impressions", "video_completions")


@dataclass
class Truth:
    """The lifetime totals of one line over a flight [start, end), instants in seconds; `restated` overrides days."""

    start: int
    end: int
    totals: dict[str, int]
    restated: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Spread:
    days: tuple[date, ...]
    windows: tuple[tuple[int, int], ...]
    daily: Mapping[str, tuple[int, ...]]
    sums: Mapping[str, tuple[int, ...]]


class Delivery:
    """All truths of a network. Not thread-safe: the network's lock guards it."""

    def __init__(self, zone_name: str) -> None:
        self._zone = zone_name
        self._truths: dict[str, Truth] = {}
        self._spreads: dict[str, _Spread] = {}

    def set(self, external_id: str, truth: Truth) -> None:
        """Set or replace a line's totals; earlier restatements are forgotten."""
        self._truths[external_id] = truth
        self._spreads.pop(external_id, None)

    def restate(self, external_id: str, day: date, figures: Mapping[str, int]) -> None:
        """Replace one day's figures, also a day outside the flight. Raises KeyError if no total was set."""
        truth = self._truths[external_id]
        truth.restated.setdefault(day.isoformat(), {}).update(figures)
        self._spreads.pop(external_id, None)

    def get(self, external_id: str | None) -> Truth | None:
        """What was set for a line."""
        return None if external_id is None else self._truths.get(external_id)

    def external_ids(self) -> list[str]:
        """The lines that have totals."""
        return list(self._truths)

    def lifetime(self, external_id: str | None, now: int) -> dict[str, int]:
        """The figures delivered until now, by metric; empty if nothing was set."""
        spread = self._spread(external_id)
        if spread is None:
            return {}
        finished = bisect_right([end for _, end in spread.windows], now)
        return {
            metric: (sums[finished - 1] if finished else 0) + self._running(spread, finished, metric, now)
            for metric, sums in spread.sums.items()
        }

    def days(self, external_id: str | None, first: date, last: date, now: int) -> Iterator[tuple[date, dict[str, int]]]:
        """The figures of each day from first to last that has begun by now and has any."""
        spread = self._spread(external_id)
        if spread is None:
            return
        for index, day in enumerate(spread.days):
            if not first <= day <= last:
                continue
            begin, end = spread.windows[index]
            if begin >= now:
                return
            figures = {
                metric: daily[index] if end <= now else self._running(spread, index, metric, now)
                for metric, daily in spread.daily.items()
            }
            if any(figures.values()):
                yield day, figures

    def dump(self) -> dict[str, Any]:
        """All truths as JSON values."""
        return {
            external_id: {"start": truth.start, "end": truth.end, "totals": truth.totals, "restated": truth.restated}
            for external_id, truth in self._truths.items()
        }

    def restore(self, dumped: Mapping[str, Any]) -> None:
        """Take over what `dump` returned."""
        self._truths = {external_id: Truth(**facts) for external_id, facts in dumped.items()}
        self._spreads.clear()

    def _running(self, spread: _Spread, index: int, metric: str, now: int) -> int:
        if index >= len(spread.days):
            return 0
        begin, end = spread.windows[index]
        if now <= begin:
            return 0
        return spread.daily[metric][index] * (now - begin) // (end - begin)

    def _spread(self, external_id: str | None) -> _Spread | None:
        truth = self.get(external_id)
        if truth is None or external_id is None:
            return None
        known = self._spreads.get(external_id)
        if known is None:
            known = self._spreads[external_id] = self._make(truth)
        return known

    def _make(self, truth: Truth) -> _Spread:
        windows = dict(flight_days(truth.start, truth.end, self._zone))
        flown = list(windows)
        weights = [end - begin for begin, end in windows.values()]
        figures = {
            metric: dict(zip(flown, largest_remainder(total, weights), strict=True))
            for metric, total in truth.totals.items()
        }
        for text, restated in truth.restated.items():
            day = date.fromisoformat(text)
            windows.setdefault(day, (day_start(day, self._zone), day_start(next_day(day), self._zone)))
            for metric, figure in restated.items():
                figures.setdefault(metric, {})[day] = figure
        days = tuple(sorted(windows))
        daily = {metric: tuple(by_day.get(day, 0) for day in days) for metric, by_day in figures.items()}
        return _Spread(
            days,
            tuple(windows[day] for day in days),
            daily,
            {metric: tuple(accumulate(row)) for metric, row in daily.items()},
        )


def flight_days(start: int, end: int, zone_name: str) -> Iterator[tuple[date, tuple[int, int]]]:
    """The days of a half-open flight in a zone, each with the part of the flight that falls on it."""
    day = day_of(start, zone_name)
    begin = start
    while begin < end:
        until = min(end, day_start(day + timedelta(days=1), zone_name))
        yield day, (begin, until)
        begin, day = until, day + timedelta(days=1)


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Split a total in whole parts in proportion to weights; the parts sum to the total exactly."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-(total * weights[index] % whole), index))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts

"""Simulated time: one machine clock that everybody shares, and a business clock that may run ahead of it by whole days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 2, 2, 9, 0, tzinfo=UTC)
"""Where every schedule begins; the flights of the simulated book lie around it."""


class SimulatedClock:
    """Machine time, UTC. Moves only when the schedule, a slow vendor or a waiting worker moves it."""

    def __init__(self) -> None:
        self.time = START
        self.limit: datetime | None = None
        """No further than this while a request is between its attempt and its vendor (see `vendor.Capacity`)."""

    def now(self) -> datetime:
        """The present instant."""
        return self.time

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        later = self.time + timedelta(seconds=seconds)
        self.time = later if self.limit is None else min(later, max(self.time, self.limit))


class BusinessClock:
    """Business time: machine time and an offset of whole days."""

    def __init__(self, machine: SimulatedClock) -> None:
        self._machine = machine
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The present instant of the business."""
        return self._machine.now() + self.ahead

    def skip(self, days: int) -> None:
        """The business moves on."""
        self.ahead += timedelta(days=days)

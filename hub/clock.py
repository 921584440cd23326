"""Two clocks, both injected (architecture, decision 17): business time and machine time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells one kind of time, always aware and in UTC."""

    def now(self) -> datetime:
        """The present instant."""
        ...


class SystemClock:
    """The machine's own time: leases, `not_before`, token expiry, quotas."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(UTC)


class StoredClock:
    """Business time held in the store, moved only by `Hub.set_business_time` (demo and tests).

    Read again after `FRESH_FOR` of machine time: a verb asks for it with every record.
    """

    FRESH_FOR = timedelta(seconds=1)

    def __init__(self, read: Callable[[], datetime | None], fallback: Clock) -> None:
        self._read = read
        self._fallback = fallback
        self._known: tuple[datetime, datetime | None] | None = None

    def now(self) -> datetime:
        """The stored instant; the fallback's until one was stored."""
        machine = self._fallback.now()
        if self._known is None or not timedelta() <= machine - self._known[0] < self.FRESH_FOR:
            self._known = (machine, self._read())
        return self._known[1] or machine

    def forget(self) -> None:
        """It was moved by this process: read it again."""
        self._known = None


Sleep = Callable[[float], None]
"""Seconds in; injected so that no test waits."""

sleep: Sleep = time.sleep

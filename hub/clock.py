"""Two clocks, both injected (architecture, decision 17): business time and machine time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
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
    """Business time held in the store, moved only by `Hub.set_business_time` (demo and tests)."""

    def __init__(self, read: Callable[[], datetime | None], fallback: Clock) -> None:
        self._read = read
        self._fallback = fallback

    def now(self) -> datetime:
        """The stored instant; the fallback's until one was stored."""
        return self._read() or self._fallback.now()


Sleep = Callable[[float], None]
"""Seconds in; injected so that no test waits."""

sleep: Sleep = time.sleep

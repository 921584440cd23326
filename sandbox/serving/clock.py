"""The clock of a simulated vendor: starts anywhere, ticks at machine speed or stands still, can be moved."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant with a zone (`Z` allowed) as UTC.

    Raises:
        ValueError: the text is no ISO instant or has no zone; the instant would be ambiguous.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone; write for instance {text}Z")
    return instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """Write an aware instant as ISO 8601 in UTC with `Z`; microseconds only if there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Clock:
    """A clock that all time stamps of one sandbox come from. Thread-safe; always aware UTC.

    A running clock ticks at machine speed (monotonic) from where it was put. Delays of faults do not use it.
    """

    def __init__(self, now: datetime, *, running: bool = True) -> None:
        if now.tzinfo is None:
            raise ValueError("the clock needs an aware datetime")
        self._lock = threading.Lock()
        self._base = now.astimezone(UTC)
        self._since = time.monotonic()
        self._running = running

    def now(self) -> datetime:
        """The present instant, UTC."""
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        if not self._running:
            return self._base
        return self._base + timedelta(seconds=time.monotonic() - self._since)

    @property
    def running(self) -> bool:
        """Whether the clock ticks by itself."""
        return self._running

    def set(self, now: datetime) -> None:
        """Put the clock on an aware instant, also backwards (a vendor's clock may be corrected)."""
        if now.tzinfo is None:
            raise ValueError("the clock needs an aware datetime")
        with self._lock:
            self._base, self._since = now.astimezone(UTC), time.monotonic()

    def advance(self, seconds: float) -> None:
        """Move the clock by seconds, negative ones allowed."""
        with self._lock:
            self._base, self._since = self._now() + timedelta(seconds=seconds), time.monotonic()

    def run(self, running: bool) -> None:
        """Let the clock tick or hold it where it stands."""
        with self._lock:
            self._base, self._since, self._running = self._now(), time.monotonic(), running

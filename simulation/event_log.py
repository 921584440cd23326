"""The event log of a schedule: every step, vendor call, answer and crash in order; its hash tells two runs apart."""

from __future__ import annotations

import hashlib
from datetime import datetime

from simulation.clocks import START


class EventLog:
    """Lines of text. Kept only when somebody wants to read them; hashed always."""

    def __init__(self, *, keep: bool = False) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._keep = keep
        self.lines: list[str] = []
        self.began = START

    def write(self, now: datetime, who: str, what: str) -> None:
        """One event: simulated seconds since the start, who, what."""
        line = f"{(now - START).total_seconds():.3f} {who} {what}"
        self._digest.update(line.encode() + b"\n")
        if self._keep:
            self.lines.append(line)

    def hash(self) -> str:
        """32 hex digits over everything written so far."""
        return self._digest.copy().hexdigest()

"""Lets the hub post documents until all is at rest, in this process: what the order flows' own engine does not do."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cli.demo.configuration import LEDGER
from cli.demo.engine import DirectEngine, EngineError, Mirrored
from hub import Hub

PATIENCE = 180.0
LONGEST_NAP = 1.0


class WholeEngine(DirectEngine):
    """All of the hub's work: orders, their mirror, and documents."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self._all = hub

    def travel(self, mirrored: Mirrored = lambda: None) -> None:
        """See `Engine`; afterwards everything billed is posted or parked."""
        super().travel(mirrored)
        post(self._all)


def post(hub: Hub) -> None:
    """Push and settle documents until nothing is due. Raises EngineError when that takes too long."""
    until = time.monotonic() + PATIENCE
    while True:
        pushed, settled = hub.push(LEDGER), hub.settle(LEDGER)
        due = [when for when in (pushed.next_due, settled.next_due) if when is not None]
        if not (pushed.records or pushed.outcomes or settled.adopted or settled.resent or settled.retried or due):
            return
        if time.monotonic() > until:
            raise EngineError(f"Documents were still due after {PATIENCE:.0f} s. Look at `orderhub status`.")
        if due:
            time.sleep(min(max((min(due) - datetime.now(UTC)).total_seconds(), 0.05), LONGEST_NAP))

"""What the resources share: the org, the faults, the day's calls, and the frame of a write."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.salesforce.api.http import Call
from sandbox.salesforce.errors import RecordError, RecordRefused, not_found
from sandbox.salesforce.facts import SObject
from sandbox.salesforce.records import Unit
from sandbox.salesforce.schema import View
from sandbox.salesforce.state import SalesforceOrg
from sandbox.serving import Faults

_DAY = 86_400.0
_BUCKET = 60.0


class DailyUsage:
    """API calls of the last 24 hours, machine time, and their limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._buckets: deque[tuple[float, int]] = deque()
        self._used = 0

    def count(self) -> bool:
        """Count a call; False if the day's calls are used up, which then is not counted."""
        with self._lock:
            self._forget()
            if self._used >= self.limit:
                return False
            start = time.monotonic() // _BUCKET * _BUCKET
            if self._buckets and self._buckets[-1][0] == start:
                self._buckets[-1] = (start, self._buckets[-1][1] + 1)
            else:
                self._buckets.append((start, 1))
            self._used += 1
            return True

    def used(self) -> int:
        """Calls of the last 24 hours."""
        with self._lock:
            self._forget()
            return self._used

    def reset(self) -> None:
        """As if no call had been made."""
        with self._lock:
            self._buckets.clear()
            self._used = 0

    def _forget(self) -> None:
        while self._buckets and self._buckets[0][0] < time.monotonic() - _DAY:
            self._used -= self._buckets.popleft()[1]


class Service:
    """The org as the resources reach it.

    Args:
        changed: called after every change of state.
    """

    def __init__(self, org: SalesforceOrg, faults: Faults, usage: DailyUsage, changed: Callable[[], None]) -> None:
        self.org = org
        self.faults = faults
        self.usage = usage
        self.changed = changed

    @property
    def view(self) -> View:
        """What the integration user sees now."""
        return self.org.schema.user

    def sobject(self, name: str) -> SObject:
        """An object of the user's view.

        Raises:
            SalesforceError: 404.
        """
        sobject = self.view.find(name)
        if sobject is None:
            raise not_found()
        return sobject

    @contextmanager
    def writing(self, call: Call, operation: str) -> Iterator[Unit]:
        """The frame of a write: one unit, roll-ups at its end, index lag of what it created. Holds the lock."""
        with self.org.lock:
            unit = call.unit or self.org.unit(call.user_id, self.view)
            first = len(unit.created)
            try:
                yield unit
            except BaseException:
                if call.unit is None:
                    unit.roll_back()
                raise
            unit.finish()
            lag = self.faults.strikes("index_lag", operation, write=True)
            if lag is not None:
                for object_name, id_ in unit.created[first:]:
                    self.org.tables[object_name].hide(id_, lag.seconds)
            self.changed()

    def lock_refusals(self, operation: str, count: int) -> dict[int, RecordError]:
        """Which records of a write another process holds (faults lock_row: all; partial_batch: some, at least one)."""
        error = RecordError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        if self.faults.strikes("lock_row", operation, write=True):
            return dict.fromkeys(range(count), error)
        if count > 1 and (fault := self.faults.strikes("partial_batch", operation, write=True)):
            struck = [index for index in range(count) if fault.dice.random() < 0.3]
            return dict.fromkeys(struck or [fault.dice.randrange(count)], error)
        return {}

    def refuse_locked(self, operation: str) -> None:
        """Refuse a single-record write if lock_row strikes.

        Raises:
            RecordRefused: UNABLE_TO_LOCK_ROW.
        """
        if refusals := self.lock_refusals(operation, 1):
            raise RecordRefused((refusals[0],))

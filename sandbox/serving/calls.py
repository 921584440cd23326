"""Counts every request that reached a simulated vendor, by operation."""

from __future__ import annotations

import threading
from typing import Literal, TypedDict

Kind = Literal["create", "update", "act", "read", "describe", "login", "wsdl", "report", "limits"]


class Calls(TypedDict):
    """How often one operation was called, and with how many records in sum."""

    calls: int
    records: int
    kind: Kind


class CallCounter:
    """Thread-safe counters per vendor operation, for instance `createLineItems` or `PATCH collections Order`.

    Requests that a fault answers are counted like any other: they reached the vendor and cost quota.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[str, Calls] = {}

    def count(self, operation: str, kind: Kind, records: int = 0) -> None:
        """Count one request of an operation that carried so many records."""
        with self._lock:
            calls = self._operations.setdefault(operation, Calls(calls=0, records=0, kind=kind))
            calls["calls"] += 1
            calls["records"] += records

    def snapshot(self) -> dict[str, Calls]:
        """A copy of all counters, by operation."""
        with self._lock:
            return {operation: calls.copy() for operation, calls in sorted(self._operations.items())}

    def reset(self) -> None:
        """Start counting from nothing."""
        with self._lock:
            self._operations.clear()

"""Fault knobs: which requests of a simulated vendor go wrong, and how.

Deterministic for a seed and an order of arrival.

Names every vendor has (others are the vendor's own)::

    lost_request    connection dropped, nothing applied
    lost_reply      applied, then connection dropped
    late_commit     connection dropped at once, applied `seconds` later (machine time)
    index_lag       new objects are invisible to queries for `seconds` (machine time)
    partial_batch   some records of a batch refused with a retryable error
    quota           the vendor's quota error
    expired_token   the next call answers as for an expired token
    html_503        a 503 with an HTML body
    slow_reply      the reply comes after `seconds` (machine time)
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SHARED_FAULTS = (
    "lost_request",
    "lost_reply",
    "late_commit",
    "index_lag",
    "partial_batch",
    "quota",
    "expired_token",
    "html_503",
    "slow_reply",
)

_KEYS = {"rate", "count", "operations", "seed", "seconds"}


@dataclass
class Fault:
    """One knob that is turned on.

    Attributes:
        rate: probability per matching request, 0 to 1.
        count: how many more times it may strike; None is without end.
        operations: vendor operations it strikes; None is every write.
        seed: seed of its own generator.
        seconds: duration for the faults that have one, machine time.
    """

    name: str
    rate: float = 1.0
    count: int | None = None
    operations: frozenset[str] | None = None
    seed: int = 0
    seconds: float = 0.0
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - reproducible faults, not secrets

    @classmethod
    def from_json(cls, name: str, knob: object) -> Fault:
        """Read one knob of the control interface.

        Raises:
            ValueError: an unknown key, or a value out of its range.
        """
        if not isinstance(knob, Mapping):
            raise ValueError(f"fault '{name}' must be an object, not {knob!r}")
        unknown = set(knob) - _KEYS
        if unknown:
            raise ValueError(f"fault '{name}' has unknown keys {sorted(unknown)}; known are {sorted(_KEYS)}")
        rate, count = float(knob.get("rate", 1.0)), knob.get("count")
        seconds, operations = float(knob.get("seconds") or 0.0), knob.get("operations")
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"fault '{name}' has rate {rate}; it must lie between 0 and 1")
        if count is not None and int(count) < 0:
            raise ValueError(f"fault '{name}' has count {count}; it must be 0 or more, or null")
        if seconds < 0:
            raise ValueError(f"fault '{name}' has seconds {seconds}; it must be 0 or more")
        if operations is not None and (isinstance(operations, str) or not isinstance(operations, Iterable)):
            raise ValueError(f"fault '{name}' has operations {operations!r}; it must be a list of names or null")
        return cls(
            name,
            rate=rate,
            count=None if count is None else int(count),
            operations=None if operations is None else frozenset(str(operation) for operation in operations),
            seed=int(knob.get("seed") or 0),
            seconds=seconds,
        )

    def as_json(self) -> dict[str, Any]:
        """The knob as the control interface shows it, `count` as what is left."""
        return {
            "rate": self.rate,
            "count": self.count,
            "operations": None if self.operations is None else sorted(self.operations),
            "seed": self.seed,
            "seconds": self.seconds,
        }


class Faults:
    """The knobs of one sandbox. Thread-safe. `Faults("no_forecast")` knows the shared names and `no_forecast`."""

    def __init__(self, *vendor_names: str) -> None:
        self.names = (*SHARED_FAULTS, *vendor_names)
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def turn_on(self, knobs: Mapping[str, object]) -> None:
        """Set or replace knobs, all or none.

        Raises:
            ValueError: an unknown fault name or a bad knob.
        """
        unknown = set(knobs) - set(self.names)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known are {sorted(self.names)}")
        faults = {name: Fault.from_json(name, knob) for name, knob in knobs.items()}
        with self._lock:
            self._faults.update(faults)

    def turn_off(self, *names: str) -> None:
        """Turn off the named knobs, or all."""
        with self._lock:
            for name in names or tuple(self._faults):
                self._faults.pop(name, None)

    def strikes(self, name: str, operation: str, *, write: bool) -> Fault | None:
        """Roll the dice of one fault for one request; the fault if it strikes (its count is then spent), else None."""
        with self._lock:
            fault = self._faults.get(name)
            if fault is None or fault.count == 0:
                return None
            if not (write if fault.operations is None else operation in fault.operations):
                return None
            if fault.dice.random() >= fault.rate:
                return None
            if fault.count is not None:
                fault.count -= 1
            return fault

    def as_json(self) -> dict[str, dict[str, Any]]:
        """All knobs that are set, by name."""
        with self._lock:
            return {name: fault.as_json() for name, fault in sorted(self._faults.items())}

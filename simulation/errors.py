"""What a simulated worker can meet, and what ends a schedule.

BaseException
├── WorkerKilled        the worker is gone, as after SIGKILL: no handler of it reaches store or vendor any more
├── WorkerInterrupted   the worker is told to end, as by SIGTERM: its handlers still run
└── InvariantBroken     a promise was broken; ends the schedule
"""

from __future__ import annotations

from dataclasses import dataclass


class WorkerKilled(BaseException):
    """The process vanished. Not an Exception, so that no handler of the engine takes it for a vendor's fault."""


class WorkerInterrupted(BaseException):
    """The process is asked to end."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which invariant, what was seen, and at which step (-1: at rest)."""

    invariant: str
    sentence: str
    step: int

    def __str__(self) -> str:
        where = "at rest" if self.step < 0 else f"at step {self.step}"
        return f"{self.invariant} {where}: {self.sentence}"


class InvariantBroken(BaseException):
    """Not an Exception either: the engine must not be able to swallow it."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        super().__init__(str(violation))

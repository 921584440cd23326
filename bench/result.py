"""What a measurement says: both sides, the ratio's median and spread over the rounds, its limit, and how it was made."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a figure stands to its limit. `undecided`: the spread crosses the limit. `not run`: it could not be made here."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    NO_LIMIT = "no limit"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured figure. `limit` with `at_least` or `at_most`; `spread` is (smallest, largest) over the rounds.

    `ratio` is the figure in `unit`: a ratio of two sides, or seconds, MB or calls where the limit is one of those.
    """

    name: str
    ratio: float
    spread: tuple[float, float]
    rounds: int
    method: str
    limit: float | None = None
    sense: str = "at_least"
    figures: dict[str, Any] = field(default_factory=dict)
    memory_mb: float = 0.0
    unit: str = "ratio"

    @property
    def verdict(self) -> Verdict:
        """Met or missed only when every round agrees."""
        if self.limit is None:
            return Verdict.NO_LIMIT
        holds = [value >= self.limit if self.sense == "at_least" else value <= self.limit for value in self.spread]
        if all(holds):
            return Verdict.MET
        return Verdict.MISSED if not any(holds) else Verdict.UNDECIDED

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the verdict with it."""
        return {**asdict(self), "verdict": str(self.verdict)}


@dataclass(frozen=True, slots=True)
class NotRun:
    """A measurement that could not be made, and why."""

    name: str
    reason: str

    @property
    def verdict(self) -> Verdict:
        """Always `not run`."""
        return Verdict.NOT_RUN

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "reason": self.reason, "verdict": str(self.verdict)}


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one run by a clock, on the wall unless told, garbage collected before it."""
    gc.collect()
    begin = clock()
    work()
    return clock() - begin


def interleaved(
    one: Callable[[], object],
    other: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, float]]:
    """A B A B …: seconds of both sides for each round, after one round that is not counted.

    `time.process_time` suits work that only computes in one thread: what other processes take is no part of it.
    """
    one(), other()
    return [(seconds(one, clock), seconds(other, clock)) for _ in range(rounds)]


def measured(
    name: str,
    pairs: Sequence[tuple[float, float]],
    *,
    method: str,
    limit: float | None,
    sense: str,
    ratio: Callable[[float, float], float],
    figures: dict[str, Any] | None = None,
) -> Measurement:
    """A measurement out of interleaved seconds; `ratio` says what is divided by what."""
    ratios = [ratio(one, other) for one, other in pairs]
    return Measurement(
        name=name,
        ratio=round(statistics.median(ratios), 4),
        spread=(round(min(ratios), 4), round(max(ratios), 4)),
        rounds=len(pairs),
        method=method,
        limit=limit,
        sense=sense,
        figures={
            "seconds_a": round(statistics.median(one for one, _ in pairs), 4),
            "seconds_b": round(statistics.median(other for _, other in pairs), 4),
            **(figures or {}),
        },
        memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )

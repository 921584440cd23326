"""The steps a schedule is made of, and the faults a step can carry. Plain data: printed, shrunk and run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """What becomes of one vendor call. Those after `SLOW` are for writes; a read takes the nearest fault it knows."""

    UNREACHABLE = "unreachable"
    QUOTA = "quota"
    AUTH = "auth"
    PERMISSION = "permission"
    GARBLED_READ = "garbled_read"
    SLOW = "slow"
    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    LATE_COMMIT = "late_commit"
    GARBLED_REPLY = "garbled_reply"
    SHORT = "short"
    LONG = "long"
    SHUFFLED = "shuffled"
    NO_ID = "no_id"
    UNLISTED_APPLIED = "unlisted_applied"
    UNLISTED_NOT_APPLIED = "unlisted_not_applied"
    REFUSE_ONE = "refuse_one"
    REFUSE_ALL = "refuse_all"
    LOCKED_ROWS = "locked_rows"
    NO_FORECAST = "no_forecast"
    LAGGING_INDEX = "lagging_index"
    CONNECTOR_BUG = "connector_bug"


class Point(StrEnum):
    """Where a worker can be stopped: around each transaction and around each vendor call."""

    BEGIN = "begin"
    COMMIT = "commit"
    COMMITTED = "committed"
    SEND = "send"
    SENT = "sent"


class Stop(StrEnum):
    """How a worker is stopped there. `STORE_LOST`: the connection breaks; at `committed`, after it committed."""

    KILL = "kill"
    INTERRUPT = "interrupt"
    STORE_LOST = "store_lost"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class CallFault:
    """The `nth` vendor call of a verb meets `fate`; `salt` is the fault's own randomness."""

    nth: int
    fate: Fate
    salt: int


@dataclass(frozen=True, slots=True)
class Crash:
    """A verb is stopped the `nth` time it reaches `point`; while it stalls, `inner` happens."""

    point: Point
    nth: int
    how: Stop
    inner: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. `what` is a verb of a worker, a deed of a person, or time that passes (see `catalogue`)."""

    what: str
    salt: int = 0
    worker: int = 0
    amount: float = 0.0
    faults: tuple[CallFault, ...] = ()
    crash: Crash | None = None
    together: tuple[Step, ...] = ()

    def __str__(self) -> str:
        parts = [self.what]
        if self.amount:
            parts.append(f"{self.amount:g}")
        if self.what in VERBS:
            parts.append(f"w{self.worker}")
        parts += [f"call {fault.nth} {fault.fate}" for fault in self.faults]
        if self.crash is not None:
            inner = f" while [{'; '.join(str(step) for step in self.crash.inner)}]" if self.crash.inner else ""
            parts.append(f"{self.crash.how} at {self.crash.point} {self.crash.nth}{inner}")
        if self.together:
            parts.append(f"[{' | '.join(str(step) for step in self.together)}]")
        return ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def step_from(body: Mapping[str, Any]) -> Step:
    """The step that `as_dict` told."""
    crash = body.get("crash")
    return Step(
        what=str(body["what"]),
        salt=int(body.get("salt", 0)),
        worker=int(body.get("worker", 0)),
        amount=float(body.get("amount", 0)),
        faults=tuple(CallFault(int(f["nth"]), Fate(f["fate"]), int(f["salt"])) for f in body.get("faults", ())),
        crash=None
        if crash is None
        else Crash(
            Point(crash["point"]),
            int(crash["nth"]),
            Stop(crash["how"]),
            tuple(step_from(inner) for inner in crash.get("inner", ())),
        ),
        together=tuple(step_from(inner) for inner in body.get("together", ())),
    )


VERBS = frozenset(
    {
        "intake",
        "push_ads",
        "push_crm",
        "settle_ads",
        "settle_crm",
        "observe",
        "deliver",
        "plan",
        "replay",
        "retarget",
        "look",
        "check_ads",
        "bill",
        "census_ads",
        "drift_ads",
        "recover_ads",
    }
)
"""Verbs of the hub. `deliver` starts, polls and loads one report; `look` reads status and trace; `bill` wants a document. The
last three are drawn by `upheaval` alone."""

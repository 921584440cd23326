"""What a person can let the hub do without Airflow: read sources, bring delivery, write until everything is at rest.

The same calls as the DAGs make, one after the other in this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hub import ConnectionInfo, Hub
from hub.errors import ConnectionBroken, ConnectionPaused, ConnectorStumbled, NotFound, VendorUnavailable
from hub.results import DeliverySummary, IntakeResult, PlanResult, PushSummary, SettleSummary

LONGEST_NAP = 5.0
"""Seconds between two looks at work that is not due yet."""
REPORT_PATIENCE = 300.0
"""Seconds a delivery report may take before the pull gives up; the next pull takes up the same job."""

DELIVERED_STATES = frozenset({"loaded", "nothing booked", "nothing flown"})
"""How a pull of delivery ends when all is well."""

Sleep = Callable[[float], None]


@dataclass
class AppliedConnection:
    """What apply did at one connection, all rounds together.

    Bound to a plan, it left `not_in_plan` lanes due, `plan_moved` of them shown there with other content.
    """

    calls: int = 0
    records: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    adopted: int = 0
    resent: int = 0
    parked: int = 0
    in_doubt: int = 0
    waiting: int = 0
    not_in_plan: int = 0
    plan_moved: int = 0
    paused: bool = False
    unanswered: str = ""
    """Why the vendor could not be asked the last time, until it answers."""


@dataclass
class Applied:
    """What apply did. `at_rest` is False when time ran out before the last due write was settled, or a connection is unusable.

    `unusable` holds, by connection, the sentence that says why its work was left. `blocked` writes are shown as such in the
    plan that it was bound to.
    """

    connections: dict[str, AppliedConnection]
    at_rest: bool
    rounds: int
    unusable: dict[str, str] = field(default_factory=dict)
    blocked: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def chosen(hub: Hub, names: Iterable[str], can: Callable[[ConnectionInfo], bool], verb: str) -> list[ConnectionInfo]:
    """The named connections, or all that can do this and are not broken.

    Raises NotFound for a name the configuration does not have or that cannot do this. A broken connection that was
    named is returned: using it raises the sentence that says what is wrong with it.
    """
    wanted = list(names)
    if not wanted:
        return [info for info in hub.connections.values() if can(info) and info.broken is None]
    known = ", ".join(hub.connections) or "none"
    for name in wanted:
        if name not in hub.connections:
            raise NotFound(f"There is no connection {name}. Nothing is done. The configuration has: {known}.")
        info = hub.connections[name]
        if info.broken is None and not can(info):
            raise NotFound(f"Connection {name} ({info.connector}) cannot {verb}. Nothing is done. Name another one.")
    return [hub.connections[name] for name in wanted]


Failure = ConnectionBroken | ConnectorStumbled | VendorUnavailable
"""Why one connection cannot be worked with now; its `connection` is the name."""
Failed = Callable[[Failure], None]
"""Told of a connection that cannot be asked now, so that the others go on."""
Paused = Callable[[ConnectionPaused], None]
"""Told of a connection that was left out because a person paused it."""


def _raise(error: Failure) -> None:
    raise error


def _pass_over(error: ConnectionPaused) -> None:
    """Who reads all sources need not be told, unless they ask."""


def pull_changes(
    hub: Hub, names: Iterable[str] = (), *, failed: Failed = _raise, paused: Paused = _pass_over
) -> Iterator[IntakeResult]:
    """Read the named sources, or all, to the present; one result per connection.

    A paused source is left out unless it was named: who names it wants to know, who reads all of them wants the others.
    """
    named = list(names)
    for info in chosen(hub, named, lambda info: info.reads, "be read"):
        with _one_of_several(named, failed, paused):
            yield hub.intake(info.name)


def pull_delivery(
    hub: Hub,
    names: Iterable[str] = (),
    sleep: Sleep = time.sleep,
    *,
    failed: Failed = _raise,
    paused: Paused = _pass_over,
) -> Iterator[DeliverySummary]:
    """Bring the delivered numbers of the named connections, or all. A report not ready in time is left running."""
    named = list(names)
    for info in chosen(hub, named, lambda info: info.reports_delivery, "report delivery"):
        with _one_of_several(named, failed, paused):
            summary = hub.start_delivery(info.name)
            patience = time.monotonic() + REPORT_PATIENCE
            nap = 0.2
            while summary.state == "running" and time.monotonic() < patience:
                sleep(nap)
                nap = min(nap * 2, LONGEST_NAP)
                summary = hub.poll_delivery(info.name, summary.job)
            yield hub.load_delivery(info.name, summary.job) if summary.state == "ready" else summary


@contextmanager
def _one_of_several(named: Sequence[str], failed: Failed, paused: Paused) -> Iterator[None]:
    """Around the work of one connection; `named` are those that were asked for by name."""
    try:
        yield
    except ConnectionPaused as error:
        if named:
            raise
        paused(error)
    except (ConnectionBroken, ConnectorStumbled, VendorUnavailable) as error:
        failed(error)


def apply(
    hub: Hub,
    names: Iterable[str] = (),
    *,
    patience: float = 300.0,
    sleep: Sleep = time.sleep,
    heard: Callable[[PushSummary | SettleSummary], None] = lambda summary: None,
    only: PlanResult | None = None,
) -> Applied:
    """Push and settle until nothing is due any more or `patience` seconds (machine time) are over; `only` what a plan shows.

    Ad servers go first, and the CRM's mirror when they have nothing due: it then shows where things stand in one write.
    Work that waits for a settle time, a quota or a vendor that does not answer is waited for; parked work is not.
    A connection that cannot be used stops its own work only, unless it was named; one whose vendor does not answer until the
    patience is over is told as unusable. `heard` is told of every push and settle.
    """
    named = list(names)
    unusable = {} if named else dict(hub.unusable())
    able = chosen(hub, named, lambda info: info.pushes or info.mirrors, "be written to")
    infos = [info for info in able if info.name not in unusable]
    applied = Applied({info.name: AppliedConnection() for info in infos}, at_rest=False, rounds=0, unusable=unusable)
    applied.blocked = 0 if only is None else only.blocked
    groups = [[info for info in infos if not info.mirrors], [info for info in infos if info.mirrors]]
    until = time.monotonic() + patience
    while True:
        applied.rounds += 1
        due: list[datetime] = []
        moved = False
        for group in groups:
            while sum(_work(hub, info.name, applied, due, heard, named, only) for info in group):
                moved = True
                if time.monotonic() > until:
                    return _given_up(applied)
        if moved:
            continue
        if not due:
            applied.at_rest = not applied.unusable
            return applied
        nap = min(max((min(due) - datetime.now(UTC)).total_seconds(), 0.05), LONGEST_NAP)
        if time.monotonic() + nap > until:
            return _given_up(applied)
        sleep(nap)


def _given_up(applied: Applied) -> Applied:
    """The patience is over: a vendor that did not answer until then counts as one that cannot be used."""
    for name, each in applied.connections.items():
        if each.unanswered:
            applied.unusable.setdefault(name, each.unanswered)
    return applied


def _work(
    hub: Hub,
    name: str,
    applied: Applied,
    due: list[datetime],
    heard: Callable[[PushSummary | SettleSummary], None],
    named: Sequence[str],
    only: PlanResult | None,
) -> bool:
    """One push and one settle; whether anything moved. When the rest falls due goes to `due`.

    A paused or unusable connection is left out, unless it was named: then its sentence is raised.
    """
    if name in applied.unusable:
        return False
    tally = applied.connections[name]
    try:
        pushed = hub.push(name, only=only)
        heard(pushed)
        settled = hub.settle(name)
        heard(settled)
    except ConnectionPaused:
        tally.paused = True
        if named:
            raise
        return False
    except (ConnectionBroken, ConnectorStumbled) as broken:
        if named:
            raise
        applied.unusable[name] = str(broken)
        return False
    except VendorUnavailable as unavailable:
        tally.unanswered = str(unavailable)
        due.append(datetime.now(UTC) + timedelta(seconds=unavailable.after))
        return False
    if pushed.silent:
        tally.unanswered = pushed.silent
    elif pushed.calls or settled.adopted or settled.resent or not pushed.waiting:
        tally.unanswered = ""
    tally.calls += pushed.calls
    tally.records += pushed.records
    for outcome, count in pushed.outcomes.items():
        tally.outcomes[outcome] = tally.outcomes.get(outcome, 0) + count
    tally.adopted += settled.adopted
    tally.resent += settled.resent
    tally.waiting, tally.parked, tally.in_doubt = pushed.waiting, pushed.parked, pushed.in_doubt
    tally.not_in_plan, tally.plan_moved = pushed.not_in_plan, pushed.plan_moved
    due += [when for when in (pushed.next_due, settled.next_due) if when is not None]
    if pushed.outcomes.get("postponed"):
        due.append(datetime.now(UTC) + timedelta(seconds=1))
    done = sum(count for outcome, count in pushed.outcomes.items() if outcome != "postponed")
    return bool(pushed.records or done or settled.adopted or settled.resent or settled.retried)

"""The circuit breaker: a vendor that does not answer is left alone for a while, by all workers, for one kind of operation.

    closed ──failures within the window──▶ open ──pause over, one read tried──▶ closed (on probation) ──success──▶ closed
                                            ▲                                          │
                                            └───────── the read, or the next call, fails, longer pause ┘

Only what the infrastructure does counts: no answer, an unreadable one, `RetryLater`. A refused record, a used-up quota and
refused credentials are answers. While a breaker is open its work stays due: nothing is claimed, nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from connectors.errors import ConnectorError, OutcomeUnknown, RetryLater
from hub.config import BreakerSettings
from hub.errors import VendorUnavailable
from hub.session import Channel, Session
from hub.store import breakers, journal
from hub.store.breakers import CLOSED, OPEN, TRYING, Breaker
from hub.store.database import Cursor
from hub.store.journal import Entry

TRIAL = timedelta(seconds=60)
"""How long one worker may take for the read that tries an open breaker, but no longer than a lease; then it counts as dead
and another one tries."""


class Kind(StrEnum):
    """What breakers tell apart: a vendor may read well and refuse every write."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    ACT = "act"
    REPORT = "report"


_KINDS = {
    "create": Kind.CREATE,
    "update": Kind.UPDATE,
    "act": Kind.ACT,
    "start_delivery": Kind.REPORT,
    "delivery_state": Kind.REPORT,
    "read_delivery": Kind.REPORT,
}


def kind_of(operation: str) -> Kind:
    """The kind of a connector's method or write; everything unlisted reads."""
    return _KINDS.get(operation, Kind.READ)


class BreakerOpen(VendorUnavailable):
    """This kind of call is not made now; `after` is when the vendor is tried again."""


# ---------------------------------------------------------------- pure
def after_failure(breaker: Breaker, rule: BreakerSettings, now: datetime, cause: str) -> Breaker:
    """One more call that the infrastructure failed. Opens when enough failed, and at least as many as went well."""
    if breaker.state == OPEN:
        return breaker
    if now - breaker.since > timedelta(seconds=rule.window_seconds) and breaker.state == CLOSED:
        probation = breaker.failures if breaker.pauses else 0
        breaker = replace(breaker, since=now, failures=probation, successes=0)
    failures = breaker.failures + 1
    breaker = replace(breaker, failures=failures, cause=cause)
    if breaker.state == TRYING or (failures >= rule.failures and failures >= breaker.successes):
        pause = min(rule.longest_pause_seconds, rule.pause_seconds * 2 ** min(breaker.pauses, 30))
        return replace(
            breaker, state=OPEN, opened_at=now, until=now + timedelta(seconds=pause), pauses=breaker.pauses + 1
        )
    return breaker


def after_success(breaker: Breaker, rule: BreakerSettings, now: datetime) -> Breaker:
    """One more call that was answered. It ends a probation; within a window it only weighs against the failures."""
    if breaker.state != CLOSED:
        return breaker
    if breaker.pauses or now - breaker.since > timedelta(seconds=rule.window_seconds):
        return replace(breaker, failures=0, successes=0, pauses=0)
    return replace(breaker, successes=breaker.successes + 1)


def after_trial(breaker: Breaker, rule: BreakerSettings, now: datetime) -> Breaker:
    """The vendor answered a read: calls go again, and the first failure opens the breaker again."""
    return replace(breaker, state=CLOSED, since=now, failures=rule.failures - 1 or 1, successes=0, until=None)


def may_try(breaker: Breaker, now: datetime) -> bool:
    """Whether a pause, or the trial of a worker that died, is over."""
    return breaker.state != CLOSED and (breaker.until is None or breaker.until <= now)


def sentence(breaker: Breaker) -> str:
    """What an open breaker means, for a person."""
    until = f"{breaker.until:%H:%M:%S} UTC" if breaker.until else "now"
    return (
        f"{breaker.connection} gets no {breaker.operation} calls: {breaker.failures} of them failed ({breaker.cause}). The work "
        f"stays due; one read tries the vendor at {until}. Nobody needs to act unless this lasts."
    )


# ---------------------------------------------------------------- with the store
def admits(channel: Channel, standing: Sequence[Breaker], operation: str) -> bool:
    """Whether this kind of call may be made without trying the vendor first; learns which breakers have something to tell."""
    channel.unsteady = frozenset(each.operation for each in standing)
    return all(each.state == CLOSED for each in standing if each.operation == kind_of(operation))


def admit(session: Session, channel: Channel, operation: str, take_token: Callable[[], None] = lambda: None) -> None:
    """Go on only if this kind of call may be made; the first to come after a pause tries the vendor with a read.

    `take_token` is called before that read. Raises BreakerOpen, and what `take_token` raises.
    """
    kind = kind_of(operation)
    with session.database.transaction() as cur:
        found = {each.operation: each for each in breakers.standing(cur, channel.name)}
    channel.unsteady = frozenset(found)
    breaker = found.get(kind)
    if breaker is None or breaker.state == CLOSED:
        return
    if may_try(breaker, session.machine.now()):
        take_token()
        breaker, ours = _begin_trial(session, channel, kind)
        if ours:
            _try(session, channel, kind)
        if ours or breaker.state == CLOSED:
            return
    raise _refusal(session, breaker)


def look(session: Session, channel: Channel) -> None:
    """Learn which breakers of a connection have something to tell, before a verb makes many calls."""
    with session.database.transaction() as cur:
        channel.unsteady = frozenset(each.operation for each in breakers.standing(cur, channel.name))


def admit_due(session: Session, channel: Channel, operation: str, take_token: Callable[[], None]) -> None:
    """Like `admit`, for lanes: a vendor is not tried for work that is not there. Costs nothing while nothing fails."""
    if kind_of(operation) not in channel.unsteady:
        return
    now = session.machine.now()
    with session.database.transaction() as cur:
        found = next((b for b in breakers.standing(cur, channel.name) if b.operation == kind_of(operation)), None)
        idle = (
            found is not None and found.state != CLOSED and not breakers.lanes_held(cur, channel.name, [operation], now)
        )
    if idle and found is not None:
        raise _refusal(session, found)
    admit(session, channel, operation, take_token)


def _begin_trial(session: Session, channel: Channel, kind: Kind) -> tuple[Breaker, bool]:
    """The breaker as it is now, and whether this worker has the trial; another one may have been faster."""
    now = session.machine.now()
    with session.database.transaction() as cur:
        breaker = breakers.locked(cur, channel.name, kind, now)
        ours = may_try(breaker, now)
        if ours:
            breaker = replace(breaker, state=TRYING, until=now + min(TRIAL, session.lease))
        breakers.save(cur, breaker)
    return breaker, ours


def _try(session: Session, channel: Channel, kind: Kind) -> None:
    """The one read of a half-open breaker: the connector's own check, which writes nothing."""
    try:
        channel.connector.check()
    except (RetryLater, OutcomeUnknown) as error:
        raise _refusal(session, note_failure(session, channel, kind, error)) from error
    except ConnectorError:
        pass  # refused, but answered: whoever makes the call that follows hears it and says what it means
    answered(session, channel, [kind])


def _refusal(session: Session, breaker: Breaker) -> BreakerOpen:
    now = session.machine.now()
    after = max(0.1, (breaker.until - now).total_seconds()) if breaker.until else 0.1
    return BreakerOpen(breaker.connection, sentence(breaker), after)


def answered(session: Session, channel: Channel, kinds: Sequence[str] | None = None) -> None:
    """The vendor answered a read: these breakers, or all that are open or being tried, close on probation."""
    now = session.machine.now()
    with session.database.transaction() as cur:
        for standing in breakers.standing(cur, channel.name):
            if standing.state == CLOSED or (kinds is not None and standing.operation not in kinds):
                continue
            breaker = breakers.locked(cur, channel.name, standing.operation, now)
            if breaker.state != CLOSED:
                breaker = after_trial(breaker, channel.settings.breaker, now)
                _tell(session, cur, channel, breaker, f"{breaker.operation} calls go again", "a read was answered")
            breakers.save(cur, breaker)


def note_failure(session: Session, channel: Channel, kind: Kind, error: ConnectorError) -> Breaker:
    """Count a call that the infrastructure failed; returns the breaker as it is now."""
    now = session.machine.now()
    with session.database.transaction() as cur:
        before = breakers.locked(cur, channel.name, kind, now)
        after = after_failure(before, channel.settings.breaker, now, error.code)
        breakers.save(cur, after)
        if after.state == OPEN and before.state != OPEN:
            _tell(session, cur, channel, after, f"{kind} calls stopped", sentence(after))
    channel.unsteady |= {str(kind)}
    return after


def note_success(session: Session, channel: Channel, kind: Kind) -> None:
    """Count a call that was answered; costs nothing while nothing fails."""
    if str(kind) not in channel.unsteady:
        return
    now = session.machine.now()
    with session.database.transaction() as cur:
        breakers.save(cur, after_success(breakers.locked(cur, channel.name, kind, now), channel.settings.breaker, now))


@contextmanager
def counting(session: Session, channel: Channel, operation: str) -> Iterator[None]:
    """Around one vendor call: what it raises, or that it raises nothing of the infrastructure's, is counted."""
    kind = kind_of(operation)
    try:
        yield
    except (RetryLater, OutcomeUnknown) as error:
        note_failure(session, channel, kind, error)
        raise
    except ConnectorError:
        note_success(session, channel, kind)
        raise
    note_success(session, channel, kind)


def _tell(session: Session, cur: Cursor, channel: Channel, breaker: Breaker, what: str, detail: str) -> None:
    journal.write(cur, [Entry(channel.name, what, detail)], session.machine.now(), session.business.now())

"""Every call to a connector goes through here: tokens first, and each kind of failure becomes what the hub does about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from connectors.base import Rate
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    Paced,
    PermissionMissing,
    QuotaExhausted,
    RetryLater,
    SchemaDrift,
)
from hub import log
from hub.errors import ConnectionBroken, ConnectorStumbled, HubError, VendorUnavailable
from hub.session import Channel, Session
from hub.store import breakers, journal, limits
from hub.store.database import Cursor
from hub.sync import breaker

T = TypeVar("T")

LONGEST_WAIT = 5.0
"""Seconds a worker waits for a token before it gives the work back; longer waits belong into the store."""

_UNREACHABLE = "unreachable"

ANY_REQUEST = Rate("any request", limit=1e6, per=1.0, burst=1_000_000)
"""The general rate of a connector that declares none: nobody takes of it, but a vendor's stop has a bucket to close."""


def take_tokens(session: Session, channel: Channel, operation: str) -> None:
    """Wait for a token of every rate that covers this operation.

    Raises VendorUnavailable when the wait is long, and BreakerOpen while this kind of call is not made.
    """
    rates = _rates(channel, operation)
    with session.database.transaction() as cur:
        if undeclared := rates[0] is ANY_REQUEST:
            now = session.machine.now()
            known = breakers.standing_and_closed(cur, channel.name, channel.credential, ANY_REQUEST.name, now)
        else:
            known = breakers.standing(cur, channel.name), 0.0
        # A check is what tries a vendor that did not answer.
        admitted = breaker.admits(channel, known[0], operation) or operation == "check"
        left = rates if known[1] or not admitted else _taken(session, cur, channel, rates[undeclared:])
    if not admitted:
        breaker.admit(session, channel, operation, lambda: _tokens(session, channel, _rates(channel, "check")))
    _tokens(session, channel, left)


def _rates(channel: Channel, operation: str) -> Sequence[Rate]:
    """The rates that a call costs a token of, the general ones first."""
    return (*_general(channel), *(rate for rate in channel.capabilities.rates if operation in rate.operations))


def _taken(session: Session, cur: Cursor, channel: Channel, rates: Sequence[Rate]) -> Sequence[Rate]:
    """Take a token of each rate as long as none has to be waited for; the rates that are left."""
    for place, rate in enumerate(rates):
        if _take(session, cur, channel, rate) > 0:
            return rates[place:]
    return ()


def _tokens(session: Session, channel: Channel, rates: Sequence[Rate]) -> None:
    for rate in rates:
        _take_token(session, channel, rate)
    channel.connector.pace = _Pace(session, channel)


def _general(channel: Channel) -> Sequence[Rate]:
    """The rates that every request costs."""
    return tuple(rate for rate in channel.capabilities.rates if not rate.operations) or (ANY_REQUEST,)


class _Pace:
    """Lets the first request of a call pass, whose tokens are taken, and takes one of each general rate for every further
    one: an update at Ad Manager is a read and a write, a page of changes may be several requests."""

    def __init__(self, session: Session, channel: Channel) -> None:
        self._session = session
        self._channel = channel
        self._first = True

    def __call__(self) -> None:
        if self._first:
            self._first = False
            return
        for rate in _general(self._channel):
            try:
                _take_token(self._session, self._channel, rate)
            except VendorUnavailable as error:
                raise Paced("PACED", str(error), error.after, rate.name) from error


def _take_token(session: Session, channel: Channel, rate: Rate) -> None:
    """One token of one rate. The wait is as long as the bucket says, the whole of it bounded."""

    def take() -> float:
        with session.database.transaction() as cur:
            return _take(session, cur, channel, rate)

    def wait(state: RetryCallState) -> float:
        assert state.outcome is not None
        return float(state.outcome.result())

    def too_long(state: RetryCallState) -> bool:
        return state.idle_for + wait(state) > LONGEST_WAIT

    def give_up(state: RetryCallState) -> float:
        raise VendorUnavailable(
            channel.name,
            f"The limit {rate.name!r} of {channel.name} is used up for {wait(state):.0f} s. The work stays due. "
            "Nobody needs to act.",
            wait(state),
        )

    Retrying(
        retry=retry_if_result(lambda seconds: seconds > 0),
        wait=wait,
        stop=too_long,
        sleep=session.sleep,
        retry_error_callback=give_up,
    )(take)


def _take(session: Session, cur: Cursor, channel: Channel, rate: Rate) -> float:
    """Take a token of one rate; 0, or the seconds after which to ask again."""
    if rate is ANY_REQUEST:
        return limits.closed(cur, channel.credential, rate.name, session.machine.now())
    return limits.take(
        cur,
        channel.credential,
        rate.name,
        limit=rate.limit,
        per=rate.per,
        burst=rate.burst,
        now=session.machine.now(),
        work=session.work,
        shares=channel.settings.shares.model_dump(),
    )


def close_bucket(session: Session, channel: Channel, error: QuotaExhausted) -> None:
    """The vendor said stop: close the rate it named; when it named none, or none that is declared (so many requests at the
    same time are no rate), every general one. A bucket of ours that is empty needs no closing.
    """
    if isinstance(error, Paced):
        return
    named = [rate for rate in channel.capabilities.rates if rate.name == error.limit]
    with session.database.transaction() as cur:
        for rate in named or _general(channel):
            limits.close(cur, channel.credential, rate.name, error.after, session.machine.now())


def answered(session: Session, channel: Channel) -> None:
    """A call went well: whoever noted that the vendor cannot be reached or refuses the log-in is no longer right.

    Other states (a right, a field, a setting) are about some calls only and stay until a check or a whole reading.
    """
    if channel.answers:
        return
    with session.database.transaction() as cur:
        journal.answers_again(cur, channel.name, (_UNREACHABLE, AuthFailed.__name__), session.machine.now())
    channel.answers = True


def _note(session: Session, channel: Channel, state: str, message: str) -> None:
    channel.answers = False
    with session.database.transaction() as cur:
        journal.set_connection(cur, channel.name, state, message, None, session.machine.now())


def stop(session: Session, channel: Channel, error: ConnectorError) -> ConnectionBroken:
    """Remember that this connection cannot work, and the exception that says so."""
    who = {
        AuthFailed: "Whoever owns the credentials renews them; the work then goes on by itself.",
        PermissionMissing: "An administrator of the vendor account grants the right; the work then goes on by itself.",
        SchemaDrift: "Whoever owns the mapping adapts it or brings the field back.",
        Misconfigured: "Whoever edited the configuration last corrects it.",
    }.get(type(error), "")
    sentence = (
        f"{channel.connector.title} refused {channel.name} ({error.code}: {error.message}). Its work stops. {who}"
    )
    _note(session, channel, type(error).__name__, sentence)
    log.stopped(channel.name, error.code, sentence)
    return ConnectionBroken(channel.name, sentence)


@contextmanager
def reading(session: Session, channel: Channel, operation: str = "read") -> Iterator[None]:
    """Around reads: a failure leaves the work due and says what is wrong. Raises VendorUnavailable or ConnectionBroken."""
    try:
        with breaker.counting(session, channel, operation):
            yield
        answered(session, channel)
    except QuotaExhausted as error:
        close_bucket(session, channel, error)
        raise VendorUnavailable(
            channel.name,
            f"{channel.connector.title} says the limit is used up ({error.code}). Reading goes on in {error.after:.0f} s. "
            "Nobody needs to act.",
            error.after,
        ) from error
    except (RetryLater, OutcomeUnknown) as error:
        after = getattr(error, "after", None) or 30.0
        sentence = (
            f"{channel.connector.title} did not answer usefully ({error.code}: {error.message}). Nothing was lost; "
            f"reading goes on in {after:.0f} s. Nobody needs to act unless this lasts."
        )
        _note(session, channel, _UNREACHABLE, sentence)
        raise VendorUnavailable(channel.name, sentence, after) from error
    except (AuthFailed, PermissionMissing, SchemaDrift, Misconfigured) as error:
        raise stop(session, channel, error) from error


def ask(session: Session, channel: Channel, operation: str, call: Callable[[], T]) -> T:
    """One read, with tokens. Raises VendorUnavailable, ConnectionBroken; ConnectorStumbled for what no connector may raise."""
    take_tokens(session, channel, operation)
    with reading(session, channel, operation):
        return caught(channel, operation, call, (ConnectorError, HubError))


def pages_of(session: Session, channel: Channel, operation: str, start: Callable[[], Iterable[T]]) -> Iterator[T]:
    """The pages that a connector brings, each within the rate. Raises what `ask` raises, whenever a page is asked for."""
    pages = brought(channel, operation, start)
    while True:
        take_tokens(session, channel, operation)
        with reading(session, channel, operation):
            page = next(pages, None)
        if page is None:
            return
        yield page


def brought(channel: Channel, operation: str, start: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What a connector brings one by one. Raises ConnectorStumbled for what no connector may raise."""
    try:
        yield from start()
    except (ConnectorError, HubError):
        raise
    except Exception as error:
        raise _stumble(channel, operation, error) from error


def caught(
    channel: Channel, operation: str, call: Callable[[], T], expected: tuple[type[Exception], ...] = (HubError,)
) -> T:
    """A call of a connector's own code, for instance a comparison. Raises ConnectorStumbled for what it may not raise."""
    try:
        return call()
    except expected:
        raise
    except Exception as error:
        raise _stumble(channel, operation, error) from error


def _stumble(channel: Channel, operation: str, error: Exception) -> ConnectorStumbled:
    log.stumbled(channel.name, operation, error)
    return ConnectorStumbled(
        channel.name,
        f"The connector {channel.connector.name} of {channel.name} failed with {type(error).__name__} while it was asked "
        f"to {operation}. Nothing was written. Integration mends the connector; the log names the place.",
    )

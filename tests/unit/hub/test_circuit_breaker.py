"""A vendor that does not answer is left alone by all workers; what it refuses is an answer, and nothing is lost meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import CheckReport, Operation, Outcome, PushItem, PushResult
from connectors.errors import AuthFailed, ConnectorError, OutcomeUnknown, QuotaExhausted, RetryLater
from hub.config import BreakerSettings
from hub.errors import ConnectionBroken, VendorUnavailable
from hub.store.breakers import CLOSED, OPEN, TRYING, Breaker
from hub.sync.breaker import BreakerOpen, after_failure, after_success, after_trial

if TYPE_CHECKING:
    from conftest import World

RULE = BreakerSettings(failures=3, window_seconds=60, pause_seconds=30, longest_pause_seconds=100)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def fresh() -> Breaker:
    return Breaker("gam-main", "create", CLOSED, START)


def failed(times: int, breaker: Breaker | None = None, every: float = 1.0) -> Breaker:
    breaker = breaker or fresh()
    for number in range(times):
        breaker = after_failure(breaker, RULE, START + timedelta(seconds=every * number), "TIMEOUT")
    return breaker


def test_it_opens_after_so_many_failures_within_the_window() -> None:
    assert failed(2).state == CLOSED
    opened = failed(3)
    assert (opened.state, opened.until) == (OPEN, START + timedelta(seconds=32))


def test_failures_far_apart_do_not_open_it() -> None:
    assert failed(20, every=31).state == CLOSED


def test_a_few_failures_among_many_answers_do_not_open_it() -> None:
    breaker = failed(1)
    for second in range(20):
        breaker = after_success(breaker, RULE, START + timedelta(seconds=second))
    assert failed(5, breaker).state == CLOSED


def test_the_first_failure_on_probation_opens_it_again_for_longer() -> None:
    now = START + timedelta(seconds=60)
    probation = after_trial(failed(3), RULE, now)
    assert probation.state == CLOSED
    again = after_failure(probation, RULE, now + timedelta(hours=1), "TIMEOUT")
    assert again.state == OPEN
    assert again.until == now + timedelta(hours=1, seconds=60)
    assert after_success(probation, RULE, now).failures == 0


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["fail", "work", "try", "try fails"])), max_size=60))
@settings(max_examples=200)
def test_a_breaker_is_always_in_one_state_and_no_pause_is_longer_than_the_longest(
    events: list[tuple[float, str]],
) -> None:
    breaker, now = fresh(), START
    for pause, event in events:
        now += timedelta(seconds=pause)
        if event == "fail":
            breaker = after_failure(breaker, RULE, now, "X")
        elif event == "work":
            breaker = after_success(breaker, RULE, now)
        elif event == "try" and breaker.state == OPEN:
            breaker = after_trial(breaker, RULE, now)
        assert breaker.state in {CLOSED, OPEN, TRYING}
        if breaker.state == OPEN:
            assert breaker.until is not None
            assert breaker.until - now <= timedelta(seconds=RULE.longest_pause_seconds)


# ---------------------------------------------------------------- with the hub
def refuse(error: Callable[[], ConnectorError]) -> Callable[..., None]:
    def raising(*_: object) -> None:
        raise error()

    return raising


def busy() -> ConnectorError:
    return RetryLater("SERVER_BUSY", "later", after=0.0)


@pytest.fixture
def stubborn(world: World) -> World:
    """A world whose ad server does not answer writes, and says how often it was checked."""
    world.ads.batch = 1
    world.book(lines=8)
    checks: list[datetime] = []
    world.ads.check = lambda *_: checks.append(world.machine.now()) or CheckReport("network 123")  # type: ignore[method-assign]
    world.ads.checks = checks  # type: ignore[attr-defined]
    world.hub.intake("sfdc")
    return world


def push_until_open(world: World, error: Callable[[], ConnectorError] = busy) -> int:
    world.ads.misbehave = [refuse(error)] * 1000
    for _ in range(10):
        world.hub.push("gam-main")
    return len(world.ads.calls)


def test_while_it_is_open_nothing_is_sent_and_the_work_stays_due(stubborn: World) -> None:
    assert push_until_open(stubborn) == 5
    summary = stubborn.hub.push("gam-main")
    assert (summary.calls, len(stubborn.ads.calls)) == (0, 5)
    assert summary.waiting > 0, "the command line and the DAGs see that it is not at rest"
    assert summary.next_due is not None
    assert summary.next_due > stubborn.machine.now()
    (gam,) = [each for each in stubborn.hub.status().connections if each.name == "gam-main"]
    assert "gets no create calls" in gam.message
    assert "SERVER_BUSY" in gam.message


def test_all_workers_share_it(stubborn: World) -> None:
    push_until_open(stubborn)
    with stubborn.second_worker() as other:
        assert other.push("gam-main").calls == 0
    assert len(stubborn.ads.calls) == 5


def test_after_the_pause_one_read_tries_the_vendor_and_the_work_goes_on(stubborn: World) -> None:
    push_until_open(stubborn)
    stubborn.ads.misbehave = []
    stubborn.machine.advance(29)
    stubborn.hub.push("gam-main")
    assert (len(stubborn.ads.calls), len(stubborn.ads.checks)) == (5, 0)  # type: ignore[attr-defined]
    stubborn.machine.advance(2)
    stubborn.rest()
    assert len(stubborn.ads.checks) == 1  # type: ignore[attr-defined]
    assert len(stubborn.ads.live("LineItem")) == 8
    assert stubborn.hub.session.database.rows("SELECT * FROM breaker") == []


def test_a_vendor_that_does_not_answer_the_read_is_left_alone_for_longer(stubborn: World) -> None:
    push_until_open(stubborn)

    def silent(*_: object) -> CheckReport:
        raise OutcomeUnknown("TIMEOUT", "no answer")

    stubborn.ads.check = silent  # type: ignore[method-assign]
    stubborn.machine.advance(31)
    stubborn.hub.push("gam-main")
    stubborn.machine.advance(31)
    stubborn.hub.push("gam-main")
    assert len(stubborn.ads.calls) == 5
    ((state, pauses),) = stubborn.hub.session.database.rows("SELECT state, pauses FROM breaker")
    assert (state, pauses) == (OPEN, 2)


def test_a_vendor_that_reads_well_and_writes_badly_gets_one_write_for_each_pause(stubborn: World) -> None:
    push_until_open(stubborn)
    for _ in range(6):
        stubborn.machine.advance(700)
        stubborn.hub.push("gam-main")
        stubborn.hub.push("gam-main")
    assert len(stubborn.ads.calls) == 5 + 6


def test_updates_and_verbs_go_on_while_creates_are_stopped(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.ads.batch = 1
    world.book(lines=8, order="006B")
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    world.hub.intake("sfdc")

    def creates_fail(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        if operation is Operation.CREATE:
            raise RetryLater("SERVER_BUSY", "later", after=0.0)

    world.ads.misbehave = [creates_fail] * 100
    world.hub.push("gam-main")
    for _ in range(8):
        world.hub.push("gam-main")
    assert "gets no create calls" in world.hub.status().connections[1].message
    assert world.ads.live("LineItem")[0]["primaryGoal"]["units"] == 2000000


@pytest.mark.parametrize(
    "answer",
    [
        lambda: QuotaExhausted("QuotaError.EXCEEDED_QUOTA", "slow down", after=0.0),
        lambda: AuthFailed("401", "expired"),
    ],
    ids=["quota", "credentials"],
)
def test_an_answer_never_opens_it(stubborn: World, answer: Callable[[], ConnectorError]) -> None:
    stubborn.ads.misbehave = [refuse(answer)] * 30
    for _ in range(12):
        try:
            stubborn.hub.push("gam-main")
        except ConnectionBroken:
            stubborn.machine.advance(61)
    assert len(stubborn.ads.calls) > 5
    assert stubborn.hub.session.database.rows("SELECT * FROM breaker") == []


def test_refused_records_never_open_it(stubborn: World) -> None:
    def rejected(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [PushResult(item.key, Outcome.REJECTED, code="BAD", message="bad value") for item in items]

    stubborn.ads.misbehave = [lambda *_: None] * 2 + [rejected] * 8
    stubborn.hub.push("gam-main")
    assert len(stubborn.ads.calls) == 10
    assert stubborn.hub.session.database.rows("SELECT * FROM breaker") == []


def test_lost_answers_open_it_and_what_is_in_doubt_stays_so(stubborn: World) -> None:
    stubborn.ads.misbehave = [lambda *_: None] * 2 + [refuse(lambda: OutcomeUnknown("TIMEOUT", "?"))] * 100
    stubborn.hub.push("gam-main")
    assert len(stubborn.ads.calls) == 7
    assert stubborn.hub.status().connections[1].in_doubt == 5
    stubborn.ads.misbehave = []
    stubborn.rest()
    assert len(stubborn.ads.live("LineItem")) == 8


def test_a_source_that_does_not_answer_is_not_read_again_at_once(world: World) -> None:
    reads: list[str] = []

    def read(stream: str, *_: Any) -> Iterator[Any]:
        reads.append(stream)
        raise RetryLater("503", "maintenance", after=1.0)
        yield

    world.crm.read = read  # type: ignore[method-assign]
    for _ in range(9):
        with pytest.raises(VendorUnavailable):
            world.hub.intake("sfdc")
    assert len(reads) == 5
    with pytest.raises(BreakerOpen, match="one read tries the vendor"):
        world.hub.intake("sfdc")
    del world.crm.read
    world.book(lines=1)
    world.machine.advance(31)
    assert world.hub.intake("sfdc").accepted == 3


def test_a_person_who_checks_the_connection_ends_the_pause(stubborn: World) -> None:
    push_until_open(stubborn)
    stubborn.ads.misbehave = []
    stubborn.hub.check("gam-main")
    assert stubborn.hub.push("gam-main").calls > 0

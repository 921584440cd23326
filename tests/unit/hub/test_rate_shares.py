"""Shares of a rate: never more calls than the vendor allows, nobody starves, and nothing lies idle that somebody wants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.base import Rate
from hub.config import ConnectionSettings, ShareSettings
from hub.errors import VendorUnavailable
from hub.store import limits
from hub.store.shares import GRACE, Claim, Rule, Tokens, Work, take

if TYPE_CHECKING:
    from conftest import World

SHARES = ShareSettings().model_dump()
"""As a connection has them that says nothing."""
RATES = st.tuples(st.sampled_from([0.5, 1.0, 2.0, 8.0, 40.0]), st.sampled_from([1.0, 2.0, 5.0, 100.0]))


def rule(speed: float, burst: float) -> Rule:
    return Rule(speed, 1.0, burst, SHARES)


def full(rate: Rule) -> Tokens:
    return Tokens(rate.burst, 0.0)


class Crowd:
    """Workers that ask, wait as long as they are told, and ask again."""

    def __init__(self, rate: Rule) -> None:
        self.rate = rate
        self.bucket = full(rate)
        self.taken: list[tuple[float, str]] = []

    def ask(self, work: str, now: float) -> float:
        self.bucket, wait = take(self.bucket, self.rate, work, now)
        if wait == 0.0:
            self.taken.append((now, work))
        assert wait >= 0.0
        return wait

    def run(self, workers: dict[str, int], until: float, late: dict[str, float] | None = None) -> None:
        """Every worker asks again the moment it got its token."""
        order = [work for work, count in sorted(workers.items()) for _ in range(count)]
        due = [((late or {}).get(work, 0.0), number, work) for number, work in enumerate(order)]
        while due:
            due.sort()
            now, number, work = due.pop(0)
            if now > until:
                continue
            due.append((now + self.ask(work, now), number, work))

    def assert_within_budget(self) -> None:
        """No window between two calls holds more than burst + rate × its length."""
        least = float("inf")
        for number, (at, _) in enumerate(self.taken):
            least = min(least, number - self.rate.speed * at)
            assert number + 1 - self.rate.speed * at - least <= self.rate.burst + 1e-6


@given(RATES, st.lists(st.tuples(st.floats(0, 3), st.sampled_from(list(Work))), min_size=1, max_size=80))
@settings(max_examples=150)
def test_calls_never_exceed_the_budget_in_any_window(
    rate: tuple[float, float], asked: list[tuple[float, Work]]
) -> None:
    crowd = Crowd(rule(*rate))
    now = 0.0
    for pause, work in asked:
        now += pause
        crowd.ask(work, now)
    crowd.assert_within_budget()


@given(RATES, st.integers(1, 4), st.integers(0, 3), st.floats(0.0, 6.0))
@settings(max_examples=80)
def test_a_person_gets_a_token_within_three_turns_while_push_floods(
    rate: tuple[float, float], pushers: int, reporters: int, asks_at: float
) -> None:
    crowd = Crowd(rule(*rate))
    until = asks_at + 4.0 / crowd.rate.speed
    crowd.run({Work.PUSH: pushers, Work.REPORT: reporters, Work.INTERACTIVE: 1}, until, {Work.INTERACTIVE: asks_at})
    first = next((at for at, work in crowd.taken if work == Work.INTERACTIVE), None)
    assert first is not None
    assert first - asks_at <= 3.0 / crowd.rate.speed + 1e-6
    crowd.assert_within_budget()


@pytest.mark.parametrize("burst", [1.0, 2.0, 50.0])
def test_each_kind_of_work_gets_at_least_its_share_while_all_flood(burst: float) -> None:
    crowd = Crowd(rule(2.0, burst))
    crowd.run({Work.PUSH: 3, Work.REPORT: 3, Work.INTERACTIVE: 3}, 660.0)
    counts = Counter(work for at, work in crowd.taken if at > 60)
    total = sum(counts.values())
    assert total >= 0.99 * 2.0 * 600
    for work, share in SHARES.items():
        assert counts[work] >= 0.97 * share / 100 * total, counts


def test_what_others_leave_idle_is_lent() -> None:
    crowd = Crowd(rule(2.0, 2.0))
    crowd.run({Work.REPORT: 3}, 100.0)
    assert len(crowd.taken) >= 200, "alone, a kind of work has the whole rate"


def test_who_borrowed_for_an_hour_owes_nothing() -> None:
    crowd = Crowd(rule(2.0, 2.0))
    crowd.run({Work.PUSH: 2, Work.REPORT: 2}, 4200.0, {Work.REPORT: 3600.0})
    late = Counter(work for at, work in crowd.taken if at > 3610)
    assert late[Work.PUSH] >= 0.97 * 0.5 * sum(late.values())


def test_the_place_of_a_worker_that_died_is_given_away() -> None:
    rate = rule(1.0, 1.0)
    bucket = Tokens(0.0, 0.0, {work: Claim(1.0) for work in Work})
    bucket, wait = take(bucket, rate, Work.INTERACTIVE, 0.0)
    assert wait == pytest.approx(1.0)
    bucket, blocked = take(bucket, rate, Work.PUSH, 1.0)
    assert blocked > 0, "the token is kept for who was told to come back now"
    _, granted = take(bucket, rate, Work.PUSH, 1.0 + GRACE + 0.1)
    assert granted == 0.0


def test_a_clock_that_steps_back_earns_nothing() -> None:
    rate = rule(10.0, 1.0)
    bucket, _ = take(full(rate), rate, Work.PUSH, 100.0)
    _, wait = take(bucket, rate, Work.PUSH, 50.0)
    assert wait > 0


def test_shares_hold_through_the_store(world: World) -> None:
    now = world.machine.now()

    def ask(work: Work) -> float:
        with world.hub.session.database.transaction() as cur:
            return limits.take(
                cur, "c", "r", limit=1, per=1, burst=2, now=world.machine.now(), work=work, shares=SHARES
            )

    assert [ask(Work.PUSH), ask(Work.PUSH)] == [0.0, 0.0]
    told = ask(Work.INTERACTIVE)
    assert told == pytest.approx(1.0)
    world.machine.advance(1.0)
    assert ask(Work.REPORT) > 0, "this token is the waiting person's"
    assert ask(Work.INTERACTIVE) == 0.0
    assert world.machine.now() > now


def test_each_verb_uses_the_share_of_its_kind(world: World) -> None:
    world.ads.rates = (Rate("requests", 1, 1, 4),)
    world.hub.check("gam-main")
    assert set(_waiting_or_spent(world)) == {Work.INTERACTIVE}
    world.book(lines=1)
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert Work.PUSH in _waiting_or_spent(world)


def _waiting_or_spent(world: World) -> list[str]:
    ((claims,),) = world.hub.session.database.rows("SELECT claims FROM bucket WHERE name = 'requests'")
    return [work for work, (credit, _, _) in claims.items() if credit < Rule(1, 1, 4, SHARES).most_credit(work)]


def test_a_closed_bucket_is_closed_for_every_kind_of_work(world: World) -> None:
    world.ads.rates = (Rate("requests", 1, 1, 4),)
    with world.hub.session.database.transaction() as cur:
        limits.close(cur, "gam-main", "requests", 40, world.machine.now())
    with pytest.raises(VendorUnavailable, match="used up for 40 s"):
        world.hub.check("gam-main")


def test_shares_that_do_not_make_a_whole_are_refused() -> None:
    with pytest.raises(ValidationError, match="sum must be 100, not 110"):
        ConnectionSettings.model_validate({"connector": "gam", "shares": {"interactive": 30}})

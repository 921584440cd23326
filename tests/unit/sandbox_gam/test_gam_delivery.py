"""True delivery is spread exactly, grows with the clock and can be restated."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sandbox.gam.delivery import Delivery, Truth, flight_days, largest_remainder
from sandbox.gam.moments import day_start

ZONE = "America/New_York"
BEGIN = 1_567_000_000  # August 2019
FAR = 4_000_000_000


def delivery(start: int, end: int, total: int) -> Delivery:
    made = Delivery(ZONE)
    made.set("L1", Truth(start, end, {"impressions": total}))
    return made


FLIGHTS = st.tuples(st.integers(0, 400 * 86_400), st.integers(1, 120 * 86_400)).map(
    lambda parts: (BEGIN + parts[0], BEGIN + parts[0] + parts[1])
)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_largest_remainder_sums_exactly_and_is_fair(total: int, weights: list[int]) -> None:
    parts = largest_remainder(total, weights)
    whole = sum(weights)
    if whole == 0:
        assert parts == [0] * len(weights)
        return
    assert sum(parts) == total
    assert all(
        total * weight // whole <= part <= total * weight // whole + 1
        for part, weight in zip(parts, weights, strict=True)
    )


@given(FLIGHTS)
def test_the_days_of_a_flight_cover_it_without_gap(flight: tuple[int, int]) -> None:
    days = list(flight_days(*flight, ZONE))
    assert days[0][1][0] == flight[0]
    assert days[-1][1][1] == flight[1]
    for (day, (_, until)), (following, (begin, _)) in pairwise(days):
        assert until == begin == day_start(following, ZONE)
        assert following == day + timedelta(days=1)


@given(FLIGHTS, st.integers(0, 10**8))
def test_all_of_a_total_is_delivered_in_the_end_and_none_before(flight: tuple[int, int], total: int) -> None:
    made = delivery(*flight, total)
    assert made.lifetime("L1", flight[0]) == {"impressions": 0}
    assert made.lifetime("L1", flight[1]) == made.lifetime("L1", FAR) == {"impressions": total}
    days = dict(made.days("L1", date.min, date.max, FAR))
    assert sum(figures["impressions"] for figures in days.values()) == total


@given(FLIGHTS, st.integers(0, 10**6), st.lists(st.integers(0, 120 * 86_400), min_size=2, max_size=6))
def test_delivery_never_falls_and_the_days_are_its_parts(flight: tuple[int, int], total: int, later: list[int]) -> None:
    made = delivery(*flight, total)
    seen = 0
    for seconds in sorted(later):
        now = flight[0] + seconds
        lifetime = made.lifetime("L1", now)["impressions"]
        assert lifetime >= seen
        assert lifetime == sum(figures["impressions"] for _, figures in made.days("L1", date.min, date.max, now))
        seen = lifetime


def test_a_short_and_a_long_day_get_their_share() -> None:
    # New York: 3 November 2019 has 25 hours, 8 March 2020 has 23.
    start = day_start(date(2019, 11, 2), ZONE)
    made = delivery(start, day_start(date(2019, 11, 5), ZONE), 24 + 25 + 24)
    assert [figures["impressions"] for _, figures in made.days("L1", date.min, date.max, FAR)] == [24, 25, 24]
    made = delivery(day_start(date(2020, 3, 8), ZONE), day_start(date(2020, 3, 10), ZONE), 47)
    assert [figures["impressions"] for _, figures in made.days("L1", date.min, date.max, FAR)] == [23, 24]


def test_a_restatement_replaces_one_day_and_outlives_a_dump() -> None:
    start = day_start(date(2019, 10, 1), ZONE)
    made = delivery(start, start + 10 * 86_400, 1000)
    made.restate("L1", date(2019, 10, 3), {"impressions": 90})
    made.restate("L1", date(2019, 12, 24), {"impressions": 5, "clicks": 1})
    assert made.lifetime("L1", FAR) == {"impressions": 995, "clicks": 1}
    again = Delivery(ZONE)
    again.restore(made.dump())
    assert again.lifetime("L1", FAR) == made.lifetime("L1", FAR)
    made.set("L1", Truth(start, start + 86_400, {"impressions": 7}))
    assert made.lifetime("L1", FAR) == {"impressions": 7}


def test_what_was_never_set_delivers_nothing() -> None:
    made = Delivery(ZONE)
    assert made.lifetime("L1", FAR) == made.lifetime(None, FAR) == {}
    assert list(made.days("L1", date.min, date.max, FAR)) == []

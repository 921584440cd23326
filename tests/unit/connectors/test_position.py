"""A cursor keeps where a read stands exactly, never goes back, and a stranger's is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Misconfigured
from connectors.position import BEGINNING, Position, furthest, instant, number, position, wall

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 10**18))
def test_a_position_comes_back_from_its_cursor(at: datetime, kept: int) -> None:
    assert position(Position(at, kept).cursor(), instant, number) == Position(at, kept)


def test_wall_time_and_text_ids_are_kept_too() -> None:
    there = Position(NOON.replace(tzinfo=None), "a-1")
    assert position(there.cursor(), wall, str) == there


def test_any_zone_is_the_same_instant() -> None:
    shown = NOON.astimezone(timezone(timedelta(hours=5)))
    assert position(Position(shown, 1).cursor(), instant, number) == Position(NOON, 1)


def test_the_beginning_is_no_position() -> None:
    assert position(None, instant, number) is None
    assert position(furthest(None, None), instant, number) is None
    assert furthest() == BEGINNING


def test_a_read_that_ends_inside_its_overlap_does_not_creep_backwards() -> None:
    begun, last = Position(NOON, 7), Position(NOON - timedelta(seconds=30), 9)
    assert furthest(begun, last) == begun.cursor()
    assert furthest(begun, Position(NOON, 8)) == Position(NOON, 8).cursor()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "[]",
        "5",
        '{"t": 5, "id": 1}',
        '{"t": "2026-01-05T12:00:00+00:00"}',
        '{"t": "2026-01-05T12:00:00", "id": 1}',
        '{"t": "2026-01-05T12:00:00+00:00", "id": "1"}',
        '{"t": "2026-01-05T12:00:00+00:00", "id": true}',
        '{"t": "0001-01-01T00:00:00+09:00", "id": 1}',
        "[" * 100_000,
    ],
)
def test_a_strangers_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Misconfigured, match="CURSOR-UNREADABLE"):
        position(cursor, instant, number)
    with pytest.raises(Misconfigured, match="CURSOR-UNREADABLE"):
        position('{"t": "2026-01-05T12:00:00+00:00", "id": 1}', wall, number)

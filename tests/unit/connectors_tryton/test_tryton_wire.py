"""Tryton's JSON: exact both ways, and bounded for whatever comes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.exact_json import Unreadable, Unwritable
from connectors.tryton.wire import Quantity, decoded, encoded

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=8)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_what_is_sent_comes_back_the_same(value: Any) -> None:
    assert decoded(encoded(value)) == value


def test_a_quantity_travels_as_a_plain_number_and_a_finer_one_than_a_double_is_refused() -> None:
    assert encoded(Quantity(Decimal("987.654"))) == b"987.654"
    with pytest.raises(Unwritable, match="more digits"):
        Quantity(Decimal("0.12345678901234567890"))


@pytest.mark.parametrize("value", [0.1, object(), datetime(2020, 1, 1), "\x00", Decimal("NaN"), {"x": {1, 2}}])  # noqa: DTZ001
def test_a_value_without_an_exact_form_is_never_sent(value: object) -> None:
    with pytest.raises(Unwritable):
        encoded(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"NaN",
        b"[" * 100_000,
        b"9" * 500,
        b"1e999999999",
        b'{"__class__": "Decimal"}',
        b'{"__class__": "Decimal", "decimal": "NaN"}',
        b'{"__class__": "Decimal", "decimal": "x"}',
        b'{"__class__": "date", "year": 2020, "month": 13, "day": 1}',
        b'{"__class__": "surprise"}',
        b'{"__class__": "datetime", "year": "x"}',
        b"\xff\xfe",
    ],
)
def test_a_hostile_body_is_unreadable_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(Unreadable):
        decoded(body)


def test_half_characters_and_nul_become_storable() -> None:
    assert decoded(rb'"\ud800\u0000x"') == "\ufffd\ufffdx"


def test_days_and_times_are_read() -> None:
    body = b'{"d": {"__class__": "date", "year": 2020, "month": 2, "day": 29}}'
    assert decoded(body) == {"d": date(2020, 2, 29)}

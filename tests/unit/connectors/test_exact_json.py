"""Replies are read exactly, and as strictly by the quick reader as by the thorough one."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors import exact_json
from connectors.exact_json import MOST_DEPTH, Unreadable, Unwritable, plain, read, write
from hub.encoding import decode, encode

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
TOKENS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    " ",
    '"a"',
    '"attributes"',
    "1",
    "-0",
    "0.10",
    "1E5",
    "1e99",
    "01",
    "9" * 41,
    "1" * 40,
]
TOKENS += ["null", "true", "NaN", '"\\ud83d\\ude00"', '"\\ud800"', '"\\u0000"', '"\\x"', "\ufeff", "\x01", "é"]
BODIES = st.lists(st.sampled_from(TOKENS), max_size=14).map(lambda tokens: "".join(tokens).encode())


def thoroughly(body: bytes) -> Any:
    """What the thorough reader alone makes of a body."""
    value = exact_json._thorough(body)
    return exact_json._settled(value, frozenset({"attributes"}), 0)


@given(VALUES)
def test_what_json_writes_is_read_again(value: Any) -> None:
    assert read(json.dumps(value).encode()) == value
    assert read(json.dumps(value, ensure_ascii=False).encode()) == value


@given(BODIES | VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=12))
@example(b'{"a":1,"a":2}')
@example(b"\xef\xbb\xbf[1]")
@example(b'"\xff"')
def test_both_readers_agree_on_every_body(body: bytes) -> None:
    try:
        expected = repr(thoroughly(body))
    except (ValueError, RecursionError):
        with pytest.raises(Unreadable):
            read(body, frozenset({"attributes"}))
    else:
        assert repr(read(body, frozenset({"attributes"}))) == expected


def test_fractions_are_exact_and_whole_numbers_whole() -> None:
    assert read(b"[1.10, 12345678901234567890123, 2e2]") == [Decimal("1.10"), 12345678901234567890123, Decimal("2E+2")]
    assert str(read(b"1.10")) == "1.10"


@pytest.mark.parametrize(
    "number",
    ["0." + "1" * 40, "1" * 39 + ".1", "-0.00", "1e40", "0.1e-39", "12345.678e2", "1E-40", "0e40", "1.0000000e+2"],
)
def test_a_number_of_forty_digits_is_read_with_all_of_them(number: str) -> None:
    expected = [str(Decimal(number))]
    assert [str(value) for value in read(f"[{number}]".encode())] == expected
    assert [str(value) for value in thoroughly(f"[{number}]".encode())] == expected


@pytest.mark.parametrize(
    "number", ["0." + "1" * 41, "1" * 40 + ".0", "1e41", "0.1e-40", "0e41", "0e-41", "1e999999999"]
)
def test_a_number_beyond_forty_digits_is_refused(number: str) -> None:
    for body in (f"[{number}]", f'["\\u0000", {number}]'):  # the second one goes to the thorough reader
        with pytest.raises(Unreadable):
            read(body.encode())


def test_what_is_read_can_be_kept_in_the_store() -> None:
    body = b'{"a": [9223372036854775807, 9223372036854775808, -9223372036854775809], "b": 99999999999999999999}'
    value = read(body)
    assert value == json.loads(body)
    assert [type(number) for number in (*value["a"], value["b"])] == [int, Decimal, Decimal, Decimal]
    assert decode(encode(value)) == json.loads(body)
    assert type(read(b"18446744073709551616")) is Decimal


def test_text_that_no_database_takes_is_shown_as_replaced() -> None:
    assert read(rb'{"\ud800": "a\u0000b\ud83d\ude00"}') == {"\ufffd": "a\ufffdb\U0001f600"}


def test_members_are_dropped_at_every_depth() -> None:
    body = b'{"attributes": {"type": "A"}, "records": [{"attributes": 1, "Owner": {"attributes": 2, "Name": "Kim"}}]}'
    assert read(body, frozenset({"attributes"})) == {"records": [{"Owner": {"Name": "Kim"}}]}


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_is_bounded(extra: int) -> None:
    deep = MOST_DEPTH + 1 + extra
    body = b"[" * deep + b"]" * deep
    if extra:
        with pytest.raises(Unreadable):
            read(body)
    else:
        assert read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1,]",
        b"NaN",
        b"Infinity",
        b"1e99999",
        b"9" * 41,
        b"[" * 100_000,
        b'"\xff"',
        b'{"a" 1}',
        b"0.1e-60",
    ],
)
def test_what_is_no_readable_json_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_what_is_written_is_exact_or_refused() -> None:
    assert write({"a": Decimal("998.4120"), "d": date(2026, 1, 2), "l": (1, None, True)}) == (
        b'{"a":998.4120,"d":"2026-01-02","l":[1,null,true]}'
    )
    assert write(Decimal("1E+3")) == b"1000"
    at = datetime(2026, 1, 2, tzinfo=UTC)
    for wrong in (1.5, Decimal("NaN"), Decimal("1E+99"), "\x00", "\ud800", {"\ud800": 1}, object(), at, 2**70):
        with pytest.raises(Unwritable):
            write({"a": [wrong]})


def test_a_vendor_gives_its_own_form_to_what_json_has_none_for() -> None:
    assert write([Decimal(1), "x"], lambda value: {"number": str(value)}) == b'[{"number":"1"},"x"]'
    with pytest.raises(Unwritable):
        write([1.5], plain)

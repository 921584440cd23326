"""Names: what cannot be seen is reported, what is spelling is not, and length is counted as the vendor counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_schema.text import (
    LengthUnit,
    check_basic_plane,
    check_length,
    check_name,
    check_not_blank,
    check_visible,
    invisible,
    is_blank,
    length,
)


@pytest.mark.parametrize(
    "text", ["", " ", "\u00a0\t", "\u200b", "\ufeff \u200d", "\u2800", "\u3164\uffa0", "\u200e\u202e"]
)
def test_a_name_with_nothing_to_see_is_empty(text: str) -> None:
    assert is_blank(text)
    assert [p.code for p in check_not_blank("name", text)] == ["NAME-EMPTY"]
    assert [p.code for p in check_name("name", text)] == ["NAME-EMPTY"]


@pytest.mark.parametrize(
    "text",
    [
        "a",
        " a ",
        "\u00e9",
        "e\u0301",
        "\u5e7f\u544a",
        "\U0001f389",
        "\U0001f469\u200d\U0001f4bb",  # woman, joiner, laptop
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian with a non-joiner
        "\u0915\u094d\u200d\u0937",  # Hindi with a joiner
        "a b",
        "\u2764\ufe0f",
        "1\ufe0f\u20e3 Media",  # a key
        "\u8fba\U000e0100",  # one of a character's registered shapes
        "\u182d\u180b",  # Mongolian
    ],
)
def test_a_name_as_people_write_it_has_no_problem(text: str) -> None:
    assert check_name("name", text) == ()


@pytest.mark.parametrize(
    ("text", "position", "name"),
    [
        ("Acme\u200b", 5, "ZERO WIDTH SPACE"),
        ("\ufeffAcme", 1, "ZERO WIDTH NO-BREAK SPACE"),
        ("Ac\u200dme", 3, "ZERO WIDTH JOINER"),
        ("Acme\u200d", 5, "ZERO WIDTH JOINER"),
        ("Ac\u00adme", 3, "SOFT HYPHEN"),
        ("Ac\u202eme", 3, "RIGHT-TO-LEFT OVERRIDE"),
        ("Ac\nme", 3, "control character"),
        ("Ac\x00me", 3, "control character"),
        ("Ac\u2028me", 3, "LINE SEPARATOR"),
        ("é\u200d\u200dé", 2, "ZERO WIDTH JOINER"),
        ("Ac\u034fme", 3, "COMBINING GRAPHEME JOINER"),
        ("é\u034f", 2, "COMBINING GRAPHEME JOINER"),
        ("Acme\ufe0f", 5, "VARIATION SELECTOR-16"),
        ("1\ufe0f Media", 2, "VARIATION SELECTOR-16"),
        ("\u2764\ufe0f\ufe0f", 3, "VARIATION SELECTOR-16"),
        ("\ufe0fAcme", 1, "VARIATION SELECTOR-16"),
        ("\u1780\u17b4", 2, "KHMER VOWEL INHERENT AQ"),
    ],
)
def test_an_invisible_character_is_reported_where_it_is(text: str, position: int, name: str) -> None:
    (problem,) = check_visible("name", text)
    assert problem.code == "NAME-INVISIBLE"
    assert f"({name}) as character {position}" in problem.happened
    assert all(char.isprintable() for char in problem.value)


def test_several_invisible_characters_are_one_problem() -> None:
    (problem,) = check_visible("name", "a\u200bb\u200bc\u200b")
    assert problem.happened.endswith("as character 2 and 2 more like it.")


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_visible_categories_are_never_reported(text: str) -> None:
    assert list(invisible(text)) == []


@given(st.text())
def test_a_problem_never_shows_an_unprintable_character(text: str) -> None:
    for problem in check_name("name", text, 3):
        assert problem.value.isprintable()
        assert len(problem.value) <= 80


def test_length_is_counted_as_the_vendor_counts() -> None:
    text = "é🎉"
    assert [length(text, unit) for unit in LengthUnit] == [2, 3, 6]
    assert check_length("name", text, 2) == ()
    assert check_length("name", text, 3, LengthUnit.UTF16) == ()
    (problem,) = check_length("name", text, 5, LengthUnit.BYTES)
    assert problem.code == "NAME-TOO-LONG"
    assert problem.happened == "The name has 6 bytes; the field holds 5."


@given(st.text())
def test_lengths_agree_with_the_encodings(text: str) -> None:
    assert length(text, LengthUnit.UTF16) == len(text.encode("utf-16-le")) // 2
    assert length(text, LengthUnit.BYTES) == len(text.encode())


def test_a_lone_surrogate_can_be_measured_and_is_reported() -> None:
    assert length("a\ud800", LengthUnit.BYTES) == 4
    assert [p.code for p in check_name("name", "a\ud800")] == ["NAME-INVISIBLE"]


def test_a_four_byte_character_is_reported_for_vendors_that_cannot_store_it() -> None:
    assert check_basic_plane("name", "é€") == ()
    (problem,) = check_basic_plane("name", "Party 🎉")
    assert problem.code == "NAME-FOUR-BYTE"
    assert "U+1F389" in problem.happened


def test_all_that_is_wrong_with_a_name_is_said_at_once() -> None:
    assert [p.code for p in check_name("name", "ab\u200bcd", 3)] == ["NAME-INVISIBLE", "NAME-TOO-LONG"]

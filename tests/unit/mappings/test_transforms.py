"""Each transform with an inverse brings its value back; each refusal is one that its vendor or its field makes necessary."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.kinds import Kind
from mappings.plan import cut
from mappings.registry import Pair, Refused, known_transforms, transform, transform_table

LOCAL = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(lambda t: t.replace(microsecond=0))  # noqa: DTZ001
ITEM = st.text("ab c$1;.-", min_size=1).map(str.strip).filter(bool)
CANONICAL: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "comma_list": ({}, st.lists(ITEM | ITEM.map(lambda s: f"{s} ({s}, {s})"), min_size=1).map(tuple)),
    "inclusive_end": ({}, LOCAL.map(lambda t: t.replace(second=0))),
    "micros": ({}, st.integers(0, 2**63 - 1)),
    "salesforce_datetime": ({}, LOCAL.map(lambda t: t.replace(tzinfo=UTC))),
    "salesforce_utc_time": ({}, LOCAL),
    "visible_text": ({}, st.text("abc éß漢", min_size=1).map(str.strip).filter(bool)),
    "whole_number": ({}, st.integers(0, 2**63 - 1)),
}


def test_every_transform_with_an_inverse_is_proved_here() -> None:
    arguments: dict[str, dict[str, Any]] = {
        "gam_notes": {"geo": {}, "custom": {}},
        "gam_placeholders": {"default_size": "1x1"},
        "gam_targeting": {"geo": {}, "custom": {}},
        "one_of": {"words": ["a"], "others": ["b"]},
        "opportunity_status": {"won": "booked", "lost": "cancelled", "open_stages": {}},
        "presence": {"present": "a", "absent": "b"},
        "word": {"words": {}},
    }
    bound = {name: t.bind(arguments.get(name, {})) for name, t in known_transforms().items()}
    assert {n for n, f in bound.items() if isinstance(f, Pair) and f.inverse is not None} == set(CANONICAL)


@pytest.mark.parametrize("name", CANONICAL)
@given(data=st.data())
def test_there_and_back_is_the_same(name: str, data: st.DataObject) -> None:
    arguments, values = CANONICAL[name]
    functions = known_transforms()[name].bind(arguments)
    assert isinstance(functions, Pair)
    assert functions.inverse is not None
    value = data.draw(values)
    assert functions.forward(functions.inverse(value)) == value


def _forward(name: str, **arguments: Any) -> Any:
    return known_transforms()[name].bind(arguments).forward


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        ("a,,b,", ("a", "b")),
        ("Income ($1,000-$24,999),X (a, b (c, d)), Y", ("Income ($1,000-$24,999)", "X (a, b (c, d))", "Y")),
        (",", None),
        (
            "latitude 1;longitude 2;radius 3.0,latitude 4;longitude 5;radius 6",
            ("latitude 1;longitude 2;radius 3.0", "latitude 4;longitude 5;radius 6"),
        ),
    ],
)
def test_commas_split_except_inside_parentheses(text: str, values: tuple[str, ...] | None) -> None:
    assert _forward("comma_list")(text) == values


@pytest.mark.parametrize("text", ["a (b", "a) b", ")(", "((a)"])
def test_unbalanced_parentheses_are_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        _forward("comma_list")(text)
    assert refused.value.code == "unbalanced_parentheses"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2020-02-29T04:59:59", "2020-02-29T05:00:00"),
        ("2020-12-31T23:59:59", "2021-01-01T00:00:00"),
        ("2020-01-01T00:00:58", None),
    ],
)
def test_an_end_in_the_last_second_of_a_minute_is_the_next_second(written: str, meant: str | None) -> None:
    assert _forward("inclusive_end")(datetime.fromisoformat(written)) == datetime.fromisoformat(meant or written)


@pytest.mark.parametrize(
    "text", ["2020-01-29T15:00:00.000+0000", "2020-01-29T16:00:00.000+0100", "2020-01-29T15:00:00Z"]
)
def test_salesforce_times_are_one_instant_in_every_spelling(text: str) -> None:
    assert _forward("salesforce_utc_time")(text) == datetime(2020, 1, 29, 15)  # noqa: DTZ001
    assert _forward("salesforce_datetime")(text) == datetime(2020, 1, 29, 15, tzinfo=UTC)


def test_money_is_exact_or_refused() -> None:
    micros = _forward("micros")
    assert micros(Decimal("12345678901.234567")) == 12_345_678_901_234_567
    assert micros(Decimal("9.5827750000")) == 9_582_775
    assert micros(12) == 12_000_000
    assert _forward("micros", negative="keep")(Decimal("-0.000001")) == -1


def test_the_second_of_two_equal_hours_is_told_in_utc() -> None:
    wire = _forward("gam_datetime")
    first, second = datetime(2020, 11, 1, 1, 30), datetime(2020, 11, 1, 1, 30, fold=1)  # noqa: DTZ001
    assert wire(first, "America/New_York") == {
        "date": {"year": 2020, "month": 11, "day": 1}, "hour": 1, "minute": 30, "second": 0, "timeZoneId": "America/New_York",
    }  # fmt: skip
    assert (wire(second, "America/New_York")["hour"], wire(second, "America/New_York")["timeZoneId"]) == (6, "UTC")


@given(text=st.text(min_size=1, max_size=60), most=st.integers(1, 60))
def test_a_cut_text_fits_and_keeps_apart_what_differs(text: str, most: int) -> None:
    assert len(cut(text, most)) <= most
    assert cut(text, most) == text or len(text) > most
    if len(text) > most > 20:
        assert cut(text + "a", most) != cut(text + "b", most)


def test_invisible_characters_at_the_ends_are_trimmed_and_joiners_inside_kept() -> None:
    visible = _forward("visible_text")
    assert visible("INVESTinED\u200b") == "INVESTinED"
    assert visible("\ufeff  Acme \u00a0") == "Acme"
    assert visible("می\u200cخواهم") == "می\u200cخواهم"
    assert _forward("visible_text", four_byte="keep")("\U0001f469\u200d\U0001f4bb") == "\U0001f469\u200d\U0001f4bb"
    assert _forward("visible_text", four_byte="keep", line_breaks="keep")("𠮷野家\n😀") == "𠮷野家\n😀"
    assert visible("I \u2764\ufe0f News") == "I \u2764\ufe0f News"


@pytest.mark.parametrize(
    "text", ["Ac\u200dme", "Ac\u200cme", "Acme \u200dEurope", "A\ud83dcme", "Acme\ud83d", "Acme\ufe0f", "Ac\u034fmé"]
)
def test_what_joins_or_chooses_nothing_and_half_a_character_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="invisible_character"):
        _forward("visible_text", four_byte="keep", line_breaks="keep")(text)


@pytest.mark.parametrize(
    "text", ["\u3164", "\u2800 \u2800", " \u115f\u1160\u200b", "\uffa0\u200d\uffa0", "\u034f \ufe0f"]
)
def test_a_text_that_shows_as_a_blank_is_none(text: str) -> None:
    assert _forward("visible_text")(text) is None


# ---------------------------------------------------------------- the register itself
def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="already a transform named micros"):
        transform("micros", takes=Kind.DECIMAL, gives=Kind.INTEGER)(lambda: Pair(lambda v: v))


def test_a_literal_argument_has_a_type_that_a_file_can_hold() -> None:
    def factory(size: float) -> Pair:
        return Pair(lambda v: v)

    with pytest.raises(ValueError, match="cannot be annotated"):
        transform("planted", takes=Kind.TEXT, gives=Kind.TEXT)(factory)
    assert "planted" not in known_transforms()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("gam_placeholders", {"default_size": "big"}, "no size in pixels"),
        ("gam_targeting", {"geo": {"planet": "X"}, "custom": {}}, "no dimension"),
        ("gam_targeting", {"geo": {"age": "X"}, "custom": {"age": "y"}}, "under geo and under custom"),
        ("micros", {"negative": "maybe"}, "refuse or keep"),
        ("whole_number", {"negative": "maybe"}, "refuse or keep"),
    ],
)
def test_literals_that_make_no_sense_are_refused_at_load(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        known_transforms()[name].bind(arguments)


def test_every_transform_says_what_it_does() -> None:
    assert all(t.purpose for t in known_transforms().values())


def test_the_reference_page_lists_every_transform_as_it_is() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "mapping-format.md"
    text = page.read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- transforms: begin, made by mappings.registry.transform_table -->\n")
    table, _, _ = rest.partition("\n<!-- transforms: end -->")
    assert table == transform_table()

"""What a report's days are recognised by, and its ids as numbers: compared with the plain computation, in any order of rows."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import content, day_rows, unpacking
from hub.delivery.names import Names
from hub.delivery.refusals import ReportRefused

COLUMNS = ("line", "ad_unit", "impressions", "clicks")
Row = tuple[str, str, int, int]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
counts = st.integers(0, 2**63 - 1)
rows_ = st.lists(st.tuples(texts, texts, counts, counts), min_size=1, max_size=12)


def summed(rows: Sequence[Row], at_once: int) -> content.Sums:
    """As the spool does it: some rows at once, ids as numbers."""
    names = {"line": Names(), "ad_unit": Names()}
    found = content.NOTHING
    for start in range(0, len(rows), at_once):
        frame = pl.DataFrame(rows[start : start + at_once], schema=list(COLUMNS), orient="row")
        numbered = frame.with_columns(names[name].numbers(frame[name]).alias(name) for name in names)
        lanes = content.mixed(numbered, COLUMNS, {name: one.lanes for name, one in names.items()})
        found = content.added(found, content.sums(lanes))
    return found


def plainly(rows: Sequence[Row]) -> content.Sums:
    """The same row by row with Python's own integers."""
    found = []
    for lane, multiplier in enumerate(content.LANES):
        total = 0
        for row in rows:
            number = multiplier
            for cell in row:
                if isinstance(cell, str):
                    (bytes_,) = content.text_numbers([cell])
                    part = int.from_bytes(bytes_[8 * lane : 8 * lane + 8], "little")
                else:
                    part = cell
                number = (number ^ part) * multiplier % 2**64
                number ^= number >> 32
            total += number * multiplier % 2**64
        found.append(total % 2**64)
    return found[0], found[1]


@given(rows_, st.integers(1, 12))
def test_the_sums_of_a_day_are_those_of_the_plain_computation(rows: list[Row], at_once: int) -> None:
    assert summed(rows, at_once) == plainly(rows)


@given(rows_, st.randoms(use_true_random=False))
def test_a_day_is_the_same_in_any_order_of_rows(rows: list[Row], chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert summed(shuffled, 5) == summed(rows, 3)


@given(rows_, st.data())
def test_any_other_cell_makes_another_day(rows: list[Row], data: st.DataObject) -> None:
    at, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 3))
    other = data.draw(texts if column < 2 else counts)
    changed = list(rows)
    cells = list(changed[at])
    cells[column] = other
    changed[at] = (str(cells[0]), str(cells[1]), int(cells[2]), int(cells[3]))
    assert (summed(changed, 12) == summed(rows, 12)) == (sorted(changed) == sorted(rows))


def test_two_lines_that_exchange_their_numbers_make_another_day() -> None:
    one = [("1", "a", 10, 1), ("2", "a", 20, 2)]
    other = [("1", "a", 20, 2), ("2", "a", 10, 1)]
    assert summed(one, 2) != summed(other, 2)


@given(st.lists(st.lists(texts, min_size=1, max_size=9), min_size=1, max_size=4))
def test_places_sort_as_the_bytes_of_their_texts(batches: list[list[str]]) -> None:
    names = Names()
    numbers = [names.numbers(pl.Series(batch, dtype=pl.String)) for batch in batches]
    names.seal()
    assert names.texts.to_list() == sorted({text for batch in batches for text in batch}, key=str.encode)
    for batch, told in zip(batches, numbers, strict=True):
        assert names.texts.gather(names.places(told)).to_list() == batch


@pytest.mark.parametrize("in_one_number", [True, False])
@given(keys=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=20))
def test_rows_are_put_in_order_and_the_same_thing_twice_is_refused(
    in_one_number: bool, keys: list[tuple[int, int]]
) -> None:
    frame = pl.DataFrame(keys, schema={"line": pl.UInt32, "ad_unit": pl.UInt32}, orient="row")
    texts_of = {"line": pl.Series(list("abcd")), "ad_unit": pl.Series(list("vwxyz"))}
    with pytest.MonkeyPatch.context() as patch:
        if not in_one_number:
            patch.setattr(day_rows.math, "prod", lambda _: 2**63)
        twice = [key for key in sorted(keys) if keys.count(key) > 1]
        if twice:
            named = f"of line {texts_of['line'][twice[0][0]]}, ad_unit {texts_of['ad_unit'][twice[0][1]]} twice"
            with pytest.raises(ReportRefused, match=named):
                day_rows.order_of("ads", date(2026, 3, 1), frame, ("line", "ad_unit"), texts_of)
        else:
            order = day_rows.order_of("ads", date(2026, 3, 1), frame, ("line", "ad_unit"), texts_of)
            assert [keys[at] for at in order] == sorted(keys)


def test_threads_that_ask_at_once_agree_on_every_number_and_what_stands_for_it() -> None:
    batches = [pl.Series([f"{(number * 7 + at) % 900}" for number in range(600)]) for at in range(40)]
    names = Names()

    def asked(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
        numbers = names.numbers(texts)
        return numbers, names.lanes[1].gather(numbers)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(asked, batches))
    names.seal()
    assert names.texts.len() == 900
    for batch, (numbers, lane) in zip(batches, answers, strict=True):
        assert names.texts.gather(names.places(numbers)).to_list() == batch.to_list()
        assert lane.to_list() == [int.from_bytes(one[8:], "little") for one in content.text_numbers(batch)]


@pytest.mark.parametrize("without_isal", [False, True])
def test_packed_reports_read_the_same_with_and_without_the_quick_library(
    without_isal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_isal:
        monkeypatch.setattr(unpacking, "inflating", zlib)
        monkeypatch.setattr(unpacking, "_DAMAGED", zlib.error)
    plain = bytes(range(256)) * 9_000
    whole = gzip.compress(plain[:1_000_000]) + gzip.compress(plain[1_000_000:])

    def read(packed: bytes, size: int = 7_001) -> bytes:
        pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
        return b"".join(unpacking.unpacked("ads", pieces, gzip_wanted=True, most=1 << 30))

    assert read(whole) == plain
    assert read(whole, 1) == plain
    for cut in (1, 4, 8, 9, len(whole) // 2):
        with pytest.raises(ReportRefused) as refused:
            read(whole[:-cut])
        assert refused.value.code == "gzip_cut"
    for place in (len(whole) - 1, len(whole) - 6):
        damaged = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        with pytest.raises(ReportRefused) as refused:
            read(damaged)
        assert refused.value.code == "gzip_damaged"

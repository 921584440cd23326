"""A shard's contracts, counts and coverage as columns of integers, one place for each line, and which lines must go apart.

The line's side of what `hub.store.reconciliation_statement` asks in SQL. Bits of months come from `Reports` and the stored
lives counted from the line's first month; here they are moved to count from the first month asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hub.billing.reconciling.coverage import Reports, Sources, todays
from hub.billing.reconciling.totals import Bools, Ints, Totals
from hub.session import Session
from hub.store import reconciliation_columns as columns
from hub.store.database import Cursor
from hub.store.reconciliation import NO_FACTS, PEOPLE, SEVERAL_SOURCES
from hub.store.reconciliation_columns import CONTRACT, LIFE, Asked, Inputs

NEVER = 2**62
_MOST_BITS = 62
_BEFORE_1970 = date(1970, 1, 1).toordinal()
_MONTHS_BEFORE_1970 = 1970 * 12


@dataclass(frozen=True, slots=True)
class Side:
    """One side's counts. `totals` are by the end of the month before those asked for and of each of them (months × lines),
    `base` before the line's first month. Bit m of `told` is for the m-th month asked for."""

    totals: Ints
    base: Ints
    told: Ints


@dataclass(frozen=True, slots=True)
class Lines:
    """What the rules read of each line. `texts` are its id, its order's and its currency; `goals` are like a side's totals.

    Bit m of `both_final`, `chosen_final` and `live` is for the m-th month asked for, of which there are `asked`.
    `begins`, `ends`, `gap_from`, `not_final_from`, `open_from` and `fallback_until` are places of months among those asked for;
    `not_final_from` is the first that is not final on both sides. Prices are as the
    rounding needs them (`hub.store.reconciliation_statement`). What is calculated of `odd` lines is thrown away: their
    figures may have left 64 bits.
    """

    texts: pl.DataFrame
    asked: int
    seller: Side
    other: Side
    goals: Ints
    terms: Mapping[str, Ints]
    both_final: Ints
    chosen_final: Ints
    live: Ints
    begins: Ints
    ends: Ints
    gap_from: Ints
    not_final_from: Ints
    open_from: Ints
    fallback_until: Ints
    odd: Bools


@dataclass(frozen=True, slots=True)
class Book:
    """Lines that the columns can say, ready for the rules, and lines that go apart, with the reason.

    `valued` are the closing terms of lines that bill their contract's value; none are among `lines`.
    """

    lines: Lines | None
    apart: dict[str, str]
    valued: list[str]


def book(session: Session, cur: Cursor, asked: Asked, sources: Sources) -> Book:
    """Read a shard."""
    columns.make_inputs(cur, asked.shard)
    told = columns.inputs(cur, asked)
    contracts = _contracts(told.terms)
    if contracts.is_empty():
        return Book(None, {}, [])
    lives = _Lives(told, _ints(contracts["sources"]), sources.numbers)
    apart = _apart(cur, asked, contracts, lives, sources)
    plain = (contracts["valued"] == 0) & (contracts["apart"] == "")
    if apart:
        plain &= ~contracts["line_id"].is_in(list(apart))
    valued = contracts.filter(pl.col("valued") == 1)["closing"].unique().to_list()
    places = plain.arg_true()
    if places.is_empty():
        return Book(None, apart, valued)
    goals = Totals(
        told.goals, _ints(contracts["first_month"]), _ints(contracts["months"]), _ints(contracts["counted"]) == 1
    ).each(asked.since - 1, asked.until)
    chosen = places.to_numpy()
    reading = _Reading(session, cur, asked, contracts[places], goals[:, chosen], chosen)
    return Book(reading.lines(lives, sources), apart, valued)


def _contracts(body: bytes) -> pl.DataFrame:
    """The rows of a text. A longer row is an error."""
    texts = 5
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        name: pl.String if place < texts else pl.Int64 for place, name in enumerate(CONTRACT)
    }
    if not body:
        return pl.DataFrame(schema=schema)
    frame = pl.read_csv(body, has_header=False, separator="\t", quote_char=None, schema=schema)
    return frame.with_columns(pl.col(pl.String).fill_null("")).rechunk()


class _Lives:
    """What every source counted of the lines of a shard, row by row in their order. `line` is a line's place, `source` that of
    its number among `sources`, -1 where it is none of them."""

    def __init__(self, told: Inputs, of_each: Ints, sources: Sequence[int]) -> None:
        numbers = np.frombuffer(told.lives, dtype=">i8").reshape(-1, len(LIFE)).T.astype(np.int64, order="C")
        number, self.first_month, self.months, self.seen, seller, counted = numbers
        self.seller = seller == 1
        self.line = np.repeat(np.arange(of_each.size), of_each)
        self.source = np.full(number.size, -1, dtype=np.int64)
        for place, source in enumerate(sources):
            self.source[number == source] = place
        if self.line.size != number.size:
            raise ValueError("the counts of these lines are not as many as their contracts say")
        self.totals = Totals(told.totals, self.first_month, self.months, counted == 1)
        self._lines = of_each.size

    def of_side(self, *, seller: bool) -> Ints:
        """By place of a line, the row of its counts on one side; -1 where it has none."""
        (rows,) = np.nonzero(self.seller == seller)
        found = np.full(self._lines, -1, dtype=np.int64)
        found[self.line[rows]] = rows
        return found

    def several(self) -> Bools:
        """By place of a line, whether two sources count the same side of it."""
        found: Bools = (
            np.bincount(self.line * 2 + self.seller, minlength=2 * self._lines).reshape(-1, 2).max(axis=1) > 1
        )
        return found

    def without(self, source: int) -> Bools:
        """By place of a line, whether a source counted nothing of it."""
        missing = np.ones(self._lines, dtype=np.bool_)
        missing[self.line[self.source == source]] = False
        return missing


def _ints(column: pl.Series) -> Ints:
    found: Ints = (column.fill_null(0) if column.null_count() else column).to_numpy()
    return found


def _apart(cur: Cursor, asked: Asked, contracts: pl.DataFrame, lives: _Lives, sources: Sources) -> dict[str, str]:
    """Lines that only the library calculates, each with a reason, the first by name."""
    ids = contracts["line_id"]
    named = contracts.filter(pl.col("apart") != "")
    found = list(zip(named["line_id"], named["apart"], strict=True))
    if people := columns.entered(cur, asked.shard):
        found += [(line_id, PEOPLE) for line_id in ids.filter(ids.is_in(people))]
    if (several := lives.several()).any():
        found += [(line_id, SEVERAL_SOURCES) for line_id in ids.filter(pl.Series(several))]
    for place in sources.knowing:
        if (without := lives.without(place)).any():
            missing = ids.filter(pl.Series(without)).to_list()
            found += [(line_id, NO_FACTS) for line_id in columns.known_of(cur, sources.names[place], missing)]
    apart: dict[str, str] = {}
    for line_id, why in found:
        apart[line_id] = min(why, apart.get(line_id, why))
    return apart


class _Coverage:
    """What the sources' reports covered of the whole and the partial months of these lines, by places.

    `whole` and `final` are by source, closing terms and first month; `edges` by source and part, for the parts that lines
    begin (`firsts`) and end with (`lasts`).
    """

    def __init__(
        self, reports: Sequence[Reports], closings: Sequence[str], closing: Ints, of: Mapping[str, Ints]
    ) -> None:
        self.first = int(of["first_month"].min())
        told = [[list(one.months(name)) for name in closings] for one in reports]
        self.whole, self.final = (
            np.array([[[getattr(one, what) for one in months] for months in each] for each in told], dtype=np.int64)
            for what in ("whole", "final")
        )
        keys = [
            (closing << 44) + (of[since] << 22) + of[until]
            for since, until in (("first_live", "first_until"), ("last_since", "last_live"))
        ]
        parts, places = np.unique(np.concatenate(keys), return_inverse=True)
        self.firsts, self.lasts = np.split(places, 2)
        found = [
            [
                one.edge(
                    closings[part >> 44],
                    date.fromordinal(part >> 22 & (1 << 22) - 1),
                    date.fromordinal(part & (1 << 22) - 1),
                )
                for part in parts.tolist()
            ]
            for one in reports
        ]
        self.edges: dict[str, Bools] = {
            what: np.array([[getattr(edge, what) for edge in each] for each in found], dtype=np.bool_)
            for what in ("whole", "final", "early", "late")
        }


@dataclass(frozen=True, slots=True)
class _Counted:
    """One side before its bits are moved: bits count from the line's first month, `end` is the month after its last one."""

    totals: Ints
    base: Ints
    top: Ints
    counted: Bools
    whole: Ints
    final: Ints
    told: Ints
    odd: Bools
    end: Ints


class _Reading:
    """The lines of one shard that the columns can say."""

    def __init__(
        self, session: Session, cur: Cursor, asked: Asked, contracts: pl.DataFrame, goals: Ints, places: Ints
    ) -> None:
        self._session, self._cur, self._asked, self._goals = session, cur, asked, goals
        self._places = places
        self._texts = contracts.select("line_id", "order_id", "currency")
        self._of = {name: _ints(contracts[name]) for name in CONTRACT[5:]}
        self._no_total = contracts["total"].is_null().to_numpy()
        self._no_fallback = contracts["fallback_days"].is_null().to_numpy()
        self._closings = contracts["closing"].unique(maintain_order=True).to_list()
        numbers = range(len(self._closings))
        self._closing = _ints(
            contracts["closing"].replace_strict(
                self._closings, pl.Series(numbers, dtype=pl.Int64), return_dtype=pl.Int64
            )
        )
        self._ahead = asked.since - self._of["first_month"]

    def lines(self, lives: _Lives, sources: Sources) -> Lines:
        """Everything the rules read."""
        of, ahead, months = self._of, self._ahead, self._of["months"]
        last = int((of["first_month"] + months).max()) - 1
        reports = sources.reports(self._cur, int(of["first_month"].min()), last)
        coverage = _Coverage(reports, self._closings, self._closing, of) if reports else None
        seller, other = (
            self._side(lives.of_side(seller=kind)[self._places], lives, coverage) for kind in (True, False)
        )
        third = of["third_party"] == 1

        def chosen(one: NDArray[np.generic], another: NDArray[np.generic]) -> Ints:
            return np.where(third, another, one).astype(np.int64)

        today = todays(self._closings, self._session.business.now())
        month_now = np.array([one.month for one in today], dtype=np.int64)[self._closing]
        ordinal = np.array([one.day.toordinal() for one in today], dtype=np.int64)[self._closing]
        due = _month(ordinal - of["fallback_days"])
        fallback = np.where(third & ~self._no_fallback, due, of["first_month"])
        over_life = (of["cap"] == 1) | (of["cap"] == 3)
        whole = np.where(chosen(seller.counted, other.counted) == 1, chosen(seller.whole, other.whole), 0)
        final, both_final = chosen(seller.final, other.final), seller.final & other.final
        # A cap over the whole line waits for every month before.
        gap = np.where(over_life, _trailing_ones(whole) + 1 - ahead, NEVER)
        terms = self._terms()
        before = _power(np.minimum(np.maximum(ahead, 0), np.maximum(fallback - of["first_month"], 0))) - 1
        billed = chosen(seller.told, other.told) & final & before
        fell_back = (ahead > 0) & (fallback > of["first_month"]) & over_life & (billed != before)
        beyond = (of["window_days"] > 0) & (np.maximum(seller.end, other.end) > of["first_month"] + months)
        odd = seller.odd | other.odd | self._too_large(terms, seller, other) | beyond | fell_back
        return Lines(
            texts=self._texts,
            asked=self._asked.until - self._asked.since + 1,
            seller=Side(seller.totals, seller.base, _moved(seller.told, ahead)),
            other=Side(other.totals, other.base, _moved(other.told, ahead)),
            goals=self._goals,
            terms=terms,
            both_final=_moved(both_final, ahead),
            chosen_final=_moved(final, ahead),
            live=_moved(of["live"], ahead),
            begins=-ahead,
            ends=months - ahead,
            gap_from=gap,
            not_final_from=_trailing_ones(both_final) - ahead,
            open_from=month_now - self._asked.since,
            fallback_until=fallback - self._asked.since,
            odd=odd,
        )

    def _side(self, found: Ints, lives: _Lives, coverage: _Coverage | None) -> _Counted:
        """A side's totals and, in bits from the line's first month, what reports tell of each. `found` are its rows, or -1."""
        of, months = self._of, self._of["months"]
        known = found >= 0
        if coverage is None or not known.any():
            return self._silent()
        rows = np.where(known, found, 0)
        mine = lives.totals.of(rows, known)
        base = mine.by(of["first_month"] - 1)
        began, counted_months = (np.where(known, each[rows], 0) for each in (lives.first_month, lives.months))
        source = lives.source[rows]
        covered = known & (source >= 0)
        last_bit = _power(months - 1)
        inner = (last_bit - 1) & ~1

        def told(what: str, whole: Ints) -> Ints:
            inside = whole[source, self._closing, of["first_month"] - coverage.first] & inner
            edges = coverage.edges[what]
            each = inside | edges[source, coverage.firsts] | edges[source, coverage.lasts] * last_bit
            return np.where(covered, each, 0)

        def at_edge(what: str, places: Ints) -> Bools:
            told: Bools = covered & coverage.edges[what][source, places]
            return told

        ahead, end = of["first_month"] - began, began + counted_months
        whole, every = told("whole", coverage.whole), _power(months) - 1
        bits = lives.seen[rows]
        seen = _moved(np.maximum(bits, 0), ahead)
        unseen = (bits < 0) | (seen & every == 0)
        # Days of another month may be the flight's own where the source counts: calendars are at most two days apart.
        begins, ends = _day(of["first_live"]) <= 2, _day(of["last_live"] + 2) <= 2
        return _Counted(
            totals=mine.each(self._asked.since - 1, self._asked.until),
            base=base,
            top=mine.by(of["first_month"] + months - 1) - base,
            counted=mine.counted,
            whole=whole,
            final=told("final", coverage.final),
            told=np.where(mine.counted, whole | seen, 0),
            odd=known & (unseen | ((ahead > 0) & begins) | ((end > of["first_month"] + months) & ends))
            | at_edge("early", coverage.firsts)
            | at_edge("late", coverage.lasts),
            end=np.where(known, end, 0),
        )

    def _silent(self) -> _Counted:
        """A side of which nothing is known."""
        nothing = np.zeros(self._texts.height, dtype=np.int64)
        never = nothing == 1
        size = self._asked.until - self._asked.since + 2
        none = np.zeros((size, nothing.size), dtype=np.int64)
        return _Counted(none, nothing, nothing, never, nothing, nothing, nothing, never, nothing)

    def _terms(self) -> dict[str, Ints]:
        """Prices as the rounding needs them, beside the terms as they are."""
        of = self._of
        divisor = np.gcd(1_000_000, of["commission_ppm"])
        net = of["net_rate"] == 1
        up = np.where(net, 1_000_000 // divisor, 1)
        down = np.where(net, (1_000_000 - of["commission_ppm"]) // divisor, 1)
        bought, rate2 = of["per"] * of["minor"], of["rate"] * 2
        made = {
            "total": np.where(self._no_total, NEVER, of["total"]),
            "rate2": rate2,
            "bought": bought,
            "bought2": bought * 2,
            "rate2_up": rate2 * up,
            "bought_up": bought * down,
            "bought2_up": bought * down * 2,
        }
        return {**of, **made}

    def _too_large(self, terms: Mapping[str, Ints], seller: _Counted, other: _Counted) -> Bools:
        """Where figures may leave 64 bits."""
        stated = np.where(self._no_total, 0, self._of["total"])
        largest = np.maximum(np.maximum(seller.top, other.top), np.maximum(stated, 1))
        price, parts = terms["rate2_up"].astype(np.float64), terms["bought_up"].astype(np.float64)
        too_large: Bools = (
            (largest > 4_000_000_000_000)
            | (price * largest + parts > 9e18)
            | ((price * largest / parts + 1.0) * 1e6 > 9e18)
        )
        return too_large


def _power(exponent: Ints) -> Ints:
    return np.left_shift(np.int64(1), np.clip(exponent, 0, _MOST_BITS))


def _moved(bits: Ints, by: Ints) -> Ints:
    """Bits moved down, or up where `by` is below zero; what leaves the 62 is gone."""
    down, up = np.clip(by, 0, _MOST_BITS), np.clip(-by, 0, _MOST_BITS)
    return np.where(np.abs(by) <= _MOST_BITS, ((bits >> down) & (_power(_MOST_BITS - up) - 1)) << up, 0)


def _trailing_ones(bits: Ints) -> Ints:
    ones: Ints = np.bitwise_count((~bits & (bits + 1)) - 1).astype(np.int64)
    return ones


def _days(ordinal: Ints) -> NDArray[np.datetime64]:
    return (ordinal - _BEFORE_1970).astype("datetime64[D]")


def _day(ordinal: Ints) -> Ints:
    """Day of the month."""
    days = _days(ordinal)
    since_first: Ints = (days - days.astype("datetime64[M]")).astype(np.int64)
    return since_first + 1


def _month(ordinal: Ints) -> Ints:
    """Month since year 0."""
    return _days(ordinal).astype("datetime64[M]").astype(np.int64) + _MONTHS_BEFORE_1970

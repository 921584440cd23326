"""A shard's contracts, counts and coverage as one row of integers per line, ready for the rules, and which lines must go apart.

The line's side of what `hub.store.reconciliation` asks in SQL. Bits of months come from `Reports` and the stored lives counted
from the line's first month; here they are moved to count from the first month asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import gcd

import polars as pl

from hub.billing.reconciling_coverage import Reports, todays
from hub.session import Session
from hub.store import delivery_life
from hub.store import reconciliation_columns as columns
from hub.store.database import Cursor
from hub.store.reconciliation import NO_FACTS, PEOPLE, SEVERAL_SOURCES
from hub.store.reconciliation_columns import CONTRACT, LIFE, Asked

_I64 = pl.Int64
_POWERS = pl.Series([1 << place for place in range(63)], dtype=_I64)
_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Book:
    """Lines that the columns can say, ready for the rules, and lines that go apart, with the reason.

    `valued` are the closing terms of lines that bill their contract's value; none are among `lines`.
    """

    lines: pl.DataFrame
    apart: dict[str, str]
    valued: list[str]


def book(session: Session, cur: Cursor, asked: Asked) -> Book:
    """Read a shard."""
    size = asked.until - asked.since + 2
    contracts = _frame(columns.contracts(cur, asked), CONTRACT, 5, [f"goal_{place}" for place in range(size)])
    if contracts.is_empty():
        return Book(contracts, {}, [])
    sources = delivery_life.sources(cur)
    lives = _frame(columns.lives(cur, asked, sources), LIFE, 1, [f"total_{place}" for place in range(size)])
    apart = _apart(cur, asked, contracts, lives, sources)
    plain = contracts.filter((pl.col("valued") == 0) & (pl.col("apart") == ""))
    if apart:
        plain = plain.filter(~pl.col("line_id").is_in(list(apart)))
    valued = contracts.filter(pl.col("valued") == 1)["closing"].unique().to_list()
    return Book(lines_of(session, cur, asked, plain, lives, sources), apart, valued)


def _frame(body: bytes, names: Sequence[str], texts: int, totals: Sequence[str]) -> pl.DataFrame:
    """The rows of a text. Behind the last total stands a separator; a longer row is an error."""
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        name: pl.String if place < texts else _I64 for place, name in enumerate(names)
    }
    schema |= dict.fromkeys(totals, _I64) | {"rest": pl.String}
    if not body:
        return pl.DataFrame(schema=schema)
    frame = pl.read_csv(
        body,
        has_header=False,
        separator="\t",
        quote_char=None,
        schema=schema,
    )
    return frame.drop("rest").with_columns(pl.col(pl.String).fill_null(""), pl.col(totals).fill_null(0)).rechunk()


def _apart(
    cur: Cursor, asked: Asked, contracts: pl.DataFrame, lives: pl.DataFrame, sources: Sequence[str]
) -> dict[str, str]:
    """Lines that only the library calculates, each with a reason, the first by name."""
    ids = contracts["line_id"]
    named = contracts.filter(pl.col("apart") != "")
    found = list(zip(named["line_id"], named["apart"], strict=True))
    if people := columns.entered(cur, asked.shard):
        found += [(line_id, PEOPLE) for line_id in ids.filter(ids.is_in(people))]
    found += [
        (line_id, SEVERAL_SOURCES)
        for line_id in lives.filter(pl.struct("line_id", "seller").is_duplicated())["line_id"]
    ]
    for place, source in enumerate(sources):
        if not columns.knows_lines(cur, source):
            continue
        counted = lives.filter(pl.col("source") == place)["line_id"]
        if missing := ids.filter(~ids.is_in(counted.implode())).to_list():
            found += [(line_id, NO_FACTS) for line_id in columns.known_of(cur, source, missing)]
    apart: dict[str, str] = {}
    for line_id, why in found:
        apart[line_id] = min(why, apart.get(line_id, why))
    return apart


def lines_of(
    session: Session,
    cur: Cursor,
    asked: Asked,
    contracts: pl.DataFrame,
    lives: pl.DataFrame,
    sources: Sequence[str],
) -> pl.DataFrame:
    """One row per line: what the rules read, in bits and places from the first month asked for, and whether it is `odd`."""
    if contracts.is_empty():
        return contracts
    lines = _with_today(session, contracts)
    coverage = _Coverage(session, cur, contracts, sources)
    for side, seller in (("s", 1), ("o", 0)):
        lines = _with_side(lines, side, lives.filter(pl.col("seller") == seller).drop("seller"), coverage)
    return _with_bits(_with_terms(lines, asked), asked)


def _with_today(session: Session, contracts: pl.DataFrame) -> pl.DataFrame:
    days = todays(contracts["closing"].unique().to_list(), session.business.now())
    today = pl.DataFrame(
        [(one.closing, one.month, one.day.toordinal()) for one in days],
        schema={"closing": pl.String, "month_now": _I64, "today": _I64},
        orient="row",
    )
    return contracts.join(today, on="closing", how="left", maintain_order="left")


class _Coverage:
    """What the sources' reports covered of the whole and the partial months of these lines."""

    def __init__(self, session: Session, cur: Cursor, contracts: pl.DataFrame, sources: Sequence[str]) -> None:
        first = contracts["first_month"].min()
        last = (contracts["first_month"] + contracts["months"]).max()
        assert isinstance(first, int)
        assert isinstance(last, int)
        reports = [Reports(session, cur, source, first, last - 1) for source in sources]
        closings = contracts["closing"].unique().to_list()
        self.months = pl.DataFrame(
            [
                (place, one.closing, one.first_month, one.whole, one.final)
                for place, report in enumerate(reports)
                for closing in closings
                for one in report.months(closing)
            ],
            schema={"source": _I64, "closing": pl.String, "first_month": _I64, "whole": _I64, "final": _I64},
            orient="row",
        )
        parts = pl.concat(
            [
                contracts.select("closing", pl.col("first_live").alias("first"), pl.col("first_until").alias("last")),
                contracts.select("closing", pl.col("last_since").alias("first"), pl.col("last_live").alias("last")),
            ]
        ).unique()
        self.edges = pl.DataFrame(
            [
                (place, name, since, until, one.whole, one.final, one.early, one.late)
                for place, report in enumerate(reports)
                for name, since, until in parts.iter_rows()
                for one in (report.edge(name, date.fromordinal(since), date.fromordinal(until)),)
            ],
            schema={
                "source": _I64,
                "closing": pl.String,
                **dict.fromkeys(("first", "last", "whole", "final"), _I64),
                **dict.fromkeys(("early", "late"), pl.Boolean),
            },
            orient="row",
        )


def _with_side(lines: pl.DataFrame, side: str, lives: pl.DataFrame, coverage: _Coverage) -> pl.DataFrame:
    """A side's totals and, in bits from the line's first month, what reports tell of each."""
    joined = lines.select("line_id").join(lives, on="line_id", how="left", maintain_order="left")
    totals = joined.select(pl.col(r"^total_\d+$").fill_null(0).name.replace("total", side))
    known = lines.select(*_OF_LINE).hstack(joined.select(*_OF_LIFE).rename(_OF_LIFE))
    known = known.join(
        coverage.months.rename({"whole": "c_whole", "final": "c_final"}),
        left_on=["source", "closing", "first_month"],
        right_on=["source", "closing", "first_month"],
        how="left",
        maintain_order="left",
    )
    for edge, first, last in (("1", "first_live", "first_until"), ("2", "last_since", "last_live")):
        known = known.join(
            coverage.edges.rename({name: f"e{edge}_{name}" for name in ("whole", "final", "early", "late")}),
            left_on=["source", "closing", first, last],
            right_on=["source", "closing", "first", "last"],
            how="left",
            maintain_order="left",
        )
    return lines.hstack(known.select(_of_side(side))).hstack(totals)


_OF_LINE = ("closing", "first_month", "months", "first_live", "first_until", "last_since", "last_live")
_OF_LIFE = {name: name for name in ("source", "seen", "counted", "base", "top")} | {
    "first_month": "began",
    "months": "counted_months",
}
"""Columns of a life and what they are called beside those of its line."""


def _of_side(side: str) -> list[pl.Expr]:
    is_known = pl.col("began").is_not_null()
    ahead, own, behind = (
        pl.col("first_month") - pl.col("began"),
        pl.col("months"),
        pl.col("began") + pl.col("counted_months"),
    )
    last_bit = _power(own - 1)
    inner = (last_bit - 1) - ((last_bit - 1) & 1)

    def told(what: str) -> pl.Expr:
        edges = pl.col(f"e1_{what}").fill_null(0) | pl.col(f"e2_{what}").fill_null(0) * last_bit
        return pl.col(f"c_{what}").fill_null(0) & inner | edges

    # Days of another month may be the flight's own where the source counts: calendars are at most two days apart.
    begins, ends = _day(pl.col("first_live")) <= 2, _day(pl.col("last_live") + 2) <= 2
    seen = _moved(pl.col("seen").fill_null(0), ahead.fill_null(0))
    whole, every = told("whole"), _power(own) - 1
    found = {
        "whole": whole,
        "final": told("final"),
        "told": pl.when(pl.col("counted") == 1).then(whole | seen).otherwise(pl.lit(0, dtype=_I64)),
        "odd": is_known & (pl.col("seen").is_null() | (seen & every == 0))
        | ((ahead > 0) & begins).fill_null(False)
        | pl.col("e1_early").fill_null(False)
        | ((behind > pl.col("first_month") + own) & ends).fill_null(False)
        | pl.col("e2_late").fill_null(False),
        "end": behind.fill_null(0),
        "top": (pl.col("top") - pl.col("base")).fill_null(0),
        "base": pl.col("base").fill_null(0),
        "counted": pl.col("counted").fill_null(0),
    }
    return [expression.alias(f"{side}_{name}") for name, expression in found.items()]


def _power(exponent: pl.Expr) -> pl.Expr:
    return pl.lit(_POWERS).gather(exponent)


def _moved(bits: pl.Expr, by: pl.Expr) -> pl.Expr:
    """Bits moved down, or up where `by` is below zero; what leaves the 63 is gone."""
    down, up = by.clip(0, 62), (-by).clip(0, 62)
    moved = (bits // _power(down)) % _power(62 - up) * _power(up)
    return pl.when(by.abs() <= 62).then(moved).otherwise(pl.lit(0, dtype=_I64))


def _day(ordinal: pl.Expr) -> pl.Expr:
    """Day of the month. Polars counts days from 1970."""
    return (ordinal - date(1970, 1, 1).toordinal()).cast(pl.Int32).cast(pl.Date).dt.day()


def _with_terms(lines: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Prices as the rounding needs them, and from when a fallback is due."""
    distinct = lines["commission_ppm"].unique().to_list()
    scales = pl.DataFrame(
        [(ppm, gcd(1_000_000, ppm)) for ppm in distinct], schema={"commission_ppm": _I64, "divisor": _I64}, orient="row"
    )
    net = pl.col("net_rate") == 1
    one = pl.lit(1, dtype=_I64)
    due = (pl.col("today") - pl.col("fallback_days") - date(1970, 1, 1).toordinal()).cast(pl.Int32).cast(pl.Date)
    return (
        lines.join(scales, on="commission_ppm", how="left", maintain_order="left")
        .with_columns(
            pl.when(net).then(1_000_000 // pl.col("divisor")).otherwise(one).alias("up"),
            pl.when(net).then((1_000_000 - pl.col("commission_ppm")) // pl.col("divisor")).otherwise(one).alias("down"),
            (pl.col("per") * pl.col("minor")).alias("bought"),
            (pl.col("rate") * 2).alias("rate2"),
            pl.when((pl.col("third_party") == 1) & pl.col("fallback_days").is_not_null())
            .then(due.dt.year().cast(_I64) * 12 + due.dt.month().cast(_I64) - 1)
            .otherwise(pl.col("first_month"))
            .alias("fallback_month"),
            pl.col("total").fill_null(_NEVER).alias("total"),
            pl.col("total").fill_null(0).alias("stated"),
        )
        .with_columns(
            (pl.col("rate2") * pl.col("up")).alias("rate2_up"),
            (pl.col("bought") * pl.col("down")).alias("bought_up"),
            (pl.col("bought") * 2).alias("bought2"),
        )
        .with_columns((pl.col("bought_up") * 2).alias("bought2_up"))
    )


def _with_bits(lines: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Bits from the first month asked for, and which lines cannot be said in columns."""
    third, ahead = pl.col("third_party") == 1, asked.since - pl.col("first_month")
    capped_over_life = (pl.col("cap") == 1) | (pl.col("cap") == 3)

    def chosen(what: str) -> pl.Expr:
        return pl.when(third).then(pl.col(f"o_{what}")).otherwise(pl.col(f"s_{what}"))

    whole = pl.when(chosen("counted") == 1).then(chosen("whole")).otherwise(pl.lit(0, dtype=_I64))
    before = (
        _power(
            pl.min_horizontal(
                ahead.clip(lower_bound=0), (pl.col("fallback_month") - pl.col("first_month")).clip(lower_bound=0)
            ).clip(0, 62)
        )
        - 1
    )
    largest = pl.max_horizontal("s_top", "o_top", "stated", pl.lit(1, dtype=_I64))
    price, parts = pl.col("rate2_up").cast(pl.Float64), pl.col("bought_up").cast(pl.Float64)
    lines = lines.with_columns(
        (
            pl.col("s_odd") | pl.col("o_odd") | (largest > 4_000_000_000_000)
            | (price * largest + parts > 9e18) | ((price * largest / parts + 1.0) * 1e6 > 9e18)
            | ((pl.col("window_days") > 0) & (pl.max_horizontal("s_end", "o_end") > pl.col("first_month") + pl.col("months")))
            | (
                (ahead > 0) & (pl.col("fallback_month") > pl.col("first_month")) & capped_over_life
                & (chosen("told") & chosen("final") & before != before)
            )
        ).alias("odd"),
        (-ahead).alias("begins"),
        (pl.col("months") - ahead).alias("ends"),
        (pl.col("month_now") - asked.since).alias("open_from"),
        (pl.col("fallback_month") - asked.since).alias("fallback_until"),
        pl.lit(asked.until - asked.since + 1, dtype=_I64).alias("asked"),
        # A cap over the whole line waits for every month before.
        pl.when(capped_over_life)
        .then(whole.bitwise_trailing_ones().cast(_I64) + 1 - ahead)
        .otherwise(pl.lit(_NEVER, dtype=_I64))
        .alias("gap_from"),
        *(_moved(bits, ahead).alias(name) for name, bits in (
            ("both_final", pl.col("s_final") & pl.col("o_final")), ("chosen_final", chosen("final")), ("live", pl.col("live")),
        )),
    )  # fmt: skip
    return lines.with_columns(_moved(pl.col(f"{side}_told"), ahead).alias(f"{side}_told") for side in "so")

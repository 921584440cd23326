"""The billing rules over a shard's lines in columns of integers, all months at once: every line-month, then sums by line.

The same rules in the same order as `hub.store.reconciliation_statement` states them in SQL and `hub.billing.rules` for one
line-month; tests compare all three. Arrays are of months × lines, 64-bit integers, and wrap silently where a line's figures
leave them: `hub.billing.reconciling.lines` marks such lines as odd, and what is calculated of them here is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hub.billing.reconciling.lines import Lines, Side
from hub.billing.reconciling.totals import Bools, Ints
from hub.store.reconciliation import CODES, ODD, TOLERANCES, digest_keys

_NOTHING = 2**62
"""A cap that cuts nothing."""

_OPEN, _NO_REPORT, _NOT_FINAL, _SILENT, _VARIANCE, _EARLIER = (
    CODES.index(code) for code in ("PERIOD-OPEN", "NO-REPORT", "NOT-FINAL", "NO-DELIVERY", "VARIANCE", "EARLIER-OPEN")
)
_WITHIN, _OVER_LIFE, _OUTSIDE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was found: one row per line, the exceptions, both as they are kept, and lines that only the library calculates."""

    lines: pl.DataFrame
    exceptions: pl.DataFrame
    odd: list[str]

    def line_rows(self, run: int) -> bytes:
        """As CSV, the run before each row."""
        return _csv(self.lines, run)

    def exception_rows(self, run: int) -> bytes:
        """As CSV, the run before each row."""
        return _csv(self.exceptions, run)


def _csv(frame: pl.DataFrame, run: int) -> bytes:
    if frame.is_empty():
        return b""
    numbered = frame.select(pl.lit(run, dtype=pl.Int64).alias("run"), pl.all())
    return numbered.write_csv(include_header=False, quote_style="necessary").encode()


@dataclass(frozen=True, slots=True)
class _Counts:
    """One side's counts: each month's own, the line's up to it, whether reports tell of it."""

    own: Ints
    life: Ints
    told: Bools


def _lesser(one: Ints, other: Ints) -> Ints:
    return np.minimum(one, other)


class _Months:
    """The months of lines. Bits and places of months count from the first month asked for."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._terms = lines, lines.terms
        self._places = np.arange(lines.asked, dtype=np.int64)[:, None]
        self._third = lines.terms["third_party"] == 1
        cap, base = lines.terms["cap"], lines.terms["variance_base"]
        self._by_goals = (cap == 2) | (cap == 3)
        self._by_cycle = cap == 2
        self._of_seller, self._of_other = base == 0, base == 1
        self._total = np.where(cap == 1, lines.terms["total"], _NOTHING)
        self.active = (lines.begins <= self._places) & (lines.ends > self._places)
        self.seller, self.other = self._counts(lines.seller), self._counts(lines.other)
        self.chosen = _Counts(
            np.where(self._third, self.other.own, self.seller.own),
            np.where(self._third, self.other.life, self.seller.life),
            np.where(self._third, self.other.told, self.seller.told),
        )

    def _bits(self, bits: Ints) -> Bools:
        found: Bools = (bits >> self._places & 1) == 1
        return found

    def _counts(self, side: Side) -> _Counts:
        return _Counts(side.totals[1:] - side.totals[:-1], side.totals[1:] - side.base, self._bits(side.told))

    def tolerance(self) -> Ints:
        """How the two counts compare, by number."""
        compared = self.seller.told & self.other.told & self._bits(self._lines.both_final)
        over_life = np.where(self._within(self.seller.life, self.other.life), _OVER_LIFE, _OUTSIDE)
        found = np.where(self._within(self.seller.own, self.other.own), _WITHIN, over_life)
        return np.where(compared, found, 0)

    def _within(self, ours: Ints, theirs: Ints) -> Bools:
        larger = np.maximum(ours, theirs)
        base = np.where(self._of_seller, ours, np.where(self._of_other, theirs, larger))
        within: Bools = (larger - _lesser(ours, theirs)) * 1_000_000 <= base * self._terms["tolerance_ppm"]
        return within

    def entitled(self) -> Ints:
        """What the cap leaves of each month's count."""
        goal, before = self._lines.goals[1:], self._lines.goals[:-1]
        upper = np.where(self._by_cycle, goal - before, np.where(self._by_goals, goal, self._total))
        lower = np.where(self._by_cycle, 0, np.where(self._by_goals, before, self._total))
        life = np.where(self._by_cycle, self.chosen.own, self.chosen.life)
        return _lesser(life, upper) - _lesser(life - self.chosen.own, lower)

    def status(self, tolerance: Ints) -> Ints:
        """What blocks each month, by number; what comes first here comes before what comes later."""
        lines, chosen, places = self._lines, self.chosen, self._places
        falls_back = lines.fallback_until > places
        silent = (chosen.own == 0) & ((self.seller.own == 0) | ~self.seller.told) & self._bits(lines.live)
        blocks = (
            ((self.seller.own < 0) | (self.other.own < 0), ODD),
            # The life that is compared has a hole where a month before is not final; sums up to a month cannot say that.
            ((tolerance >= _OVER_LIFE) & (lines.not_final_from <= places), ODD),
            (lines.open_from <= places, _OPEN),
            (~chosen.told & falls_back, ODD),
            (~chosen.told, _NO_REPORT),
            (~self._bits(lines.chosen_final) & falls_back, ODD),
            (~self._bits(lines.chosen_final), _NOT_FINAL),
            (silent, _SILENT),
            (tolerance == _OUTSIDE, _VARIANCE),
            (lines.gap_from <= places, _EARLIER),
        )
        found = np.zeros(self.active.shape, dtype=np.int64)
        for block, number in reversed(blocks):
            np.copyto(found, number, where=block)
        return found

    def priced(self, quantity: Ints) -> tuple[Ints, Ints]:
        """Gross and commission in micros; the gross is rounded half up to minor units, once."""
        of = self._terms
        gross = (of["rate2_up"] * quantity + of["bought_up"]) // of["bought2_up"]
        commission = (gross * (2 * of["commission_ppm"]) + 1_000_000) // 2_000_000
        (net,) = np.nonzero((of["net_rate"] == 1) & (of["commission_ppm"] > 0))
        if net.size:
            rate2, bought, bought2 = (of[name][net] for name in ("rate2", "bought", "bought2"))
            commission[:, net] = gross[:, net] - (rate2 * quantity[:, net] + bought) // bought2
        return gross * of["minor"], commission * of["minor"]


def evaluate(lines: Lines, since: int, until: int) -> Evaluated:
    """Every month from `since` to `until` (since year 0, both included)."""
    months = _Months(lines)
    active = months.active
    tolerance = months.tolerance()
    status = months.status(tolerance)
    billable = active & (status == 0)
    quantity = np.where(billable, months.entitled(), 0)
    gross, commission = months.priced(quantity)
    cut = active & (quantity < months.chosen.own)
    capped = np.where(cut & billable, months.chosen.own - quantity, 0)
    told = active & ((status != 0) | (tolerance == _OVER_LIFE) | cut)
    odd = lines.odd | (active & (status == ODD)).any(axis=0)
    keys = np.array([digest_keys(month) for month in range(since, until + 1)], dtype=np.int64)[:, :, None]
    rest = np.where(active, quantity * 32 + status + 1, 0)
    digest = (gross * keys[:, 0] + commission * keys[:, 1] + rest * keys[:, 2]).sum(axis=0)
    length = np.minimum(lines.ends, lines.asked) - np.maximum(lines.begins, 0)
    whole = lines.texts.with_columns(
        pl.Series("line_months", length),
        pl.Series("billable_months", billable.sum(axis=0)),
        pl.Series("exceptions", told.sum(axis=0)),
        pl.lit("").alias("by_library"),
        pl.Series("seller_units", np.where(active, months.seller.own, 0).sum(axis=0)),
        pl.Series("other_units", np.where(active, months.other.own, 0).sum(axis=0)),
        *(
            pl.Series(name, figures.sum(axis=0))
            for name, figures in (
                ("billable_units", quantity),
                ("capped_units", capped),
                ("gross", gross),
                ("commission", commission),
            )
        ),
        pl.Series("digest", digest),
    )
    place, line = np.nonzero(told & ~odd)
    counts = (("seller", months.seller), ("other", months.other), ("chosen", months.chosen))
    figures = (("quantity", quantity), ("capped", capped), ("gross", gross), ("commission", commission))
    exceptions = pl.DataFrame(
        {
            "line_id": lines.texts["line_id"].gather(line),
            "month": place + since,
            "code": status[place, line],
            "tolerance": tolerance[place, line],
            **{name: one.own[place, line] for name, one in counts},
            **{f"{name}_told": one.told[place, line] for name, one in counts},
            **{name: one[place, line] for name, one in figures},
        }
    )
    exceptions = exceptions.sort("line_id", "month").select(
        "line_id",
        pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1).alias("period_start"),
        pl.lit(pl.Series(CODES)).gather(pl.col("code")).alias("code"),
        pl.lit(pl.Series(TOLERANCES)).gather(pl.col("tolerance")).alias("tolerance"),
        *(pl.when(f"{name}_told").then(name).alias(name) for name, _ in counts),
        *(name for name, _ in figures),
    )
    kept = pl.Series(~odd)
    return Evaluated(whole.filter(kept).sort("line_id"), exceptions, lines.texts["line_id"].filter(~kept).to_list())

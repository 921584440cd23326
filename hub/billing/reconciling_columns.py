"""The billing rules over a shard's lines in columns of integers, one month after the other: every line-month, then sums by line.

The same rules in the same order as `hub.store.reconciliation` states them in SQL and `hub.billing.rules` for one line-month;
tests compare all three. Columns are 64-bit integers and wrap silently where a line's figures leave them:
`hub.billing.reconciling_frames` marks such lines as odd, and what is calculated of them here is thrown away. Every literal is
64 bits wide, too: 32-bit ones made 801,132 of 2.4 million rows of a prototype wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from hub.store.reconciliation import CODES, ODD, TOLERANCES, digest_keys

_I64 = pl.Int64
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
    numbered = frame.select(pl.lit(run, dtype=_I64).alias("run"), pl.all())
    return numbered.write_csv(include_header=False, quote_style="necessary").encode()


@dataclass(frozen=True, slots=True)
class _Counts:
    """One side's counts of one month: the month's own, the line's up to it, whether reports tell of it."""

    own: pl.Series
    life: pl.Series
    told: pl.Series


@dataclass(slots=True)
class _Sums:
    """What adds up over a line's months."""

    billable_months: pl.Series
    exceptions: pl.Series
    seller: pl.Series
    other: pl.Series
    units: pl.Series
    capped: pl.Series
    gross: pl.Series
    commission: pl.Series
    digest: pl.Series


def _either(mask: pl.Series, yes: pl.Series, no: pl.Series) -> pl.Series:
    return yes.zip_with(mask, no)


def _lesser(one: pl.Series, other: pl.Series) -> pl.Series:
    return one.zip_with(one < other, other)


class _Months:
    """The months of lines, asked one after the other. Bits and places of months count from the first month asked for."""

    def __init__(self, lines: pl.DataFrame) -> None:
        self._lines = lines
        self._third = lines["third_party"] == 1
        self._zero = pl.repeat(0, lines.height, dtype=_I64, eager=True)
        cap, base = lines["cap"], lines["variance_base"]
        self._by_goals = (cap == 2) | (cap == 3)
        self._by_cycle = cap == 2
        self._capped = cap != 0
        self._no_cap = self._zero + _NOTHING
        self._of_seller, self._of_other = base == 0, base == 1
        self._net = (lines["net_rate"] == 1) & (lines["commission_ppm"] > 0)
        self._some_net = bool(self._net.any())
        self._total = _either(cap == 1, lines["total"], self._no_cap)

    def _column(self, name: str) -> pl.Series:
        return self._lines[name]

    def _bit(self, name: str, place: int) -> pl.Series:
        return (self._lines[name] & (1 << place)) != 0

    def counts(self, side: str, place: int) -> _Counts:
        """One side's counts of a month."""
        total = self._column(f"{side}_{place + 1}")
        return _Counts(
            total - self._column(f"{side}_{place}"),
            total - self._column(f"{side}_base"),
            self._bit(f"{side}_told", place),
        )

    def active(self, place: int) -> pl.Series:
        """Whether the line has that month."""
        return (self._column("begins") <= place) & (self._column("ends") > place)

    def tolerance(self, seller: _Counts, other: _Counts, place: int) -> pl.Series:
        """How the two counts compare, by number."""
        compared = seller.told & other.told & self._bit("both_final", place)
        found = _either(self._within(seller.life, other.life), self._zero + _OVER_LIFE, self._zero + _OUTSIDE)
        found = _either(self._within(seller.own, other.own), self._zero + _WITHIN, found)
        return _either(compared, found, self._zero)

    def _within(self, ours: pl.Series, theirs: pl.Series) -> pl.Series:
        larger = _either(ours > theirs, ours, theirs)
        base = _either(self._of_seller, ours, _either(self._of_other, theirs, larger))
        return (larger - _lesser(ours, theirs)) * 1_000_000 <= base * self._column("tolerance_ppm")

    def chosen(self, seller: _Counts, other: _Counts) -> _Counts:
        """The side that the terms bill by."""
        return _Counts(
            _either(self._third, other.own, seller.own),
            _either(self._third, other.life, seller.life),
            _either(self._third, other.told, seller.told),
        )

    def entitled(self, chosen: _Counts, place: int) -> pl.Series:
        """What the cap leaves of the month's count."""
        goal, before = self._column(f"goal_{place + 1}"), self._column(f"goal_{place}")
        upper = _either(self._by_cycle, goal - before, _either(self._by_goals, goal, self._total))
        lower = _either(self._by_cycle, self._zero, _either(self._by_goals, before, self._total))
        life = _either(self._by_cycle, chosen.own, chosen.life)
        return _lesser(life, upper) - _lesser(life - chosen.own, lower)

    def status(self, seller: _Counts, other: _Counts, chosen: _Counts, tolerance: pl.Series, place: int) -> pl.Series:
        """What blocks the month, by number; later ones come before earlier ones."""
        number = self._zero
        found = _either(self._column("gap_from") <= place, number + _EARLIER, number)
        found = _either(tolerance == _OUTSIDE, number + _VARIANCE, found)
        silent = (chosen.own == 0) & ((seller.own == 0) | ~seller.told) & self._bit("live", place)
        found = _either(silent, number + _SILENT, found)
        falls_back = self._column("fallback_until") > place
        final = self._bit("chosen_final", place)
        found = _either(final, found, _either(falls_back, number + ODD, number + _NOT_FINAL))
        found = _either(chosen.told, found, _either(falls_back, number + ODD, number + _NO_REPORT))
        found = _either(self._column("open_from") <= place, number + _OPEN, found)
        return _either((seller.own < 0) | (other.own < 0), number + ODD, found)

    def priced(self, quantity: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Gross in minor units, rounded half up once, and commission in micros."""
        column = self._column
        gross = (column("rate2_up") * quantity + column("bought_up")) // column("bought2_up")
        commission = (gross * 2 * column("commission_ppm") + 1_000_000) // 2_000_000
        if self._some_net:
            plain = (column("rate2") * quantity + column("bought")) // column("bought2")
            commission = _either(self._net, gross - plain, commission)
        return gross, commission * column("minor")


def evaluate(lines: pl.DataFrame, since: int, until: int) -> Evaluated:
    """Every month from `since` to `until` (since year 0, both included) of lines as `lines_of` gives them."""
    if lines.is_empty():
        return Evaluated(lines, lines, [])
    months, zero = _Months(lines), pl.repeat(0, lines.height, dtype=_I64, eager=True)
    sums = _Sums(*[zero] * 9)
    odd = lines["odd"]
    found: list[pl.DataFrame] = []
    for place in range(until - since + 1):
        active = months.active(place)
        seller, other = months.counts("s", place), months.counts("o", place)
        tolerance = months.tolerance(seller, other, place)
        chosen = months.chosen(seller, other)
        status = months.status(seller, other, chosen, tolerance, place)
        billable = active & (status == 0)
        quantity = _either(billable, months.entitled(chosen, place), zero)
        gross, commission = months.priced(quantity)
        gross = gross * lines["minor"]
        cut = active & (quantity < chosen.own)
        capped = _either(cut & billable, chosen.own - quantity, zero)
        told = active & ((status != 0) | (tolerance == _OVER_LIFE) | cut)
        odd = odd | (active & (status == ODD))
        sums.billable_months = sums.billable_months + billable
        sums.exceptions = sums.exceptions + told
        sums.seller = sums.seller + _either(active, seller.own, zero)
        sums.other = sums.other + _either(active, other.own, zero)
        sums.units = sums.units + quantity
        sums.capped = sums.capped + capped
        sums.gross = sums.gross + gross
        sums.commission = sums.commission + commission
        sums.digest = sums.digest + _digest(
            gross, commission, _either(active, quantity * 32 + status + 1, zero), since + place
        )
        if told.any():
            columns = (status, tolerance, seller.own, other.own, chosen.own, quantity, capped, gross, commission)
            found.append(_told(lines, told, (seller, other, chosen), columns, since + place))
    return _evaluated(lines, sums, odd, found)


def _digest(gross: pl.Series, commission: pl.Series, rest: pl.Series, month: int) -> pl.Series:
    keys = digest_keys(month)
    return gross * keys[0] + commission * keys[1] + rest * keys[2]


def _told(
    lines: pl.DataFrame,
    told: pl.Series,
    counts: tuple[_Counts, _Counts, _Counts],
    columns: Sequence[pl.Series],
    month: int,
) -> pl.DataFrame:
    """The exceptions of one month, by the places of their lines."""
    places = told.arg_true()
    names = ("code", "tolerance", "seller", "other", "chosen", "quantity", "capped", "gross", "commission")
    frame = pl.DataFrame({name: column.gather(places) for name, column in zip(names, columns, strict=True)})
    known = {name: one.told.gather(places) for name, one in zip(names[2:5], counts, strict=True)}
    return frame.with_columns(
        places.alias("place"),
        lines["line_id"].gather(places).alias("line_id"),
        pl.lit(month, dtype=_I64).alias("month"),
        *(pl.when(pl.lit(mask)).then(pl.col(name)).alias(name) for name, mask in known.items()),
    )


def _evaluated(lines: pl.DataFrame, sums: _Sums, odd: pl.Series, found: list[pl.DataFrame]) -> Evaluated:
    begins, ends = lines["begins"], lines["ends"]
    length = pl.repeat(lines["asked"][0], lines.height, dtype=_I64, eager=True)
    whole = (
        pl.DataFrame(
            {
                "line_id": lines["line_id"],
                "order_id": lines["order_id"],
                "currency": lines["currency"],
                "line_months": _lesser(ends, length) - begins.clip(lower_bound=0),
                "billable_months": sums.billable_months,
                "exceptions": sums.exceptions,
                "by_library": pl.repeat("", lines.height, eager=True),
                "seller_units": sums.seller,
                "other_units": sums.other,
                "billable_units": sums.units,
                "capped_units": sums.capped,
                "gross": sums.gross,
                "commission": sums.commission,
                "digest": sums.digest,
            }
        )
        .filter(~odd)
        .sort("line_id")
    )
    if not found:
        return Evaluated(whole, pl.DataFrame(), lines["line_id"].filter(odd).to_list())
    words = pl.Series(CODES), pl.Series(TOLERANCES)
    told = pl.concat(found).filter(~odd.gather(pl.concat(found)["place"]))
    told = told.sort("line_id", "month").select(
        "line_id",
        pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1).alias("period_start"),
        pl.lit(words[0]).gather(pl.col("code")).alias("code"),
        pl.lit(words[1]).gather(pl.col("tolerance")).alias("tolerance"),
        *("seller", "other", "chosen", "quantity", "capped", "gross", "commission"),
    )
    return Evaluated(whole, told, lines["line_id"].filter(odd).to_list())

"""One side of bench/reconciliation.py in a process of its own, so that its memory can be told; prints one JSON object.

`hub URL`: a run of the product over the year. `decimal URL`: the plain loop, line-month by line-month in Decimal, from plain
rows in the same PostgreSQL and every result back by COPY. Seconds are from the first statement to the last commit.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from pathlib import Path
from typing import Any

import psycopg

from bench.reconciliation_book import FIRST, NOW, UNTIL

PLACES = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
_READ = (
    "SELECT l.n, l.currency, l.method, l.rate, l.net_rate, l.commission_ppm, l.third_party, l.cap, l.tolerance_ppm, "
    "l.variance_base, c.m, c.seller, c.other, c.goal, l.total FROM plain_month c JOIN plain_line l USING (n) ORDER BY c.n, c.m"
)
_RESULT = (
    "CREATE TABLE plain_result (n bigint, m int, code int, tolerance int, seller bigint, other bigint, chosen bigint, "
    "quantity bigint, capped bigint, gross bigint, commission bigint)"
)
BILLABLE, NO_DELIVERY, VARIANCE = 0, 3, 4
WITHIN, OVER_LIFE, OUTSIDE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class _Moment:
    at: datetime

    def now(self) -> datetime:
        """Business time of the book."""
        return self.at


def hub(url: str) -> dict[str, object]:
    """The product's own verb; Python's modules are loaded before, as those of the loop are."""
    from hub.billing.preparing import month
    from hub.billing.reconciling.run import reconcile, way_of
    from hub.clock import SystemClock
    from hub.config import Configuration, HubSettings, StoreSettings
    from hub.session import Session
    from hub.store.database import Database

    configuration = Configuration(Path("bench.yaml"), HubSettings(store=StoreSettings(url=url)), {}, {})
    session = Session(configuration, Database(url), SystemClock(), _Moment(NOW))
    since, until = f"{FIRST:%Y-%m}", f"{UNTIL:%Y-%m}"
    way_of(month(since), month(until))
    begin = time.perf_counter()
    found = reconcile(session, since, until, "Bench")
    seconds = time.perf_counter() - begin
    session.close()
    return {
        "seconds": seconds,
        "run": found.run.run,
        "line_months": found.run.line_months,
        "by_library": found.run.by_library,
        "exceptions": found.run.exceptions,
        "read_anew": found.contracts + found.counts,
    }


def plain(url: str) -> dict[str, object]:
    """The rules once more, as a reader of the domain study would write them down in Decimal."""
    with psycopg.connect(url) as setup:
        setup.execute("DROP TABLE IF EXISTS plain_result")
        setup.execute(_RESULT)
    rows = 0
    begin = time.perf_counter()
    with localcontext(Context(prec=60)), psycopg.connect(url) as reader, psycopg.connect(url) as writer:
        cursor = reader.cursor(name="line_months")
        cursor.itersize = 20_000
        cursor.execute(_READ)
        with writer.cursor() as out, out.copy("COPY plain_result FROM STDIN") as copy:
            for result in _results(cursor):
                copy.write_row(result)
                rows += 1
    return {"seconds": time.perf_counter() - begin, "line_months": rows}


def _results(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[object, ...]]:
    million, one = Decimal(1_000_000), Decimal(1)
    for row in rows:
        (
            n,
            currency,
            method,
            rate,
            net_rate,
            ppm,
            third_party,
            cap,
            tolerance_ppm,
            base,
            month,
            seller,
            other,
            goal,
            total,
        ) = row
        if month == 0:
            taken = counted = goals = seller_life = other_life = Decimal(0)
            allowed, rest = Decimal(tolerance_ppm) / million, one - Decimal(ppm) / million
            price = Decimal(rate) / million / (1_000 if method in ("CPM", "VCPM") else 1)
            minor = one.scaleb(-PLACES[currency])
        ours, theirs = Decimal(seller), Decimal(other)
        chosen = theirs if third_party else ours
        seller_life, other_life = seller_life + ours, other_life + theirs
        counted, goals = counted + chosen, goals + goal
        tolerance = OUTSIDE
        if abs(ours - theirs) <= allowed * _base(base, ours, theirs):
            tolerance = WITHIN
        elif abs(seller_life - other_life) <= allowed * _base(base, seller_life, other_life):
            tolerance = OVER_LIFE
        # A blocked month keeps what it is entitled to under the cap.
        if cap == "no_cap":
            entitled = chosen
        elif cap == "capped_per_billing_cycle":
            entitled = min(chosen, Decimal(goal))
        elif cap == "capped_cumulative":
            entitled = max(Decimal(0), min(chosen, total - taken))
        else:
            entitled = max(Decimal(0), min(counted, goals) - taken)
        taken += entitled
        code = NO_DELIVERY if not chosen and not ours else VARIANCE if tolerance == OUTSIDE else BILLABLE
        if code != BILLABLE:
            yield n, month, code, tolerance, seller, other, int(chosen), 0, 0, 0, 0
            continue
        exact = price * entitled
        plain_amount = exact.quantize(minor, ROUND_HALF_UP)
        if net_rate and ppm:
            gross = (exact / rest).quantize(minor, ROUND_HALF_UP)
            commission = gross - plain_amount
        else:
            gross, commission = plain_amount, (plain_amount * (one - rest)).quantize(minor, ROUND_HALF_UP)
        micros = int(gross * million), int(commission * million)
        units = int(chosen), int(entitled), max(0, int(chosen - entitled))
        yield n, month, code, tolerance, seller, other, *units, *micros


def _base(base: str, ours: Decimal, theirs: Decimal) -> Decimal:
    return ours if base == "publisher" else theirs if base == "buyer" else max(ours, theirs)


def largest_mb() -> float:
    """Most resident memory of this process. What wait4 tells of a child begins with its parent's size."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024, 1)


if __name__ == "__main__":
    said = {"hub": hub, "decimal": plain}[sys.argv[1]](sys.argv[2])
    print(json.dumps({**said, "mb": largest_mb()}))

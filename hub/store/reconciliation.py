"""Runs of reconciliation and what they keep of a book's line-months.

Kept are one row per line and the exceptions: what is blocked, agrees over the line's life only, or was cut by a cap. The other
months are implied: a digest over all of a line's months stands in its row, and one over all lines in the run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from functools import cache
from hashlib import blake2b
from struct import unpack

from hub.store.audit import note
from hub.store.billing_contracts import Shard
from hub.store.database import Cursor

CODES = (
    *("", "NO-REPORT", "NOT-FINAL", "NO-DELIVERY", "VARIANCE", "EARLIER-OPEN", "PERIOD-OPEN"),
    *("TERMS-SCHEDULE", "TERMS-COMMISSION", "FLIGHT-OPEN", "FLIGHT-OUTSIDE", "CONTRACT-UNKNOWN", "AMOUNT-TOO-LARGE"),
    *("SETTLEMENT-OUTSIDE", "OVERRIDE-ABOVE-CAP", "OVERRIDE-NOT-COUNTED", "CONTRACT-CONTRADICTS", "CANCELLED"),
)
"""What blocks a line-month, by its number; the first is billable. The first seven are what the statement tells."""

TOLERANCES = ("not compared", "within", "within over life", "outside")
"""How two counts compare, by number."""

NO_END = "the flight has no end"
SEVERAL_SOURCES = "several sources of one side"
PEOPLE = "people entered something"
NO_FACTS = "a source that knows it has no facts of it"
IN_STATEMENT = "delivery at the edges of the flight, a fallback, or figures too large for 64 bits"


ODD = 31
"""A month that only the library can calculate: its line is set apart."""

_LOCK = 7_042_029
"""The advisory lock of whoever reconciles: any number that no other advisory lock of the hub has."""


@dataclass(frozen=True, slots=True)
class LibraryMonth:
    """One line-month as the library calculated it. Codes and tolerances by their numbers, amounts in micros."""

    line_id: str
    order_id: str
    currency: str
    why: str
    month: int
    code: int
    tolerance: int
    seller: int | None
    other: int | None
    chosen: int | None
    quantity: int
    capped: int
    gross: int
    commission: int


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run. `by_library` are line-months that went through the library; `digest` is 64 bits, in hexadecimal."""

    run: int
    since: date
    until: date
    as_of: datetime
    rules: str
    started_by: str
    started_at: datetime
    finished_at: datetime
    lines: int
    line_months: int
    by_library: int
    exceptions: int
    digest: str


@cache
def digest_keys(month: int) -> tuple[int, int, int]:
    """What gross, commission and the rest of a line-month are multiplied by in its line's digest: odd numbers of 64 bits, signed.

    A line's digest is the sum over its months, modulo 2^64, of gross, commission and 32 × quantity + code + 1, each times the
    month's own number, so that figures which changed places are found, too.
    """
    found = unpack("<3q", blake2b(f"reconciled month {month}".encode(), digest_size=24).digest())
    first, second, third = (number | 1 for number in found)
    return first, second, third


def digest_keys_between(since: int, until: int) -> list[int]:
    """Those of every month, both included, one after the other."""
    return [key for month in range(since, until + 1) for key in digest_keys(month)]


# ---------------------------------------------------------------- a run and its workers
def alone(cur: Cursor) -> bool:
    """Whether nobody else reconciles; held until `let_go`, or until the connection is closed."""
    cur.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
    row = cur.fetchone()
    return row is not None and bool(row[0])


def let_go(cur: Cursor) -> None:
    """Let others reconcile."""
    cur.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def begin(cur: Cursor, since: date, until: date, as_of: datetime, rules: str, by: str, now: datetime) -> int:
    """A new run; what an unfinished one left behind is dropped."""
    for table in ("reconciliation_line", "reconciliation_exception"):
        cur.execute(f"DELETE FROM {table} WHERE run IN (SELECT run FROM reconciliation_run WHERE finished_at IS NULL)")
    cur.execute("DELETE FROM reconciliation_run WHERE finished_at IS NULL")
    cur.execute(
        "INSERT INTO reconciliation_run (since, until, as_of, rules, started_by, started_at) VALUES (%s, %s, %s, %s, %s, %s) "
        "RETURNING run",
        (since, until, as_of, rules, by, now),
    )
    row = cur.fetchone()
    assert row is not None
    return int(row[0])


def share_snapshot(cur: Cursor) -> str:
    """Let other sessions see the store as this transaction does, as long as it lasts."""
    cur.execute("SELECT pg_export_snapshot()")
    row = cur.fetchone()
    assert row is not None
    return str(row[0])


def repeatable(cur: Cursor) -> None:
    """See the store as it is now until the transaction ends; its first statement."""
    cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def see(cur: Cursor, snapshot: str) -> None:
    """See the store as another session does; the first statement of the transaction."""
    cur.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'")


def prepare(cur: Cursor) -> None:
    """How a worker's statements are planned and its transaction ends: nobody waits for the disk once for each range of lines.

    `finish` waits for all of them: the log is one, and what an unfinished run left is dropped (`begin`).
    """
    # Compiling statements to machine code would take longer than they run; rows with arrays are wide, and sorting them for a
    # merge costs more than all the rest. One text: five errands would be five times there and back.
    cur.execute(
        "SET LOCAL jit = off; SET LOCAL work_mem = '128MB'; SET LOCAL enable_mergejoin = off; "
        "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL synchronous_commit = off"
    )


# ---------------------------------------------------------------- what is kept
# The same number modulo 2^64 as columns of 64 bits come to when they overflow; see `digest_keys`.
DIGEST = (
    "(mod(mod(sum({gross}::numeric * (%(keys)s::bigint[])[3 * ({month} - %(since)s) + 1] "
    "+ commission::numeric * (%(keys)s::bigint[])[3 * ({month} - %(since)s) + 2] "
    "+ (quantity * 32 + {code} + 1)::numeric * (%(keys)s::bigint[])[3 * ({month} - %(since)s) + 3]) "
    "+ 9223372036854775808, 18446744073709551616) + 18446744073709551616, 18446744073709551616) - 9223372036854775808)::bigint"
)

CODE = "(ARRAY[" + ", ".join(f"'{code}'" for code in CODES) + "])[{0} + 1]"
TOLERANCE = "(ARRAY[" + ", ".join(f"'{word}'" for word in TOLERANCES) + "])[{0} + 1]"
LINE_COLUMNS = (
    "run, line_id, order_id, currency, line_months, billable_months, exceptions, by_library, seller_units, other_units, "
    "billable_units, capped_units, gross, commission, digest"
)
EXCEPTION_COLUMNS = (
    "run, line_id, period_start, code, tolerance, seller_units, other_units, chosen_units, billable_units, capped_units, "
    "gross, commission"
)


def keep(cur: Cursor, run: int, months: Iterable[LibraryMonth]) -> None:
    """What the library calculated, kept in the same form."""
    cur.execute("DROP TABLE IF EXISTS pg_temp.library_month")
    cur.execute(
        "CREATE TEMP TABLE library_month (line_id text, order_id text, currency text, why text, month int, code int, tolerance int, "
        "seller bigint, other bigint, chosen bigint, quantity bigint, capped bigint, gross bigint, commission bigint) ON COMMIT DROP"
    )
    with cur.copy("COPY library_month FROM STDIN") as copy:
        for one in months:
            copy.write_row(astuple(one))
    cur.execute("SELECT coalesce(min(month), 0), coalesce(max(month), 0) FROM library_month")
    row = cur.fetchone()
    assert row is not None
    since, until = row
    exception = "(code <> 0 OR tolerance = 2 OR capped > 0)"
    cur.execute(
        f"INSERT INTO reconciliation_line ({LINE_COLUMNS}) SELECT %(run)s, line_id, max(order_id), max(currency), count(*), "
        f"count(*) FILTER (WHERE code = 0), count(*) FILTER (WHERE {exception}), max(why), coalesce(sum(seller), 0), "
        "coalesce(sum(other), 0), sum(quantity), sum(capped), sum(gross), sum(commission), "
        f"{DIGEST.format(gross='gross', code='code', month='month')} FROM library_month GROUP BY line_id",
        {"run": run, "since": since, "keys": digest_keys_between(since, until)},
    )
    cur.execute(
        f"INSERT INTO reconciliation_exception ({EXCEPTION_COLUMNS}) SELECT %s, line_id, make_date(month / 12, month %% 12 + 1, 1), "
        f"{CODE.format('code')}, {TOLERANCE.format('tolerance')}, seller, other, chosen, quantity, capped, gross, commission "
        f"FROM library_month WHERE {exception}",
        (run,),
    )


@dataclass(frozen=True, slots=True)
class Totals:
    """What stands in the rows of some lines of a run, all read back from the store.

    `digest` is 64 bits over the lines, signed: those of all shards together (exclusive or) do not depend on where they end.
    `codes` counts exceptions, the empty code being billable ones; `amounts` are (gross, commission) in micros by currency.
    """

    lines: int
    line_months: int
    by_library: int
    exceptions: int
    digest: int
    codes: Mapping[str, int]
    amounts: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, shards: Sequence[Totals]) -> Totals:
        """Of all shards together."""
        codes: dict[str, int] = {}
        amounts: dict[str, tuple[int, int]] = {}
        digest = 0
        for one in shards:
            digest ^= one.digest
            for code, number in one.codes.items():
                codes[code] = codes.get(code, 0) + number
            for currency, (gross, commission) in one.amounts.items():
                known = amounts.get(currency, (0, 0))
                amounts[currency] = known[0] + gross, known[1] + commission
        return cls(
            lines=sum(one.lines for one in shards),
            line_months=sum(one.line_months for one in shards),
            by_library=sum(one.by_library for one in shards),
            exceptions=sum(one.exceptions for one in shards),
            digest=digest,
            codes=dict(sorted(codes.items())),
            amounts=dict(sorted(amounts.items())),
        )


def totals(cur: Cursor, run: int, shard: Shard) -> Totals:
    """What a run kept of a shard's lines."""
    asked = {**shard.named, "run": run}
    of_shard = "run = %(run)s AND line_id >= %(lo)s AND (%(hi)s::text IS NULL OR line_id < %(hi)s)"
    cur.execute(
        "SELECT currency, count(*), sum(line_months), coalesce(sum(line_months) FILTER (WHERE by_library <> ''), 0), sum(exceptions), "
        "bit_xor(hashtextextended(line_id, digest # (line_months::bigint << 32 | exceptions))), "
        f"sum(gross)::bigint, sum(commission)::bigint FROM reconciliation_line WHERE {of_shard} GROUP BY 1",
        asked,
    )
    by_currency = [
        Totals(lines, months, apart, exceptions, digest, {}, {currency: (gross, commission)})
        for currency, lines, months, apart, exceptions, digest, gross, commission in cur.fetchall()
    ]
    cur.execute(f"SELECT code, count(*) FROM reconciliation_exception WHERE {of_shard} GROUP BY 1", asked)
    return Totals.of([*by_currency, Totals(0, 0, 0, 0, 0, dict(cur.fetchall()), {})])


def finish(cur: Cursor, run: int, found: Totals, now: datetime) -> Run:
    """Write down what all shards kept and let others see the run."""
    digest = f"{found.digest % 2**64:016x}"
    cur.execute(
        "UPDATE reconciliation_run SET finished_at = %s, digest = %s, lines = %s, line_months = %s, by_library = %s, exceptions = %s "
        "WHERE run = %s",
        (now, digest, found.lines, found.line_months, found.by_library, found.exceptions, run),
    )
    note(
        cur,
        f"reconciliation:{run}",
        "line-months reconciled",
        line_months=found.line_months,
        exceptions=found.exceptions,
        digest=digest,
    )
    finished = last(cur)
    assert finished is not None
    return finished


def drop_older(cur: Cursor, keep: int) -> int:
    """Drop lines and exceptions of runs that are not among the newest `keep` of any of their months; returns how many runs.

    Their own rows, with sums and digest, stay.
    """
    cur.execute(
        "SELECT run FROM reconciliation_run r WHERE finished_at IS NOT NULL "
        # OFFSET keeps PostgreSQL from reading the lines of all runs to learn which runs have some.
        "AND EXISTS (SELECT 1 FROM reconciliation_line l WHERE l.run = r.run OFFSET 0) AND NOT EXISTS ("
        "SELECT 1 FROM generate_series(r.since::timestamp, r.until::timestamp, interval '1 month') month WHERE (SELECT count(*) "
        "FROM reconciliation_run newer WHERE newer.finished_at IS NOT NULL AND newer.run > r.run "
        "AND month BETWEEN newer.since AND newer.until) < %s)",
        (keep,),
    )
    runs = [row[0] for row in cur.fetchall()]
    for table in ("reconciliation_line", "reconciliation_exception"):
        cur.execute(f"DELETE FROM {table} WHERE run = ANY(%s)", (runs,))
    for run in runs:
        note(cur, f"reconciliation:{run}", "its lines and exceptions dropped", newest_kept=keep)
    return len(runs)


# ---------------------------------------------------------------- what was found
def last(cur: Cursor) -> Run | None:
    """The newest finished run, None before the first."""
    cur.execute(
        "SELECT run, since, until, as_of, rules, started_by, started_at, finished_at, lines, line_months, by_library, exceptions, "
        "digest FROM reconciliation_run WHERE finished_at IS NOT NULL ORDER BY run DESC LIMIT 1"
    )
    row = cur.fetchone()
    return None if row is None else Run(*row)


def look_again(cur: Cursor) -> None:
    """Have PostgreSQL count anew what it plans by, after many rows changed."""
    cur.execute("ANALYZE billing_contract, delivery_life, reconciliation_input")

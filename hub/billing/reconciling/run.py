"""Reconcile a book: every line-month of a range of periods, what each source counted, what may be billed of it and what may not.

A run calculates as if nothing had been billed before, writes no bill and moves no status. Contracts and counts are brought into
columns first, what changed since the last run and no more; then ranges of lines are calculated, in columns here or by a
statement in PostgreSQL, in several sessions at once and all of them on one and the same state of the store. What the columns
cannot say goes through the billing library in the same run. `hub.store.reconciliation_statement` says what the rules are,
`hub.store.reconciliation` what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any

from hub.billing.preparing import BILLABLE_ORDERS, month, named
from hub.billing.reconciling.contracts import compiled, month_number
from hub.billing.reconciling.coverage import Sources, todays
from hub.billing.reconciling.library import library_months
from hub.billing.review import amount
from hub.billing.rules import CURRENT
from hub.errors import Refused
from hub.session import Session
from hub.store import (
    billing_contracts,
    delivery_life,
    entities,
    reconciliation,
    reconciliation_columns,
    reconciliation_statement,
)
from hub.store.billing_contracts import Shard
from hub.store.database import Cursor, Database
from hub.store.delivery_life import MOST_MONTHS, Touched
from hub.store.reconciliation import IN_STATEMENT, Run, Totals
from hub.store.reconciliation_columns import Asked
from oms_schema.delivery import BillingPeriod
from oms_schema.ids import EntityKind

SESSIONS = 4
MOST_SESSIONS = 32
LINES_AT_ONCE = 12_500
"""Lines that a session takes into memory at a time. With 25,000 four sessions need 440 MB, with these 300, with
6,250 230, but a tenth more time."""
_COMPILED_AT_ONCE = 1_000
_READ_ANEW = 10_000
"""Rows brought up to date from which PostgreSQL is told to look at them again."""


Way = Callable[[Session, Cursor, int, Asked, Sources], dict[str, str]]
"""Reconciles a shard for a run and returns the lines that only the library calculates, each with the reason."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One run. `codes` counts the exceptions by what blocks them, the empty code being billable ones.

    `gross` and `commission` are by currency, in major units. `contracts` and `counts` are rows that had to be brought up to date.
    `way` is where most of it was calculated: in "columns" or by the "statement". `dropped` are older
    runs that lost their lines and exceptions (`keep_reconciliations`).
    """

    run: Run
    codes: Mapping[str, int]
    gross: Mapping[str, Decimal]
    commission: Mapping[str, Decimal]
    contracts: int
    counts: int
    way: str
    dropped: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self.run),
            "by_statement": self.run.line_months - self.run.by_library,
            "codes": dict(self.codes),
            "gross": dict(self.gross),
            "commission": dict(self.commission),
            "contracts_read": self.contracts,
            "counts_read": self.counts,
            "way": self.way,
            "runs_dropped": self.dropped,
        }


@dataclass(frozen=True, slots=True)
class _Task:
    """What every worker is told."""

    snapshot: str
    run: int
    since: BillingPeriod
    until: BillingPeriod
    changed: bool
    touched: Sequence[Touched]
    as_of: datetime
    sources: Sources
    way: Way


@dataclass(frozen=True, slots=True)
class _Moment:
    """A clock that stands: all workers calculate for one instant."""

    at: datetime

    def now(self) -> datetime:
        """That instant."""
        return self.at


@dataclass(frozen=True, slots=True)
class _Done:
    contracts: int
    counts: int
    totals: Totals


def reconcile(session: Session, since: str, until: str, by: str | None, *, sessions: int = SESSIONS) -> Reconciliation:
    """Reconcile the months from `since` to `until` (YYYY-MM), both included. Raises Refused, also while another run works."""
    actor = named(by, "A reconciliation")
    first, last = month(since), month(until)
    if last.start < first.start:
        raise Refused(f"{until} lies before {since}. Nothing was reconciled. Give the earlier month as --since.")
    if not 1 <= sessions <= MOST_SESSIONS:
        raise Refused(f"{sessions} sessions cannot be had. Nothing was reconciled. Ask for 1 to {MOST_SESSIONS}.")
    way = way_of(first, last)
    control = Database(session.database.url)
    try:
        with _alone(control):
            with control.transaction() as cur:
                reconciliation.repeatable(cur)
                snapshot = reconciliation.share_snapshot(cur)
                changes = billing_contracts.touched(cur)
                numbers, touched = delivery_life.touched(cur)
                shards = billing_contracts.bounds(cur, sessions, LINES_AT_ONCE)
                as_of = session.business.now()
                with session.database.transaction() as mine:
                    run = reconciliation.begin(
                        mine, first.start, last.start, as_of, CURRENT.version, actor, session.machine.now()
                    )
                sources = Sources(replace(session, business=_Moment(as_of)), cur)
                task = _Task(snapshot, run, first, last, bool(changes), touched, as_of, sources, way)
                done = _all(session, task, shards, sessions)
            # Before another may begin: it would drop what has not been finished.
            return _finished(session, run, actor, changes, numbers, done, way)
    finally:
        control.close()


@contextmanager
def _alone(control: Database) -> Iterator[None]:
    with control.transaction() as cur:
        if not reconciliation.alone(cur):
            raise Refused(
                "Another reconciliation is at work. Nothing was begun. Whoever asked for this one waits for its end."
            )
    try:
        yield
    finally:
        # Closing the connection would do it, too, but a moment later than the next run may begin.
        with control.transaction() as cur:
            reconciliation.let_go(cur)


def _finished(
    session: Session,
    run: int,
    actor: str,
    changes: Sequence[int],
    numbers: Sequence[int],
    done: Sequence[_Done],
    way: Way,
) -> Reconciliation:
    contracts, counts = sum(one.contracts for one in done), sum(one.counts for one in done)
    totals = Totals.of([one.totals for one in done])
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_contracts.forget(cur, changes)
        delivery_life.forget(cur, numbers)
        if contracts + counts >= _READ_ANEW:
            reconciliation.look_again(cur)
        found = reconciliation.finish(cur, run, totals, session.machine.now())
    with session.database.acting(actor), session.database.transaction() as cur:
        dropped = reconciliation.drop_older(cur, session.configuration.hub.keep_reconciliations)
    return Reconciliation(
        run=found,
        codes=totals.codes,
        gross={currency: amount(gross, currency) for currency, (gross, _) in totals.amounts.items()},
        commission={currency: amount(commission, currency) for currency, (_, commission) in totals.amounts.items()},
        contracts=contracts,
        counts=counts,
        way="columns" if way is in_columns else "statement",
        dropped=dropped,
    )


def _all(session: Session, task: _Task, shards: Sequence[Shard], sessions: int) -> list[_Done]:
    """All ranges of lines, as many at once as there are sessions."""
    free: SimpleQueue[Database] = SimpleQueue()
    opened = [Database(session.database.url) for _ in range(min(sessions, len(shards)))]
    for database in opened:
        free.put(database)

    def one(shard: Shard) -> _Done:
        mine = free.get()
        try:
            return _shard(session, mine, task, shard)
        finally:
            free.put(mine)

    try:
        with ThreadPoolExecutor(max_workers=max(1, len(opened))) as pool:
            return list(pool.map(one, shards))
    finally:
        for database in opened:
            database.close()


def _shard(asked: Session, database: Database, task: _Task, shard: Shard) -> _Done:
    """One range of lines in a transaction of its own; all or nothing."""
    session = replace(asked, database=database, business=_Moment(task.as_of))
    since, until = month_number(task.since), month_number(task.until)
    statuses = [str(status) for status in BILLABLE_ORDERS]
    with database.transaction() as cur:
        reconciliation.see(cur, task.snapshot)
        reconciliation.prepare(cur)
        contracts = _compile(cur, shard) if task.changed else 0
        counts = sum(delivery_life.refresh(cur, shard, changed) for changed in task.touched)
        if apart := task.way(session, cur, task.run, Asked(shard, since, until, statuses), task.sources):
            found = library_months(session, cur, apart, task.since, task.until)
            reconciliation.keep(cur, task.run, list(found))
        return _Done(contracts, counts, reconciliation.totals(cur, task.run, shard))


def way_of(since: BillingPeriod, until: BillingPeriod) -> Way:
    """In columns where polars and NumPy are installed (`orderhub[facts]`) and the months fit, else in PostgreSQL, which takes
    longer."""
    if (
        any(find_spec(name) is None for name in ("polars", "numpy"))
        or month_number(until) - month_number(since) >= MOST_MONTHS
    ):
        return in_statement
    # Threads that import one module at once may see half of it.
    import_module("hub.billing.reconciling.lines")
    import_module("hub.billing.reconciling.columns")
    return in_columns


def in_columns(session: Session, cur: Cursor, run: int, asked: Asked, sources: Sources) -> dict[str, str]:
    """A shard read into columns, calculated here and kept by COPY; returns the lines set apart, each with the reason."""
    from hub.billing.reconciling.columns import evaluate
    from hub.billing.reconciling.lines import book

    found, odd = book(session, cur, asked, sources), []
    if found.lines is not None:
        evaluated = evaluate(found.lines, asked.since, asked.until)
        reconciliation_columns.keep_lines(cur, evaluated.line_rows(run))
        reconciliation_columns.keep_exceptions(cur, evaluated.exception_rows(run))
        odd = evaluated.odd
    if found.valued:
        reconciliation_statement.prepare_statement(cur)
        reconciliation_statement.tell(cur, [], [], todays(found.valued, session.business.now()))
        reconciliation_statement.told_apart(cur, found.apart)
        reconciliation_statement.reconcile_values(cur, run, asked.shard, asked.since, asked.until, asked.statuses)
    return found.apart | dict.fromkeys(odd, IN_STATEMENT)


def in_statement(session: Session, cur: Cursor, run: int, asked: Asked, sources: Sources) -> dict[str, str]:
    """The same inside PostgreSQL."""
    reconciliation_statement.prepare_statement(cur)
    _tell(session, cur, asked.shard, sources)
    reconciliation_statement.set_apart(cur, asked.shard, asked.since, asked.until, asked.statuses)
    reconciliation_statement.reconcile(cur, run, asked.shard, asked.since, asked.until, asked.statuses)
    return reconciliation_statement.apart(cur)


def _compile(cur: Cursor, shard: Shard) -> int:
    stale = billing_contracts.stale(cur, shard)
    for first in range(0, len(stale), _COMPILED_AT_ONCE):
        lines = entities.many(cur, EntityKind.LINE, stale[first : first + _COMPILED_AT_ONCE])
        orders = entities.many(cur, EntityKind.ORDER, sorted({str(line.order_id) for line in lines.values()}))
        billing_contracts.put(cur, (compiled(line, orders[str(line.order_id)]) for line in lines.values()))
    return len(stale)


def _tell(session: Session, cur: Cursor, shard: Shard, sources: Sources) -> None:
    closings = billing_contracts.closings(cur, shard)
    if not closings:
        reconciliation_statement.tell(cur, [], [], [])
        return
    first, last = min(row[1] for row in closings), max(row[2] for row in closings)
    names = [row[0] for row in closings]
    reports = sources.reports(cur, first, last)
    parts = billing_contracts.edges(cur, shard)
    reconciliation_statement.tell(
        cur,
        (told for one in reports for name in names for told in one.months(name)),
        (one.edge(name, since, until) for one in reports for name, since, until in parts),
        todays(names, session.business.now()),
    )

"""What one process keeps between schedules: its database, the workers' connections, and the compiled mappings."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

import psycopg
from psycopg import abc
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow, tuple_row

from connectors.base import Capabilities, Operation, RecordCapability
from connectors.discovery import load
from hub.errors import StoreUnavailable
from hub.mapping_files import load_action_table, load_mappings
from hub.store import tables
from hub.store.audit import HEAD
from hub.store.database import Cursor, Database, migrate
from mappings.actions import Actions
from mappings.mapping import Mapping
from mappings.memory import calm_collector
from simulation import backup
from simulation.backup import Backup
from simulation.cores import bring_here
from simulation.kept_answers import KeptAnswers, Question, Rows, key_of
from simulation.steps import Point
from simulation.values import Lists

WORKERS = 3
_NO_VERBS = RecordCapability(1, frozenset(Operation))
_ORDER_VERBS = RecordCapability(
    1, frozenset(Operation), actions=frozenset({"ApproveOrders", "PauseOrders", "ArchiveOrders"})
)
_LINE_VERBS = RecordCapability(1, frozenset(Operation), actions=frozenset({"ArchiveLineItems"}))
_OPTIONS = "-c timezone=UTC -c plan_cache_mode=force_generic_plan -c jit=off"
_LOCK_TIMEOUT = " -c lock_timeout=20ms"
"""A worker that waits for a lock of a paused worker would wait for ever; it gives up as on a deadlock."""
_WITHOUT_TRIGGERS = " -c session_replication_role=replica"
"""Rows that are deleted between two schedules must not be told to tables that are empty already."""
_TRUNCATE_EVERY = 50
"""Rows are deleted between schedules (0.4 ms); now and then the emptied pages are given back (93 ms)."""


_BOOKKEEPING = ("bucket", "breaker", "connection_state")
"""What even a look may write: tokens taken, how the vendor answered."""
_COUNTS = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE NOT relname = ANY(%s)"


class _Connection(psycopg.Connection[TupleRow]):
    """A connection that knows its prepared statements by heart and what the open transaction wrote or locked."""

    writes = False
    tables: set[str]
    """What the open transaction may have written to."""
    chain = b" AND CHAIN"
    """Ends a transaction by beginning the next one, which spares a round trip; not after one with settings of its own."""
    named: dict[tuple[bytes, tuple[int, ...]], bytes]
    kept: KeptAnswers
    converters: dict[tuple[Any, bool], tuple[Statements, abc.Transformer, PostgresQuery]]
    """By statement, and whether it has no values: who used it last, and what turns values into what libpq takes."""

    def wrote(self, asked: Question, result: PGresult | None = None) -> bool:
        """Note what a statement did to the open transaction; whether it changed anything."""
        changed = result is None or not asked.changed_nothing(result)
        if changed or asked.locking:
            self.writes = True
        if changed:
            self.tables |= asked.written
        return changed

    def statement(self, text: bytes, types: tuple[int, ...]) -> bytes:
        """The name under which the server knows a statement; prepares it when it is new."""
        name = self.named.get((text, types))
        if name is None:
            name = b"s%d" % len(self.named)
            _checked(self.pgconn.prepare(name, text, types), self)
            self.named[text, types] = name
        return name


def _checked(result: PGresult, connection: psycopg.Connection[TupleRow]) -> PGresult:
    if result.status in _GOOD:
        return result
    raise psycopg.errors.error_from_result(result, encoding=connection.info.encoding)


_GOOD = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY})
_READ = re.compile(r"\b(?:from|join)\s+(\w+)", re.I)
_VIEWS = {"delivery_fact": ("delivery_day", "delivery_superseded")}


@functools.cache
def tables_read(query: str) -> frozenset[str]:
    """The tables whose rows decide what a statement answers."""
    found = frozenset(_READ.findall(query))
    return found - _VIEWS.keys() | {table for view in found & _VIEWS.keys() for table in _VIEWS[view]}


class Statements(psycopg.Cursor[TupleRow]):
    """A cursor that lets another worker run before each statement while several run together.

    Statements go straight to libpq, each prepared once per connection: psycopg's own way of finding out whether to prepare
    costs more than the statement (a schedule makes 2,700 of them).
    """

    before: Callable[[], None] | None = None
    _told: Rows | None = None
    """The rows of an answer that was kept."""
    _sent: tuple[bytes, int]
    """The name of the statement that was run last, and how many values it takes."""

    def __init__(self, connection: psycopg.Connection[TupleRow], *, row_factory: object = None) -> None:
        # As psycopg's own, but with the connection's adapters themselves: nobody registers others for one cursor.
        self._conn, self._pgconn, self._adapters = connection, connection.pgconn, connection.adapters
        self.format, self.arraysize, self._closed, self._last_query = Format.TEXT, 1, False, None
        self._row_factory, self._make_row = tuple_row, tuple
        self._reset()

    def execute(self, query: Any, params: Any = None, **more: Any) -> Statements:
        connection = cast(_Connection, self._conn)
        kept, together = connection.kept, Statements.before
        asked = kept.question(query)
        if together is not None:
            together()
        if asked.setting:
            connection.pgconn.exec_(b"ROLLBACK")  # a transaction left open by a reader; nothing in it can get lost
            connection.pgconn.exec_(b"BEGIN")
            connection.chain = b""
        if together is None and not asked.hopeless and connection.chain and not kept.disturbed:
            return self._ask(connection, kept, asked, query, params)
        self.run(query, params)
        if asked.writing:
            connection.wrote(asked, self._results[0])
        return self

    def _ask(self, connection: _Connection, kept: KeptAnswers, asked: Question, query: Any, params: Any) -> Statements:
        """Run a statement unless its answer is known."""
        values = key_of(params)
        known = kept.find(asked, values, connection.tables)
        if known is not None:
            self._told, self.pgresult, self._rowcount, self._pos = known.rows, known.result, known.count, 0
            return self
        self.run(query, params)
        result = self._results[0]
        if asked.tables is None:
            kept.learn(asked, connection.pgconn, *self._sent)
        if asked.writing and connection.wrote(asked, result):
            return self
        if result.status == ExecStatus.TUPLES_OK:
            self._told = self._tx.load_rows(0, result.ntuples, tuple)
        kept.keep(asked, values, connection.tables, self._told, result)
        return self

    def run(self, query: Any, params: Any = None) -> Statements:
        """Run one statement here and now."""
        connection = cast(_Connection, self._conn)
        wanted = self._converted(connection, query, params)
        self._sent = name, _ = connection.statement(wanted.query, tuple(wanted.types)), len(wanted.types)
        values = cast("Sequence[bytes] | None", wanted.params)  # None among them is NULL; only the stub does not know
        result = _checked(connection.pgconn.exec_prepared(name, values, wanted.formats, Format.TEXT), connection)
        self._told, self._pos, self._results, self.pgresult = None, 0, [result], result
        if result.status == ExecStatus.TUPLES_OK:
            self._tx.set_pgresult(result)
            self._rowcount = result.ntuples
        else:
            count = result.command_tuples
            self._rowcount = -1 if count is None else count
        return self

    def fetchone(self) -> TupleRow | None:
        if self._told is None:
            return super().fetchone()
        if self._pos == len(self._told):
            return None
        self._pos += 1
        return self._told[self._pos - 1]

    def fetchall(self) -> list[TupleRow]:
        if self._told is None:
            return super().fetchall()
        rows, self._pos = self._told[self._pos :], len(self._told)
        return rows

    def __next__(self) -> TupleRow:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def _converted(self, connection: _Connection, query: Any, params: Any) -> PostgresQuery:
        """The statement with its values, through the converter that knows it; another one while a reader is at it."""
        known = connection.converters.get((query, params is None))
        if known is None or not (known[0].closed or known[0] is self):
            self._tx = Transformer(self)
            wanted = self._query_cls(self._tx)
            wanted.convert(query, params)
        else:
            _, self._tx, wanted = known
            wanted.dump(params)
        connection.converters[query, params is None] = self, self._tx, wanted
        return wanted

    def executemany(self, query: Any, params_seq: Any, **more: Any) -> None:
        connection = cast(_Connection, self._conn)
        connection.wrote(connection.kept.question(query))
        super().executemany(query, params_seq, **more)

    def copy(self, statement: Any, params: Any = None, **more: Any) -> Any:
        connection = cast(_Connection, self._conn)
        connection.wrote(connection.kept.question(statement))
        return super().copy(statement, params, **more)


def _connect(url: str, options: str, kept: KeptAnswers) -> _Connection:
    connection = _Connection.connect(url, autocommit=True, options=options)
    bring_here(connection.info.backend_pid)
    connection.named, connection.converters, connection.tables, connection.kept = {}, {}, set(), kept
    connection.cursor_factory = Statements
    connection.adapters.register_dumper(list, Lists)
    connection.prepare_threshold = None  # psycopg would deallocate the statements prepared here with its own
    return connection


class SimulatedDatabase(Database):
    """The hub's database with a hook around each transaction: the place of crashes, lost connections and interleavings."""

    _connection: _Connection | None

    def __init__(self, url: str, kept: KeptAnswers) -> None:
        super().__init__(url)
        self._kept = kept
        self.reach: Callable[[Point], None] = _pass
        self.watching = False
        self.changed: set[str] = set()
        """Tables that were changed while somebody was `watching`."""
        self.committed: Callable[[Set[str]], None] = _pass
        """Hears of the tables that a committed transaction may have written to."""

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.closed:
            self._connection = _connect(self._url, _OPTIONS + _LOCK_TIMEOUT, self._kept)
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """As the hub's own, in fewer round trips: one that only read is left open for the next one.

        At READ COMMITTED each statement sees what is committed when it begins, so a transaction that wrote nothing and locked
        nothing cannot be told from a new one.
        """
        if self._open:
            self._connected().writes = True  # a savepoint
            with super().transaction() as cur:
                yield cur
            return
        self.reach(Point.BEGIN)
        connection = self._connected()
        connection.writes = False
        connection.tables.clear()
        connection.chain = _Connection.chain
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            connection.pgconn.exec_(b"BEGIN")
        self._appended = None
        try:
            with Statements(connection) as cur, self.noting(cur):
                before = _counts(cur) if self.watching else {}
                yield cur
                if self.watching:
                    self.changed |= {name for name, count in _counts(cur).items() if before.get(name) != count}
            self.reach(Point.COMMIT)
        except BaseException as error:
            connection.pgconn.exec_(b"ROLLBACK" + connection.chain)
            if isinstance(error, psycopg.errors.UndefinedTable):
                raise StoreUnavailable("The store has no or an older schema.") from error
            raise
        if connection.writes:
            _checked(connection.pgconn.exec_(b"COMMIT" + connection.chain), connection)
            self.committed(connection.tables)
        if self._appended is not None:
            self.head, self._appended = self._appended, None
            self._kept.tell(HEAD, [(self.head.sequence, self.head.hash)])
        self.reach(Point.COMMITTED)

    @property
    def inside(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._open)

    def rest(self) -> None:
        """End what a reader left open: it still holds its tables against a truncation."""
        if self._connection is not None and not self._connection.closed:
            self._connection.pgconn.exec_(b"ROLLBACK")


def _counts(cur: Cursor) -> dict[str, int]:
    """Rows written to each table by this connection that the server has not counted yet, this transaction's among them."""
    cur.execute(_COUNTS, (list(_BOOKKEEPING),))
    return dict(cur.fetchall())


def _pass(what: object) -> None:
    return


def interleave(before: Callable[[], None] | None) -> None:
    """Call `before` ahead of every statement of every worker, or stop doing so."""
    Statements.before = before


class Arena:
    """One database, migrated, with a connection for each worker slot and one for the checker."""

    def __init__(self, url: str) -> None:
        self.url = url
        calm_collector()
        logging.getLogger("orderhub").setLevel(logging.CRITICAL)  # faults are the point; the event log has them
        migrate(url)
        self.kept = KeptAnswers()
        self.databases = [SimulatedDatabase(url, self.kept) for _ in range(WORKERS)]
        for database in self.databases:
            database.committed = self._forget
        self.checker = _connect(url, _OPTIONS + _WITHOUT_TRIGGERS, self.kept)
        self.used = 0
        self._answers: dict[str, list[tuple[Any, ...]]] = {}
        self._compiled: dict[str, tuple[dict[tuple[str, str], Mapping], Actions]] = {}

    @cached_property
    def _tables(self) -> list[str]:
        return [table.name for table in tables.metadata.sorted_tables]

    @cached_property
    def _sequences(self) -> list[str]:
        rows = self.ask(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'S' "
            "AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return [row[0] for row in rows]

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What the store answers a checker, as committed. Without values an answer is kept until one of its tables is written."""
        known = None if values else self._answers.get(statement)
        if known is None:
            with Statements(self.checker) as cur:
                known = cur.run(statement.encode(), values or None).fetchall()
            if not values:
                self._answers[statement] = known
        return known

    def _forget(self, written: Set[str]) -> None:
        self.kept.committed(written)
        for statement in [each for each in self._answers if tables_read(each) & written]:
            del self._answers[statement]

    def mappings(self, connector: str) -> tuple[dict[tuple[str, str], Mapping], Actions]:
        """The shipped mappings of a connector, compiled once."""
        if connector not in self._compiled:
            kind = load(connector)
            mappings = load_mappings(connector, kind.record_schemas(), None)
            declared = (
                {"Company": _NO_VERBS, "Order": _ORDER_VERBS, "LineItem": _LINE_VERBS} if connector == "gam" else {}
            )
            actions = load_action_table(connector, mappings, Capabilities(records=declared), None)
            self._compiled[connector] = mappings, actions
        return self._compiled[connector]

    def clean(self) -> None:
        """An empty store whose numbers begin at one again."""
        self._forget_all()
        if self.used % _TRUNCATE_EVERY == 0:
            statements = [f"TRUNCATE {', '.join(self._tables)} RESTART IDENTITY"]
        else:
            statements = [f"DELETE FROM {name}" for name in self._tables]
            statements += [f"SELECT setval('{name}', 1, false)" for name in self._sequences]
        _checked(self.checker.pgconn.exec_(";".join(statements).encode()), self.checker)
        self.used += 1

    def put_back(self, kept: Backup) -> None:
        """The store as it was when it was backed up; nobody is in the middle of anything."""
        self._forget_all()
        backup.put_back(self.url, kept)

    def _forget_all(self) -> None:
        """What was answered, and what readers left open: they still hold their tables."""
        self._answers.clear()
        self.kept.forget()
        for database in self.databases:
            database.rest()
            database.reach, database.watching, database.head = _pass, False, None

    def close(self) -> None:
        """Give the connections back."""
        for database in self.databases:
            database.close()
        self.checker.close()

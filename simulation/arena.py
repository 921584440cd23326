"""What one process keeps between schedules: its database, the workers' connections, and the compiled mappings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from connectors.base import Capabilities, Operation, RecordCapability
from connectors.discovery import load
from hub.errors import StoreUnavailable
from hub.mapping_files import load_action_table, load_mappings
from hub.store import tables
from hub.store.database import Cursor, Database, migrate
from mappings.actions import Actions
from mappings.mapping import Mapping
from simulation.steps import Point

WORKERS = 3
_NO_VERBS = RecordCapability(1, frozenset(Operation))
_ORDER_VERBS = RecordCapability(
    1, frozenset(Operation), actions=frozenset({"ApproveOrders", "PauseOrders", "ArchiveOrders"})
)
_LINE_VERBS = RecordCapability(1, frozenset(Operation), actions=frozenset({"ArchiveLineItems"}))
_OPTIONS = "-c timezone=UTC -c plan_cache_mode=force_generic_plan -c jit=off"
_LOCK_TIMEOUT = " -c lock_timeout=20ms"
"""A worker that waits for a lock of a paused worker would wait for ever; it gives up as on a deadlock."""
_TRUNCATE_EVERY = 400
"""Rows are deleted between schedules (0.4 ms); now and then the emptied pages are given back (93 ms)."""


_BOOKKEEPING = ("bucket", "breaker", "connection_state")
"""What even a look may write: tokens taken, how the vendor answered."""
_COUNTS = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables WHERE NOT relname = ANY(%s)"


class _Statements(psycopg.Cursor[TupleRow]):
    """A cursor that lets another worker run before each statement while several run together."""

    before: Callable[[], None] | None = None

    def execute(self, query: Any, params: Any = None, **more: Any) -> _Statements:
        if _Statements.before is not None:
            _Statements.before()
        super().execute(query, params, **more)
        return self


class SimulatedDatabase(Database):
    """The hub's database with a hook around each transaction: the place of crashes, lost connections and interleavings."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reach: Callable[[Point], None] = _pass
        self.watching = False
        self.changed: set[str] = set()
        """Tables that were changed while somebody was `watching`."""

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, options=_OPTIONS + _LOCK_TIMEOUT)
            connection.cursor_factory = _Statements
            connection.prepare_threshold = 0
            connection.prepared_max = 1000
            self._connection = connection
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """As the hub's own, without asking psycopg to keep its books about it: that costs more than the statements."""
        if self._open:
            with super().transaction() as cur:
                yield cur
            return
        self.reach(Point.BEGIN)
        connection = self._connected()
        connection.pgconn.exec_(b"BEGIN")
        self._appended = None
        try:
            with connection.cursor() as cur, self.noting(cur):
                before = _counts(cur) if self.watching else {}
                yield cur
                if self.watching:
                    self.changed |= {name for name, count in _counts(cur).items() if before.get(name) != count}
            self.reach(Point.COMMIT)
        except BaseException as error:
            connection.pgconn.exec_(b"ROLLBACK")
            if isinstance(error, psycopg.errors.UndefinedTable):
                raise StoreUnavailable("The store has no or an older schema.") from error
            raise
        connection.pgconn.exec_(b"COMMIT")
        if self._appended is not None:
            self.head, self._appended = self._appended, None
        self.reach(Point.COMMITTED)


def _counts(cur: Cursor) -> dict[str, int]:
    """Rows written to each table by this connection that the server has not counted yet, this transaction's among them."""
    cur.execute(_COUNTS, (list(_BOOKKEEPING),))
    return dict(cur.fetchall())


def _pass(point: Point) -> None:
    return


def interleave(before: Callable[[], None] | None) -> None:
    """Call `before` ahead of every statement of every worker, or stop doing so."""
    _Statements.before = before


class Arena:
    """One database, migrated, with a connection for each worker slot and one for the checker."""

    def __init__(self, url: str) -> None:
        self.url = url
        logging.getLogger("orderhub").setLevel(logging.CRITICAL)  # faults are the point; the event log has them
        migrate(url)
        self.databases = [SimulatedDatabase(url) for _ in range(WORKERS)]
        self.checker: psycopg.Connection[TupleRow] = psycopg.connect(url, autocommit=True, options=_OPTIONS)
        self.checker.prepare_threshold = 0
        self.checker.prepared_max = 1000
        self.used = 0
        self._compiled: dict[str, tuple[dict[tuple[str, str], Mapping], Actions]] = {}

    @cached_property
    def _tables(self) -> list[str]:
        return [table.name for table in tables.metadata.sorted_tables]

    @cached_property
    def _sequences(self) -> list[str]:
        rows = self.checker.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'S' "
            "AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        ).fetchall()
        return [row[0] for row in rows]

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
        for database in self.databases:
            database.reach, database.watching, database.head = _pass, False, None
        if self.used % _TRUNCATE_EVERY == 0:
            self.checker.pgconn.exec_(f"TRUNCATE {', '.join(self._tables)} RESTART IDENTITY".encode())
        else:
            statements = [f"DELETE FROM {name}" for name in self._tables]
            statements += [f"SELECT setval('{name}', 1, false)" for name in self._sequences]
            self.checker.pgconn.exec_(";".join(statements).encode())
        self.used += 1

    def close(self) -> None:
        """Give the connections back."""
        for database in self.databases:
            database.close()
        self.checker.close()

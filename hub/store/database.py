"""The connection to PostgreSQL: one per hub, short transactions, migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import TupleRow

from hub.clock import Clock, SystemClock
from hub.errors import StoreContended, StoreUnavailable
from hub.store import audit
from hub.store.urls import libpq_url, sqlalchemy_url

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
Row = TupleRow
Cursor = psycopg.Cursor[TupleRow]


def _alembic(url: str) -> Config:
    # Alembic and SQLAlchemy take half a second to import, and only migrations need them: no task and no verb pays for them.
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    return config


def migrate(url: str) -> None:
    """Bring the schema to the newest version. Raises StoreUnavailable when the server cannot be reached."""
    from alembic import command

    try:
        command.upgrade(_alembic(url), "head")
    except Exception as error:
        if "OperationalError" in type(error).__name__:
            raise StoreUnavailable(_unreachable(error)) from error
        raise


@cache
def newest_revision() -> str:
    """The schema that this version of the hub needs: the number of its last migration."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


_HOW = "`orderhub migrate` (with Airflow: `python -m plugins.metadata --with-store`)"


def _refuse_another_schema(connection: psycopg.Connection[TupleRow]) -> None:
    """Raises StoreUnavailable where another version of the hub made the schema; an empty database is not looked at here.

    Asked once for each connection: a worker that is left over from before an upgrade must not write what the newer one
    would misread, nor may a newer one guess what is not there yet.
    """
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return
    needed, found = newest_revision(), "no number" if row is None else str(row[0])
    if found == needed:
        return
    if found > needed:
        raise StoreUnavailable(
            f"The store has schema {found}, which this version of the hub ({needed}) does not know. Nothing is read or written. "
            "Whoever upgrades starts it again from the new version."
        )
    raise StoreUnavailable(
        f"The store has schema {found}, and this version of the hub needs {needed}. Nothing is read or written. Whoever upgrades "
        f"stops the workers and runs {_HOW}."
    )


def _unreachable(error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"The store cannot be reached ({reason}). Nothing is read or written. Whoever runs the hub checks that PostgreSQL "
        "is up and that store.url in the configuration is right."
    )


class Database:
    """One PostgreSQL connection and its transactions. Not for several threads at once.

    `machine` dates the audit chain and `actor` signs it; `head` is the end of the chain after this object's last commit.
    """

    def __init__(self, url: str) -> None:
        self._url = libpq_url(url)
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._open: list[Cursor] = []
        self._appended: audit.Head | None = None
        self.machine: Clock = SystemClock()
        self.actor = audit.HUB
        self.head: audit.Head | None = None

    @property
    def url(self) -> str:
        """Where the store is, as psycopg reads it."""
        return self._url

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            try:
                connection = psycopg.connect(self._url, autocommit=True, options="-c timezone=UTC")
                try:
                    _refuse_another_schema(connection)
                except BaseException:
                    connection.close()
                    raise
            except psycopg.OperationalError as error:
                raise StoreUnavailable(_unreachable(error)) from error
            self._connection = connection
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor inside one transaction; committed at the end, rolled back on any exception. Nested: a savepoint."""
        connection = self._connected()
        if not self._open:
            self._appended = None
        try:
            with connection.transaction(), connection.cursor() as cur, self.noting(cur):
                yield cur
        except psycopg.errors.UndefinedTable as error:
            raise StoreUnavailable(
                f"The store has no schema, or not all of it. Nothing is read or written. Whoever runs the hub runs {_HOW}."
            ) from error
        except psycopg.errors.DeadlockDetected as error:
            raise StoreContended(
                "Two workers wanted the same rows of the store in opposite order. Nothing of this step was written, the other "
                "worker went first. It is done again by itself; nobody needs to act."
            ) from error
        except psycopg.OperationalError as error:
            if connection.closed:
                raise StoreUnavailable(_unreachable(error)) from error
            raise
        if not self._open and self._appended is not None:
            self.head, self._appended = self._appended, None

    @contextmanager
    def noting(self, cur: Cursor) -> Iterator[None]:
        """Around the work of one transaction or savepoint, directly inside it: its last act appends to the audit chain.

        Whoever brings transactions of their own uses it, too; without it nothing of them is audited.
        """
        self._open.append(cur)
        try:
            yield
        finally:
            self._open.pop()
        if self._open:
            audit.hand_over(cur, self._open[-1])
        else:
            self._appended = audit.append(cur, self.machine.now(), self.actor)

    @contextmanager
    def acting(self, actor: str) -> Iterator[None]:
        """Everything written meanwhile is signed by this person instead of the hub."""
        before, self.actor = self.actor, actor
        try:
            yield
        finally:
            self.actor = before

    def rows(self, statement: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """All rows of one read."""
        with self.transaction() as cur:
            cur.execute(statement.encode(), parameters or None)
            return cur.fetchall()

    def close(self) -> None:
        """Give the connection back; the next use connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

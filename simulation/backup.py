"""A backup of a store, and the store put back to it: every row and every sequence, as a dump keeps them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from hub.store.tables import metadata

_SEQUENCES = (
    "SELECT format('%I', c.relname), coalesce(pg_sequence_last_value(c.oid), 0) FROM pg_class c "
    "WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
)


@dataclass(frozen=True, slots=True)
class Backup:
    """The content of each table as COPY writes it, and what each sequence gave last (0: nothing yet)."""

    tables: dict[str, bytes]
    sequences: dict[str, int]


def take(url: str) -> Backup:
    """Everything in the store as of one moment."""
    with psycopg.connect(url) as connection, connection.cursor() as cur:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tables = {}
        for name, columns in _columns().items():
            with cur.copy(sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(columns, sql.Identifier(name))) as out:
                tables[name] = b"".join(bytes(piece) for piece in out)
        cur.execute(_SEQUENCES)
        return Backup(tables, dict(cur.fetchall()))


def put_back(url: str, backup: Backup) -> None:
    """The store as it was; nobody works with it meanwhile. No trigger fires: what they wrote is in the backup."""
    with psycopg.connect(url) as connection, connection.cursor() as cur:
        cur.execute("SET LOCAL session_replication_role = replica")
        columns = _columns()
        for name in columns:
            cur.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        for name, content in backup.tables.items():
            if content:
                statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(name), columns[name])
                with cur.copy(statement) as into:
                    into.write(content)
        for name, last in backup.sequences.items():
            cur.execute("SELECT setval(%s, %s, %s)", (name, last or 1, last > 0))


def _columns() -> dict[str, sql.Composed]:
    """The columns of each table that are stored, not computed."""
    return {
        table.name: sql.SQL(", ").join(sql.Identifier(each.name) for each in table.columns if each.computed is None)
        for table in metadata.sorted_tables
    }

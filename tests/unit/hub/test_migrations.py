"""The migrations make exactly the schema that the tables describe, and can be undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.pool import NullPool

from cli.demo.embedded_postgres import EmbeddedPostgres
from hub.store import database
from hub.store.tables import metadata
from hub.store.urls import sqlalchemy_url

# Everything a table is made of, as PostgreSQL itself writes it down: what Alembic's comparison does not look at, too
# (conditions of indexes, defaults, identity columns).
_COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, ''), is_identity "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2"
)
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
_CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2"
)


PLANTED = [
    "ALTER TABLE lane ADD COLUMN planted text",
    "ALTER TABLE lane DROP COLUMN alone",
    "ALTER TABLE parked ALTER COLUMN group_key DROP NOT NULL",
    "ALTER TABLE audit ALTER COLUMN sequence TYPE integer",
    "DROP INDEX ix_parked_subject",
    "DROP TABLE audit_head",
]
PLANTED_BEYOND_ALEMBIC = [
    "ALTER TABLE parked ALTER COLUMN tries SET DEFAULT 7",
    "DROP INDEX ix_lane_dirty; CREATE INDEX ix_lane_dirty ON lane (connection, stage, id)",
    "ALTER TABLE attempt ALTER COLUMN id DROP IDENTITY",
]


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """One transaction, rolled back at the end unless it was committed."""
    with sa.create_engine(sqlalchemy_url(url), poolclass=NullPool).connect() as connection:
        yield connection


def written_down(connection: sa.Connection) -> dict[str, list[Any]]:
    """The schema of a database by PostgreSQL's own catalogues."""
    statements = {"columns": _COLUMNS, "indexes": _INDEXES, "constraints": _CONSTRAINTS}
    return {part: list(connection.execute(sa.text(statement))) for part, statement in statements.items()}


def differences(connection: sa.Connection) -> list[Any]:
    """What `alembic check` finds."""
    options = {"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


@pytest.fixture
def declared(postgres: EmbeddedPostgres) -> Iterator[dict[str, list[Any]]]:
    """The schema of a database made from the tables, without any migration."""
    url = postgres.create_database("declared")
    with connected(url) as connection:
        metadata.create_all(connection)
        yield written_down(connection)
    postgres.drop_database("declared")


def test_the_migrations_make_what_the_tables_describe(database_url: str, declared: dict[str, list[Any]]) -> None:
    database.migrate(database_url)
    with connected(database_url) as connection:
        assert differences(connection) == []
        migrated = written_down(connection)
    for part, rows in declared.items():
        assert migrated[part] == rows, part


def test_every_planted_difference_is_found(database_url: str, declared: dict[str, list[Any]]) -> None:
    database.migrate(database_url)
    for planted in (*PLANTED, *PLANTED_BEYOND_ALEMBIC):
        with connected(database_url) as connection:
            for statement in planted.split(";"):
                connection.execute(sa.text(statement))
            assert written_down(connection) != declared, planted
            assert differences(connection) or planted in PLANTED_BEYOND_ALEMBIC, planted


def test_every_migration_can_be_undone_and_done_again(database_url: str) -> None:
    database.migrate(database_url)
    with connected(database_url) as connection:
        before = written_down(connection)
    command.downgrade(database._alembic(database_url), "base")
    with connected(database_url) as connection:
        assert written_down(connection)["columns"] == []
    database.migrate(database_url)
    with connected(database_url) as connection:
        assert written_down(connection) == before


def test_work_that_was_parked_before_groups_existed_keeps_its_cause_and_beginning(database_url: str) -> None:
    config = database._alembic(database_url)
    command.upgrade(config, "0001")
    with connected(database_url) as connection:
        for number, value in enumerate(("Gold", "Gold", "Silver")):
            connection.execute(
                sa.text(
                    "INSERT INTO parked (connection, subject, entity_kind, entity_id, reason, code, path, value, sentence, "
                    "fix, owner, opened_at) VALUES ('gam', :subject, 'line', 'lin_a', 'picklist', 'X', 'tier', :value, 's', "
                    "'f', 'o', '2026-01-05T09:00Z')"
                ),
                {"subject": f"lane:{number}", "value": value},
            )
        connection.commit()
    command.upgrade(config, "head")
    with connected(database_url) as connection:
        rows = list(connection.execute(sa.text("SELECT group_key, since = opened_at, tries FROM parked ORDER BY id")))
    assert rows[0] == rows[1] != rows[2]
    assert all(row[0].startswith("picklist-") and row[1] and row[2] == 0 for row in rows)

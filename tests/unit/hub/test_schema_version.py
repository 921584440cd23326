"""During an upgrade a worker of another version reads and writes nothing, and says what whoever upgrades does."""

from __future__ import annotations

import threading
import time

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from hub.errors import StoreUnavailable
from hub.store import database
from hub.store.database import Database


def stamped(url: str, version: str) -> Database:
    store = Database(url)
    store.rows("UPDATE alembic_version SET version_num = %s RETURNING 1", [version])
    store.close()
    return store


def test_the_newest_revision_by_name_is_alembics_head(database_url: str) -> None:
    assert ScriptDirectory.from_config(database._alembic(database_url)).get_heads() == [database.newest_revision()]


def test_a_store_of_this_version_is_used(database_url: str) -> None:
    database.migrate(database_url)
    store = Database(database_url)
    assert store.rows("SELECT 1") == [(1,)]
    store.close()


def test_an_older_store_is_neither_read_nor_written(database_url: str) -> None:
    database.migrate(database_url)
    command.downgrade(database._alembic(database_url), "-1")
    store = Database(database_url)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"Nothing is read or written. .* runs `orderhub migrate`"):
            store.rows("SELECT 1")
    database.migrate(database_url)
    assert store.rows("SELECT 1") == [(1,)], "who waited goes on after the migration"
    store.close()


def test_a_store_that_a_newer_version_migrated_is_neither_read_nor_written(database_url: str) -> None:
    database.migrate(database_url)
    store = stamped(database_url, "9999")
    with pytest.raises(StoreUnavailable, match=r"9999, which this version .* does not know") as refused:
        store.rows("SELECT 1")
    assert "starts it again from the new version" in str(refused.value)
    store.close()


def test_an_empty_database_says_to_migrate(database_url: str) -> None:
    store = Database(database_url)
    with pytest.raises(StoreUnavailable, match="runs `orderhub migrate`"):
        store.rows("SELECT * FROM lane")
    store.close()


def test_a_second_migration_waits_for_the_first(database_url: str) -> None:
    first = Database(database_url)
    with first.transaction() as cur:
        cur.execute("SELECT pg_advisory_xact_lock(hashtext('orderhub migrations'))")
        second = threading.Thread(target=database.migrate, args=(database_url,))
        second.start()
        until = time.monotonic() + 30
        waits = (
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() "
            "WHERE locktype = 'advisory' AND NOT granted"
        )
        while cur.execute(waits).fetchone() != (1,) and time.monotonic() < until:
            time.sleep(0.005)
        assert cur.execute("SELECT to_regclass('lane')").fetchone() == (None,), "nothing is made meanwhile"
    second.join(60)
    first.close()
    store = Database(database_url)
    assert store.rows("SELECT version_num FROM alembic_version") == [(database.newest_revision(),)]
    store.close()

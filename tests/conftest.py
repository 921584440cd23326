"""Fixtures for every test: a real PostgreSQL per test process, and a fresh database per test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo.embedded_postgres import EmbeddedPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The embedded server, one per test process, fsync off (nothing in a test survives a power failure)."""
    folder = Path(tempfile.mkdtemp(prefix="orderhub-test-pg-"))
    try:
        with EmbeddedPostgres(folder, durable=False) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Address of an empty database of this test's own, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)

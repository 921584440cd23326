"""One arena for all simulations of a test process: a PostgreSQL without fsync, migrated once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.demo.embedded_postgres import EmbeddedPostgres
from simulation import campaign
from simulation.arena import Arena


@pytest.fixture(scope="session")
def arena(postgres: EmbeddedPostgres) -> Iterator[Arena]:
    with campaign.arena(postgres) as made:
        yield made

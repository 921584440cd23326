"""Prepares Airflow's own database: `python -m plugins.metadata` migrates it and creates the pools of all connections.

With `--with-store` it migrates the hub's store as well.

Safe to run again. The demo runs it once per start, docker compose in its init service. A pool bounds how many tasks of a
connection run at once; the vendor's rate is kept by the token bucket in the hub's store.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from airflow.models.pool import Pool
from airflow.utils.db import initdb

from hub import open_hub
from hub.config import connection_names
from plugins.names import pool_name
from plugins.secrets import register_airflow_secrets

SLOTS_SETTING = "ORDERHUB_POOL_SLOTS"
DEFAULT_SLOTS = 2
"""One task that pushes and one that reads: more would only wait for each other's leases and tokens."""


def migrate() -> None:
    """Bring Airflow's database to this version's schema; an empty one is created in a second."""
    initdb()


def create_pools() -> dict[str, int]:
    """Create the pool of each configured connection or set its size; returns the sizes by pool name."""
    slots = int(os.environ.get(SLOTS_SETTING, str(DEFAULT_SLOTS)))
    sizes = {pool_name(connection): slots for connection in connection_names()}
    for name, size in sizes.items():
        Pool.create_or_update_pool(name, size, "Tasks of one Orderhub connection at a time", include_deferred=False)
    return sizes


def migrate_store() -> None:
    """Bring the hub's store to the newest schema."""
    register_airflow_secrets()
    with open_hub() as hub:
        hub.migrate()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command. Raises what the databases and the configuration raise: the init service then fails, as it should."""
    parser = argparse.ArgumentParser(prog="python -m plugins.metadata", description=__doc__.partition("\n")[0])
    parser.add_argument("--with-store", action="store_true", help="migrate the hub's store too")
    asked = parser.parse_args(arguments)
    migrate()
    for name, size in create_pools().items():
        print(f"pool {name}: {size} slots")  # noqa: T201 - the command's answer
    if asked.with_store:
        migrate_store()
        print("The hub's store has the newest schema.")  # noqa: T201


if __name__ == "__main__":
    main()

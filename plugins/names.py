"""How a connection's name appears in Airflow: in DAG ids and as a pool."""

from __future__ import annotations

import re

POOL_PREFIX = "orderhub_"
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_.-]")


def identifier(connection: str) -> str:
    """The name with each character that Airflow refuses in an id replaced by an underscore."""
    return _NOT_ALLOWED.sub("_", connection)


def pool_name(connection: str) -> str:
    """The pool that bounds how many tasks of a connection run at once."""
    return POOL_PREFIX + identifier(connection)

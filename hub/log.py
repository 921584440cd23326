"""The hub's own log: structured events, never a secret, never a payload."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import structlog

from hub.results import Result

_log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("orderhub"),
    processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
    wrapper_class=structlog.stdlib.BoundLogger,
)
"""Goes through the standard library's logging, so that whoever runs the hub (Airflow, a terminal) decides where it ends."""


R = TypeVar("R", bound=Result)


def told(verb: str, result: R) -> R:
    """Log what a verb answered, its counts without those that are zero, and hand it on."""
    facts: dict[str, Any] = {
        name: value for name, value in result.as_dict().items() if value not in (0, None, "", {}, ())
    }
    _log.info(verb, **facts)
    return result


def stopped(connection: str, code: str, sentence: str) -> None:
    """Log that a connection's work stopped."""
    _log.error("connection stopped", connection=connection, code=code, sentence=sentence)

"""The hub's own log: structured events, never a secret, never a payload."""

from __future__ import annotations

import logging
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hub.results import Result

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

_STANDARD = logging.getLogger("orderhub")

R = TypeVar("R", bound=Result)


@cache
def _log() -> BoundLogger:
    """Goes through the standard library's logging, so that whoever runs the hub (Airflow, a terminal) decides where it ends.

    structlog brings 5 MB of consoles and colours along; most processes log nothing and do without it.
    """
    import structlog

    logger: BoundLogger = structlog.wrap_logger(
        _STANDARD,
        processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


def told(verb: str, result: R) -> R:
    """Log what a verb answered, its counts without those that are zero, and hand it on."""
    if _STANDARD.isEnabledFor(logging.INFO):
        facts: dict[str, Any] = {
            name: value for name, value in result.as_dict().items() if value not in (0, None, "", {}, ())
        }
        _log().info(verb, **facts)
    return result


def stopped(connection: str, code: str, sentence: str) -> None:
    """Log that a connection's work stopped."""
    _log().error("connection stopped", connection=connection, code=code, sentence=sentence)


def advised(connection: str, subject: str, sentence: str) -> None:
    """Log what whoever configured a connection should change; it works all the same."""
    _log().warning("configuration", connection=connection, subject=subject, sentence=sentence)


def misfit(connection: str, record: str, answers: int, asked: int) -> None:
    """Log that a look-up's answers do not fit what was asked."""
    _log().error("look-up answers do not fit", connection=connection, record=record, answers=answers, asked=asked)


def stumbled(connection: str, record: str, error: Exception) -> None:
    """Log that a connector raised what it never should, with the trace; its words may hold a payload and are left out."""
    places = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    _log().error(
        "connector stumbled",
        connection=connection,
        record=record,
        error=type(error).__name__,
        at=" < ".join(places[-4:]),
    )

"""Where a read of changes stands: time and id of the last record, and the cursor that keeps them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from connectors.errors import Misconfigured

BEGINNING = "{}"
"""The cursor before the first record."""

Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True, order=True)
class Position(Generic[Key]):
    """The last record of a stream that was read. `changed` is an instant, or wall time where the vendor shows no other."""

    changed: datetime
    native_id: Key

    def cursor(self) -> str:
        """As the opaque text the engine keeps."""
        return json.dumps({"t": self.changed.isoformat(), "id": self.native_id}, separators=(",", ":"))


def position(
    cursor: str | None, moment: Callable[[datetime], datetime], key: Callable[[object], Key]
) -> Position[Key] | None:
    """The position a cursor stands for; None is the beginning. `moment` and `key` raise ValueError for what is none.

    Raises Misconfigured for text that is no cursor.
    """
    if cursor is None or cursor == BEGINNING:
        return None
    try:
        kept = json.loads(cursor)
        return Position(moment(datetime.fromisoformat(kept["t"])), key(kept["id"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise Misconfigured(
            "CURSOR-UNREADABLE",
            "The stored cursor is not one of this connector's. Nothing is read. An administrator resets the stream's cursor; "
            "reading from the beginning loses nothing.",
        ) from error


def furthest(*reached: Position[Key] | None) -> str:
    """The cursor of the furthest position: a read that ends inside its overlap must not creep backwards."""
    known = [each for each in reached if each is not None]
    return max(known).cursor() if known else BEGINNING


def instant(moment: datetime) -> datetime:
    """A kept time as an instant in UTC. Raises ValueError for one without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


def wall(moment: datetime) -> datetime:
    """A kept time as wall time. Raises ValueError for one with a zone."""
    if moment.tzinfo is not None:
        raise ValueError("a time with a zone")
    return moment


def number(kept: object) -> int:
    """A kept id that is a whole number. Raises ValueError."""
    if type(kept) is not int:
        raise ValueError("no whole number")
    return kept

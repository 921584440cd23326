"""SuiteQL as text: values quoted, ids checked, and instants in the account's wall time, which SuiteQL knows no zone for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY = "YYYY-MM-DD"
MOMENT = "YYYY-MM-DD HH24:MI:SS"
_ID = re.compile(r"\d{1,18}")
_UNSENDABLE = re.compile(r"[\x00-\x1f]")


def is_id(value: object) -> bool:
    """Whether the value has the form of an internal id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def text(value: str) -> str:
    """A quoted literal. Raises ValueError for control characters, which no name has."""
    if _UNSENDABLE.search(value):
        raise ValueError("control characters in a literal")
    return "'" + value.replace("'", "''") + "'"


def one_of_ids(column: str, ids: Iterable[str]) -> str:
    """`column IN (1, 2)`; the ids were checked by `is_id`."""
    return f"{column} IN ({', '.join(ids)})"


def day(column: str, alias: str) -> str:
    """A date column in ISO form; without TO_CHAR it comes in the role's own format."""
    return f"TO_CHAR({column}, '{DAY}') AS {alias}"


def moment(column: str, alias: str) -> str:
    """A time column to the second; without TO_CHAR it comes as a date only."""
    return f"TO_CHAR({column}, '{MOMENT}') AS {alias}"


def wall(instant: datetime) -> str:
    """A wall time as a literal; takes and keeps the naive form."""
    return f"TO_DATE('{instant:%Y-%m-%d %H:%M:%S}', '{MOMENT}')"


def read_wall(shown: str | None) -> datetime:
    """`2026-11-30 17:05:09` as a wall time. Raises ValueError."""
    return datetime.strptime(shown or "", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the account's wall time


def instant(wall_time: datetime, zone: ZoneInfo) -> datetime:
    """A wall time as an instant, UTC; of the two that the hour after summer time has, the earlier."""
    return wall_time.replace(tzinfo=zone, fold=0).astimezone(UTC)


def wall_start(since: datetime, zone: ZoneInfo) -> datetime:
    """The wall time from which everything since an instant is found.

    When clocks go back, later instants have earlier wall times: 01:30 comes again after 01:59. So the start is as much
    earlier as clocks go back within the next day.
    """
    here = since.astimezone(zone)
    following = (since + timedelta(days=1)).astimezone(zone)
    back = (here.utcoffset() or timedelta()) - (following.utcoffset() or timedelta())
    return here.replace(tzinfo=None) - max(back, timedelta())

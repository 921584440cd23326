"""Writes PQL statements with bind variables, so that no name is ever pasted into a query. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

_T = TypeVar("_T")


class Where:
    """A condition in the making: `Where().among("name", names).equals("type", "ADVERTISER").statement(...)`."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self._values: list[dict[str, Any]] = []

    def among(self, column: str, values: Sequence[object]) -> Where:
        """`column IN (...)`; at least one value."""
        if not values:
            raise ValueError(f"no values for {column}")
        return self._add(f"{column} IN ({', '.join(self._bind(value) for value in values)})")

    def equals(self, column: str, value: object) -> Where:
        """`column = value`."""
        return self._add(f"{column} = {self._bind(value)}")

    def above(self, column: str, value: object) -> Where:
        """`column > value`."""
        return self._add(f"{column} > {self._bind(value)}")

    def and_above(self, column: str, value: object) -> Where:
        """Another condition: this one and `column > value`."""
        narrower = Where()
        narrower._conditions, narrower._values = list(self._conditions), list(self._values)
        return narrower.above(column, value)

    def below(self, column: str, value: object) -> Where:
        """`column < value`."""
        return self._add(f"{column} < {self._bind(value)}")

    def from_(self, column: str, value: object) -> Where:
        """`column >= value`."""
        return self._add(f"{column} >= {self._bind(value)}")

    def statement(
        self, *, order: str | None = None, limit: int | None = None, offset: int = 0, select: str = ""
    ) -> dict[str, Any]:
        """The `Statement` as googleads takes it; `select` is the part before WHERE (`SELECT Id FROM Geo_Target`)."""
        parts = [select] if select else []
        if self._conditions:
            parts.append("WHERE " + " AND ".join(self._conditions))
        if order:
            parts.append(f"ORDER BY {order}")
        if limit is not None:
            parts.append(f"LIMIT {limit} OFFSET {offset}")
        return {"query": " ".join(parts), "values": self._values or None}

    def _add(self, condition: str) -> Where:
        self._conditions.append(condition)
        return self

    def _bind(self, value: object) -> str:
        name = f"v{len(self._values)}"
        self._values.append({"key": name, "value": bound(value)})
        return f":{name}"


def bound(value: object) -> dict[str, Any]:
    """A bind value in the vendor's own value types."""
    if isinstance(value, bool):
        return {"xsi_type": "BooleanValue", "value": value}
    if isinstance(value, int):
        return {"xsi_type": "NumberValue", "value": str(value)}
    if isinstance(value, datetime):
        return {"xsi_type": "DateTimeValue", "value": date_time(value)}
    return {"xsi_type": "TextValue", "value": str(value)}


def date_time(moment: datetime, zone: str = "UTC") -> dict[str, Any]:
    """A moment as the vendor's DateTime in UTC. Only aware times: the vendor has no local ones."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    at = moment.astimezone(UTC)
    return {
        "date": {"year": at.year, "month": at.month, "day": at.day},
        "hour": at.hour,
        "minute": at.minute,
        "second": at.second,
        "timeZoneId": zone,
    }


def moments_of(value: Mapping[str, Any]) -> set[datetime]:
    """The instants that a vendor DateTime may name, in UTC: two in the hour that comes twice when summer time ends, of which
    the vendor's form cannot say which is meant. Raises ValueError like `moment_of`."""
    return {moment_of(value), moment_of(value, fold=1)}


def moment_of(value: Mapping[str, Any], *, fold: int = 0) -> datetime:
    """The instant a vendor DateTime names, in UTC; `fold` 1 is the second of two. Raises ValueError when it is incomplete or
    its zone is unknown."""
    from zoneinfo import ZoneInfo

    try:
        day = value["date"]
        local = datetime(
            int(day["year"]),
            int(day["month"]),
            int(day["day"]),
            int(value.get("hour") or 0),
            int(value.get("minute") or 0),
            int(value.get("second") or 0),
            tzinfo=ZoneInfo(str(value["timeZoneId"])),
            fold=fold,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no date and time: {value!r}") from error
    return local.astimezone(UTC)


def chunks(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Consecutive pieces of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]

"""What a report is: named columns of one kind each, and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

Cell = str | int | Decimal | bool | date | datetime | None


class Kind(StrEnum):
    """What the cells of a column are; any cell may be None: not known."""

    TEXT = "text"
    COUNT = "count"
    MONEY = "money"
    """Decimal, major units of the row's `currency`; two currencies are never added."""
    DAY = "day"
    TIME = "time"
    """An aware instant, UTC."""
    LOCAL_TIME = "local_time"
    """A naive time of the row's `zone`."""
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """One column."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Report:
    """One report. Every row has one cell for each column, in their order."""

    name: str
    columns: Sequence[ReportColumn]
    rows: Sequence[Sequence[Cell]]

    def __iter__(self) -> Iterator[Mapping[str, Cell]]:
        """The rows by column name."""
        names = [column.name for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"report": self.name, "rows": list(self)}

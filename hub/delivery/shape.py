"""How a source's delivery reports look, as declared under `report:` of its connection: columns, zone, counting, finality."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from oms_schema.delivery import CountedBy
from oms_schema.local_time import zone as known_zone
from oms_schema.money import CurrencyCode

UNITS = ("impressions", "clicks", "completed_views", "viewable_impressions")
"""What a report may count, in the order of the store's columns."""

CANONICAL_LINES = "orderhub"
"""`line_ids` of a source that names lines by our own canonical ids."""


class Counting(StrEnum):
    """Whether a row counts its day alone, or everything up to the end of that day. The two never mix in one source."""

    DAILY = "daily"
    CUMULATIVE = "cumulative"


class Evidence(StrEnum):
    """What proves that a report is whole. Without it nothing of a report is loaded, for a part would look like less delivery."""

    GZIP = "gzip"
    """The gzip trailer: length and CRC-32 of everything before it (RFC 1952)."""
    TRAILER = "trailer"
    """A last row with the sums."""
    ROWS = "rows"
    """The number of rows, told beside the file or in its pages."""
    FLAG = "flag"
    """JSON pages: the last one says `complete`."""


class ReportColumns(BaseModel):
    """The report's own column names. What is not named is not reported, which is not zero."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    day: str
    line: str
    impressions: str
    clicks: str | None = None
    completed_views: str | None = None
    viewable_impressions: str | None = None
    order: str | None = None
    ad_unit: str | None = None
    creative: str | None = None
    currency: str | None = None
    network: str | None = None
    final: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """Our name to the report's, for every declared column."""
        return {ours: theirs for ours, theirs in self.model_dump().items() if theirs is not None}

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = list(self.named.values())
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands for two things; every declared column is another one")
        return self


class Trailer(BaseModel):
    """A last row of sums: its first cell reads `mark`; cells below a counted column hold that column's sum."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    mark: str = "Total"
    rows_in: str | None = Field(default=None, description="The column whose cell in this row holds the number of rows")


class Pages(BaseModel):
    """Where JSON pages keep what; names of the page's own top-level keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: str = "rows"
    complete: str = "complete"
    total_rows: str = "total_rows"
    network: str = "network"
    final: str = "final"


class ReportShape(BaseModel):
    """One source's reports.

    `zone` is the IANA zone of the network's own day and is kept with the facts. `line_ids` names the connection whose vendor
    ids the reports use (empty: the source's own; `orderhub`: canonical ids).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["csv", "json"] = "csv"
    columns: ReportColumns
    zone: str
    counted_by: CountedBy
    complete_by: Evidence
    counting: Counting = Counting.DAILY
    line_ids: str = ""
    day_format: str = "%Y-%m-%d"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    nothing: tuple[str, ...] = Field(default=("-", "N/A"), description="How a cell without a number may read")
    no_line: tuple[str, ...] = Field(default=(), description="Line ids of delivery that no line served; not ours")
    network: str | None = None
    currency: CurrencyCode | None = None
    trailer: Trailer | None = None
    pages: Pages = Field(default_factory=Pages)
    closing_days: int | None = Field(
        default=None,
        ge=0,
        description="Whole days after a day until a report closes it; None: only the source's own word",
    )
    look_back_days: int = Field(default=35, ge=0, description="Days that a daily load should read again")
    outlier_times: int = Field(default=10, ge=2, description="A day so many times the line's largest other day is held")
    outlier_floor: int = Field(
        default=10_000,
        ge=0,
        description="A day of fewer impressions or views, or a tenth of it in clicks, is never held",
    )
    folder: Path | None = Field(default=None, description="Where files are dropped, for `delivery load` without a file")
    most_bytes: int = Field(default=64 << 30, ge=1, description="An unpacked report beyond this is refused")

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        return known_zone(value).key

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.complete_by is Evidence.TRAILER) != (self.trailer is not None):
            raise ValueError("`complete_by: trailer` and `trailer:` go together")
        if self.complete_by is Evidence.FLAG and self.format != "json":
            raise ValueError("`complete_by: flag` is for JSON pages")
        if self.trailer is not None and self.format != "csv":
            raise ValueError("`trailer:` is for CSV")
        if (self.currency is None) != (self.columns.currency is None):
            raise ValueError("`currency` and `columns.currency` go together")
        if self.columns.network is not None and self.network is None:
            raise ValueError("`columns.network` needs `network`, with which it is compared")
        if self.counting is Counting.CUMULATIVE and (self.columns.ad_unit or self.columns.creative):
            raise ValueError("cumulative reports are turned into days by line; leave `ad_unit` and `creative` out")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        """The units that this source reports."""
        return tuple(unit for unit in UNITS if getattr(self.columns, unit) is not None)

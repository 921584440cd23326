"""What the verbs about delivery reports answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from hub.results import Result


@dataclass(frozen=True, slots=True)
class ReportSummary(Result):
    """One report. `state`: loaded, loaded before, or set aside: `sentence` says why nothing of it is. Days are the network's own.

    `days_older` had been reported newer already and were left; `final_restated` changed although their source or our closing
    rule had called them final: what was billed of them needs an adjustment.
    """

    source: str
    report: str
    state: str
    as_of: datetime
    rows: int = 0
    since: date | None = None
    until: date | None = None
    days: int = 0
    days_changed: int = 0
    days_older: int = 0
    facts_new: int = 0
    facts_restated: int = 0
    quarantined: int = 0
    claimed: int = 0
    final_restated: int = 0
    lanes_touched: int = 0
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class FileSetAside(Result):
    """A file of the source's folder of which nothing was loaded, and why. `since` is machine time; the file lies where it lay."""

    source: str
    report: str
    as_of: datetime
    code: str
    sentence: str
    since: datetime


@dataclass(frozen=True, slots=True)
class QuarantinedLine(Result):
    """Delivery of one line that no reference of its source names. `as_of` is the newest report's."""

    source: str
    line_vendor_id: str
    order_vendor_id: str
    since: date
    until: date
    days: int
    impressions: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class FactVersion(Result):
    """One fact of a line as reported; None is a unit that its source does not report."""

    source: str
    counted_by: str
    zone: str
    day: date
    as_of: datetime
    impressions: int | None
    clicks: int | None
    completed_views: int | None
    viewable_impressions: int | None
    newest: bool


@dataclass(frozen=True, slots=True)
class DayFinality(Result):
    """Whether one day of one source is final. `how`: declared, closed (our rule), open, or missing (no whole report)."""

    source: str
    day: date
    how: str
    confirmed_as_of: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether it may be billed on."""
        return self.how in {"declared", "closed"}

"""Money reports: what was booked, delivered, billable, billed and paid, currency by currency; and their export."""

from hub.reports.answers import Kind, Report, ReportColumn
from hub.reports.verbs import NAMES, Selection, report

__all__ = ["NAMES", "Kind", "Report", "ReportColumn", "Selection", "report"]

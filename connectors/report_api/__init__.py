"""The report API connector: reads delivery reports of a measurement company or a buyer as JSON pages."""

from connectors.report_api.connector import ReportApiConnector
from connectors.report_api.settings import ReportApiSettings

__all__ = ["ReportApiConnector", "ReportApiSettings"]

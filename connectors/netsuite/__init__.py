"""NetSuite: posts invoices and credit memos once, and reads back number, status, balance, payments and credits."""

from connectors.netsuite.connector import NetSuiteConnector
from connectors.netsuite.settings import NetSuiteSettings

__all__ = ["NetSuiteConnector", "NetSuiteSettings"]

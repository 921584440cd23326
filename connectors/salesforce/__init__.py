"""Salesforce: reads accounts, opportunities, their lines and products; writes the mirror of an order back."""

from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.settings import SalesforceSettings

__all__ = ["SalesforceConnector", "SalesforceSettings"]

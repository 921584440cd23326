"""Xero: posts invoices and credit notes exactly once, keeps contacts, reads documents and payments back."""

from connectors.xero.connector import XeroConnector
from connectors.xero.settings import XeroSettings

__all__ = ["XeroConnector", "XeroSettings"]

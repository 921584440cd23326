"""Google Ad Manager over SOAP: companies, orders, line items, actions, names, forecasts and delivery reports."""

from connectors.gam.connector import GamConnector
from connectors.gam.settings import GamSettings

__all__ = ["GamConnector", "GamSettings"]

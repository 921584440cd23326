"""The Tryton connector: posts billing documents in a real ERP over JSON-RPC, and reads what became of them."""

from connectors.tryton.connector import TrytonConnector
from connectors.tryton.settings import TrytonSettings

__all__ = ["TrytonConnector", "TrytonSettings"]

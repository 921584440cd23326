"""Salesforce: reads accounts, opportunities, their lines and products; writes the mirror of an order back.

The vendor's library comes with the connector, when that is asked for: mappings need the record types alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.salesforce.connector import SalesforceConnector
    from connectors.salesforce.settings import SalesforceSettings

__all__ = ["SalesforceConnector", "SalesforceSettings"]

_PLACES = {"SalesforceConnector": "connector", "SalesforceSettings": "settings"}


def __getattr__(name: str) -> Any:
    """The public name, kept from then on (PEP 562)."""
    module = _PLACES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
    return value

"""What the hub raises, grouped by what the caller does next.

HubError
├── ConfigurationError   the configuration file as a whole cannot be used
├── ConnectionBroken     one connection cannot be used; the others can
├── VendorUnavailable    the vendor does not answer or says wait; the work stays due and nothing is lost
├── StoreUnavailable     the database cannot be reached or is not migrated
├── NotFound             no such order, connection, parked item
└── PlanMoved            apply was bound to a plan that is no longer true
"""

from __future__ import annotations


class HubError(Exception):
    """Base; the message is a sentence: what happened – effect – who does what."""


class ConfigurationError(HubError):
    """The configuration file cannot be used."""


class ConnectionBroken(HubError):  # noqa: N818
    """One connection cannot be used; `connection` is its name."""

    def __init__(self, connection: str, sentence: str) -> None:
        self.connection = connection
        super().__init__(sentence)


class VendorUnavailable(HubError):  # noqa: N818
    """The vendor cannot be asked now; `after` is in seconds."""

    def __init__(self, connection: str, sentence: str, after: float) -> None:
        self.connection = connection
        self.after = after
        super().__init__(sentence)


class StoreUnavailable(HubError):  # noqa: N818
    """The store cannot be reached or has another schema version."""


class NotFound(HubError):  # noqa: N818
    """Nothing carries this name or id."""


class PlanMoved(HubError):  # noqa: N818
    """Either side moved since the plan was made."""

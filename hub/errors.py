"""What the hub raises, grouped by what the caller does next.

HubError
├── ConfigurationError   the configuration file as a whole cannot be used
├── ConnectionBroken     one connection cannot be used; the others can
│   └── ConnectionPaused  because a person paused it
├── ConnectorStumbled    the connector has a defect, or met an answer that nobody expected; logged with its place
├── VendorUnavailable    the vendor does not answer or says wait; the work stays due and nothing is lost
├── StoreUnavailable     the database cannot be reached or is not migrated
│   └── StoreContended    two workers wanted the same rows in opposite order, and the other one went first
├── NotFound             no such order, connection, parked item
├── PlanMoved            apply was bound to a plan that is no longer true
├── DocumentChanged      a document was to get other content; it never changes, nothing was done
├── Refused              what a person asked for would be wrong or comes too fast; nothing was done
└── AnchorFailed         the work was done, but the end of the audit chain could not be written outside the database
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


class ConnectionPaused(ConnectionBroken):
    """A person paused this connection; its work waits until somebody resumes it."""


class ConnectorStumbled(HubError):  # noqa: N818
    """A connector raised what it never should; `connection` is whose it is."""

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


class StoreContended(StoreUnavailable):
    """A deadlock, of which this transaction was the victim: nothing of it was written, and it may be tried again at once."""


class NotFound(HubError):  # noqa: N818
    """Nothing carries this name or id."""


class PlanMoved(HubError):  # noqa: N818
    """Either side moved since the plan was made."""


class DocumentChanged(HubError):  # noqa: N818
    """Other content for a document that exists; nothing was changed."""


class Refused(HubError):  # noqa: N818
    """A person's request that is not carried out; nothing was changed."""


class AnchorFailed(HubError):  # noqa: N818
    """The audit chain's end is not anchored; the work itself is committed."""

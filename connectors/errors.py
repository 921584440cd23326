"""What a connector may raise, grouped by what the engine does next.

ConnectorError
├── RetryLater          certainly not applied; try again, not before `after` seconds
├── OutcomeUnknown      the bytes left and no trustworthy answer came: in doubt, look up before any resend
├── AuthFailed          credentials refused or expired beyond renewal; stops this connection's work
├── PermissionMissing   this account may not do this; stops this record type's work
├── QuotaExhausted      a limit of the vendor is used up; closes the bucket for `after` seconds for all workers
│   └── Paced           a limit that the engine keeps has no room for the next request; it was not sent
├── RecordRejected      this record can never be accepted as it is; park it
├── SchemaDrift         a mapped field vanished or changed its type; stops this mapping only
└── Misconfigured       the connection's own settings are wrong; stops this connection's work

A connector makes exactly one attempt per call (`architecture`, decision 14) and never sleeps. On a write, an error that
it does not know is `OutcomeUnknown`, never success and never `RecordRejected`.
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Base of everything a connector raises on purpose. `code` is the vendor's or `HTTP-nnn`; `message` is one line."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class RetryLater(ConnectorError):  # noqa: N818
    """Certainly not applied, and worth another try. `after` is in seconds, None when the vendor names no time."""

    def __init__(self, code: str, message: str, after: float | None = None) -> None:
        super().__init__(code, message)
        self.after = after


class OutcomeUnknown(ConnectorError):  # noqa: N818
    """The request may have been applied: no answer, half an answer, or an answer nobody can read."""


class AuthFailed(ConnectorError):  # noqa: N818
    """Credentials were refused."""


class PermissionMissing(ConnectorError):  # noqa: N818
    """The account lacks a right; `record` is the vendor's record type."""

    def __init__(self, code: str, message: str, record: str = "") -> None:
        super().__init__(code, message)
        self.record = record


class QuotaExhausted(ConnectorError):  # noqa: N818
    """A vendor limit is used up and the request was not applied. `after` in seconds, `limit` is the name of a declared rate.

    Where it names none (so many requests at the same time are no rate), every request of the credential waits.
    """

    def __init__(self, code: str, message: str, after: float, limit: str = "") -> None:
        super().__init__(code, message)
        self.after = after
        self.limit = limit


class Paced(QuotaExhausted):
    """The engine's own bucket of a known rate is empty. Raised by `Connector.pace` before a request leaves."""


class RecordRejected(ConnectorError):  # noqa: N818
    """The vendor will never take this record as it stands. `path` is the vendor's field path, when it names one."""

    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(code, message)
        self.path = path


class SchemaDrift(ConnectorError):  # noqa: N818
    """A field the mapping uses is gone, hidden or of another type."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(code, message)
        self.field = field


class Misconfigured(ConnectorError):  # noqa: N818
    """The connection's settings cannot work."""

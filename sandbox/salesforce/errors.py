"""What the simulated API refuses, in the vendor's three forms: REST array, record result, OAuth object.

::

    SalesforceError            whole request: HTTP status and [{"message", "errorCode"}]
    ├── NotSimulatedError           501: valid at the vendor, not simulated here (our own code SANDBOX_NOT_SIMULATED)
    RecordRefused              one record: [{"statusCode", "message", "fields"}], rolled back to where it began
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RecordError:
    """One reason why one record was refused."""

    code: str
    message: str
    fields: tuple[str, ...] = ()

    def as_result(self) -> dict[str, Any]:
        """The form inside a list of results (collections)."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}

    def as_rest(self) -> dict[str, Any]:
        """The form of a single-record request."""
        return {"message": self.message, "errorCode": self.code, "fields": list(self.fields)}

    def as_csv(self) -> str:
        """The form of `sf__Error` in Bulk 2.0 results."""
        return f"{self.code}:{self.message}:{','.join(self.fields)} --"


@dataclass
class RecordRefused(Exception):  # noqa: N818 - a refusal is the vendor's answer, not our failure
    """A record that was not saved, with every reason."""

    errors: tuple[RecordError, ...]

    @property
    def status(self) -> int:
        """The HTTP status of the same refusal in a single-record request."""
        return 404 if self.errors[0].code in ("ENTITY_IS_DELETED", "NOT_FOUND") else 400


def refuse(code: str, message: str, fields: Iterable[str] = ()) -> RecordRefused:
    """A refusal with one reason."""
    return RecordRefused((RecordError(code, message, tuple(fields)),))


@dataclass
class SalesforceError(Exception):
    """A request that is refused as a whole."""

    status: int
    code: str
    message: str
    extra: dict[str, Any] = field(default_factory=dict)

    def body(self) -> list[dict[str, Any]]:
        """The vendor's error array."""
        return [{"message": self.message, "errorCode": self.code, **self.extra}]


class NotSimulatedError(SalesforceError):
    """The vendor would do it, this sandbox does not; saying so beats a wrong answer."""

    def __init__(self, what: str) -> None:
        super().__init__(501, "SANDBOX_NOT_SIMULATED", f"{what} exists at the vendor but is not simulated here")


def not_found(message: str = "The requested resource does not exist") -> SalesforceError:
    """The vendor's 404."""
    return SalesforceError(404, "NOT_FOUND", message)

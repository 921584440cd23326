"""What the simulated account refuses, in the vendor's form.

The form (`type`, `title`, `status`, `o:errorDetails` with `detail`, `o:errorCode`, `o:errorPath`) is that of the page "Error
Handling in REST Web Services" of the NetSuite online help (section_156570709583).
"""

from __future__ import annotations

from typing import Any

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class NetSuiteError(Exception):
    """A request that is refused as a whole; nothing of it is applied."""

    def __init__(self, status: int, code: str, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.path = path

    def body(self) -> dict[str, Any]:
        """The vendor's error object."""
        entry = {"detail": self.detail, "o:errorCode": self.code}
        if self.path:
            entry["o:errorPath"] = self.path
        return {
            "type": "https://www.w3.org/Protocols/rfc2616/rfc2616-sec10.html",
            "title": _TITLES[self.status],
            "status": self.status,
            "o:errorDetails": [entry],
        }


def content(detail: str, path: str = "") -> NetSuiteError:
    """A body that does not fit the record's schema, or a value the record does not take."""
    return NetSuiteError(400, "INVALID_CONTENT", f"Error while accessing a resource. {detail}", path)


def user_error(detail: str, path: str = "") -> NetSuiteError:
    """A rule of the account or of a script in it."""
    return NetSuiteError(400, "USER_ERROR", f"Error while accessing a resource. {detail}", path)


def nonexistent(detail: str) -> NetSuiteError:
    """The vendor's 404."""
    return NetSuiteError(404, "NONEXISTENT_ID", f"Error while accessing a resource. {detail}")


def not_simulated(what: str) -> NetSuiteError:
    """The vendor would do it, this sandbox does not; saying so beats a wrong answer."""
    return NetSuiteError(501, "SANDBOX_NOT_SIMULATED", f"{what} exists at the vendor but is not simulated here")

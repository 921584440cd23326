"""One HTTP exchange: a request sent once, its reply read whole or not at all, and whether the request left this machine."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.exceptions import ProxyError as PoolProxyError

from connectors.bounded import bounded_body

_NO_TUNNEL = "Tunnel connection failed"
"""How `http.client` begins what a proxy says that refuses to connect any further."""


LONGEST_WAIT = 86_400.0
"""Seconds that a vendor may make us wait; a header that says more is mistaken or means harm."""


class NotSent(requests.ConnectionError):
    """No connection was made, so nothing was sent."""


class Untrusted(NotSent):
    """The server's certificate is not trusted, so nothing was sent."""


class ReplyCut(requests.RequestException):
    """The reply is shorter than announced."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status, whole and unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a connection and a whole reply may take, in seconds, and how long the reply may be, unpacked, in bytes."""

    connect: float
    whole: float
    most_bytes: int


def exchanged(
    session: requests.Session,
    method: str,
    url: str,
    bounds: Bounds,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    data: bytes | None = None,
) -> Reply:
    """Send a request once and read its reply. No status is an error here, and no redirect is followed.

    Raises NotSent and Untrusted when the request certainly did not leave; after every other requests.RequestException,
    ReplyTooLarge, ReplyTooSlow and ReplyCut among them, it may have been applied.
    """
    until = time.monotonic() + bounds.whole
    try:
        response = session.request(
            method,
            url,
            params=dict(params) if params else None,
            data=data,
            headers=dict(headers),
            timeout=(bounds.connect, bounds.whole),
            stream=True,
            allow_redirects=False,
            hooks={"response": stay},
        )
    except (
        requests.TooManyRedirects
    ) as error:  # of a session that allows none: raised for any redirect, followed or not
        if error.response is None:
            raise
        return Reply(error.response.status_code, error.response.headers, b"")
    except requests.RequestException as error:
        raise judged(error) from error
    with response:
        try:
            body = bounded_body(response, bounds.most_bytes, until)
        except (HTTPError, OSError) as error:  # requests' own errors are OSErrors too
            if isinstance(error, requests.RequestException):
                raise
            raise requests.exceptions.ChunkedEncodingError(error, response=response) from error
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and "Content-Encoding" not in response.headers and int(length[:20]) != len(body):
        raise ReplyCut("it is shorter than announced", response=response)
    return Reply(response.status_code, response.headers, body)


def stay(response: requests.Response, **_: object) -> None:
    """Takes away where a redirect leads: requests would read its body whole, however long, and call it one too many, even where
    it follows none (`Session.send`)."""
    if response.is_redirect:
        del response.headers["Location"]


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds of a `Retry-After` (RFC 9110, 10.2.3: whole seconds or a date), at most LONGEST_WAIT; None for any other form."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    try:
        named = parsedate_to_datetime(value)
    except ValueError:
        return None
    if named.tzinfo is None:
        return None
    return min(max(0.0, (named - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT)


def judged(error: requests.RequestException) -> requests.RequestException:
    """NotSent or Untrusted where that is certain, else the error as it is.

    TLS may also break after the request was sent: then it is neither. Nor is it when a proxy hangs up on a request it was
    given: urllib3 2 calls that `Unable to connect to proxy` too, because `http.client` has closed the connection by then, and
    with it went what the connection remembered (`getresponse`, `HTTPConnection.close`). So the inner error decides.
    """
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, PoolProxyError):
        reason = reason.original_error
    inner = reason.args[0] if isinstance(reason, Exception) and reason.args else None
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in (cause, reason, inner)):
        return Untrusted(error)
    no_tunnel = isinstance(error, requests.exceptions.ProxyError) and str(inner).startswith(_NO_TUNNEL)
    if (
        no_tunnel
        or isinstance(error, requests.ConnectTimeout)
        or isinstance(reason, NewConnectionError | ConnectTimeoutError)
    ):
        return NotSent(error)
    return error

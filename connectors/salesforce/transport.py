"""The bytes: where requests go, how long they may take, how much of a reply is read, and how it becomes values."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from connectors import endpoint
from connectors.bounded import bounded_body
from connectors.exact_json import read

if TYPE_CHECKING:  # decoding needs no settings
    from connectors.salesforce.settings import SalesforceSettings

_MAX_NUMBER = 40  # Salesforce numbers have at most 18 digits
_ATTRIBUTES = frozenset({"attributes"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unwritable(ValueError):  # noqa: N818
    """A value that JSON for Salesforce cannot hold; the sentence names its field."""


class BoundedAdapter(HTTPAdapter):
    """Sends one request once: to `endpoint` when there is one, within the time-outs, reading at most `max_reply_bytes`."""

    def __init__(self, settings: SalesforceSettings) -> None:
        self._endpoint = urlsplit(settings.endpoint) if settings.endpoint else None
        self._timeouts = (settings.connect_timeout_seconds, settings.timeout_seconds)
        self._max_bytes = settings.max_reply_bytes
        super().__init__(max_retries=0)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: object = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """As `HTTPAdapter.send`, with this adapter's own time-outs and bounds instead of `stream` and `timeout`."""
        if self._endpoint is not None and request.url is not None:
            # simple-salesforce writes https://<instance> into every URL; only here all of them can be turned round.
            wanted = urlsplit(request.url)
            request.headers["X-Forwarded-Host"] = (
                wanted.netloc
            )  # the Host is the endpoint's own, as gateways route by it
            path = self._endpoint.path + wanted.path
            request.url = urlunsplit((self._endpoint.scheme, self._endpoint.netloc, path, wanted.query, ""))
        until = time.monotonic() + self._timeouts[1]
        response = super().send(
            request,
            stream=True,
            timeout=self._timeouts,
            verify=verify,
            cert=cert,  # type: ignore[arg-type]
            proxies=proxies,
        )
        response._content = bounded_body(response, self._max_bytes, until)
        return response


def http_session(settings: SalesforceSettings) -> requests.Session:
    """A session for one worker thread that follows no redirects and takes no credentials from the environment."""
    session = endpoint.http_session(settings.endpoint or "")
    session.mount("https://", BoundedAdapter(settings))
    session.mount("http://", BoundedAdapter(settings))
    return session


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status below 300."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as values: numbers with a point as Decimal, whole ones as int. Raises Unreadable."""
        return decoded(self.body)


def decoded(body: bytes) -> Any:
    """JSON of any origin as values, without the `attributes` of each record. Raises Unreadable."""
    return read(body, _ATTRIBUTES)


def encoded(value: object) -> bytes:
    """JSON with exact decimals. Raises Unwritable for a value without an exact form, such as a float."""
    try:
        return orjson.dumps(value, default=_exact, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as error:  # orjson's own error, for text that is not Unicode among others
        raise Unwritable(str(error.__cause__ or error)) from error


def written(value: object, name: str) -> object:
    """A payload value in the form JSON takes. `name` is the field it belongs to. Raises Unwritable."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Unwritable(f"{name} holds characters that are no text (NUL or half a surrogate pair)")
        return value
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > _MAX_NUMBER:
            raise Unwritable(f"{name} holds {value}, which is no number that Salesforce has")
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Unwritable(f"{name} holds a time without a zone")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {inner_name: written(inner, f"{name}.{inner_name}") for inner_name, inner in value.items()}
    raise Unwritable(f"{name} holds a {type(value).__name__}; text, int, Decimal, bool, date or None can be written")


def plain(number: Decimal) -> str:
    """A decimal without exponent, as both JSON and CSV take it."""
    return format(number, "f")


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(plain(value).encode())
    raise TypeError(f"{type(value).__name__} cannot be written")

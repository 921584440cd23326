"""One token and one request at a time: what leaves, what comes back, and what it means when nothing readable does."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from connectors.endpoint import http_session
from connectors.errors import (
    AuthFailed,
    Misconfigured,
    PermissionMissing,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
    SchemaDrift,
)
from connectors.exact_json import Unreadable, Unwritable, write
from connectors.exchange import Bounds, NotSent, Reply, Untrusted, exchanged, retry_after
from connectors.xero.error_table import LIMITS, MINUTE, Effect, one_line, refusal, unreadable, validation_words
from connectors.xero.settings import XeroSettings
from connectors.xero.wire import decoded

_EARLY = 60.0  # a token is renewed so many seconds before its end, so that none expires on the way


@dataclass(frozen=True, slots=True)
class Call:
    """One request below `/api.xro/2.0/`. `key` is the idempotency key of a write, at most 128 characters."""

    path: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    @property
    def effect(self) -> Effect:
        """Whether it may change something."""
        return Effect.READ if self.method == "GET" else Effect.WRITE

    @property
    def name(self) -> str:
        """For sentences."""
        return f"{self.method} {self.path.split('/')[0]}"


class _TokenExpired(Exception):  # noqa: N818
    """Xero does not know the token (any more); it checks that before it looks at the request."""


class XeroSession:
    """A session with one organisation, for one thread. Gets a token at the first request, and another when it expires.

    Each request is sent once. The one exception: after a 401 it is sent again with a new token, because Xero checks the
    token first, so a 401 is certainly not applied.
    """

    def __init__(self, settings: XeroSettings, pace: Callable[[], None]) -> None:
        self._settings = settings
        self._pace = pace
        self._token = ""
        self._token_ends = 0.0
        self._day_left: int | None = None
        self._http = http_session(settings.api_url)

    def __repr__(self) -> str:
        return f"XeroSession({self._settings.tenant_id})"

    @property
    def day_left(self) -> int | None:
        """Calls left today, as the newest reply said (`X-DayLimit-Remaining`); None before the first."""
        return self._day_left

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._token = ""
        self._http.close()

    def send(self, call: Call) -> dict[str, Any]:
        """Send a request once and return the body of a 200.

        Raises any ConnectorError. For a write: OutcomeUnknown when it may have been applied, RecordRejected when Xero refused
        the request as a whole; everything else means that it was certainly not applied.
        """
        for last_try in (False, True):
            if not self._token or time.monotonic() >= self._token_ends:
                self._log_in()
            try:
                return self._send_once(call)
            except _TokenExpired as error:
                self._token = ""
                if last_try:
                    raise AuthFailed(
                        "HTTP-401",
                        f"Xero refused a token that is seconds old ({error}). This connection's work stops. An administrator "
                        "checks the custom connection in Xero's developer portal.",
                    ) from None
        raise AssertionError("the second try returns or raises")

    # ------------------------------------------------------------ the request
    def _send_once(self, call: Call) -> dict[str, Any]:
        settings = self._settings
        headers = {
            "Authorization": f"Bearer {self._token}",
            "xero-tenant-id": settings.tenant_id,
            "Accept": "application/json",
            **call.headers,
        }
        body: bytes | None = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            try:
                body = write(call.body)
            except Unwritable as error:
                raise RecordRejected(
                    "UNWRITABLE",
                    f"The record cannot be sent: {error}. Nothing was sent. Integration corrects the document.",
                ) from error
        if call.key:
            headers["Idempotency-Key"] = call.key
        self._pace()
        reply = self._exchange(
            call.method, f"{settings.api_url}/{call.path}", call.name, call.effect, headers, call.params, body
        )
        left = reply.headers.get("X-DayLimit-Remaining", "")
        if left.isdecimal():
            self._day_left = int(left[:9])
        if reply.status == 200:
            try:
                said = decoded(reply.body)
            except Unreadable as error:
                raise unreadable("no JSON", call.name, call.effect) from error
            if not isinstance(said, dict):
                raise unreadable("no object", call.name, call.effect)
            return said
        raise self._refused(reply, call)

    def _exchange(
        self,
        method: str,
        url: str,
        name: str,
        effect: Effect,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        body: bytes | None,
    ) -> Reply:
        settings = self._settings
        bounds = Bounds(settings.connect_timeout_seconds, settings.timeout_seconds, settings.max_reply_bytes)
        try:
            return exchanged(self._http, method, url, bounds, headers=headers, params=params, data=body)
        except Untrusted as error:
            raise Misconfigured(
                "TLS", "The server's certificate is not trusted. Nothing was sent. An administrator checks `endpoint`."
            ) from error
        except NotSent as error:
            raise RetryLater(
                "NO-CONNECTION", "No connection to Xero. Nothing was sent. The hub tries again by itself."
            ) from error
        except requests.RequestException as error:
            raise unreadable(f"no whole answer ({type(error).__name__})", name, effect, "NO-ANSWER") from error

    def _refused(self, reply: Reply, call: Call) -> Exception:
        """What a status other than 200 means."""
        status, code = reply.status, f"HTTP-{reply.status}"
        try:
            said = decoded(reply.body)
        except Unreadable:
            said = None
        words = _words(said)
        if status == 401:
            return _TokenExpired(words or "no reason given")
        if status == 429:
            return _limited(reply.headers)
        if not isinstance(said, dict):
            return unreadable(f"HTTP {status} and no JSON", call.name, call.effect, code)
        if status == 403:
            return PermissionMissing(
                code,
                f"Xero forbids {call.name} ({words}). Nothing was changed. An administrator connects the organisation "
                f"{self._settings.tenant_id} to the app and grants its scopes.",
                record=call.path.split("/")[0],
            )
        if status == 404 and call.effect is Effect.WRITE:
            return RecordRejected(
                code, f"Xero does not know {call.name} ({words}). Nothing was changed. Operations checks its id."
            )
        if status == 400:
            match said.get("Type"):
                case "ValidationException" if call.effect is Effect.WRITE:
                    found = refusal(words)
                    return RecordRejected(
                        found.code, f"Xero refused it: {words} Nothing was changed. {found.fix}", found.path
                    )
                case "PostDataInvalidException" if call.effect is Effect.WRITE:
                    return RecordRejected(
                        "POST-DATA",
                        f"Xero cannot read the request: {words} Nothing was changed. Integration corrects it.",
                    )
                case "QueryParseException" if call.effect is Effect.READ:
                    return SchemaDrift(
                        "QUERY",
                        f"Xero does not understand a query: {words} Nothing was read. Integration compares it with Xero's page.",
                        field=call.path.split("/")[0],
                    )
        return unreadable(f"HTTP {status} ({words})", call.name, call.effect, code)

    # ------------------------------------------------------------ the token
    def _log_in(self) -> None:
        settings = self._settings
        grant = {"grant_type": "client_credentials", "scope": settings.scopes}
        login = f"{settings.client_id}:{settings.client_secret.get_secret_value()}".encode()
        headers = {
            "Authorization": f"Basic {b64encode(login).decode('ascii')}",
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        asked_at = time.monotonic()
        form = urlencode(grant).encode("ascii")
        reply = self._exchange("POST", settings.token_url, "the token request", Effect.READ, headers, {}, form)
        status = reply.status
        try:
            said = decoded(reply.body)
        except Unreadable:
            said = None
        said = said if isinstance(said, dict) else {}
        problem = one_line(said.get("error", ""), 60)
        if status in (400, 401, 403) and problem:
            raise AuthFailed(
                problem,
                f"Xero refused the log-in ({problem}). This connection's work stops. An administrator checks client id, secret "
                "and scopes of the custom connection.",
            )
        token, lasts = said.get("access_token"), said.get("expires_in")
        if status != 200 or not isinstance(token, str) or not token.isascii() or not token or type(lasts) is not int:
            raise unreadable(f"HTTP {status} and no token", "the token request", Effect.READ, "NO-TOKEN")
        self._token = token
        self._token_ends = asked_at + max(1.0, lasts - _EARLY)


def _words(said: object) -> str:
    """What an error body says, in one line: validation sentences first."""
    if not isinstance(said, dict):
        return ""
    elements = said.get("Elements")
    sentences = (
        [validation_words(e) for e in elements[:10] if isinstance(e, dict)] if isinstance(elements, list) else []
    )
    if any(sentences):
        return one_line(" ".join(s for s in sentences if s))
    return one_line(said.get("Message") or said.get("Detail") or said.get("Title") or "no reason given")


def _limited(headers: Mapping[str, str]) -> QuotaExhausted:
    problem = headers.get("X-Rate-Limit-Problem", "").strip().lower()
    name, pause = LIMITS.get(problem, (MINUTE, 60.0))
    named = retry_after(headers)
    after = pause if named is None else named
    return QuotaExhausted(
        "HTTP-429",
        f"Xero's {problem or 'call'} limit is used up. Nothing was changed. The hub goes on by itself in {after:.0f} seconds.",
        after=after,
        limit=name,
    )

"""One log-in and one request at a time: what leaves, what comes back, and what it means when nothing readable does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from connectors.bounded import ReplyTooLarge
from connectors.endpoint import http_session
from connectors.errors import AuthFailed, ConnectorError, Misconfigured, QuotaExhausted, RecordRejected, RetryLater
from connectors.exact_json import Unreadable, Unwritable, read, write
from connectors.exchange import Bounds, NotSent, Reply, Untrusted, exchanged
from connectors.netsuite.error_table import (
    REQUESTS,
    Effect,
    odd_reply,
    one_line,
    unknown_answer,
    vendor_errors,
    vendor_failure,
)
from connectors.netsuite.settings import NetSuiteSettings

_ROOT = "/services/rest"
_TOKEN = f"{_ROOT}/auth/oauth2/v1/token"
_QUERY = "query/v1/suiteql"
_LOCATION = re.compile(r"/record/v1/([A-Za-z]+)/(\d{1,18})/?(?:\?.*)?$")
_ASSERTION_LIFE = 300  # NetSuite takes at most 3600; a stolen assertion should be worth little
_LONGEST_TOKEN = 8192
_LONGEST_PAGE = 1000
_MOST_ROWS = 100_000  # NetSuite itself gives no more

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `path` is below `/services/rest/`. `record` is what it is about, for errors."""

    path: str
    method: str = "GET"
    effect: Effect = Effect.READ
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    record: str = ""


class AccountSession:
    """A session with one account, for one thread. Logs in at the first request, and once more when a token has expired.

    Each request is sent once. The one exception: after a 401 it is sent again with a new token, because NetSuite checks the
    token before it looks at the request, so a 401 is certainly not applied.
    """

    def __init__(self, settings: NetSuiteSettings, pace: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._pace = pace
        self._http = http_session(settings.endpoint or settings.host)
        self._token: str | None = None

    def __repr__(self) -> str:
        return f"AccountSession({self._settings.account})"

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._token = None
        self._http.close()

    # ------------------------------------------------------------ requests
    def get(self, record: str, key: str) -> dict[str, Any]:
        """One record with its lines; `key` is an internal id or `eid:…` as the address takes it. Raises Absent."""
        found = self.send(Call(f"record/v1/{record}/{key}", params={"expandSubResources": "true"}, record=record))
        return self._object(found, Effect.READ)

    def write(self, method: str, path: str, body: object, *, record: str, replace: str = "") -> str:
        """Save a record and return its internal id: 204 with a Location, and an empty body.

        Raises OutcomeUnknown when it may have been saved, RecordRejected when NetSuite refused it.
        """
        params = {"replace": replace} if replace else {}
        reply = self.send(Call(path, method, Effect.WRITE, params, body, record=record))
        match = _LOCATION.search(reply.headers.get("Location", "")[:500])
        if reply.status != 204 or match is None or match.group(1).lower() != record.lower():
            raise odd_reply(f"HTTP {reply.status} does not name the {record} that was saved", Effect.WRITE)
        return match.group(2)

    def query_all(self, statement: str, *, record: str) -> list[Row]:
        """All rows of a query that may have more than a page has; the statement orders them. Raises as `query`."""
        rows: list[Row] = []
        while True:
            page = self.query(statement, most=_LONGEST_PAGE, record=record, offset=len(rows))
            rows += page
            if len(page) < _LONGEST_PAGE:
                return rows
            if len(rows) >= _MOST_ROWS:
                raise odd_reply(f"a query has more than {_MOST_ROWS} rows")

    def query(self, statement: str, *, most: int, record: str, offset: int = 0) -> list[Row]:
        """The first `most` rows (1000) of a query. Values are text; absent ones are left out.

        Raises RetryLater when the reply is no query result.
        """
        reply = self.send(
            Call(
                _QUERY,
                "POST",
                params={"limit": str(most), "offset": str(offset)},
                body={"q": statement},
                headers={"Prefer": "transient"},
                record=record,
            )
        )
        page = self._object(reply, Effect.READ)
        found = page.get("items")
        if not isinstance(found, list) or len(found) > most or not all(isinstance(row, dict) for row in found):
            raise odd_reply("a query was answered with something else than its rows")
        if len(found) < most and page.get("hasMore") is True:  # a short page is taken for the last one
            raise odd_reply("a page of a query is shorter than asked for, and yet there is more")
        return [
            {name: str(cell) for name, cell in row.items() if name != "links" and cell is not None} for row in found
        ]

    def send(self, call: Call) -> Reply:
        """Send a request once and return an answer with a status below 300. Raises any ConnectorError."""
        for last_try in (False, True):
            self._pace()
            token = self._token or self._log_in()
            try:
                return self._sent(call, token)
            except AuthFailed:
                self._token = None
                if last_try:
                    raise
        raise AssertionError("the second try returns or raises")

    def _object(self, reply: Reply, effect: Effect) -> dict[str, Any]:
        try:
            found = read(reply.body)
        except Unreadable as error:
            raise odd_reply(str(error), effect) from error
        if not isinstance(found, dict):
            raise odd_reply("the body is no object", effect)
        return found

    # ------------------------------------------------------------ one request
    def _sent(self, call: Call, token: str) -> Reply:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "X-NetSuite-PropertyNameValidation": "Error",
            "X-NetSuite-PropertyValueValidation": "Error",
            **call.headers,
        }
        data = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            try:
                data = write(call.body)
            except Unwritable as error:
                raise RecordRejected(
                    "UNWRITABLE",
                    f"The record cannot be sent: {error}. Nothing was sent. Integration corrects the document.",
                ) from error
        reply = self._exchanged(call.method, f"{_ROOT}/{call.path}", call.params, data, headers, call.effect)
        if 200 <= reply.status < 300:
            return reply
        raise self._refused(reply.status, reply.body, call)

    def _exchanged(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        data: bytes | None,
        headers: Mapping[str, str],
        effect: Effect,
    ) -> Reply:
        settings = self._settings
        bounds = Bounds(settings.connect_timeout_seconds, settings.timeout_seconds, settings.max_reply_bytes)
        url = (settings.endpoint or settings.host) + path
        try:
            return exchanged(self._http, method, url, bounds, headers=headers, params=params, data=data)
        except requests.RequestException as error:
            raise failed_request(error, effect) from error

    def _refused(self, status: int, body: bytes, call: Call) -> ConnectorError:
        try:
            errors = vendor_errors(read(body))
        except Unreadable:
            errors = []
        pause = self._settings.quota_pause_seconds
        if status == 401:
            words = errors[0].words if errors else "no reason given"
            return AuthFailed(
                errors[0].code if errors else "HTTP-401",
                f"NetSuite did not accept the token ({words}). This connection's work stops. An administrator of NetSuite looks "
                "at the Login Audit Trail and at the role of the client credentials set-up.",
            )
        if status == 429:
            return QuotaExhausted(
                errors[0].code if errors else "HTTP-429",
                "NetSuite serves no more requests just now. Nothing was changed. The hub waits; if it lasts, an administrator "
                "lowers max_concurrency or requests_per_minute.",
                after=pause,
                limit=REQUESTS,
            )
        if errors and (status < 500 or call.effect is Effect.READ):
            return vendor_failure(errors, status, call.effect, pause=pause, record=call.record)
        if 300 <= status < 400 and call.effect is Effect.READ:
            return Misconfigured(
                "REDIRECT",
                "NetSuite's address answers with a redirect. This connection's work stops. An administrator checks account.",
            )
        words = errors[0].words if errors else f"a body that is not its own, {one_line(body[:200], 120)}"
        return unknown_answer(f"HTTP-{status}", f"NetSuite answered HTTP {status} with {words}.", call.effect)

    # ------------------------------------------------------------ the token
    def _log_in(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._assertion(),
        }
        data = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        reply = self._exchanged("POST", _TOKEN, {}, data, headers, Effect.READ)
        status = reply.status
        try:
            answer = read(reply.body)
        except Unreadable:
            answer = None
        if status == 200 and isinstance(answer, dict):
            token = answer.get("access_token")
            if isinstance(token, str) and 0 < len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable():
                self._token = token
                return token
        said = one_line(answer.get("error") if isinstance(answer, dict) else "no JSON", 80)
        if status in (400, 401, 403):
            raise AuthFailed(
                said if said.isidentifier() else f"HTTP-{status}",
                f"NetSuite refused the log-in ({said}). This connection's work stops. An administrator compares account, "
                "client_id, certificate_id and private_key with Setup, Integration, OAuth 2.0 Client Credentials, and looks "
                "whether the certificate has expired.",
            )
        if status == 404:
            raise Misconfigured(
                "ACCOUNT-UNKNOWN",
                f"There is no NetSuite account at {self._settings.host}. This connection's work stops. The hub's administrator "
                "corrects account.",
            )
        raise RetryLater(
            f"LOGIN-{status}",
            f"The token endpoint answered HTTP {status} ({said}). Nothing was done. The hub tries again.",
        )

    def _assertion(self) -> str:
        import jwt

        settings = self._settings
        now = int(time.time())
        claims = {
            "iss": settings.client_id,
            "scope": ["rest_webservices"],
            "aud": settings.host + _TOKEN,
            "iat": now,
            "exp": now + _ASSERTION_LIFE,
        }
        try:
            return jwt.encode(
                claims,
                settings.private_key.get_secret_value(),
                algorithm=str(settings.algorithm),
                headers={"kid": settings.certificate_id},
            )
        except (ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:  # cryptography, on a key that is none
            raise Misconfigured(
                "PRIVATE-KEY",
                f"The private key cannot sign a log-in with {settings.algorithm} ({type(error).__name__}). This connection's "
                "work stops. An administrator sets private_key to the key of the certificate, in PEM form, and algorithm to "
                "what fits it.",
            ) from None


def failed_request(error: requests.RequestException, effect: Effect) -> ConnectorError:
    """What it means that a request got no whole answer: not applied if no connection was made, else in doubt."""
    name = type(error).__name__
    if isinstance(error, Untrusted):
        return Misconfigured(
            "TLS",
            "The certificate of NetSuite's address is not trusted. Nothing was sent. An administrator checks it.",
        )
    if isinstance(error, NotSent):
        return RetryLater(
            "NO-CONNECTION",
            "No connection to NetSuite could be made. Nothing was sent. The hub tries again by itself.",
        )
    if isinstance(error, ReplyTooLarge) and effect is Effect.READ:  # asking again would bring the same
        return Misconfigured(
            "REPLY-TOO-LARGE",
            f"Of a reply, {error}. It was not read to its end. The hub's administrator lowers page_size or raises "
            "max_reply_bytes.",
        )
    return unknown_answer("NO-ANSWER", f"No whole answer came back from NetSuite ({name}).", effect)

"""One login and one request at a time: what leaves, what comes back, and what it means when nothing readable does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests

from connectors.base import Native
from connectors.bounded import ReplyTooLarge
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    QuotaExhausted,
    RetryLater,
)
from connectors.exact_json import Unreadable
from connectors.exchange import NotSent, judged
from connectors.salesforce.error_table import (
    DAILY_CALLS,
    Effect,
    one_line,
    raise_for,
    unknown_answer,
    vendor_errors,
)
from connectors.salesforce.settings import Auth, SalesforceSettings
from connectors.salesforce.transport import Reply, http_session

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

_ORG_HOSTS = (".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn")
_JSON = "application/json"
_LONGEST_QUERY = 16_000  # an address may have 16,384 bytes (REST API guide, limits)
_TOO_MANY_LOGINS = "LOGIN_RATE_EXCEEDED"
_BUSY_LOGINS = frozenset({"server_error", "temporarily_unavailable", _TOO_MANY_LOGINS})
_RATE_WORDS = "login rate exceeded"
"""What 3,600 log-ins of a user in an hour end with, as the description of `invalid_grant` (n8n-io/n8n#32325): the credential is
good."""
_RATE_PAUSE = 300.0  # the hour rolls on; nobody says for how long it is closed


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `path` is below `/services/data/v68.0/`, or absolute when it begins with `/services/`.

    `record` is the record type it is about, for errors.
    """

    path: str
    method: str = "GET"
    effect: Effect = Effect.READ
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = _JSON
    accept: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    record: str = ""


class OrgSession:
    """A session with one org, for one thread. Logs in at the first request, and once more when a token has expired.

    Each request is sent once. The one exception: after a 401 it is sent again with a new token, because Salesforce
    checks the token before it looks at the request, so a 401 is certainly not applied.
    """

    def __init__(self, settings: SalesforceSettings, pace: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._pace = pace
        self._http = http_session(settings)
        self._http.hooks["response"].append(self._note_headers)
        self._org: Salesforce | None = None
        self._usage: tuple[int, int] | None = None
        self._usage_seen_at = 0.0
        self._reserve = settings.daily_call_reserve

    def __repr__(self) -> str:
        return f"OrgSession({self._settings.domain})"

    @property
    def usage(self) -> tuple[int, int] | None:
        """API calls used and allowed in 24 hours, as the newest reply said; None before the first."""
        return self._usage

    @contextmanager
    def into_reserve(self) -> Iterator[None]:
        """For a person's own question, such as a check: calls that are reserved for others may be used."""
        kept, self._reserve = self._reserve, 0
        try:
            yield
        finally:
            self._reserve = kept

    def close(self) -> None:
        """Give back sockets and forget the token."""
        self._org = None
        self._http.close()

    def send(self, call: Call) -> Reply:
        """Send a request once and return an answer with a status below 300.

        Raises any ConnectorError. For `Effect.WRITE`: OutcomeUnknown when it may have been applied, RecordRejected when
        Salesforce refused the request as a whole; everything else means that it was certainly not applied.
        """
        self._keep_reserve()
        org = self._org or self._log_in()
        try:
            return self._send_once(org, call)
        except _TokenExpired:
            self._org = None
        org = self._log_in()
        try:
            return self._send_once(org, call)
        except _TokenExpired as error:
            self._org = None
            raise AuthFailed(
                error.code,
                f"Salesforce refused a token that is seconds old ({error.words}). This connection's work stops. "
                "An administrator checks the External Client App, its run-as user and the user's session policies.",
            ) from None

    def send_json(self, call: Call) -> Any:
        """As `send`, returning the body as values; an unreadable body is in doubt for a write."""
        reply = self.send(call)
        try:
            return reply.json()
        except Unreadable as error:
            raise unreadable(reply, str(error), call.effect) from error

    # ------------------------------------------------------------ the request
    def _send_once(self, org: Salesforce, call: Call) -> Reply:
        from simple_salesforce.exceptions import SalesforceError

        root = f"https://{org.sf_instance}"
        url = root + call.path if call.path.startswith("/services/") else org.base_url + call.path
        headers = {"Content-Type": call.content_type, "Accept": call.accept, "X-PrettyPrint": "0", **call.headers}
        self._pace()
        try:
            # The library's own request method: `restful` hides status and headers, which 304, 204 and CSV need.
            response = org._call_salesforce(
                call.method,
                url,
                name=call.record or call.path.split("/")[0],
                params=dict(call.params) or None,
                data=call.body,
                headers=headers,
                allow_redirects=False,
            )
        except SalesforceError as error:
            return self._refused(error, call)
        except requests.RequestException as error:
            raise failed_request(error, call.effect) from error
        return Reply(response.status_code, dict(response.headers), response.content)

    def _refused(self, error: Any, call: Call) -> Reply:
        status, content = int(error.status), error.content
        if status == 304:
            return Reply(status, {}, b"")
        errors = vendor_errors(content)
        if status == 401:
            first = errors[0] if errors else None
            raise _TokenExpired(first.code if first else "HTTP-401", first.words if first else "no reason given")
        if errors:
            raise_for(errors[0], status, call.effect, pause=self._settings.quota_pause_seconds, record=call.record)
        said = f"Salesforce answered HTTP {status} with a body that is not its own ({one_line(content, 120)})."
        if status in (429, 503) and call.effect is Effect.READ:
            raise RetryLater(f"HTTP-{status}", said + " Nothing was changed. The hub tries again by itself.")
        raise unknown_answer(f"HTTP {status}", f"HTTP-{status}", said, call.effect)

    # ------------------------------------------------------------ the token
    def _log_in(self) -> Salesforce:
        from simple_salesforce import Salesforce

        token, instance = self._token()
        host = urlsplit(f"https://{instance}").hostname or ""
        if self._settings.endpoint is None and not f".{host}".endswith(_ORG_HOSTS):
            raise Misconfigured(
                "INSTANCE-FOREIGN",
                f"The token reply names the instance {one_line(host, 80)}, which is not at Salesforce. No data was sent "
                "there. An administrator checks the domain setting and any proxy on the way.",
            )
        # A session built from a token never logs in by itself, so no request is resent behind our back (the library
        # resends up to 3 times otherwise).
        self._org = Salesforce(
            session_id=token,
            instance_url=f"https://{instance}",
            version=self._settings.api_version,
            session=self._http,
        )
        return self._org

    def _token(self) -> tuple[str, str]:
        from jwt import PyJWTError
        from simple_salesforce.exceptions import SalesforceAuthenticationFailed
        from simple_salesforce.login import SalesforceLogin

        try:
            token, instance = SalesforceLogin(session=self._http, **self._credentials())
        except SalesforceAuthenticationFailed as error:
            raise _login_refused(error.code, str(error.auth_message)) from None
        except requests.RequestException as error:
            raise failed_request(error, Effect.READ) from None
        except UserWarning as error:  # "user hasn't approved this consumer", where warnings are errors
            raise _login_refused("invalid_grant", str(error)) from None
        except (AttributeError, TypeError) as error:
            raise RetryLater(
                "LOGIN-UNREADABLE",
                f"The token reply of {self._settings.domain} is not one ({type(error).__name__}). Nothing was done. The "
                "hub tries again by itself.",
            ) from None
        except (ValueError, PyJWTError) as error:  # PyJWT and cryptography on a key that is none
            raise Misconfigured(
                "PRIVATE-KEY",
                f"The private key cannot sign a login ({type(error).__name__}). This connection's work stops. An "
                "administrator sets private_key to the RSA key in PEM form that belongs to the app's certificate.",
            ) from None
        if not (isinstance(token, str) and token and isinstance(instance, str) and instance):
            raise RetryLater(
                "LOGIN-UNREADABLE",
                f"The token reply of {self._settings.domain} holds no token. Nothing was done. The hub tries again.",
            )
        return token, instance.split("/")[0]

    def _credentials(self) -> dict[str, str]:
        settings = self._settings
        if settings.auth is Auth.JWT and settings.private_key is not None and settings.username is not None:
            return {
                "username": settings.username,
                "consumer_key": settings.consumer_key,
                "privatekey": settings.private_key.get_secret_value(),
                "domain": settings.login_domain or "login",
                "instance_url": settings.domain,
                "sf_version": settings.api_version,
            }
        if settings.consumer_secret is None:
            raise Misconfigured("SECRET-MISSING", "The connection has no consumer_secret. Set it and try again.")
        return {
            "consumer_key": settings.consumer_key,
            "consumer_secret": settings.consumer_secret.get_secret_value(),
            "domain": settings.domain,
            "sf_version": settings.api_version,
        }

    # ------------------------------------------------------------ the quota
    def _note_headers(self, response: requests.Response, **_: object) -> None:
        limit_info = response.headers.get("Sforce-Limit-Info", "")[:200]
        used, slash, limit = limit_info.partition(";")[0].rpartition("api-usage=")[2].partition("/")
        if slash and used.strip().isdecimal() and limit.strip().isdecimal():
            self._usage = (int(used), int(limit))
            self._usage_seen_at = time.monotonic()

    def _keep_reserve(self) -> None:
        """Raise QuotaExhausted when the calls left are others' reserve; once per pause one call goes out to look again."""
        if self._usage is None:
            return
        used, limit = self._usage
        pause = self._settings.quota_pause_seconds
        waited = time.monotonic() - self._usage_seen_at
        if used < limit - min(self._reserve, limit - 1) or waited >= pause:
            return
        raise QuotaExhausted(
            "DAILY-RESERVE",
            f"{used} of the org's {limit} API calls in 24 hours are used, the last {self._reserve} "
            "are reserved for others. Nothing was sent. The hub waits; an administrator may lower daily_call_reserve.",
            after=pause - waited,
            limit=DAILY_CALLS,
        )

    # ------------------------------------------------------------ queries
    def query(self, soql: str, *, most: int, record: str, path: str = "query") -> list[Native]:
        """All rows of a query, following the pages Salesforce cuts a wide result into. `path` may be `queryAll`.

        Raises RetryLater when there are more than `most` rows or the reply is not a query result.
        """
        rows: list[Native] = []
        if len(quote(soql, safe="")) > _LONGEST_QUERY:
            raise Misconfigured(
                "QUERY-TOO-LONG",
                f"A query of {record} is {len(soql)} characters long, more than the address of a request holds. Nothing was "
                "read. Whoever keeps the mapping uses fewer fields.",
            )
        call = Call(f"{path}/", params={"q": soql}, record=record)
        while True:
            result = self.send_json(call)
            found = result.get("records") if isinstance(result, dict) else None
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                raise odd_reply("a query was answered with something else than records")
            rows += found
            if len(rows) > most:
                raise odd_reply(f"a query for at most {most} rows brought {len(rows)}")
            following, done = result.get("nextRecordsUrl"), result.get("done")
            if not isinstance(done, bool):
                raise odd_reply("a query result does not say whether these are all rows")
            if done:
                # totalSize counts what the query returned (REST API guide, Query); further pages may have lost rows to deletes
                total = result.get("totalSize")
                if len(rows) == len(found) and isinstance(total, int) and total > len(rows):
                    raise odd_reply(f"a query for {total} rows brought {len(rows)} and says that these are all")
                return rows
            if not (isinstance(following, str) and following.startswith("/services/data/v") and found):
                raise odd_reply("a query result says it goes on but names no next page")
            call = Call(following, record=record)


class _TokenExpired(Exception):  # noqa: N818 - it says what the token is
    def __init__(self, code: str, words: str) -> None:
        self.code, self.words = code, words
        super().__init__(code)


def _login_refused(code: object, words: str) -> ConnectorError:
    shown = one_line(words, 160)
    if isinstance(code, int):
        if code >= 500 or code == 429 or code < 300:
            return RetryLater(
                f"HTTP-{code}",
                f"The token endpoint answered HTTP {code} without a token ({shown}). Nothing was done. The hub tries "
                "again by itself.",
            )
        return AuthFailed(
            f"HTTP-{code}",
            f"The token endpoint answered HTTP {code} ({shown}). This connection's work stops. An administrator checks "
            "the domain setting.",
        )
    if _RATE_WORDS in words.casefold():
        code = _TOO_MANY_LOGINS
    if code in _BUSY_LOGINS:
        pause = _RATE_PAUSE if code == _TOO_MANY_LOGINS else None
        said = f"Salesforce could not log in just now ({shown}). The hub tries again by itself."
        return RetryLater(str(code), said, pause)
    return AuthFailed(
        one_line(code or "LOGIN-REFUSED", 60),
        f"Salesforce refused the login ({shown}). This connection's work stops. An administrator checks the consumer key, "
        "its secret or certificate, the app's flow and its run-as user.",
    )


def failed_request(error: requests.RequestException, effect: Effect) -> ConnectorError:
    """What it means that a request got no whole answer: not applied if no connection was made, else in doubt."""
    name = type(error).__name__
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL):
        return Misconfigured(
            "URL", f"The connection's address is unusable ({name}). An administrator checks the settings."
        )
    if isinstance(error, requests.TooManyRedirects):  # max_redirects is 0: any redirect ends here
        if effect is Effect.WRITE:
            return unknown_answer("redirect", "REDIRECT", "A write was answered with a redirect.", effect)
        return Misconfigured(
            "REDIRECT",
            "Salesforce's address answers with a redirect. This connection's work stops. An administrator sets domain to "
            "the org's own My Domain.",
        )
    if isinstance(judged(error), NotSent):
        return RetryLater(
            "NOT-CONNECTED",
            f"No connection to Salesforce could be made ({name}). Nothing was sent. The hub tries again by itself.",
        )
    if effect is Effect.READ and isinstance(error, ReplyTooLarge):  # asking again would bring the same
        return Misconfigured(
            "REPLY-TOO-LARGE",
            f"Of a reply, {error}. It was not read to its end, and nothing was taken over. The hub's administrator lowers "
            "page_size or raises max_reply_bytes.",
        )
    if effect is Effect.WRITE:
        return OutcomeUnknown(
            "NO-ANSWER",
            f"The request left, but no whole answer came back ({name}). It may have been applied. The hub looks it up "
            "before it resends.",
        )
    return RetryLater(
        "NO-ANSWER", f"No whole answer came back ({name}). Nothing was changed. The hub tries again by itself."
    )


def unreadable(reply: Reply, why: str, effect: Effect) -> OutcomeUnknown | RetryLater:
    """The exception for a 2xx with a body that cannot be what Salesforce says."""
    kind = one_line(reply.headers.get("Content-Type", "no content type"), 60)
    said = f"Salesforce answered HTTP {reply.status}, but {why}: {kind}, {len(reply.body)} bytes."
    return unknown_answer(f"HTTP {reply.status}", "REPLY-UNREADABLE", said, effect)


def odd_reply(why: str) -> RetryLater:
    """The exception for a read whose reply does not have the promised shape."""
    return RetryLater(
        "REPLY-SHAPE", f"Of Salesforce's reply, {why}. Nothing was taken over. The hub reads again later."
    )

"""Calls the SOAP services through `googleads` and turns every manner of failing into one of ours.

Traps this module knows (proven against googleads 51 and zeep 4.3): the SQLite cache under the home directory is the
default; a 503 or 429 with an HTML body surfaces as a bare TypeError from inside googleads; every fault is logged with
`Logger.warn`, which is deprecated; payloads are logged at DEBUG; `locale.getdefaultlocale` is called on construction.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from connectors import exchange
from connectors.bounded import ReplyTooLarge, ReplyTooSlow, bounded_body
from connectors.endpoint import keep_header
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
)
from connectors.gam.faults import Fate, Refused, VendorError, read_fault, verdict
from connectors.gam.login import Login
from connectors.gam.replies import Replies
from connectors.gam.settings import PUBLISHED_ENDPOINT, GamSettings

_T = TypeVar("_T")
MOST_WSDL_BYTES = 8 * 1024**2
"""Unpacked bytes of a WSDL; the largest of version v202511 has 545,031."""
_CONSTRUCTION = threading.Lock()
"""Constructing a client needs a warnings filter, and filters are process-wide."""

_NO_ADDRESS = (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)


class NotSent(Exception):  # noqa: N818 - on its way to a decision
    """A record cannot be written as SOAP at all, so nothing left this machine. Never leaves this package."""


class HttpAnswer(requests.RequestException):
    """A status other than 200 without a SOAP fault in its body."""

    def __init__(self, status: int, after: float | None, excerpt: str) -> None:
        self.status = status
        self.after = after
        self.excerpt = excerpt
        super().__init__(f"HTTP {status}")


class _Wire(HTTPAdapter):
    """Knows whether the bytes of a call left, reads at most so many bytes of an answer, and keeps answers that are no SOAP
    from being parsed as SOAP."""

    def __init__(self, server: str, settings: GamSettings) -> None:
        super().__init__(max_retries=0)
        self._server = _place(server)
        self._most_bytes, self._timeout = settings.max_reply_bytes, settings.timeout_seconds
        self.sent = False

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """One attempt, and only to the server of the settings, whatever address a WSDL names: it carries our token."""
        if _place(request.url or "") != self._server:
            raise Misconfigured(
                "WSDL-ADDRESS",
                f"The WSDL sends calls to {str(request.url)[:80]!r}, not to its own server. Nothing is sent.",
            )
        self.sent = True
        until = time.monotonic() + self._timeout
        try:
            response = super().send(request, *args, **{**kwargs, "stream": True})
        except requests.RequestException as error:
            self.sent = not isinstance(error, _NO_ADDRESS) and not isinstance(exchange.judged(error), exchange.NotSent)
            raise
        response._content = bounded_body(response, self._most_bytes, until)
        if response.status_code != 200 and not _holds_fault(response):
            text = " ".join(response.content[:300].decode("utf-8", "replace").split())
            raise HttpAnswer(response.status_code, exchange.retry_after(response.headers), text)
        return response


class _WsdlMemory:
    """The WSDLs of one connector, shared by its threads. zeep's own memory cache is shared by the whole process."""

    def __init__(self, settings: GamSettings) -> None:
        self._settings = settings
        self._kept: dict[str, bytes] = {}

    def get(self, url: str) -> bytes:
        """A WSDL, loaded here when it is new: zeep would read it whole, however long it is.

        Raises requests' own errors, as zeep does: HTTPError, ReplyTooLarge, ReplyTooSlow.
        """
        if url not in self._kept:
            self.add(url, self._load(url))
        return self._kept[url]

    def _load(self, url: str) -> bytes:
        until = time.monotonic() + self._settings.timeout_seconds
        timeout = self._settings.timeout_seconds
        with requests.get(url, timeout=timeout, stream=True, auth=keep_header) as response:
            response.raise_for_status()
            return bounded_body(response, MOST_WSDL_BYTES, until)

    def add(self, url: str, content: bytes) -> None:
        """Keep a WSDL; one that carries a document type declaration is refused."""
        if b"<!DOCTYPE" in content:
            raise Misconfigured("WSDL-DTD", f"{url} carries a document type declaration and is not trusted.")
        self._kept[url] = bytes(content)


class Soap:
    """The services of one connection. Each thread has its own client, session and parsed WSDLs (0.05 to 0.3 s each)."""

    def __init__(self, settings: GamSettings, login: Login, pace: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._login = login
        self._pace = pace
        self._memory: Any = None
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def read(self, service: str, operation: str, *arguments: Any) -> Any:
        """A call that changes nothing; its answer as `connectors.gam.replies` reads it.

        Raises RetryLater where a write would be in doubt; never OutcomeUnknown.
        """
        try:
            return self._call(service, operation, arguments)
        except OutcomeUnknown as error:
            raise RetryLater(error.code, error.message, self._settings.busy_wait_seconds) from error
        except NotSent as error:
            raise RecordRejected("PAYLOAD-INVALID", f"{operation} cannot be written as SOAP: {error}.") from error
        except Refused as refusal:
            raise self.fate(refusal, "", writes=False) from refusal

    def write(self, service: str, operation: str, *arguments: Any) -> Any:
        """A call that may change something; its answer as `connectors.gam.replies` reads it.

        Raises Refused with the vendor's typed errors (the caller decides per record), NotSent, RetryLater,
        QuotaExhausted, AuthFailed, PermissionMissing, Misconfigured (all: not applied) or OutcomeUnknown.
        """
        return self._call(service, operation, arguments)

    def can_write(self, service: str, operation: str, argument: Any) -> str | None:
        """None if the argument can be packed as SOAP, else why not. No request."""
        try:
            self._service(service).GetRequestXML(operation, argument)
        except ConnectorError:
            raise
        except Exception as error:
            return _words(error)
        return None

    def field_names(self, service: str, type_name: str) -> frozenset[str]:
        """The fields a type has in the WSDL in use; empty when the WSDL does not know the type."""
        client = self._service(service).zeep_client
        for namespace in client.wsdl.types.prefix_map.values():
            try:
                found = client.get_type(f"{{{namespace}}}{type_name}")
            except Exception as error:
                if type(error).__name__ != "LookupError":
                    raise
                continue
            return frozenset(name for name, _ in found.elements)
        return frozenset()

    def fate(self, refusal: Refused, record: str, *, writes: bool) -> ConnectorError:
        """The error that a whole refused call amounts to, worst first. For calls that concern no single record."""
        found = refusal.errors or (VendorError("UNKNOWN"),)
        ranked = sorted(found, key=lambda e: _WORST.index(self.verdict(e.code)))
        worst = ranked[0]
        words = "; ".join(str(e) for e in ranked[:5]) or refusal.message
        return self._error(worst, words, record, writes=writes)

    def verdict(self, code: str) -> Fate:
        """What a code means with this connection's settings."""
        return verdict(code, self._settings.retryable).fate

    def close(self) -> None:
        """Close every thread's session."""
        while self._sessions:
            self._sessions.pop().close()

    # ------------------------------------------------------------ one call
    def _call(self, service: str, operation: str, arguments: tuple[Any, ...]) -> Any:
        proxy = self._service(service)
        wire: _Wire = self._local.wires[service]
        wire.sent = False
        self._pace()
        try:
            getattr(proxy, operation)(*arguments)
            answer = self._local.replies[service].take()
        except ConnectorError:
            raise
        except Exception as error:
            raise self._translated(error, operation, wire) from error
        self._login.worked()
        return answer

    def _translated(self, error: Exception, operation: str, wire: _Wire) -> Exception:
        """Which of our errors a failed call is."""
        answer = _in_chain(error, HttpAnswer)
        if (
            answer is not None and answer.status == 413
        ):  # refused before it was looked at: as if the vendor said so itself
            return Refused([VendorError("CommonError.REQUEST_TOO_LARGE")], f"{operation} answered HTTP 413.")
        if answer is not None:
            return self._http(answer, operation)
        fault = _fault(error)
        if fault is not None:
            refusal = read_fault(fault.detail, fault.message)
            if any(self.verdict(e.code) is Fate.TOKEN for e in refusal.errors):
                return self._token_refused(str(refusal.errors[0]))
            if refusal.errors:
                self._login.worked()
                return refusal
            return OutcomeUnknown(
                "FAULT-UNTYPED", f"{operation} answered a fault without a typed error: {fault.message}"
            )
        bound = _in_chain(error, ReplyTooLarge) or _in_chain(error, ReplyTooSlow)
        if bound is not None:
            code = "REPLY-TOO-LARGE" if isinstance(bound, ReplyTooLarge) else "REPLY-TOO-SLOW"
            return OutcomeUnknown(
                code,
                f"The answer to {operation} was not read to its end: {bound}. Nobody knows what it said. The hub looks up what "
                "became of a write; if this lasts, an administrator lowers page_size or raises max_reply_bytes.",
            )
        if isinstance(error, requests.RequestException):
            words = f"{operation} got no answer ({type(error).__name__})."
            if wire.sent:
                return OutcomeUnknown("NO-ANSWER", words)
            return RetryLater("NO-CONNECTION", words, self._settings.busy_wait_seconds)
        if not wire.sent:
            return NotSent(_words(error))
        return OutcomeUnknown(
            "ANSWER-UNREADABLE", f"{operation} answered something unreadable ({type(error).__name__})."
        )

    def _token_refused(self, words: str) -> ConnectorError:
        if self._login.refused():
            return RetryLater("TOKEN-EXPIRED", f"The access token expired: {words}. A new one is asked for.", 0.0)
        return AuthFailed("AUTHENTICATION_FAILED", f"Ad Manager refused the credential: {words}. Renew it.")

    def _http(self, answer: HttpAnswer, operation: str) -> ConnectorError:
        code, words = f"HTTP-{answer.status}", f"{operation} answered HTTP {answer.status} without a SOAP body."
        if answer.status == 401:
            return self._token_refused(code)
        if answer.status == 403:
            return PermissionMissing(
                code, f"{words} The API is not enabled for this account, or the address is blocked."
            )
        if answer.status == 404:
            return Misconfigured(code, f"{words} Check `endpoint` and `version` ({self._settings.version}).")
        if answer.status == 429:
            return QuotaExhausted(code, words, answer.after or self._settings.quota_wait_seconds, "requests")
        if answer.status in (502, 503, 504) and self._settings.unavailable == "retry":
            return RetryLater(code, words, answer.after or self._settings.busy_wait_seconds)
        return OutcomeUnknown(code, words)

    def _error(self, error: VendorError, words: str, record: str, *, writes: bool) -> ConnectorError:
        settings, fate = self._settings, self.verdict(error.code)
        match fate:
            case Fate.QUOTA:
                return QuotaExhausted(error.code, words, settings.quota_wait_seconds, "requests")
            case Fate.REPORT_QUOTA:
                return QuotaExhausted(error.code, words, settings.report_quota_wait_seconds, "reports")
            case Fate.FORECAST:
                return RetryLater(error.code, words, settings.forecast_wait_seconds)
            case Fate.RETRY:
                return RetryLater(error.code, words, settings.busy_wait_seconds)
            case Fate.TOKEN:
                return self._token_refused(words)
            case Fate.AUTH:
                return AuthFailed(error.code, f"Ad Manager refused the credential: {words}. Renew it.")
            case Fate.PERMISSION:
                return PermissionMissing(error.code, f"This account lacks a right: {words}.", record)
            case Fate.MISCONFIGURED:
                return Misconfigured(
                    error.code, f"API version {settings.version} is refused: {words}. Set a newer one."
                )
            case Fate.UNSURE | Fate.WRITTEN | Fate.UNKNOWN | Fate.TAKEN if writes:
                return OutcomeUnknown(error.code, words)
            case Fate.UNSURE | Fate.UNKNOWN:
                return RetryLater(error.code, words, settings.busy_wait_seconds)
            case Fate.REJECT | Fate.TAKEN | Fate.TOO_LARGE:
                return RecordRejected(error.code, words, error.field)
            case _:
                return Misconfigured(error.code, f"Ad Manager refused the question itself: {words}.")

    # ------------------------------------------------------------ clients
    def _service(self, name: str) -> Any:
        """This thread's proxy of a service; loads the WSDL at first use.

        Raises Misconfigured when the version or service does not exist, RetryLater when the WSDL cannot be had.
        """
        services: dict[str, Any] = self._local.__dict__.setdefault("services", {})
        if name not in services:
            services[name] = self._new_service(name)
        return services[name]

    def _new_service(self, name: str) -> Any:
        from googleads.errors import GoogleAdsSoapTransportError, GoogleAdsValueError
        from googleads.util import ZeepLogger
        from zeep.exceptions import Error as ZeepError

        version, server = self._settings.version, self._settings.endpoint
        try:
            proxy = self._client().GetService(name, version=version, server=server)
        except (GoogleAdsSoapTransportError, GoogleAdsValueError) as error:
            status = getattr(getattr(error.__context__, "response", None), "status_code", None)
            if status is not None and (status >= 500 or status == 429):
                raise RetryLater(f"HTTP-{status}", f"The WSDL of {name} cannot be had now (HTTP {status}).") from error
            raise Misconfigured(
                f"HTTP-{status}" if status else "WSDL-MISSING",
                f"There is no {name} of version {version} at {server or PUBLISHED_ENDPOINT}. "
                "Nothing is sent. Correct `version` or `endpoint`.",
            ) from error
        except requests.RequestException as error:
            raise RetryLater("NO-CONNECTION", f"The WSDL of {name} cannot be had ({type(error).__name__}).") from error
        except (ZeepError, SyntaxError) as error:
            raise RetryLater("WSDL-UNREADABLE", f"The WSDL of {name} is unreadable: {_words(error)}.") from error
        zeep_client = proxy.zeep_client
        zeep_client.plugins = [plugin for plugin in zeep_client.plugins if not isinstance(plugin, ZeepLogger)]
        zeep_client.settings.forbid_dtd = True
        replies = Replies(zeep_client.wsdl.types)
        zeep_client.plugins.append(replies)
        self._local.__dict__.setdefault("replies", {})[name] = replies
        wire, session = _Wire(server or PUBLISHED_ENDPOINT, self._settings), zeep_client.transport.session
        session.mount("http://", wire)
        session.mount("https://", wire)
        session.auth = keep_header
        self._sessions.append(session)
        self._local.__dict__.setdefault("wires", {})[name] = wire
        return proxy

    def _client(self) -> Any:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = _quietly(self._new_client)
        return client

    def _new_client(self) -> Any:
        from googleads import ad_manager
        from zeep.cache import Base

        if self._memory is None:
            # zeep wants a subclass of its Base, which may only be imported with it
            self._memory = type("WsdlMemory", (_WsdlMemory, Base), {})(self._settings)
        settings = self._settings
        return ad_manager.AdManagerClient(
            self._login,
            settings.application_name,
            network_code=settings.network_code,
            cache=self._memory,
            timeout=settings.timeout_seconds,
        )


_WORST = (
    Fate.WRITTEN,
    Fate.UNKNOWN,
    Fate.UNSURE,
    Fate.TOKEN,
    Fate.AUTH,
    Fate.MISCONFIGURED,
    Fate.PERMISSION,
    Fate.QUOTA,
    Fate.REPORT_QUOTA,
    Fate.RETRY,
    Fate.FORECAST,
    Fate.TAKEN,
    Fate.TOO_LARGE,
    Fate.DEFECT,
    Fate.REJECT,
)


def _quietly(make: Callable[[], _T]) -> _T:
    """Construct with exactly the two warnings silenced that googleads 51 raises on construction."""
    with _CONSTRUCTION, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"'locale\.getdefaultlocale' is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", r"The 'warn' method is deprecated", DeprecationWarning)
        return make()


def _place(url: str) -> tuple[str, str]:
    """Scheme and server of an address."""
    parts = urlsplit(url)
    return parts.scheme.casefold(), parts.netloc.casefold()


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _in_chain(error: BaseException, kind: type[_T]) -> _T | None:
    return next((e for e in _chain(error) if isinstance(e, kind)), None)


def _fault(error: BaseException) -> Any:
    from zeep.exceptions import Fault

    return _in_chain(error, Fault)


def _holds_fault(response: requests.Response) -> bool:
    """A SOAP fault travels with status 500; anything else that is not 200 is no answer of the API."""
    return b":Envelope" in response.content[:2000] or b"<Envelope" in response.content[:2000]


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

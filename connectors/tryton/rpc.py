"""One log-in and one JSON-RPC request at a time: what leaves, what comes back, and what it means when nothing readable does."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import requests

from connectors.endpoint import http_session
from connectors.errors import (
    AuthFailed,
    Misconfigured,
    OutcomeUnknown,
    QuotaExhausted,
    RecordRejected,
    RetryLater,
)
from connectors.exact_json import Unreadable, Unwritable
from connectors.exchange import Bounds, NotSent, Untrusted, exchanged
from connectors.tryton.error_table import Effect, one_line, rpc_error, unreadable
from connectors.tryton.settings import TrytonSettings
from connectors.tryton.wire import decoded, encoded

_LOGIN = "common.db.login"
_LOGIN_PAUSE = 300.0  # Tryton counts failed log-ins over five minutes ([session] timeout)
_LANGUAGE = "en"


class _SessionExpired(Exception):  # noqa: N818
    """The server does not know the session any more; it checks that before it looks at the request."""


class RpcSession:
    """A session with one database, for one thread. Logs in at the first request, and once more when a session has expired.

    Each request is sent once. The one exception: after a 401 it is sent again with a new session, because Tryton checks the
    session before it starts the transaction, so a 401 is certainly not applied.
    """

    def __init__(self, settings: TrytonSettings) -> None:
        self._settings = settings
        self._http = http_session(settings.url)
        self._authorization: str | None = None
        self._user_id: int | None = None
        self._context: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"RpcSession({self._settings.url}, {self._settings.database})"

    @property
    def user_id(self) -> int:
        """Id of the user that is logged in; logs in when nobody is."""
        if self._user_id is None:
            self._log_in()
        assert self._user_id is not None
        return self._user_id

    def close(self) -> None:
        """Give back sockets and forget the session."""
        self._authorization = self._context = None
        self._http.close()

    def forget_context(self) -> None:
        """Ask for the user's context again at the next call; it changes with the user's company and groups."""
        self._context = None

    def context(self) -> Mapping[str, Any]:
        """The user's own context (company, language, groups), which every call must carry, with the settings' company."""
        if self._context is None:
            got = self._call("model.res.user.get_preferences", [True, {}], Effect.READ)
            if not isinstance(got, dict):
                raise unreadable("no preferences", "get_preferences", Effect.READ)
            self._context = {**got, "language": _LANGUAGE}
            if self._settings.company is not None:
                self._context["company"] = self._settings.company
        return self._context

    def read(self, model: str, method: str, *parameters: Any, context: Mapping[str, Any] | None = None) -> Any:
        """Call a method that changes nothing.

        Raises RetryLater, AuthFailed, PermissionMissing, Misconfigured, SchemaDrift, QuotaExhausted.
        """
        return self._in_context(f"model.{model}.{method}", parameters, Effect.READ, context)

    def write(self, model: str, method: str, *parameters: Any, context: Mapping[str, Any] | None = None) -> Any:
        """Call a method that may change something.

        Raises OutcomeUnknown when it may have been applied; RecordRejected (Question among them) when Tryton refused it;
        everything else means that it was certainly not applied.
        """
        return self._in_context(f"model.{model}.{method}", parameters, Effect.WRITE, context)

    def wizard(self, name: str, method: str, *parameters: Any, context: Mapping[str, Any] | None = None) -> Any:
        """One step of a wizard; raises as `write`."""
        return self._in_context(f"wizard.{name}.{method}", parameters, Effect.WRITE, context)

    def _in_context(
        self, method: str, parameters: tuple[Any, ...], effect: Effect, more: Mapping[str, Any] | None
    ) -> Any:
        return self._call(method, [*parameters, {**self.context(), **(more or {})}], effect)

    # ------------------------------------------------------------ log-in
    def _log_in(self) -> None:
        settings = self._settings
        secret = settings.password.get_secret_value()
        got = self._post(_LOGIN, [settings.user, {"password": secret}, _LANGUAGE], Effect.READ, {})
        if not isinstance(got, list) or len(got) < 2 or type(got[0]) is not int or not isinstance(got[1], str):
            raise unreadable("no session", _LOGIN, Effect.READ)
        self._user_id = got[0]
        token = f"{settings.user}:{got[0]}:{got[1]}".encode()
        self._authorization = "Session " + base64.b64encode(token).decode("ascii")

    def _call(self, method: str, parameters: list[Any], effect: Effect) -> Any:
        for last_try in (False, True):
            if self._authorization is None:
                self._log_in()
            try:
                return self._post(method, parameters, effect, {"Authorization": str(self._authorization)})
            except _SessionExpired:
                self._authorization = None
                if last_try:
                    break
        raise AuthFailed(
            "HTTP-401",
            "Tryton refused a session that is seconds old. This connection's work stops. An administrator of Tryton checks "
            "the sessions and the user.",
        )

    # ------------------------------------------------------------ one request
    def _post(self, method: str, parameters: list[Any], effect: Effect, headers: Mapping[str, str]) -> Any:
        settings = self._settings
        try:
            body = encoded({"id": 0, "method": method, "params": parameters})
        except Unwritable as error:
            raise RecordRejected(
                "UNWRITABLE",
                f"The record cannot be sent: {error}. Nothing was sent. Integration corrects the document.",
            ) from error
        bounds = Bounds(settings.connect_timeout_seconds, settings.timeout_seconds, settings.max_reply_bytes)
        try:
            answer = exchanged(
                self._http,
                "POST",
                f"{settings.url}/{settings.database}/rpc/",
                bounds,
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
            )
        except Untrusted as error:
            raise Misconfigured(
                "TLS",
                "The certificate of the Tryton server is not trusted. Nothing was sent. An administrator checks `url`.",
            ) from error
        except NotSent as error:
            raise RetryLater(
                "NO-CONNECTION",
                f"No connection to {settings.url}. Nothing was sent. The hub tries again by itself.",
            ) from error
        except requests.RequestException as error:
            raise unreadable(f"no whole answer ({type(error).__name__})", method, effect, "NO-ANSWER") from error
        if answer.status != 200:
            raise self._refused(answer.status, method, effect)
        try:
            reply = decoded(answer.body)
        except Unreadable as error:
            raise unreadable("no JSON", method, effect) from error
        if not isinstance(reply, dict) or not reply.keys() & {"result", "error"}:
            raise unreadable("neither a result nor an error", method, effect)
        if "error" in reply:
            raise rpc_error(reply["error"], method, effect)
        return reply["result"]

    def _refused(self, status: int, method: str, effect: Effect) -> Exception:
        """What a status other than 200 means; the body is a web page of the server or of a proxy before it."""
        code = f"HTTP-{status}"
        if status == 401 and method != _LOGIN:
            return _SessionExpired()
        if status == 401:
            return AuthFailed(
                code,
                f"Tryton does not accept the password of {self._settings.user}. This connection's work stops. An "
                "administrator corrects the secret the connection refers to.",
            )
        if status == 429:
            return QuotaExhausted(
                code,
                "Tryton refuses log-ins for a while, because too many have failed. Nothing was changed. An administrator "
                "checks the secret; the hub tries again later.",
                after=_LOGIN_PAUSE,
                limit="log-ins",
            )
        if status == 403:
            return Misconfigured(
                code,
                f"Tryton does not let anybody call {one_line(method, 80)}. Nothing was changed. An administrator of Tryton "
                "checks that series 8.0 with the modules account_invoice and sale is in use.",
            )
        if status in (404, 405):
            return Misconfigured(
                code,
                f"There is no database {self._settings.database} at {self._settings.url}. Nothing was changed. The hub's "
                "administrator corrects `url` and `database`.",
            )
        if effect is Effect.WRITE:
            return OutcomeUnknown(
                code,
                f"The server answered {method} with HTTP {status}. It is not known whether it was applied. The hub looks it "
                "up before it resends.",
            )
        return RetryLater(
            code, f"The server answered {method} with HTTP {status}. Nothing was changed. The hub tries again."
        )

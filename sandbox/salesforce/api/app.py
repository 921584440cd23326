"""The WSGI application of the simulated org: routes a request, counts it, lets faults strike, does it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from sandbox.salesforce.api.batches import Batches
from sandbox.salesforce.api.bulk import Bulk
from sandbox.salesforce.api.composite import Composite
from sandbox.salesforce.api.http import MAX_URI, Call, Operation, Reply, not_allowed, refusal
from sandbox.salesforce.api.limits import Limits
from sandbox.salesforce.api.queries import Queries
from sandbox.salesforce.api.rows import Rows
from sandbox.salesforce.api.service import DailyUsage, Service
from sandbox.salesforce.api.sessions import Sessions, token_reply
from sandbox.salesforce.errors import NotSimulatedError, RecordRefused, SalesforceError, not_found
from sandbox.salesforce.state import SalesforceOrg, epoch_millis
from sandbox.serving import ControlApp, with_transport_faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FIRST_VERSION, LAST_VERSION = 41, 68
_SEASONS = ("Winter", "Spring", "Summer")
_NOT_SIMULATED = frozenset(
    [
        "search",
        "parameterizedSearch",
        "recent",
        "tooling",
        "analytics",
        "chatter",
        "ui-api",
        "actions",
        "process",
        "theme",
        "tabs",
        "appMenu",
        "quickActions",
        "compactLayouts",
        "async-queries",
        "event",
        "licensing",
        "metadata",
        "wave",
        "knowledgeManagement",
        "support",
        "nouns",
    ]
)
_COMPOSITES_NOT_SIMULATED = frozenset({"batch", "graph", "tree"})
_HTML_414 = "<html><head><title>URI Too Long</title></head><body><h1>414 URI Too Long</h1></body></html>"


class SalesforceApp:
    """The org on the wire.

    Args:
        control: the sandbox whose faults, counters and snapshot this application uses.
    """

    def __init__(self, org: SalesforceOrg, sessions: Sessions, control: ControlApp, usage: DailyUsage) -> None:
        self._org = org
        self._control = control
        self.sessions = sessions
        self.service = Service(org, control.faults, usage, control.snapshot.mark_changed)
        self.bulk = Bulk(self.service)
        self._resources: dict[str, Callable[[Call], Operation]] = {
            "sobjects": Rows(self.service).plan,
            "query": (queries := Queries(self.service)).plan,
            "queryAll": queries.plan,
            "limits": Limits(self.service).plan,
            "jobs": self.bulk.plan,
        }
        self._batches = Batches(self.service)
        self._composite = Composite(self.service, self._plan)

    def forget(self) -> None:
        """Drop what belongs to an org that was: jobs and the day's calls. Sessions stay."""
        self.bulk.reset()
        self.service.usage.reset()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        body = request.get_data()
        return self._answer(environ, request, body)(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, request: Request, body: bytes) -> Response:
        path = str(environ.get("REQUEST_URI") or request.path).partition("?")[0]
        if len(path) + 1 + len(environ.get("QUERY_STRING", "")) > MAX_URI:
            self._control.calls.count("URI too long", "read")
            return Response(_HTML_414, status=414, content_type="text/html")
        pretty = request.headers.get("X-PrettyPrint") == "1"
        operation, counted = self._operation(request, body, path)
        self._control.calls.count(operation.name, operation.kind, operation.records)

        def handle() -> Response:
            try:
                reply = operation.run()
            except (SalesforceError, RecordRefused) as refused:
                reply = refusal(refused)
            usage = self.service.usage
            if counted:
                reply.headers = {**reply.headers, "Sforce-Limit-Info": f"api-usage={usage.used()}/{usage.limit}"}
            response = Response(reply.data(pretty=pretty), status=reply.status, headers=reply.headers)
            response.content_type = reply.content_type
            return response

        return with_transport_faults(
            environ, self._control.faults, self._control.late, operation.name, write=operation.write, handle=handle
        )

    def _operation(self, request: Request, body: bytes, path: str) -> tuple[Operation, bool]:
        """What a request asks for, and whether it is a REST call that counts against the day's limit."""
        if path == "/services/oauth2/token":
            return Operation("token", "login", lambda: self._token(request, body)), False
        match = re.fullmatch(r"/services/data(?:/v([^/]+)(?:/(.*?))?)?/?", path)
        if match is None:
            return _refusing("unknown path", not_found()), False
        if match.group(1) is None:
            return Operation("versions", "read", _versions), False
        try:
            _check_version(match.group(1))
            segments = tuple(unquote(part) for part in (match.group(2) or "").split("/") if part)
            call = Call(
                method="GET" if request.method == "HEAD" else request.method,
                version=match.group(1),
                segments=segments,
                query=request.args.to_dict(),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                user_id=self._org.run_as,
            )
            planned = self._plan(call)
        except SalesforceError as error:
            planned = _refusing(f"{request.method} refused", error)
        return self._guarded(planned, request.headers.get("Authorization")), True

    def _plan(self, call: Call) -> Operation:
        """Which operation a request under a version is.

        Raises:
            SalesforceError: 404, 405 or NotSimulatedError.
        """
        if not call.segments:
            if call.method != "GET":
                raise not_allowed(call.method, ("GET", "HEAD"))
            return Operation("resources", "read", lambda: self._list_resources(call))
        first = call.segments[0]
        if first == "composite":
            second = call.segments[1] if len(call.segments) > 1 else ""
            if second in _COMPOSITES_NOT_SIMULATED:
                raise NotSimulatedError(f"REST resource composite/{second}")
            return self._batches.plan(call) if second == "sobjects" else self._composite.plan(call)
        if first in _NOT_SIMULATED:
            raise NotSimulatedError(f"REST resource {first}")
        resource = self._resources.get(first)
        if resource is None or (call.part and first == "jobs"):
            raise not_found()
        return resource(call)

    def _guarded(self, operation: Operation, authorization: str | None) -> Operation:
        """The operation behind the vendor's gate: session first, then the day's limit."""

        def run() -> Reply:
            faults = self._control.faults
            token = self.sessions.valid(authorization)
            if token is not None and faults.strikes("expired_token", operation.name, write=operation.write):
                self.sessions.revoke(token)
                token = None
            if token is None:
                raise SalesforceError(401, "INVALID_SESSION_ID", "Session expired or invalid")
            struck = faults.strikes("quota", operation.name, write=operation.write)
            if struck or not self.service.usage.count():
                raise SalesforceError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            return operation.run()

        return replace(operation, run=run)

    def _token(self, request: Request, body: bytes) -> Reply:
        if request.method != "POST":
            return Reply(405, {"error": "invalid_request", "error_description": "must use HTTP POST"})
        base = request.host_url.rstrip("/")
        with self._org.lock:
            user = self._org.tables["User"].rows[self._org.run_as]
            organization, now = self._org.organization_id, self._org.clock.now()

        def grant_token() -> dict[str, Any]:
            return {
                "access_token": self.sessions.open(organization),
                "scope": "api",
                "instance_url": base,
                "id": f"{base}/id/{organization}/{user['Id']}",
                "token_type": "Bearer",
                "issued_at": epoch_millis(now),
            }

        authorization = request.headers.get("Authorization")
        return token_reply(self.sessions, body, authorization, username=str(user["Username"]), grant_token=grant_token)

    def _list_resources(self, call: Call) -> Reply:
        names = sorted([*self._resources, "composite"])
        return Reply(200, {name: f"{call.prefix}/{name}" for name in names})


def _refusing(name: str, error: SalesforceError) -> Operation:
    def run() -> Reply:
        raise error

    return Operation(name, "read", run)


def _check_version(text: str) -> None:
    if not re.fullmatch(r"\d{1,3}\.0", text) or int(text[:-2]) > LAST_VERSION:
        raise not_found()
    if int(text[:-2]) < FIRST_VERSION:
        message = f"API version {text} is retired. Use a version between {FIRST_VERSION}.0 and {LAST_VERSION}.0"
        raise SalesforceError(410, "UNSUPPORTED_API_VERSION", message)


def _versions() -> Reply:
    """The supported versions; three a year, 41.0 was Winter '18."""
    listed = []
    for number in range(FIRST_VERSION, LAST_VERSION + 1):
        year, season = divmod(number - FIRST_VERSION, 3)
        label = f"{_SEASONS[season]} '{18 + year}"
        listed.append({"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"})
    return Reply(200, listed)

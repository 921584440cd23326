"""The WSGI application of the simulated account: routes a request, counts it, lets faults strike, does it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson
from werkzeug.wrappers import Request, Response

from sandbox.netsuite.account import NetSuiteAccount
from sandbox.netsuite.books import Books
from sandbox.netsuite.contract import checked, fields_of, records
from sandbox.netsuite.errors import NetSuiteError, content, not_simulated, user_error
from sandbox.netsuite.rendering import Rendering
from sandbox.netsuite.suiteql import parse, run
from sandbox.netsuite.suiteql.tables import tables
from sandbox.netsuite.tokens import TokenRefused, Tokens
from sandbox.serving import ControlApp, Kind, with_transport_faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_RECORD = re.compile(r"/services/rest/record/v1/([A-Za-z-]+)(?:/([^/]+)(?:/!transform/([A-Za-z]+))?)?")
_TRANSFORMS = {("salesOrder", "invoice")}
_MOST_ROWS = 1000  # "Executing SuiteQL Queries Through REST Web Services": limit is at most 1000
_QUERY = "/services/rest/query/v1/suiteql"
_TOKEN = "/services/rest/auth/oauth2/v1/token"  # noqa: S105 - a path


@dataclass
class Reply:
    """What goes back."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One request, understood: its name in counters and faults, whether it writes, and how it is done."""

    name: str
    kind: Kind
    write: bool
    run: Callable[[], Reply]


class NetSuiteApp:
    """The account on the wire.

    Args:
        control: the sandbox whose faults, counters and snapshot this application uses.
        concurrency: how many requests the account serves at the same time; one more is answered 429.
    """

    def __init__(
        self, account: NetSuiteAccount, tokens: Tokens, control: ControlApp, root: str, *, concurrency: int
    ) -> None:
        self._account = account
        self._control = control
        self._root = root
        self.books = Books(account)
        self.tokens = tokens
        self.concurrency = concurrency
        self._in_flight = 0
        self._counting = threading.Lock()
        self._rendering = Rendering(account, self.books, root)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        body = request.get_data()
        path = str(environ.get("REQUEST_URI") or request.path).partition("?")[0]
        try:
            operation = self._planned(request, body, path)
        except NetSuiteError as error:
            operation = Operation(f"{request.method} refused", "read", write=False, run=_refusing(error))
        self._control.calls.count(operation.name, operation.kind, 1)
        guarded = operation.run if operation.name == "token" else self._guarded(operation, request)

        def handle() -> Response:
            try:
                reply = guarded()
            except NetSuiteError as error:
                reply = Reply(error.status, error.body())
            except TokenRefused as refused:
                reply = Reply(refused.status, {"error": refused.error})
            data = b"" if reply.body is None else orjson.dumps(reply.body)
            kind = "application/json" if path == _TOKEN else "application/vnd.oracle.resource+json; type=singular"
            return Response(data, status=reply.status, headers=dict(reply.headers), content_type=kind)

        with self._counting:
            self._in_flight += 1
        try:
            answered = with_transport_faults(
                environ, self._control.faults, self._control.late, operation.name, write=operation.write, handle=handle
            )
        finally:
            with self._counting:
                self._in_flight -= 1
        return answered(environ, start_response)

    # -- the gate
    def _guarded(self, operation: Operation, request: Request) -> Callable[[], Reply]:
        def run_guarded() -> Reply:
            faults = self._control.faults
            token = self.tokens.valid(request.headers.get("Authorization"))
            if token is not None and faults.strikes("expired_token", operation.name, write=operation.write):
                self.tokens.revoke(token)
                token = None
            if token is None:
                detail = (
                    "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI at Setup > "
                    "Users/Roles > User Management > View Login Audit Trail."
                )
                raise NetSuiteError(401, "INVALID_LOGIN", detail)
            if self._in_flight > self.concurrency or faults.strikes("quota", operation.name, write=operation.write):
                raise NetSuiteError(
                    429,
                    "CONCURRENCY_LIMIT_EXCEEDED",
                    "Concurrent request limit exceeded. Request blocked.",
                )
            with self._account.lock:
                reply = operation.run()
            if operation.write:
                self._control.snapshot.mark_changed()
            if faults.strikes("after_submit", operation.name, write=operation.write):
                raise user_error("A script of the account failed after the record was submitted.")
            return reply

        return run_guarded

    # -- routes
    def _planned(self, request: Request, body: bytes, path: str) -> Operation:
        method = request.method
        if path == _TOKEN:
            if method != "POST":
                raise NetSuiteError(405, "METHOD_NOT_ALLOWED", "The token endpoint takes POST.")
            kind = request.headers.get("Content-Type", "")
            return Operation("token", "login", write=False, run=lambda: Reply(200, self.tokens.grant(body, kind)))
        if path == _QUERY:
            return self._query(request, body)
        match = _RECORD.fullmatch(path)
        if match is None:
            raise NetSuiteError(404, "NOT_FOUND", "The requested resource does not exist.")
        record, key, target = match.group(1), unquote(match.group(2) or ""), match.group(3)
        if record == "metadata-catalog":
            raise not_simulated("The metadata catalog")
        fields_of(record)
        if "respond-async" in request.headers.get("Prefer", ""):
            raise not_simulated("Prefer: respond-async")
        replace = tuple(name for name in request.args.get("replace", "").split(",") if name)
        if target is not None:
            if method != "POST":
                raise NetSuiteError(405, "METHOD_NOT_ALLOWED", "A transformation takes POST.")
            run_it = lambda: self._transform(record, key, target, self._body(request, body), replace)  # noqa: E731
            return Operation(f"transform {record} {target}", "create", write=True, run=run_it)
        if method == "GET" and key:
            expanded = request.args.get("expandSubResources", "false").lower() == "true"
            run_it = lambda: Reply(200, self._rendering.record(record, self.books.get(record, key), expanded=expanded))  # noqa: E731
            return Operation(f"GET {record}", "read", write=False, run=run_it)
        if method == "GET":
            raise not_simulated("Listing and filtering a record collection")
        if method == "POST" and not key:
            return Operation(
                f"POST {record}", "create", write=True, run=lambda: self._create(record, self._body(request, body))
            )
        if method == "PUT" and key.startswith("eid:"):
            run_it = lambda: self._upsert(record, key, self._body(request, body), replace)  # noqa: E731
            return Operation(f"PUT {record}", "create", write=True, run=run_it)
        if method == "PATCH" and key:
            run_it = lambda: self._update(record, key, self._body(request, body), replace)  # noqa: E731
            return Operation(f"PATCH {record}", "update", write=True, run=run_it)
        if method == "DELETE" and key and record != "customer":
            return Operation(f"DELETE {record}", "act", write=True, run=lambda: self._delete(record, key))
        raise NetSuiteError(405, "METHOD_NOT_ALLOWED", f"{method} is not allowed for this resource.")

    def _body(self, request: Request, body: bytes) -> Any:
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise NetSuiteError(415, "INVALID_REQUEST", "The Content-Type must be application/json.")
        try:
            return json.loads(body or b"{}", parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise content("The request body is not valid JSON.") from None

    # -- records
    def _create(self, record: str, body: Any) -> Reply:
        return self._created(record, self._saved(record, None, checked(record, body, creating=True), ()))

    def _upsert(self, record: str, key: str, body: Any, replace: tuple[str, ...]) -> Reply:
        row = self.books.find(record, key)
        values = checked(record, body, creating=row is None)
        if values.setdefault("externalId", key[4:]).casefold() != key[4:].casefold():
            raise content("The external ID in the body differs from that of the URL.", "externalId")
        return self._created(record, self._saved(record, row, values, replace))

    def _update(self, record: str, key: str, body: Any, replace: tuple[str, ...]) -> Reply:
        row = self.books.get(record, key)
        return self._created(record, self._saved(record, row, checked(record, body, creating=False), replace))

    def _saved(self, record: str, row: Any, values: Mapping[str, Any], replace: tuple[str, ...]) -> Any:
        if unknown := [name for name in replace if fields_of(record).get(name, None) is None]:
            raise NetSuiteError(
                400, "INVALID_PARAMETER", f"Invalid value of the query parameter replace: {unknown[0]}."
            )
        if record == "customer":
            return self.books.save_customer(row, values)
        return self.books.save(record, row, values, replace=replace)

    def _transform(self, record: str, key: str, target: str, body: Any, replace: tuple[str, ...]) -> Reply:
        if target not in records():
            raise NetSuiteError(404, "NOT_FOUND", f"Record type '{target}' does not exist.")
        if (record, target) not in _TRANSFORMS:
            raise not_simulated(f"Transforming {record} to {target}")
        values = checked(target, body, creating=False)
        return self._created(target, self.books.transform(self.books.get(record, key), target, values, replace))

    def _delete(self, record: str, key: str) -> Reply:
        self.books.delete(self.books.get(record, key))
        return Reply(204)

    def _created(self, record: str, row: Any) -> Reply:
        return Reply(204, None, {"Location": self._rendering.location(record, row["id"])})

    # -- queries
    def _query(self, request: Request, body: bytes) -> Operation:
        def answer() -> Reply:
            asked = self._body(request, body)
            if request.headers.get("Prefer", "") != "transient":
                raise NetSuiteError(400, "INVALID_HEADER", "The header Prefer must have the value transient.")
            if not isinstance(asked, dict) or not isinstance(asked.get("q"), str) or set(asked) - {"q", "params"}:
                raise NetSuiteError(400, "INVALID_PARAMETER", "The body must hold the property q with a query.")
            limit, offset = _count(request, "limit", _MOST_ROWS), _count(request, "offset", 0)
            if not 1 <= limit <= _MOST_ROWS or offset % limit:
                raise NetSuiteError(
                    400,
                    "INVALID_PARAMETER",
                    f"limit must lie between 1 and {_MOST_ROWS}, offset must be divisible by it.",
                )
            found = run(parse(asked["q"]), tables(self._account, self.books))
            page = [{"links": [], **row} for row in found[offset : offset + limit]]
            more = offset + len(page) < len(found)
            address = f"{self._root}/query/v1/suiteql?limit={limit}&offset="
            links = [{"rel": "next", "href": f"{address}{offset + limit}"}] if more else []
            return Reply(
                200,
                {
                    "links": links,
                    "count": len(page),
                    "hasMore": more,
                    "items": page,
                    "offset": offset,
                    "totalResults": len(found),
                },
            )

        if request.method != "POST":
            raise NetSuiteError(405, "METHOD_NOT_ALLOWED", "SuiteQL takes POST.")
        return Operation("suiteql", "read", write=False, run=answer)


def _refusing(error: NetSuiteError) -> Callable[[], Reply]:
    def refuse() -> Reply:
        raise error

    return refuse


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _count(request: Request, name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise NetSuiteError(400, "INVALID_PARAMETER", f"Invalid value of the query parameter {name}.")
    return int(text)

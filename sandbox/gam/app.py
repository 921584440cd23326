"""The vendor's side of the sandbox as a WSGI application: SOAP services, token endpoint, report files.

`POST /apis/ads/publisher/<version>/<Service>`, `GET` the same with `?wsdl`; `POST /token`; `GET /reports/<key>`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from werkzeug.wrappers import Request, Response

from sandbox.gam.contract import render_wsdl
from sandbox.gam.network import Network
from sandbox.gam.operations import ANSWERS, Answer, Call
from sandbox.gam.reports import ReportJobs
from sandbox.gam.soap import ApiFaultError, Codec, Door, MalformedRequestError, fail
from sandbox.gam.soap import Request as SoapRequest
from sandbox.gam.tokens import TokenError, Tokens
from sandbox.serving import ControlApp, with_transport_faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

VENDOR_FAULTS = ("no_forecast", "error_generating_response", "concurrent_modification", "server_busy", "report_failed")
_PREFIX = "/apis/ads/publisher/"


class AdManagerApp:
    """The services of one network. Parsing, checking and rendering run outside the network's lock, rules inside."""

    def __init__(self, network: Network, control: ControlApp) -> None:
        self._network = network
        self._control = control
        self._codec = Codec(network.contract)
        self._doors: dict[str, Door] = {}
        self._wsdls: dict[str, bytes] = {}
        self._doors_lock = threading.Lock()
        self.reports = ReportJobs(network)
        self.tokens = Tokens(network)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return self._answer(Request(environ), environ)(environ, start_response)

    def reset(self) -> None:
        """Forget report jobs and tokens along with the network's state."""
        self.reports = ReportJobs(self._network)
        self.tokens = Tokens(self._network)

    def _answer(self, request: Request, environ: WSGIEnvironment) -> Response:
        address = request.host_url.rstrip("/")
        if request.path.startswith(_PREFIX):
            version, _, service = request.path.removeprefix(_PREFIX).partition("/")
            if version != self._network.contract.version or service not in self._network.contract.services:
                return Response(f"no {service} {version} here", status=404, content_type="text/plain")
            if request.method == "GET":
                return self._wsdl(service, f"{address}{request.path}")
            return self._soap(request, environ, service, address)
        if request.path == "/token" and request.method == "POST":
            return self._token(request, f"{address}/token")
        if request.path.startswith("/reports/") and request.method == "GET":
            return self._report(request.path.removeprefix("/reports/"))
        return Response("not found", status=404, content_type="text/plain")

    def _wsdl(self, service: str, url: str) -> Response:
        self._control.calls.count(f"{service}?wsdl", "wsdl")
        with self._doors_lock:
            wsdl = self._wsdls.get(url)
            if wsdl is None:
                wsdl = self._wsdls[url] = render_wsdl(self._network.contract, service, url)
        return Response(wsdl, content_type="text/xml; charset=UTF-8")

    def _token(self, request: Request, token_uri: str) -> Response:
        self._control.calls.count("token", "login")
        try:
            with self._network.lock:
                answer = self.tokens.issue(request.form.to_dict(), token_uri)
        except TokenError as error:
            return _json({"error": error.code, "error_description": str(error)}, 400)
        return _json(answer, 200)

    def _report(self, key: str) -> Response:
        self._control.calls.count("downloadReport", "report")
        content = self.reports.file(key)
        if content is None:
            return Response("no such report", status=404, content_type="text/plain")
        return Response(content, content_type="application/octet-stream")

    def _soap(self, request: Request, environ: WSGIEnvironment, service: str, address: str) -> Response:
        door = self._door(service)
        try:
            soap = door.read(request.get_data())
        except MalformedRequestError as error:
            meant = error.operation
            self._control.calls.count(meant or f"{service} (malformed)", ANSWERS[meant].kind if meant else "read")
            return _xml(door.malformed(error), 500)
        name = soap.operation.name
        answer = ANSWERS[name]
        self._control.calls.count(name, answer.kind, _records(soap))
        authorization = request.headers.get("Authorization")
        return with_transport_faults(
            environ,
            self._control.faults,
            self._control.late,
            name,
            write=answer.is_write,
            handle=lambda: self._handle(door, soap, answer, authorization, address),
        )

    def _handle(
        self, door: Door, soap: SoapRequest, answer: Answer, authorization: str | None, address: str
    ) -> Response:
        started = time.monotonic()
        request_id = secrets.token_hex(16)

        def milliseconds() -> int:
            return int(1000 * (time.monotonic() - started))

        try:
            value = self._perform(soap, answer, authorization, address)
        except ApiFaultError as fault:
            return _xml(door.fault(fault, request_id, milliseconds()), 500)
        return _xml(door.reply(soap.operation, value, request_id, milliseconds()), 200)

    def _perform(self, soap: SoapRequest, answer: Answer, authorization: str | None, address: str) -> Any:
        network, faults, name = self._network, self._control.faults, soap.operation.name
        if faults.strikes("expired_token", name, write=answer.is_write):
            self.tokens.expire(authorization)
            fail("AuthenticationError", "AUTHENTICATION_FAILED", "")
        with network.lock:
            user_id = self.tokens.user_of(authorization)
            if soap.network_code not in (None, network.settings.network_code):
                fail("AuthenticationError", "NETWORK_NOT_FOUND", "", soap.network_code)
            self._strike_before(name, answer, soap)
            call = Call(network, self.reports, soap.arguments, user_id, soap.application, address)
            value = answer.perform(call)
            if answer.creates and (lag := faults.strikes("index_lag", name, write=True)):
                for created in value:
                    network.hide(answer.creates, created["id"], lag.seconds)
        if answer.is_write:
            self._control.snapshot.mark_changed()
            if faults.strikes("error_generating_response", name, write=True):
                # The mutation stands; the documented advice is not to retry it.
                fail("InternalApiError", "ERROR_GENERATING_RESPONSE", "")
        return value

    def _strike_before(self, name: str, answer: Answer, soap: SoapRequest) -> None:
        """The vendor's own transient refusals: nothing is applied."""
        faults, write = self._control.faults, answer.is_write
        if faults.strikes("quota", name, write=write):
            fail("QuotaError", "REPORT_JOB_LIMIT" if name == "runReportJob" else "EXCEEDED_QUOTA", "")
        if faults.strikes("server_busy", name, write=write):
            fail("ServerError", "SERVER_BUSY", "")
        if faults.strikes("concurrent_modification", name, write=write):
            fail("CommonError", "CONCURRENT_MODIFICATION", "")
        if fault := faults.strikes("partial_batch", name, write=write):
            # A create or update is all or nothing here: the error of one object refuses the call.
            index = fault.dice.randrange(max(1, _records(soap)))
            fail("CommonError", "CONCURRENT_MODIFICATION", f"[{index}]")

    def _door(self, service: str) -> Door:
        with self._doors_lock:
            door = self._doors.get(service)
            if door is None:
                door = self._doors[service] = Door(self._network.contract, self._codec, service)
            return door


def _records(soap: SoapRequest) -> int:
    """How many objects a call carries; an action or a query counts as one."""
    for parameter in soap.operation.parameters:
        if parameter.most is None:
            return len(soap.arguments.get(parameter.name, ()))
    return 1


def _xml(content: bytes, status: int) -> Response:
    return Response(content, status=status, content_type="text/xml; charset=UTF-8")


def _json(value: object, status: int) -> Response:
    return Response(orjson.dumps(value), status=status, content_type="application/json")

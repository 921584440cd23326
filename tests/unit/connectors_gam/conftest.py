"""A tiny scripted SOAP server: it parses real requests and renders real replies from the sandbox's WSDLs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import zeep
from lxml import etree

from connectors.base import PushItem
from connectors.gam import GamConnector, GamSettings
from sandbox.gam.contract import load_contract, namespace, render_wsdl

VERSION = "v202608"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True)
class Raw:
    """An answer that is no SOAP."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})


class Drop:
    """Close the connection without an answer."""


@dataclass(frozen=True)
class Fault:
    """Typed errors: (type, reason, path, trigger)."""

    errors: tuple[tuple[str, str | None, str, str], ...]


Answer = Callable[[str, list[Any]], Any]


class _Memory(zeep.Transport):
    def __init__(self, wsdl: bytes) -> None:
        super().__init__()
        self._wsdl = wsdl

    def load(self, url: str) -> bytes:
        return self._wsdl


def plain(value: Any, declared: str | None = None) -> Any:
    """What zeep read as dict, list or scalar, the measure of `connectors.gam.replies`; `declared` is the type of its place."""
    if isinstance(value, list):
        return [plain(item, declared) for item in value]
    kind = getattr(value, "_xsd_type", None)
    if kind is None:
        return value
    native: dict[str, Any] = {}
    actual = kind.qname.localname if kind.qname is not None else None
    if declared is not None and actual is not None and actual != declared:
        native["xsi_type"] = actual
    for name, element in kind.elements:
        inner = getattr(value, name, None)
        if inner is None or (isinstance(inner, list) and not inner):
            continue
        expected = element.type.qname.localname if element.type.qname is not None else None
        native[name] = plain(inner, expected)
    return native


@cache
def server_side(service: str) -> tuple[Any, Any]:
    wsdl = render_wsdl(load_contract(VERSION), service, "http://127.0.0.1/")
    transport = _Memory(wsdl)
    client = zeep.Client("memory.wsdl", transport=transport)
    transport.session.close()
    return client, next(iter(client.wsdl.bindings.values()))


class Vendor:
    """The scripted vendor: `answer(operation, arguments)` decides; every call is kept in `calls`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.wsdl_status = 200
        self.wsdls = 0
        self.answer: Answer = lambda operation, arguments: Raw(500, b"no script")
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service = self.path.split("?")[0].rsplit("/", 1)[-1]
                vendor.wsdls += 1
                if vendor.wsdl_status != 200:
                    self._send(Raw(vendor.wsdl_status, b"<html><body>no</body></html>"))
                    return
                contract = load_contract(VERSION)
                if service not in contract.services:
                    self._send(Raw(404, b"<html><body>not here</body></html>"))
                    return
                address = f"{vendor.url}/apis/ads/publisher/{VERSION}/{service}"
                self._send(Raw(200, render_wsdl(contract, service, address), {"Content-Type": "text/xml"}))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                vendor.headers.append(dict(self.headers))
                service = self.path.rsplit("/", 1)[-1]
                client, binding = server_side(service)
                element = etree.fromstring(body).find(f"{{{_SOAP}}}Body")[0]
                operation = etree.QName(element).localname
                parsed = binding.get(operation).input.body.parse(element, client.wsdl.types)
                arguments = [
                    plain(getattr(parsed, name), element.type.qname.localname)
                    for name, element in (parsed._xsd_type.elements if parsed is not None else ())
                ]
                vendor.calls.append((operation, arguments))
                answer = vendor.answer(operation, arguments)
                if isinstance(answer, Drop):
                    self.close_connection = True
                    self.connection.close()
                elif isinstance(answer, Raw):
                    self._send(answer)
                elif isinstance(answer, Fault):
                    self._send(Raw(500, _fault(answer), {"Content-Type": "text/xml"}))
                else:
                    self._send(Raw(200, _reply(service, operation, answer), {"Content-Type": "text/xml"}))

            def _send(self, raw: Raw) -> None:
                self.send_response(raw.status)
                for name, value in raw.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw.body)))
                self.end_headers()
                self.wfile.write(raw.body)

            def log_message(self, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @staticmethod
    def raw(status: int, body: bytes = b"<html><body>no</body></html>", **headers: str) -> Raw:
        """An answer that is no SOAP."""
        return Raw(status, body, {"Content-Type": "text/html", **headers})

    @staticmethod
    def drop() -> Drop:
        """No answer at all."""
        return Drop()

    @staticmethod
    def fault(*errors: tuple[str, str | None, str, str]) -> Fault:
        """Typed errors: (type, reason, path, trigger)."""
        return Fault(errors)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def names(self) -> list[str]:
        return [operation for operation, _ in self.calls]


def envelope_of() -> tuple[Any, Any]:
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soap": _SOAP})
    return envelope, etree.SubElement(envelope, f"{{{_SOAP}}}Body")


def _typed(client: Any, value: Any) -> Any:
    """Plain dictionaries with `xsi_type` as zeep values."""
    if isinstance(value, list):
        return [_typed(client, item) for item in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _typed(client, item) for name, item in value.items() if name != "xsi_type"}
    if "xsi_type" in value:
        return client.get_type(f"{{{namespace(VERSION)}}}{value['xsi_type']}")(**inner)
    return inner


def _reply(service: str, operation: str, value: Any) -> bytes:
    client, _ = server_side(service)
    element = client.get_element(f"{{{namespace(VERSION)}}}{operation}Response")
    envelope, body = envelope_of()
    element.render(body, element(rval=_typed(client, value)))
    return bytes(etree.tostring(envelope))


def _fault(fault: Fault) -> bytes:
    space = namespace(VERSION)
    envelope, body = envelope_of()
    node = etree.SubElement(body, f"{{{_SOAP}}}Fault")
    words = ", ".join(f"[{t}{'.' + r if r else ''} @ {p}; trigger:'{g}']" for t, r, p, g in fault.errors)
    etree.SubElement(node, "faultcode").text = "soap:Server"
    etree.SubElement(node, "faultstring").text = words
    detail = etree.SubElement(etree.SubElement(node, "detail"), f"{{{space}}}ApiExceptionFault")
    etree.SubElement(detail, f"{{{space}}}message").text = words
    for kind, reason, path, trigger in fault.errors:
        error = etree.SubElement(detail, f"{{{space}}}errors", {_XSI: f"ns:{kind}"}, nsmap={"ns": space})
        etree.SubElement(error, f"{{{space}}}fieldPath").text = path
        etree.SubElement(error, f"{{{space}}}trigger").text = trigger
        etree.SubElement(error, f"{{{space}}}errorString").text = f"{kind}.{reason}" if reason else kind
        if reason:
            etree.SubElement(error, f"{{{space}}}reason").text = reason
    return bytes(etree.tostring(envelope))


@pytest.fixture(scope="package")
def _shared_vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.close()


@pytest.fixture
def vendor(_shared_vendor: Vendor) -> Vendor:
    """The scripted vendor, without a script and without a memory."""
    _shared_vendor.calls.clear()
    _shared_vendor.headers.clear()
    _shared_vendor.wsdl_status, _shared_vendor.wsdls = 200, 0
    _shared_vendor.answer = lambda operation, arguments: Raw(500, b"no script")
    return _shared_vendor


@pytest.fixture
def settings(vendor: Vendor) -> Callable[..., GamSettings]:
    """Settings that point at the scripted vendor."""

    def make(**changes: Any) -> GamSettings:
        values: dict[str, Any] = {"network_code": "123", "endpoint": vendor.url, "access_token": "secret-token"}
        return GamSettings.model_validate({**values, **changes})

    return make


@pytest.fixture
def gam(settings: Callable[..., GamSettings]) -> Iterator[GamConnector]:
    """A connector of the scripted vendor."""
    connector = GamConnector(settings())
    yield connector
    connector.close()


@pytest.fixture
def order() -> Callable[..., PushItem]:
    """Orders to create or change."""

    def make(key: str, vendor_id: str | None = None, action: str | None = None, **payload: Any) -> PushItem:
        return PushItem(key, payload, vendor_id, action)

    return make

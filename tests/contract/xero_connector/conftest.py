"""The Xero connector on the simulated organisation, over real sockets on loopback; every exchange is kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request

from connectors.base import PushItem
from connectors.xero import XeroConnector, XeroSettings
from sandbox.serving import ControlApp
from sandbox.xero import serve
from sandbox.xero.process import DEFAULT_TENANT

START = datetime(2026, 12, 5, 9, 0, tzinfo=UTC)
SECRET = "a-secret-of-the-test"


@dataclass(frozen=True)
class Exchange:
    """One request that reached the vendor, and its reply."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    request: Any
    status: int
    reply: Any


class Recorder:
    """Stands before the vendor's application and keeps what passes."""

    def __init__(self, vendor: Any) -> None:
        self.vendor = vendor
        self.exchanges: list[Exchange] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data()
        environ["wsgi.input"] = io.BytesIO(body)
        seen: list[str] = []

        def start(status: str, headers: Any, *rest: Any) -> Any:
            seen.append(status)
            return start_response(status, headers, *rest)

        reply = b"".join(self.vendor(environ, start))
        if request.path.startswith("/api.xro/2.0/") and not reply.startswith(b"<"):
            self.exchanges.append(
                Exchange(
                    request.method,
                    request.path.removeprefix("/api.xro/2.0"),
                    request.args.to_dict(),
                    {name.lower(): value for name, value in request.headers.items()},
                    json.loads(body) if body else None,
                    int(seen[0].split()[0]),
                    json.loads(reply),
                )
            )
        return [reply]


class Organisation:
    """The sandbox, and the people who work in it."""

    def __init__(self, url: str, app: ControlApp, recorder: Recorder) -> None:
        self.url = url
        self.app = app
        self.recorder = recorder
        self.http = requests.Session()
        self.http.trust_env = False

    def control(self, path: str, **body: Any) -> Any:
        response = self.http.post(f"{self.url}/control/{path}", json=body, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def fault(self, name: str, **knob: Any) -> None:
        self.control("faults", **{name: {"count": 1, **knob}})

    def calls(self) -> dict[str, int]:
        operations = self.http.get(f"{self.url}/control/calls", timeout=60).json()["operations"]
        return {name: counted["calls"] for name, counted in operations.items()}

    def state(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(
            f"{self.url}/control/state", params={"type": table}, timeout=60
        ).json()
        return found

    def document(self, number: str) -> dict[str, Any]:
        (found,) = [d for d in self.state("documents") if number in (d.get("InvoiceNumber"), d.get("CreditNoteNumber"))]
        return found

    def advance(self, seconds: float) -> None:
        self.control("clock", advance_seconds=seconds)


@pytest.fixture
def organisation() -> Iterator[Organisation]:
    server = serve(client_secret=SECRET, now=START, running=False, minute_limit=10_000)
    recorder = Recorder(server.app.vendor)
    server.app.vendor = recorder
    server.app.clock.run(False)
    served = Organisation(server.url, server.app, recorder)
    try:
        yield served
    finally:
        served.http.close()
        server.close()


@pytest.fixture
def connect(organisation: Organisation) -> Iterator[Callable[..., XeroConnector]]:
    made: list[XeroConnector] = []

    def make(**changes: Any) -> XeroConnector:
        values: dict[str, Any] = {
            "tenant_id": DEFAULT_TENANT,
            "client_id": "orderhub",
            "client_secret": SECRET,
            "account_code": "200",
            "endpoint": organisation.url,
            **changes,
        }
        made.append(XeroConnector(XeroSettings.model_validate(values)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def invoice(reference: str = "INV-1001-2026-11", *amounts: str, **more: Any) -> PushItem:
    """A document to post, one line per amount."""
    lines = [{"description": f"Line {n}", "amount": Decimal(a)} for n, a in enumerate(amounts or ("1250.00",), start=1)]
    payload: dict[str, Any] = {
        "reference": reference,
        "party": {"code": "ADV-1", "name": "Advertiser One"},
        "currency": "USD",
        "date": datetime(2026, 11, 30, tzinfo=UTC).date(),
        "total": sum((line["amount"] for line in lines), Decimal(0)),  # type: ignore[misc]
        "lines": lines,
        **more,
    }
    return PushItem(f"key-{reference}", payload)


def credit(reference: str, corrects: str, *amounts: str, **more: Any) -> PushItem:
    """A credit memo to post."""
    return invoice(reference, *amounts, **{"kind": "credit_memo", "corrects": corrects, **more})

"""The NetSuite connector on the simulated account, over real sockets on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from connectors.base import Operation, PushItem, PushResult
from connectors.netsuite import NetSuiteConnector, NetSuiteSettings
from sandbox.netsuite import serve
from sandbox.serving import RunningServer

START = datetime(2026, 11, 2, 17, 0, tzinfo=UTC)


class Account:
    """The sandbox, and the people who work in it."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.url = server.url
        self.http = requests.Session()
        self.http.trust_env = False

    def control(self, path: str, **body: Any) -> Any:
        response = self.http.post(f"{self.url}/control/{path}", json=body, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def prefer(self, **changes: Any) -> None:
        self.control("preferences", **changes)

    def customer(self, code: str = "ADV-1", name: str = "Acme Media") -> str:
        return str(self.control("customer", externalId=code, companyName=name)["id"])

    def pay(self, reference: str, amount: str, day: str = "2026-11-20") -> str:
        return str(self.control("pay", invoice=f"eid:{reference}", amount=amount, date=day)["tranId"])

    def fault(self, name: str, operation: str, **knob: Any) -> None:
        self.control("faults", **{name: {"count": 1, "operations": [operation], **knob}})

    def calls(self) -> dict[str, int]:
        operations = self.http.get(f"{self.url}/control/calls", timeout=60).json()["operations"]
        return {name: counted["calls"] for name, counted in operations.items()}

    def state(self, record: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(
            f"{self.url}/control/state", params={"type": "transaction", "record": record}, timeout=60
        ).json()
        return found

    def let_late_requests_arrive(self) -> None:
        self.server.app.late.apply_now()

    def advance(self, seconds: float) -> None:
        self.control("clock", advance_seconds=seconds)


def invoice(reference: str = "DOC-1", total: str = "150.00", **more: Any) -> dict[str, Any]:
    """A document of one line that costs `total`."""
    return {
        "reference": reference,
        "kind": "invoice",
        "party": {"code": "ADV-1", "name": "Acme Media"},
        "currency": "USD",
        "date": "2026-11-01",
        "total": Decimal(total),
        "lines": [{"description": "Homepage", "period": "2026-10", "amount": Decimal(total)}],
        **more,
    }


def memo(reference: str, corrects: str, total: str, **more: Any) -> dict[str, Any]:
    return invoice(reference, total, kind="credit_memo", corrects=corrects, **more)


def post(connector: NetSuiteConnector, payload: dict[str, Any]) -> PushResult:
    (result,) = connector.push("Invoice", Operation.CREATE, [item(payload)])
    return result


def item(payload: dict[str, Any]) -> PushItem:
    return PushItem(f"key-{payload['reference']}", payload)


@pytest.fixture(scope="session")
def netsuite_key() -> tuple[str, str]:
    """A private key and the public one that the account maps, both PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return private, public


@pytest.fixture
def account(netsuite_key: tuple[str, str]) -> Iterator[Account]:
    server = serve(certificate=netsuite_key[1], now=START, running=False)
    served = Account(server)
    try:
        yield served
    finally:
        served.http.close()
        server.close()


@pytest.fixture
def connect(account: Account, netsuite_key: tuple[str, str]) -> Iterator[Callable[..., NetSuiteConnector]]:
    made: list[NetSuiteConnector] = []

    def make(**changes: Any) -> NetSuiteConnector:
        values: dict[str, Any] = {
            "account": "1234567",
            "client_id": "orderhub",
            "certificate_id": "certificate-1",
            "private_key": netsuite_key[0],
            "item": "Advertising",
            "time_zone": "America/Los_Angeles",
            "endpoint": account.url,
            **changes,
        }
        made.append(NetSuiteConnector(NetSuiteSettings.model_validate(values)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()

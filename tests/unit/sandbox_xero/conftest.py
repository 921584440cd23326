"""The simulated organisation, asked by a plain HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from sandbox.serving import RunningServer
from sandbox.xero import serve
from sandbox.xero.process import DEFAULT_TENANT

SECRET = "a-secret-of-the-test"
SCOPES = "accounting.transactions accounting.contacts accounting.settings.read"
START = datetime(2026, 12, 5, 9, 0, tzinfo=UTC)


class Client:
    """A client with a token."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.http = requests.Session()
        self.http.trust_env = False
        self.token = self.log_in().json()["access_token"]

    def log_in(self, secret: str = SECRET, **form: str) -> requests.Response:
        values = {"grant_type": "client_credentials", "scope": SCOPES, **form}
        return self.http.post(f"{self.server.url}/connect/token", data=values, auth=("orderhub", secret), timeout=60)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", "xero-tenant-id": DEFAULT_TENANT, **more.pop("headers", {})}
        url = f"{self.server.url}/api.xro/2.0/{path}"
        return self.http.request(method, url, json=body, params=more, headers=headers, timeout=60)

    def control(self, path: str, **body: Any) -> Any:
        response = self.http.post(f"{self.server.url}/control/{path}", json=body, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def contact(self, number: str = "A", name: str = "Advertiser") -> str:
        made = self.send("PUT", "Contacts", {"Contacts": [{"ContactNumber": number, "Name": name}]}).json()
        return str(made["Contacts"][0]["ContactID"])

    def invoice(self, number: str = "INV-1", **more: Any) -> dict[str, Any]:
        if "Contact" not in more:
            known = self.send("GET", "Contacts", where='ContactNumber=="A"').json()["Contacts"]
            more["Contact"] = {"ContactID": known[0]["ContactID"] if known else self.contact()}
        line = {"Description": "Line", "Quantity": 1, "UnitAmount": 10.5, "AccountCode": "200"}
        values = {
            "Type": "ACCREC",
            "InvoiceNumber": number,
            "Date": "2026-11-30",
            "DueDate": "2026-12-30",
            "LineItems": [line],
        }
        return {**values, **more}

    def put(self, *invoices: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.send(
            "PUT", "Invoices", {"Invoices": list(invoices)}, summarizeErrors="false", **more
        ).json()["Invoices"]
        return found


@pytest.fixture
def xero() -> Iterator[Client]:
    server = serve(client_secret=SECRET, now=START, running=False, minute_limit=1000)
    server.app.clock.run(False)
    client = Client(server)
    yield client
    client.http.close()
    server.close()

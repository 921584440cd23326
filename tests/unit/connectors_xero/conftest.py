"""A Xero that answers what a test says, at the level of HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import responses

from connectors.base import PushItem
from connectors.xero import XeroConnector, XeroSettings

API = "https://api.xero.com/api.xro/2.0"
TENANT = "6f1d2c3b-4a59-4e68-8777-0123456789ab"
TOKEN = "the-secret-token"


def settings(**changes: Any) -> XeroSettings:
    values: dict[str, Any] = {
        "tenant_id": TENANT,
        "client_id": "id",
        "client_secret": "the-secret",
        "account_code": "200",
    }
    return XeroSettings.model_validate({**values, **changes})


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def document(number: int = 1, amount: str = "12.00") -> PushItem:
    payload = {
        "reference": f"INV-{number}",
        "party": {"code": "A", "name": "Advertiser"},
        "currency": "USD",
        "date": date(2026, 11, 30),
        "total": Decimal(amount),
        "lines": [{"description": "Line", "amount": Decimal(amount)}],
    }
    return PushItem(f"k{number}", payload)


def shown(number: int = 1, status: str = "DRAFT", **more: Any) -> dict[str, Any]:
    return {
        "InvoiceID": uuid(number),
        "InvoiceNumber": f"INV-{number}",
        "Type": "ACCREC",
        "Status": status,
        "Total": 12.0,
        "TotalTax": 0,
        "CurrencyCode": "USD",
        "Date": "/Date(1795996800000+0000)/",
        "UpdatedDateUTC": "/Date(1796000000000+0000)/",
        **more,
    }


@pytest.fixture
def xero() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post("https://identity.xero.com/connect/token", json={"access_token": TOKEN, "expires_in": 1800})
        contact = {"ContactID": uuid(9), "ContactNumber": "A", "Name": "Advertiser", "ContactStatus": "ACTIVE"}
        mock.get(f"{API}/Contacts", json={"Contacts": [contact]})
        mock.get(f"{API}/Invoices", json={"Invoices": []})
        yield mock


@pytest.fixture
def connect() -> Iterator[Callable[..., XeroConnector]]:
    made: list[XeroConnector] = []

    def make(**changes: Any) -> XeroConnector:
        made.append(XeroConnector(settings(**changes)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def sent(mock: responses.RequestsMock, method: str, path: str) -> list[Any]:
    """The JSON bodies sent, in order."""
    found = [
        c.request
        for c in mock.calls
        if c.request.method == method and (c.request.url or "").startswith(f"{API}/{path}")
    ]
    return [json.loads(request.body or b"{}") for request in found]

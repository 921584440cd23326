"""A NetSuite account that answers what a test says, at the level of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.netsuite import NetSuiteConnector, NetSuiteSettings

ROOT = "https://1234567.suitetalk.api.netsuite.com/services/rest"
TOKEN = "eyJhead.body.signature-that-is-secret"
PRIVATE_KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode("ascii")
)


def settings(**changes: Any) -> NetSuiteSettings:
    values: dict[str, Any] = {
        "account": "1234567",
        "client_id": "orderhub",
        "certificate_id": "cert",
        "private_key": PRIVATE_KEY,
        "algorithm": "ES256",
        "item": "Advertising",
        "time_zone": "Europe/Berlin",
        **changes,
    }
    return NetSuiteSettings.model_validate(values)


def refusal(code: str, detail: str = "d", path: str = "", status: int = 400) -> dict[str, Any]:
    return {
        "title": "t",
        "status": status,
        "o:errorDetails": [{"detail": detail, "o:errorCode": code, "o:errorPath": path}],
    }


@pytest.fixture
def netsuite() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(
            f"{ROOT}/auth/oauth2/v1/token", json={"access_token": TOKEN, "expires_in": "3600", "token_type": "Bearer"}
        )
        yield mock


@pytest.fixture
def connect() -> Iterator[Callable[..., NetSuiteConnector]]:
    made: list[NetSuiteConnector] = []

    def make(**changes: Any) -> NetSuiteConnector:
        made.append(NetSuiteConnector(settings(**changes)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()

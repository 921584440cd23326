"""The simulated account without sockets: requests go straight to its WSGI application."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from werkzeug.test import Client, TestResponse

from sandbox.netsuite import build
from sandbox.serving import ControlApp

AUDIENCE = "https://1234567.suitetalk.api.netsuite.com/services/rest/auth/oauth2/v1/token"
KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def assertion(
    key: str = PRIVATE, algorithm: str = "ES256", kid: str = "certificate-1", lasts: int = 300, **changes: Any
) -> str:
    """A signed assertion that is good for `lasts` seconds from this moment on."""
    now = int(time.time())
    claims = {
        "iss": "orderhub",
        "scope": ["rest_webservices"],
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + lasts,
        **changes,
    }
    return jwt.encode(
        {k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm, headers={"kid": kid}
    )


class Wire:
    """A client of the account that says what it means."""

    def __init__(self, control: ControlApp) -> None:
        self.control = control
        self.client = Client(control)
        self.token = ""

    def log_in(self, signed: str | None = None, **form: str) -> TestResponse:
        fields = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed or assertion(),
            **form,
        }
        return self.client.post("/services/rest/auth/oauth2/v1/token", data=fields)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        if not self.token:
            self.token = self.log_in().get_json()["access_token"]
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        return self.client.open(f"/services/rest/{path}", method=method, json=body, headers=sent)

    def query(self, statement: str, path: str = "query/v1/suiteql") -> list[dict[str, Any]]:
        reply = self.send("POST", path, {"q": statement}, Prefer="transient")
        assert reply.status_code == 200, reply.get_data(as_text=True)
        return [{k: v for k, v in row.items() if k != "links"} for row in reply.get_json()["items"]]

    def act(self, path: str, **body: Any) -> Any:
        reply = self.client.post(f"/control/{path}", json=body)
        assert reply.status_code == 200, reply.get_data(as_text=True)
        return reply.get_json()


def code_of(reply: TestResponse) -> tuple[int, str, str]:
    (entry,) = reply.get_json()["o:errorDetails"]
    return reply.status_code, entry["o:errorCode"], entry.get("o:errorPath", "")


def bill(**more: Any) -> dict[str, Any]:
    return {
        "entity": {"id": "1"},
        "tranDate": "2026-11-01",
        "item": {"items": [{"item": {"id": "1"}, "quantity": 2, "rate": 12.5}]},
        **more,
    }


@pytest.fixture
def wire() -> Iterator[Wire]:
    control = build(now=datetime(2026, 11, 2, 17, tzinfo=UTC), certificate=PUBLIC)
    made = Wire(control)
    made.act("customer", externalId="ADV-1", companyName="Acme")
    yield made
    control.close()

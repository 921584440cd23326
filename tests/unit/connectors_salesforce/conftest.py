"""A Salesforce org that answers what a test says, at the level of HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses

from connectors.salesforce import SalesforceConnector, SalesforceSettings

ORG = "https://acme.my.salesforce.com"
DATA = f"{ORG}/services/data/v68.0"
TOKEN = "00D000000000001!AQ.secret-token"


def settings(**changes: Any) -> SalesforceSettings:
    values: dict[str, Any] = {"domain": "acme.my", "consumer_key": "key", "consumer_secret": "the-secret", **changes}
    return SalesforceSettings.model_validate(values)


@pytest.fixture
def org() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(f"{ORG}/services/oauth2/token", json={"access_token": TOKEN, "instance_url": ORG})
        yield mock


@pytest.fixture
def connect() -> Iterator[Callable[..., SalesforceConnector]]:
    made: list[SalesforceConnector] = []

    def make(**changes: Any) -> SalesforceConnector:
        made.append(SalesforceConnector(settings(**changes)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def vendor_id(number: int, prefix: str = "006") -> str:
    return f"{prefix}{number:012d}AAA"


def refusal(code: str, message: str = "m", **more: Any) -> list[dict[str, Any]]:
    return [{"errorCode": code, "message": message, **more}]


def sent(mock: responses.RequestsMock, path: str) -> list[Any]:
    """The JSON bodies sent to a path, in order."""
    bodies = []
    for call in mock.calls:
        if path in (call.request.url or "") and call.request.body:
            body = call.request.body
            bodies.append(json.loads(body))
    return bodies


def saved(identifier: str, **more: Any) -> dict[str, Any]:
    return {"id": identifier, "success": True, "errors": [], **more}


def not_saved(code: str, message: str = "m", fields: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields)}]}

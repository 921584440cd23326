"""The Salesforce connector on the simulated org, over real sockets on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from connectors.salesforce import SalesforceConnector, SalesforceSettings
from sandbox.salesforce import serve

START = datetime(2019, 9, 11, 17, 0, tzinfo=UTC)
SECRET = "a-secret-of-the-test"


class Org:
    """The sandbox, and the people who work in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False

    def control(self, path: str, **body: Any) -> Any:
        response = self.http.post(f"{self.url}/control/{path}", json=body, timeout=60)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, object_name: str, **fields: Any) -> str:
        return str(self.control("create", object=object_name, fields=fields)["id"])

    def edit(self, object_name: str, record_id: str, **fields: Any) -> None:
        self.control("edit", object=object_name, id=record_id, fields=fields)

    def deal(self, name: str = "Deal", **more: Any) -> str:
        fields = {"Name": name, "StageName": "Closed Won", "CloseDate": "2019-09-12", **more}
        return self.create("Opportunity", **fields)

    def fault(self, name: str, **knob: Any) -> None:
        self.control("faults", **{name: {"count": 1, **knob}})

    def calls(self) -> dict[str, int]:
        operations = self.http.get(f"{self.url}/control/calls", timeout=60).json()["operations"]
        return {name: counted["calls"] for name, counted in operations.items()}

    def state(self, object_name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(
            f"{self.url}/control/state", params={"type": object_name}, timeout=60
        ).json()
        return found

    def true(self, object_name: str, record_id: str) -> dict[str, Any]:
        return next(row for row in self.state(object_name) if row["Id"] == record_id)

    def advance(self, seconds: float) -> None:
        self.control("clock", advance_seconds=seconds)


@pytest.fixture
def org() -> Iterator[Org]:
    server = serve(client_secret=SECRET, now=START, running=False)
    served = Org(server.url)
    try:
        yield served
    finally:
        served.http.close()
        server.close()


@pytest.fixture
def connect(org: Org) -> Iterator[Callable[..., SalesforceConnector]]:
    made: list[SalesforceConnector] = []

    def make(**changes: Any) -> SalesforceConnector:
        values: dict[str, Any] = {
            "domain": "acme.my",
            "consumer_key": "orderhub",
            "consumer_secret": SECRET,
            "endpoint": org.url,
            "external_id_fields": {"Opportunity": "Hub_Id__c", "OpportunityLineItem": "Hub_Id__c"},
            **changes,
        }
        made.append(SalesforceConnector(SalesforceSettings.model_validate(values)))
        return made[-1]

    yield make
    for connector in made:
        connector.close()

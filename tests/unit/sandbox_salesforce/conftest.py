"""An ad sales org in this process: its state, and its HTTP interface through a WSGI client without sockets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from sandbox.salesforce import SalesforceOrg, build
from sandbox.serving import ControlApp

NOW = datetime(2019, 9, 11, 17, 41, 8, tzinfo=UTC)
API = "/services/data/v68.0"


@dataclass
class Api:
    """Requests to the org as the integration user, and to its control interface as the people."""

    app: ControlApp
    client: Client
    token: str = ""

    def __call__(self, method: str, path: str, body: Any = None, *, status: int | None = None, **options: Any) -> Any:
        """The JSON answer; `status` is expected, or any success."""
        reply = self.raw(method, path, body, **options)
        expected = reply.status_code < 300 if status is None else reply.status_code == status
        assert expected, f"{method} {path}: {reply.status_code} {reply.get_data(as_text=True)[:500]}"
        return reply.get_json() if reply.get_data() else None

    def raw(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        """The whole reply."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        if body is not None and "data" not in options:
            options["json"] = body
        full = path if path.startswith("/services") else f"{API}/{path}"
        return self.client.open(full, method=method, headers=headers, **options)

    def control(self, path: str, *, status: int = 200, **body: Any) -> Any:
        """POST to the control interface."""
        reply = self.client.post(f"/control/{path}", json=body)
        assert reply.status_code == status, reply.get_data(as_text=True)
        return reply.get_json()

    def state(self, type_name: str) -> list[dict[str, Any]]:
        """True records."""
        reply = self.client.get(f"/control/state?type={type_name}")
        assert reply.status_code == 200
        return reply.get_json()  # type: ignore[no-any-return]

    def query(self, soql: str, *, resource: str = "query", status: int | None = None) -> Any:
        """A query's answer."""
        return self("GET", resource, query_string={"q": soql}, status=status)

    def rows(self, soql: str, **options: Any) -> list[dict[str, Any]]:
        """A query's records without attributes."""
        return [{k: v for k, v in row.items() if k != "attributes"} for row in self.query(soql, **options)["records"]]

    def create(self, object_name: str, **fields: Any) -> str:
        """The id of a new record."""
        return str(self("POST", f"sobjects/{object_name}", fields, status=201)["id"])

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400) -> dict[str, Any]:
        """The first error of a refused request."""
        return self(method, path, body, status=status)[0]  # type: ignore[no-any-return]

    def log_in(self) -> None:
        """Take a new token."""
        form = {"grant_type": "client_credentials"}
        reply = self.client.post("/services/oauth2/token", data=form, auth=("orderhub", self._secret))
        assert reply.status_code == 200, reply.get_data(as_text=True)
        self.token = reply.get_json()["access_token"]

    _secret: str = ""


@pytest.fixture
def make_api() -> Callable[..., Api]:
    """Builds an org; keyword arguments as for `build`."""

    def make(**options: Any) -> Api:
        secret = secrets.token_hex(16)
        app = build(now=options.pop("now", NOW), client_secret=secret, **options)
        app.clock.run(False)
        api = Api(app, Client(app))
        api._secret = secret
        api.log_in()
        return api

    return make


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """A fresh multi-currency ad sales org, its clock held."""
    return make_api()


@pytest.fixture
def org(api: Api) -> SalesforceOrg:
    """The state behind `api`."""
    assert isinstance(api.app.state, SalesforceOrg)
    return api.app.state


@dataclass
class Deal:
    """An account's opportunity and what a line of it needs."""

    account: str
    opportunity: str
    product: str
    pricebook: str
    entry: str

    def line(self, **fields: Any) -> dict[str, Any]:
        """A line item that the vendor accepts."""
        base = {"OpportunityId": self.opportunity, "PricebookEntryId": self.entry, "Quantity": 2, "UnitPrice": 10.25}
        return {**base, **fields}


@pytest.fixture
def deal(api: Api) -> Deal:
    """An opportunity in USD without lines."""
    account = api.create("Account", Name="Acme")
    product = api.create("Product2", Name="Ads", IsActive=True, ProductCode="ADS")
    book = api.rows("SELECT Id FROM Pricebook2 WHERE IsStandard = TRUE")[0]["Id"]
    shared = {"Pricebook2Id": book, "Product2Id": product, "IsActive": True}
    entry = api.create("PricebookEntry", UnitPrice=5, CurrencyIsoCode="USD", **shared)
    fields = {"AccountId": account, "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    return Deal(account, api.create("Opportunity", Name="Deal", **fields), product, book, entry)

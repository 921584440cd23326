"""The real hub with the real connectors between both simulated vendors, each in a thread of this process."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sandbox.gam
import sandbox.salesforce
from cli.demo.configuration import AD_SERVER_TOKEN, CRM_SECRET, STORE_URL, configuration, write_configuration
from cli.demo.control import SandboxControl
from cli.demo.crm_client import CrmClient
from cli.flows import apply
from hub import Hub, open_hub
from oms_schema.ids import EntityKind, canonical_id

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@dataclass
class Town:
    """A CRM, an ad server, and a hub between them."""

    hub: Hub
    crm: CrmClient
    crm_people: SandboxControl
    ad_people: SandboxControl
    entry: str

    def account(self, name: str, **fields: Any) -> str:
        return self._created("Account", {"Name": name, **fields})

    def opportunity(self, account: str | None, name: str = "Spring", **fields: Any) -> str:
        body = {
            "Name": name,
            "AccountId": account,
            "StageName": "Closed Won",
            "CloseDate": "2026-01-05",
            "CurrencyIsoCode": "USD",
        }
        return self._created("Opportunity", {**body, **fields})

    def line(self, opportunity: str, **fields: Any) -> str:
        body = {
            "OpportunityId": opportunity,
            "PricebookEntryId": self.entry,
            "Quantity": 1,
            "UnitPrice": 100,
            "Flight_Start__c": "2026-02-01T00:00:00Z",
            "Flight_End__c": "2026-02-28T23:59:59Z",
            "CPM__c": 12.5,
            "Goal_Impressions__c": 1000000,
            "Cost_Type__c": "CPM",
        }
        return self._created("OpportunityLineItem", {**body, **fields})

    def change(self, record: str, record_id: str, **fields: Any) -> None:
        (saved,) = self.crm.update(record, [{"Id": record_id, **fields}])
        assert saved.id, saved

    def _created(self, record: str, body: dict[str, Any]) -> str:
        (saved,) = self.crm.create(record, [body])
        assert saved.id, saved
        return saved.id

    def travel(self) -> None:
        """Read the CRM and let everything come to rest."""
        self.hub.intake("sfdc")
        assert apply(self.hub, patience=60).at_rest

    def lines(self) -> dict[str, dict[str, Any]]:
        """Line items truly at the ad server, by canonical line id."""
        return {str(line["externalId"]): line for line in self.ad_people.objects("LineItem")}

    def parked(self) -> list[tuple[str, str, str]]:
        return [(item.reason, item.path, item.sentence) for item in self.hub.parked()]

    def line_id(self, record_id: str) -> str:
        return canonical_id(EntityKind.LINE, "sfdc", record_id)

    def shown(self, record: str, record_id: str, field: str) -> Any:
        """What a CRM user sees in a field."""
        (row,) = self.crm.query(f"SELECT Id, {field} FROM {record} WHERE Id = '{record_id}'")
        return row[field]


def _price_book_entry(crm: CrmClient) -> str:
    (book,) = crm.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")
    (product,) = crm.create("Product2", [{"Name": "Ad line", "IsActive": True}])
    (entry,) = crm.create(
        "PricebookEntry",
        [
            {
                "Pricebook2Id": book["Id"],
                "Product2Id": product.id,
                "UnitPrice": 1,
                "IsActive": True,
                "CurrencyIsoCode": "USD",
            }
        ],
    )
    assert entry.id, entry
    return entry.id


@pytest.fixture
def town(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """Everything running, empty, the clocks at the same moment."""
    secret = secrets.token_urlsafe(12)
    with (
        Closing(sandbox.gam.serve(clock=START, running=False)) as ads,
        Closing(sandbox.salesforce.serve(now=START, running=False, client_secret=secret)) as crm,
    ):
        ad_people, crm_people = SandboxControl("gam", ads.url), SandboxControl("salesforce", crm.url)
        monkeypatch.setenv(STORE_URL, database_url)
        monkeypatch.setenv(CRM_SECRET, secret)
        monkeypatch.setenv(AD_SERVER_TOKEN, "sandbox-token")
        trafficker = next(str(user["id"]) for user in ad_people.objects("User"))
        path = tmp_path / "orderhub.yaml"
        write_configuration(path, configuration(crm.url, ads.url, trafficker=trafficker))
        with CrmClient(crm.url, "orderhub", secret) as client, open_hub(path) as hub:
            hub.migrate()
            hub.set_business_time(START)
            yield Town(hub, client, crm_people, ad_people, _price_book_entry(client))
        ad_people.close()
        crm_people.close()


@dataclass
class Closing:
    server: Any

    def __enter__(self) -> Any:
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.close()

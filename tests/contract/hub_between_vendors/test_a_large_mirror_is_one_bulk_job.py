"""More than 2,000 due mirrors against the simulated Salesforce: one Bulk 2.0 job, also where its start is not answered."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox.salesforce
from cli.demo.configuration import CRM_SECRET, STORE_URL, configuration, write_configuration
from cli.demo.control import SandboxControl, writes
from cli.demo.crm_client import CrmClient
from hub import open_hub

from .conftest import START, Closing, Town, _price_book_entry

MANY = 2_001
STATUS = "Hub_Status__c"


@pytest.fixture
def settings() -> dict[str, object]:
    """Settings of the connection beside the demo's; by themselves the connector's own defaults of jobs hold."""
    return {}


@pytest.fixture
def org(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> Iterator[Town]:
    """A hub with a CRM alone: what is accepted is mirrored, nothing else happens."""
    secret = secrets.token_urlsafe(12)
    with Closing(sandbox.salesforce.serve(now=START, running=False, client_secret=secret)) as crm:
        people = SandboxControl("salesforce", crm.url)
        monkeypatch.setenv(STORE_URL, database_url)
        monkeypatch.setenv(CRM_SECRET, secret)
        content = configuration(crm.url, crm.url, trafficker="1")
        del content["connections"]["gam-main"]
        del content["connections"]["sfdc"]["settings"]["bulk_threshold"]
        content["connections"]["sfdc"]["settings"] |= settings
        path = tmp_path / "orderhub.yaml"
        write_configuration(path, content)
        with CrmClient(crm.url, "orderhub", secret) as client, open_hub(path) as hub:
            hub.migrate()
            hub.set_business_time(START)
            yield Town(hub, client, people, people, _price_book_entry(client))
        people.close()


def _booked(org: Town, lines: int) -> None:
    """A deal with so many lines in the CRM, read and accepted by the hub; the mirror is due."""
    deal = org.opportunity(org.account("Acme"))
    rows = [
        {
            "OpportunityId": deal,
            "PricebookEntryId": org.entry,
            "Quantity": 1,
            "UnitPrice": 1,
            "Flight_Start__c": "2026-02-01T00:00:00Z",
            "Flight_End__c": "2026-02-28T23:59:59Z",
            "CPM__c": 2,
            "Goal_Impressions__c": 1000,
            "Cost_Type__c": "CPM",
        }
        for _ in range(lines)
    ]
    assert all(saved.id for saved in org.crm.create("OpportunityLineItem", rows))
    org.hub.intake("sfdc")
    org.crm_people.reset_calls()


def _mirrored(org: Town) -> int:
    return sum(1 for line in org.crm_people.objects("OpportunityLineItem") if line.get(STATUS))


def _calls(org: Town) -> dict[str, int]:
    return {each.operation: each.calls for each in org.crm_people.calls()}


def test_above_2000_due_mirrors_one_job_goes_instead_of_eleven_calls(org: Town) -> None:
    _booked(org, MANY)
    pushed = org.hub.push("sfdc")
    calls = _calls(org)
    assert calls["POST jobs/ingest OpportunityLineItem"] == 1
    assert calls["PUT jobs/ingest/batches"] == 1
    assert not [name for name in calls if name.startswith("PATCH composite") and "LineItem" in name]
    assert _mirrored(org) == MANY
    assert (pushed.outcomes["updated"], pushed.in_doubt, pushed.parked) == (MANY + 1, 0, 0)
    assert pushed.calls == 2  # the order's, and the job
    assert writes(org.crm_people.calls()) == 4  # the order's; creating, filling and closing the job
    assert org.hub.push("sfdc").calls == 0


@pytest.mark.parametrize("settings", [{"bulk_threshold": 200, "max_in_flight_seconds": 0.0}])
def test_a_job_whose_start_is_not_answered_is_in_doubt_and_settles(org: Town) -> None:
    _booked(org, 201)
    org.crm_people.turn_faults_on({"lost_reply": {"count": 1, "operations": ["PATCH jobs/ingest/id"]}})
    pushed = org.hub.push("sfdc")
    assert pushed.outcomes["in_doubt"] == 201
    assert org.hub.settle("sfdc").resent == 201
    again = org.hub.push("sfdc")
    assert (again.outcomes["updated"], again.in_doubt, again.waiting) == (201, 0, 0)
    assert _mirrored(org) == 201
    assert _calls(org)["POST jobs/ingest OpportunityLineItem"] == 2


@pytest.mark.parametrize("settings", [{"bulk_threshold": 200}])
def test_what_a_stopped_job_did_not_reach_is_sent_again(org: Town) -> None:
    _booked(org, 301)
    org.crm_people.turn_faults_on({"job_stop": {"count": 1}})
    pushed = org.hub.push("sfdc")
    assert (pushed.outcomes["updated"], pushed.outcomes["retry"], pushed.in_doubt) == (201, 101, 0)
    assert pushed.waiting == 101

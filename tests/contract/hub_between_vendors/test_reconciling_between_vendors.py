"""Census, drift and conflicts with the real connectors between both simulated vendors: what the hub wrote is no drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.base import Operation, PushesRecords, PushItem

if TYPE_CHECKING:
    from conftest import Town

TARGETED: dict[str, Any] = {
    "Geo_Countries__c": "United States",
    "Geo_Metros__c": "New York, NY",
    "Brand__c": "Zürich “Spring” – 50%",
    "Description": "Line one\nline two",
    "Goal_Impressions__c": 1234567,
    "CPM__c": 3.333333,
}


def booked(town: Town) -> tuple[str, str]:
    account = town.account("Acme & Søns", BillingCity="Oslo", BillingCountry="Norway")
    opportunity = town.opportunity(account, "Spring <launch>", Agency__c=account, PO_Number__c="PO-7")
    line = town.line(opportunity, **TARGETED)
    town.line(opportunity, Flight_End__c=None, Cost_Type__c="CPM")
    town.travel()
    assert town.parked() == []
    return opportunity, line


def test_nothing_that_the_hub_wrote_is_drift_and_a_census_agrees(town: Town) -> None:
    booked(town)
    for connection, records in (("gam-main", 5), ("sfdc", 3)):
        drifted = town.hub.drift(connection)
        assert (drifted.examined, drifted.items) == (records, ())
    assert town.hub.census("gam-main").agrees
    counted = town.hub.census("sfdc")
    assert (counted.vanished, counted.never_read) == (0, 0)


def test_a_traffickers_edit_is_a_conflict_and_not_overwritten(town: Town) -> None:
    opportunity, line = booked(town)
    item = town.lines()[town.line_id(line)]
    trafficked = {**item["primaryGoal"], "units": 42}
    town.ad_people.post("edit", {"type": "LineItem", "id": item["id"], "fields": {"primaryGoal": trafficked}})
    town.change("OpportunityLineItem", line, CPM__c=9)
    town.travel()
    assert town.lines()[town.line_id(line)]["primaryGoal"]["units"] == 42
    assert [(reason, path) for reason, path, _ in town.parked()] == [("conflict", "LineItem.primaryGoal.units")]
    town.hub.accept(opportunity)
    town.travel()
    shown = town.lines()[town.line_id(line)]
    assert (shown["primaryGoal"]["units"], shown["costPerUnit"]["microAmount"]) == (42, 9_000_000)
    assert town.parked() == []


class AnHourLater:
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)


def test_a_line_that_was_deleted_there_is_found_and_made_again_when_asked(town: Town) -> None:
    _, line = booked(town)
    item = town.lines()[town.line_id(line)]
    gam = town.hub.session.channel("gam-main").connector
    assert isinstance(gam, PushesRecords)
    gam.push("LineItem", Operation.ACT, [PushItem("x", {}, str(item["id"]), "DeleteLineItems")])
    town.hub.session.machine = AnHourLater()
    assert town.hub.census("gam-main").gone == 1
    assert [reason for reason, _, _ in town.parked()] == ["vendor_state"]
    town.hub.replay(code="RECORD-GONE")
    town.travel()
    again = town.lines()[town.line_id(line)]
    assert again["id"] != item["id"]
    assert again["status"] == town.lines()[town.line_id(line)]["status"]
    assert town.parked() == []

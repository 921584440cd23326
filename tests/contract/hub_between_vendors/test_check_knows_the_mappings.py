"""`check` compares the CRM's own fields with what the mappings say of them, not only whether they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Town


def findings(town: Town) -> dict[str, tuple[str, str]]:
    found = town.hub.check("sfdc").findings
    return {subject: (severity, sentence) for severity, subject, sentence in found if severity != "ok"}


def test_the_org_that_the_mappings_were_made_for_gives_no_finding(town: Town) -> None:
    assert findings(town) == {}


def test_a_field_of_the_mirror_that_is_too_short_and_one_of_another_type_are_told(town: Town) -> None:
    people = town.crm_people
    people.post("fields", {"object": "Opportunity", "field": "Hub_Status_Text__c", "type": "string", "length": 80})
    people.post("fields", {"object": "OpportunityLineItem", "field": "Flight_Start__c", "type": "string", "length": 40})
    found = findings(town)
    assert set(found) == {"Opportunity.Hub_Status_Text__c", "OpportunityLineItem.Flight_Start__c"}
    assert found["Opportunity.Hub_Status_Text__c"][0] == "warning"
    severity, sentence = found["OpportunityLineItem.Flight_Start__c"]
    assert severity == "error"
    assert "datetime" in sentence
    assert not town.hub.check("sfdc").usable

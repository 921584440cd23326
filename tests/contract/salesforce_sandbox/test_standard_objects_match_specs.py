"""Standard objects without a recorded describe against the vendor's field lists under ORDERHUB_SPECS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce.facts import Field, single_currency, standard_objects
from sandbox.salesforce.schema import View

pytestmark = pytest.mark.specs
SPECS = Path(os.environ.get("ORDERHUB_SPECS", Path(__file__).parents[4] / "shared" / "specs"))
FIELD_LIST = SPECS / "salesforce" / "standard-objects.from-jsforce-3.10.16.json"
# The list is TypeScript: it knows text, number, boolean, date and address only.
KINDS = {"double": "number", "currency": "number", "percent": "number", "int": "number", "boolean": "boolean"}
KINDS |= {"date": "DateString", "datetime": "DateString"}
# Account, Contact and Opportunity are compared with recordings, which know more.
LISTED = ("OpportunityLineItem", "Product2", "Pricebook2", "PricebookEntry", "User")


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    if not FIELD_LIST.is_file():
        pytest.skip(f"not run: {FIELD_LIST.name} is absent under ORDERHUB_SPECS")
    return json.loads(FIELD_LIST.read_text("utf-8"))["objects"]  # type: ignore[no-any-return]


def _differences(fields: tuple[Field, ...], listed: dict[str, Any]) -> list[str]:
    found = []
    for field in fields:
        known = listed["fields"].get(field.name)
        if known is None:
            found.append(f"{field.name} is not listed")
        elif (kind := KINDS.get(field.type, "string")) != known["type"]:
            found.append(f"{field.name} is a {kind}, listed as {known['type']}")
        elif field.nillable != known["nullable"]:
            found.append(f"{field.name} nillable {field.nillable}, listed as {known['nullable']}")
        if field.relationshipName and field.relationshipName not in listed["parents"]:
            found.append(f"parent {field.relationshipName} is not listed")
    return found


@pytest.mark.parametrize("name", LISTED)
def test_modelled_fields_are_listed_with_their_kind_and_nullability(listed: dict[str, Any], name: str) -> None:
    sobject = single_currency(standard_objects().values())[name]
    assert _differences(sobject.fields, listed[name]) == []


def test_a_planted_field_is_found(listed: dict[str, Any]) -> None:
    planted = Field(name="Discount", type="percent", precision=5, scale=2)
    assert _differences((planted,), listed["OpportunityLineItem"]) == ["Discount is not listed"]


@pytest.mark.parametrize(
    ("parent", "name", "child"),
    [
        ("Account", "Opportunities", "Opportunity"),
        ("Account", "Contacts", "Contact"),
        ("Opportunity", "OpportunityLineItems", "OpportunityLineItem"),
        ("Pricebook2", "PricebookEntries", "PricebookEntry"),
        ("PricebookEntry", "OpportunityLineItems", "OpportunityLineItem"),
    ],
)
def test_child_relationships_have_the_listed_names(listed: dict[str, Any], parent: str, name: str, child: str) -> None:
    relationship = View(standard_objects()).child_relationship(parent, name)
    assert relationship is not None
    assert (relationship.child, listed[parent]["children"][name]) == (child, child)

"""The sandbox's standard objects against recorded describes of a real single-currency org."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sandbox.salesforce.api.describe import describe_global, describe_object
from sandbox.salesforce.facts import single_currency, standard_objects
from sandbox.salesforce.schema import View

RECORDED = ("Account", "Contact", "Opportunity")
# byteLength is not compared: the recorded org gives Fiscal 6 bytes for 6 characters and every other text 3 per character.
FIELD_FACTS = (
    "type",
    "soapType",
    "label",
    "length",
    "precision",
    "scale",
    "digits",
    "nillable",
    "createable",
    "updateable",
    "filterable",
    "sortable",
    "groupable",
    "aggregatable",
    "defaultedOnCreate",
    "unique",
    "externalId",
    "idLookup",
    "caseSensitive",
    "calculated",
    "nameField",
    "restrictedPicklist",
    "referenceTo",
    "relationshipName",
    "compoundFieldName",
    "custom",
    "defaultValue",
    "cascadeDelete",
    "autoNumber",
    "namePointing",
)
OBJECT_FACTS = (
    "activateable",
    "createable",
    "custom",
    "customSetting",
    "deletable",
    "deprecatedAndHidden",
    "feedEnabled",
    "keyPrefix",
    "label",
    "labelPlural",
    "layoutable",
    "mergeable",
    "mruEnabled",
    "name",
    "queryable",
    "replicateable",
    "retrieveable",
    "searchable",
    "triggerable",
    "undeletable",
    "updateable",
)
Recordings = Callable[[str], Any]


def _recorded(recordings: Recordings, name: str) -> dict[str, Any]:
    cassette = recordings(f"GET_sobjects_{name}_describe.yaml")
    return json.loads(cassette["response"]["body"]["string"])  # type: ignore[no-any-return]


def _differences(ours: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """What our describe says otherwise than the recorded one, for every standard field that we model."""
    found = [
        f"{name}: ours {ours[name]!r}, recorded {recorded[name]!r}"
        for name in OBJECT_FACTS
        if ours[name] != recorded[name]
    ]
    fields = {field["name"]: field for field in recorded["fields"]}
    for field in ours["fields"]:
        theirs = fields.get(field["name"])
        if theirs is None:
            found.append(f"{field['name']}: not in the recording")
            continue
        found += [
            f"{field['name']}.{fact}: ours {field[fact]!r}, recorded {theirs[fact]!r}"
            for fact in FIELD_FACTS
            if field[fact] != theirs[fact]
        ]
        values, their_values = ([p["value"] for p in f["picklistValues"]] for f in (field, theirs))
        if values != their_values:
            found.append(f"{field['name']}.picklistValues: ours {values}, recorded {their_values}")
    children = {(c["childSObject"], c["field"]): c for c in recorded["childRelationships"]}
    for child in ours["childRelationships"]:
        theirs = children.get((child["childSObject"], child["field"]))
        if theirs is None:
            found.append(f"child {child['childSObject']}.{child['field']}: not in the recording")
        elif theirs != child:
            found.append(f"child {child['childSObject']}.{child['field']}: ours {child}, recorded {theirs}")
    return found


@pytest.fixture(scope="module")
def view() -> View:
    return View(single_currency(standard_objects().values()))


@pytest.mark.parametrize("name", RECORDED)
def test_every_modelled_standard_field_is_as_recorded(recordings: Recordings, view: View, name: str) -> None:
    ours = describe_object(view.objects[name], view, "/services/data/v68.0")
    assert _differences(ours, _recorded(recordings, name)) == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("Name", {"length": 121}),
        ("Amount", {"scale": 3}),
        ("StageName", {"picklist": ("Prospecting", "Closed Won")}),
        ("CloseDate", {"nillable": True}),
        ("SystemModstamp", {"sortable": False}),
        ("IsWon", {"updateable": True}),
    ],
)
def test_a_planted_wrong_fact_is_found(recordings: Recordings, view: View, field: str, wrong: dict[str, Any]) -> None:
    sobject = view.objects["Opportunity"]
    planted = sobject.with_field(replace(sobject.by_key[field.lower()], **wrong))
    ours = describe_object(planted, View({**view.objects, "Opportunity": planted}), "/services/data/v68.0")
    assert any(
        difference.startswith(f"{field}.") for difference in _differences(ours, _recorded(recordings, "Opportunity"))
    )


def test_a_planted_field_that_no_org_has_is_found(recordings: Recordings, view: View) -> None:
    sobject = view.objects["Opportunity"]
    planted = sobject.with_field(replace(sobject.by_key["nextstep"], name="CurrencyIsoCode"))
    ours = describe_object(planted, view, "/services/data/v68.0")
    assert "CurrencyIsoCode: not in the recording" in _differences(ours, _recorded(recordings, "Opportunity"))


@pytest.mark.parametrize("name", RECORDED)
def test_describe_has_the_properties_of_the_recorded_one(recordings: Recordings, view: View, name: str) -> None:
    ours, recorded = describe_object(view.objects[name], view, ""), _recorded(recordings, name)
    # The recordings of Account and Contact are older: they lack what API 50 brought, and have hasSubtypes instead.
    newer = {"associateEntityType", "associateParentEntity", "sobjectDescribeOption"}
    assert set(recorded) - set(ours) == set()
    assert set(ours) - set(recorded) <= newer
    assert set(ours["fields"][0]) == set(recorded["fields"][0])


def test_global_describe_has_the_recorded_form(recordings: Recordings, view: View) -> None:
    ours, recorded = describe_global(view, "/services/data/v52.0"), _recorded(recordings, "Global")
    assert {key: ours[key] for key in ("encoding", "maxBatchSize")} == {"encoding": "UTF-8", "maxBatchSize": 200}
    theirs = {sobject["name"]: sobject for sobject in recorded["sobjects"]}
    assert set(ours) == set(recorded)
    for sobject in ours["sobjects"]:
        if sobject["name"] in RECORDED:
            expected = theirs[sobject["name"]]
            assert set(sobject) == set(expected)
            assert {k: v for k, v in sobject.items() if k != "urls"} == {
                k: v for k, v in expected.items() if k != "urls"
            }


def test_single_currency_org_has_no_currency_field_at_all(view: View) -> None:
    assert "CurrencyType" not in view.objects
    assert [s.name for s in view.objects.values() if "currencyisocode" in s.by_key] == []

"""The connector's facts and its reading of answers, against recordings of real orgs and the vendor's field lists."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import responses

from connectors.base import Operation, PushItem
from connectors.salesforce.describes import DescribedObject, Describes
from connectors.salesforce.schemas import TYPES, object_facts
from connectors.salesforce.session import OrgSession
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.writes import Row, Target, collection_results

Recordings = Callable[[str], Any]
RECORDED = ("Account", "Opportunity")
UPSERTS = (
    "TestUpsert.test_simple_upsert__rest.yaml",
    "TestUpsert.test_upsert__rest.yaml",
    "TestUpsert.test_upsert_complex_external_id_field__rest.yaml",
    "TestUpsert.test_upsert_complex_external_id_field_rest__duplicate_error.yaml",
)
SPECS = Path(os.environ.get("ORDERHUB_SPECS", Path(__file__).parents[4] / "shared" / "specs"))
FIELD_LIST = SPECS / "salesforce" / "standard-objects.from-jsforce-3.10.16.json"
LISTED_KINDS = {"boolean": "boolean", "integer": "number", "decimal": "number", "date": "DateString"}
LISTED_KINDS |= {"datetime": "DateString"}

# The recordings are had, verified and kept by the sandbox's own conformance tests; one fixture serves both.
_spec = importlib.util.spec_from_file_location(
    "salesforce_recordings", Path(__file__).parents[1] / "salesforce_sandbox" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
recordings = _module.recordings


def described(recordings: Recordings, name: str) -> tuple[dict[str, Any], DescribedObject]:
    """A recorded describe, as it is and as the connector reads it."""
    body = recordings(f"GET_sobjects_{name}_describe.yaml")["response"]["body"]["string"]
    org = "https://acme.my.salesforce.com"
    settings = SalesforceSettings.model_validate({"domain": "acme.my", "consumer_key": "k", "consumer_secret": "s"})
    session = OrgSession(settings)
    with responses.RequestsMock() as mock:
        mock.post(f"{org}/services/oauth2/token", json={"access_token": "t", "instance_url": org})
        mock.get(f"{org}/services/data/v68.0/sobjects/{name}/describe", body=body)
        seen = Describes(session).fresh(name)
    session.close()
    return json.loads(body), seen


def differences(facts: Mapping[str, Mapping[str, Any]], fields: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What our facts say otherwise than a describe of a single-currency org."""
    found = []
    for name, ours in facts.items():
        theirs = fields.get(name)
        if theirs is None:
            found += [] if ours.get("multicurrency") else [f"{name} is not there"]
            continue
        if ours.get("multicurrency"):
            found.append(f"{name} is there, though the org has one currency")
        required = not theirs["nillable"] and not theirs["defaultedOnCreate"] and theirs["createable"]
        compared = {
            "type": (ours["type"], theirs["type"]),
            "length": (ours.get("length", theirs["length"]), theirs["length"]),
            "createable": (ours.get("create", True), theirs["createable"]),
            "updateable": (ours.get("update", True), theirs["updateable"]),
            "required": (ours.get("required", False), required),
            "restricted": (ours.get("closed", False), theirs["restrictedPicklist"]),
        }
        found += [f"{name} {fact}: {a} here, {b} recorded" for fact, (a, b) in compared.items() if a != b]
    return found


@pytest.mark.parametrize("name", RECORDED)
def test_our_facts_are_those_of_a_real_org(recordings: Recordings, name: str) -> None:
    raw, _ = described(recordings, name)
    assert differences(object_facts()[name], {f["name"]: f for f in raw["fields"]}) == []


def test_planted_wrong_facts_are_found(recordings: Recordings) -> None:
    raw, _ = described(recordings, "Opportunity")
    planted = {
        "Name": {"type": "string", "length": 80},
        "Nowhere": {"type": "string"},
        "IsWon": {"type": "boolean"},
        "Amount": {"type": "currency", "multicurrency": True},
    }
    found = differences(planted, {f["name"]: f for f in raw["fields"]})
    assert len(found) == 6, found


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_field_is_read_and_what_cannot_be_carried_is_left_out(recordings: Recordings, name: str) -> None:
    raw, seen = described(recordings, name)
    assert [f.name for f in seen.fields.values()] == [f["name"] for f in raw["fields"]]
    left_out = {f["type"] for f in raw["fields"] if f["name"] not in seen.carried()}
    assert left_out <= {"address", "location", "base64"}
    assert {f["type"] for f in raw["fields"]} - left_out <= set(TYPES)


@pytest.mark.parametrize("cassette", UPSERTS)
def test_recorded_upsert_answers_are_read_record_by_record(recordings: Recordings, cassette: str) -> None:
    compared = 0
    for exchange in recordings(cassette)["interactions"]:
        request = exchange.get("request", {})
        if request.get("method") != "PATCH" or "/composite/sobjects/" not in request["uri"]:
            continue
        *_, record, field = request["uri"].split("/")
        records = json.loads(request["body"])["records"]
        answer = json.loads(exchange["response"]["body"]["string"])
        rows = [Row(n, PushItem(f"k{n}", {}), str(r.get(field)), r) for n, r in enumerate(records)]
        results = collection_results(Target(record, Operation.CREATE, field), rows, answer, pause=1.0)
        for row, entry, result in zip(rows, answer, results, strict=True):
            expected = "in_doubt" if not entry["success"] else "created" if entry["created"] else "updated"
            if not entry["success"]:
                assert result.code == entry["errors"][0]["statusCode"]
                expected = result.outcome.value if result.outcome.value in ("rejected", "retry") else "unlisted code"
            assert (result.key, result.outcome.value) == (row.item.key, expected)
            compared += 1
    assert compared


@pytest.mark.specs
@pytest.mark.parametrize("name", ["OpportunityLineItem", "Product2"])  # the list lacks fields that recordings have
def test_our_fields_are_in_the_vendors_list_with_their_kind(name: str) -> None:
    if not FIELD_LIST.is_file():
        pytest.skip(f"not run: {FIELD_LIST.name} is absent under ORDERHUB_SPECS")
    listed = json.loads(FIELD_LIST.read_text("utf-8"))["objects"][name]["fields"]
    ours = {n: f for n, f in object_facts()[name].items() if not f.get("multicurrency")}
    assert sorted(set(ours) - set(listed)) == []
    for field, facts in ours.items():
        assert LISTED_KINDS.get(TYPES[facts["type"]].value, "string") == listed[field]["type"], field
        assert not (facts.get("required") and listed[field]["nullable"]), field

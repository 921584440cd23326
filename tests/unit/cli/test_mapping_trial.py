"""`orderhub map try`: a good file shows its fields, a wrong one all its mistakes, a record what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

SHIPPED = Path("mappings")
# `actions.v1.yaml` is a table of verbs, not a mapping.


def told(result: Result) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    data = json.loads(line)
    assert isinstance(data, dict)
    return data


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file and return its path."""

    def written(name: str, content: str | dict[str, Any]) -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    return written


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/[!a]*.v*.yaml")), ids=str)
def test_every_shipped_mapping_can_be_tried(path: Path, orderhub: Any) -> None:
    assert orderhub("map", "try", str(path)).exit_code == 0
    assert told(orderhub("map", "try", str(path), "--json"))["usable"] is True


def test_a_wrong_file_shows_every_mistake_with_line_and_fix_and_is_code_1(orderhub: Any, write: Any) -> None:
    text = (SHIPPED / "gam" / "party.v1.yaml").read_text("utf-8")
    wrong = write(
        "party.v1.yaml", text.replace("as: visible_text", "as: no_such_transform").replace("from: id,", "from: ids,")
    )
    result = orderhub("map", "try", wrong, "--json")
    assert result.exit_code == 1
    errors = told(result)["errors"]
    assert {"writes.name.as", "writes.externalId.from"} <= {error["field"] for error in errors}
    assert all(error["line"] > 1 and error["fix"] for error in errors)
    assert "no_such_transform" in orderhub("map", "try", wrong).stdout


def test_an_overlay_is_laid_over_the_shipped_mapping(orderhub: Any, write: Any) -> None:
    overlay = write("line.v1.yaml", "base: salesforce.line@1\nfields:\n  brand: {path: Brand__c}\n")
    assert told(orderhub("map", "try", overlay, "--json"))["mapping"] == "salesforce.line@1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("mapping: nothing\n", "does not say which mapping it is"),
        ("- a list\n", "holds no mapping"),
        ("a: [", "cannot be read"),
        ("base: gam.nothing@1\n", "is not installed"),
        ("mapping: nobody.line@1\nrecord: X\n", "nobody"),
        ("mapping: gam.line@1\nrecord: Nothing\n", "the vendor does not have"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_sentence_and_code_3(
    content: str, words: str, orderhub: Any, write: Any
) -> None:
    result = orderhub("map", "try", write("x.v1.yaml", content))
    assert result.exit_code == 3
    assert words in " ".join(result.stderr.split())


def test_a_vendor_record_becomes_canonical(orderhub: Any, write: Any) -> None:
    record = {"Id": "0015e0000000001AAA", "Name": "Harbor Voice", "IsDeleted": False}
    path = str(SHIPPED / "salesforce" / "party.v1.yaml")
    became = told(orderhub("map", "try", path, "--record", write("r.json", record), "--json"))["became"]
    assert became["name"] == "Harbor Voice"


def test_a_record_that_is_refused_shows_its_problems_and_is_code_1(orderhub: Any, write: Any) -> None:
    record = {"Id": "0015e0000000001AAA", "Name": "Harbor\u200b Voice", "IsDeleted": False}
    path = str(SHIPPED / "salesforce" / "party.v1.yaml")
    result = orderhub("map", "try", path, "--record", write("r.json", record), "--json")
    assert result.exit_code == 1
    assert told(result)["problems"][0]["path"] == "Account.Name"


def test_a_canonical_record_becomes_the_vendors_with_settings_and_losses(orderhub: Any, write: Any) -> None:
    line = {
        "id": "lin_" + "a" * 24,
        "order_id": "ord_" + "a" * 24,
        "name": "Spring",
        "flight": {"start": "2030-01-01T00:00:00", "end": "2030-02-01T00:00:00", "zone": "UTC"},
        "price": {"method": "CPM", "rate": 5_000_000, "currency": "USD"},
        "goal": {"unit": "impressions", "quantity": 1_000},
        "targeting": {"criteria": [{"dimension": "radius", "values": ["1 km around nowhere"]}]},
    }
    path, record = str(SHIPPED / "gam" / "line.v1.yaml"), write("line.json", line)
    asked = orderhub("map", "try", path, "--record", record, "--json")
    assert asked.exit_code == 1
    assert "root_ad_unit_id" in told(asked)["problems"][0]["sentence"]
    data = told(orderhub("map", "try", path, "--record", record, "--setting", "root_ad_unit_id=1", "--json"))
    assert data["became"]["costPerUnit"] == {"currencyCode": "USD", "microAmount": 5_000_000}
    assert data["losses"][0][1] == "1 km around nowhere"


@pytest.mark.parametrize(
    ("record", "words"), [("[]", "no JSON object"), ("{", "cannot be read"), ('{"id": 1}', "no canonical line")]
)
def test_a_record_that_cannot_be_tried_is_code_3(record: str, words: str, orderhub: Any, write: Any) -> None:
    path = str(SHIPPED / "gam" / "line.v1.yaml")
    result = orderhub("map", "try", path, "--record", write("r.json", record))
    assert result.exit_code == 3
    assert words in " ".join(result.stderr.split())

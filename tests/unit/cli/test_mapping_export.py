"""`orderhub map try FILE --records`: a whole export, counted by what is wrong with it, in any number of processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

LINE_IN, LINE_OUT = "mappings/salesforce/line.v1.yaml", "mappings/gam/line.v1.yaml"
SETTING = ("--setting", "root_ad_unit_id=1")


def told(result: Result) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    data = json.loads(line)
    assert isinstance(data, dict)
    return data


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "attributes": {"type": "OpportunityLineItem"},
        "Id": f"00kWs{number:010d}IAK",
        "OpportunityId": "006Ws0000000001IAK",
        "Name": f"Line {number}",
        "Flight_Start__c": "2030-01-01T00:00:00.000+0000",
        "Flight_End__c": "2030-02-01T00:00:00.000+0000",
        "CPM__c": 12.5,
        "CurrencyIsoCode": "USD",
        "Goal_Impressions__c": 1_000,
        "Geo_Countries__c": "united states",
        **fields,
    }


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """1,203 lines: 1,200 records, of which two are wrong in one way and one in another, a blank line, no JSON, a list."""
    lines = [json.dumps(record(number)) for number in range(1, 1_201)]
    for number in (7, 1_100):
        lines[number - 1] = json.dumps(record(number, Name="Zero\u200bwidth"))
    lines[599] = json.dumps(record(600, CPM__c=None, Geo_Radius__c="1 km around nowhere"))
    lines[700] = json.dumps(record(701, Geo_Radius__c="1 km around nowhere"))
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join([*lines, "", '{"Id": ', "[1]"]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_an_export_is_told_by_kind_of_problem_with_the_first_line_of_each(
    jobs: str, orderhub: Any, export: Path
) -> None:
    result = orderhub("map", "try", LINE_IN, "--records", str(export), "--jobs", jobs, "--json")
    assert result.exit_code == 1
    records = told(result)["records"]
    assert (records["read"], records["mapped"], records["refused"]) == (1_202, 1_197, 5)
    seen = {(each["code"], each["path"]): (each["count"], each["first_line"]) for each in records["problems"]}
    assert seen.pop(("UNREADABLE", "")) == (2, 1_202)
    assert sorted(seen.values()) == [(1, 600), (2, 7)]
    assert {path for _, path in seen} == {"OpportunityLineItem.Name", "OpportunityLineItem.CPM__c"}
    table = " ".join(orderhub("map", "try", LINE_IN, "--records", str(export)).stdout.split())
    assert "1,202 records: 1,197 mapped, 5 refused." in table


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_an_export_goes_on_to_the_ad_servers_records_in_order(
    jobs: str, orderhub: Any, export: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.jsonl"
    arguments = ("--records", str(export), "--then", LINE_OUT, "--output", str(made), "--jobs", jobs, *SETTING)
    records = told(orderhub("map", "try", LINE_IN, *arguments, "--json"))["records"]
    items = [json.loads(line) for line in made.read_text("utf-8").splitlines()]
    assert len(items) == records["mapped"] == 1_197
    names = [item["name"] for item in items]
    assert names == sorted(names, key=lambda name: int(name.removeprefix("Line ")))
    assert items[0]["costPerUnit"] == {"currencyCode": "USD", "microAmount": 12_500_000}
    (loss,) = records["losses"]
    assert (loss["count"], loss["first_line"], loss["value"]) == (1, 701, "1 km around nowhere")
    assert "radius" in loss["path"] + loss["why"]


def test_what_was_made_goes_through_the_way_out_alone(orderhub: Any, export: Path, tmp_path: Path) -> None:
    canonical, made, at_once = (tmp_path / name for name in ("canonical.jsonl", "made.jsonl", "at_once.jsonl"))
    orderhub("map", "try", LINE_IN, "--records", str(export), "--output", str(canonical))
    second = orderhub("map", "try", LINE_OUT, "--records", str(canonical), "--output", str(made), *SETTING)
    assert second.exit_code == 0
    orderhub("map", "try", LINE_IN, "--records", str(export), "--then", LINE_OUT, "--output", str(at_once), *SETTING)
    assert made.read_bytes() == at_once.read_bytes() != b""


def test_a_canonical_record_that_is_none_is_counted(orderhub: Any, tmp_path: Path) -> None:
    path = tmp_path / "canonical.jsonl"
    wrong = {"id": 1, "creatives": [{"width": "wide"}, {"width": "wide"}]}
    path.write_text(f"{json.dumps(wrong)}\n" * 2, encoding="utf-8")
    records = told(orderhub("map", "try", LINE_OUT, "--records", str(path), "--json"))["records"]
    assert records["refused"] == 2
    seen = {each["path"]: (each["code"], each["count"]) for each in records["problems"]}
    assert seen["id"] == ("NOT-CANONICAL", 2)
    assert seen["creatives.width"] == ("NOT-CANONICAL", 4)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--then", LINE_OUT), 2, "belong to --records"),
        (("--output", "made.jsonl"), 2, "belong to --records"),
        (("--records", "nowhere.jsonl"), 3, "nowhere.jsonl cannot be read"),
        (("--records", "{export}", "--output", "/proc/nowhere"), 3, "/proc/nowhere cannot be read or written"),
        (("--records", "{export}", "--then", LINE_IN), 3, "cannot go on from"),
        (("--records", "{export}", "--then", "mappings/gam/order.v1.yaml"), 3, "Name two of one entity"),
    ],
)
def test_what_cannot_be_tried_is_a_sentence(
    arguments: tuple[str, ...], code: int, words: str, orderhub: Any, export: Path
) -> None:
    result = orderhub("map", "try", LINE_IN, *(each.format(export=export) for each in arguments))
    assert result.exit_code == code
    assert words in " ".join(result.stderr.split())

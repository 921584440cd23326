"""Names to ids: nothing ambiguous is ever chosen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Misconfigured
from connectors.gam import GamConnector
from connectors.gam.matching import Policy, Row, matched, spellings

METROS = [Row("1", "Philadelphia, PA"), Row("2", "Portland, OR"), Row("3", "Portland-Auburn, ME"),
          Row("4", "Phoenix (Prescott), AZ"), Row("5", "Springfield, MO"), Row("6", "Springfield, IL"),
          Row("7", "Boston, MA-Manchester, NH"), Row("8", "Southern Scotland", 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Philadelphia, PA", "1"),
        ("philadelphia", "1"),
        ("  PHILADELPHIA,  pa ", "1"),
        ("Philadelphia, NJ", None),
        ("Portland", "2"),
        ("Phoenix (prescott)", "4"),
        ("Phoenix", "4"),
        ("Springfield", None),
        ("Springfield, IL", "6"),
        ("Boston", "7"),
        ("Boston (Manchester)", "7"),
        ("Southern Scotland (Edinburgh and Glasgow)", "8"),
        ("Nowhere", None),
        ("", None),
    ],
)
def test_a_metro_is_found_with_or_without_its_state(name: str, found: str | None) -> None:
    assert matched([name], METROS, Policy.CITY_PART).get(name) == found


def test_a_state_goes_before_a_county_of_its_name() -> None:
    assert matched(["Washington"], [Row("1", "Washington", 1), Row("2", "Washington", 0)]) == {"Washington": "2"}


def test_a_city_is_never_found_by_a_part_of_its_name() -> None:
    assert matched(["Springfield, VT", "Paris (centre)"], [Row("1", "Springfield"), Row("2", "Paris")]) == {}


def test_two_rows_with_one_id_are_one_place() -> None:
    assert matched(["A"], [Row("1", "A"), Row("1", "A")]) == {"A": "1"}


@given(names=st.lists(st.text(max_size=8), max_size=5), rows=st.lists(st.text(max_size=8), max_size=8))
def test_only_ids_of_rows_are_answered_and_only_for_names_asked(names: list[str], rows: list[str]) -> None:
    found = matched(names, [Row(str(at), name) for at, name in enumerate(rows)], Policy.CITY_PART)
    assert set(found) <= set(names)
    assert set(found.values()) <= {str(at) for at in range(len(rows))}


def test_spellings_are_asked_once_each() -> None:
    assert spellings(["s0j", "07008"]) == ["s0j", "S0J", "07008"]


class Places:
    """A Geo_Target table behind PQL `select`, that compares text exactly as a strict vendor would."""

    ROWS = (
        ("2840", "United States", "US", "Country"),
        ("2578", "Norway", "NO", "Country"),
        ("21", "Pennsylvania", "US", "STATE"),
        ("22", "Oslo", "NO", "County"),
        ("504", "Philadelphia, PA", "US", "DMA_Region"),
        ("9007008", "07008", "US", "Postal_Code"),
        ("9200001", "S0J", "CA", "Postal_Code"),
    )

    def __init__(self, vendor: Any) -> None:
        vendor.answer = self._answer

    def _answer(self, _: str, arguments: list[Any]) -> Any:
        [statement] = arguments
        values = {v["key"]: v["value"]["value"] for v in statement["values"]}
        query = statement["query"]

        def among(column: str) -> set[str] | None:
            for part in query.split("WHERE ")[1].split(" ORDER BY")[0].split(" AND "):
                if part.startswith(f"{column} "):
                    return {values[p.strip(" ,():")] for p in part.split(" ", 1)[1].replace("IN", "").replace("=", "")
                            .split()}  # fmt: skip
            return None

        types, codes, names = among("Type"), among("CountryCode"), among("Name")
        chosen = [
            row
            for row in self.ROWS
            if (types is None or row[3].casefold() in {t.casefold() for t in types})
            and (codes is None or row[2] in codes)
            and (names is None or row[1] in names)
        ]
        return {
            "columnTypes": [{"labelName": label} for label in ("id", "name", "countrycode", "type")],
            "rows": [
                {
                    "values": [
                        {"xsi_type": "NumberValue", "value": row[0]},
                        *({"xsi_type": "TextValue", "value": cell} for cell in row[1:]),
                    ]
                }
                for row in chosen
            ],
        }


def test_places_are_resolved_by_kind_and_country(vendor: Any, gam: GamConnector) -> None:
    Places(vendor)
    assert gam.resolve("Geo_Target:COUNTRY", ["united states", "norway", "atlantis"]) == {
        "united states": "2840",
        "norway": "2578",
    }
    assert gam.resolve("Geo_Target:REGION", ["Pennsylvania"], "united states") == {"Pennsylvania": "21"}
    assert gam.resolve("Geo_Target:REGION", ["Pennsylvania"], "NO") == {}
    assert gam.resolve("Geo_Target:REGION", ["Oslo"], "norway") == {"Oslo": "22"}
    assert gam.resolve("Geo_Target:METRO", ["Philadelphia"], "US") == {"Philadelphia": "504"}
    assert gam.resolve("Geo_Target:POSTAL_CODE", ["07008", "s0j"]) == {"07008": "9007008", "s0j": "9200001"}
    assert gam.resolve("Geo_Target:METRO", ["Philadelphia"], "atlantis") == {}


def test_small_tables_are_read_once(vendor: Any, gam: GamConnector) -> None:
    Places(vendor)
    for _ in range(3):
        gam.resolve("Geo_Target:METRO", ["Philadelphia"], "US")
    assert len(vendor.calls) == 2


def test_many_postal_codes_go_in_pieces(vendor: Any, gam: GamConnector) -> None:
    Places(vendor)
    gam.resolve("Geo_Target:POSTAL_CODE", [f"{code:05}" for code in range(1000)], "US")
    assert len(vendor.calls) == -(-1000 // gam.settings.names_per_query)  # type: ignore[attr-defined]


def test_nothing_is_asked_for_no_names(vendor: Any, gam: GamConnector) -> None:
    assert gam.resolve("Geo_Target:CITY", ["", "  "]) == {}
    assert vendor.calls == []


def test_custom_values_are_looked_up_under_their_key(vendor: Any, gam: GamConnector) -> None:
    def answer(operation: str, arguments: list[Any]) -> Any:
        if operation == "getCustomTargetingKeysByStatement":
            results = [{"id": 5, "name": "interest", "status": "ACTIVE"}]
        else:
            results = [
                {"customTargetingKeyId": 5, "id": 51, "name": "sports", "status": "ACTIVE"},
                {"customTargetingKeyId": 5, "id": 52, "name": "music", "status": "INACTIVE"},
            ]
        return {"totalResultSetSize": len(results), "startIndex": 0, "results": results}

    vendor.answer = answer
    assert gam.resolve("CustomTargetingKey", ["Interest"]) == {"Interest": "5"}
    assert gam.resolve("CustomTargetingValue", ["Sports", "music"], "interest") == {"Sports": "51"}
    assert gam.resolve("CustomTargetingValue", ["sports"], "unheard-of") == {}
    with pytest.raises(Misconfigured):
        gam.resolve("CustomTargetingValue", ["sports"])


def test_an_unknown_table_is_named(gam: GamConnector) -> None:
    with pytest.raises(Misconfigured, match="Geo_Target:METRO"):
        gam.resolve("Geo_Target:PLANET", ["Earth"])

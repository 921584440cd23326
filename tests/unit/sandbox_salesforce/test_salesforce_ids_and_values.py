"""Ids, dates, numbers and texts in the vendor's forms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_schema.money import exponent
from sandbox.salesforce.errors import RecordError, RecordRefused
from sandbox.salesforce.facts import FactError, Field, field_from_facts, template_fields
from sandbox.salesforce.ids import make_id, normalise
from sandbox.salesforce.values import java_double, parse_date, parse_datetime, read_csv, read_json, settle


@pytest.mark.parametrize(
    "recorded",
    ["0015500001QdZPKAA3", "0035500001H9kZuAAJ", "0035500001H9ka0AAB", "0065500000KQ12XAAT", "0057e00000RmwSWAAZ"],
)
def test_recorded_ids_have_the_suffix_we_compute(recorded: str) -> None:
    assert normalise(recorded[:15]) == recorded
    assert normalise(recorded) == recorded


def test_an_id_with_a_wrong_suffix_or_length_is_none() -> None:
    for text in ("0015500001QdZPKAAA", "0015500001QdZP", "0015500001QdZPK!", "", None, 15):
        assert normalise(text) is None


@given(st.integers(0, 62**5), st.integers(0, 3))
def test_made_ids_are_valid_and_distinct(number: int, block: int) -> None:
    id_ = make_id("006", number, block)
    assert normalise(id_) == id_
    assert normalise(id_[:15]) == id_
    assert id_ != make_id("006", number + 1, block)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2019-09-11T17:41:08Z", "2019-09-11T17:41:08.000+0000"),
        ("2019-09-11T17:41:08.999Z", "2019-09-11T17:41:08.000+0000"),
        ("2019-09-11T19:41:08+02:00", "2019-09-11T17:41:08.000+0000"),
        ("2019-09-11T10:41:08.000-0700", "2019-09-11T17:41:08.000+0000"),
        ("2019-09-11T17:41:08", None),
        ("2019-09-11", None),
        ("2019-02-30T00:00:00Z", None),
        ("2019-09-11 17:41:08Z", None),
    ],
)
def test_date_times_need_a_zone_and_are_stored_in_utc_by_the_second(text: str, stored: str | None) -> None:
    assert parse_datetime(text) == stored


def test_dates_are_iso_and_exist() -> None:
    assert parse_date("2020-02-29") == "2020-02-29"
    assert parse_date("2019-02-29") is None
    assert parse_date("20190911") is None


@pytest.mark.parametrize(
    ("value", "shown"), [(1e20, "1.0E20"), (12.5, "12.5"), (123456789.0, "1.23456789E8"), (0.0, "0.0")]
)
def test_numbers_in_messages_are_written_as_java_does(value: float, shown: str) -> None:
    assert java_double(value) == shown


def _field(kind: str, **facts: Any) -> Field:
    return field_from_facts("Some_Field__c", {"type": kind, **facts})


def _settled(field: Field, value: Any) -> tuple[Any, list[str]]:
    errors: list[RecordError] = []
    return settle(field, read_json(field, value), errors), [f"{error.code}: {error.message}" for error in errors]


def test_numbers_are_rounded_half_up_to_their_scale() -> None:
    rate = _field("double", precision=18, scale=6)
    assert _settled(rate, 0.0000005) == (0.000001, [])
    assert _settled(rate, "12.3456785") == (12.345679, [])
    assert _settled(_field("double", precision=18, scale=0), 2.5) == (3.0, [])


def test_a_number_beyond_its_precision_is_out_of_range() -> None:
    _, errors = _settled(_field("double", precision=7, scale=2), 100000)
    assert errors == ["NUMBER_OUTSIDE_VALID_RANGE: Some Field: value outside of valid range on numeric field: 100000.0"]
    assert _settled(_field("double", precision=7, scale=2), 99999.99) == (99999.99, [])


@pytest.mark.parametrize(
    ("kind", "facts", "value", "message"),
    [
        ("double", {"precision": 9}, "abc", "Cannot deserialize instance of double from VALUE_STRING value abc"),
        ("int", {}, 1.5, "Cannot deserialize instance of int from VALUE_NUMBER_FLOAT value 1.5"),
        ("date", {}, "11/09/2019", "Cannot deserialize instance of date from VALUE_STRING value 11/09/2019"),
        ("datetime", {}, "2019-09-11", "Cannot deserialize instance of datetime from VALUE_STRING value 2019-09-11"),
        ("boolean", {}, "yes", "Cannot deserialize instance of boolean from VALUE_STRING value yes"),
        ("string", {"length": 5}, 7, "Cannot deserialize instance of string from VALUE_NUMBER_INT value 7"),
        ("string", {"length": 5}, {"a": 1}, "Cannot deserialize instance of string from START_OBJECT value {"),
    ],
)
def test_a_value_of_another_type_is_a_parser_error(kind: str, facts: dict[str, Any], value: Any, message: str) -> None:
    with pytest.raises(RecordRefused) as refused:
        read_json(_field(kind, **facts), value)
    assert refused.value.errors[0].code == "JSON_PARSER_ERROR"
    assert refused.value.errors[0].message.startswith(message)


def test_numbers_may_come_as_text() -> None:
    assert read_json(_field("double", precision=9), "10000") == Decimal(10000)


def test_text_is_trimmed_and_empty_text_is_null() -> None:
    text = _field("string", length=5)
    assert read_json(text, "  a b\n") == "a b"
    assert read_json(text, " \t ") is None
    assert read_json(text, "\u00a0a") == "\u00a0a", "a no-break space is no space to Java"


def test_a_character_beyond_the_basic_plane_counts_two() -> None:
    text = _field("string", length=4)
    assert _settled(text, "🦊🦊") == ("🦊🦊", [])
    assert _settled(text, "🦊🦊a")[1] == ["STRING_TOO_LONG: Some Field: data value too large: 🦊🦊a (max length=4)"]


def test_only_restricted_picklists_refuse_unknown_values() -> None:
    values = {"length": 40, "picklist": ["CPM"]}
    assert _settled(_field("picklist", **values), "CPX")[1] == []
    assert _settled(_field("picklist", restrictedPicklist=True, **values), "CPX")[1] == [
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: Some Field: bad value for restricted picklist field: CPX"
    ]


def test_a_csv_cell_may_empty_a_field() -> None:
    text = _field("string", length=5)
    assert read_csv(text, "#N/A") is None
    with pytest.raises(RecordRefused) as refused:
        read_csv(_field("double", precision=9), "abc")
    assert refused.value.errors[0].as_csv().startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:")


@pytest.mark.parametrize(
    "facts",
    [
        {"type": "nothing"},
        {"type": "string"},
        {"type": "reference"},
        {"type": "double", "precision": 19},
        {"type": "string", "length": 5, "picklist": ["a"]},
        {"type": "string", "length": 5, "colour": "red"},
    ],
)
def test_facts_that_no_org_could_have_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(FactError):
        field_from_facts("Some_Field__c", facts)


def test_long_text_cannot_be_filtered_sorted_or_grouped() -> None:
    field = _field("textarea", length=131072)
    assert (field.filterable, field.sortable, field.groupable, field.aggregatable) == (False, False, False, False)


def test_the_demos_org_keeps_a_bill_of_every_currency_exactly() -> None:
    scales = {field.scale for field in template_fields("adsales")["Opportunity"] if field.type == "currency"}
    assert scales
    assert min(scales) >= max(map(exponent, ("USD", "KWD", "CLF")))

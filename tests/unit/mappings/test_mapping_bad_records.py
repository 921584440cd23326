"""Bad input that a mapping can see: each is refused with a sentence, the field's path and the fix; all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from mappings.mapping import Mapping as CompiledMapping
from oms_schema.creative import CreativePlaceholder
from oms_schema.line import Commitment, CostMethod, Goal, GoalMeasure, GoalUnit, Line
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.problems import Problem, Problems, Reason

LINE = {
    "Id": "00kWs000001AbCdIAK",
    "OpportunityId": "006Ws000001AbCdIAK",
    "Name": "Spring launch – Story ads",
    "External_Line_Id__c": "e2daee05",
    "Product2Id": "01tWs000001AbCdIAK",
    "Flight_Start__c": "2020-01-29T15:00:00.000+0000",
    "Flight_End__c": "2020-02-29T04:59:59.000+0000",
    "CPM__c": Decimal("9.582775"),
    "Goal_Impressions__c": Decimal("742000"),
    "Cost_Type__c": "CPM",
    "CurrencyIsoCode": "USD",
    "TotalPrice": Decimal("7107.00"),
    "Geo_Countries__c": "united states",
}
ORDER = {
    "Id": "006Ws000001AbCdIAK",
    "Name": "Acme Q1 2020",
    "IsClosed": True,
    "IsWon": True,
    "StageName": "Closed Won",
    "CurrencyIsoCode": "USD",
    "AccountId": "001Ws000001AbCdIAK",
    "Agency__c": "001Ws000001AbCeIAK",
    "PO_Number__c": "PO-17",
}


def _problems(mapping: CompiledMapping, native: Mapping[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(Problems) as refused:
        mapping.to_canonical(native, "sfdc")
    return refused.value.problems


BAD_LINES = {
    "an unknown picklist value": (
        {"Cost_Type__c": "CPX"},
        "unknown_value_held",
        Reason.PICKLIST,
        "Cost_Type__c",
        "CPX",
    ),
    "an over-long name": ({"Name": "x" * 1100}, "too_long", Reason.LENGTH, "Name", "xxx"),
    "an empty name": ({"Name": ""}, "required_missing", Reason.VALIDATION, "Name", ""),
    "a name of spaces": ({"Name": "   "}, "required_missing", Reason.VALIDATION, "Name", "   "),
    "a name of zero-width spaces": ({"Name": "\u200b\ufeff"}, "required_missing", Reason.VALIDATION, "Name", "\\u200b"),
    "a zero-width space inside a name": (
        {"Name": "Ac\u200bme"},
        "invisible_character",
        Reason.VALIDATION,
        "Name",
        "Ac\\u200bme",
    ),
    "a direction mark inside a name": ({"Name": "Ac\u202eme"}, "invisible_character", Reason.VALIDATION, "Name", "Ac"),
    "a line feed inside a name": ({"Name": "Ac\nme"}, "invisible_character", Reason.VALIDATION, "Name", "Ac\\u000ame"),
    "a four-byte character": ({"Name": "Party 🎉"}, "four_byte_character", Reason.VALIDATION, "Name", "Party 🎉"),
    "an end before the start": (
        {"Flight_End__c": "2020-01-01T00:00:00.000+0000"},
        "invalid_value",
        Reason.VALIDATION,
        "Flight_End__c",
        "start=2020-01-29 15:00:00",
    ),
    "no start": ({"Flight_Start__c": None}, "required_missing", Reason.VALIDATION, "Flight_Start__c", ""),
    "a start that is no date": (
        {"Flight_Start__c": "soon"},
        "invalid_value",
        Reason.VALIDATION,
        "Flight_Start__c",
        "soon",
    ),
    "a start without offset": (
        {"Flight_Start__c": "2020-01-29T15:00:00"},
        "no_offset",
        Reason.VALIDATION,
        "Flight_Start__c",
        "2020",
    ),
    "a fraction of a second": (
        {"Flight_Start__c": "2020-01-29T15:00:00.500+0000"},
        "fraction_of_second",
        Reason.VALIDATION,
        "Flight_Start__c",
        "2020",
    ),
    "a negative price": ({"CPM__c": Decimal("-0.01")}, "negative_amount", Reason.VALIDATION, "CPM__c", "-0.01"),
    "fractional micros": (
        {"CPM__c": Decimal("1.0000001")},
        "fractional_micros",
        Reason.VALIDATION,
        "CPM__c",
        "1.0000001",
    ),
    "fractional micros far behind the point": (
        {"CPM__c": Decimal("1.0000000000000000000000000000000001")},
        "fractional_micros",
        Reason.VALIDATION,
        "CPM__c",
        "1.0000",
    ),
    "a price beyond all money": (
        {"CPM__c": Decimal("1E+30")},
        "amount_too_large",
        Reason.VALIDATION,
        "CPM__c",
        "1E+30",
    ),
    "a price of astronomic exponent": (
        {"CPM__c": Decimal("1E+999999")},
        "amount_too_large",
        Reason.VALIDATION,
        "CPM__c",
        "1E+999999",
    ),
    "a price that is no number": ({"CPM__c": Decimal("NaN")}, "not_a_number", Reason.VALIDATION, "CPM__c", "NaN"),
    "a binary float for money": ({"CPM__c": 9.58}, "not_a_number", Reason.VALIDATION, "CPM__c", "9.58"),
    "no price": ({"CPM__c": None}, "required_missing", Reason.VALIDATION, "CPM__c", ""),
    "half an impression": (
        {"Goal_Impressions__c": Decimal("0.5")},
        "fractional_number",
        Reason.VALIDATION,
        "Goal_Impressions__c",
        "0.5",
    ),
    "a negative goal": ({"Goal_Impressions__c": -1}, "negative_number", Reason.VALIDATION, "Goal_Impressions__c", "-1"),
    "no goal": ({"Goal_Impressions__c": None}, "required_missing", Reason.VALIDATION, "Goal_Impressions__c", ""),
    "no opportunity": ({"OpportunityId": None}, "required_missing", Reason.VALIDATION, "OpportunityId", ""),
    "no currency": ({"CurrencyIsoCode": None}, "required_missing", Reason.VALIDATION, "CurrencyIsoCode", ""),
    "a currency that is none": (
        {"CurrencyIsoCode": "dollar"},
        "invalid_value",
        Reason.VALIDATION,
        "CurrencyIsoCode",
        "dollar",
    ),
    "a parenthesis left open": (
        {"Interests__c": "a (b, c"},
        "unbalanced_parentheses",
        Reason.VALIDATION,
        "Interests__c",
        "a (b, c",
    ),
    "an object where text belongs": ({"Name": {"a": 1}}, "wrong_type", Reason.VALIDATION, "Name", "a=1"),
    "a number where text belongs": ({"Interests__c": 5}, "wrong_type", Reason.VALIDATION, "Interests__c", "5"),
}


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_is_refused_with_path_value_sentence_and_fix(
    bad: str, shipped: Mapping[str, CompiledMapping]
) -> None:
    change, code, reason, field, value = BAD_LINES[bad]
    (problem,) = _problems(shipped["salesforce.line"], {**LINE, **change})
    assert (problem.code, problem.reason) == (code, reason)
    assert problem.path == f"OpportunityLineItem.{field}"
    assert problem.value.startswith(value)
    assert problem.happened.startswith("OpportunityLineItem.")
    assert f".{field} " in problem.happened
    assert problem.effect == "The change is parked; what was accepted before, if anything, stays in force."
    assert problem.fix.startswith("The order's owner in the CRM: ")
    assert problem.owner == "the order's owner in the CRM"


def test_zero_is_a_price(shipped: Mapping[str, CompiledMapping]) -> None:
    line = shipped["salesforce.line"].to_canonical({**LINE, "CPM__c": Decimal(0)}, "sfdc")
    assert isinstance(line, Line)
    assert line.price.rate == 0


def test_an_absent_end_is_an_open_end_and_no_guarantee(shipped: Mapping[str, CompiledMapping]) -> None:
    line = shipped["salesforce.line"].to_canonical({**LINE, "Flight_End__c": None}, "sfdc")
    assert isinstance(line, Line)
    assert line.flight.end is None
    assert line.commitment is Commitment.NON_GUARANTEED


def test_all_problems_of_a_record_are_told_at_once(shipped: Mapping[str, CompiledMapping]) -> None:
    changes = [
        BAD_LINES[b][0]
        for b in ("an empty name", "a negative price", "half an impression", "an unknown picklist value")
    ]
    bad = {
        **LINE,
        **{k: v for change in changes for k, v in change.items()},
        "Flight_End__c": "2019-01-01T00:00:00.000+0000",
    }
    found = {p.path.partition(".")[2] for p in _problems(shipped["salesforce.line"], bad)}
    assert found == {"Name", "CPM__c", "Goal_Impressions__c", "Cost_Type__c", "Flight_End__c"}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"AccountId": None}, "required_missing", "AccountId"),
        ({"PO_Number__c": "9" * 64}, "too_long", "PO_Number__c"),
        ({"IsClosed": False, "IsWon": False, "StageName": "Waiting for Godot"}, "unknown_value_held", "IsClosed"),
        ({"IsClosed": None}, "required_missing", "IsClosed"),
        ({"Name": None}, "required_missing", "Name"),
    ],
)
def test_a_bad_order_is_refused(
    change: dict[str, Any], code: str, field: str, shipped: Mapping[str, CompiledMapping]
) -> None:
    (problem,) = _problems(shipped["salesforce.order"], {**ORDER, **change})
    assert (problem.code, problem.path) == (code, f"Opportunity.{field}")


@pytest.mark.parametrize(
    ("native", "status"),
    [
        ({"IsClosed": True, "IsWon": True, "StageName": "Gewonnen"}, "booked"),
        ({"IsClosed": True, "IsWon": False, "StageName": "Verloren"}, "cancelled"),
        ({"IsClosed": False, "IsWon": False, "StageName": "Prospecting"}, "draft"),
        ({"IsClosed": False, "IsWon": False, "StageName": "Negotiation/Review"}, "proposed"),
    ],
)
def test_a_closed_opportunity_is_told_by_its_flags_alone(
    native: dict[str, Any], status: str, shipped: Mapping[str, CompiledMapping]
) -> None:
    order = shipped["salesforce.order"].to_canonical({**ORDER, **native}, "sfdc")
    assert isinstance(order, Order)
    assert order.status == status


# ---------------------------------------------------------------- the way out
def _line(shipped: Mapping[str, CompiledMapping], **changes: Any) -> Line:
    line = shipped["salesforce.line"].to_canonical(LINE, "sfdc")
    return Line.model_validate({**dict(line), **changes})


def _out(mapping: CompiledMapping, entity: Any, context: Any) -> tuple[Problem, ...]:
    with pytest.raises(Problems) as refused:
        mapping.to_vendor(entity, context)
    return refused.value.problems


def test_an_order_that_is_not_there_yet_holds_its_lines(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    (problem,) = _out(shipped["gam.line"], _line(shipped), context(vendor_ids={}))
    assert (problem.code, problem.reason, problem.path) == ("reference_missing", Reason.REFERENCE_MISSING, "order_id")


def test_missing_settings_are_told_to_the_operator(
    shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    order = shipped["salesforce.order"].to_canonical(ORDER, "sfdc")
    (problem,) = _out(shipped["gam.order"], order, context(settings={}))
    assert (problem.code, problem.reason) == ("setting_missing", Reason.MAPPING)
    assert "mapping_settings.trafficker_id" in problem.fix
    assert problem.owner == "the hub's operator"
    (problem,) = _out(shipped["gam.line"], _line(shipped), context(settings={}))
    assert "mapping_settings.root_ad_unit_id" in problem.fix
    wrong = context(settings={"root_ad_unit_id": "11", "creative_size": "big"})
    (problem,) = _out(shipped["gam.line"], _line(shipped), wrong)
    assert (problem.code, problem.owner) == ("setting_wrong", "the hub's operator")
    assert "mapping_settings.creative_size" in problem.fix


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"price": {"method": CostMethod.FLAT, "rate": 1, "currency": "USD"}}, "unknown_value", "price.method"),
        ({"price": {"method": CostMethod.CPA, "rate": 1, "currency": "USD"}}, "unknown_value", "price.method"),
        ({"goal": Goal(unit=GoalUnit.DAYS, quantity=3)}, "unknown_value", "goal.unit"),
        ({"commitment": Commitment.SPONSORSHIP}, "goal_measure", "goal.quantity"),
        (
            {"goal": Goal(unit=GoalUnit.IMPRESSIONS, quantity=3, measure=GoalMeasure.PERCENT)},
            "goal_measure",
            "goal.quantity",
        ),
        ({"flight": {"start": "2020-01-01T00:00:00", "zone": "UTC"}}, "guaranteed_without_end", "commitment"),
        ({"name": "a\u200bb"}, "invisible_character", "name"),
    ],
)
def test_a_line_that_ad_manager_cannot_hold_is_refused(
    changes: dict[str, Any], code: str, path: str, shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    (problem,) = _out(shipped["gam.line"], _line(shipped, **changes), context())
    assert (problem.code, problem.path) == (code, path)
    assert problem.effect == "The record is not written and stays at the vendor as it is."


@pytest.mark.parametrize(
    ("name", "facet", "code"),
    [
        ("x" * 128, "advertiser", "too_long"),
        ("a😀", "agency", "four_byte_character"),
        ("Acme", "brand", "unknown_value"),
    ],
)
def test_a_company_that_ad_manager_cannot_hold_is_refused(
    name: str, facet: str, code: str, shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]
) -> None:
    party = Party(id="pty_" + "a" * 24, name=name)
    (problem,) = _out(shipped["gam.party"], party, context(facet=facet))
    assert problem.code == code


def test_a_sponsorship_is_a_share_per_day(shipped: Mapping[str, CompiledMapping], context: Callable[..., Any]) -> None:
    goal = Goal(unit=GoalUnit.IMPRESSIONS, quantity=100, measure=GoalMeasure.PERCENT)
    line = _line(
        shipped, commitment=Commitment.SPONSORSHIP, goal=goal, creatives=(CreativePlaceholder(width=300, height=250),)
    )
    payload = shipped["gam.line"].to_vendor(line, context())
    assert payload["lineItemType"] == "SPONSORSHIP"
    assert payload["primaryGoal"] == {"goalType": "DAILY", "unitType": "IMPRESSIONS", "units": 100}
    assert payload["creativePlaceholders"][0]["size"] == {"width": 300, "height": 250, "isAspectRatio": False}


def test_an_observed_status_nobody_knows_is_held(shipped: Mapping[str, CompiledMapping]) -> None:
    (problem,) = [
        p for p in _problems(shipped["gam.line_observation"], {"status": "SLEEPING"}) if p.reason is Reason.PICKLIST
    ]
    assert problem.code == "unknown_value_held"
    assert "mapping's table" in problem.fix

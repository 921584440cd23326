"""What a line item may not be: each refusal in the vendor's typed error."""

from __future__ import annotations

from typing import Any

import pytest

Fields = dict[str, Any]


def day(year: int, month: int, number: int, zone: str = "America/New_York") -> Fields:
    date = {"year": year, "month": month, "day": number}
    return {"date": date, "hour": 0, "minute": 0, "second": 0, "timeZoneId": zone}


def goal(kind: str = "LIFETIME", unit: str = "IMPRESSIONS", units: int | None = 100_000) -> Fields:
    return {"goalType": kind, "unitType": unit, "units": units}


def money(micros: int = 1_000_000, currency: str = "USD") -> Fields:
    return {"currencyCode": currency, "microAmount": micros}


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": None}, ("RequiredError", "REQUIRED", "name")),
        ({"name": "x" * 256}, ("StringLengthError", "TOO_LONG", "name")),
        ({"externalId": "x" * 256}, ("StringLengthError", "TOO_LONG", "externalId")),
        ({"notes": "x" * 65_536}, ("StringLengthError", "TOO_LONG", "notes")),
        ({"orderId": None}, ("RequiredError", "REQUIRED", "orderId")),
        ({"orderId": 999}, ("CommonError", "NOT_FOUND", "orderId")),
        ({"lineItemType": None}, ("RequiredError", "REQUIRED", "lineItemType")),
        ({"creativeRotationType": None}, ("RequiredError", "REQUIRED", "creativeRotationType")),
        ({"costType": None}, ("RequiredError", "REQUIRED", "costType")),
        ({"costPerUnit": None}, ("RequiredError", "REQUIRED", "costPerUnit")),
        ({"primaryGoal": None}, ("RequiredError", "REQUIRED", "primaryGoal")),
        ({"targeting": None}, ("RequiredError", "REQUIRED", "targeting")),
        ({"startDateTime": None}, ("RequiredError", "REQUIRED", "startDateTime")),
        ({"endDateTime": None}, ("RequiredError", "REQUIRED", "endDateTime")),
        ({"creativePlaceholders": []}, ("RequiredCollectionError", "REQUIRED", "creativePlaceholders")),
        (
            {"creativePlaceholders": [{"expectedCreativeCount": 1}]},
            ("RequiredSizeError", "REQUIRED", "creativePlaceholders[0].size"),
        ),
        (
            {"startDateTime": day(2019, 9, 11)},
            ("LineItemFlightDateError", "START_DATE_TIME_IS_IN_PAST", "startDateTime"),
        ),
        (
            {"endDateTime": day(2019, 10, 1)},
            ("LineItemFlightDateError", "END_DATE_TIME_NOT_AFTER_START_TIME", "endDateTime"),
        ),
        ({"endDateTime": day(2040, 1, 1)}, ("LineItemFlightDateError", "END_DATE_TIME_TOO_LATE", "endDateTime")),
        ({"startDateTime": day(2019, 11, 31)}, ("LineItemError", "INVALID_LINE_ITEM_DATE_TIME", "startDateTime")),
        (
            {"startDateTime": day(2019, 10, 2, "Mars/Olympus")},
            ("TimeZoneError", "INVALID_TIMEZONE_ID", "startDateTime.timeZoneId"),
        ),
        (
            {"unlimitedEndDateTime": True},
            ("ReservationDetailsError", "UNLIMITED_END_DATE_TIME_NOT_ALLOWED", "unlimitedEndDateTime"),
        ),
        (
            {"costPerUnit": money(currency="JPY")},
            ("LineItemError", "INVALID_LINE_ITEM_CURRENCY", "costPerUnit.currencyCode"),
        ),
        ({"costPerUnit": money(-1)}, ("RangeError", "TOO_LOW", "costPerUnit.microAmount")),
        (
            {"valueCostPerUnit": money(5, "EUR")},
            ("LineItemError", "LINE_ITEM_CANNOT_HAVE_MULTIPLE_CURRENCIES", "valueCostPerUnit.currencyCode"),
        ),
        ({"discount": 2.5}, ("LineItemError", "FRACTIONAL_PERCENTAGE_NOT_ALLOWED", "discount")),
        ({"discount": 101.0}, ("RangeError", "TOO_HIGH", "discount")),
        ({"costType": "CPA"}, ("ReservationDetailsError", "CPA_DEPRECATED", "costType")),
        (
            {"primaryGoal": goal(unit="CLICKS")},
            ("ReservationDetailsError", "COST_TYPE_UNIT_TYPE_MISMATCH_NOT_ALLOWED", "primaryGoal.unitType"),
        ),
        ({"primaryGoal": goal(units=0)}, ("RequiredNumberError", "TOO_SMALL", "primaryGoal.units")),
        ({"primaryGoal": goal(units=None)}, ("RequiredError", "REQUIRED", "primaryGoal.units")),
        ({"primaryGoal": goal("DAILY")}, ("ReservationDetailsError", "DURATION_NOT_ALLOWED", "primaryGoal.goalType")),
        (
            {"primaryGoal": goal("NONE")},
            ("ReservationDetailsError", "UNLIMITED_UNITS_BOUGHT_NOT_ALLOWED", "primaryGoal.goalType"),
        ),
        (
            {"lineItemType": "SPONSORSHIP", "primaryGoal": goal("DAILY", units=101)},
            ("ReservationDetailsError", "PERCENTAGE_UNITS_BOUGHT_TOO_HIGH", "primaryGoal.units"),
        ),
        (
            {"lineItemType": "PRICE_PRIORITY", "costType": "VCPM", "primaryGoal": goal(unit="VIEWABLE_IMPRESSIONS")},
            ("ReservationDetailsError", "UNIT_TYPE_NOT_ALLOWED", "primaryGoal.unitType"),
        ),
        (
            {"lineItemType": "LEGACY_DFP"},
            ("LineItemError", "CREATE_OR_UPDATE_LEGACY_DFP_LINE_ITEM_TYPE_NOT_ALLOWED", "lineItemType"),
        ),
        ({"lineItemType": "AD_EXCHANGE"}, ("FeatureError", "MISSING_FEATURE", "lineItemType")),
        ({"priority": 4}, ("LineItemError", "INVALID_PRIORITY_FOR_LINE_ITEM_TYPE", "priority")),
        ({"autoExtensionDays": 8}, ("RangeError", "TOO_HIGH", "autoExtensionDays")),
        (
            {"lineItemType": "BULK", "autoExtensionDays": 2},
            ("LineItemError", "INVALID_TYPE_FOR_AUTO_EXTENSION", "autoExtensionDays"),
        ),
        (
            {"environmentType": "VIDEO_PLAYER"},
            ("LineItemError", "INVALID_MAX_VIDEO_CREATIVE_DURATION", "videoMaxDuration"),
        ),
        (
            {"frequencyCaps": [{"maxImpressions": 0, "numTimeUnits": 1, "timeUnit": "DAY"}]},
            ("FrequencyCapError", "IMPRESSIONS_TOO_LOW", "frequencyCaps[0]"),
        ),
    ],
)
def test_a_bad_line_is_refused(gam: Any, fields: Fields, refusal: tuple[str, str, str]) -> None:
    kind, reason, path = refusal
    assert (kind, reason, f"lineItem[0].{path}") in gam.line_refusals(**fields)
    assert gam.find("LineItemService", "getLineItemsByStatement") == []


@pytest.mark.parametrize(
    ("targeting", "refusal"),
    [
        (
            {"inventoryTargeting": {}},
            ("InventoryTargetingError", "AT_LEAST_ONE_PLACEMENT_OR_INVENTORY_UNIT_REQUIRED", "inventoryTargeting"),
        ),
        (
            {"inventoryTargeting": {"targetedAdUnits": [{"adUnitId": "5"}]}},
            ("CommonError", "NOT_FOUND", "inventoryTargeting.targetedAdUnits[0].adUnitId"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 7}]}},
            ("GeoTargetingError", "UNTARGETABLE_LOCATION", "geoTargeting.targetedLocations[0].id"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 2840}], "excludedLocations": [{"id": 9090210}]}},
            ("GeoTargetingError", "POSTAL_CODES_CANNOT_BE_EXCLUDED", "geoTargeting.excludedLocations"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 2840}], "excludedLocations": [{"id": 2840}]}},
            ("GeoTargetingError", "TARGETED_LOCATIONS_NOT_EXCLUDABLE", "geoTargeting"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 200501}], "excludedLocations": [{"id": 2840}]}},
            ("GeoTargetingError", "EXCLUDED_LOCATIONS_CANNOT_HAVE_CHILDREN_TARGETED", "geoTargeting"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 2840}, {"id": 200501}]}},
            ("GeoTargetingError", "UNTARGETABLE_LOCATION", "geoTargeting.targetedLocations"),
        ),
        (
            {"geoTargeting": {"targetedLocations": [{"id": 2840}], "excludedLocations": [{"id": 2578}]}},
            (
                "GenericTargetingError",
                "CONFLICTING_INCLUSION_OR_EXCLUSION_OF_SIBLINGS",
                "geoTargeting.excludedLocations",
            ),
        ),
        ({"contentTargeting": {"targetedContentIds": [5]}}, ("FeatureError", "MISSING_FEATURE", "contentTargeting")),
        (
            {
                "technologyTargeting": {
                    "operatingSystemTargeting": {"isTargeted": True, "operatingSystems": [{"id": 5}]}
                }
            },
            ("CommonError", "NOT_FOUND", "technologyTargeting.operatingSystemTargeting.operatingSystems[0].id"),
        ),
    ],
)
def test_bad_targeting_is_refused(gam: Any, targeting: Fields, refusal: tuple[str, str, str]) -> None:
    kind, reason, path = refusal
    inventory = {"targetedAdUnits": [{"adUnitId": "21700000001"}]}
    refusals = gam.line_refusals(targeting={"inventoryTargeting": inventory, **targeting})
    assert (kind, reason, f"lineItem[0].targeting.{path}") in refusals


def criteria(operator: str, *children: Fields) -> Fields:
    return {"xsi_type": "CustomCriteriaSet", "logicalOperator": operator, "children": list(children)}


def leaf(key_id: int, *value_ids: int) -> Fields:
    return {"xsi_type": "CustomCriteria", "keyId": key_id, "valueIds": list(value_ids), "operator": "IS"}


def test_custom_targeting_must_exist_and_have_the_right_shape(gam: Any) -> None:
    gam.post("custom_targeting", keys={"age": ["18-24"], "interest": ["news"]})
    keys = gam.find("CustomTargetingService", "getCustomTargetingKeysByStatement", "name IN ('age', 'interest')")
    age, interest = (key["id"] for key in keys)
    [value] = gam.find(
        "CustomTargetingService", "getCustomTargetingValuesByStatement", "customTargetingKeyId = :k", k=age
    )

    def refused(custom: Fields) -> list[str | None]:
        targeting = {
            "inventoryTargeting": {"targetedAdUnits": [{"adUnitId": "21700000001"}]},
            "customTargeting": custom,
        }
        return [reason for _, reason, _ in gam.line_refusals(targeting=targeting)]

    assert refused(criteria("AND", leaf(5, 6))) == ["KEY_NOT_FOUND"]
    assert refused(criteria("AND", leaf(age, 6))) == ["VALUE_NOT_FOUND"]
    assert refused(criteria("AND", leaf(interest, value["id"]))) == ["INVALID_VALUE_FOR_KEY"]
    assert refused(criteria("AND", leaf(age))) == ["KEY_WITH_MISSING_VALUES"]
    assert refused(criteria("OR")) == ["INVALID_TARGETING_EXPRESSION"]
    assert refused(criteria("OR", criteria("OR", leaf(age, value["id"])))) == ["INVALID_TARGETING_EXPRESSION"]
    assert refused(criteria("AND", criteria("AND", leaf(age, value["id"])))) == ["INVALID_TARGETING_EXPRESSION"]


def test_custom_targeting_values_are_found_by_their_key_only(gam: Any) -> None:
    refusals = gam.refusals(
        lambda: gam.find("CustomTargetingService", "getCustomTargetingValuesByStatement", "name = 'news'")
    )
    assert refusals == [("CustomTargetingError", "GET_VALUES_BY_STATEMENT_MUST_CONTAIN_KEY_ID", "filterStatement")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "KEY_NAME_EMPTY"),
        ("k" * 21, "KEY_NAME_INVALID_LENGTH"),
        ("a b", "KEY_NAME_INVALID_CHARS"),
        ("age", "KEY_NAME_DUPLICATE"),
    ],
)
def test_a_bad_targeting_key_is_refused(gam: Any, name: str, reason: str) -> None:
    gam.post("custom_targeting", keys={"age": []})
    create = gam.service("CustomTargetingService").createCustomTargetingKeys
    refusals = gam.refusals(lambda: create([{"name": name, "type": "PREDEFINED"}]))
    assert ("CustomTargetingError", reason, "[0].name") in refusals


def test_a_bad_targeting_value_is_refused(gam: Any) -> None:
    service = gam.service("CustomTargetingService")
    [key] = service.createCustomTargetingKeys([{"name": "age", "type": "PREDEFINED"}])
    service.createCustomTargetingValues([{"customTargetingKeyId": key["id"], "name": "18-24"}])
    for name, reason in (
        ("18-24", "VALUE_NAME_DUPLICATE"),
        ("v" * 41, "VALUE_NAME_INVALID_LENGTH"),
        ("a=b", "VALUE_NAME_INVALID_CHARS"),
    ):
        value = {"customTargetingKeyId": key["id"], "name": name}
        refusals = gam.refusals(lambda v=value: service.createCustomTargetingValues([v]))
        assert refusals == [("CustomTargetingError", reason, "[0].name")]


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP", "CAD", "AUD", "SEK", "DKK", "NOK"])
def test_a_line_is_priced_in_any_currency_of_the_network_and_zero_is_a_price(gam: Any, currency: str) -> None:
    line = gam.line(gam.order()["id"], costPerUnit=money(0, currency))
    assert (line["costPerUnit"]["currencyCode"], line["costPerUnit"]["microAmount"]) == (currency, 0)


@pytest.mark.parametrize("kind", ["SPONSORSHIP", "NETWORK", "PRICE_PRIORITY", "HOUSE"])
def test_an_open_end_is_allowed_for_the_named_types(gam: Any, kind: str) -> None:
    daily = goal("DAILY", units=50)
    line = gam.line(
        gam.order()["id"], lineItemType=kind, unlimitedEndDateTime=True, endDateTime=None, primaryGoal=daily
    )
    assert (line["unlimitedEndDateTime"], line["endDateTime"]) == (True, None)


def test_a_line_can_start_at_once(gam: Any) -> None:
    line = gam.line(gam.order()["id"], startDateTimeType="IMMEDIATELY", startDateTime=None)
    assert (line["startDateTime"]["hour"], line["startDateTime"]["minute"]) == (13, 41)
    assert line["startDateTimeType"] == "USE_START_DATE_TIME"


def test_defaults_are_filled_in(gam: Any) -> None:
    line = gam.line(gam.order()["id"])
    assert (line["priority"], line["deliveryRateType"], line["roadblockingType"]) == (8, "EVENLY", "ONE_OR_MORE")
    assert (line["environmentType"], line["creativePlaceholders"][0]["expectedCreativeCount"]) == ("BROWSER", 1)
    assert line["creativePlaceholders"][0]["creativeSizeType"] == "PIXEL"


def test_an_order_holds_450_lines_deleted_ones_included(gam: Any) -> None:
    order = gam.order()
    create = gam.service("LineItemService").createLineItems
    for start in range(0, 450, 50):
        create([gam.line_fields(order["id"], f"L{number}") for number in range(start, start + 50)])
    over = ("EntityChildrenLimitReachedError", "LINE_ITEM_LIMIT_FOR_ORDER_REACHED", "lineItem[0].orderId")
    assert gam.line_refusals(externalId="L450") == [over]
    first = gam.find("LineItemService", "getLineItemsByStatement", "externalId = 'L0'")[0]
    gam.act_on_lines("DeleteLineItems", first["id"])
    assert gam.line_refusals(externalId="L450") == [over]


def test_one_call_spans_orders(gam: Any) -> None:
    first, second = gam.order("IO-1"), gam.order("IO-2")
    lines = [gam.line_fields(first["id"], "A"), gam.line_fields(second["id"], "B")]
    created = gam.service("LineItemService").createLineItems(lines)
    assert [line["orderName"] for line in created] == ["IO-1", "IO-2"]


def test_a_line_stays_in_its_order(gam: Any) -> None:
    other = gam.order("IO-2")
    line = gam.line(gam.order("IO-1")["id"])
    line["orderId"] = other["id"]
    refusals = gam.refusals(lambda: gam.service("LineItemService").updateLineItems([line]))
    assert refusals == [("CommonError", "CANNOT_UPDATE", "lineItem[0].orderId")]


def test_a_started_line_keeps_its_start_and_currency(gam: Any, at: Any) -> None:
    line = gam.live_line()
    gam.clock("2019-10-10T00:00:00Z")
    line["startDateTime"] = at(2019, 10, 12)
    refusals = gam.refusals(lambda: gam.service("LineItemService").updateLineItems([line]))
    assert refusals == [("LineItemError", "ALREADY_STARTED", "lineItem[0].startDateTime")]
    line = gam.read_line(line["id"])
    line["costPerUnit"]["currencyCode"] = line["valueCostPerUnit"]["currencyCode"] = "EUR"
    refusals = gam.refusals(lambda: gam.service("LineItemService").updateLineItems([line]))
    assert refusals == [("LineItemError", "CANNOT_CHANGE_CURRENCY", "lineItem[0].costPerUnit.currencyCode")]
    line = gam.read_line(line["id"])
    line["endDateTime"] = at(2019, 12, 1)
    assert gam.service("LineItemService").updateLineItems([line])[0]["endDateTime"]["date"]["month"] == 12
    line["endDateTime"] = at(2019, 10, 5)
    refusals = gam.refusals(lambda: gam.service("LineItemService").updateLineItems([line]))
    assert refusals == [("LineItemFlightDateError", "END_DATE_TIME_IS_IN_PAST", "lineItem[0].endDateTime")]


def test_a_line_of_another_type_may_not_keep_a_priority_beyond_it(gam: Any) -> None:
    update = gam.service("LineItemService").updateLineItems
    line = gam.line(gam.order()["id"])
    line["lineItemType"] = "PRICE_PRIORITY"
    assert gam.refusals(lambda: update([line])) == [
        ("LineItemError", "INVALID_PRIORITY_FOR_LINE_ITEM_TYPE", "lineItem[0].priority")
    ]
    line["priority"] = None
    assert update([line])[0]["priority"] == 12


@pytest.mark.parametrize(("before", "after"), [("CPM", "VCPM"), ("VCPM", "CPM")])
def test_a_line_that_was_activated_changes_neither_to_nor_from_vcpm(gam: Any, before: str, after: str) -> None:
    units = {"CPM": "IMPRESSIONS", "VCPM": "VIEWABLE_IMPRESSIONS"}
    update = gam.service("LineItemService").updateLineItems
    draft = gam.line(gam.order()["id"], "D", costType=before, primaryGoal=goal(unit=units[before]))
    live = gam.live_line(costType=before, primaryGoal=goal(unit=units[before]))
    for line in (draft, live):
        line["costType"], line["primaryGoal"]["unitType"] = after, units[after]
    assert update([draft])[0]["costType"] == after
    assert gam.refusals(lambda: update([live])) == [
        ("LineItemError", "UPDATE_VCPM_COST_TYPE_NOT_ALLOWED", "lineItem[0].costType")
    ]


def test_an_archived_or_pending_line_is_frozen(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    update = gam.service("LineItemService").updateLineItems
    gam.act_on_orders("SubmitOrdersForApproval", order["id"])
    assert gam.refusals(lambda: update([line])) == [
        ("LineItemError", "UPDATE_PENDING_APPROVAL_LINE_ITEM_NOT_ALLOWED", "lineItem[0]")
    ]
    gam.post("archive", order_ids=[order["id"]])
    assert gam.refusals(lambda: update([line])) == [
        ("LineItemError", "UPDATE_ARCHIVED_LINE_ITEM_NOT_ALLOWED", "lineItem[0]")
    ]


def test_a_creative_must_fit_the_line(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    other = gam.company("Other")
    creatives = gam.service("CreativeService").createCreatives(
        [
            {
                "xsi_type": "ThirdPartyCreative",
                "name": "Banner",
                "advertiserId": advertiser,
                "size": {"width": width, "height": 250, "isAspectRatio": False},
                "snippet": "<b>ad</b>",
            }
            for advertiser, width in ((other["id"], 300), (order["advertiserId"], 728))
        ]
    )
    associate = gam.service("LineItemCreativeAssociationService").createLineItemCreativeAssociations
    pairs = [{"lineItemId": line["id"], "creativeId": creative["id"]} for creative in creatives]
    assert gam.refusals(lambda: associate(pairs)) == [
        ("LineItemCreativeAssociationError", "CREATIVE_IN_WRONG_ADVERTISERS_LIBRARY", "[0].creativeId"),
        ("LineItemCreativeAssociationError", "INVALID_LINEITEM_CREATIVE_PAIRING", "[1]"),
    ]

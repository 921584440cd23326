"""What companies and orders may not be: each refusal in the vendor's typed error."""

from __future__ import annotations

from typing import Any

import pytest

LONG = "x" * 256


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": None}, ("RequiredError", "REQUIRED", "[0].name")),
        ({"name": "  "}, ("RequiredError", "REQUIRED", "[0].name")),
        ({"name": "x" * 128}, ("StringLengthError", "TOO_LONG", "[0].name")),
        # Four-byte characters count twice: 64 of them are 128 UTF-16 units.
        ({"name": "\U0001f600" * 64}, ("StringLengthError", "TOO_LONG", "[0].name")),
        ({"type": None}, ("RequiredError", "REQUIRED", "[0].type")),
        ({"type": "CHILD_PUBLISHER"}, ("CompanyError", "INVALID_COMPANY_TYPE", "[0].type")),
        ({"externalId": LONG}, ("StringLengthError", "TOO_LONG", "[0].externalId")),
        ({"appliedLabels": [{"labelId": 5}]}, ("CommonError", "NOT_FOUND", "[0].appliedLabels[0]")),
        ({"primaryContactId": 5}, ("CommonError", "NOT_FOUND", "[0].primaryContactId")),
    ],
)
def test_a_bad_company_is_refused(gam: Any, fields: dict[str, Any], refusal: tuple[str, str, str]) -> None:
    company = {"name": "Acme", "type": "ADVERTISER", **fields}
    assert gam.refusals(lambda: gam.service("CompanyService").createCompanies([company])) == [refusal]
    assert gam.find("CompanyService", "getCompaniesByStatement") == []


def test_a_company_name_is_taken_once_per_type(gam: Any) -> None:
    gam.company("Acme", "ADVERTISER")
    gam.company("Acme", "AGENCY")
    gam.company("acme", "ADVERTISER")
    assert gam.refusals(lambda: gam.company("Acme", "AGENCY")) == [("UniqueError", None, "[0].name")]


def test_a_company_keeps_its_type(gam: Any) -> None:
    company = gam.company()
    company["type"] = "AGENCY"
    refusals = gam.refusals(lambda: gam.service("CompanyService").updateCompanies([company]))
    assert refusals == [("CompanyError", "CANNOT_UPDATE_COMPANY_TYPE", "[0].type")]


def test_a_call_is_all_or_nothing_and_reports_all_errors(gam: Any) -> None:
    companies = [
        {"name": "Good", "type": "ADVERTISER"},
        {"name": "Twin", "type": "ADVERTISER"},
        {"name": "Twin", "type": "ADVERTISER"},
        {"type": "ADVERTISER"},
    ]
    refusals = gam.refusals(lambda: gam.service("CompanyService").createCompanies(companies))
    assert refusals == [("UniqueError", None, "[2].name"), ("RequiredError", "REQUIRED", "[3].name")]
    assert gam.find("CompanyService", "getCompaniesByStatement") == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("CompanyService", "createCompanies"),
        ("CompanyService", "updateCompanies"),
        ("OrderService", "createOrders"),
        ("OrderService", "updateOrders"),
        ("LineItemService", "createLineItems"),
        ("LineItemService", "updateLineItems"),
    ],
)
def test_a_call_carries_fifty_objects_at_most(gam: Any, service: str, operation: str) -> None:
    call = getattr(gam.service(service), operation)
    refusals = gam.refusals(lambda: call([{"name": f"N{number}"} for number in range(51)]))
    assert [(kind, reason) for kind, reason, _ in refusals] == [("CollectionSizeError", "TOO_LARGE")]


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": None}, ("RequiredError", "REQUIRED", "[0].name")),
        ({"name": LONG}, ("StringLengthError", "TOO_LONG", "[0].name")),
        ({"advertiserId": None}, ("RequiredError", "REQUIRED", "[0].advertiserId")),
        ({"advertiserId": 999}, ("CommonError", "NOT_FOUND", "[0].advertiserId")),
        ({"agencyId": 999}, ("CommonError", "NOT_FOUND", "[0].agencyId")),
        ({"traffickerId": None}, ("RequiredError", "REQUIRED", "[0].traffickerId")),
        ({"traffickerId": 999}, ("CommonError", "NOT_FOUND", "[0].traffickerId")),
        ({"salespersonId": 999}, ("CommonError", "NOT_FOUND", "[0].salespersonId")),
        ({"poNumber": "x" * 64}, ("StringLengthError", "TOO_LONG", "[0].poNumber")),
        ({"notes": "x" * 65_536}, ("StringLengthError", "TOO_LONG", "[0].notes")),
        ({"isProgrammatic": True}, ("FeatureError", "MISSING_FEATURE", "[0].isProgrammatic")),
        ({"appliedTeamIds": [7]}, ("CommonError", "NOT_FOUND", "[0].appliedTeamIds[0]")),
        (
            {"customFieldValues": [{"xsi_type": "DropDownCustomFieldValue", "customFieldId": 9}]},
            ("CustomFieldValueError", "CUSTOM_FIELD_NOT_FOUND", "[0].customFieldValues[0]"),
        ),
    ],
)
def test_a_bad_order_is_refused(gam: Any, fields: dict[str, Any], refusal: tuple[str, str, str]) -> None:
    order = {**gam.order_fields(), **fields}
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [refusal]
    assert gam.find("OrderService", "getOrdersByStatement") == []


def test_an_order_needs_companies_of_the_right_type(gam: Any) -> None:
    agency = gam.company("Agency", "AGENCY")
    order = gam.order_fields(advertiserId=agency["id"])
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [
        ("TypeError", None, "[0].advertiserId")
    ]
    order = gam.order_fields(agencyId=gam.order_fields()["advertiserId"])
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [
        ("TypeError", None, "[0].agencyId")
    ]


def test_an_inactive_user_cannot_traffic(gam: Any) -> None:
    order = gam.order_fields()
    gam.post("users", users=[{"email": "trafficker@sandbox.example", "active": False}])
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [
        ("CommonError", "NOT_FOUND", "[0].traffickerId")
    ]


def test_secondary_users_need_a_primary_one_and_are_others(gam: Any) -> None:
    user = gam.trafficker_id()
    order = gam.order_fields(secondarySalespersonIds=[user])
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [
        ("OrderError", "PRIMARY_USER_REQUIRED", "[0].secondarySalespersonIds")
    ]
    order = gam.order_fields(secondaryTraffickerIds=[user])
    assert gam.refusals(lambda: gam.service("OrderService").createOrders([order])) == [
        ("OrderError", "PRIMARY_USER_CANNOT_BE_SECONDARY", "[0].secondaryTraffickerIds")
    ]


@pytest.mark.parametrize("fate", ["kept", "archived", "deleted"])
def test_an_order_name_is_taken_for_ever(gam: Any, fate: str) -> None:
    order = gam.order("IO-1")
    if fate != "kept":
        gam.act_on_orders({"archived": "ArchiveOrders", "deleted": "DeleteOrders"}[fate], order["id"])
    assert gam.refusals(lambda: gam.order("IO-1")) == [("UniqueError", None, "[0].name")]


def test_an_order_may_keep_its_own_name_and_not_take_anothers(gam: Any) -> None:
    first, second = gam.order("IO-1"), gam.order("IO-2")
    assert gam.service("OrderService").updateOrders([first])[0]["name"] == "IO-1"
    second["name"] = "IO-1"
    assert gam.refusals(lambda: gam.service("OrderService").updateOrders([second])) == [
        ("UniqueError", None, "[0].name")
    ]


def test_read_only_fields_of_an_order_are_ignored(gam: Any) -> None:
    order = gam.order()
    order["status"] = "APPROVED"
    order["totalImpressionsDelivered"] = 5
    order["notes"] = "changed"
    updated = gam.service("OrderService").updateOrders([order])[0]
    assert (updated["status"], updated["totalImpressionsDelivered"], updated["notes"]) == ("DRAFT", 0, "changed")


def test_order_dates_come_from_its_lines(gam: Any, at: Any) -> None:
    order = gam.order()
    gam.line(order["id"], "L1", startDateTime=at(2019, 10, 1), endDateTime=at(2019, 10, 8))
    gam.line(order["id"], "L2", startDateTime=at(2019, 10, 5), endDateTime=at(2019, 12, 1))
    read = gam.read_order(order["id"])
    assert (read["startDateTime"]["date"]["month"], read["endDateTime"]["date"]["month"]) == (10, 12)
    assert read["unlimitedEndDateTime"] is False
    goal = {"goalType": "NONE", "unitType": "IMPRESSIONS"}
    gam.line(
        order["id"], "L3", lineItemType="PRICE_PRIORITY", unlimitedEndDateTime=True, endDateTime=None, primaryGoal=goal
    )
    read = gam.read_order(order["id"])
    assert (read["unlimitedEndDateTime"], read["endDateTime"]) == (True, None)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("ArchiveOrders", "UPDATE_ARCHIVED_ORDER_NOT_ALLOWED"),
        ("SubmitOrdersForApproval", "UPDATE_PENDING_APPROVAL_ORDER_NOT_ALLOWED"),
    ],
)
def test_an_archived_or_pending_order_is_frozen(gam: Any, action: str, reason: str) -> None:
    order = gam.order()
    gam.line(order["id"])
    gam.act_on_orders(action, order["id"])
    assert gam.refusals(lambda: gam.service("OrderService").updateOrders([order])) == [("OrderError", reason, "[0]")]
    assert gam.line_refusals(externalId="L2") == [("OrderError", reason, "lineItem[0].orderId")]


def test_an_update_names_existing_objects_once(gam: Any) -> None:
    order = gam.order()
    update = gam.service("OrderService").updateOrders
    assert gam.refusals(lambda: update([{**gam.order_fields("IO-2"), "id": 5}])) == [
        ("CommonError", "NOT_FOUND", "[0].id")
    ]
    assert gam.refusals(lambda: update([gam.order_fields("IO-2")])) == [("RequiredError", "REQUIRED", "[0].id")]
    assert gam.refusals(lambda: update([order, order])) == [("CommonError", "DUPLICATE_OBJECT", "[1].id")]


def test_a_filter_on_an_unlisted_property_is_refused(gam: Any) -> None:
    for service, operation, query in (
        ("OrderService", "getOrdersByStatement", "externalOrderId = 5"),
        ("CompanyService", "getCompaniesByStatement", "externalId = 'x'"),
        ("LineItemService", "getLineItemsByStatement", "notes = 'x'"),
    ):
        refusals = gam.refusals(lambda s=service, o=operation, q=query: gam.find(s, o, q))
        assert refusals == [("PublisherQueryLanguageContextError", "UNEXECUTABLE", "")]
    refusals = gam.refusals(lambda: gam.find("OrderService", "getOrdersByStatement", "id = = 5"))
    assert refusals == [("PublisherQueryLanguageSyntaxError", "UNPARSABLE", "")]
    refusals = gam.refusals(lambda: gam.find("OrderService", "getOrdersByStatement", "id = :missing"))
    assert refusals == [("StatementError", "VARIABLE_NOT_BOUND_TO_VALUE", "")]


def test_every_filterable_property_of_the_contract_is_served(gam: Any) -> None:
    contract = gam.server.app.vendor._network.contract
    for service in contract.services.values():
        for operation in service.operations.values():
            for prop in operation.filters:
                query = f"{prop} IS NULL"
                if operation.name == "getCustomTargetingValuesByStatement":
                    query += " AND customTargetingKeyId = 1"
                gam.find(service.name, operation.name, query)

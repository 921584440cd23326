"""Records: required fields, limits, uniqueness, references, prices, roll-ups, the recycle bin, security."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def _error(code: str, message: str, *fields: str) -> dict[str, Any]:
    return {"message": message, "errorCode": code, "fields": list(fields)}


def test_a_new_record_has_its_system_fields(api: Any) -> None:
    id_ = api.create("Account", Name=" Acme ")
    row = api("GET", f"sobjects/Account/{id_[:15]}")
    assert row["Id"] == id_
    assert row["Name"] == "Acme"
    assert row["CreatedDate"] == row["LastModifiedDate"] == row["SystemModstamp"] == "2019-09-11T17:41:08.000+0000"
    assert row["IsDeleted"] is False
    assert row["CurrencyIsoCode"] == "USD"
    assert row["OwnerId"] == row["CreatedById"]


@pytest.mark.parametrize(
    ("object_name", "body", "expected"),
    [
        ("Account", {}, _error("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", "Name")),
        ("Account", {"Name": "  "}, _error("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", "Name")),
        (
            "Opportunity",
            {"Name": "x"},
            _error(
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [StageName, CloseDate]",
                "StageName",
                "CloseDate",
            ),
        ),
        (
            "Account",
            {"Name": "x" * 256},
            _error("STRING_TOO_LONG", f"Account Name: data value too large: {'x' * 256} (max length=255)", "Name"),
        ),
        (
            "Account",
            {"Name": "x", "ParentId": "nonsense"},
            _error("MALFORMED_ID", "Parent Account ID: id value of incorrect type: nonsense", "ParentId"),
        ),
        (
            "Account",
            {"Name": "x", "ParentId": "0065e0000000001AAA"},
            _error(
                "FIELD_INTEGRITY_EXCEPTION",
                "Parent Account ID: id value of incorrect type: 0065e0000000001AAA",
                "ParentId",
            ),
        ),
        (
            "Account",
            {"Name": "x", "ParentId": "0015e00000zzzzzAAB"},
            _error("MALFORMED_ID", "Parent Account ID: id value of incorrect type: 0015e00000zzzzzAAB", "ParentId"),
        ),
        (
            "Account",
            {"Name": "x", "ParentId": "0015e00000zzzzz"},
            _error("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
        ),
        (
            "Account",
            {"Name": "x", "Nmae": "y"},
            _error("INVALID_FIELD", "No such column 'Nmae' on sobject of type Account"),
        ),
        (
            "Account",
            {"Name": "x", "CreatedDate": "2019-01-01T00:00:00Z", "IsDeleted": True},
            _error(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                "Unable to create/update fields: CreatedDate, IsDeleted. Please check the security settings of this field "
                "and verify that it is read/write for your profile or permission set.",
                "CreatedDate",
                "IsDeleted",
            ),
        ),
        (
            "Account",
            {"Name": "x", "NumberOfEmployees": 2**31},
            _error(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Employees: value outside of valid range on numeric field: 2147483648",
                "NumberOfEmployees",
            ),
        ),
        (
            "Account",
            {"Name": "x", "CurrencyIsoCode": "XXX"},
            _error(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                "Currency ISO Code: bad value for restricted picklist field: XXX",
                "CurrencyIsoCode",
            ),
        ),
        (
            "Contact",
            {"LastName": "x", "Email": "nobody"},
            _error("INVALID_EMAIL_ADDRESS", "Email: invalid email address: nobody", "Email"),
        ),
    ],
)
def test_a_bad_record_is_refused_in_the_vendors_form(
    api: Any, object_name: str, body: Any, expected: dict[str, Any]
) -> None:
    assert api("POST", f"sobjects/{object_name}", body, status=400) == [expected]
    assert api.state(object_name) == []


def test_all_limits_broken_by_a_record_are_reported_at_once(api: Any) -> None:
    body = {
        "Name": "x" * 121,
        "StageName": "Prospecting",
        "CloseDate": "2019-10-01",
        "Amount": 1e17,
        "NextStep": "y" * 256,
    }
    errors = api("POST", "sobjects/Opportunity", body, status=400)
    assert [error["errorCode"] for error in errors] == [
        "STRING_TOO_LONG",
        "NUMBER_OUTSIDE_VALID_RANGE",
        "STRING_TOO_LONG",
    ]


def test_a_body_that_is_no_json_is_a_parser_error(api: Any) -> None:
    for data in (b"{", b"", b"[1]"):
        reply = api.raw("POST", "sobjects/Account", data=data, content_type="application/json")
        assert reply.status_code == 400
        assert reply.get_json()[0]["errorCode"] == "JSON_PARSER_ERROR"


def test_absent_is_not_null(api: Any) -> None:
    id_ = api.create("Account", Name="Acme", Phone="1", Fax="2")
    api("PATCH", f"sobjects/Account/{id_}", {"Phone": None})
    row = api("GET", f"sobjects/Account/{id_}")
    assert (row["Name"], row["Phone"], row["Fax"]) == ("Acme", None, "2")


def test_required_fields_cannot_be_emptied(api: Any) -> None:
    id_ = api.create("Account", Name="Acme")
    error = api.refused("PATCH", f"sobjects/Account/{id_}", {"Name": None})
    assert (error["errorCode"], error["fields"]) == ("REQUIRED_FIELD_MISSING", ["Name"])


def test_an_update_moves_system_modstamp(api: Any) -> None:
    id_ = api.create("Account", Name="Acme")
    api.control("clock", advance_seconds=60)
    api("PATCH", f"sobjects/Account/{id_}", {"Phone": "1"})
    row = api("GET", f"sobjects/Account/{id_}")
    assert row["CreatedDate"] == "2019-09-11T17:41:08.000+0000"
    assert row["SystemModstamp"] == row["LastModifiedDate"] == "2019-09-11T17:42:08.000+0000"


def test_an_external_id_is_unique_without_regard_to_case(api: Any) -> None:
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    first = api.create("Opportunity", Hub_Id__c="ORD-1", **fields)
    error = api.refused("POST", "sobjects/Opportunity", {**fields, "Hub_Id__c": "ord-1"})
    message = f"duplicate value found: Hub_Id__c duplicates value on record with id: {first[:15]}"
    assert error == _error("DUPLICATE_VALUE", message)
    assert api.rows("SELECT Id FROM Opportunity WHERE Hub_Id__c = 'oRd-1'") == [{"Id": first}]


def test_the_external_id_of_a_deleted_record_is_free_again(api: Any) -> None:
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01", "Hub_Id__c": "ord-1"}
    api("DELETE", f"sobjects/Opportunity/{api.create('Opportunity', **fields)}", status=204)
    assert api("PATCH", "sobjects/Opportunity/Hub_Id__c/ord-1", {k: v for k, v in fields.items() if k != "Hub_Id__c"})[
        "created"
    ]


def test_the_key_of_an_upsert_may_not_be_in_its_body(api: Any) -> None:
    for name in ("Hub_Id__c", "Id"):
        error = api.refused("PATCH", "sobjects/Opportunity/Hub_Id__c/ord-1", {name: "ord-1"})
        expected = {
            "message": f"The {name} field should not be specified in the sobject data.",
            "errorCode": "INVALID_FIELD",
        }
        assert error == expected


def test_upsert_by_a_field_that_is_no_external_id_is_404(api: Any) -> None:
    error = api.refused("PATCH", "sobjects/Opportunity/NextStep/x", {}, status=404)
    message = "Provided external ID field does not exist or is not accessible: NextStep"
    assert error == {"message": message, "errorCode": "NOT_FOUND"}


def test_upsert_answers_204_for_an_update_before_version_46(api: Any) -> None:
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    path = "/services/data/v45.0/sobjects/Opportunity/Hub_Id__c/ord-1"
    assert api.raw("PATCH", path, fields).status_code == 201
    assert api.raw("PATCH", path, {"Hub_Status__c": "live"}).status_code == 204


def test_a_parent_may_be_named_by_its_external_id(api: Any, deal: Any) -> None:
    api("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"Hub_Id__c": "ord-1"})
    line = {**deal.line(), "Opportunity": {"Hub_Id__c": "ord-1"}}
    del line["OpportunityId"]
    id_ = api.create("OpportunityLineItem", **line)
    assert api("GET", f"sobjects/OpportunityLineItem/{id_}")["OpportunityId"] == deal.opportunity
    error = api.refused("POST", "sobjects/OpportunityLineItem", {**line, "Opportunity": {"Hub_Id__c": "ord-2"}})
    assert error["message"] == "Foreign key external ID: ord-2 not found for field Hub_Id__c in entity Opportunity"


def test_unknown_and_deleted_records_are_404(api: Any) -> None:
    id_ = api.create("Account", Name="Acme")
    api("DELETE", f"sobjects/Account/{id_}", status=204)
    for method in ("GET", "PATCH", "DELETE"):
        body = {"Phone": "1"} if method == "PATCH" else None
        assert api.refused(method, f"sobjects/Account/{id_}", body, status=404)["errorCode"] == "ENTITY_IS_DELETED"
        assert api.refused(method, "sobjects/Account/0015e00000zzzzz", body, status=404)["errorCode"] == "NOT_FOUND"
    assert api.refused("GET", "sobjects/Account/rubbish", status=404)["errorCode"] == "NOT_FOUND"


# -- stages, prices, roll-ups


@pytest.mark.parametrize(
    ("stage", "closed", "won", "probability", "category"),
    [
        ("Prospecting", False, False, 10.0, "Pipeline"),
        ("Closed Won", True, True, 100.0, "Closed"),
        ("Closed Lost", True, False, 0.0, "Omitted"),
        ("Our own stage", False, False, 0.0, "Pipeline"),
    ],
)
def test_the_stage_sets_what_depends_on_it(
    api: Any, deal: Any, stage: str, closed: bool, won: bool, probability: float, category: str
) -> None:
    path = f"sobjects/Opportunity/{deal.opportunity}"
    api("PATCH", path, {"StageName": stage, "Amount": 200})
    row = api("GET", path)
    assert (row["IsClosed"], row["IsWon"], row["Probability"], row["ForecastCategory"]) == (
        closed,
        won,
        probability,
        category,
    )
    assert row["ExpectedRevenue"] == 2 * probability
    assert (row["FiscalYear"], row["FiscalQuarter"], row["Fiscal"]) == (2019, 4, "2019 4")


def test_an_explicit_probability_wins_over_the_stage(api: Any, deal: Any) -> None:
    path = f"sobjects/Opportunity/{deal.opportunity}"
    api("PATCH", path, {"StageName": "Closed Won", "Probability": 90})
    assert api("GET", path)["Probability"] == 90.0


def test_lines_roll_up_to_their_opportunity(api: Any, deal: Any) -> None:
    path = f"sobjects/Opportunity/{deal.opportunity}"
    api.control("clock", advance_seconds=60)
    first = api.create("OpportunityLineItem", **deal.line())
    api.create("OpportunityLineItem", **deal.line(Quantity=1, UnitPrice=0.1))
    row = api("GET", path)
    assert (row["Amount"], row["HasOpportunityLineItem"], row["TotalOpportunityQuantity"]) == (20.6, True, 3.0)
    assert row["Pricebook2Id"] == deal.pricebook
    assert row["SystemModstamp"] == "2019-09-11T17:42:08.000+0000"
    api.control("clock", advance_seconds=60)
    api("PATCH", f"sobjects/OpportunityLineItem/{first}", {"Hub_Status__c": "live"})
    row = api("GET", path)
    assert row["SystemModstamp"] == "2019-09-11T17:43:08.000+0000", "any change of a line moves the parent"
    assert row["LastModifiedDate"] == "2019-09-11T17:42:08.000+0000", "but only money counts as a modification"
    api("DELETE", f"sobjects/OpportunityLineItem/{first}", status=204)
    assert api("GET", path)["Amount"] == 0.1


def test_a_line_takes_over_what_comes_from_its_price(api: Any, deal: Any) -> None:
    row = api("GET", f"sobjects/OpportunityLineItem/{api.create('OpportunityLineItem', **deal.line())}")
    assert (row["Name"], row["ProductCode"], row["Product2Id"]) == ("Deal Ads", "ADS", deal.product)
    assert (row["ListPrice"], row["TotalPrice"], row["CurrencyIsoCode"]) == (5.0, 20.5, "USD")


def test_the_amount_of_an_opportunity_with_lines_is_not_changed_by_an_update(api: Any, deal: Any) -> None:
    api.create("OpportunityLineItem", **deal.line())
    path = f"sobjects/Opportunity/{deal.opportunity}"
    api("PATCH", path, {"Amount": 999, "NextStep": "call"})
    row = api("GET", path)
    assert (row["Amount"], row["NextStep"]) == (20.5, "call")
    error = api.refused("PATCH", path, {"CurrencyIsoCode": "EUR"})
    assert error["errorCode"] == "FIELD_INTEGRITY_EXCEPTION"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"PricebookEntryId": None}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"UnitPrice": None}, "REQUIRED_FIELD_MISSING"),
        ({"TotalPrice": 20.5}, "INVALID_FIELD"),
        ({"Quantity": None}, "REQUIRED_FIELD_MISSING"),
        ({"Quantity": 0}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"OpportunityId": None}, "REQUIRED_FIELD_MISSING"),
        ({"Cost_Type__c": "CPX"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"Interests__c": "x" * 131073}, "STRING_TOO_LONG"),
    ],
)
def test_a_line_the_vendor_does_not_take_is_refused(api: Any, deal: Any, changed: dict[str, Any], code: str) -> None:
    assert api.refused("POST", "sobjects/OpportunityLineItem", deal.line(**changed))["errorCode"] == code
    assert not api("GET", f"sobjects/Opportunity/{deal.opportunity}")["HasOpportunityLineItem"]


def test_a_line_may_bring_its_total_instead_of_its_price(api: Any, deal: Any) -> None:
    line = deal.line(TotalPrice=10.01)
    del line["UnitPrice"]
    row = api("GET", f"sobjects/OpportunityLineItem/{api.create('OpportunityLineItem', **line)}")
    assert (row["UnitPrice"], row["TotalPrice"]) == (5.01, 10.01)


def test_price_and_opportunity_must_have_one_currency(api: Any, deal: Any) -> None:
    api("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"CurrencyIsoCode": "EUR"})
    error = api.refused("POST", "sobjects/OpportunityLineItem", deal.line())
    assert error["errorCode"] == "FIELD_INTEGRITY_EXCEPTION"
    assert "currency" in error["message"]
    euro = {"Pricebook2Id": deal.pricebook, "Product2Id": deal.product, "IsActive": True, "UnitPrice": 4}
    entry = api.create("PricebookEntry", CurrencyIsoCode="EUR", **euro)
    line = api.create("OpportunityLineItem", **deal.line(PricebookEntryId=entry))
    assert api("GET", f"sobjects/OpportunityLineItem/{line}")["CurrencyIsoCode"] == "EUR"
    error = api.refused("POST", "sobjects/PricebookEntry", {**euro, "CurrencyIsoCode": "EUR"})
    assert error == _error("DUPLICATE_VALUE", "This price definition already exists in this price book")


def test_a_custom_price_needs_a_standard_price(api: Any, deal: Any) -> None:
    book = api.create("Pricebook2", Name="Agency rates", IsActive=True)
    product = api.create("Product2", Name="Video", IsActive=True)
    body = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 1, "IsActive": True}
    assert api.refused("POST", "sobjects/PricebookEntry", body)["errorCode"] == "STANDARD_PRICE_NOT_DEFINED"
    assert api.create("PricebookEntry", **{**body, "Product2Id": deal.product})


# -- deletes and merges


def test_a_deleted_opportunity_takes_its_lines_along(api: Any, deal: Any) -> None:
    line = api.create("OpportunityLineItem", **deal.line())
    api("DELETE", f"sobjects/Opportunity/{deal.opportunity}", status=204)
    assert api.rows("SELECT Id FROM OpportunityLineItem") == []
    rows = api.rows("SELECT Id FROM OpportunityLineItem WHERE IsDeleted = TRUE", resource="queryAll")
    assert rows == [{"Id": line}]


def test_an_account_with_won_deals_cannot_be_deleted(api: Any, deal: Any) -> None:
    api("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"StageName": "Closed Won"})
    error = api.refused("DELETE", f"sobjects/Account/{deal.account}")
    assert error["errorCode"] == "DELETE_FAILED"
    assert "closed won" in error["message"]


def test_a_product_in_use_cannot_be_deleted(api: Any, deal: Any) -> None:
    api.create("OpportunityLineItem", **deal.line())
    assert api.refused("DELETE", f"sobjects/Product2/{deal.product}")["errorCode"] == "DELETE_FAILED"


def test_a_look_up_to_a_deleted_record_is_emptied(api: Any, deal: Any) -> None:
    agency = api.create("Account", Name="Agency")
    api("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"Agency__c": agency})
    api("DELETE", f"sobjects/Account/{agency}", status=204)
    assert api("GET", f"sobjects/Opportunity/{deal.opportunity}")["Agency__c"] is None


def test_a_merged_account_is_deleted_and_names_its_master(api: Any, deal: Any) -> None:
    master = api.create("Account", Name="ACME")
    api.control("clock", advance_seconds=60)
    api.control("merge", master=master, loser=deal.account)
    soql = f"SELECT IsDeleted, MasterRecordId FROM Account WHERE Id = '{deal.account}'"
    assert api.rows(soql) == []
    assert api.rows(soql, resource="queryAll") == [{"IsDeleted": True, "MasterRecordId": master}]
    assert (
        api.refused("PATCH", f"sobjects/Account/{deal.account}", {"Phone": "1"}, status=404)["errorCode"]
        == "ENTITY_IS_DELETED"
    )
    (row,) = api.rows("SELECT AccountId, SystemModstamp FROM Opportunity")
    assert row == {"AccountId": master, "SystemModstamp": "2019-09-11T17:42:08.000+0000"}
    body = {"Name": "x", "StageName": "Prospecting", "CloseDate": "2019-10-01", "AccountId": deal.account}
    assert api.refused("POST", "sobjects/Opportunity", body, status=404) == _error(
        "ENTITY_IS_DELETED", "entity is deleted", "AccountId"
    )


# -- security and Setup


def test_a_hidden_field_does_not_exist_for_the_integration_user(api: Any, deal: Any) -> None:
    api.control("fls", object="Opportunity", field="PO_Number__c", visible=False, editable=False)
    names = [field["name"] for field in api("GET", "sobjects/Opportunity/describe")["fields"]]
    assert "PO_Number__c" not in names
    assert api.query("SELECT PO_Number__c FROM Opportunity", status=400)[0]["errorCode"] == "INVALID_FIELD"
    path = f"sobjects/Opportunity/{deal.opportunity}"
    assert api.refused("PATCH", path, {"PO_Number__c": "1"})["message"] == (
        "No such column 'PO_Number__c' on sobject of type Opportunity"
    )
    assert "PO_Number__c" not in api("GET", path)
    api.control("edit", object="Opportunity", id=deal.opportunity, fields={"PO_Number__c": "PO-1"})
    assert api.state("Opportunity")[0]["PO_Number__c"] == "PO-1"


def test_a_read_only_field_can_be_read_but_not_written(api: Any, deal: Any) -> None:
    api.control("fls", object="Opportunity", field="Hub_Status__c", visible=True, editable=False)
    (field,) = (f for f in api("GET", "sobjects/Opportunity/describe")["fields"] if f["name"] == "Hub_Status__c")
    assert (field["createable"], field["updateable"], field["filterable"]) == (False, False, True)
    error = api.refused("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"Hub_Status__c": "live"})
    assert (error["errorCode"], error["fields"]) == ("INVALID_FIELD_FOR_INSERT_UPDATE", ["Hub_Status__c"])
    assert api.rows("SELECT Hub_Status__c FROM Opportunity") == [{"Hub_Status__c": None}]


def test_fields_may_appear_change_and_go(api: Any, deal: Any) -> None:
    path = f"sobjects/Opportunity/{deal.opportunity}"
    api.control("fields", object="Opportunity", field="Region__c", type="string", length=3)
    api("PATCH", path, {"Region__c": "EMEA"[:3]})
    assert api.refused("PATCH", path, {"Region__c": "EMEA"})["errorCode"] == "STRING_TOO_LONG"
    api.control("fields", object="Opportunity", field="Region__c", length=4)
    api("PATCH", path, {"Region__c": "EMEA"})
    api.control("fields", object="Opportunity", field="Region__c", drop=True)
    assert api.query("SELECT Region__c FROM Opportunity", status=400)[0]["errorCode"] == "INVALID_FIELD"
    assert "Region__c" not in api.state("Opportunity")[0]


def test_picklists_stages_and_currencies_may_change(api: Any, deal: Any) -> None:
    api.control("picklist", object="OpportunityLineItem", field="Cost_Type__c", values=["CPM"])
    assert api.refused("POST", "sobjects/OpportunityLineItem", deal.line(Cost_Type__c="CPC"))["fields"] == [
        "Cost_Type__c"
    ]
    api.control(
        "picklist", stage="Signed", IsClosed=True, IsWon=True, DefaultProbability=100, ForecastCategoryName="Closed"
    )
    api("PATCH", f"sobjects/Opportunity/{deal.opportunity}", {"StageName": "Signed"})
    assert api.rows("SELECT IsWon FROM Opportunity") == [{"IsWon": True}]
    (stage,) = (f for f in api("GET", "sobjects/Opportunity/describe")["fields"] if f["name"] == "StageName")
    assert "Signed" in [value["value"] for value in stage["picklistValues"]]
    assert api.control("currencies", currencies=["CHF"])["active"][:3] == ["AUD", "CAD", "CHF"]
    assert api.create("Account", Name="Zurich", CurrencyIsoCode="CHF")


def test_a_validation_rule_refuses_with_its_own_message(api: Any, deal: Any) -> None:
    rule = {"error_when": "StageName = 'Closed Won' AND PO_Number__c = null", "message": "A won deal needs a PO."}
    api.control("validation", object="Opportunity", name="po", field="PO_Number__c", **rule)
    path = f"sobjects/Opportunity/{deal.opportunity}"
    error = api.refused("PATCH", path, {"StageName": "Closed Won"})
    assert error == _error("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A won deal needs a PO.", "PO_Number__c")
    api("PATCH", path, {"StageName": "Closed Won", "PO_Number__c": "1"})
    bad = api.control("validation", status=400, object="Opportunity", name="x", error_when="Nmae = 1", message="x")
    assert "No such column" in bad["error"]


def test_people_are_another_user_than_the_integration(api: Any, deal: Any) -> None:
    api.control("edit", object="Opportunity", id=deal.opportunity, fields={"Name": "Edited"})
    (row,) = api.rows("SELECT Name, CreatedById, LastModifiedById, LastModifiedBy.Name FROM Opportunity")
    assert row["Name"] == "Edited"
    assert row["CreatedById"] != row["LastModifiedById"]
    assert row["LastModifiedBy"]["Name"] == "Sales Ops"
    made = api.control("create", object="Account", fields={"Name": "By hand"})["id"]
    api.control("delete", object="Account", id=made)
    assert (
        api.control("delete", status=400, object="Account", id=made)["error"] == "ENTITY_IS_DELETED: entity is deleted"
    )


def test_a_single_currency_org_knows_no_currency(make_api: Callable[..., Any]) -> None:
    api = make_api(multi_currency=False)
    assert api.query("SELECT CurrencyIsoCode FROM Account", status=400)[0]["errorCode"] == "INVALID_FIELD"
    assert api.query("SELECT IsoCode FROM CurrencyType", status=400)[0]["errorCode"] == "INVALID_TYPE"
    assert (
        api.refused("POST", "sobjects/Account", {"Name": "x", "CurrencyIsoCode": "USD"})["errorCode"] == "INVALID_FIELD"
    )
    assert "single-currency" in api.control("currencies", status=400, currencies=["EUR"])["error"]
    assert api.create("Account", Name="Acme")

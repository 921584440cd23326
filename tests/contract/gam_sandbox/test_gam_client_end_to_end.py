"""The unmodified googleads client books, approves, delivers and reports against the sandbox."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from googleads import ad_manager, oauth2


def service_account_client(gam: Any, folder: Path) -> Any:
    key = gam.post("service_account", token_uri=f"{gam.url}/token")
    file = folder / "key.json"
    file.write_text(json.dumps(key))
    return gam.client_with(oauth2.GoogleServiceAccountClient(str(file), oauth2.GetAPIScope("ad_manager")))


def test_a_deal_goes_from_company_to_report(gam: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = service_account_client(gam, tmp_path)
    orders = client.GetService("OrderService", version="v202608", server=gam.url)
    order = gam.order("IO-1 | Acme", poNumber="PO-9", externalOrderId=123456)
    assert (order["status"], order["currencyCode"], order["startDateTime"]) == ("DRAFT", "USD", None)
    line = gam.line(order["id"])
    assert (line["status"], line["isMissingCreatives"], line["reservationStatus"]) == ("DRAFT", True, "UNRESERVED")

    where = ad_manager.StatementBuilder(version="v202608").Where("id = :id").WithBindVariable("id", order["id"])
    action = {"xsi_type": "ApproveOrders", "skipInventoryCheck": False}
    assert orders.performOrderAction(action, where.ToStatement())["numChanges"] == 1
    assert gam.read_order(order["id"])["status"] == "APPROVED"
    assert (gam.read_line(line["id"])["status"], gam.read_line(line["id"])["reservationStatus"]) == (
        "INACTIVE",
        "RESERVED",
    )

    gam.post("attach", all_approved=True)
    assert gam.read_line(line["id"])["status"] == "READY"
    assert gam.read_line(line["id"])["isMissingCreatives"] is False
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 98_765, "from": None, "until": None}])
    gam.clock("2019-10-16T16:00:00Z")
    delivering = gam.read_line(line["id"])
    assert delivering["status"] == "DELIVERING"
    assert 0 < delivering["stats"]["impressionsDelivered"] < 98_765
    gam.clock("2019-11-02T05:00:00Z")
    assert gam.read_line(line["id"])["status"] == "COMPLETED"
    assert gam.read_order(order["id"])["totalImpressionsDelivered"] == 98_765
    assert gam.read_order(order["id"])["totalBudget"]["microAmount"] == 250_000_000

    monkeypatch.setattr("googleads.ad_manager.time.sleep", lambda _seconds: None)
    downloader = client.GetDataDownloader(version="v202608", server=gam.url)
    job = {
        "reportQuery": {
            "dimensions": ["DATE", "ORDER_ID", "LINE_ITEM_ID"],
            "dimensionAttributes": ["LINE_ITEM_EXTERNAL_ID"],
            "columns": ["AD_SERVER_IMPRESSIONS", "AD_SERVER_CPM_AND_CPC_REVENUE"],
            "dateRangeType": "CUSTOM_DATE",
            "startDate": date(2019, 9, 1),
            "endDate": date(2019, 11, 2),
        }
    }
    job_id = downloader.WaitForReport(job)
    with (tmp_path / "report.csv.gz").open("wb") as file:
        downloader.DownloadReportToFile(job_id, "CSV_DUMP", file)
    rows = list(csv.DictReader(gzip.decompress((tmp_path / "report.csv.gz").read_bytes()).decode().splitlines()))
    assert list(rows[0]) == [
        "Dimension.DATE",
        "Dimension.ORDER_ID",
        "Dimension.LINE_ITEM_ID",
        "DimensionAttribute.LINE_ITEM_EXTERNAL_ID",
        "Column.AD_SERVER_IMPRESSIONS",
        "Column.AD_SERVER_CPM_AND_CPC_REVENUE",
    ]
    assert [rows[0]["Dimension.DATE"], rows[-1]["Dimension.DATE"], len(rows)] == ["2019-10-01", "2019-10-31", 31]
    assert sum(int(row["Column.AD_SERVER_IMPRESSIONS"]) for row in rows) == 98_765
    # 98,765 impressions at 2.50 a thousand, in micros.
    assert sum(int(row["Column.AD_SERVER_CPM_AND_CPC_REVENUE"]) for row in rows) == 246_912_500


def test_an_update_is_read_modify_write_of_the_whole_object(gam: Any) -> None:
    line = gam.line(gam.order()["id"], notes="first")
    gam.post("clock", advance_seconds=60)
    line["primaryGoal"]["units"] = 150_000
    updated = gam.service("LineItemService").updateLineItems([line])[0]
    assert (updated["primaryGoal"]["units"], updated["notes"]) == (150_000, "first")
    assert updated["lastModifiedDateTime"]["minute"] == line["lastModifiedDateTime"]["minute"] + 1
    updated["notes"] = None
    assert gam.service("LineItemService").updateLineItems([updated])[0]["notes"] is None


def test_nested_types_travel_both_ways(gam: Any) -> None:
    gam.post("custom_targeting", keys={"interest": ["sports", "news"], "age": ["18-24"]})
    keys = {key["name"]: key["id"] for key in gam.find("CustomTargetingService", "getCustomTargetingKeysByStatement")}
    values = gam.find(
        "CustomTargetingService",
        "getCustomTargetingValuesByStatement",
        "customTargetingKeyId = :k",
        k=keys["interest"],
    )
    custom = {
        "xsi_type": "CustomCriteriaSet",
        "logicalOperator": "AND",
        "children": [
            {
                "xsi_type": "CustomCriteria",
                "keyId": keys["interest"],
                "valueIds": [value["id"] for value in values],
                "operator": "IS",
            }
        ],
    }
    targeting = {
        "inventoryTargeting": {"targetedAdUnits": [{"adUnitId": "21700000001"}]},
        "geoTargeting": {"targetedLocations": [{"id": 2840}], "excludedLocations": [{"id": 200501}]},
        "customTargeting": custom,
    }
    line = gam.line(gam.order()["id"], targeting=targeting)
    leaf = line["targeting"]["customTargeting"]["children"][0]["children"][0]
    assert (type(leaf).__name__, leaf["operator"], len(leaf["valueIds"])) == ("CustomCriteria", "IS", 2)
    location = line["targeting"]["geoTargeting"]["excludedLocations"][0]
    assert (location["displayName"], location["type"], location["canonicalParentId"]) == (
        "New York, NY",
        "DMA_REGION",
        2840,
    )
    assert gam.service("LineItemService").updateLineItems([line])[0]["targeting"] == line["targeting"]


def test_creatives_and_associations_are_created_and_read(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    creative = gam.service("CreativeService").createCreatives(
        [
            {
                "xsi_type": "ThirdPartyCreative",
                "name": "Banner",
                "advertiserId": order["advertiserId"],
                "size": {"width": 300, "height": 250, "isAspectRatio": False},
                "snippet": "<b>ad</b>",
            }
        ]
    )[0]
    associations = gam.service("LineItemCreativeAssociationService")
    pair = {"lineItemId": line["id"], "creativeId": creative["id"]}
    assert associations.createLineItemCreativeAssociations([pair])[0]["status"] == "ACTIVE"
    found = gam.find(
        "LineItemCreativeAssociationService",
        "getLineItemCreativeAssociationsByStatement",
        "lineItemId = :l",
        l=line["id"],
    )
    assert [each["creativeId"] for each in found] == [creative["id"]]
    gam.act_on_orders("ApproveOrders", order["id"])
    assert gam.read_line(line["id"])["status"] == "READY"
    statement = gam.statement("lineItemId = :l", l=line["id"])
    associations.performLineItemCreativeAssociationAction(
        {"xsi_type": "DeactivateLineItemCreativeAssociations"}, statement
    )
    assert gam.read_line(line["id"])["status"] == "INACTIVE"


def test_network_user_and_ad_unit_are_shown(gam: Any) -> None:
    network = gam.service("NetworkService").getCurrentNetwork()
    assert (network["timeZone"], network["currencyCode"]) == ("America/New_York", "USD")
    assert network["secondaryCurrencyCodes"] == ["EUR", "GBP", "CAD", "AUD", "SEK", "DKK", "NOK"]
    assert len(gam.service("NetworkService").getAllNetworks()) == 1
    assert gam.service("UserService").getCurrentUser()["isServiceAccount"] is True
    units = gam.find("InventoryService", "getAdUnitsByStatement", "parentId IS NULL")
    assert [unit["id"] for unit in units] == [network["effectiveRootAdUnitId"]]


def test_places_are_looked_up_by_name(gam: Any) -> None:
    pql = gam.service("PublisherQueryLanguageService")
    result = pql.select(
        {
            "query": "SELECT Id, Name, Type, CountryCode, ParentIds, Targetable FROM Geo_Target "
            "WHERE Name IN ('Pennsylvania', '90210') AND CountryCode = 'US' ORDER BY Id"
        }
    )
    assert [column["labelName"] for column in result["columnTypes"]] == [
        "id",
        "name",
        "type",
        "countrycode",
        "parentids",
        "targetable",
    ]
    rows = [[value["value"] for value in row["values"]] for row in result["rows"]]
    assert [row[1:] for row in rows] == [
        ["90210", "Postal_Code", "US", "2840", True],
        ["Pennsylvania", "State", "US", "2840", True],
    ]


def test_lines_and_small_tables_are_selectable(gam: Any) -> None:
    line = gam.line(gam.order()["id"])
    pql = gam.service("PublisherQueryLanguageService")
    rows = pql.select({"query": "SELECT Id, Status, StartDateTime FROM Line_Item WHERE ExternalId = 'L1'"})["rows"]
    assert rows[0]["values"][0]["value"] == str(line["id"])
    assert rows[0]["values"][2]["value"]["timeZoneId"] == "America/New_York"
    systems = pql.select({"query": "SELECT Id FROM Operating_System WHERE OperatingSystemName LIKE 'Google%'"})["rows"]
    assert [row["values"][0]["value"] for row in systems] == ["501013"]


def test_a_forecast_falls_with_what_is_reserved(gam: Any) -> None:
    forecasts = gam.service("ForecastService")
    order = gam.order()
    line = gam.line(order["id"])
    prospective = {"lineItem": gam.line_fields(order["id"], "L2")}
    options = {"includeContendingLineItems": True}
    before = forecasts.getAvailabilityForecast(prospective, options)
    assert before["availableUnits"] == before["matchedUnits"] > 0
    assert before["contendingLineItems"] == []
    gam.act_on_orders("ApproveOrders", order["id"])
    after = forecasts.getAvailabilityForecast(prospective, options)
    assert 99_900 <= before["availableUnits"] - after["availableUnits"] <= 100_000
    assert [each["lineItemId"] for each in after["contendingLineItems"]] == [line["id"]]
    own = forecasts.getAvailabilityForecastById(line["id"], {})
    assert (own["availableUnits"], own["reservedUnits"]) == (before["availableUnits"], 100_000)


def test_pages_have_a_total_and_an_offset(gam: Any) -> None:
    for start in range(0, 60, 30):
        companies = [{"name": f"Advertiser {number}", "type": "ADVERTISER"} for number in range(start, start + 30)]
        gam.service("CompanyService").createCompanies(companies)
    statement = ad_manager.StatementBuilder(version="v202608").OrderBy("id", ascending=False).Limit(25).Offset(50)
    page = gam.service("CompanyService").getCompaniesByStatement(statement.ToStatement())
    assert (page["totalResultSetSize"], page["startIndex"], len(page["results"])) == (60, 50, 10)
    assert page["results"][-1]["name"] == "Advertiser 0"


def test_changes_are_found_by_their_time(gam: Any) -> None:
    gam.company("Early")
    gam.post("clock", advance_seconds=3600)
    gam.company("Late")
    since = gam.find("CompanyService", "getCompaniesByStatement", "lastModifiedDateTime >= '2019-09-11T14:00:00'")
    assert [company["name"] for company in since] == ["Late"]


def test_an_unknown_service_or_version_has_no_wsdl(gam: Any) -> None:
    for path in ("v202608/ProposalService", "v201908/OrderService"):
        assert requests.get(f"{gam.url}/apis/ads/publisher/{path}?wsdl", timeout=60).status_code == 404

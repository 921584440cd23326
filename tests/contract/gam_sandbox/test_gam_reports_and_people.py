"""Report jobs, and what people do through the control interface."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.gam import Settings, create_app, serve

Rows = list[dict[str, str]]
COLUMNS = ["AD_SERVER_IMPRESSIONS"]


def query(first: tuple[int, int, int], last: tuple[int, int, int], **changes: Any) -> dict[str, Any]:
    dates = [dict(zip(("year", "month", "day"), day, strict=True)) for day in (first, last)]
    return {
        "dimensions": ["DATE", "LINE_ITEM_ID"],
        "columns": COLUMNS,
        "dateRangeType": "CUSTOM_DATE",
        "startDate": dates[0],
        "endDate": dates[1],
        **changes,
    }


def report(gam: Any, report_query: dict[str, Any]) -> Rows:
    service = gam.service("ReportService")
    job = service.runReportJob({"reportQuery": report_query})
    while service.getReportJobStatus(job["id"]) == "IN_PROGRESS":
        pass
    options = {"exportFormat": "CSV_DUMP", "useGzipCompression": True}
    url = service.getReportDownloadUrlWithOptions(job["id"], options)
    content = gzip.decompress(requests.get(url, timeout=60).content).decode()
    return list(csv.DictReader(content.splitlines()))


def refused(gam: Any, report_query: dict[str, Any]) -> str | None:
    run = gam.service("ReportService").runReportJob
    [(kind, reason, _)] = gam.refusals(lambda: run({"reportQuery": report_query}))
    assert kind == "ReportError"
    return reason


def impressions(rows: Rows) -> dict[str, int]:
    return {row["Dimension.DATE"]: int(row["Column.AD_SERVER_IMPRESSIONS"]) for row in rows}


def test_days_are_the_networks_and_end_at_the_clock(gam: Any) -> None:
    gam.live_line()
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 31_000}])
    gam.clock("2019-10-03T16:00:00Z")  # noon of the third day in New York
    rows = report(gam, query((2019, 9, 1), (2019, 12, 31)))
    assert impressions(rows) == {"2019-10-01": 1000, "2019-10-02": 1000, "2019-10-03": 500}
    gam.clock("2020-01-01T00:00:00Z")
    rows = report(gam, query((2019, 9, 1), (2019, 12, 31)))
    assert sum(impressions(rows).values()) == 31_000
    # The flight covers 31 days and the extra hour of 27 October is none of New York's.
    assert set(impressions(rows).values()) == {1000}


def test_a_restated_day_replaces_the_old_figure(gam: Any) -> None:
    line = gam.live_line()
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 31_000}])
    gam.clock("2019-12-01T00:00:00Z")
    gam.post("restate", external_id="L1", day="2019-10-05", impressions=970)
    gam.post("restate", external_id="L1", day="2019-11-02", impressions=7)
    rows = impressions(report(gam, query((2019, 10, 1), (2019, 11, 30))))
    assert (rows["2019-10-05"], rows["2019-11-02"], sum(rows.values())) == (970, 7, 30_977)
    assert gam.read_line(line["id"])["stats"]["impressionsDelivered"] == 30_977


def test_revenue_is_in_micros_of_the_networks_currency(gam: Any) -> None:
    gam.live_line("E", costPerUnit={"currencyCode": "EUR", "microAmount": 1_500_001})
    daily = {"goalType": "DAILY", "unitType": "IMPRESSIONS", "units": 50}
    gam.live_line("D", lineItemType="SPONSORSHIP", costType="CPD", primaryGoal=daily)
    lines = [{"external_id": mark, "impressions": 31_031, "clicks": 310} for mark in ("E", "D")]
    gam.post("impressions", lines=lines)
    gam.clock("2019-12-01T00:00:00Z")
    columns = [
        "AD_SERVER_IMPRESSIONS",
        "AD_SERVER_CLICKS",
        "AD_SERVER_CTR",
        "AD_SERVER_CPM_AND_CPC_REVENUE",
        "AD_SERVER_CPD_REVENUE",
        "AD_SERVER_ALL_REVENUE",
    ]
    attributes = [
        "LINE_ITEM_EXTERNAL_ID",
        "LINE_ITEM_COST_PER_UNIT",
        "ORDER_PO_NUMBER",
        "LINE_ITEM_LIFETIME_IMPRESSIONS",
    ]
    rows = report(
        gam,
        query(
            (2019, 10, 1),
            (2019, 10, 1),
            dimensions=["ORDER_NAME", "LINE_ITEM_NAME", "ADVERTISER_NAME", "DATE"],
            dimensionAttributes=attributes,
            columns=columns,
        ),
    )
    by_mark = {row["DimensionAttribute.LINE_ITEM_EXTERNAL_ID"]: row for row in rows}
    euro, day = by_mark["E"], by_mark["D"]
    assert list(euro)[:7] == [
        "Dimension.ORDER_ID",
        "Dimension.ORDER_NAME",
        "Dimension.LINE_ITEM_ID",
        "Dimension.LINE_ITEM_NAME",
        "Dimension.ADVERTISER_ID",
        "Dimension.ADVERTISER_NAME",
        "Dimension.DATE",
    ]
    assert (euro["Column.AD_SERVER_IMPRESSIONS"], euro["Column.AD_SERVER_CLICKS"]) == ("1001", "10")
    assert euro["Column.AD_SERVER_CTR"] == "0.00999"
    # 1,001 x 1.500001 EUR / 1,000 = 1,501,501.001 micros, x 1.10 = 1,651,651.1 micros of USD.
    assert euro["Column.AD_SERVER_CPM_AND_CPC_REVENUE"] == euro["Column.AD_SERVER_ALL_REVENUE"] == "1651651"
    assert euro["DimensionAttribute.LINE_ITEM_COST_PER_UNIT"] == "€ 1500001"
    assert euro["DimensionAttribute.ORDER_PO_NUMBER"] == "N/A"
    assert euro["DimensionAttribute.LINE_ITEM_LIFETIME_IMPRESSIONS"] == "31031"
    assert (day["Column.AD_SERVER_CPM_AND_CPC_REVENUE"], day["Column.AD_SERVER_CPD_REVENUE"]) == ("0", "2500000")


def test_rows_are_grouped_and_filtered_by_dimensions(gam: Any) -> None:
    first, second = gam.live_line("A"), gam.live_line("B")
    gam.post("impressions", lines=[{"external_id": mark, "impressions": 62_000} for mark in ("A", "B")])
    gam.clock("2019-12-01T00:00:00Z")
    whole = query((2019, 10, 1), (2019, 11, 30), dimensions=["MONTH_AND_YEAR"])
    [month] = report(gam, whole)
    assert month == {"Dimension.MONTH_AND_YEAR": "2019-10", "Column.AD_SERVER_IMPRESSIONS": "124000"}
    where = {"query": f"WHERE LINE_ITEM_ID IN ({second['id']}) AND DATE = '2019-10-02'"}
    rows = report(gam, query((2019, 10, 1), (2019, 11, 30), statement=where))
    assert [row["Dimension.LINE_ITEM_ID"] for row in rows] == [str(second["id"])]
    where = {"query": f"WHERE ORDER_ID = {first['orderId']}"}
    rows = report(gam, query((2019, 10, 1), (2019, 11, 30), dimensions=["ORDER_ID"], statement=where))
    assert [row["Column.AD_SERVER_IMPRESSIONS"] for row in rows] == ["62000"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dimensions": []}, "NOT_NULL"),
        ({"columns": []}, "NOT_NULL"),
        ({"dimensions": ["DATE", "BROWSER_NAME"]}, "INVALID_DIMENSIONS"),
        ({"columns": ["TOTAL_LINE_ITEM_LEVEL_IMPRESSIONS"]}, "INVALID_COLUMNS"),
        ({"dimensionAttributes": ["LINE_ITEM_LABELS"]}, "INVALID_ATTRIBUTES"),
        ({"dimensionAttributes": ["ORDER_PO_NUMBER"]}, "ATTRIBUTES_NOT_SUPPORTED_FOR_REQUEST"),
        ({"timeZoneType": "PACIFIC"}, "TIME_ZONE_TYPE_NOT_SUPPORTED_FOR_REQUESTED_REPORT"),
        ({"reportCurrency": "EUR"}, "CURRENCY_CODE_NOT_SUPPORTED_FOR_REQUESTED_REPORT"),
        ({"dateRangeType": "NEXT_WEEK"}, "DATE_RANGE_NOT_SUPPORTED_FOR_REQUESTED_REPORT"),
        ({"startDate": None}, "INVALID_DATE"),
        ({"startDate": {"year": 2019, "month": 2, "day": 30}}, "INVALID_DATE"),
        ({"startDate": {"year": 2019, "month": 9, "day": 30}}, "END_DATE_TIME_NOT_AFTER_START_TIME"),
        ({"startDate": {"year": 2016, "month": 9, "day": 10}}, "START_DATE_MORE_THAN_THREE_YEARS_AGO"),
        ({"statement": {"query": "WHERE LINE_ITEM_ID > 5"}}, "INVALID_DIMENSION_FILTERS"),
        ({"statement": {"query": "WHERE ORDER_ID = 5 OR ORDER_ID = 6"}}, "INVALID_DIMENSION_FILTERS"),
    ],
)
def test_a_bad_report_query_is_refused(gam: Any, changes: dict[str, Any], reason: str) -> None:
    assert refused(gam, query((2019, 9, 1), (2019, 9, 10), **changes)) == reason


def test_a_report_is_downloaded_when_it_is_ready_and_not_before(gam: Any) -> None:
    service = gam.service("ReportService")
    job = service.runReportJob({"reportQuery": query((2019, 9, 1), (2019, 9, 10))})
    refusals = gam.refusals(lambda: service.getReportDownloadURL(job["id"], "CSV_DUMP"))
    assert [reason for _, reason, _ in refusals] == ["INVALID_OPERATION_FOR_REPORT_STATE"]
    assert [service.getReportJobStatus(job["id"]) for _ in range(2)] == ["IN_PROGRESS", "COMPLETED"]
    url = service.getReportDownloadURL(job["id"], "CSV_DUMP")
    assert gzip.decompress(requests.get(url, timeout=60).content).startswith(b"Dimension.DATE,")
    assert requests.get(url + "x", timeout=60).status_code == 404
    refusals = gam.refusals(lambda: service.getReportJobStatus(5))
    assert refusals == [("ReportError", "REPORT_NOT_FOUND", "reportJobId")]


def test_so_many_report_jobs_an_hour(gam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gam.server.app.vendor._network, "settings", Settings(report_jobs_per_hour=2))
    run = gam.service("ReportService").runReportJob
    for _ in range(2):
        run({"reportQuery": query((2019, 9, 1), (2019, 9, 10))})
    refusals = gam.refusals(lambda: run({"reportQuery": query((2019, 9, 1), (2019, 9, 10))}))
    assert refusals == [("QuotaError", "REPORT_JOB_LIMIT", "")]


def test_a_hundred_lines_of_a_year_are_exact_in_sum(gam: Any, at: Any) -> None:
    order = gam.order()
    marks = [f"L{number}" for number in range(100)]
    for start in (0, 50):
        fields = [gam.line_fields(order["id"], mark, endDateTime=at(2020, 10, 1)) for mark in marks[start : start + 50]]
        gam.service("LineItemService").createLineItems(fields)
    gam.act_on_orders("ApproveOrders", order["id"])
    assert gam.post("attach", external_ids=marks) == {"lines": 100, "attached": 100}
    truths = {mark: 10_007 * (number + 1) for number, mark in enumerate(marks)}
    gam.post("impressions", lines=[{"external_id": mark, "impressions": total} for mark, total in truths.items()])
    gam.clock("2021-01-01T00:00:00Z")
    rows = report(gam, query((2019, 9, 1), (2020, 12, 31), dimensionAttributes=["LINE_ITEM_EXTERNAL_ID"]))
    assert len(rows) == 100 * 366
    sums: dict[str, int] = {}
    for row in rows:
        mark = row["DimensionAttribute.LINE_ITEM_EXTERNAL_ID"]
        sums[mark] = sums.get(mark, 0) + int(row["Column.AD_SERVER_IMPRESSIONS"])
    assert sums == truths


# --- people


def control_refusal(gam: Any, path: str, body: dict[str, Any]) -> str:
    reply = requests.post(f"{gam.url}/control/{path}", json=body, timeout=60)
    assert reply.status_code == 400
    return str(reply.json()["error"])


def test_an_open_line_needs_until_and_an_unknown_line_a_flight(gam: Any) -> None:
    goal = {"goalType": "NONE", "unitType": "IMPRESSIONS"}
    gam.live_line(lineItemType="PRICE_PRIORITY", unlimitedEndDateTime=True, endDateTime=None, primaryGoal=goal)
    assert "open end" in control_refusal(gam, "impressions", {"lines": [{"external_id": "L1", "impressions": 5}]})
    assert "yet" in control_refusal(gam, "impressions", {"lines": [{"external_id": "L2", "impressions": 5}]})
    flight = {"from": "2019-10-02T04:00:00Z", "until": "2019-10-03T04:00:00Z"}
    gam.post("impressions", lines=[{"external_id": mark, "impressions": 5, **flight} for mark in ("L1", "L2")])
    gam.clock("2019-12-01T00:00:00Z")
    delivery = {each["externalId"]: each["delivered"] for each in gam.get("state?type=Delivery")}
    assert delivery == {"L1": {"impressions": 5}, "L2": {"impressions": 5}}


def test_twin_lines_do_not_deliver_twice(gam: Any) -> None:
    first = gam.live_line("L1")
    order = gam.order("IO-twin")
    second = gam.line(order["id"], "L1")
    gam.act_on_orders("ApproveOrders", order["id"])
    gam.post("attach", all_approved=True)
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 1000}])
    gam.clock("2019-12-01T00:00:00Z")
    assert gam.read_line(first["id"])["stats"]["impressionsDelivered"] == 1000
    assert gam.read_line(second["id"])["stats"] is None
    assert len(report(gam, query((2019, 10, 1), (2019, 11, 30), dimensions=["LINE_ITEM_ID"]))) == 1


def test_the_trafficker_attaches_as_orders_are_approved(gam: Any) -> None:
    assert gam.post("trafficker", auto_attach=True) == {"auto_attach": True, "attached": 0}
    order = gam.order()
    sizes = [{"width": 300, "height": 250}, {"width": 728, "height": 90}]
    placeholders = [{"size": size, "expectedCreativeCount": 2} for size in sizes]
    line = gam.line(order["id"], creativePlaceholders=placeholders)
    gam.act_on_orders("ApproveOrders", order["id"])
    read = gam.read_line(line["id"])
    assert (read["status"], read["isMissingCreatives"]) == ("READY", False)
    assert len(gam.get("state?type=LineItemCreativeAssociation")) == 4
    assert gam.post("attach", all_approved=True) == {"lines": 1, "attached": 0}


def test_custom_targeting_is_added_once_and_says_what_it_refuses(gam: Any) -> None:
    keys = {"interest": ["news", "sports", "v" * 41], "bad key": ["x"]}
    reply = gam.post("custom_targeting", keys=keys)
    assert reply["keys"]["interest"]["values"] == 2
    assert [each["reason"] for each in reply["refused"]] == ["VALUE_NAME_INVALID_LENGTH", "KEY_NAME_INVALID_CHARS"]
    again = gam.post("custom_targeting", keys={"interest": ["news", "cars"]})
    assert again == {"keys": {"interest": {"id": reply["keys"]["interest"]["id"], "values": 3}}, "refused": []}


def test_an_edit_by_hand_moves_the_object_and_its_time(gam: Any) -> None:
    line = gam.live_line()
    gam.post("clock", advance_seconds=100)
    gam.post(
        "edit",
        type="LineItem",
        id=line["id"],
        fields={"name": "By hand", "endDateTime": "2019-10-20T04:00:00Z"},
    )
    read = gam.read_line(line["id"])
    assert (read["name"], read["endDateTime"]["date"]["day"]) == ("By hand", 20)
    assert read["lastModifiedDateTime"] != line["lastModifiedDateTime"]
    gam.post("edit", type="Order", id=line["orderId"], fields={"name": "Renamed"})
    assert [order["name"] for order in gam.find("OrderService", "getOrdersByStatement", "name = 'Renamed'")] == [
        "Renamed"
    ]
    assert "no field" in control_refusal(gam, "edit", {"type": "Order", "id": line["orderId"], "fields": {"budget": 1}})
    assert "there is no" in control_refusal(gam, "edit", {"type": "Order", "id": 5, "fields": {"name": "x"}})


def test_people_are_told_what_they_got_wrong(gam: Any) -> None:
    assert "unknown keys" in control_refusal(gam, "attach", {"lines": []})
    assert "there is no line item" in control_refusal(gam, "attach", {"line_item_ids": [5]})
    assert "no role" in control_refusal(gam, "users", {"users": [{"email": "x@y.example", "role": "King"}]})
    assert "first" in control_refusal(gam, "restate", {"external_id": "L1", "day": "2019-10-01", "impressions": 1})
    assert "no type" in requests.get(f"{gam.url}/control/state?type=Banana", timeout=60).json()["error"]
    assert "no user" in control_refusal(gam, "service_account", {"client_email": "x@y.example", "public_key": "k"})


def test_custom_fields_can_be_filled_once_they_exist(gam: Any) -> None:
    [field] = gam.post("custom_fields", fields=[{"name": "Hub id", "entity": "ORDER"}])["fields"]
    text = {
        "xsi_type": "CustomFieldValue",
        "customFieldId": field["id"],
        "value": {"xsi_type": "TextValue", "value": "a"},
    }
    order = gam.order(customFieldValues=[text])
    assert order["customFieldValues"][0]["value"]["value"] == "a"
    assert gam.line_refusals(customFieldValues=[text]) == [
        ("CustomFieldValueError", "INVALID_ENTITY_TYPE", "lineItem[0].customFieldValues[0]")
    ]


def test_the_state_can_be_narrowed(gam: Any) -> None:
    line = gam.live_line()
    expected = [{"id": line["id"], "externalId": "L1", "status": "READY"}]
    assert gam.get("state?type=LineItem&fields=id,externalId,status") == expected
    assert gam.get(f"state?type=LineItem&order_id={line['orderId']}&fields=id") == [{"id": line["id"]}]
    whole = gam.get("state?type=LineItem")[0]
    assert whole["reservationStatus"] == "RESERVED"
    assert not any(name.startswith("_") for name in whole)


def test_a_network_survives_its_process(gam: Any, tmp_path: Path) -> None:
    gam.live_line()
    gam.post("custom_targeting", keys={"age": ["18-24"]})
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 31_000}])
    gam.clock("2019-10-05T04:00:00Z")
    file = tmp_path / "gam.json"
    file.write_bytes(gam.server.app._dump())
    network = gam.server.app.vendor._network
    again = create_app(state_file=file)
    other = again.vendor._network  # type: ignore[union-attr]
    for type_name in ("Order", "LineItem", "Company", "User", "CustomTargetingValue", "Delivery"):
        assert again.state.objects(type_name, {}) == gam.server.app.state.objects(type_name, {})
    assert other.reserved == network.reserved
    assert again.clock.now() == gam.server.app.clock.now()
    assert other.tables["Order"].new_id() > max(order["id"] for order in network.tables["Order"])


def test_another_zone_and_currency_are_settings() -> None:
    settings = Settings(time_zone="Europe/Oslo", secondary_currencies=("NOK",))
    with serve(settings) as server:
        network = server.app.vendor._network  # type: ignore[union-attr]
        assert network.moment(0)["timeZoneId"] == "Europe/Oslo"
        assert network.currencies == ("USD", "NOK")


def test_an_administrator_adds_currencies_that_lines_may_be_priced_in(gam: Any, tmp_path: Path) -> None:
    cost = {"currencyCode": "JPY", "microAmount": 500_000_000}
    order = gam.order()["id"]
    refused = gam.refusals(lambda: gam.line(order, costPerUnit=cost))
    assert [reason for _, reason, _ in refused] == ["INVALID_LINE_ITEM_CURRENCY"]
    for _ in range(2):
        assert gam.post("currencies", currencies=["JPY", "USD", "EUR"])["secondary_currencies"][-1] == "JPY"
    assert gam.line(order, "in yen", costPerUnit=cost)["costPerUnit"]["currencyCode"] == "JPY"
    network = gam.service("NetworkService").getCurrentNetwork()
    assert (network["currencyCode"], network["secondaryCurrencyCodes"].count("JPY")) == ("USD", 1)
    with pytest.raises(AssertionError, match="yen"):
        gam.post("currencies", currencies=["yen"])
    file = tmp_path / "state.json"
    file.write_bytes(gam.server.app._dump())
    assert "JPY" in create_app(state_file=file).vendor._network.currencies  # type: ignore[union-attr]

"""Each fault knob does what it says, seen through the unmodified client."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from googleads import errors, oauth2


def names(gam: Any) -> list[str]:
    return [company["name"] for company in gam.get("state?type=Company")]


@pytest.mark.parametrize(
    ("fault", "refusal"),
    [
        ("quota", ("QuotaError", "EXCEEDED_QUOTA", "")),
        ("server_busy", ("ServerError", "SERVER_BUSY", "")),
        ("concurrent_modification", ("CommonError", "CONCURRENT_MODIFICATION", "")),
        ("expired_token", ("AuthenticationError", "AUTHENTICATION_FAILED", "")),
    ],
)
def test_a_transient_refusal_applies_nothing_and_passes(gam: Any, fault: str, refusal: tuple[str, str, str]) -> None:
    gam.fault(fault)
    assert gam.refusals(lambda: gam.company("A")) == [refusal]
    assert names(gam) == []
    gam.company("A")
    assert names(gam) == ["A"]


def test_partial_batch_refuses_the_whole_call_for_one_index(gam: Any) -> None:
    gam.fault("partial_batch", seed=3)
    companies = [{"name": f"C{number}", "type": "ADVERTISER"} for number in range(10)]
    [(kind, reason, path)] = gam.refusals(lambda: gam.service("CompanyService").createCompanies(companies))
    assert (kind, reason) == ("CommonError", "CONCURRENT_MODIFICATION")
    assert 0 <= int(path.strip("[]")) < 10
    assert names(gam) == []


def test_error_generating_response_has_been_applied(gam: Any) -> None:
    gam.fault("error_generating_response")
    assert gam.refusals(lambda: gam.company("A")) == [("InternalApiError", "ERROR_GENERATING_RESPONSE", "")]
    assert names(gam) == ["A"]


@pytest.mark.parametrize(("fault", "kept"), [("lost_request", []), ("lost_reply", ["A"])])
def test_a_dropped_connection_is_a_transport_error(gam: Any, fault: str, kept: list[str]) -> None:
    gam.fault(fault)
    with pytest.raises(requests.ConnectionError):
        gam.company("A")
    assert names(gam) == kept


def test_a_late_commit_is_applied_after_the_client_gave_up(gam: Any) -> None:
    gam.fault("late_commit", seconds=3600)
    with pytest.raises(requests.ConnectionError):
        gam.company("A")
    assert names(gam) == []
    gam.server.app.late.apply_now()
    assert names(gam) == ["A"]


def test_a_late_commit_that_comes_second_is_refused_by_the_rules(gam: Any) -> None:
    order = gam.order_fields("IO-1")
    gam.fault("late_commit", seconds=3600)
    with pytest.raises(requests.ConnectionError):
        gam.service("OrderService").createOrders([order])
    gam.service("OrderService").createOrders([order])
    gam.server.app.late.apply_now()
    assert len(gam.get("state?type=Order")) == 1


def test_html_503_surfaces_as_the_clients_type_error(gam: Any) -> None:
    gam.fault("html_503")
    with pytest.raises(TypeError, match="integer or bytes-like"):
        gam.company("A")
    assert names(gam) == []


def test_index_lag_hides_what_is_new_from_queries_only(gam: Any) -> None:
    gam.order("IO-1")
    gam.fault("index_lag", seconds=3600, operations=["createOrders"])
    hidden = gam.order("IO-2")
    assert gam.find("OrderService", "getOrdersByStatement", "name = 'IO-2'") == []
    assert len(gam.find("OrderService", "getOrdersByStatement")) == 1
    assert gam.refusals(lambda: gam.order("IO-2")) == [("UniqueError", None, "[0].name")]
    assert [each["name"] for each in gam.get("state?type=Order")] == ["IO-1", "IO-2"]
    gam.server.app.vendor._network.hide("Order", hidden["id"], -1)
    assert len(gam.find("OrderService", "getOrdersByStatement", "name = 'IO-2'")) == 1


def test_no_forecast_stops_an_approval_so_many_times(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"])
    gam.post("faults", no_forecast={"count": 2})
    for _ in range(2):
        refusals = gam.refusals(lambda: gam.act_on_orders("ApproveOrders", order["id"]))
        assert refusals == [("ForecastError", "NO_FORECAST_YET", "lineItem[0]")]
        assert gam.read_order(order["id"])["status"] == "DRAFT"
    assert gam.act_on_orders("ApproveOrders", order["id"]) == 1


def test_no_forecast_does_not_stop_who_skips_the_inventory_check(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"])
    gam.fault("no_forecast")
    assert gam.act_on_orders("ApproveOrders", order["id"], skipInventoryCheck=True) == 1


def test_quota_on_reports_is_the_report_job_limit(gam: Any) -> None:
    gam.fault("quota", operations=["runReportJob"])
    query = {
        "dimensions": ["DATE"],
        "columns": ["AD_SERVER_IMPRESSIONS"],
        "dateRangeType": "YESTERDAY",
    }
    run = gam.service("ReportService").runReportJob
    assert gam.refusals(lambda: run({"reportQuery": query})) == [("QuotaError", "REPORT_JOB_LIMIT", "")]


def test_a_failed_report_gives_no_reason(gam: Any) -> None:
    gam.fault("report_failed")
    service = gam.service("ReportService")
    query = {"dimensions": ["DATE"], "columns": ["AD_SERVER_IMPRESSIONS"], "dateRangeType": "YESTERDAY"}
    job = service.runReportJob({"reportQuery": query})
    assert [service.getReportJobStatus(job["id"]) for _ in range(2)] == ["IN_PROGRESS", "FAILED"]


def test_faults_without_operations_spare_reads(gam: Any) -> None:
    gam.company("A")
    for fault in ("quota", "server_busy", "lost_request", "lost_reply", "html_503", "expired_token"):
        gam.fault(fault)
    assert len(gam.find("CompanyService", "getCompaniesByStatement")) == 1


def test_an_expired_token_stays_expired_and_a_new_one_works(gam: Any, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(gam.post("service_account", token_uri=f"{gam.url}/token")))
    token = oauth2.GoogleServiceAccountClient(str(file), oauth2.GetAPIScope("ad_manager"))
    service = gam.client_with(token).GetService("CompanyService", version="v202608", server=gam.url)
    create = [{"name": "A", "type": "ADVERTISER"}]
    gam.fault("expired_token")
    for _ in range(2):
        with pytest.raises(errors.GoogleAdsServerFault, match="AUTHENTICATION_FAILED"):
            service.createCompanies(create)
    token.Refresh()
    assert service.createCompanies(create)[0]["name"] == "A"
    service.zeep_client.transport.session.close()


def test_parallel_creates_of_one_name_have_one_winner(gam: Any) -> None:
    order = gam.order_fields("IO-1")
    orders = gam.service("OrderService")
    start = threading.Barrier(6)
    won: list[int] = []

    refused: list[str] = []

    def create() -> None:
        start.wait()
        try:
            won.append(orders.createOrders([order])[0]["id"])
        except errors.GoogleAdsServerFault as fault:
            refused.append(str(fault))

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert all("UniqueError.NOT_UNIQUE" in text for text in refused)
    assert len(gam.get("state?type=Order")) == 1

"""What the connector sends, packed by the unmodified client from the vendor's own WSDLs and checked by their XML schemas.

zeep does not check values; an XML schema does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.base import DeliveryQuery
from connectors.gam import GamConnector, GamSettings
from connectors.gam.report import DOWNLOAD_OPTIONS, report_query
from connectors.gam.statement import Where, date_time

REPOSITORY = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("ORDERHUB_SPECS", REPOSITORY / "../shared/specs")) / "gam" / "v202608-derived"
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_SCHEMA = "{http://www.w3.org/2001/XMLSchema}schema"

pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="absent: GAM v202608 WSDLs under ORDERHUB_SPECS"),
]

Check = Callable[..., None]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 – the library names it
        """Nothing is written."""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """The vendor's WSDLs where the client looks for them, on loopback."""
    place = tmp_path / "apis" / "ads" / "publisher" / "v202608"
    place.mkdir(parents=True)
    for file in FOLDER.resolve().glob("*.wsdl"):
        (place / file.stem).symlink_to(file)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def fits(endpoint: str) -> Check:
    """Pack one call and validate its body against the schema inside the service's WSDL."""
    settings = GamSettings.model_validate({"network_code": "1", "access_token": "t", "endpoint": endpoint})
    gam = GamConnector(settings)

    def check(service: str, operation: str, *arguments: Any) -> None:
        envelope = gam._soap._service(service).GetRequestXML(operation, *arguments)
        # a round trip through bytes settles the namespaces of xsi:type values
        body = etree.fromstring(etree.tostring(envelope)).find(f"{_SOAP}Body")
        assert body is not None
        types = etree.parse(FOLDER / f"{service}.wsdl").find(f".//{_SCHEMA}")
        schema = etree.XMLSchema(etree.fromstring(etree.tostring(types)))  # with the namespaces declared around it
        schema.assertValid(etree.fromstring(etree.tostring(body[0])))

    return check


LINE = {
    "orderId": "5",
    "name": "line",
    "externalId": "ord_1",
    "startDateTime": date_time(datetime(2020, 2, 29, 15, tzinfo=UTC)),
    "endDateTime": None,
    "unlimitedEndDateTime": True,
    "creativeRotationType": "EVEN",
    "lineItemType": "PRICE_PRIORITY",
    "costPerUnit": {"currencyCode": "USD", "microAmount": 9_582_848},
    "costType": "CPM",
    "creativePlaceholders": [
        {"size": {"width": 320, "height": 480, "isAspectRatio": False}, "expectedCreativeCount": 1}
    ],
    "primaryGoal": {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": -1},
    "targeting": {
        "geoTargeting": {"targetedLocations": [{"id": "2840"}], "excludedLocations": []},
        "inventoryTargeting": {"targetedAdUnits": [{"adUnitId": "7", "includeDescendants": True}]},
        "customTargeting": {
            "xsi_type": "CustomCriteriaSet",
            "logicalOperator": "OR",
            "children": [
                {
                    "xsi_type": "CustomCriteriaSet",
                    "logicalOperator": "AND",
                    "children": [
                        {"xsi_type": "CustomCriteria", "keyId": "1", "valueIds": ["2", "3"], "operator": "IS_NOT"}
                    ],
                }
            ],
        },
    },
    "notes": "ümläut 😀",
}


def test_creates(fits: Check) -> None:
    fits("CompanyService", "createCompanies", [{"name": "Acme", "type": "ADVERTISER", "externalId": "pty_1"}])
    fits("OrderService", "createOrders", [{"name": "O", "advertiserId": "1", "traffickerId": "2", "agencyId": None}])
    fits("LineItemService", "createLineItems", [LINE, LINE])


def test_actions(fits: Check) -> None:
    statement = Where().among("id", [1, 2]).statement()
    action = {"xsi_type": "ApproveOrders", "skipInventoryCheck": False}
    fits("OrderService", "performOrderAction", action, statement)
    fits("LineItemService", "performLineItemAction", {"xsi_type": "ArchiveLineItems"}, statement)


def test_queries(fits: Check) -> None:
    where = Where().among("name", ["a"]).from_("lastModifiedDateTime", datetime(2020, 1, 1, tzinfo=UTC))
    fits("OrderService", "getOrdersByStatement", where.statement(order="id", limit=500))
    places = Where().equals("Targetable", True).statement(select="SELECT Id FROM Geo_Target", order="Id", limit=5)
    fits("PublisherQueryLanguageService", "select", places)


def test_reports(fits: Check) -> None:
    settings = GamSettings.model_validate(
        {
            "network_code": "1",
            "access_token": "t",
            "report_columns": [
                "AD_SERVER_IMPRESSIONS",
                "AD_SERVER_CLICKS",
                "TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS",
                "VIDEO_VIEWERSHIP_COMPLETE",
            ],
        }
    )
    query = report_query(DeliveryQuery(date(2020, 1, 1), date(2020, 2, 29)), settings)
    fits("ReportService", "runReportJob", {"reportQuery": query})
    fits("ReportService", "getReportDownloadUrlWithOptions", 77, dict(DOWNLOAD_OPTIONS))


def test_forecasts(fits: Check) -> None:
    options = {"includeTargetingCriteriaBreakdown": False, "includeContendingLineItems": False}
    fits("ForecastService", "getAvailabilityForecast", {"lineItem": LINE}, options)


def test_a_wrong_value_is_caught_by_the_schema(fits: Check) -> None:
    with pytest.raises(etree.DocumentInvalid):
        fits("LineItemService", "createLineItems", [{**LINE, "lineItemType": "GOLD"}])

"""The unmodified googleads client in front of the sandbox, and builders of plain valid objects."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from googleads import ad_manager, common, errors, oauth2

from sandbox.gam import serve
from sandbox.serving import RunningServer

START = datetime(2019, 9, 11, 17, 41, 8, tzinfo=UTC)
VERSION = "v202608"
Fields = dict[str, Any]
Refusal = tuple[str, str | None, str]


class Gam:
    """A googleads client on one sandbox, with its control interface and builders."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.url = server.url
        self._session = requests.Session()
        self._services: dict[str, Any] = {}
        self.client = self.client_with(oauth2.GoogleAccessTokenClient("sandbox-token", datetime(2100, 1, 1)))  # noqa: DTZ001 - googleads wants naive UTC

    def client_with(self, token: Any) -> Any:
        """An unmodified client that uses a token client of googleads."""
        with warnings.catch_warnings():
            # googleads 51 asks for the locale in a way that Python 3.15 removes.
            warnings.filterwarnings("ignore", "'locale.getdefaultlocale' is deprecated", DeprecationWarning)
            return self._client_with(token)

    def _client_with(self, token: Any) -> Any:
        return ad_manager.AdManagerClient(
            token, "orderhub tests", network_code="123456", cache=common.ZeepServiceProxy.NO_CACHE, timeout=30
        )

    def service(self, name: str) -> Any:
        """One of the vendor's services."""
        if name not in self._services:
            self._services[name] = self.client.GetService(name, version=VERSION, server=self.url)
        return self._services[name]

    def refusals(self, call: Callable[[], object]) -> list[Refusal]:
        """The (type, reason, path) of each error of a call that must be refused."""
        with pytest.raises(errors.GoogleAdsServerFault) as refused:
            call()
        return [
            (type(error).__name__, getattr(error, "reason", None), error["fieldPath"] or "")
            for error in refused.value.errors
        ]

    def post(self, path: str, **body: Any) -> Any:
        """POST /control/<path>."""
        reply = self._session.post(f"{self.url}/control/{path}", json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def get(self, path: str) -> Any:
        """GET /control/<path>."""
        reply = self._session.get(f"{self.url}/control/{path}", timeout=60)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def fault(self, name: str, **knob: Any) -> None:
        """Turn a fault on, once."""
        self.post("faults", **{name: {"count": 1, **knob}})

    def clock(self, now: str) -> None:
        """Put the sandbox's clock."""
        self.post("clock", now=now)

    def statement(self, query: str = "", **values: Any) -> Any:
        """A Statement with bind variables, made by googleads."""
        builder = ad_manager.StatementBuilder(version=VERSION)
        builder.Limit(None).Offset(None)
        if query:
            builder.Where(query)
        for name, value in values.items():
            builder.WithBindVariable(name, value)
        return builder.ToStatement()

    def find(self, service: str, operation: str, query: str = "", **values: Any) -> list[Any]:
        """The results of a get...ByStatement."""
        page = getattr(self.service(service), operation)(self.statement(query, **values))
        return list(page["results"] or ())

    def trafficker_id(self) -> int:
        """The id of the network's trafficker."""
        return int(self.find("UserService", "getUsersByStatement", "roleName = :r", r="Trafficker")[0]["id"])

    def company(self, name: str = "Acme", kind: str = "ADVERTISER", **fields: Any) -> Any:
        """Create a company."""
        return self.service("CompanyService").createCompanies([{"name": name, "type": kind, **fields}])[0]

    def order_fields(self, name: str = "IO-1", **fields: Any) -> Fields:
        """A valid order of the advertiser Acme."""
        known = self.find("CompanyService", "getCompaniesByStatement", "name = 'Acme'")
        advertiser = known[0] if known else self.company()
        return {"name": name, "advertiserId": advertiser["id"], "traffickerId": self.trafficker_id(), **fields}

    def order(self, name: str = "IO-1", **fields: Any) -> Any:
        """Create an order."""
        return self.service("OrderService").createOrders([self.order_fields(name, **fields)])[0]

    def line_fields(self, order_id: int, mark: str = "L1", **fields: Any) -> Fields:
        """A valid standard line of 100,000 impressions over October 2019, New York time."""
        return {
            "orderId": order_id,
            "name": f"Line {mark}",
            "externalId": mark,
            "lineItemType": "STANDARD",
            "startDateTime": moment(2019, 10, 1),
            "endDateTime": moment(2019, 11, 1),
            "creativeRotationType": "EVEN",
            "costType": "CPM",
            "costPerUnit": {"currencyCode": "USD", "microAmount": 2_500_000},
            "primaryGoal": {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 100_000},
            "creativePlaceholders": [{"size": {"width": 300, "height": 250, "isAspectRatio": False}}],
            "targeting": {"inventoryTargeting": inventory()},
            **fields,
        }

    def line(self, order_id: int, mark: str = "L1", **fields: Any) -> Any:
        """Create a line item."""
        return self.service("LineItemService").createLineItems([self.line_fields(order_id, mark, **fields)])[0]

    def line_refusals(self, **fields: Any) -> list[Refusal]:
        """How a new line with these fields is refused."""
        known = self.find("OrderService", "getOrdersByStatement", "name = 'IO-1'")
        order_id = (known[0] if known else self.order())["id"]
        lines = [self.line_fields(order_id, **fields)]
        return self.refusals(lambda: self.service("LineItemService").createLineItems(lines))

    def act_on_orders(self, action: str, *order_ids: int, **flags: Any) -> int:
        """Perform an order action; numChanges."""
        statement = self.statement(f"id IN ({','.join(map(str, order_ids))})")
        result = self.service("OrderService").performOrderAction({"xsi_type": action, **flags}, statement)
        return int(result["numChanges"])

    def act_on_lines(self, action: str, *line_ids: int, **flags: Any) -> int:
        """Perform a line item action; numChanges."""
        statement = self.statement(f"id IN ({','.join(map(str, line_ids))})")
        result = self.service("LineItemService").performLineItemAction({"xsi_type": action, **flags}, statement)
        return int(result["numChanges"])

    def read_order(self, order_id: int) -> Any:
        """An order as it is now."""
        return self.find("OrderService", "getOrdersByStatement", "id = :i", i=order_id)[0]

    def read_line(self, line_id: int) -> Any:
        """A line item as it is now."""
        return self.find("LineItemService", "getLineItemsByStatement", "id = :i", i=line_id)[0]

    def live_line(self, mark: str = "L1", **fields: Any) -> Any:
        """An approved line with a creative, in an order of its own."""
        order = self.order(f"IO of {mark}")
        line = self.line(order["id"], mark, **fields)
        self.act_on_orders("ApproveOrders", order["id"])
        self.post("attach", line_item_ids=[line["id"]])
        return self.read_line(line["id"])

    def close(self) -> None:
        """Give back the sockets."""
        self._session.close()
        for service in self._services.values():
            service.zeep_client.transport.session.close()


def moment(year: int, month: int, day: int, hour: int = 0, zone: str = "America/New_York") -> Fields:
    """A DateTime."""
    return {
        "date": {"year": year, "month": month, "day": day},
        "hour": hour,
        "minute": 0,
        "second": 0,
        "timeZoneId": zone,
    }


def inventory() -> Fields:
    """An InventoryTargeting of the whole network."""
    return {"targetedAdUnits": [{"adUnitId": "21700000001", "includeDescendants": True}]}


@pytest.fixture(scope="session")
def served_gam() -> Iterator[Gam]:
    logging.getLogger("googleads").setLevel(logging.CRITICAL)  # it logs each fault, and the faults are the point
    with serve(clock=START, running=False) as server:
        gam = Gam(server)
        yield gam
        gam.close()


@pytest.fixture
def gam(served_gam: Gam) -> Gam:
    served_gam.post("reset")
    served_gam.post("clock", now="2019-09-11T17:41:08Z", running=False)
    return served_gam


@pytest.fixture
def at() -> Callable[..., Fields]:
    """Makes a DateTime: `at(2019, 10, 1, hour=0, zone=...)`."""
    return moment

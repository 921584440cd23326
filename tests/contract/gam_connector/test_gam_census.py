"""The census of the simulated network: everything once, what is put away marked so, what is deleted absent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from connectors.base import CensusRow, CountsRecords, Operation, PushItem
from connectors.errors import Misconfigured
from connectors.gam import GamConnector, GamSettings
from sandbox.gam import serve


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    server = serve(running=False)
    yield server.url
    server.close()


@pytest.fixture
def gam(network: str) -> Iterator[GamConnector]:
    requests.post(f"{network}/control/reset", json={}, timeout=60)
    settings = {"network_code": "123456", "endpoint": network, "access_token": "sandbox-token", "page_size": 3}
    connector = GamConnector(GamSettings.model_validate(settings))
    yield connector
    connector.close()


def counted(gam: GamConnector, record: str) -> list[CensusRow]:
    return [row for page in gam.census(record) for row in page]


def make(gam: GamConnector, record: str, *payloads: dict[str, Any]) -> list[str]:
    items = [PushItem(str(number), payload) for number, payload in enumerate(payloads)]
    return [str(result.vendor_id) for result in gam.push(record, Operation.CREATE, items)]


def order(gam: GamConnector, *names: str) -> list[str]:
    (advertiser,) = make(gam, "Company", {"name": "Acme", "type": "ADVERTISER", "externalId": "pty_a"})
    trafficker = _some_user(gam)
    return make(
        gam, "Order", *({"name": name, "advertiserId": advertiser, "traffickerId": trafficker} for name in names)
    )


def _some_user(gam: GamConnector) -> str:
    from connectors.gam.statement import Where

    return str(next(iter(gam._objects.every("User", Where())))["id"])


def test_the_census_is_a_declared_ability(gam: GamConnector) -> None:
    assert isinstance(gam, CountsRecords)


def test_every_company_is_counted_once_over_several_pages(gam: GamConnector) -> None:
    before = {row.vendor_id for row in counted(gam, "Company")}
    made = make(
        gam,
        "Company",
        *({"name": f"House {n}", "type": "ADVERTISER", "externalId": f"pty_{n}"} for n in range(7)),
        {"name": "House 0", "type": "AGENCY", "externalId": "pty_0"},
    )
    rows = counted(gam, "Company")
    assert len(rows) == len({row.vendor_id for row in rows}) == len(before) + 8
    found = {row.vendor_id: row for row in rows}
    assert [(found[i].mark, found[i].scope) for i in (made[0], made[7])] == [
        ("pty_0", "ADVERTISER"),
        ("pty_0", "AGENCY"),
    ]


def test_a_page_costs_one_request(gam: GamConnector, network: str) -> None:
    make(gam, "Company", *({"name": f"House {n}", "type": "ADVERTISER"} for n in range(5)))
    requests.post(f"{network}/control/calls/reset", json={}, timeout=60)
    pages = list(gam.census("Company"))
    calls = requests.get(f"{network}/control/calls", timeout=60).json()["operations"]
    assert calls["getCompaniesByStatement"]["calls"] == len(pages) > 1


def test_archived_orders_are_counted_as_put_away_and_deleted_ones_are_gone(gam: GamConnector) -> None:
    live, archived, deleted = order(gam, "Live [aaa]", "Archived [bbb]", "Deleted [ccc]")
    gam.push("Order", Operation.ACT, [PushItem("1", {}, archived, "ArchiveOrders")])
    gam._soap.write("OrderService", "performOrderAction", {"xsi_type": "DeleteOrders"}, _by_id(deleted))
    rows = {row.vendor_id: row for row in counted(gam, "Order")}
    assert rows[live] == CensusRow(live, marker="Live [aaa]", delivered=0)
    assert rows[archived].archived
    assert deleted not in rows


def _by_id(vendor_id: str) -> dict[str, Any]:
    from connectors.gam.statement import Where

    return Where().equals("id", int(vendor_id)).statement()


def test_a_record_type_that_is_not_counted_says_so(gam: GamConnector) -> None:
    with pytest.raises(Misconfigured, match="Choose Company, Order, LineItem"):
        next(gam.census("User"))

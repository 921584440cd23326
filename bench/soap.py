"""Reading a page of line items as the Ad Manager connector does, against zeep, which `googleads` reads with."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from bench.result import Measurement, interleaved, measured
from connectors.base import Operation, PushItem
from connectors.gam import GamConnector, GamSettings

LINES = 450
"""As many as an order holds, and a page of the connector's usual size shows."""
SERVICE, OPERATION = "LineItemService", "getLineItemsByStatement"


@dataclass(frozen=True)
class _Reply:
    """As much of an HTTP response as zeep looks at."""

    content: bytes
    status_code: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", dict(self.headers))


class _Keep:
    """A plugin of zeep's that keeps the last reply as it came."""

    content = b""

    def egress(self, envelope: Any, http_headers: Any, operation: Any, binding_options: Any) -> tuple[Any, Any]:
        return envelope, http_headers

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> tuple[Any, Any]:
        self.content = bytes(etree.tostring(envelope))
        return envelope, http_headers


@contextmanager
def _ad_server(folder: Path) -> Iterator[str]:
    arguments = ["gam", "--port", "0", "--state", str(folder / "gam.json"), "--clock", "2019-12-01T00:00:00+00:00"]
    with subprocess.Popen([sys.executable, "-m", "sandbox", *arguments], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield str(json.loads(server.stdout.readline())["url"])
        finally:
            server.terminate()


def _day(year: int, month: int, day: int) -> dict[str, Any]:
    clock = {"hour": 0, "minute": 0, "second": 0, "timeZoneId": "America/New_York"}
    return {"date": {"year": year, "month": month, "day": day}, **clock}


def _made(connector: GamConnector, record: str, payloads: list[dict[str, Any]]) -> list[str]:
    size = connector.capabilities.records[record].batch
    found: list[str] = []
    for start in range(0, len(payloads), size):
        items = [PushItem(str(start + at), payload) for at, payload in enumerate(payloads[start : start + size])]
        for result in connector.push(record, Operation.CREATE, items):
            if result.vendor_id is None:
                raise AssertionError(f"{record} was not made: {result}")
            found.append(result.vendor_id)
    return found


def _book(connector: GamConnector) -> None:
    """One order of `LINES` lines like those of the demo's book."""
    (company,) = _made(connector, "Company", [{"name": "Acme", "type": "ADVERTISER"}])
    (order,) = _made(
        connector,
        "Order",
        [{"name": "Acme [k]", "advertiserId": company, "traffickerId": "244000002"}],
    )
    line = {
        "orderId": order,
        "lineItemType": "STANDARD",
        "startDateTime": _day(2020, 1, 10),
        "endDateTime": _day(2020, 3, 31),
        "unlimitedEndDateTime": False,
        "costType": "CPM",
        "costPerUnit": {"currencyCode": "USD", "microAmount": 2_500_000},
        "primaryGoal": {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 10_000},
        "creativePlaceholders": [
            {"size": {"width": 320, "height": 480, "isAspectRatio": False}, "expectedCreativeCount": 1}
        ],
        "creativeRotationType": "EVEN",
        "targeting": {
            "geoTargeting": {"targetedLocations": [{"id": "2840"}], "excludedLocations": []},
            "inventoryTargeting": {"targetedAdUnits": [{"adUnitId": "21700000001", "includeDescendants": True}]},
        },
        "notes": "Interests: Green Living Enthusiasts, Philanthropists, Political News Watchers; age 18-34",
    }
    _made(connector, "LineItem", [{**line, "name": f"line {n}", "externalId": f"lin_{n:024}"} for n in range(LINES)])


def run(*, rounds: int, full: bool) -> Measurement:
    """One page; the size is the same with `full`."""
    with tempfile.TemporaryDirectory() as folder, _ad_server(Path(folder)) as url:
        values = {"network_code": "123456", "endpoint": url, "access_token": "sandbox-token", "page_size": LINES}
        connector = GamConnector(GamSettings.model_validate({**values, "requests_per_second": 100.0}))
        _book(connector)
        soap = connector._soap
        client, keep = soap._service(SERVICE).zeep_client, _Keep()
        client.plugins.insert(0, keep)
        soap.read(SERVICE, OPERATION, {"query": f"ORDER BY id LIMIT {LINES}", "values": []})
        connector.close()
        binding, replies, reply = client.service._binding, soap._local.replies[SERVICE], _Reply(keep.content)
        operation = binding.get(OPERATION)

        def by_tables() -> list[Any]:
            client.plugins[:] = [replies]
            binding.process_reply(client, operation, reply)
            return list(replies.take()["results"])

        def by_zeep() -> list[Any]:
            client.plugins[:] = []
            return list(binding.process_reply(client, operation, reply)["body"]["rval"]["results"])

        ours, theirs = by_tables(), by_zeep()
        if len(ours) != LINES or [each["id"] for each in ours] != [each["id"] for each in theirs]:
            raise AssertionError("the tables and zeep do not read the same lines")
        pairs = interleaved(by_tables, by_zeep, rounds)
    return measured(
        "reading a page of line items",
        pairs,
        method=(
            f"one reply of {LINES} line items ({len(keep.content):,} bytes) by the simulated ad server, XML parsed in both; a: "
            "the connector's tables, to plain dictionaries; b: zeep, to its own objects, from which dictionaries would still "
            "have to be made. Interleaved rounds, ratio = b / a."
        ),
        limit=None,
        sense="at_least",
        ratio=lambda tables, zeep: zeep / tables,
        figures={"lines": LINES, "reply_bytes": len(keep.content)},
    )

"""The hub's side of a comparison of whole processes: a CRM's pages over loopback in, the ad server's records out, as JSON lines.

Vendor bytes → the Salesforce connector's own decoding → canonical, fully validated → Ad Manager payload → bytes; one
record at a time, in one thread. Look-ups are answered from memory, as after a first push. Nothing of the hub's store is
loaded: the other side has none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import requests

import mappings
from bench.answers import Answers, EveryName
from connectors.bounded import bounded_body
from connectors.gam.records import record_schemas as ad_server_schemas
from connectors.salesforce.schemas import record_schemas as crm_schemas
from connectors.salesforce.transport import decoded
from mappings.compiler import load_mapping
from mappings.mapping import Mapping
from mappings.memory import calm_collector

PAGE = 500
"""Records of a page, as in the method of the published figures."""
SECONDS, MOST_BYTES = 60, 2**28
"""Bounds of one reply, which the connectors set too."""
WRITTEN_AT_ONCE = 2**18
"""Bytes that are gathered before they are written."""


@dataclass(frozen=True, slots=True)
class Way:
    """The mapping of a CRM record in and of its canonical entity out."""

    reads: Mapping
    writes: Mapping

    @classmethod
    def of(cls, entity: str, source: str, target: str) -> Way:
        """The shipped mappings of an entity."""
        folder = Path(mappings.__file__).parent
        return cls(
            load_mapping(folder / "salesforce" / f"{entity}.v1.yaml", crm_schemas()[source]),
            load_mapping(folder / "gam" / f"{entity}.v1.yaml", ad_server_schemas()[target]),
        )


def line_way() -> Way:
    """An opportunity's line, to a line item."""
    return Way.of("line", "OpportunityLineItem", "LineItem")


def order_way() -> Way:
    """An opportunity, to an order."""
    return Way.of("order", "Opportunity", "Order")


def pages(url: str) -> Iterator[list[dict[str, Any]]]:
    """The records behind a URL, page by page, read and decoded as the connector does."""
    with requests.Session() as session:
        session.trust_env = False
        offset = 0
        while True:
            reply = session.get(url, params={"offset": offset, "limit": PAGE}, timeout=SECONDS, stream=True)
            reply.raise_for_status()
            found = decoded(bounded_body(reply, MOST_BYTES, time.monotonic() + SECONDS))["records"]
            count = len(found)
            yield found
            del found
            if count < PAGE:
                return
            offset += count


def written(page: list[dict[str, Any]], line: Way, order: Way, out: IO[bytes]) -> None:
    """A page of records, each all the way: of an opportunity the order, then its lines."""
    answers = Answers(EveryName(), facet="1")
    line_in, line_out = line.reads.to_canonical, line.writes.to_vendor
    order_in, order_out = order.reads.to_canonical, order.writes.to_vendor
    dumps, whole_line, write = orjson.dumps, orjson.OPT_APPEND_NEWLINE, out.write
    for record in page:
        children = record.pop("OpportunityLineItems", None)
        if children is None:
            write(dumps(line_out(line_in(record, "sfdc"), answers), None, whole_line))
            continue
        write(dumps(order_out(order_in(record, "sfdc"), answers), None, whole_line))
        for child in children["records"]:
            write(dumps(line_out(line_in(child, "sfdc"), answers), None, whole_line))


def main() -> int:
    """Everything behind the URL that is the first argument to standard output; see `bench.hub_start`."""
    line, order = line_way(), order_way()
    calm_collector()  # as whoever opens the hub does
    with open(sys.stdout.fileno(), "wb", WRITTEN_AT_ONCE, closefd=False) as out:
        for page in pages(sys.argv[1]):
            written(page, line, order, out)
            del page  # it is gone before the next one is made
    return 0

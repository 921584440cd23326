"""The hub's side of a comparison of whole processes: a CRM's pages over loopback in, the ad server's records out, as JSON lines.

Vendor bytes → the Salesforce connector's own decoding → canonical, fully validated → Ad Manager payload → bytes; one
record at a time, in one thread of one process or of several, which get a page each as `orderhub map try --records` gives
them a chunk of an export. Look-ups are answered from memory, as after a first push. Nothing of the hub's
store is loaded: the other side has none.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import requests

import mappings
from bench.answers import answers
from connectors.bounded import bounded_body
from connectors.gam.records import record_schemas as ad_server_schemas
from connectors.salesforce.schemas import record_schemas as crm_schemas
from connectors.salesforce.transport import decoded
from mappings.compiler import load_mapping
from mappings.mapping import Mapping
from mappings.memory import calm_collector
from mappings.processes import each
from mappings.trial import EveryName

PAGE = 500
"""Records of a page, as in the method of the published figures."""
SECONDS, MOST_BYTES = 60, 2**28
"""Bounds of one reply, which the connectors set too."""
WRITTEN_AT_ONCE = 2**18
"""Bytes that are gathered before they are written."""
_DONE = re.compile(rb'.{0,40}"done":true')
"""How a page that is the last begins, as Salesforce's own does."""


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


@cache
def line_way() -> Way:
    """An opportunity's line, to a line item."""
    return Way.of("line", "OpportunityLineItem", "LineItem")


@cache
def order_way() -> Way:
    """An opportunity, to an order."""
    return Way.of("order", "Opportunity", "Order")


def pages(url: str) -> Iterator[bytes]:
    """The pages behind a URL, read as the connector reads them; a page says itself whether it is the last."""
    with requests.Session() as session:
        session.trust_env = False
        offset = 0
        while True:
            reply = session.get(url, params={"offset": offset, "limit": PAGE}, timeout=SECONDS, stream=True)
            reply.raise_for_status()
            body = bounded_body(reply, MOST_BYTES, time.monotonic() + SECONDS)
            yield body
            if _DONE.match(body) is not None:
                return
            offset += PAGE


def mapped(body: bytes) -> bytes:
    """A page of records, each all the way, as JSON lines."""
    made: list[bytes] = []
    write_mapped(body, made.append)
    return b"".join(made)


def write_mapped(body: bytes, write: Callable[[bytes], object]) -> None:
    """A page of records, each all the way, as JSON lines: of an opportunity the order, then its lines."""
    line, order, context = line_way(), order_way(), answers(EveryName(), facet="1")
    line_in, line_out = line.reads.to_canonical, line.writes.to_vendor
    order_in, order_out = order.reads.to_canonical, order.writes.to_vendor
    dumps, whole_line = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    for record in decoded(body)["records"]:
        children = record.pop("OpportunityLineItems", None)
        if children is None:
            write(dumps(line_out(line_in(record, "sfdc"), context), None, whole_line))
            continue
        write(dumps(order_out(order_in(record, "sfdc"), context), None, whole_line))
        for child in children["records"]:
            write(dumps(line_out(line_in(child, "sfdc"), context), None, whole_line))


def main() -> int:
    """Everything behind the URL, in so many processes, to standard output; see `bench.hub_start`."""
    url, processes = sys.argv[1], int(sys.argv[2])
    line_way(), order_way()  # compiled once, before other processes begin
    calm_collector()  # as whoever opens the hub does
    with open(sys.stdout.fileno(), "wb", WRITTEN_AT_ONCE, closefd=False) as out:
        if processes == 1:
            for body in pages(url):
                write_mapped(body, out.write)
        else:
            for lines in each(mapped, pages(url), processes):
                out.write(lines)
    return 0

"""The hub's side of a comparison of whole processes: a CRM's pages over loopback in, the ad server's records out, as JSON lines.

Vendor bytes → the Salesforce connector's own decoding → canonical, fully validated → Ad Manager payload → bytes; one
record at a time, in one thread. Look-ups are answered from memory, as after a first push. Nothing of the hub's store is
loaded: the other side has none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import requests

from bench.answers import Answers, EveryName
from connectors.gam.records import record_schemas as ad_server_schemas
from connectors.salesforce.schemas import record_schemas as crm_schemas
from connectors.salesforce.transport import decoded
from mappings.compiler import load_mapping
from mappings.mapping import Mapping
from mappings.memory import calm_collector

PAGE = 500
"""Records of a page, as in the method of the published figures."""


@dataclass(frozen=True, slots=True)
class Way:
    """The mapping of a CRM record in and of its canonical entity out."""

    reads: Mapping
    writes: Mapping

    @classmethod
    def of(cls, entity: str, source: str, target: str) -> Way:
        """The shipped mappings of an entity."""
        folder = Path(str(files("mappings")))
        return cls(
            load_mapping(folder / "salesforce" / f"{entity}.v1.yaml", crm_schemas()[source]),
            load_mapping(folder / "gam" / f"{entity}.v1.yaml", ad_server_schemas()[target]),
        )

    def through(self, native: dict[str, Any], answers: Answers) -> bytes:
        """One record all the way."""
        return orjson.dumps(self.writes.to_vendor(self.reads.to_canonical(native, "sfdc"), answers))


def line_way() -> Way:
    """An opportunity's line, to a line item."""
    return Way.of("line", "OpportunityLineItem", "LineItem")


def order_way() -> Way:
    """An opportunity, to an order."""
    return Way.of("order", "Opportunity", "Order")


def pages(url: str) -> Iterator[list[dict[str, Any]]]:
    """The records behind a URL, page by page, decoded as the connector decodes."""
    with requests.Session() as session:
        session.trust_env = False
        offset = 0
        while True:
            reply = session.get(url, params={"offset": offset, "limit": PAGE}, timeout=60)
            reply.raise_for_status()
            found = decoded(reply.content)["records"]
            yield found
            if len(found) < PAGE:
                return
            offset += len(found)


def main() -> int:
    """`python -m bench.hub_process URL`: everything behind the URL to standard output."""
    line, order = line_way(), order_way()
    calm_collector()  # as whoever opens the hub does
    out = sys.stdout.buffer
    for page in pages(sys.argv[1]):
        answers = Answers(EveryName(), facet="1")
        for record in page:
            children = record.pop("OpportunityLineItems", None)
            if children is None:
                out.write(line.through(record, answers) + b"\n")
                continue
            out.write(order.through(record, answers) + b"\n")
            for child in children["records"]:
                out.write(line.through(child, answers) + b"\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

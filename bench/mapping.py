"""Mapping: vendor bytes → canonical (fully validated) → vendor bytes, against orjson's decode + encode alone."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import orjson

from bench.answers import Answers, EveryName
from bench.result import Measurement, interleaved, measured
from cli.demo.crm_seed import line_item, opportunity_names
from cli.demo.generated_book import generated_book
from cli.demo.order_book import OrderBook, parse_order_book, read_order_book
from connectors.gam.records import record_schemas as gam_schemas
from connectors.salesforce.schemas import record_schemas as salesforce_schemas
from mappings.compiler import load_mapping
from mappings.mapping import Mapping
from oms_schema.problems import Problems

LIMIT = 0.12
PAGE = 200
"""Records in one page of bytes; a page is decoded at once, its records are mapped one by one and dropped."""
_METHOD = (
    "An order book as Salesforce REST pages of 200 (opportunities and opportunity products, every mapped field named). "
    "a: exact-decimal decode (msgspec), Salesforce mapping in with full pydantic validation, Ad Manager mapping out with every "
    "look-up answered from memory, orjson encode, one record at a time;"
)
_FILES = Path(__file__).resolve().parents[1] / "mappings"
_DATA = Path(os.environ.get("ORDERHUB_DATA", "../shared/data")) / "snap-political-ads" / "ads.csv"


@dataclass(frozen=True, slots=True)
class Way:
    """One record type of the CRM, its way in and its way out, and its pages as the CRM would answer them."""

    reads: Mapping
    writes: Mapping
    pages: Sequence[bytes]
    records: int


def _mapping(connector: str, entity: str, record: str) -> Mapping:
    schemas = salesforce_schemas() if connector == "salesforce" else gam_schemas()
    return load_mapping(_FILES / connector / f"{entity}.v1.yaml", schemas[record])


def _book(orders: int) -> OrderBook:
    """The real order book where it lies beside the repository, else a generated one of the same shape."""
    if _DATA.exists():
        return read_order_book(_DATA).first(orders)
    return parse_order_book(generated_book(orders), source="generated")


def _id(prefix: str, number: int) -> str:
    return f"{prefix}Ws{number:010d}IAK"


def _answered(mapping: Mapping, given: dict[str, Any], number: int) -> dict[str, Any]:
    """A record as REST answers it: attributes, every field that was asked for, null where there is nothing."""
    url = f"/services/data/v68.0/sobjects/{mapping.record}/{given['Id']}"
    row: dict[str, Any] = {"attributes": {"type": mapping.record, "url": url}}
    row |= dict.fromkeys(mapping.native_fields)
    row |= {k: v for k, v in given.items() if k in mapping.native_fields}
    row["SystemModstamp"] = f"2020-09-{number % 28 + 1:02d}T15:00:00.000+0000"
    return row


def _opportunities(book: OrderBook, mapping: Mapping) -> Iterator[dict[str, Any]]:
    names = opportunity_names(book.orders)
    accounts = {name: _id("001", n) for n, name in enumerate(book.account_names)}
    for number, order in enumerate(book.orders):
        given = {
            "Id": _id("006", number),
            "Name": names[order.key],
            "IsClosed": True,
            "IsWon": True,
            "StageName": "Closed Won",
            "CurrencyIsoCode": order.key.currency,
            "AccountId": accounts.get(order.key.advertiser, "001x"),
            "Agency__c": accounts.get(order.key.agency),
        }
        yield _answered(mapping, given, number)


def _items(book: OrderBook, mapping: Mapping) -> Iterator[dict[str, Any]]:
    names = opportunity_names(book.orders)
    number = 0
    for at, order in enumerate(book.orders):
        for line in order.lines:
            number += 1
            given = line_item(line, _id("006", at), "")
            given |= {
                "Id": _id("00k", number),
                "Name": f"{names[order.key]} Ad line, CPM",
                "CurrencyIsoCode": order.key.currency,
                "Product2Id": _id("01t", 1),
                "TotalPrice": given["UnitPrice"],
            }
            yield _answered(mapping, given, number)


def _pages(rows: Iterator[dict[str, Any]], reads: Mapping) -> tuple[list[bytes], int]:
    """Pages of the records that the bad-input rules accept: a refused record is no mapped record."""
    kept: list[bytes] = []
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    for row in rows:
        data = orjson.dumps(row, default=lambda d: orjson.Fragment(str(d)))
        try:
            reads.to_canonical(decode(data), "sfdc")
        except Problems:
            continue
        kept.append(data)
    return [b"[" + b",".join(kept[n : n + PAGE]) + b"]" for n in range(0, len(kept), PAGE)], len(kept)


def _ways(orders: int) -> list[Way]:
    book = _book(orders)
    ways: list[Way] = []
    for entity, source, target, rows in (
        ("order", "Opportunity", "Order", _opportunities),
        ("line", "OpportunityLineItem", "LineItem", _items),
    ):
        reads, writes = _mapping("salesforce", entity, source), _mapping("gam", entity, target)
        pages, count = _pages(rows(book, reads), reads)
        ways.append(Way(reads, writes, pages, count))
    return ways


def _sample(way: Way, context: Answers, decode: Callable[[bytes], Any]) -> list[dict[str, Any]]:
    """At most 200 payloads from all over the book: few enough to stay in the processor's cache, as in the pipeline."""
    natives = [native for page in way.pages for native in decode(page)]
    step = max(1, len(natives) // PAGE)
    return [way.writes.to_vendor(way.reads.to_canonical(n, "sfdc"), context) for n in natives[::step]]


def run(rounds: int, full: bool) -> list[Measurement]:
    """Two ratios, orjson alone ÷ pipeline (1 would be as fast as orjson alone): against decode + encode of the records that
    come in, and against decode of what comes in + encode of what goes out, the bytes that the pipeline itself handles."""
    ways = _ways(1_000_000 if full else 100)
    context = Answers(EveryName())
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    outgoing = [_sample(way, context, decode) for way in ways]
    gc.collect()
    gc.freeze()  # what stands around for the measurement is not searched for garbage during it

    def pipeline() -> None:
        for way in ways:
            to_canonical, to_vendor, dumps = way.reads.to_canonical, way.writes.to_vendor, orjson.dumps
            for page in way.pages:
                for native in decode(page):
                    dumps(to_vendor(to_canonical(native, "sfdc"), context))

    def same_records() -> None:
        for way in ways:
            dumps = orjson.dumps
            for page in way.pages:
                for native in orjson.loads(page):
                    dumps(native)

    def both_ends() -> None:
        dumps = orjson.dumps
        for way, payloads in zip(ways, outgoing, strict=True):
            for page in way.pages:
                orjson.loads(page)
            for payload in islice(cycle(payloads), way.records):
                dumps(payload)

    records = sum(way.records for way in ways)
    figures = {
        "records": records,
        "bytes_in_per_record": round(sum(len(page) for way in ways for page in way.pages) / records),
        "bytes_out_per_record": round(
            sum(
                way.records * sum(len(orjson.dumps(p)) for p in payloads) / len(payloads)
                for way, payloads in zip(ways, outgoing, strict=True)
            )
            / records
        ),
        "book": "real" if _DATA.exists() else "generated",
    }
    measurements = []
    for name, alone, words in (
        ("mapping_against_orjson", same_records, "orjson decode and encode of the records that come in"),
        ("mapping_against_orjson_both_ends", both_ends, "orjson decode of what comes in and encode of what goes out"),
    ):
        pairs = interleaved(pipeline, alone, rounds)
        fastest = min(one for one, _ in pairs)
        measurements.append(
            measured(
                name,
                pairs,
                method=f"{_METHOD} b: {words}. One process, interleaved rounds, ratio = b / a.",
                limit=LIMIT,
                sense="at_least",
                ratio=lambda ours, orjson_alone: orjson_alone / ours,
                figures={**figures, "microseconds_per_record": round(fastest / records * 1e6, 1)},
            )
        )
    gc.unfreeze()
    return measurements

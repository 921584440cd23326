"""Mapping: vendor bytes → canonical (fully validated) → vendor bytes, against orjson's decode + encode alone."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from bench.answers import answers
from bench.crm_records import (
    LINES,
    ORDINARY,
    book_lines,
    book_orders,
    brief_opportunities,
    opportunities,
    ordinary,
)
from bench.hub_process import Way, line_way, order_way
from bench.result import Measurement, interleaved, measured
from cli.demo.generated_book import DEFAULT_ORDERS, generated_book
from cli.demo.order_book import OrderBook, parse_order_book, read_order_book
from connectors.salesforce.transport import decoded
from mappings.context import Names
from mappings.memory import calm_collector
from oms_schema.line import Line

Ids = Mapping[tuple[str, str], Mapping[str, str | None]]
"""Vendor ids by (table, scope) and name."""

LIMIT = 0.12
PAGE = 200
"""Records in one page of bytes of the book: a page is decoded at once, its records are mapped one by one and dropped."""
BATCH = 100
"""Records that share the answers of the ad server's look-ups: what the hub's push prepares at once."""
_DATA = Path(os.environ.get("ORDERHUB_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
_BOOK = _DATA / "snap-political-ads" / "ads.csv"
_METHOD = (
    "a: the Salesforce connector's own exact decode, Salesforce mapping in with full pydantic validation, Ad Manager mapping "
    "out with every reference and name answered from memory (contexts for 100 records at a time, as the hub's push makes "
    "them), orjson encode, one record at a time; each run begins with nothing kept of earlier ones."
)


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes as the CRM answers them, the same work with and without the mapping, and each record for the figures."""

    name: str
    words: str
    bodies: Sequence[bytes]
    records: Callable[[], Iterator[tuple[Way, dict[str, Any]]]]
    pipeline: Callable[[Ids], None]
    alone: Callable[[], None]
    """orjson's decode and encode of the same records."""


def book(full: bool) -> OrderBook:
    """The real order book where it lies under ORDERHUB_DATA, else a generated one of the same shape."""
    whole = read_order_book(_BOOK) if _BOOK.exists() else parse_order_book(generated_book(), source="generated")
    return whole if full else whole.first(DEFAULT_ORDERS)


def reference_records(source: OrderBook, order: Way, line: Way) -> Load:
    """One body for each opportunity with eight ordinary lines inside, as a nested query answers."""
    given = ordinary(source)
    count = sum(1 for _ in book_lines(given, line.reads)) // LINES
    bodies = [_bytes(row) for row in opportunities(given, order.reads, line.reads, count)]
    words = (
        f"One Opportunity with {LINES} lines inside a body, every mapped field named and null where there is nothing, as REST "
        f"answers; lines of an order book with at most {ORDINARY} characters of targeting."
    )
    return _nested("reference_records", words, bodies, order, line)


def brief_records(source: OrderBook, order: Way, line: Way) -> Load:
    """The same of a query for few fields, in the size of the study's record."""
    count = sum(1 for _ in book_lines(source, line.reads)) // LINES
    bodies = [_bytes(row) for row in brief_opportunities(source, order.reads, line.reads, count)]
    words = (
        f"One Opportunity with {LINES} lines inside a body, of each only flight, price, goal and country asked for; every line "
        "of an order book."
    )
    return _nested("brief_records", words, bodies, order, line)


def _nested(name: str, words: str, bodies: Sequence[bytes], order: Way, line: Way) -> Load:
    """Opportunities with their lines inside."""
    together = BATCH // (LINES + 1)

    def records() -> Iterator[tuple[Way, dict[str, Any]]]:
        for body in bodies:
            record = decoded(body)
            yield order, record
            yield from ((line, native) for native in record["OpportunityLineItems"]["records"])

    def pipeline(ids: Ids) -> None:
        decode, dumps = decoded, orjson.dumps
        order_in, order_out = order.reads.to_canonical, order.writes.to_vendor
        line_in, line_out = line.reads.to_canonical, line.writes.to_vendor
        for begin in range(0, len(bodies), together):
            context = answers(Names(ids))
            for body in bodies[begin : begin + together]:
                record = decode(body)
                dumps(order_out(order_in(record, "sfdc"), context))
                for native in record["OpportunityLineItems"]["records"]:
                    dumps(line_out(line_in(native, "sfdc"), context))

    def alone() -> None:
        loads, dumps = orjson.loads, orjson.dumps
        for body in bodies:
            dumps(loads(body))

    return Load(name, words, bodies, records, pipeline, alone)


def book_records(source: OrderBook, order: Way, line: Way) -> Load:
    """The whole book as pages of one record type, lines with thousands of postal codes included."""
    pages = [
        (way, page)
        for way, rows in ((order, book_orders(source, order.reads)), (line, book_lines(source, line.reads)))
        for page in _pages([_bytes(row) for row in rows])
    ]

    def records() -> Iterator[tuple[Way, dict[str, Any]]]:
        return ((way, native) for way, page in pages for native in decoded(page))

    def pipeline(ids: Ids) -> None:
        decode, dumps = decoded, orjson.dumps
        for way, page in pages:
            to_canonical, to_vendor = way.reads.to_canonical, way.writes.to_vendor
            natives = decode(page)
            for begin in range(0, len(natives), BATCH):
                context = answers(Names(ids))
                for native in natives[begin : begin + BATCH]:
                    dumps(to_vendor(to_canonical(native, "sfdc"), context))

    def alone() -> None:
        loads, dumps = orjson.loads, orjson.dumps
        for _, page in pages:
            for native in loads(page):
                dumps(native)

    words = (
        f"A whole order book as pages of {PAGE} opportunities or opportunity products, the longest targetings included."
    )
    return Load("order_book", words, [page for _, page in pages], records, pipeline, alone)


def _bytes(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, default=lambda number: orjson.Fragment(str(number)))


def _pages(rows: Sequence[bytes]) -> list[bytes]:
    return [b"[" + b",".join(rows[n : n + PAGE]) + b"]" for n in range(0, len(rows), PAGE)]


def _names(load: Load) -> Ids:
    """Every name that the records ask for with an id, as the hub's store holds them after a first push."""
    ids: dict[tuple[str, str], dict[str, str | None]] = {}
    for number, (way, native) in enumerate(load.records()):
        for at, wanted in enumerate(sorted(way.writes.lookups(way.reads.to_canonical(native, "sfdc")))):
            ids.setdefault((wanted.table, wanted.scope), {}).setdefault(wanted.name, f"{number + 1}{at:06d}")
    return ids


def _figures(load: Load, ids: Ids) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Sizes, how alike the lines are (the mapping profits from lines of equal targeting), and a sample of payloads from all
    over the load: few enough to stay in the processor's cache, as in the pipeline."""
    out, targetings, sample = [], [], []
    context = answers(Names(ids))
    for way, native in load.records():
        entity = way.reads.to_canonical(native, "sfdc")
        payload = way.writes.to_vendor(entity, context)
        out.append(len(orjson.dumps(payload)))
        sample.append(payload)
        if isinstance(entity, Line):
            targetings.append(entity.targeting)
    figures = {
        "book": "real" if _BOOK.exists() else "generated",
        "bodies": len(load.bodies),
        "records": len(out),
        "bytes_in_per_body": round(sum(map(len, load.bodies)) / len(load.bodies)),
        "bytes_out_per_body": round(sum(out) / len(load.bodies)),
        "lines": len(targetings),
        "different_targetings": len(set(targetings)),
        "targeting_values_per_line": round(sum(each.count() for each in targetings) / len(targetings), 1),
    }
    return figures, sample[:: max(1, len(sample) // PAGE)]


def _measure(load: Load, ways: Sequence[Way], rounds: int) -> Iterator[Measurement]:
    """Two ratios, orjson alone ÷ pipeline (1 would be as fast as orjson alone): against decode + encode of the records that
    come in, which is the limit's, and against decode of what comes in + encode of what goes out."""
    ids = _names(load)
    figures, sample = _figures(load, ids)

    def pipeline() -> None:
        for way in ways:
            way.reads.forget()
        load.pipeline(ids)

    def both_ends() -> None:
        for body in load.bodies:
            orjson.loads(body)
        for payload in islice(cycle(sample), figures["records"]):
            orjson.dumps(payload)

    gc.collect()
    before = gc.get_threshold()
    calm_collector()  # as whoever opens the hub does
    for suffix, alone, words, limit in (
        ("", load.alone, "orjson decode and encode of the records that come in", LIMIT),
        ("_both_ends", both_ends, "orjson decode of what comes in and encode of what goes out", None),
    ):
        pairs = interleaved(pipeline, alone, rounds, time.process_time)
        fastest = min(one for one, _ in pairs)
        yield measured(
            f"mapping_{load.name}{suffix}",
            pairs,
            method=f"{load.words} {_METHOD} b: {words}. One process, its processor time, interleaved rounds, ratio = b / a.",
            limit=limit,
            sense="at_least",
            ratio=lambda ours, orjson_alone: orjson_alone / ours,
            figures={**figures, "microseconds_per_record": round(fastest / figures["records"] * 1e6, 1)},
        )
    gc.set_threshold(*before)
    gc.unfreeze()


def run(rounds: int, full: bool) -> list[Measurement]:
    """Deals with their lines in two sizes, and a whole order book."""
    source, order, line = book(full), order_way(), line_way()
    loads = (
        brief_records(source, order, line),
        reference_records(source, order, line),
        book_records(source, order, line),
    )
    return [measurement for load in loads for measurement in _measure(load, (order, line), rounds)]

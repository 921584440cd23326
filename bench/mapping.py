"""Mapping: vendor bytes → canonical (fully validated) → vendor bytes, against orjson's decode + encode alone."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import orjson

from bench.answers import Answers
from bench.crm_records import LINES, book_lines, book_orders, opportunities
from bench.hub_process import Way, line_way, order_way
from bench.result import Measurement, interleaved, measured
from cli.demo.generated_book import DEFAULT_ORDERS, generated_book
from cli.demo.order_book import OrderBook, parse_order_book, read_order_book
from mappings.context import Lookup, Names
from oms_schema.targeting import Targeting

LIMIT = 0.12
PAGE = 200
"""Records in one page of bytes of the book: a page is decoded at once, its records are mapped one by one and dropped."""
BATCH = 100
"""Records that share the answers of the ad server's look-ups: what the hub's push prepares at once."""
ORDINARY = 400
"""Characters of targeting that an ordinary line has at most; the book's median has 35, its longest line 24,035."""
_DATA = Path(os.environ.get("ORDERHUB_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
_BOOK = _DATA / "snap-political-ads" / "ads.csv"
_METHOD = (
    "a: exact-decimal decode (msgspec), Salesforce mapping in with full pydantic validation, Ad Manager mapping out with every "
    "reference and name answered from memory (contexts for 100 records at a time, as the hub's push makes them), orjson "
    "encode, one record at a time; each run begins with nothing kept of earlier ones."
)

Decode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes as the CRM answers them, and where in a decoded body the records lie: (way, records) in the order of the work."""

    name: str
    words: str
    bodies: Sequence[bytes]
    inside: Callable[[Any], Iterator[tuple[Way, Sequence[dict[str, Any]]]]]
    ways: Sequence[Way]
    bodies_for_names: int
    """How many bodies are prepared with the same answers."""


def book(full: bool) -> OrderBook:
    """The real order book where it lies under ORDERHUB_DATA, else a generated one of the same shape."""
    whole = read_order_book(_BOOK) if _BOOK.exists() else parse_order_book(generated_book(), source="generated")
    return whole if full else whole.first(DEFAULT_ORDERS)


def reference_records(source: OrderBook, order: Way, line: Way) -> Load:
    """One body for each opportunity with eight ordinary lines inside, as a nested query answers: the shape of the study's
    record."""
    ordinary = _ordinary(source)
    count = sum(len(each.lines) for each in ordinary.orders) // LINES
    bodies = [_bytes(row) for row in opportunities(ordinary, order.reads, line.reads, count)]

    def inside(body: Any) -> Iterator[tuple[Way, Sequence[dict[str, Any]]]]:
        yield order, (body,)
        yield line, body["OpportunityLineItems"]["records"]

    words = (
        f"One Opportunity with {LINES} lines inside a body, every mapped field named and null where there is nothing, as REST "
        f"answers; lines of an order book with at most {ORDINARY} characters of targeting."
    )
    return Load("reference_records", words, bodies, inside, (order, line), max(1, BATCH // (LINES + 1)))


def book_records(source: OrderBook, order: Way, line: Way) -> Load:
    """The whole book as pages of one record type, lines with thousands of postal codes included."""
    orders = _pages([_bytes(row) for row in book_orders(source, order.reads)])
    lines = _pages([_bytes(row) for row in book_lines(source, line.reads)])

    def inside(body: Any) -> Iterator[tuple[Way, Sequence[dict[str, Any]]]]:
        way = order if "IsWon" in body[0] else line
        yield way, body[:BATCH]
        yield way, body[BATCH:]

    words = f"A whole order book as pages of {PAGE} opportunities or opportunity products, the longest targetings included."
    return Load("order_book", words, [*orders, *lines], inside, (order, line), 1)


def _ordinary(source: OrderBook) -> OrderBook:
    orders = [
        replace(order, lines=tuple(line for line in order.lines if sum(map(len, line.targeting.values())) <= ORDINARY))
        for order in source.orders
    ]
    return replace(source, orders=tuple(order for order in orders if order.lines))


def _bytes(row: dict[str, Any]) -> bytes:
    return orjson.dumps(row, default=lambda number: orjson.Fragment(str(number)))


def _pages(rows: Sequence[bytes]) -> list[bytes]:
    return [b"[" + b",".join(rows[n : n + PAGE]) + b"]" for n in range(0, len(rows), PAGE)]


def _all_names(load: Load, decode: Decode) -> dict[tuple[str, str], dict[str, str | None]]:
    """Every name that the records ask for with an id, as the hub's store holds them after a first push."""
    wanted: dict[Lookup, None] = {}
    for body in load.bodies:
        for way, natives in load.inside(decode(body)):
            for native in natives:
                wanted.update(dict.fromkeys(sorted(way.writes.lookups(way.reads.to_canonical(native, "sfdc")))))
    ids: dict[tuple[str, str], dict[str, str | None]] = {}
    for number, one in enumerate(wanted, 1_000_000):
        ids.setdefault((one.table, one.scope), {})[one.name] = str(number)
    return ids


def _shared(load: Load, decode: Decode) -> dict[str, Any]:
    """How alike the lines are: the mapping profits from lines of equal targeting, so the figure belongs beside the ratio."""
    targetings: list[Targeting] = [
        entity.targeting
        for body in load.bodies
        for way, natives in load.inside(decode(body))
        if way is load.ways[-1]
        for entity in (way.reads.to_canonical(native, "sfdc") for native in natives)
    ]
    return {
        "lines": len(targetings),
        "different_targetings": len(set(targetings)),
        "targeting_values_per_line": round(sum(each.count() for each in targetings) / len(targetings), 1),
    }


def _measure(load: Load, rounds: int) -> Iterator[Measurement]:
    """Two ratios, orjson alone ÷ pipeline (1 would be as fast as orjson alone): against decode + encode of the records that
    come in, which is the limit's, and against decode of what comes in + encode of what goes out."""
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    ids = _all_names(load, decode)
    figures = {"book": "real" if _BOOK.exists() else "generated", **_shared(load, decode)}

    def payloads(bodies: Sequence[bytes]) -> Iterator[bytes]:
        dumps, inside, share = orjson.dumps, load.inside, load.bodies_for_names
        for number, body in enumerate(bodies):
            if number % share == 0:
                names = Names(ids)
            for way, natives in inside(decode(body)):
                to_canonical, to_vendor = way.reads.to_canonical, way.writes.to_vendor
                if share == 1:
                    names = Names(ids)
                context = Answers(names)
                for native in natives:
                    yield dumps(to_vendor(to_canonical(native, "sfdc"), context))

    def pipeline() -> None:
        for way in load.ways:
            way.reads.forget()
        for _ in payloads(load.bodies):
            pass

    def same_records() -> None:
        dumps, inside = orjson.dumps, load.inside
        for body in load.bodies:
            for _, natives in inside(orjson.loads(body)):
                for native in natives:
                    dumps(native)

    step = max(1, len(load.bodies) // 40)
    sample = [orjson.loads(payload) for payload in payloads(load.bodies[::step])]
    records = sum(1 for _ in payloads(load.bodies))

    def both_ends() -> None:
        dumps = orjson.dumps
        for body in load.bodies:
            orjson.loads(body)
        for payload in islice(cycle(sample), records):
            dumps(payload)

    gc.collect()
    gc.freeze()  # what stands around for the measurement is not searched for garbage during it
    figures |= {
        "bodies": len(load.bodies),
        "records": records,
        "bytes_in_per_body": round(sum(map(len, load.bodies)) / len(load.bodies)),
        "bytes_out_per_body": round(sum(map(len, payloads(load.bodies))) / len(load.bodies)),
    }
    for suffix, alone, words, limit in (
        ("", same_records, "orjson decode and encode of the records that come in", LIMIT),
        ("_both_ends", both_ends, "orjson decode of what comes in and encode of what goes out", None),
    ):
        pairs = interleaved(pipeline, alone, rounds)
        fastest = min(one for one, _ in pairs)
        yield measured(
            f"mapping_{load.name}{suffix}",
            pairs,
            method=f"{load.words} {_METHOD} b: {words}. One process, interleaved rounds, ratio = b / a.",
            limit=limit,
            sense="at_least",
            ratio=lambda ours, orjson_alone: orjson_alone / ours,
            figures={**figures, "microseconds_per_body": round(fastest / len(load.bodies) * 1e6, 1)},
        )
    gc.unfreeze()


def run(rounds: int, full: bool) -> list[Measurement]:
    """The study's shape of record, and a whole order book."""
    source, order, line = book(full), order_way(), line_way()
    loads = (reference_records(source, order, line), book_records(source, order, line))
    return [measurement for load in loads for measurement in _measure(load, rounds)]

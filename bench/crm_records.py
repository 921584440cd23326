"""An order book as a CRM's REST answers: lines as the hub's connector reads them, and opportunities with eight lines inside.

The book is the real one where it lies under ORDERHUB_DATA, else the generated one of the same shape. Rows that the demo's
loader refuses, and lines that the bad-input rules refuse, are left out: they are no mapped records. When a book has
fewer lines than wanted, it begins again under new ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

from cli.demo.crm_seed import line_item, opportunity_names
from cli.demo.order_book import BookOrder, OrderBook, OrderKey
from mappings.mapping import Mapping
from oms_schema.problems import Problems

ORDINARY = 400
"""Characters of targeting that an ordinary line has at most; the book's median has 35, its longest line 24,035."""
LINES = 8
"""Lines inside one opportunity record, as in the method of the published figures."""
BRIEF_ORDER = (
    "Id",
    "Name",
    "IsClosed",
    "IsWon",
    "StageName",
    "CurrencyIsoCode",
    "AccountId",
    "Agency__c",
    "PO_Number__c",
)
BRIEF_LINE = (
    "Id",
    "OpportunityId",
    "Name",
    "Flight_Start__c",
    "Flight_End__c",
    "CPM__c",
    "CurrencyIsoCode",
    "Goal_Impressions__c",
    "Geo_Countries__c",
)
"""What about four KB of an opportunity with eight lines have room for: flight, price, goal and one country."""
API = "/services/data/v68.0"


def record_id(prefix: str, number: int) -> str:
    """An id of 18 characters as Salesforce writes them."""
    return f"{prefix}Ws{number:010d}IAK"


def lines(book: OrderBook, order: Mapping, line: Mapping, count: int) -> Iterator[dict[str, Any]]:
    """So many `OpportunityLineItem` records, one after the other."""
    del order
    return (item for _, item in islice(_items(book, line), count))


def opportunities(book: OrderBook, order: Mapping, line: Mapping, count: int) -> Iterator[dict[str, Any]]:
    """So many `Opportunity` records, each with eight lines in `OpportunityLineItems.records`, as a nested query answers."""
    givens = dict(_given_orders(book, order))
    items = ((givens[of.key], item) for of, item in _items(book, line) if of.key in givens)
    for number in range(count):
        inside = list(islice(items, LINES))
        own = record_id("006", number)
        for _, item in inside:
            item["OpportunityId"] = own
        row = _answered(order, "Opportunity", own, inside[0][0], number)
        children = {"totalSize": LINES, "done": True, "records": [item for _, item in inside]}
        yield {**row, "OpportunityLineItems": children}


def ordinary(book: OrderBook) -> OrderBook:
    """The book without the lines whose targeting is longer than `ORDINARY`."""
    orders = [
        replace(order, lines=tuple(line for line in order.lines if sum(map(len, line.targeting.values())) <= ORDINARY))
        for order in book.orders
    ]
    return replace(book, orders=tuple(order for order in orders if order.lines))


def ordinary_opportunities(book: OrderBook, order: Mapping, line: Mapping, count: int) -> Iterator[dict[str, Any]]:
    """As `opportunities`, of ordinary lines alone."""
    return opportunities(ordinary(book), order, line, count)


def brief_opportunities(book: OrderBook, order: Mapping, line: Mapping, count: int) -> Iterator[dict[str, Any]]:
    """As `opportunities`, in about the size of the study's record (4.0 KB, it had 3.7): only the fields of `BRIEF_ORDER` and
    `BRIEF_LINE` are asked for, and null where there is nothing. All other targeting, and what else a line can hold, is
    not in the answer."""
    for row in opportunities(book, order, line, count):
        children = row["OpportunityLineItems"]
        children["records"] = [_asked(item, BRIEF_LINE) for item in children["records"]]
        yield {**_asked(row, BRIEF_ORDER), "OpportunityLineItems": children}


def _asked(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in ("attributes", *names)}


def book_orders(book: OrderBook, mapping: Mapping) -> Iterator[dict[str, Any]]:
    """Each of the book's orders once, as an `Opportunity` record."""
    for number, (_, given) in enumerate(_given_orders(book, mapping)):
        yield _answered(mapping, "Opportunity", record_id("006", number), given, number)


def _given_orders(book: OrderBook, mapping: Mapping) -> Iterator[tuple[OrderKey, dict[str, Any]]]:
    names = opportunity_names(book.orders)
    accounts = {name: record_id("001", at) for at, name in enumerate(book.account_names)}
    for order in book.orders:
        given = {
            "Name": names[order.key],
            "IsClosed": True,
            "IsWon": True,
            "StageName": "Closed Won",
            "CurrencyIsoCode": order.key.currency,
            "AccountId": accounts.get(order.key.advertiser),
            "Agency__c": accounts.get(order.key.agency),
        }
        if _maps(mapping, given):
            yield order.key, given


def book_lines(book: OrderBook, mapping: Mapping) -> Iterator[dict[str, Any]]:
    """Each of the book's lines once, as an `OpportunityLineItem` record."""
    for number, (_, given) in enumerate(_given(book)):
        if _maps(mapping, given):
            yield _answered(mapping, "OpportunityLineItem", record_id("00k", number), given, number)


def _items(book: OrderBook, mapping: Mapping) -> Iterator[tuple[BookOrder, dict[str, Any]]]:
    """The book's lines for ever, each with its order; fresh records each time."""
    usable = [(order, given) for order, given in _given(book) if _maps(mapping, given)]
    for number, (order, given) in enumerate(cycle(usable)):
        yield order, _answered(mapping, "OpportunityLineItem", record_id("00k", number), given, number)


def _given(book: OrderBook) -> Iterator[tuple[BookOrder, dict[str, Any]]]:
    names = opportunity_names(book.orders)
    for at, order in enumerate(book.orders):
        for line in order.lines:
            given = line_item(line, record_id("006", at), "")
            given["Name"] = f"{names[order.key]} Ad line, CPM"
            given["CurrencyIsoCode"] = order.key.currency
            given["Product2Id"] = record_id("01t", 1)
            given["TotalPrice"] = given["UnitPrice"]
            for name in ("Flight_Start__c", "Flight_End__c"):
                if name in given:
                    given[name] = given[name].replace(".000Z", ".000+0000")  # Salesforce takes both and answers so
            yield order, given


def _maps(mapping: Mapping, given: dict[str, Any]) -> bool:
    every = dict.fromkeys(mapping.native_fields)  # as the records themselves: other layouts would be the bench's alone
    try:
        mapping.to_canonical({**every, **given, "Id": record_id("00k", 0)}, "sfdc")
    except Problems:
        return False
    return True


def _answered(mapping: Mapping, record: str, own: str, given: dict[str, Any], number: int) -> dict[str, Any]:
    """A record as REST answers it: attributes, every field that was asked for, null where there is nothing."""
    row: dict[str, Any] = {"attributes": {"type": record, "url": f"{API}/sobjects/{record}/{own}"}}
    row |= dict.fromkeys(mapping.native_fields)
    row |= {name: value for name, value in given.items() if name in row}
    row["Id"] = own
    row["SystemModstamp"] = f"2020-09-{number % 28 + 1:02d}T15:00:00.000+0000"
    return row

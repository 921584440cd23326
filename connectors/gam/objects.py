"""Reads companies, orders, line items and creative associations by statement, in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import Misconfigured, RetryLater
from connectors.gam.settings import GamSettings
from connectors.gam.soap import Soap
from connectors.gam.statement import Where, chunks


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record type lives: its service and the operations for it."""

    service: str
    query: str
    create: str = ""
    update: str = ""
    act: str = ""


PLACES: Mapping[str, Place] = {
    "Company": Place("CompanyService", "getCompaniesByStatement", "createCompanies", "updateCompanies"),
    "Order": Place("OrderService", "getOrdersByStatement", "createOrders", "updateOrders", "performOrderAction"),
    "LineItem": Place(
        "LineItemService", "getLineItemsByStatement", "createLineItems", "updateLineItems", "performLineItemAction"
    ),
    "LineItemCreativeAssociation": Place(
        "LineItemCreativeAssociationService", "getLineItemCreativeAssociationsByStatement"
    ),
    "CustomTargetingKey": Place("CustomTargetingService", "getCustomTargetingKeysByStatement"),
    "CustomTargetingValue": Place("CustomTargetingService", "getCustomTargetingValuesByStatement"),
    "User": Place("UserService", "getUsersByStatement"),
}


class Objects:
    """The vendor's objects as plain dictionaries."""

    def __init__(self, soap: Soap, settings: GamSettings) -> None:
        self._soap = soap
        self._settings = settings

    def page(self, record: str, statement: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """A first page (offset 0): its objects and how many there are altogether.

        Raises like a read, and RetryLater for an answer that does not say how many there are, or says some and shows none:
        whoever took that for "there are none" would write a line again. The vendor's own examples (googleads-python-lib,
        v202502) read the total of the answer without results that ends their paging.
        """
        place = place_of(record)
        answer = self._soap.read(place.service, place.query, statement)
        page = answer if isinstance(answer, Mapping) else {}
        total, results = page.get("totalResultSetSize"), page.get("results", [])
        if total is None:
            raise RetryLater("PAGE-UNREADABLE", f"{place.query} answered a page without its total.")
        if None in results:
            raise RetryLater("PAGE-UNREADABLE", f"{place.query} answered a page with an object that says nothing.")
        if int(total) > 0 and not results:
            raise RetryLater("PAGE-UNREADABLE", f"{place.query} counts {total} objects and shows none of them.")
        return results, int(total)

    def every(self, record: str, where: Where, key: str = "id") -> Iterator[dict[str, Any]]:
        """All objects of a condition that a caller knows to be small; `key` is a number that each has for itself.

        Pages begin behind the last key: an object deleted meanwhile would move the others up over an offset, and one of them
        would be missed.
        """
        size, rest = self._settings.page_size, where
        while True:
            objects, total = self.page(record, rest.statement(order=key, limit=size, offset=0))
            yield from objects
            if len(objects) >= total:
                return
            rest = where.and_above(key, max(int(native[key]) for native in objects))

    def by_id(self, record: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The present objects by id; ids that the vendor does not know, or that are no numbers, are absent."""
        numbers = sorted({int(i) for i in ids if i.isascii() and i.isdigit()})
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(numbers, min(self._settings.names_per_query, self._settings.page_size)):
            for native in self.every(record, Where().among("id", some)):
                found[str(native["id"])] = native
        return found

    def lines_of(self, order_ids: Sequence[str], statuses: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
        """The line items of each order that are not archived, only those in `statuses` when any are named."""
        lines: dict[str, list[dict[str, Any]]] = {order_id: [] for order_id in order_ids}
        for some in chunks([int(i) for i in order_ids], self._settings.names_per_query):
            where = Where().among("orderId", some)
            if statuses:
                where.among("status", statuses)
            for native in self.every("LineItem", where):
                if not native.get("isArchived"):
                    lines[str(native["orderId"])].append(native)
        return lines

    def associations_of(self, line_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The creative associations of each line that has any: `{"lineItemId": ..., "associations": [...]}`."""
        found: dict[str, dict[str, Any]] = {}
        numbers = sorted({int(i) for i in line_ids if i.isascii() and i.isdigit()})
        for some in chunks(numbers, self._settings.names_per_query):
            for native in self._associations(some):
                key = str(native["lineItemId"])
                entry = found.setdefault(key, {"lineItemId": native["lineItemId"], "associations": []})
                entry["associations"].append(native)
        return found

    def _associations(self, lines: Sequence[int]) -> Iterator[dict[str, Any]]:
        """The associations of lines, line by line.

        An association has no id, and nobody promises in which order those of one line come: a line that the end of a page
        cuts is asked for by itself, in the order of its creatives.
        """
        record = "LineItemCreativeAssociation"
        while lines:
            condition = Where().among("lineItemId", lines)
            natives, total = self.page(
                record, condition.statement(order="lineItemId", limit=self._settings.page_size, offset=0)
            )
            if len(natives) >= total:
                yield from natives
                return
            cut = max((int(native["lineItemId"]) for native in natives), default=None)
            if cut is None or cut not in lines:
                raise RetryLater("PAGE-UNREADABLE", f"A page of {record} shows none of the lines asked for.")
            yield from (native for native in natives if int(native["lineItemId"]) < cut)
            yield from self.every(record, Where().equals("lineItemId", cut), key="creativeId")
            lines = [line for line in lines if line > cut]


def place_of(record: str) -> Place:
    """Where a record type lives; raises Misconfigured for one this connector does not know."""
    place = PLACES.get(record)
    if place is None:
        raise Misconfigured(
            "RECORD-UNKNOWN", f"Ad Manager has no record type {record!r} here. Choose {', '.join(PLACES)}."
        )
    return place

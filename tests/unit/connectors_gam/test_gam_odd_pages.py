"""A page that cannot be the answer is read again: nothing is taken for absent, deleted or read to its end because of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.base import PushItem
from connectors.errors import ConnectorError, RetryLater
from connectors.gam import GamConnector, GamSettings
from connectors.gam.statement import Where, date_time

AT = date_time(datetime(2020, 1, 1, 12, tzinfo=UTC))
EMPTY = {"totalResultSetSize": 1, "startIndex": 0, "results": []}
NO_TOTAL = {"startIndex": 0, "results": []}
MARKED = [PushItem("a", {"orderId": 7, "externalId": "line-a"})]
odd = pytest.mark.parametrize("page", [EMPTY, NO_TOTAL, None], ids=["empty", "no-total", "no-page"])


@odd
def test_a_line_is_not_taken_for_missing(vendor: Any, gam: GamConnector, page: Any) -> None:
    vendor.answer = lambda *_: page
    with pytest.raises(RetryLater, match="getLineItemsByStatement"):
        gam.find("LineItem", MARKED)


@odd
def test_a_record_is_not_taken_for_deleted(vendor: Any, gam: GamConnector, page: Any) -> None:
    vendor.answer = lambda *_: page
    with pytest.raises(RetryLater, match="getOrdersByStatement"):
        gam.observe("Order", ["7"])


@odd
def test_a_change_stream_is_not_taken_for_read(vendor: Any, gam: GamConnector, page: Any) -> None:
    vendor.answer = lambda *_: page
    with pytest.raises(RetryLater):
        list(gam.read("Order", [], None))


@odd
def test_a_census_is_not_taken_for_complete(vendor: Any, gam: GamConnector, page: Any) -> None:
    vendor.answer = lambda *_: page
    with pytest.raises(RetryLater):
        list(gam.census("Order"))


def test_a_second_of_many_changes_is_not_asked_for_without_end(vendor: Any, gam: GamConnector) -> None:
    native = {"id": 7, "name": "n", "lastModifiedDateTime": AT}

    def answer(_: str, arguments: list[Any]) -> Any:
        if len(vendor.calls) > 20:
            return vendor.raw(401)  # ends a loop that would not end by itself
        if "id > " in arguments[0]["query"]:
            return EMPTY
        return {"totalResultSetSize": 2, "startIndex": 0, "results": [native]}

    vendor.answer = answer
    with pytest.raises(ConnectorError):
        list(gam.read("Order", [], None))
    assert len(vendor.calls) == 2


def test_pages_of_a_second_that_do_not_advance_are_not_asked_for_without_end(vendor: Any, gam: GamConnector) -> None:
    native = {"id": 7, "name": "n", "lastModifiedDateTime": AT}

    def answer(*_: Any) -> Any:
        if len(vendor.calls) > 20:
            return vendor.raw(401)  # ends a loop that would not end by itself
        return {"totalResultSetSize": 2, "startIndex": 0, "results": [native]}

    vendor.answer = answer
    with pytest.raises(ConnectorError):
        list(gam.read("Order", [], None))
    assert len(vendor.calls) == 3


def test_a_look_up_table_answered_with_nothing_is_read_again(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: None
    with pytest.raises(RetryLater):
        gam.resolve("Geo_Target:COUNTRY", ["France"])


def test_an_order_deleted_between_two_pages_hides_no_other(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    alive = [1, 2, 3, 4]

    def answer(_: str, arguments: list[Any]) -> Any:
        query, values = arguments[0]["query"], [int(value["value"]["value"]) for value in arguments[0]["values"]]
        after = values[-1] if "id > " in query else 0
        limit, offset = (int(number) for number in re.findall(r"LIMIT (\d+) OFFSET (\d+)", query)[0])
        found = [number for number in alive if number > after]
        alive[:] = [number for number in alive if number != 1]
        natives = [{"id": number, "name": f"n{number}"} for number in found[offset : offset + limit]]
        return {"totalResultSetSize": len(found), "startIndex": offset, "results": natives}

    vendor.answer = answer
    connector = GamConnector(settings(page_size=2))
    found = connector._objects.every("Order", Where().among("id", [1, 2, 3, 4]))
    assert [native["id"] for native in found] == [1, 2, 3, 4]
    connector.close()

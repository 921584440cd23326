"""Change streams: keyset pages lose nothing and repeat only what the overlap asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors.base import Page
from connectors.errors import Misconfigured, SchemaDrift
from connectors.gam import GamSettings, changes
from connectors.gam.statement import date_time, moment_of

START = datetime(2020, 1, 1, 12, 0, 0, tzinfo=UTC)


class Table:
    """Objects behind the statements that `changes` writes; time in whole seconds, as the vendor's."""

    def __init__(self, seconds: list[int]) -> None:
        self.rows = [{"id": at + 1, "name": f"n{at}", "at": second} for at, second in enumerate(seconds)]
        self.queries = 0

    def page(self, record: str, statement: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        self.queries += 1
        query, values = statement["query"], [v["value"] for v in statement["values"]]
        bound = [
            int((moment_of(v["value"]) - START).total_seconds())
            if v["xsi_type"] == "DateTimeValue"
            else int(v["value"])
            for v in values
        ]
        rows = self.rows
        for (column, operator), value in zip(re.findall(r"(\w+) (>=|>|<) :", query), bound, strict=True):
            key = "at" if column == "lastModifiedDateTime" else column
            rows = [
                row
                for row in rows
                if {">=": row[key] >= value, ">": row[key] > value, "<": row[key] < value}[operator]  # type: ignore[operator]
            ]
        order = re.search(r"ORDER BY (\w+) ASC LIMIT (\d+) OFFSET 0", query)
        assert order is not None
        key = "at" if order[1] == "lastModifiedDateTime" else "id"
        # within one second the vendor's order is its own
        ordered = sorted(rows, key=lambda row: (row[key], -row["id"] if key == "at" else 0))
        chosen = ordered[: int(order[2])]
        return [self._native(row) for row in chosen], len(rows)

    def _native(self, row: dict[str, Any]) -> dict[str, Any]:
        at = date_time(START + timedelta(seconds=row["at"]))
        return {"id": row["id"], "name": row["name"], "notes": "x", "lastModifiedDateTime": at}


class FinerTime(Table):
    """The same, but the vendor keeps tenths of a second that it does not show."""

    def __init__(self, seconds: list[int]) -> None:
        super().__init__(seconds)
        for place, row in enumerate(self.rows):
            row["at"] = int(str(row["at"])) + (place % 10) / 10

    def _native(self, row: dict[str, Any]) -> dict[str, Any]:
        assert self.queries < 1_000, "it reads the same second over and over"
        return super()._native(row)


class NetworkTime(Table):
    """The same, in the zone and in the night of a network whose clocks go back; the vendor's form names no fold [S]."""

    START = datetime(2026, 11, 1, 5, 0, 0, tzinfo=UTC)  # 01:00 in New York, and again at 06:00

    def page(self, record: str, statement: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        assert self.queries < 100, "it reads the same hour over and over"
        back = [
            {**v, "value": {**v["value"], "value": date_time(moment_of(v["value"]["value"]) - (self.START - START))}}
            if v["value"]["xsi_type"] == "DateTimeValue"
            else v
            for v in statement["values"]
        ]
        return super().page(record, {**statement, "values": back})

    def _native(self, row: dict[str, Any]) -> dict[str, Any]:
        at = (self.START + timedelta(seconds=row["at"])).astimezone(ZoneInfo("America/New_York"))
        shown = {**date_time(at.replace(tzinfo=UTC)), "timeZoneId": "America/New_York"}
        return {"id": row["id"], "name": row["name"], "lastModifiedDateTime": shown}


def limits(size: int) -> GamSettings:
    return GamSettings.model_validate({"network_code": "1", "access_token": "t", "page_size": size})


def pages(table: Table, size: int = 3, cursor: str | None = None, overlap: float = 0) -> list[Page]:
    return list(changes.read(table, limits(size), "Order", ["name"], cursor, overlap))  # type: ignore[arg-type]


def ids(read: list[Page]) -> list[str]:
    return [record.native_id for page in read for record in page.records]


@given(
    seconds=st.lists(st.integers(min_value=0, max_value=6), max_size=25),
    size=st.integers(min_value=1, max_value=7),
)
def test_every_record_comes_once_in_order(seconds: list[int], size: int) -> None:
    table = Table(seconds)
    read = pages(table, size)
    wanted = sorted(table.rows, key=lambda row: (row["at"], row["id"]))
    assert ids(read) == [str(row["id"]) for row in wanted]
    assert [page.last for page in read] == [False] * (len(read) - 1) + [True]


@given(
    seconds=st.lists(st.integers(min_value=0, max_value=6), min_size=1, max_size=20),
    size=st.integers(min_value=1, max_value=5),
    stop=st.integers(min_value=0, max_value=20),
    overlap=st.integers(min_value=0, max_value=3),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_reader_that_dies_after_any_page_loses_nothing(
    seconds: list[int], size: int, stop: int, overlap: int
) -> None:
    table = Table(seconds)
    first = pages(table, size)
    kept = first[: min(stop, len(first) - 1) + 1]
    rest = pages(table, size, kept[-1].cursor, overlap)
    assert set(ids(kept)) | set(ids(rest)) == {str(row["id"]) for row in table.rows}


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param([5400] * 8, id="one second of the hour that comes again"),
        pytest.param(list(range(3600, 7200, 300)), id="all through the hour that comes again"),
        pytest.param(list(range(0, 9000, 300)), id="through both hours and beyond"),
    ],
)
def test_the_hour_that_comes_twice_is_read_to_its_end(seconds: list[int]) -> None:
    table = NetworkTime(seconds)
    read = pages(table)
    assert set(ids(read)) == {str(row["id"]) for row in table.rows}
    assert read[-1].last
    assert set(ids(pages(table, cursor=read[-1].cursor))) <= {str(row["id"]) for row in table.rows}


def test_the_cursor_never_lies_ahead_of_the_hour_that_comes_twice() -> None:
    for seconds in (list(range(0, 3600, 300)), list(range(3600, 7200, 300)), list(range(0, 7200, 300))):
        for page in pages(NetworkTime(seconds)):
            reached = max(row["at"] for row in NetworkTime(seconds).rows)
            kept = json.loads(page.cursor)["modified"]
            assert datetime.fromisoformat(kept) <= NetworkTime.START + timedelta(seconds=reached)


def test_a_thousand_of_one_second_are_read_by_id() -> None:
    table = Table([5] * 1000)
    assert len(ids(pages(table, 100))) == 1000


def test_a_second_is_read_whole_by_a_vendor_that_keeps_finer_times() -> None:
    table = FinerTime([0, *[5] * 20, 6])
    assert sorted(ids(pages(table)), key=int) == [str(row["id"]) for row in table.rows]


def test_the_overlap_is_read_again() -> None:
    table = Table([0, 10, 20])
    cursor = pages(table)[-1].cursor
    assert ids(pages(table, cursor=cursor, overlap=0)) == ["3"]
    assert ids(pages(table, cursor=cursor, overlap=10)) == ["2", "3"]


def test_nothing_new_keeps_the_cursor() -> None:
    table = Table([5])
    cursor = pages(table)[-1].cursor
    table.rows.clear()
    assert pages(table, cursor=cursor)[-1].cursor == cursor
    assert pages(table)[-1].records == []


def test_only_the_wanted_fields_are_kept() -> None:
    [page] = pages(Table([1]))
    assert set(page.records[0].native) == {"id", "name", "lastModifiedDateTime"}
    assert page.records[0].modified_at == START + timedelta(seconds=1)


def test_a_record_without_a_time_is_drift() -> None:
    table = Table([1])
    table._native = lambda row: {"id": 1}  # type: ignore[method-assign]
    with pytest.raises(SchemaDrift):
        pages(table)


@pytest.mark.parametrize("cursor", ["nonsense", "{}", '{"modified": "yesterday"}'])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(Misconfigured):
        pages(Table([1]), cursor=cursor)


def test_streams_go_through_the_vendor(vendor: Any, gam: Any, settings: Callable[..., GamSettings]) -> None:
    native = {"id": 7, "name": "n", "lastModifiedDateTime": date_time(START)}
    vendor.answer = lambda *_: {"totalResultSetSize": 1, "startIndex": 0, "results": [native]}
    [page] = gam.read("Order", ["name"], None)
    assert page.records[0].modified_at == START
    [(_, [statement])] = vendor.calls
    assert statement["query"] == (
        "WHERE lastModifiedDateTime >= :v0 ORDER BY lastModifiedDateTime ASC LIMIT 500 OFFSET 0"
    )
    with pytest.raises(Misconfigured):
        list(gam.read("Creative", [], None))

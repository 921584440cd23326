"""Reading changes: pages by key, an overlap behind the cursor, and no cursor that creeps backwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.errors import Misconfigured, RetryLater
from connectors.position import instant, number, position
from connectors.tryton.changes import read_changes

START = datetime(2026, 1, 1, tzinfo=UTC)


class Table:
    """Records with the three forms of domain that the reader asks with."""

    def __init__(self, *seconds: int, page_size: int = 2) -> None:
        self.rows = [{"id": n, "last_modified_at": START + timedelta(seconds=s)} for n, s in enumerate(seconds, 1)]
        self.page_size = page_size
        self.asked: list[Any] = []

    def ask(self, domain: list[Any]) -> list[dict[str, Any]]:
        self.asked.append(domain)
        found = [row for row in self.rows if not domain or self._fits(row, domain)]
        return sorted(found, key=lambda row: (row["last_modified_at"], row["id"]))[: self.page_size]

    def _fits(self, row: dict[str, Any], domain: list[Any]) -> bool:
        if domain[0] == "OR":
            (((_, _, after),), ((_, _, same), (_, _, last_id))) = domain[1:]
            return bool(row["last_modified_at"] > after or (row["last_modified_at"] == same and row["id"] > last_id))
        ((_, operator, since),) = domain
        assert operator == ">="
        return bool(row["last_modified_at"] >= since)

    def read(self, cursor: str | None, overlap: int = 0) -> Iterator[Any]:
        return read_changes(
            self.ask, cursor, overlap=timedelta(seconds=overlap), page_size=self.page_size, native=lambda rows: rows
        )


def ids(pages: list[Any]) -> list[str]:
    return [record.native_id for page in pages for record in page.records]


def test_each_record_comes_once_even_when_many_share_a_moment() -> None:
    table = Table(5, 5, 5, 5, 5, 1, 9)
    pages = list(table.read(None))
    assert ids(pages) == ["6", "1", "2", "3", "4", "5", "7"]
    assert [page.last for page in pages] == [False, False, False, True]


def test_what_committed_late_behind_the_cursor_is_read_by_the_overlap() -> None:
    """Planted fault: without the overlap the late record is never seen."""
    table = Table(10, 20)
    cursor = list(table.read(None))[-1].cursor
    table.rows.append({"id": 3, "last_modified_at": START + timedelta(seconds=15)})
    assert "3" in ids(list(table.read(cursor, overlap=10)))
    assert "3" not in ids(list(table.read(cursor, overlap=0)))


def test_a_run_inside_the_overlap_keeps_its_cursor() -> None:
    table = Table(100)
    cursor = list(table.read(None))[-1].cursor
    table.rows = [{"id": 2, "last_modified_at": START + timedelta(seconds=50)}]
    assert position(list(table.read(cursor, overlap=60))[-1].cursor, instant, number) == position(
        cursor, instant, number
    )


def test_an_empty_stream_has_a_cursor_that_reads_from_the_beginning() -> None:
    (page,) = Table().read(None)
    assert page.last
    assert position(page.cursor, instant, number) is None


@pytest.mark.parametrize(
    "cursor",
    ["x", "[]", '{"t": 5}', '{"t": "2026-01-01T00:00:00", "id": 1}', '{"t": "2026-01-01T00:00:00+00:00", "id": "1"}'],
)
def test_a_strangers_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Misconfigured, match="CURSOR-UNREADABLE"):
        list(Table().read(cursor))


def test_records_out_of_order_or_without_a_time_are_not_passed_on() -> None:
    table = Table(5, 1)
    table.ask = lambda domain: table.rows  # type: ignore[method-assign]
    with pytest.raises(RetryLater):
        list(table.read(None))
    timeless = Table(5)
    timeless.rows[0]["last_modified_at"] = None
    with pytest.raises(RetryLater):
        list(read_changes(lambda _: timeless.rows, None, overlap=timedelta(), page_size=2, native=lambda rows: rows))

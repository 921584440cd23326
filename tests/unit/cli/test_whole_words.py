"""Ids and the engine's words stay whole on 80 columns: half an id, copied from a table, is another id."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from cli import bill, tables
from cli.whole_words import WholeWords
from hub.billing.answers import BilledDocument, Why
from hub.results import (
    ConnectionStatus,
    ParkedGroup,
    ParkedItem,
    PlanItem,
    PlanResult,
    StatusResult,
    TraceEvent,
    TraceResult,
)

NOON = datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)
VENDOR_ID = "281474976710656123"
CRM_ID = "006Hp00001AbCdEIAV"
ORDER_ID = "ord_5yx2v6ojkq3kfhbqgm7jz4r3"
DOCUMENT_ID = "doc_5yx2v6ojkq3kfhbqgm7jz4r3"
LINE_ID = "lin_5yx2v6ojkq3kfhbqgm7jz4r3"
NAME = "Précision Strategies · Wähler für Biden · USD · 2020-Q3 with a very long name"
SENTENCE = f"The line {VENDOR_ID} ends before it starts. It waits. Sales mends it."


def printed(shown: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def traced(place: str) -> RenderableType:
    return tables.trace_tables(
        TraceResult(
            ORDER_ID,
            NAME,
            12,
            "118 of 120 lines are live; 2 wait for a person.",
            "Sales mends the two lines.",
            [(place, "120 in sync, 2 parked")],
            [(place, f"{NAME} Line one", VENDOR_ID), (place, "order_projection", CRM_ID)],
            [
                TraceEvent(NOON, place, "order_projection", "change accepted as version 1", f"Opportunity {CRM_ID}"),
                TraceEvent(NOON, place, f"{NAME} Line one", "answer: created", f"id {VENDOR_ID}"),
            ],
        )
    )


def planned(place: str) -> RenderableType:
    items = [
        PlanItem(place, "order_projection", ORDER_ID, "", NAME, "update", (("orderId", VENDOR_ID, CRM_ID),)),
        PlanItem(place, "line", LINE_ID, "", NAME, "blocked", (), [f"LINE-ENDS-BEFORE-START: {SENTENCE}"]),
        PlanItem(place, "line", LINE_ID, "", NAME, "create", (), [], [("targeting.postal_codes", VENDOR_ID, "none")]),
    ]
    return tables.planned(PlanResult(items, "9f" * 16, 1, 5, 4, 1), everything=False)


def stands(place: str) -> RenderableType:
    row = ConnectionStatus(place, "salesforce", "unreachable", "", {"in_sync": 123_456}, 12, 34, NOON, None)
    group = ParkedGroup("validation", "LINE-ENDS-BEFORE-START", place, 3, SENTENCE, "Sales", LINE_ID, NOON, "val-0a1b")
    return tables.status_tables(StatusResult([row], [group], {"booked": 1}, {"live": 3}, 281_474_976_710_656, NOON))


def parked(place: str) -> RenderableType:
    group = ParkedGroup("validation", "LINE-ENDS-BEFORE-START", place, 3, SENTENCE, "Sales", LINE_ID, NOON, "val-0a1b")
    item = ParkedItem(
        place, "line", LINE_ID, ORDER_ID, "validation", "E", "flight.end", VENDOR_ID, SENTENCE, "", "Sales", NOON
    )
    return tables.parked_table([group], [item])


def why(place: str) -> RenderableType:
    steps = [(topic, f"{place} counted for {LINE_ID}: {SENTENCE}") for topic in ("count", "cap")]
    found = Why(LINE_ID, NAME, "2020-09", "in_review", None, "USD", steps, "Sales acts.")
    return bill._why(found)


def documents(place: str) -> RenderableType:
    mismatch = f"{place} has {VENDOR_ID}"
    sums = Decimal("1234567.89"), "USD", "INV-2026-10-000123", Decimal("1234567.89"), date(2026, 10, 31), mismatch
    return bill._documents([BilledDocument(DOCUMENT_ID, "credit_memo", ORDER_ID, "2026-10", "exported", *sums)])


PAGES: list[tuple[Callable[[str], RenderableType], tuple[str, ...]]] = [
    (traced, (ORDER_ID, VENDOR_ID, CRM_ID, "order_projection", "accepted", "Opportunity", "12:34:56")),
    (planned, (VENDOR_ID, CRM_ID, "order_projection", "LINE-ENDS-BEFORE-START:", "targeting.postal_codes")),
    (stands, (LINE_ID, "unreachable", "salesforce", "in_sync", "281,474,976,710,656")),
    (parked, (LINE_ID, ORDER_ID, VENDOR_ID, "flight.end")),
    (why, (LINE_ID, VENDOR_ID)),
    (documents, (DOCUMENT_ID, VENDOR_ID, "INV-2026-10-000123", "2026-10-31", "1,234,567.89")),
]


@pytest.mark.parametrize("place", ["sfdc", "gam-main", "google-ad-manager-main"])
@pytest.mark.parametrize(("page", "words"), PAGES, ids=[page.__name__ for page, _ in PAGES])
@pytest.mark.parametrize("width", [60, 80, 81, 100, 200])
def test_ids_words_and_names_of_connections_are_never_broken(
    page: Callable[[str], RenderableType], words: tuple[str, ...], place: str, width: int
) -> None:
    shown = printed(page(place), width)
    for word in (place, *words):
        assert word in shown, shown
    assert max(map(len, shown.splitlines())) <= width


def test_a_table_that_fits_stays_a_table_and_gives_room_to_who_needs_it() -> None:
    table = WholeWords("Id", "Words", "n", right=["n"])
    table.add_row(VENDOR_ID, "as many words as it takes to fold this text", "12")
    lines = printed(table, 44).splitlines()
    assert [line.rstrip() for line in lines] == [
        "Id                 ┃ Words            ┃  n",
        "━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━",
        "281474976710656123 │ as many words as │ 12",
        "                   │ it takes to fold │",
        "                   │ this text        │",
    ]


def test_a_row_that_fits_in_no_table_stands_as_a_paragraph_with_names_before_bare_figures() -> None:
    table = WholeWords("Id", "Words", "parked", "last\nread", blanks=1, named=["last\nread"])
    table.add_row(VENDOR_ID, Text("order_projection"), "12", "never")
    table.add_row("2", "", "0", "")
    assert printed(table, 40).splitlines() == [
        "281474976710656123 · order_projection",
        "  parked 12 · last read never",
        "2 · parked 0",
    ]


@pytest.mark.parametrize("blanks", [0, 1, 2])
@pytest.mark.parametrize("cells", [("",), ("", ""), ("a", "", "b"), ("雪" * 9, "é")])
def test_empty_and_wide_cells_are_shown_in_every_width(cells: tuple[str, ...], blanks: int) -> None:
    for width in range(8, 40):
        table = WholeWords(*("" for _ in cells), blanks=blanks)
        table.add_row(*cells)
        shown = "".join(printed(table, width).split())
        assert all(letter in shown for cell in cells for letter in cell)


def test_a_word_longer_than_the_terminal_is_folded_and_nothing_is_lost() -> None:
    table = WholeWords("Field", "Value")
    table.add_row("targeting", "x" * 95 + "y")
    shown = printed(table, 40)
    assert shown.count("x") == 95
    assert "y" in shown
    assert max(map(len, shown.splitlines())) <= 40

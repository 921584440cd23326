"""The real engine with the real connector: documents travel once, whatever is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.base import PushItem
from connectors.xero import XeroConnector
from hub import Hub
from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
from hub.session import Session
from hub.store import database
from hub.sync.documents import want_document

from .conftest import START, Organisation, credit, invoice

Connect = Callable[..., XeroConnector]


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


@dataclass
class Books:
    """A hub whose only vendor is Xero."""

    hub: Hub
    clock: HandClock
    organisation: Organisation

    def want(self, *items: PushItem) -> list[bool]:
        session = self.hub.session
        with session.database.transaction() as cur:
            return [
                want_document(
                    session,
                    cur,
                    connection="erp",
                    document_id=str(item.payload["reference"]),
                    record="CreditMemo" if item.payload.get("kind") == "credit_memo" else "Invoice",
                    name=str(item.payload["reference"]),
                    payload=item.payload,
                )
                for item in items
            ]

    def rest(self, rounds: int = 60) -> None:
        """Push and settle, letting both clocks run, until nothing is due."""
        for _ in range(rounds):
            pushed, settled = self.hub.push("erp"), self.hub.settle("erp")
            if not pushed.calls and not settled.examined and not pushed.waiting:
                return
            self.clock.time += timedelta(seconds=61)
            self.organisation.advance(61)
        raise AssertionError(f"the hub did not come to rest: {pushed} {settled} {self.hub.parked()}")

    def posted(self) -> list[tuple[str, str]]:
        return sorted(
            (str(d.get("InvoiceNumber") or d.get("CreditNoteNumber")), d["Status"])
            for d in self.organisation.state("documents")
        )


@pytest.fixture
def books(database_url: str, organisation: Organisation, connect: Connect) -> Iterator[Books]:
    database.migrate(database_url)
    clock, connector = HandClock(), connect()
    connections = {"erp": ConnectionSettings(connector="xero")}
    settings = HubSettings(store=StoreSettings(url=database_url))
    session = Session(
        Configuration(Path("test.yaml"), settings, connections, {}),
        database.Database(database_url),
        clock,
        clock,
        lambda seconds: None,
        connect=lambda name, _: connector,
    )
    with Hub(session) as hub:
        yield Books(hub, clock, organisation)


@pytest.mark.parametrize("seed", range(4))
def test_with_every_third_answer_lost_there_is_one_document_each_in_the_end(books: Books, seed: int) -> None:
    books.organisation.control(
        "faults",
        lost_reply={"rate": 0.3, "count": 12, "seed": seed},
        lost_request={"rate": 0.2, "count": 6, "seed": seed + 100},
        html_503={"rate": 0.1, "count": 3, "seed": seed + 200},
    )
    numbers = [f"INV-{n}" for n in range(5)]
    assert books.want(*(invoice(number, "100.00") for number in numbers)) == [True] * 5
    books.rest()
    assert books.posted() == [(number, "AUTHORISED") for number in numbers]
    books.want(credit("CM-1", "INV-1", "40.00"))
    books.rest()
    assert books.posted()[0] == ("CM-1", "PAID")
    assert books.organisation.document("INV-1")["left"] == "60.00"
    assert len(books.organisation.state("allocations")) == 1
    assert books.hub.parked() == []


def test_a_second_close_asks_and_posts_nothing(books: Books) -> None:
    assert books.want(invoice("INV-1")) == [True]
    books.rest()
    books.organisation.control("calls/reset")
    assert books.want(invoice("INV-1")) == [False]
    books.rest()
    assert books.organisation.calls() == {}


def test_a_cent_of_difference_is_parked_with_a_sentence_and_replayed_after_the_correction(books: Books) -> None:
    line = {
        "description": "CPM",
        "quantity": Decimal("3.3366"),
        "unit_price": Decimal("10.01"),
        "amount": Decimal("33.40"),
    }
    books.organisation.control("setup", rounding="down")
    books.want(invoice("INV-1", lines=[line], total=Decimal("33.40")))
    books.rest()
    (parked,) = books.hub.parked()
    assert "33.39 there, 33.40 was billed" in parked.sentence
    assert books.posted() == [("INV-1", "DRAFT")]
    books.organisation.control("status", id=books.organisation.document("INV-1")["InvoiceID"], status="DELETED")
    books.organisation.control("setup", rounding="half_up")
    assert books.hub.replay(connection="erp") == 1
    books.rest()
    assert books.posted() == [("INV-1", "AUTHORISED"), ("INV-1", "DELETED")]


def test_a_create_in_doubt_whose_repetition_failed_for_certain_is_looked_up_when_its_key_is_old(books: Books) -> None:
    books.want(invoice("WARM"))
    books.rest()
    books.organisation.control("faults", lost_request={"count": 1, "operations": ["PUT Invoices"]})
    books.want(invoice("INV-1"))
    assert books.hub.push("erp").in_doubt == 1
    books.organisation.control("faults", quota={"count": 1, "operations": ["GET Invoices"]})
    books.clock.time += timedelta(seconds=61)
    books.organisation.advance(61)
    books.hub.settle("erp")
    books.hub.push("erp")
    books.clock.time += timedelta(seconds=600)
    books.organisation.advance(600)
    books.rest()
    assert books.posted() == [("INV-1", "AUTHORISED"), ("WARM", "AUTHORISED")]

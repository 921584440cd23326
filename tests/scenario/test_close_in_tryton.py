"""Months of the order book closed into a real Tryton 8.0 through a proxy that drops replies: to the cent, and each invoice once.

Needs `.tools/tryton` (`make tryton`) and the order book under `ORDERHUB_DATA`; without them the test says so.
ORDERHUB_REQUIRE_TRYTON=1 makes a missing Tryton a failure.
"""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cli.demo.order_book import BookLine, BookOrder, read_order_book
from cli.erp import company
from cli.erp.bookkeeper import Bookkeeper
from cli.erp.installation import installed
from cli.erp.tryton import TrytonServer
from hub import Hub, open_hub
from hub.encoding import fingerprint
from hub.store import entities
from oms_schema.billing_terms import BillingTerms
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.money import exponent
from oms_schema.order import Order
from oms_schema.party import Party, PartyInRole, PartyRole
from oms_schema.status import CommercialStatus

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]

BOOK = Path(os.environ.get("ORDERHUB_DATA", "../shared/data")) / "snap-political-ads" / "ads.csv"
MONTHS = ("2020-01", "2020-02", "2020-03")
WRITES = (b".create", b".post")
SHAPE = {
    "columns": {"day": "day", "line": "line", "impressions": "impressions"},
    "zone": "UTC",
    "counted_by": "seller",
    "complete_by": "gzip",
    "line_ids": "orderhub",
    "outlier_floor": 10**12,
}


class LossyProxy:
    """Hands requests on to Tryton and loses the reply to every third one that writes."""

    def __init__(self, target: int) -> None:
        self.lost = 0
        writes = itertools.count(1)
        lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.post(f"http://127.0.0.1:{target}{self.path}", data=body, headers=kept, timeout=60)
                with lock:
                    lose = any(verb in body[:200] for verb in WRITES) and next(writes) % 3 == 0
                    proxy.lost += lose
                if lose:
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/html"))
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


@pytest.fixture(scope="module")
def erp() -> Iterator[TrytonServer]:
    if not installed():
        said = "not run: Tryton is not installed (make tryton)"
        if os.environ.get("ORDERHUB_REQUIRE_TRYTON") == "1":
            pytest.fail(said)
        pytest.skip(said)
    folder = Path(tempfile.mkdtemp(prefix="orderhub-test-close-"))
    try:
        with TrytonServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def proxy(erp: TrytonServer) -> Iterator[LossyProxy]:
    lossy = LossyProxy(erp.port)
    yield lossy
    lossy.close()


@pytest.fixture
def hub(
    erp: TrytonServer, proxy: LossyProxy, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    settings = erp.settings(url=proxy.url, max_in_flight_seconds=5.0)
    monkeypatch.setenv("TEST_STORE", database_url)
    monkeypatch.setenv("TEST_TRYTON_PASSWORD", settings.password.get_secret_value())
    known = {**settings.model_dump(exclude={"password"}, exclude_none=True), "password": "env:TEST_TRYTON_PASSWORD"}
    connections = {
        "ads": {"connector": "report_api", "report": SHAPE},
        "erp": {"connector": "tryton", "settings": known},
    }
    path = tmp_path / "orderhub.yaml"
    path.write_text(yaml.safe_dump({"store": {"url": "env:TEST_STORE"}, "connections": connections}), encoding="utf-8")
    machine = HandClock(datetime.now(UTC))

    def sleep(seconds: float) -> None:
        machine.time += timedelta(seconds=seconds)

    with open_hub(path) as opened:
        opened.migrate()
        opened.session.machine = opened.session.database.machine = machine
        opened.session.business = HandClock(datetime(2020, 4, 20, tzinfo=UTC))
        opened.session.sleep = sleep
        yield opened


def keep(hub: Hub, kind: EntityKind, body: Any, name: str, **more: Any) -> str:
    usual = {"order_id": None, "status": None, "external_id": None}
    with hub.session.database.transaction() as cur:
        entities.put(
            cur,
            kind=kind,
            entity_id=body.id,
            version=1,
            canonical=body.canonical_bytes(),
            content_hash=fingerprint(body.canonical_bytes()),
            source="book",
            native_id=body.id,
            name=name,
            change_id=None,
            now=hub.session.machine.now(),
            **{**usual, **more},
        )
    return str(body.id)


def book_order(hub: Hub, number: int, order: BookOrder) -> dict[str, BookLine]:
    """An order of the book, booked, with its lines; by line id."""
    payer = Party(id=canonical_id(EntityKind.PARTY, "book", order.key.agency), name=order.key.agency or "Direct")
    keep(hub, EntityKind.PARTY, payer, payer.name)
    booked = Order(
        id=canonical_id(EntityKind.ORDER, "book", str(number)),
        name=f"Order {number}",
        status=CommercialStatus.BOOKED,
        currency=order.key.currency,
        parties=(PartyInRole(role=PartyRole.BILL_TO, party_id=payer.id),),
        terms=BillingTerms(),
    )
    keep(hub, EntityKind.ORDER, booked, booked.name, order_id=booked.id, status=booked.status)
    lines = {}
    for known in order.lines:
        assert known.cpm is not None
        line = Line(
            id=canonical_id(EntityKind.LINE, "book", known.ad_id),
            order_id=booked.id,
            name=known.ad_id,
            flight=Flight.between(known.start, known.flight_end, "UTC"),
            price=Price(method=CostMethod.CPM, rate=int(known.cpm * 1_000_000), currency=order.key.currency),
            goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=known.goal),
        )
        lines[keep(hub, EntityKind.LINE, line, line.name, order_id=booked.id)] = known
    return lines


def load(hub: Hub, folder: Path, month: str, rows: Mapping[str, tuple[date, int]]) -> None:
    text = "\n".join(["day,line,impressions", *(f"{day},{line},{count}" for line, (day, count) in rows.items()), ""])
    file = folder / f"{month}-{len(list(folder.iterdir()))}.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    hub.session.business.time += timedelta(minutes=1)  # type: ignore[attr-defined]
    hub.load_report("ads", file, since=first, until=last, final=True)


def test_a_quarter_is_closed_to_the_cent_with_replies_lost_and_restatements_credited(
    hub: Hub, erp: TrytonServer, proxy: LossyProxy, tmp_path: Path
) -> None:
    if not BOOK.exists():
        pytest.skip(f"not run: {BOOK} is absent")
    orders = [order for order in read_order_book(BOOK).orders if order.key.quarter == "2020 Q1"][:8]
    lines: dict[str, BookLine] = {}
    currency: dict[str, str] = {}
    for number, order in enumerate(orders):
        booked = book_order(hub, number, order)
        lines |= booked
        currency |= dict.fromkeys(booked, order.key.currency)
    # A line's delivery stands in the month in which it began.
    delivered = {
        month: {
            line_id: (known.start.date(), known.impressions)
            for line_id, known in lines.items()
            if f"{known.start:%Y-%m}" == month
        }
        for month in MONTHS
    }
    for month in MONTHS:
        load(hub, tmp_path, month, delivered[month])
        done = hub.billing.close(month, prepared_by="Ada", approved_by="Grace", connection="erp", patience=3600)
        assert (done.mismatches, done.second_close_documents) == ([], 0), done.sentence
    check(hub, erp, delivered, lines, currency)
    restated = sorted(lines)[::50] or sorted(lines)[:1]
    for month in MONTHS:
        changed = {
            line_id: (day, count * 9 // 10 if line_id in restated else count)
            for line_id, (day, count) in delivered[month].items()
        }
        if changed != delivered[month]:
            delivered[month] = changed
            load(hub, tmp_path, month, changed)
    done = hub.billing.close(MONTHS[-1], prepared_by="Ada", approved_by="Grace", connection="erp", patience=3600)
    assert done.credits >= 1
    assert (done.mismatches, done.second_close_documents) == ([], 0), done.sentence
    check(hub, erp, delivered, lines, currency)
    before = hub.session.database.rows("SELECT count(*) FROM billing_document")
    again = hub.billing.close(MONTHS[-1], prepared_by="Ada", approved_by="Grace", connection="erp", patience=3600)
    assert again.new_documents == 0
    assert hub.session.database.rows("SELECT count(*) FROM billing_document") == before
    assert proxy.lost > 3
    for one in hub.session.database.rows("SELECT document_id FROM billing_document"):
        assert hub.billing.replay(one[0]).equal


def check(
    hub: Hub,
    erp: TrytonServer,
    delivered: Mapping[str, Mapping[str, tuple[date, int]]],
    lines: Mapping[str, BookLine],
    currency: Mapping[str, str],
) -> None:
    """Tryton holds each document once, and by currency the worth of what was delivered, computed here in plain Decimal."""
    worth: dict[str, Decimal] = defaultdict(Decimal)
    for rows in delivered.values():
        for line_id, (_, count) in rows.items():
            cpm = lines[line_id].cpm
            assert cpm is not None
            unit = Decimal(1).scaleb(-exponent(currency[line_id]))
            worth[currency[line_id]] += (cpm * count / 1000).quantize(unit, rounding=ROUND_HALF_UP)
    ours = [row[0] for row in hub.session.database.rows("SELECT document_id FROM billing_document")]
    held: dict[str, Decimal] = defaultdict(Decimal)
    seen: Counter[str] = Counter()
    with Bookkeeper(erp.settings(company.BOOKKEEPER)) as people:
        for reference in ours:
            for one in people.invoices(reference):
                assert one["state"] == "posted"
                held[one["currency."]["code"]] += one["total_amount"]
                seen[reference] += 1
    assert seen == Counter(ours), "exactly one invoice per document"
    assert dict(held) == {code: value for code, value in worth.items() if value}

"""The real order book billed by month into a real Tryton 8.0, through a proxy that loses requests and replies.

Every order's documents in Tryton sum, to the cent in its own currency, to the worth of what was delivered, computed here from
the file itself with csv and Decimal alone; restatements net exactly; each document is there once; a second close posts nothing.

Where the real book is absent under `ORDERHUB_DATA` the generated one is billed. Needs `.tools/tryton` (`make tryton`); without it
the test says so, and ORDERHUB_REQUIRE_TRYTON=1 makes that a failure. ORDERHUB_BILL_ORDERS=N takes the first N orders of the book.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cli.demo.generated_book import generated_book
from cli.demo.order_book import BookLine, BookOrder, read_order_book
from cli.erp import company
from cli.erp.bookkeeper import Bookkeeper
from cli.erp.installation import installed
from cli.erp.tryton import TrytonServer
from hub import Hub, open_hub
from hub.billing.answers import CloseSummary
from hub.encoding import fingerprint
from hub.store.entities import NewVersion
from hub.sync.page_writes import PageWrites
from oms_schema.billing_terms import BillingTerms
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import CostMethod, Flight, Goal, GoalUnit, Line, Price
from oms_schema.order import Order
from oms_schema.party import Party, PartyInRole, PartyRole
from oms_schema.status import CommercialStatus

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1800)]

BOOK = Path(os.environ.get("ORDERHUB_DATA", "../shared/data")) / "snap-political-ads" / "ads.csv"
WRITES = (b".create", b".validate_invoice", b".post")
LOST_REPLIES, LOST_REQUESTS = 0.15, 0.05
RESTATED = 50
"""Every 50th line is restated after it was billed: 2 %."""
CENTS = {"JPY": Decimal(1), "KWD": Decimal("0.001")}
SHAPE = {
    "columns": {"day": "day", "line": "line", "impressions": "impressions"},
    "zone": "UTC",
    "counted_by": "seller",
    "complete_by": "gzip",
    "line_ids": "orderhub",
    "outlier_floor": 10**12,
}


class LossyProxy:
    """Hands requests on to Tryton, and loses the reply of some that write, or the request itself, always the same ones."""

    def __init__(self, target: int) -> None:
        self.lost = 0
        chance = random.Random(20200301)
        lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    drawn = chance.random() if any(verb in body[:200] for verb in WRITES) else 1.0
                    proxy.lost += drawn < LOST_REPLIES + LOST_REQUESTS
                if LOST_REPLIES <= drawn < LOST_REPLIES + LOST_REQUESTS:
                    self.close_connection = True
                    return
                kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.post(f"http://127.0.0.1:{target}{self.path}", data=body, headers=kept, timeout=120)
                if drawn < LOST_REPLIES:
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
        self._thread.join(60)
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
    settings = erp.settings(url=proxy.url, max_in_flight_seconds=5.0, timeout_seconds=120.0)
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
        writes = PageWrites()
        writes.put(
            cur,
            NewVersion(
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
            ),
        )
        writes.flush(cur)
    return str(body.id)


def book_order(hub: Hub, number: int, order: BookOrder) -> Iterator[tuple[str, str]]:
    """An order of the book, booked, with its lines: (ad, line id). A line whose end comes before its start is left out."""
    payer = Party(id=canonical_id(EntityKind.PARTY, "book", order.key.agency), name=order.key.agency or "Direct")
    if not hub.session.database.rows("SELECT 1 FROM entity WHERE kind = 'party' AND id = %s", [payer.id]):
        keep(hub, EntityKind.PARTY, payer, payer.name)
    booked = Order(
        id=canonical_id(EntityKind.ORDER, "book", str(number)),
        name=f"Order {number}",
        number=f"IO-{number}",
        status=CommercialStatus.BOOKED,
        currency=order.key.currency,
        parties=(PartyInRole(role=PartyRole.BILL_TO, party_id=payer.id),),
        terms=BillingTerms(),
    )
    keep(hub, EntityKind.ORDER, booked, booked.name, order_id=booked.id, status=booked.status)
    for known in order.lines:
        if runs(known):
            yield known.ad_id, keep(hub, EntityKind.LINE, line_of(booked, known), known.ad_id, order_id=booked.id)


def runs(known: BookLine) -> bool:
    return known.impressions > 0 and (known.flight_end is None or known.flight_end > known.start)


def line_of(order: Order, known: BookLine) -> Line:
    assert known.cpm is not None
    return Line(
        id=canonical_id(EntityKind.LINE, "book", known.ad_id),
        order_id=order.id,
        name=known.ad_id,
        flight=Flight.between(known.start, known.flight_end, "UTC"),
        price=Price(method=CostMethod.CPM, rate=int(known.cpm * 1_000_000), currency=order.currency),
        goal=Goal(unit=GoalUnit.IMPRESSIONS, quantity=known.goal),
    )


# ---------------------------------------------------------------- the oracle: the file, csv and Decimal
OrderKey = tuple[str, str, str, str]


@dataclass
class Ad:
    """One row of the file: its order, its price, and what it delivered by month, on the first day it ran in each."""

    order: OrderKey
    cpm: Decimal
    goal: int
    first: date
    delivered: dict[str, int]

    @property
    def worth(self) -> Decimal:
        """What is owed for it: every month rounded by itself, half up, in the currency's own digits."""
        cent = CENTS.get(self.order[2], Decimal("0.01"))
        amounts = (
            (self.cpm * count / 1000).quantize(cent, rounding=ROUND_HALF_UP) for count in self.delivered.values()
        )
        return sum(amounts, Decimal(0))

    def day(self, month: str) -> date:
        return max(self.first, date.fromisoformat(f"{month}-01"))

    def restate(self, *, lower: bool) -> None:
        """A tenth less in every month; or, where the goal leaves room, what is missing to the goal in the last one."""
        last = max(self.delivered)
        missing = self.goal - sum(self.delivered.values())
        if lower or not missing:
            self.delivered = {month: count * 9 // 10 for month, count in self.delivered.items()}
        else:
            self.delivered[last] += missing


def ads_of_the_file(path: Path) -> dict[str, Ad]:
    """By ad. An open flight is taken to run for thirty days; the impressions are spread evenly over the months."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, Ad] = {}
    for row in rows:
        start = instant(row["StartDate"])
        end = instant(row["EndDate"]) if row["EndDate"].strip() else start + timedelta(days=30)
        if end < start:
            continue
        impressions = int(row["Impressions"])
        if not impressions:
            continue
        names = (row["OrganizationName"].strip(), row["PayingAdvertiserName"].strip(), row["Currency Code"].strip())
        months = months_between(start.date(), (end - timedelta(seconds=1)).date())
        share, rest = divmod(impressions, len(months))
        found[row["ADID"].strip()] = Ad(
            order=(*names, f"{start.year} Q{(start.month + 2) // 3}"),
            cpm=(Decimal(row["Spend"]) * 1000 / impressions).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP),
            goal=(impressions + 999) // 1000 * 1000,
            first=start.date(),
            delivered={month: share + (rest if month == months[-1] else 0) for month in months},
        )
    return found


def instant(text: str) -> datetime:
    return datetime.strptime(text.strip(), "%Y/%m/%d %H:%M:%SZ").replace(tzinfo=UTC)


def months_between(first: date, last: date) -> list[str]:
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [f"{number // 12}-{number % 12 + 1:02}" for number in numbers]


# ---------------------------------------------------------------- delivery and closing
def load(hub: Hub, folder: Path, month: str, rows: Mapping[str, tuple[date, int]]) -> None:
    """A whole, final report of a month."""
    text = "\n".join(["day,line,impressions", *(f"{day},{line},{count}" for line, (day, count) in rows.items()), ""])
    file = folder / f"{month}-{len(list(folder.iterdir()))}.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    first = date.fromisoformat(f"{month}-01")
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    business = hub.session.business
    assert isinstance(business, HandClock)
    business.time = max(
        business.time + timedelta(minutes=1), datetime.combine(last, datetime.min.time(), UTC) + 10 * DAY
    )
    hub.load_report("ads", file, since=first, until=last, final=True)


DAY = timedelta(days=1)


def close(hub: Hub, month: str) -> CloseSummary:
    done = hub.billing.close(month, prepared_by="Ada", approved_by="Grace", connection="erp", patience=7200)
    assert (done.mismatches, done.second_close_documents) == ([], 0), done.sentence
    return done


def test_the_book_is_billed_by_month_to_the_cent_with_replies_lost_and_restatements_netted(
    hub: Hub, erp: TrytonServer, proxy: LossyProxy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = BOOK
    if not path.exists():
        path = tmp_path / "generated.csv"
        path.write_bytes(generated_book())
    reports = tmp_path / "reports"
    reports.mkdir()
    began = time.monotonic()
    wanted = os.environ.get("ORDERHUB_BILL_ORDERS")
    book = read_order_book(path).first(int(wanted) if wanted else None)
    line_ids: dict[str, str] = {}
    numbers: dict[str, OrderKey] = {}
    for number, order in enumerate(book.orders):
        line_ids |= dict(book_order(hub, number, order))
        numbers[f"IO-{number}"] = (order.key.agency, order.key.advertiser, order.key.currency, order.key.quarter)
    file = ads_of_the_file(path)
    if wanted is None:
        assert file.keys() == line_ids.keys(), "every ad of the file that can run is a line of the hub"
    ads = {ad: file[ad] for ad in line_ids}
    months = sorted({month for ad in ads.values() for month in ad.delivered})

    def report(month: str) -> None:
        rows = {line_ids[i]: (ad.day(month), ad.delivered[month]) for i, ad in ads.items() if month in ad.delivered}
        load(hub, reports, month, rows)

    for month in months:
        report(month)
        close(hub, month)
    closed = time.monotonic()
    first = check(hub, erp, ads, numbers)

    for place, ad_id in enumerate(sorted(ads)[::RESTATED]):
        ads[ad_id].restate(lower=place % 2 == 0)
    for month in months:
        report(month)
    done = close(hub, months[-1])
    assert done.credits >= 1
    restated = check(hub, erp, ads, numbers)
    assert restated["credit_memo"] >= 1
    assert restated.total() == first.total() + done.new_documents
    again = close(hub, months[-1])
    assert again.new_documents == 0
    assert check(hub, erp, ads, numbers) == restated, "a second close posts nothing"
    assert proxy.lost > 3
    for one in hub.session.database.rows("SELECT document_id FROM billing_document WHERE state <> 'withdrawn'"):
        assert hub.billing.replay(one[0]).equal
    with capsys.disabled():
        ended = time.monotonic()
        print(
            f"\n{len(book.orders)} orders, {len(ads):,} lines, {len(months)} months: {first.total()} documents in "
            f"{closed - began:.0f} s, {done.new_documents} corrections in {ended - closed:.0f} s; {proxy.lost} messages lost."
        )


NAMED = re.compile(r"(?:Order|Credit for order) (IO-\d+), \d{4}-\d\d")


def check(hub: Hub, erp: TrytonServer, ads: Mapping[str, Ad], numbers: Mapping[str, OrderKey]) -> Counter[str]:
    """Tryton holds each document once, and of each order the worth of its delivery, to the cent; documents by kind.

    Which order a document belongs to is what Tryton's own document says.
    """
    worth: dict[tuple[OrderKey, str], Decimal] = defaultdict(Decimal)
    for ad in ads.values():
        worth[ad.order, ad.order[2]] += ad.worth
    held: dict[tuple[OrderKey, str], Decimal] = defaultdict(Decimal)
    with Bookkeeper(erp.settings(company.BOOKKEEPER)) as people:
        there = people.documents()
    for one in there:
        assert one["state"] == "posted"
        named = NAMED.fullmatch(one["description"])
        assert named is not None, one
        held[numbers[named[1]], one["currency."]["code"]] += one["total_amount"]
    known = hub.session.database.rows("SELECT document_id, kind FROM billing_document WHERE state <> 'withdrawn'")
    assert Counter(one["reference"] for one in there) == Counter(row[0] for row in known), "one invoice per document"
    assert {key: value for key, value in held.items() if value} == {key: value for key, value in worth.items() if value}
    return Counter(row[1] for row in known)

"""Billing documents in a real Tryton 8.0: its own process, its own rules, through the hub's engine and a proxy that cuts.

Needs `.tools/tryton` (`make tryton`); without it the tests say so, and ORDERHUB_REQUIRE_TRYTON=1 makes that a failure.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from cli.erp import company
from cli.erp.bookkeeper import Bookkeeper
from cli.erp.installation import installed
from cli.erp.tryton import TrytonServer
from connectors.base import Operation, Outcome, PushItem, Severity
from connectors.errors import AuthFailed, RecordRejected
from connectors.tryton import TrytonConnector
from connectors.tryton.documents import Booking, document, draft
from connectors.tryton.rpc import RpcSession
from hub import Hub, open_hub
from hub.results import ParkedItem
from hub.sync.documents import want_document

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(900)]

_numbers = itertools.count(1)
EUR, USD = "EUR", "USD"
IN_FLIGHT = 120.0


# ---------------------------------------------------------------- the ERP, the way to it, the hub
@pytest.fixture(scope="module")
def erp() -> Iterator[TrytonServer]:
    """One server for all tests; each test has documents of its own."""
    if not installed():
        said = "not run: Tryton is not installed (make tryton)"
        if os.environ.get("ORDERHUB_REQUIRE_TRYTON") == "1":
            pytest.fail(said)
        pytest.skip(said)
    folder = Path(tempfile.mkdtemp(prefix="orderhub-test-tryton-"))
    try:
        with TrytonServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class CuttingProxy:
    """Hands requests on to Tryton; the next one that names `method` is lost on its way there or on its way back."""

    def __init__(self, target: int) -> None:
        self.cut = 0
        self.seen = 0
        self._method: bytes | None = None
        self._arrives = True
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                arrives, returns = proxy._fate(body)
                if arrives:
                    kept = {
                        name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers
                    }
                    with requests.Session() as session:
                        session.trust_env = False
                        answer = session.post(
                            f"http://127.0.0.1:{target}{self.path}", data=body, headers=kept, timeout=60
                        )
                if not returns:
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

    def lose(self, method: str, *, arrives: bool) -> None:
        """Lose the next request with this method; `arrives` says whether Tryton gets it."""
        with self._lock:
            self._method, self._arrives = f'"{method}"'.encode(), arrives

    def _fate(self, body: bytes) -> tuple[bool, bool]:
        with self._lock:
            self.seen += 1
            if self._method is None or self._method not in body:
                return True, True
            self._method = None
            self.cut += 1
            return self._arrives, False

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()


@pytest.fixture
def proxy(erp: TrytonServer) -> Iterator[CuttingProxy]:
    cutting = CuttingProxy(erp.port)
    yield cutting
    cutting.close()


class HandClock:
    """Machine time that a test moves."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


@dataclass
class Office:
    """A hub with one connection to Tryton, the people of finance, and documents of this test's own."""

    hub: Hub
    people: Bookkeeper
    clock: HandClock
    proxy: CuttingProxy
    mark: str

    def want(self, name: str, lines: Mapping[str, str], *, record: str = "Invoice", **more: Any) -> str:
        """Want a document with these lines (description: amount); returns its reference."""
        reference = f"{self.mark}-{name}"
        payload = bill(reference, f"{self.mark}-buyer", lines, **more)
        if "corrects" in more:
            payload["corrects"] = f"{self.mark}-{more['corrects']}"
        session = self.hub.session
        with session.database.transaction() as cur:
            want_document(
                session, cur, connection="erp", document_id=reference, record=record, name=name, payload=payload
            )
        return reference

    def rest(self) -> None:
        """Push and settle until nothing is due, moving the clock over every wait."""
        for _ in range(8):
            self.hub.push("erp")
            settled = self.hub.settle("erp")
            pushed = self.hub.push("erp")
            if not (pushed.waiting or pushed.in_doubt or settled.waiting):
                return
            self.clock.time += timedelta(seconds=IN_FLIGHT + 1)
        raise AssertionError(f"never came to rest: {pushed}, {settled}")

    def parked(self) -> list[ParkedItem]:
        return list(self.hub.parked())

    def invoice(self, reference: str) -> dict[str, Any]:
        """The only document with this reference in Tryton."""
        (found,) = self.people.invoices(reference)
        return found

    def billing(self) -> dict[str, Mapping[str, Any]]:
        """This test's documents as the hub reads them back, by reference."""
        connector = self.hub.session.channel("erp").connector
        assert isinstance(connector, TrytonConnector)
        read = [record.native for page in connector.billing(None) for record in page.records]
        return {one["reference"]: one for one in read if one["reference"].startswith(self.mark)}


def bill(
    reference: str,
    buyer: str,
    lines: Mapping[str, str],
    *,
    currency: str = USD,
    on: str = "2020-03-31",
    kind: str = "invoice",
    corrects: str | None = None,
) -> dict[str, Any]:
    rows = [
        {"description": text, "amount": Decimal(amount), **({"corrects": number} if corrects else {})}
        for number, (text, amount) in enumerate(lines.items(), start=1)
    ]
    return {
        "reference": reference,
        "kind": kind,
        "party": {"code": buyer, "name": f"Buyer {buyer}", "city": "Springfield", "country": "US"},
        "currency": currency,
        "date": on,
        "total": sum((row["amount"] for row in rows), Decimal(0)),  # type: ignore[misc]
        "lines": rows,
    }


@pytest.fixture
def office(
    erp: TrytonServer, proxy: CuttingProxy, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    settings = erp.settings(url=proxy.url, max_in_flight_seconds=IN_FLIGHT)
    monkeypatch.setenv("TEST_STORE", database_url)
    monkeypatch.setenv("TEST_TRYTON_PASSWORD", settings.password.get_secret_value())
    known = settings.model_dump(exclude={"password"}, exclude_none=True)
    path = tmp_path / "orderhub.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "store": {"url": "env:TEST_STORE"},
                "connections": {
                    "erp": {"connector": "tryton", "settings": {**known, "password": "env:TEST_TRYTON_PASSWORD"}}
                },
            }
        ),
        encoding="utf-8",
    )
    clock = HandClock()
    with open_hub(path) as hub, Bookkeeper(erp.settings(company.BOOKKEEPER)) as people:
        hub.migrate()
        hub.session.machine = hub.session.database.machine = clock
        yield Office(hub, people, clock, proxy, f"t{next(_numbers)}")


# ---------------------------------------------------------------- posting
def test_documents_in_two_currencies_are_posted_once_and_read_back_to_the_cent(office: Office) -> None:
    wanted = {
        office.want("a", {"Home": "12345.68", "Video": "0.01"}): (USD, Decimal("12345.69")),
        office.want("b", {"Home": "99.99"}, currency=EUR): (EUR, Decimal("99.99")),
        office.want("c", {"Home": "1000.00", "Rebate": "-0.50"}, currency=EUR): (EUR, Decimal("999.50")),
    }
    before = office.people.count()
    office.rest()
    assert office.parked() == []
    for reference, (currency, total) in wanted.items():
        there = office.invoice(reference)
        assert (there["state"], there["total_amount"], there["currency."]["code"]) == ("posted", total, currency)
    assert {one["number"][:8] for one in office.billing().values()} == {"INV-2020"}
    assert len({one["number"] for one in office.billing().values()}) == 3
    assert office.hub.push("erp").calls == 0, "a second close posts nothing"
    assert office.people.count() == before + 3


@pytest.mark.parametrize("arrives", [True, False], ids=["reply lost", "request lost"])
@pytest.mark.parametrize(
    "step",
    [
        *("party.party.create", "account.invoice.create", "account.invoice.read"),
        *("account.invoice.validate_invoice", "account.invoice.post"),
    ],
)
def test_a_cut_connection_at_any_step_leaves_exactly_one_invoice(office: Office, step: str, arrives: bool) -> None:
    reference = office.want("cut", {"Home": "250.00"})
    office.proxy.lose(f"model.{step}", arrives=arrives)
    office.rest()
    assert office.proxy.cut == 1
    assert office.parked() == []
    there = office.invoice(reference)
    assert (there["state"], there["total_amount"]) == ("posted", Decimal("250.00"))


@pytest.mark.parametrize("arrives", [True, False], ids=["reply lost", "request lost"])
@pytest.mark.parametrize(
    "step",
    ["party.party.create", "account.invoice.create", "account.invoice.validate_invoice", "account.invoice.post"],
)
def test_a_cut_connection_while_many_are_posted_leaves_each_once(office: Office, step: str, arrives: bool) -> None:
    wanted = [office.want(f"many{n}", {"Home": f"{n}.00"}, currency=USD if n % 2 else EUR) for n in range(1, 8)]
    before = office.people.count()
    office.proxy.lose(f"model.{step}", arrives=arrives)
    office.rest()
    assert office.proxy.cut == 1
    assert office.parked() == []
    assert [office.invoice(reference)["state"] for reference in wanted] == ["posted"] * 7
    assert office.people.count() == before + 7


def test_what_one_document_of_many_is_refused_for_does_not_keep_the_others(office: Office) -> None:
    office.people.close_period(date(2020, 2, 29))
    try:
        good = [office.want(f"good{n}", {"Home": "5.00"}) for n in range(5)]
        closed = office.want("closed", {"Home": "7.00"}, on="2020-02-29")
        unknown = office.want("money", {"Home": "8.00"}, currency="XTS")
        correcting = office.want("none", {"Home": "1.00"}, kind="credit_memo", corrects="never")
        office.rest()
        assert [office.invoice(reference)["state"] for reference in good] == ["posted"] * 5
        told = {item.entity_id: (item.code, item.reason) for item in office.parked()}
        assert told == {
            closed: ("UserError", "period_closed"),
            unknown: ("CURRENCY-UNKNOWN", "reference_missing"),
            correcting: ("CORRECTED-UNKNOWN", "reference_missing"),
        }
        assert office.invoice(closed)["state"] == "draft", "finance can change it"
        assert office.people.invoices(unknown) == office.people.invoices(correcting) == []
    finally:
        office.people.reopen_period(date(2020, 2, 29))
    office.hub.replay(by="ops")
    office.rest()
    assert office.invoice(closed)["state"] == "posted"


def test_many_documents_need_few_requests(office: Office) -> None:
    for n in range(20):
        office.want(f"few{n}", {"Home": "5.00", "Video": "6.00"})
    office.rest()
    before = office.proxy.seen
    for n in range(20):
        office.want(f"more{n}", {"Home": "5.00", "Video": "6.00"})
    pushed = office.hub.push("erp")
    assert (pushed.calls, pushed.records, pushed.outcomes) == (1, 20, {"created": 20})
    # look-up, day of the term, create, read, validate, read, post, read
    assert office.proxy.seen - before <= 8


def test_tryton_itself_would_have_made_two_which_is_why_nothing_is_sent_without_a_look(
    office: Office, erp: TrytonServer
) -> None:
    """The planted fault: a client that simply sends again. The hub then refuses to choose between the two."""
    reference = office.want("twice", {"Home": "10.00"})
    session = RpcSession(erp.settings())
    naive = TrytonConnector(erp.settings())
    wanted = document(bill(reference, f"{office.mark}-buyer", {"Home": "10.00"}))
    (booking,) = naive._posting["Invoice"].bookings([wanted])
    assert isinstance(booking, Booking)
    for _ in range(2):
        session.write("account.invoice", "create", [draft(wanted, booking, 4)])
    naive.close()
    session.close()
    assert len(office.people.invoices(reference)) == 2
    office.rest()
    (parked,) = office.parked()
    assert (parked.code, parked.reason) == ("REFERENCE-TWICE", "duplicate")
    office.people.delete_draft(office.people.invoices(reference)[1]["id"])
    office.hub.replay(by="ops")
    office.rest()
    assert office.invoice(reference)["state"] == "posted"


@pytest.mark.parametrize("step", ["sale.sale.create", "sale.sale.quote", "sale.sale.confirm"])
def test_a_sale_is_confirmed_once_and_makes_no_invoice_of_its_own(office: Office, erp: TrytonServer, step: str) -> None:
    invoices = office.people.count()
    reference = office.want("order", {"Home": "5000.00", "Video": "250.50"}, record="Sale", currency=EUR)
    office.proxy.lose(f"model.{step}", arrives=True)
    office.rest()
    assert (office.proxy.cut, office.parked()) == (1, [])
    connector = TrytonConnector(erp.settings())
    fields = ["reference", "state", "total", "currency", "party"]
    read = [r.native for page in connector.read("Sale", fields, None) for r in page.records]
    (sale,) = [native for native in read if native["reference"] == reference]
    connector.close()
    assert sale["state"] in {"confirmed", "processing"}
    assert (sale["total"], sale["currency"], sale["party"]) == (Decimal("5250.50"), EUR, f"{office.mark}-buyer")
    assert office.people.count() == invoices


# ---------------------------------------------------------------- money back and money in
def test_part_payments_and_the_rest_lower_the_balance_to_nothing(office: Office) -> None:
    reference = office.want("paid", {"Home": "300.00"}, currency=EUR)
    office.rest()
    invoice = office.invoice(reference)["id"]
    office.people.pay(invoice, Decimal("100.00"), date(2020, 4, 10))
    part = office.billing()[reference]
    assert (part["state"], part["balance"]) == ("posted", Decimal("200.00"))
    assert [(p["amount"], p["date"]) for p in part["payments"]] == [(Decimal("100.00"), date(2020, 4, 10))]
    office.people.pay(invoice, Decimal("200.00"), date(2020, 5, 10))
    paid = office.billing()[reference]
    assert (paid["state"], paid["balance"]) == ("paid", 0)
    assert sum(p["amount"] for p in paid["payments"]) == Decimal("300.00")


def test_more_than_the_balance_is_refused_as_a_part_payment(office: Office) -> None:
    reference = office.want("over", {"Home": "30.00"})
    office.rest()
    with pytest.raises(RecordRejected):
        office.people.pay(office.invoice(reference)["id"], Decimal("30.01"), date(2020, 4, 10))
    assert office.billing()[reference]["balance"] == Decimal("30.00")


def test_a_credit_memo_nets_to_zero_and_both_documents_name_each_other(office: Office) -> None:
    invoice = office.want("billed", {"Home": "80.00", "Video": "20.00"}, currency=EUR)
    office.rest()
    memo = office.want(
        "credited",
        {"Home": "80.00", "Video": "20.00"},
        currency=EUR,
        kind="credit_memo",
        corrects="billed",
        on="2020-04-30",
    )
    office.rest()
    assert office.parked() == []
    read = office.billing()
    assert read[invoice]["total"] + read[memo]["total"] == 0
    assert read[invoice]["balance"] + read[memo]["balance"] == 0
    assert read[memo]["number"].startswith("CRN-2020-04-")
    assert read[memo]["corrects"] == [read[invoice]["id"]]
    assert [one["reference"] for one in read[invoice]["corrected_by"]] == [memo]


def test_a_credit_memo_that_finance_set_off_is_told_by_its_number(office: Office) -> None:
    invoice = office.want("owed", {"Home": "70.00"})
    office.rest()
    memo = office.want("let-go", {"Home": "70.00"}, kind="credit_memo", corrects="owed")
    office.rest()
    office.people.match(office.invoice(invoice)["id"], office.invoice(memo)["id"])
    read = office.billing()
    assert (read[invoice]["balance"], read[memo]["balance"]) == (0, 0)
    assert [(p["amount"], p["by_document"]) for p in read[invoice]["payments"]] == [
        (Decimal("70.00"), read[memo]["number"])
    ]
    assert [(p["amount"], p["by_document"]) for p in read[memo]["payments"]] == [
        (Decimal("-70.00"), read[invoice]["number"])
    ]


def test_a_credit_memo_waits_for_a_person_when_what_it_corrects_is_not_posted(office: Office) -> None:
    office.want("orphan", {"Home": "5.00"}, kind="credit_memo", corrects="never")
    office.rest()
    (parked,) = office.parked()
    assert (parked.code, parked.reason) == ("CORRECTED-UNKNOWN", "reference_missing")


# ---------------------------------------------------------------- what stops a document
def test_a_closed_period_is_refused_with_a_sentence_and_posted_after_it_was_opened(office: Office) -> None:
    office.people.close_period(date(2020, 1, 31))
    try:
        reference = office.want("closed", {"Home": "7.00"}, on="2020-01-31")
        office.rest()
        (parked,) = office.parked()
        assert (parked.code, parked.reason) == ("UserError", "period_closed")
        assert "reopen the period" in parked.sentence
        assert office.invoice(reference)["state"] == "draft"
    finally:
        office.people.reopen_period(date(2020, 1, 31))
    assert office.hub.replay(by="ops") == 1
    office.rest()
    assert office.invoice(reference)["state"] == "posted"


def test_a_question_of_tryton_is_parked_with_its_text_and_answered_by_a_person_only(office: Office) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    reference = office.want("future", {"Home": "9.00"}, on=tomorrow.isoformat())
    office.rest()
    (parked,) = office.parked()
    assert (parked.code, parked.reason) == ("UserWarning", "vendor_state")
    assert "invoice date in the future" in parked.sentence
    assert parked.owner == "Finance"
    there = office.invoice(reference)
    assert there["state"] == "draft"
    office.people.post(there["id"])
    assert office.hub.replay(by="ops") == 1
    office.rest()
    assert office.parked() == []
    assert office.invoice(reference)["state"] == "posted"


def test_a_date_before_the_last_number_is_refused_and_nothing_is_half_posted(office: Office) -> None:
    office.want("late", {"Home": "1.00"}, on="2020-06-30")
    office.rest()
    reference = office.want("early", {"Home": "2.00"}, on="2020-06-15")
    office.rest()
    (parked,) = office.parked()
    assert "you must set an invoice date after" in parked.sentence
    there = office.invoice(reference)
    assert (there["state"], there["number"]) == ("draft", None)
    office.people.redate(there["id"], date(2020, 6, 30))
    assert office.hub.replay(by="ops") == 1
    office.rest()
    assert office.invoice(reference)["state"] == "posted"


def test_a_cent_of_difference_stops_the_document_before_it_is_posted(office: Office) -> None:
    reference = office.want("cent", {"Home": "55.00"})
    office.proxy.lose("model.account.invoice.create", arrives=True)
    office.hub.push("erp")
    made = office.invoice(reference)
    office.people.reprice(made["id"], Decimal("55.01"))
    office.rest()
    (parked,) = office.parked()
    assert (parked.code, parked.reason) == ("TOTAL-MISMATCH", "validation")
    assert "55.01" in parked.sentence
    assert office.invoice(reference)["state"] == "draft"
    with pytest.raises(RecordRejected, match="must equal the source value"):
        office.people.post(made["id"])  # Tryton holds the same total, so nobody can post it by mistake
    office.people.reprice(made["id"], Decimal("55.00"))
    office.hub.replay(by="ops")
    office.rest()
    assert office.invoice(reference)["state"] == "posted"


# ---------------------------------------------------------------- reading back, checking, counting
def test_changes_come_in_pages_each_once_and_again_inside_the_overlap(office: Office, erp: TrytonServer) -> None:
    references = [office.want(f"page{n}", {"Home": f"{n}.00"}) for n in range(1, 4)]
    office.rest()
    connector = TrytonConnector(erp.settings(page_size=2, overlap_seconds=0))
    pages = list(connector.read("Invoice", ["reference", "number"], None))
    seen = [record.native_id for page in pages for record in page.records]
    assert len(seen) == len(set(seen)) == office.people.count()
    assert all(len(page.records) <= 2 for page in pages)
    assert {r.native["reference"] for page in pages for r in page.records} >= set(references)
    office.people.pay(office.invoice(references[0])["id"], Decimal("1.00"), date(2020, 4, 1))
    after = [
        r.native["reference"]
        for page in connector.read("Invoice", ["reference"], pages[-1].cursor)
        for r in page.records
    ]
    assert references[0] in after, "a payment is a change"
    assert set(after) <= set(references), "with it only what was written at the cursor's own moment"
    connector.close()
    wide = TrytonConnector(erp.settings(overlap_seconds=3600))
    again = [r.native_id for page in wide.read("Invoice", ["reference"], pages[-1].cursor) for r in page.records]
    assert set(again) == set(seen), "what committed late behind the cursor is read again"
    wide.close()


def test_the_check_finds_the_account_ready_and_names_what_is_missing(erp: TrytonServer) -> None:
    ready = TrytonConnector(erp.settings())
    report = ready.check({"Invoice": ["number", "balance"]}, {"Invoice": ["reference"]})
    assert report.usable, report
    assert report.account.endswith("/1")
    ready.close()
    wrong = TrytonConnector(erp.settings(product="NONE", payment_term="never", price_decimals=9))
    report = wrong.check({"Invoice": ["colour"]})
    subjects = {finding.subject for finding in report.findings if finding.severity is Severity.ERROR}
    assert subjects == {"product", "payment_term", "price_decimals", "Invoice.colour"}
    wrong.close()


def test_a_wrong_password_stops_the_connection_with_a_sentence(erp: TrytonServer) -> None:
    stranger = TrytonConnector(erp.settings(password="wrong"))
    with pytest.raises(AuthFailed, match="does not accept the password"):
        stranger.check()
    stranger.close()


def test_a_session_that_the_server_forgot_is_renewed_without_sending_anything_twice(erp: TrytonServer) -> None:
    connector = TrytonConnector(erp.settings())
    connector.check()
    connector._session._authorization = "Session b3JkZXJodWI6MjpmYWtl"
    code = f"session-{next(_numbers)}"
    item = PushItem("k", {"code": code, "name": "Acme"})
    (first,) = connector.push("Party", Operation.CREATE, [item])
    (again,) = connector.push("Party", Operation.CREATE, [item])
    assert (first.outcome, again.outcome, first.vendor_id) == (Outcome.CREATED, Outcome.CREATED, again.vendor_id)
    (taken,) = connector.push("Party", Operation.CREATE, [PushItem("k", {"code": code, "name": "Other"})])
    assert (taken.outcome, taken.reason) == (Outcome.REJECTED, "duplicate")
    (found,) = connector.find("Party", [item])
    assert found is not None
    assert found[0] == first.vendor_id
    assert [row.marker for page in connector.census("Party") for row in page].count(code) == 1
    connector.close()


def test_a_deleted_draft_is_missing_from_the_census_and_a_document_made_twice_is_seen(
    office: Office, erp: TrytonServer
) -> None:
    reference = office.want("counted", {"Home": "3.00"})
    office.rest()
    connector = TrytonConnector(erp.settings(page_size=3))
    marks = [row.marker for page in connector.census("Invoice") for row in page]
    assert marks.count(reference) == 1
    assert len(marks) == office.people.count()
    connector.close()

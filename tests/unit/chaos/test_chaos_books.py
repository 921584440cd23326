"""Billing of the kill run follows from numbers alone; the verdict on the ledger finds every planted violation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from chaos import books
from chaos.bills import CREDITED_EVERY, EACH_ROUND, MOST_UNPOSTED, all_up_to, bill, credit_id, invoice_id
from chaos.lose_replies import written
from chaos.oracle import Verdict
from cli.demo.configuration import LEDGER
from connectors.xero.documents import document
from hub import Hub, open_hub
from hub.store import lanes

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
INVOICES = 5
CREDIT = credit_id(4)


@pytest.fixture
def hub(database_url: str, tmp_path: Path) -> Iterator[Hub]:
    """A hub without connections on a migrated, empty store."""
    path = tmp_path / "orderhub.yaml"
    path.write_text(yaml.safe_dump({"store": {"url": database_url}}), encoding="utf-8")
    with open_hub(path) as opened:
        opened.migrate()
        yield opened


def post_all(hub: Hub) -> None:
    """Acknowledge every document."""
    with hub.session.database.transaction() as cur:
        claimed = lanes.claim(cur, LEDGER, "document", 500, NOW, NOW + timedelta(seconds=60), updates=False)
        for lane in claimed:
            lanes.acknowledge(cur, lane, b"{}", lane.desired_hash, 1, NOW)


def wanted(hub: Hub) -> list[str]:
    return [row[0] for row in hub.session.database.rows("SELECT document_id FROM document ORDER BY 1")]


# ---------------------------------------------------------------- billing
def test_what_is_billed_fits_the_ledger_and_is_the_same_each_time() -> None:
    bills = all_up_to(40, frozenset(credit_id(number) for number in range(1, 41)))
    assert len(bills) == 80
    assert {document(payload).reference for payload in bills.values()} == bills.keys()
    assert bills == all_up_to(40, frozenset(bills))


def test_a_second_worker_bills_the_same_and_nothing_twice(hub: Hub) -> None:
    for rounds in range(1, 4):
        bill(hub, LEDGER)
        assert wanted(hub) == [invoice_id(number) for number in range(1, rounds * EACH_ROUND + 1)]


def test_billing_waits_while_nothing_is_posted_and_credits_what_is(hub: Hub) -> None:
    for _ in range(MOST_UNPOSTED):
        bill(hub, LEDGER)
    assert MOST_UNPOSTED < len(wanted(hub)) <= MOST_UNPOSTED + EACH_ROUND
    assert not any(name.startswith("CM-") for name in wanted(hub))
    post_all(hub)
    bill(hub, LEDGER)
    credits_ = [name for name in wanted(hub) if name.startswith("CM-")]
    assert credits_ == [credit_id(n) for n in range(CREDITED_EVERY, len(wanted(hub)) - len(credits_), CREDITED_EVERY)]


@pytest.mark.parametrize("path", ["Invoices", "CreditNotes/1/Allocations"])
def test_replies_to_writes_of_the_ledger_are_lost_and_those_to_reads_are_not(path: str) -> None:
    assert written("PUT", f"/api.xro/2.0/{path}?unitdp=4", b"{}") == f"PUT /api.xro/2.0/{path}"
    assert written("GET", f"/api.xro/2.0/{path}", b"") is None
    assert written("POST", "/connect/token", b"grant_type=client_credentials") is None


# ---------------------------------------------------------------- the verdict
class Books:
    """The ledger as it should be; a test spoils it."""

    def __init__(self) -> None:
        self.bills = all_up_to(INVOICES, frozenset([CREDIT]))
        self.documents: list[dict[str, Any]] = [self.row(name) for name in self.bills]
        self.allocations: list[dict[str, Any]] = [
            {"CreditNoteID": f"id-{CREDIT}", "Amount": str(self.bills[CREDIT]["total"])}
        ]
        self.referred = [(name, f"id-{name}") for name in self.bills]
        self.known = list(self.bills)

    def row(self, name: str) -> dict[str, Any]:
        kind = "CreditNote" if name.startswith("CM-") else "Invoice"
        total = str(self.bills[name]["total"])
        named = {f"{kind}Number": name, f"{kind}ID": f"id-{name}"}
        return {**named, "Status": "AUTHORISED", "Total": total, "CurrencyCode": "USD"}

    def judged(self) -> Verdict:
        """What the run would say."""

        def rows(statement: str, _: object) -> list[tuple[str, ...]]:
            return [(name,) for name in self.known] if "document_id" in statement else list(self.referred)

        store = SimpleNamespace(session=SimpleNamespace(database=SimpleNamespace(rows=rows)))
        ledger = SimpleNamespace(objects=lambda table: getattr(self, table))
        ground: Any = SimpleNamespace(hub=store, ledger=ledger)
        verdict = Verdict()
        books.judge(ground, verdict)
        return verdict


def again(spoiled: Books, **changes: Any) -> None:
    spoiled.documents.append({**spoiled.documents[0], "InvoiceID": "another", **changes})


SPOILED: dict[str, tuple[Callable[[Books], object], str]] = {
    "a document is missing": (lambda b: b.documents.pop(0), "INV-00001 is not in the ledger"),
    "a document is only a draft": (lambda b: b.documents[0].update(Status="DRAFT"), "INV-00001 is DRAFT"),
    "a document was voided": (lambda b: b.documents[0].update(Status="VOIDED"), "INV-00001 is not in the ledger"),
    "a total is another": (lambda b: b.documents[0].update(Total="1.00"), "INV-00001 has 1.00 USD"),
    "a credit was not set off": (lambda b: b.allocations.clear(), "credit CM-00004 is set off with None"),
    "the hub forgot a document": (lambda b: b.known.remove("INV-00002"), "the hub knows no document INV-00002"),
    "a document exists twice": (again, "1 vendor objects beyond one"),
    "a draft lies beside a document": (lambda b: again(b, Status="DRAFT"), "1 vendor objects beyond one"),
    "a credit was set off twice": (lambda b: b.allocations.append(b.allocations[0]), "1 vendor objects beyond one"),
    "a reference is another's": (lambda b: b.referred.append(("INV-00001", "id-INV-00002")), "which is INV-00002"),
    "nobody billed it": (lambda b: again(b, InvoiceNumber="INV-9"), "nobody billed INV-9"),
}


def test_books_in_order_have_nothing_lost_and_nothing_doubled() -> None:
    verdict = Books().judged()
    assert verdict.held
    assert verdict.documents == INVOICES + 1


def test_a_draft_that_was_thrown_away_is_no_document() -> None:
    spoiled = Books()
    again(spoiled, Status="DELETED")
    assert spoiled.judged().held


@pytest.mark.parametrize("fault", SPOILED)
def test_what_is_wrong_in_the_ledger_is_found(fault: str) -> None:
    spoiled = Books()
    spoil, sentence = SPOILED[fault]
    spoil(spoiled)
    verdict = spoiled.judged()
    assert not verdict.held
    assert [one for one in verdict.sentences() if sentence in one], verdict.sentences()

"""Reading back from the simulated account: number, status, balance, payments and credits, and nothing is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Page, Severity
from connectors.errors import AuthFailed, Misconfigured, RetryLater, SchemaDrift
from connectors.netsuite import NetSuiteConnector

from .conftest import Account, invoice, memo, post

Connect = Callable[..., NetSuiteConnector]


def natives(pages: Iterator[Page]) -> dict[str, dict[str, Any]]:
    return {str(r.native["reference"]): dict(r.native) for page in pages for r in page.records}


def last_cursor(pages: Iterator[Page]) -> str:
    return list(pages)[-1].cursor


def test_a_posted_invoice_is_read_with_everything_the_books_know(account: Account, connect: Connect) -> None:
    connector = connect()
    posted = post(connector, invoice("DOC-1", "150.00", currency="EUR", due_date="2026-12-01"))
    shown = natives(connector.billing(None))["DOC-1"]
    assert shown == {
        "reference": "DOC-1",
        "kind": "invoice",
        "number": "INV000001",
        "state": "open",
        "party": "ADV-1",
        "currency": "EUR",
        "date": date(2026, 11, 1),
        "due_date": date(2026, 12, 1),
        "total": Decimal("150.00"),
        "balance": Decimal("150.00"),
        "payments": [],
        "corrects": [],
        "corrected_by": [],
        "id": posted.vendor_id,
    }


def test_part_payments_are_read_until_the_invoice_is_paid(account: Account, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("DOC-1", "150.00"))
    cursor = last_cursor(connector.billing(None))
    account.advance(3600)
    number = account.pay("DOC-1", "40.00", "2026-11-20")
    shown = natives(connector.billing(cursor))["DOC-1"]
    assert (shown["state"], shown["balance"]) == ("open", Decimal("110.00"))
    assert [(p["number"], p["date"], p["amount"], p["by_document"]) for p in shown["payments"]] == [
        (number, date(2026, 11, 20), Decimal("40.00"), None)
    ]
    account.pay("DOC-1", "110.00")
    shown = natives(connector.billing(cursor))["DOC-1"]
    assert (shown["state"], shown["balance"], len(shown["payments"])) == ("paid", 0, 2)


def test_a_payment_is_seen_even_if_it_leaves_the_time_of_its_invoice_alone(account: Account, connect: Connect) -> None:
    account.prefer(payment_touches_invoice=False)
    connector = connect()
    post(connector, invoice("DOC-1", "150.00"))
    account.advance(7200)
    post(connector, invoice("DOC-2"))  # moves the cursor so far that the overlap does not reach back to the first
    cursor = last_cursor(connector.read("Invoice", ["reference"], None))
    account.advance(7200)
    account.pay("DOC-1", "150.00")
    shown = natives(connector.read("Invoice", ["reference", "state", "balance"], cursor))
    assert set(shown) == {"DOC-1", "DOC-2"}
    assert (shown["DOC-1"]["state"], shown["DOC-1"]["balance"]) == ("paid", 0)


@pytest.mark.parametrize("page_size", [1, 2, 3, 500])
def test_every_change_is_read_in_any_pages(account: Account, connect: Connect, page_size: int) -> None:
    connector = connect(page_size=page_size)
    for number in range(5):
        assert post(connector, invoice(f"DOC-{number}", f"{number + 1}.00")).outcome == "created"
    post(connector, memo("CR-1", "DOC-1", "1.00"))
    pages = list(connector.billing(None))
    assert set(natives(iter(pages))) == {*(f"DOC-{n}" for n in range(5)), "CR-1"}
    assert pages[-1].last
    assert not any(page.last for page in pages[:-1])
    assert {r.native["reference"] for p in connector.read("CreditMemo", ["reference"], None) for r in p.records} == {
        "CR-1"
    }


def test_the_overlap_is_read_again_and_the_cursor_never_goes_back(account: Account, connect: Connect) -> None:
    connector = connect(overlap_seconds=120)
    post(connector, invoice("DOC-1"))
    account.advance(60)
    post(connector, invoice("DOC-2"))
    cursor = last_cursor(connector.billing(None))
    pages = list(connector.billing(cursor))
    assert set(natives(iter(pages))) == {"DOC-1", "DOC-2"}
    assert pages[-1].cursor == cursor
    account.advance(86_400)
    assert set(natives(connect(overlap_seconds=0).billing(cursor))) == {"DOC-2"}


def test_nothing_is_missed_when_clocks_go_back(account: Account, connect: Connect) -> None:
    """01:55 summer time, then 01:05 winter time: ten minutes later, but fifty minutes earlier on the account's clock."""
    account.control("clock", now="2026-11-01T08:55:00Z", running=False)
    connector = connect(overlap_seconds=60)
    post(connector, invoice("DOC-1"))
    cursor = last_cursor(connector.billing(None))
    account.control("clock", now="2026-11-01T09:05:00Z")
    post(connector, invoice("DOC-2"))
    assert "DOC-2" in natives(connector.billing(cursor))


def test_a_voided_invoice_says_so(account: Account, connect: Connect) -> None:
    connector = connect()
    posted = post(connector, invoice("DOC-1"))
    account.control("void", record="invoice", key="eid:DOC-1")
    found = connector.fetch("Invoice", ["state", "total"], [str(posted.vendor_id), "999", "x"])
    assert found == {posted.vendor_id: {"id": posted.vendor_id, "state": "voided", "total": 0}}


def test_what_waits_for_approval_has_no_balance(account: Account, connect: Connect) -> None:
    account.prefer(tax_percent="10")
    connector = connect()
    assert post(connector, invoice("DOC-1", "100.00")).code == "TOTAL-MISMATCH"
    shown = natives(connector.billing(None))["DOC-1"]
    assert (shown["state"], shown["total"], shown["balance"]) == ("pending_approval", Decimal("110.00"), None)


def test_a_census_counts_every_document_and_customer_once(account: Account, connect: Connect) -> None:
    connector = connect(page_size=2)
    for number in range(5):
        post(connector, invoice(f"DOC-{number}"))
    account.control("void", record="invoice", key="eid:DOC-3")
    rows = [row for page in connector.census("Invoice") for row in page]
    assert sorted((row.marker, row.archived) for row in rows) == [(f"DOC-{n}", n == 3) for n in range(5)]
    assert [row.marker for page in connector.census("Customer") for row in page] == ["ADV-1"]


def test_customers_are_read(account: Account, connect: Connect) -> None:
    id_ = account.customer("ADV-1", "Acme Media")
    pages = list(connect().read("Customer", ["code", "name", "active"], None))
    assert [dict(r.native) for p in pages for r in p.records] == [
        {"id": id_, "code": "ADV-1", "name": "Acme Media", "active": True}
    ]


def test_unknown_fields_records_and_cursors_are_refused(connect: Connect) -> None:
    connector = connect()
    with pytest.raises(SchemaDrift):
        connector.fetch("Invoice", ["lines"], ["1"])
    with pytest.raises(Misconfigured):
        connector.fetch("Budget", [], ["1"])
    for cursor in ("x", "[]", '{"t": 1, "id": 2}', '{"t": "2026-11-01T00:00:00Z", "id": 1}'):
        with pytest.raises(Misconfigured, match="cursor"):
            list(connector.billing(cursor))


def test_the_check_names_what_is_missing_and_writes_nothing(account: Account, connect: Connect) -> None:
    report = connect(item="Banner").check({"Invoice": ["number", "colour"], "Budget": []})
    assert report.account == "1234567"
    errors = {f.subject for f in report.findings if f.severity is Severity.ERROR}
    assert errors == {"item", "Invoice.colour", "Budget"}
    good = connect().check({"Invoice": ["number"]}, {"Invoice": ["reference", "lines"]})
    assert good.usable
    assert not [name for name in account.calls() if name.startswith(("PUT", "POST", "PATCH"))]


def test_the_check_warns_when_no_period_is_open(account: Account, connect: Connect) -> None:
    today = date.today()  # noqa: DTZ011 - only tells which months may be the account's today
    for year in (today.year, 2026):
        for month in range(1, 13):
            response = account.http.post(
                f"{account.url}/control/period", json={"period": f"{year}-{month:02}", "closed": True}, timeout=60
            )
            assert response.status_code in (200, 400)
    findings = connect().check().findings
    assert [f.subject for f in findings if f.severity is Severity.WARNING] == ["accountingperiod"]


def test_a_read_that_fails_is_certainly_harmless(account: Account, connect: Connect) -> None:
    for fault in ("lost_reply", "html_503"):
        account.fault(fault, "suiteql")
        with pytest.raises(RetryLater):
            list(connect().billing(None))


def test_a_token_that_is_never_accepted_stops_the_connection(account: Account, connect: Connect) -> None:
    account.control("setup", token_seconds=0)
    with pytest.raises(AuthFailed):
        list(connect().billing(None))
    assert account.calls()["token"] == 2

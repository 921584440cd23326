"""Reading from the simulated organisation: every change is seen, payments and balances come back, requests are paced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import (
    ComparesRecords,
    CountsRecords,
    ObservesRecords,
    Operation,
    Page,
    PushesRecords,
    ReadsChanges,
    ReportsBilling,
    Severity,
)
from connectors.errors import Misconfigured, Paced, QuotaExhausted, RetryLater, SchemaDrift
from connectors.xero import XeroConnector
from connectors.xero.webhooks import notification, status_for

from .conftest import Organisation, credit, invoice

Connect = Callable[..., XeroConnector]
FIELDS = ["reference", "state", "total", "balance", "payments"]


def post(connector: XeroConnector, *items: Any) -> None:
    for result in connector.push("Invoice", Operation.CREATE, items):
        assert result.outcome.value == "created", result


def seen(pages: Iterable[Page]) -> list[str]:
    return [str(record.native["reference"]) for page in pages for record in page.records]


def last_cursor(pages: Iterable[Page]) -> str:
    return list(pages)[-1].cursor


def test_part_payments_and_credits_change_balance_and_state_until_paid(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "1250.00"))
    cursor = last_cursor(connector.read("Invoice", FIELDS, None))
    organisation.advance(600)
    organisation.control("pay", invoice="INV-1", amount="400.00", date="2026-12-04", reference="wire 1")
    (page,) = connector.read("Invoice", FIELDS, cursor)
    (record,) = page.records
    assert (record.native["state"], record.native["balance"]) == ("AUTHORISED", Decimal("850.00"))
    (paid,) = record.native["payments"]
    assert (paid["amount"], paid["date"], paid["number"], paid["by_document"]) == (
        Decimal("400.00"),
        date(2026, 12, 4),
        "wire 1",
        None,
    )
    organisation.advance(600)
    post(connector, credit("CM-1", "INV-1", "50.00"))
    organisation.control("pay", invoice="INV-1", amount="800.00")
    (record,) = next(connector.read("Invoice", [*FIELDS, "paid_on"], page.cursor)).records
    assert (record.native["state"], record.native["balance"]) == ("PAID", Decimal("0.00"))
    assert [(p["amount"], p["by_document"]) for p in record.native["payments"]] == [
        (Decimal("400.00"), None),
        (Decimal("800.00"), None),
        (Decimal("50.00"), "CM-1"),
    ]
    (corrected,) = next(connector.read("Invoice", ["corrected_by"], page.cursor)).records[0].native["corrected_by"]
    assert (corrected["reference"], corrected["total"]) == ("CM-1", Decimal("-50.00"))
    (memo,) = next(connector.read("CreditMemo", ["total", "balance", "corrects"], None)).records
    assert memo.native == {
        "id": memo.native_id,
        "total": Decimal("-50.00"),
        "balance": Decimal("0.00"),
        "corrects": ["INV-1"],
    }


def test_a_deleted_payment_reopens_the_invoice_and_is_shown_as_deleted(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "10.00"))
    payment = organisation.control("pay", invoice="INV-1", amount="10.00")["id"]
    organisation.advance(300)
    organisation.control("unpay", id=payment)
    (record,) = next(connector.read("Payment", ["state", "amount", "invoice"], None)).records
    assert record.native == {"id": payment, "state": "DELETED", "amount": Decimal("10.00"), "invoice": "INV-1"}
    (shown,) = next(connector.read("Invoice", FIELDS, None)).records
    assert (shown.native["state"], shown.native["balance"], shown.native["payments"]) == (
        "AUTHORISED",
        Decimal("10.00"),
        [],
    )


def test_a_payment_above_the_balance_is_refused_by_the_organisation(
    organisation: Organisation, connect: Connect
) -> None:
    post(connect(), invoice("INV-1", "10.00"))
    response = organisation.http.post(
        f"{organisation.url}/control/pay", json={"invoice": "INV-1", "amount": "10.01"}, timeout=60
    )
    assert response.status_code == 400
    assert "exceeds the amount outstanding" in response.json()["error"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_change_is_seen_whatever_the_page_size_and_however_many_share_a_moment(
    organisation: Organisation, connect: Connect, size: int
) -> None:
    connector = connect()
    for start in (0, 3, 6):
        post(connector, *(invoice(f"INV-{n}") for n in range(start, start + 3)))
        organisation.advance(7.25)
    pages = list(connect(page_size=size).read("Invoice", FIELDS, None))
    assert sorted(set(seen(pages))) == [f"INV-{n}" for n in range(9)]
    times = [record.modified_at for page in pages for record in page.records]
    assert times == sorted(times)
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]


def test_a_record_that_moves_while_pages_are_read_hides_no_other(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    for n in range(6):
        post(connector, invoice(f"INV-{n}"))
        organisation.advance(5)
    pages = connect(page_size=2).read("Invoice", FIELDS, None)
    read = [next(pages)]
    organisation.control("pay", invoice="INV-0", amount="1.00")  # moves from the first page to the end
    read += list(pages)
    found = seen(read)
    assert set(found) == {f"INV-{n}" for n in range(6)}
    assert found.count("INV-0") == 2
    assert found[-1] == "INV-0"


def test_a_read_begins_an_overlap_behind_its_cursor_and_never_moves_it_back(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect(overlap_seconds=60)
    post(connector, invoice("OLD"))
    organisation.advance(200)
    post(connector, invoice("NEW"))
    first = list(connector.read("Invoice", FIELDS, None))
    again = list(connector.read("Invoice", FIELDS, first[-1].cursor))
    assert (seen(first), seen(again)) == (["OLD", "NEW"], ["NEW"])
    assert again[-1].cursor == first[-1].cursor
    # What was stamped before our read but shown after it lies inside the overlap.
    organisation.control("clock", advance_seconds=-30)
    post(connector, invoice("LATE"))
    assert seen(connector.read("Invoice", FIELDS, first[-1].cursor)) == ["LATE", "NEW"]


def test_bills_of_suppliers_are_nobodys_business(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("INV-1"))
    drafted = next(e for e in organisation.recorder.exchanges if (e.method, e.path) == ("PUT", "/Invoices"))
    headers = {n: drafted.headers[n] for n in ("authorization", "xero-tenant-id")}
    bill = {**drafted.request["Invoices"][0], "Type": "ACCPAY", "InvoiceNumber": "INV-2"}
    organisation.http.put(
        f"{organisation.url}/api.xro/2.0/Invoices", json={"Invoices": [bill]}, headers=headers, timeout=60
    )
    assert len(organisation.state("documents")) == 2
    assert seen(connector.read("Invoice", FIELDS, None)) == ["INV-1"]
    post(connector, invoice("INV-2"))
    assert sorted(seen(connector.read("Invoice", FIELDS, None))) == ["INV-1", "INV-2"]


def test_billing_brings_invoices_and_credit_memos_under_one_cursor(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "100.00"))
    organisation.advance(600)
    post(connector, invoice("INV-2"))
    pages = list(connector.billing(None))
    assert (seen(pages), [p.last for p in pages]) == (["INV-1", "INV-2"], [False, True])
    organisation.advance(600)
    post(connector, credit("CM-1", "INV-1", "10.00"))
    assert seen(connector.billing(pages[-1].cursor)) == ["INV-2", "INV-1", "CM-1"]  # INV-2 lies in the overlap


def test_present_state_by_id_and_what_differs_from_what_was_billed(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    item, memo = invoice("INV-1", "100.00"), credit("CM-1", "INV-1", "10.00")
    ids = [str(r.vendor_id) for r in connector.push("Invoice", Operation.CREATE, [item, memo])]
    shown = connector.observe("Invoice", [*ids, "00000000-0000-4000-8000-000000000000", "no id"])
    assert list(shown) == ids
    assert connector.differences("Invoice", item.payload, shown[ids[0]]) == []
    assert connector.differences("Invoice", memo.payload, shown[ids[1]]) == []
    (different,) = connector.differences("Invoice", invoice("INV-1", "100.01").payload, shown[ids[0]])
    assert (different.path, different.wanted, different.present) == ("total", Decimal("100.01"), Decimal("100.00"))
    assert list(connector.observe("CreditMemo", ids)) == ids[1:]
    payment = organisation.control("pay", invoice="INV-1", amount="1.00")["id"]
    assert list(connector.fetch("Payment", ["amount"], [payment])) == [payment]


def test_a_census_counts_everything_once(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    post(connector, *(invoice(f"INV-{n}") for n in range(5)))
    organisation.control("status", id=organisation.document("INV-3")["InvoiceID"], status="VOIDED")
    rows = [row for page in connect(page_size=2).census("Invoice") for row in page]
    assert sorted((row.marker, row.archived) for row in rows) == [(f"INV-{n}", n == 3) for n in range(5)]
    assert [row.marker for page in connector.census("Party") for row in page] == ["ADV-1"]


def test_reads_that_cannot_work_are_refused_before_any_request(connect: Connect) -> None:
    connector = connect(endpoint="http://127.0.0.1:9")
    with pytest.raises(SchemaDrift):
        list(connector.read("Invoice", ["colour"], None))
    for cursor in ("x", '{"t": "2026-12-05T09:00:00", "id": "x"}', '{"t": 1}'):
        with pytest.raises(Misconfigured):
            list(connector.read("Invoice", FIELDS, cursor))
        with pytest.raises(Misconfigured):
            list(connector.billing(cursor))
    with pytest.raises(Misconfigured):
        list(connector.read("Bill", [], None))
    with pytest.raises(Misconfigured):
        connector.push("Invoice", Operation.UPDATE, [invoice()])
    with pytest.raises(RetryLater, match="No connection"):
        list(connector.read("Invoice", FIELDS, None))


def test_each_counted_request_is_paced_first_and_none_leaves_when_there_is_no_room(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    paced: list[int] = []
    connector.pace = lambda: paced.append(1)  # type: ignore[method-assign]
    post(connector, invoice("INV-1"), credit("CM-0", "INV-1", "1.00"))
    counted = sum(n for name, n in organisation.calls().items() if name != "token")
    assert len(paced) == counted > 5

    def full() -> None:
        raise Paced("PACED", "no room", 7.0, "xero-minute")

    connector.pace = full  # type: ignore[method-assign]
    with pytest.raises(Paced):
        post(connector, invoice("INV-2"))
    assert sum(n for name, n in organisation.calls().items() if name != "token") == counted


def test_declared_rates_never_exceed_a_window_of_the_vendor(connect: Connect) -> None:
    minute, day = connect().capabilities.rates
    assert (minute.limit + minute.burst, minute.per) == (60, 60.0)
    assert (day.limit + day.burst, day.per) == (4750, 86_400.0)


def test_each_limit_of_the_vendor_closes_its_own_bucket_for_its_own_time(
    organisation: Organisation, connect: Connect
) -> None:
    organisation.control("limits", minute=2, day=5_000)
    connector = connect()
    with pytest.raises(QuotaExhausted) as caught:
        post(connector, invoice("INV-1"))
    assert (caught.value.limit, caught.value.after) == ("xero-minute", 60.0)
    organisation.control("limits", minute=60, day=0)
    with pytest.raises(QuotaExhausted) as caught:
        post(connector, invoice("INV-1"))
    assert (caught.value.limit, caught.value.after) == ("xero-day", 15 * 3600.0)
    assert connector.day_left == 0


def test_the_connector_is_all_that_it_declares(connect: Connect) -> None:
    connector = connect()
    for protocol in (ReadsChanges, PushesRecords, ObservesRecords, ComparesRecords, CountsRecords, ReportsBilling):
        assert isinstance(connector, protocol)
    assert any("no real organisation" in how for how in connector.capabilities.verified_by)


def test_check_names_the_organisation_and_what_is_wrong_with_the_settings(
    organisation: Organisation, connect: Connect
) -> None:
    organisation.control("setup", period_lock="2026-10-31")
    good = connect().check({"Invoice": ["balance"]})
    assert good.usable
    assert "Acme Media Ltd" in good.account
    assert any("2026-10-31" in finding.sentence for finding in good.findings)
    bad = connect(account_code="999", line_amounts="Exclusive", tax_type="NOPE").check({}, {"Invoice": ["colour"]})
    subjects = {finding.subject for finding in bad.findings if finding.severity is Severity.ERROR}
    assert subjects == {"account_code", "tax_type", "Invoice.colour"}
    assert any(f.severity is Severity.WARNING for f in connect(account_code="090").check().findings)
    assert all(name.startswith("GET") or name == "token" for name in organisation.calls())


def test_a_webhook_signed_by_the_vendor_says_what_to_read(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "10.00"), credit("CM-1", "INV-1", "1.00"))
    sent = organisation.control("webhook", key="hook-key")
    body = sent["body"].encode()
    assert status_for(body, sent["signature"], ["old-key", "hook-key"]) == 200
    assert status_for(body, sent["signature"], ["old-key"]) == 401
    assert status_for(body + b" ", sent["signature"], ["hook-key"]) == 401
    said = notification(body)
    assert {notice.stream for notice in said.notices} == {"Party", "Invoice", "CreditMemo"}
    ids = [notice.native_id for notice in said.notices if notice.stream == "Invoice" and notice.created]
    assert connector.observe("Invoice", ids)[ids[0]]["reference"] == "INV-1"

"""Posting to the simulated account: each document once, equal to the cent, or parked with a sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Operation, PushItem
from connectors.errors import AuthFailed, ConnectorError, OutcomeUnknown, Paced, QuotaExhausted, RetryLater
from connectors.netsuite import NetSuiteConnector

from .conftest import Account, invoice, item, memo, post

Connect = Callable[..., NetSuiteConnector]
WRITES = ("PUT invoice", "PATCH invoice")


def test_an_invoice_is_posted_with_its_lines_customer_and_number(account: Account, connect: Connect) -> None:
    lines = [
        {
            "description": "Homepage",
            "quantity": Decimal("987.654"),
            "unit_price": Decimal("12.50"),
            "amount": Decimal("12345.68"),
        },
        {"description": "Newsletter", "amount": Decimal("0.32")},
    ]
    result = post(connect(), invoice(total="12346.00", lines=lines, due_date="2026-12-01", currency="EUR"))
    assert result.outcome == "created"
    assert result.evidence == {"number": "INV000001", "state": "Open", "total": "12346.00", "reference": "DOC-1"}
    (there,) = account.state("invoice")
    assert (there["id"], there["externalId"], there["approvalStatus"]) == (result.vendor_id, "DOC-1", "2")
    assert (there["tranDate"], there["dueDate"], there["total"], there["currency"]) == (
        "2026-11-01",
        "2026-12-01",
        "12346.00",
        "2",
    )
    assert [(line["quantity"], line["rate"], line["amount"]) for line in there["item"]] == [
        ("987.654", "12.50", "12345.68"),
        ("1", "0.32", "0.32"),
    ]


def test_posting_again_changes_nothing(account: Account, connect: Connect) -> None:
    first, second = post(connect(), invoice()), post(connect(), invoice())
    assert (second.outcome, second.vendor_id) == (first.outcome, first.vendor_id)
    assert [line["amount"] for line in account.state("invoice")[0]["item"]] == ["150.00"]
    assert (account.calls()["PUT invoice"], account.calls()["PATCH invoice"]) == (1, 1)


@pytest.mark.parametrize("fault", ["lost_request", "lost_reply", "html_503", "slow_reply"])
@pytest.mark.parametrize("operation", WRITES)
def test_a_lost_answer_at_any_step_leaves_one_invoice(
    account: Account, connect: Connect, fault: str, operation: str
) -> None:
    account.fault(fault, operation, seconds=5)
    connector = connect(timeout_seconds=2.5 if fault == "slow_reply" else 30)
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice())
    assert account.calls()[operation] == 1
    found = connector.find("Invoice", [item(invoice())])[0]
    assert (found is not None) is (operation == "PATCH invoice" and fault in ("lost_reply", "slow_reply"))
    result = post(connector, invoice())
    assert result.outcome == "created"
    (there,) = account.state("invoice")
    assert (there["id"], there["approvalStatus"], len(there["item"])) == (result.vendor_id, "2", 1)


@pytest.mark.parametrize("fault", ["lost_request", "lost_reply", "html_503", "slow_reply"])
def test_a_doubt_about_the_customer_is_none_about_the_document(account: Account, connect: Connect, fault: str) -> None:
    account.fault(fault, "PUT customer", seconds=5)
    connector = connect(timeout_seconds=2.5 if fault == "slow_reply" else 30)
    with pytest.raises(RetryLater, match="No document was created"):
        post(connector, invoice())
    assert account.state("invoice") == []
    assert post(connector, invoice()).outcome == "created"
    assert [row["externalId"] for row in customers(account)] == ["ADV-1"]


def test_a_save_that_arrives_late_neither_doubles_lines_nor_takes_the_approval_back(
    account: Account, connect: Connect
) -> None:
    connector = connect()
    account.fault("late_commit", "PUT invoice", seconds=600)
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice())
    result = post(connector, invoice())
    before = account.state("invoice")[0]["lastModifiedDate"]
    account.advance(60)
    account.let_late_requests_arrive()
    (there,) = account.state("invoice")
    assert there["lastModifiedDate"] != before, "the late request never arrived"
    assert (there["id"], there["approvalStatus"], len(there["item"])) == (result.vendor_id, "2", 1)


def test_a_script_that_refuses_after_the_save_does_not_hide_the_invoice(account: Account, connect: Connect) -> None:
    account.fault("after_submit", "PUT invoice")
    assert post(connect(), invoice()).outcome == "created"
    assert len(account.state("invoice")) == 1


def test_two_workers_at_once_post_one_invoice(account: Account, connect: Connect) -> None:
    account.control("setup", concurrency=50)
    connectors = [connect() for _ in range(4)]
    outcomes: list[str] = []

    def work(connector: NetSuiteConnector) -> None:
        try:
            outcomes.append(str(post(connector, invoice()).outcome))
        except ConnectorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=work, args=(connector,)) for connector in connectors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "created" in outcomes
    assert post(connectors[0], invoice()).outcome == "created"
    assert [len(row["item"]) for row in account.state("invoice")] == [1]


@pytest.mark.parametrize(
    "preference",
    [{"tax_percent": "7"}, {"recalculate": True, "rounding": "half_even"}],
)
def test_another_total_stops_the_document_before_it_is_posted(
    account: Account, connect: Connect, preference: dict[str, Any]
) -> None:
    account.prefer(**preference)
    line = {"description": "H", "quantity": Decimal("0.25"), "unit_price": Decimal("0.50"), "amount": Decimal("0.13")}
    document = invoice(total="0.13", lines=[line])
    result = post(connect(), document)
    assert (result.outcome.value, result.code, result.path) == ("rejected", "TOTAL-MISMATCH", "total")
    assert "is not posted" in (result.message or "")
    (there,) = account.state("invoice")
    assert there["approvalStatus"] == "1"
    assert connect().find("Invoice", [item(document)]) == [None]


def test_the_tax_that_was_expected_is_no_difference(account: Account, connect: Connect) -> None:
    account.prefer(tax_percent="7")
    connector = connect()
    result = post(connector, invoice("DOC-1", "150.00", tax="10.50"))
    assert (result.outcome.value, result.evidence.get("total")) == ("created", "160.50")
    assert post(connector, memo("CR-1", "DOC-1", "150.00", tax="10.50")).outcome == "created"
    assert post(connector, invoice("DOC-2", "150.00", tax="10.51")).code == "TOTAL-MISMATCH"
    shown = {r.native["reference"]: r.native["balance"] for page in connector.billing(None) for r in page.records}
    assert (shown["DOC-1"], shown["CR-1"]) == (0, 0)


def test_long_texts_neither_stop_nor_distort_a_document(account: Account, connect: Connect) -> None:
    connector = connect()
    party = {"code": "ADV-2", "name": "N" * 84}
    result = post(connector, invoice("DOC-1", description="d" * 2000, party=party))
    assert (result.code, result.path) == ("CUSTOMER-NAME", "party.name")
    account.customer("ADV-2", "Short")
    assert post(connector, invoice("DOC-1", description="d" * 2000, party=party)).outcome == "created"
    assert len(account.state("invoice")[0]["memo"]) == 999


def test_an_external_id_in_another_spelling_is_the_same_customer(account: Account, connect: Connect) -> None:
    id_ = account.customer("adv-1", "Acme Media")
    assert post(connect(), invoice()).outcome == "created"
    assert account.state("invoice")[0]["entity"] == id_
    assert "PUT customer" not in account.calls()


def test_without_approval_routing_another_total_is_said_to_be_in_the_books(account: Account, connect: Connect) -> None:
    account.prefer(approval_routing=False)
    assert post(connect(), invoice("DOC-1")).outcome == "created"
    account.prefer(tax_percent="7")
    result = post(connect(), invoice("DOC-2"))
    assert result.code == "TOTAL-MISMATCH"
    assert "It is in the books there" in (result.message or "")
    assert connect().find("Invoice", [item(invoice("DOC-2"))]) == [None]


def test_a_document_that_somebody_changed_before_approval_is_not_posted(account: Account, connect: Connect) -> None:
    account.fault("lost_reply", "PUT invoice")
    with pytest.raises(OutcomeUnknown):
        post(connect(), invoice())
    account.control("edit", record="invoice", key="eid:DOC-1", fields={"tranDate": "2026-11-02"})
    result = post(connect(), invoice())
    assert (result.code, result.path) == ("DOCUMENT-DIFFERS", "date")
    assert account.state("invoice")[0]["approvalStatus"] == "1"


def test_a_rejected_approval_is_told(account: Account, connect: Connect) -> None:
    account.fault("lost_reply", "PUT invoice")
    with pytest.raises(OutcomeUnknown):
        post(connect(), invoice())
    account.control("approve", record="invoice", key="eid:DOC-1", status="3")
    result = post(connect(), invoice())
    assert (result.code, result.reason) == ("NOT-APPROVED", "approval")


def test_a_closed_period_parks_the_document_with_nothing_posted(account: Account, connect: Connect) -> None:
    account.control("period", period="2026-11", closed=True)
    result = post(connect(), invoice())
    assert (result.outcome.value, result.code, result.reason) == ("rejected", "USER_ERROR", "period_closed")
    assert "Finance opens the period" in (result.message or "")
    assert account.state("invoice") == []
    account.control("period", period="2026-11", closed=False)
    assert post(connect(), invoice()).outcome == "created"


def test_a_period_closed_between_save_and_approval_leaves_a_draft_that_is_told(
    account: Account, connect: Connect
) -> None:
    account.fault("lost_reply", "PUT invoice")
    with pytest.raises(OutcomeUnknown):
        post(connect(), invoice())
    account.control("period", period="2026-11", closed=True)
    result = post(connect(), invoice())
    assert (result.outcome.value, result.reason) == ("rejected", "period_closed")
    assert "waiting for approval and not posted" in (result.message or "")


def test_an_invoice_date_going_backwards_is_parked_where_the_account_forbids_it(
    account: Account, connect: Connect
) -> None:
    assert post(connect(), invoice("DOC-1", date="2026-11-02")).outcome == "created"
    assert post(connect(), invoice("DOC-2", date="2026-11-01")).outcome == "created"
    account.prefer(chronological=True)
    result = post(connect(), invoice("DOC-3", date="2026-10-31"))
    assert (result.outcome.value, result.code, result.reason) == ("rejected", "USER_ERROR", "validation")
    assert "may not be before 2026-11-02" in (result.message or "")
    assert len(account.state("invoice")) == 2


def test_a_credit_memo_nets_the_invoice_to_zero(account: Account, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("DOC-1", "150.00"))
    result = post(connector, memo("CR-1", "DOC-1", "150.00"))
    assert result.evidence["number"] == "CM000001"
    shown = {record.native["reference"]: record.native for page in connector.billing(None) for record in page.records}
    assert (shown["DOC-1"]["state"], shown["DOC-1"]["balance"]) == ("paid", 0)
    assert (shown["CR-1"]["state"], shown["CR-1"]["balance"], shown["CR-1"]["total"]) == (
        "applied",
        0,
        Decimal("-150.00"),
    )
    assert shown["CR-1"]["corrects"] == ["DOC-1"]
    assert [one["reference"] for one in shown["DOC-1"]["corrected_by"]] == ["CR-1"]
    assert shown["DOC-1"]["total"] + shown["CR-1"]["total"] == 0


def test_a_credit_above_what_is_left_stays_open_for_the_buyer(account: Account, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("DOC-1", "150.00"))
    account.pay("DOC-1", "100.00")
    assert post(connector, memo("CR-1", "DOC-1", "80.00")).outcome == "created"
    shown = {r.native["reference"]: r.native for page in connector.billing(None) for r in page.records}
    assert (shown["DOC-1"]["balance"], shown["CR-1"]["balance"]) == (0, Decimal("-30.00"))


def test_a_credit_memo_whose_reply_was_lost_is_one(account: Account, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("DOC-1", "150.00"))
    account.fault("lost_reply", "PUT creditMemo")
    with pytest.raises(OutcomeUnknown):
        post(connector, memo("CR-1", "DOC-1", "50.00"))
    assert post(connector, memo("CR-1", "DOC-1", "50.00")).outcome == "created"
    (there,) = account.state("creditMemo")
    assert (there["total"], len(there["item"])) == ("50.00", 1)


def test_a_credit_memo_of_an_unknown_invoice_creates_nothing(account: Account, connect: Connect) -> None:
    result = post(connect(), memo("CR-1", "DOC-9", "50.00"))
    assert (result.code, result.reason, result.path) == ("CORRECTED-UNKNOWN", "reference_missing", "corrects")
    assert account.state("creditMemo") == []


def test_an_invoice_is_made_from_a_sales_order(account: Account, connect: Connect) -> None:
    order(account)
    lines = [{"description": "Homepage", "amount": Decimal("70.00"), "order_line": 1}]
    document = invoice(total="70.00", lines=lines, order="ORD-1")
    account.fault("lost_reply", "transform salesOrder invoice")
    with pytest.raises(OutcomeUnknown):
        post(connect(), document)
    assert post(connect(), document).outcome == "created"
    (there,) = account.state("invoice")
    assert (there["createdFrom"], there["total"], len(there["item"])) == (
        account.state("salesOrder")[0]["id"],
        "70.00",
        1,
    )


def test_an_unknown_sales_order_is_told(account: Account, connect: Connect) -> None:
    result = post(connect(), invoice(order="ORD-9"))
    assert (result.code, result.path) == ("ORDER-UNKNOWN", "order")
    assert account.state("invoice") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "XAU"}, "CURRENCY-UNKNOWN"),
        ({"lines": [{"description": "H", "amount": "150.00", "product": "O'Brien"}]}, "ITEM-UNKNOWN"),
        ({"party": {"code": "NOBODY"}}, "CUSTOMER-UNKNOWN"),
        ({"total": "151.00"}, "DOCUMENT-SHAPE"),
        ({"extra": 1}, "DOCUMENT-SHAPE"),
    ],
)
def test_what_cannot_be_booked_is_parked_with_a_sentence(
    account: Account, connect: Connect, change: dict[str, Any], code: str
) -> None:
    result = post(connect(), {**invoice(), **change})
    assert (result.outcome.value, result.code) == ("rejected", code)
    assert "Nothing was created" in (result.message or "") or "No document was created" in (result.message or "")
    assert account.state("invoice") == []


def test_an_inactive_customer_is_told(account: Account, connect: Connect) -> None:
    account.customer()
    account.control("customer", externalId="ADV-1", isInactive=True)
    assert post(connect(), invoice()).code == "CUSTOMER-INACTIVE"


def test_customers_are_created_once_and_found(account: Account, connect: Connect) -> None:
    connector = connect()
    wanted = PushItem("k", {"code": "ADV-7", "name": "Seven", "city": "Berlin", "country": "DE"})
    results = [connector.push("Customer", Operation.CREATE, [wanted])[0] for _ in range(2)]
    assert [r.outcome.value for r in results] == ["created", "created"]
    assert results[0].vendor_id == results[1].vendor_id
    other = PushItem("k", {"code": "ADV-7", "name": "Another"})
    assert connector.push("Customer", Operation.CREATE, [other])[0].code == "CODE-TAKEN"
    assert connector.find("Customer", [wanted, PushItem("k", {"code": "ADV-8"})])[1] is None


def test_too_many_requests_at_once_are_certainly_not_applied(account: Account, connect: Connect) -> None:
    account.fault("quota", "PUT invoice")
    with pytest.raises(QuotaExhausted) as caught:
        post(connect(quota_pause_seconds=7), invoice())
    assert (caught.value.after, caught.value.limit) == (7, "netsuite-requests")
    assert caught.value.limit in {rate.name for rate in connect().capabilities.rates}, "else no bucket is closed"
    assert account.state("invoice") == []


def test_an_account_that_is_busy_with_another_request_refuses_the_next(account: Account, connect: Connect) -> None:
    account.control("setup", concurrency=1)
    first, second = connect(), connect()
    post(second, invoice("DOC-0"))
    account.fault("slow_reply", "PUT invoice", seconds=4)
    slow = threading.Thread(target=post, args=(first, invoice("DOC-1")))
    slow.start()
    until = time.monotonic() + 30
    while account.calls()["PUT invoice"] < 2 and time.monotonic() < until:
        threading.Event().wait(0.005)
    with pytest.raises(QuotaExhausted):
        post(second, invoice("DOC-2"))
    slow.join()
    assert [row["externalId"] for row in account.state("invoice")] == ["DOC-0", "DOC-1"]


def test_an_expired_token_is_renewed_and_the_save_made_once(account: Account, connect: Connect) -> None:
    account.fault("expired_token", "PUT invoice")
    assert post(connect(), invoice()).outcome == "created"
    assert (account.calls()["token"], account.calls()["PUT invoice"]) == (2, 2)
    assert len(account.state("invoice")) == 1


def test_a_revoked_certificate_stops_the_connection(account: Account, connect: Connect) -> None:
    account.control("setup", certificate_id="certificate-1", certificate=None)
    with pytest.raises(AuthFailed, match="certificate"):
        post(connect(), invoice())


@pytest.mark.parametrize(
    "change", [{"client_id": "somebody"}, {"certificate_id": "other"}, {"account": "7654321"}, {"algorithm": "PS512"}]
)
def test_the_log_in_is_verified(account: Account, connect: Connect, change: dict[str, Any]) -> None:
    connector = connect(**change)
    if "algorithm" in change:
        assert post(connector, invoice()).outcome == "created"
        return
    with pytest.raises(AuthFailed):
        post(connector, invoice())


def test_an_account_that_is_down_is_certainly_not_applied(connect: Connect) -> None:
    with pytest.raises(RetryLater):
        post(connect(endpoint="http://127.0.0.1:1"), invoice())


def test_each_counted_request_takes_a_token_first(account: Account, connect: Connect) -> None:
    connector = connect()
    taken: list[int] = []
    connector.pace = lambda: taken.append(1)  # type: ignore[method-assign]
    post(connector, invoice())
    counted = sum(count for name, count in account.calls().items() if name != "token")
    assert len(taken) == counted > 5


@pytest.mark.parametrize("allowed", range(9))
def test_a_pace_that_ends_between_two_requests_leaves_one_invoice(
    account: Account, connect: Connect, allowed: int
) -> None:
    connector = connect()
    left = [allowed]

    def pace() -> None:
        if left[0] == 0:
            raise Paced("PACED", "No room.", after=1.0, limit="netsuite-requests")
        left[0] -= 1

    connector.pace = pace  # type: ignore[method-assign]
    try:
        outcome = str(post(connector, invoice()).outcome)
    except ConnectorError as error:
        outcome = type(error).__name__
    there = account.state("invoice")
    assert outcome in ("created", "Paced", "OutcomeUnknown")
    if outcome == "Paced":
        assert [row["approvalStatus"] for row in there] in ([], ["1"]), "said to be not applied, but it is posted"
    left[0] = 100
    assert post(connector, invoice()).outcome == "created"
    assert [row["approvalStatus"] for row in account.state("invoice")] == ["2"]


def order(account: Account) -> None:
    """A person enters a sales order, as another client of the account."""
    customer = account.customer()
    account.control(
        "enter",
        record="salesOrder",
        fields={
            "externalId": "ORD-1",
            "entity": {"id": customer},
            "item": {"items": [{"item": {"id": "1"}, "amount": 100}, {"item": {"id": "1"}, "amount": 40}]},
        },
    )


def customers(account: Account) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.http.get(
        f"{account.url}/control/state", params={"type": "customer"}, timeout=60
    ).json()
    return found

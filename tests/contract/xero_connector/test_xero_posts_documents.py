"""Posting to the simulated organisation: once, unchanged, to the cent, or not at all and with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.base import CreateProtocol, Operation, Outcome, PushItem
from connectors.errors import AuthFailed, OutcomeUnknown, PermissionMissing, QuotaExhausted
from connectors.xero import XeroConnector
from hub.encoding import decode, encode
from hub.sync.native_keys import alive

from .conftest import Organisation, credit, invoice

Connect = Callable[..., XeroConnector]
CREATE = Operation.CREATE


def post(connector: XeroConnector, *items: PushItem, record: str = "Invoice") -> list[Any]:
    return list(connector.push(record, CREATE, items))


def test_an_invoice_is_drafted_compared_and_authorised_under_its_own_number(
    organisation: Organisation, connect: Connect
) -> None:
    (result,) = post(connect(), invoice("INV-1", "1000.10", "249.90"))
    assert (result.outcome, result.evidence["state"], result.evidence["total"]) == (
        Outcome.CREATED,
        "AUTHORISED",
        "1250.00",
    )
    there = organisation.document("INV-1")
    assert (there["Status"], there["Total"], there["DueDate"]) == ("AUTHORISED", "1250.00", "2026-12-30")
    drafted = next(e for e in organisation.recorder.exchanges if (e.method, e.path) == ("PUT", "/Invoices"))
    assert drafted.request["Invoices"][0]["Status"] == "DRAFT"
    assert drafted.query == {"summarizeErrors": "false", "unitdp": "4"}


def test_fifty_documents_take_four_requests_and_each_has_its_own_outcome(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("WARM"))
    organisation.control("calls/reset")
    items = [invoice(f"INV-{n:03d}", f"{n}.37") for n in range(1, 50)]
    items.insert(20, invoice("INV-BAD", "5.00", currency="SEK"))
    results = post(connector, *items)
    assert [r.key for r in results] == [i.key for i in items]
    assert [r.outcome for r in results].count(Outcome.CREATED) == 49
    assert (results[20].outcome, results[20].reason, results[20].path) == (
        Outcome.REJECTED,
        "reference_missing",
        "currency",
    )
    assert "not subscribed to currency SEK" in results[20].message
    assert organisation.calls() == {"GET Invoices": 2, "PUT Invoices": 1, "POST Invoices": 1}
    assert {d["Status"] for d in organisation.state("documents")} == {"AUTHORISED"}


@pytest.mark.parametrize("fault", ["lost_request", "lost_reply"])
@pytest.mark.parametrize("step", ["PUT Contacts", "PUT Invoices", "POST Invoices"])
def test_a_lost_answer_at_any_step_leaves_exactly_one_invoice(
    organisation: Organisation, connect: Connect, step: str, fault: str
) -> None:
    connector = connect()
    organisation.fault(fault, operations=[step])
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice("INV-1"))
    (result,) = post(connector, invoice("INV-1"))
    assert result.outcome is Outcome.CREATED
    assert [(d["InvoiceNumber"], d["Status"]) for d in organisation.state("documents")] == [("INV-1", "AUTHORISED")]
    assert len(organisation.state("contacts")) == 1


@pytest.mark.parametrize("company", [(), ("INV-2",)])
def test_a_request_applied_after_its_repetition_makes_no_second_invoice(
    organisation: Organisation, connect: Connect, company: tuple[str, ...]
) -> None:
    """Alone it meets its own key; in another batch, under another key, it meets the unique number."""
    connector = connect()
    post(connector, invoice("WARM"))
    organisation.fault("late_commit", operations=["PUT Invoices"], seconds=60)
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice("INV-1"))
    results = post(connector, invoice("INV-1"), *map(invoice, company))
    assert {r.outcome for r in results} == {Outcome.CREATED}
    before = organisation.state("documents")
    organisation.app.late.apply_now()
    assert organisation.state("documents") == before
    assert [d["InvoiceNumber"] for d in before].count("INV-1") == 1


def test_a_repetition_after_a_late_request_finds_it(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    organisation.fault("late_commit", operations=["PUT Invoices"], seconds=60)
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice("INV-1"))
    organisation.app.late.apply_now()
    assert post(connector, invoice("INV-1"))[0].outcome is Outcome.CREATED
    assert len(organisation.state("documents")) == 1


def test_the_same_key_is_answered_from_memory_and_forgotten_after_its_age(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1"))
    drafted = next(e for e in organisation.recorder.exchanges if (e.method, e.path) == ("PUT", "/Invoices"))
    assert len(drafted.headers["idempotency-key"]) <= 128
    headers = {n: drafted.headers[n] for n in ("authorization", "xero-tenant-id", "idempotency-key", "content-type")}

    def again(**changes: Any) -> Any:
        body = orjson.dumps({**drafted.request, **changes})
        return organisation.http.put(
            f"{organisation.url}/api.xro/2.0/Invoices", params=drafted.query, data=body, headers=headers, timeout=60
        )

    other = again(Invoices=[{**drafted.request["Invoices"][0], "InvoiceNumber": "INV-2"}])
    assert other.status_code == 400
    assert "another request" in other.text
    capability = connector.capabilities.records["Invoice"]
    assert (capability.create, capability.marker, capability.key_age) == (CreateProtocol.NATIVE_KEY, "reference", 360.0)
    organisation.advance(361)
    forgotten = again().json()["Invoices"][0]
    assert forgotten["ValidationErrors"] == [{"Message": "Invoice # must be unique."}]


def test_a_draft_that_a_dead_worker_left_is_taken_up_not_doubled(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    organisation.fault("quota", operations=["POST Invoices"])
    with pytest.raises(QuotaExhausted) as caught:
        post(connector, invoice("INV-1"))
    assert (caught.value.limit, caught.value.after) == ("xero-minute", 60.0)
    assert organisation.document("INV-1")["Status"] == "DRAFT"
    assert connector.find("Invoice", [invoice("INV-1")]) == [None]
    (result,) = post(connect(), invoice("INV-1"))
    assert result.outcome is Outcome.CREATED
    assert organisation.document("INV-1")["Status"] == "AUTHORISED"


def test_a_cent_of_difference_keeps_the_draft_and_parks_the_document(
    organisation: Organisation, connect: Connect
) -> None:
    organisation.control("setup", rounding="down")
    line = {
        "description": "CPM",
        "quantity": Decimal("3.3366"),
        "unit_price": Decimal("10.01"),
        "amount": Decimal("33.40"),
    }
    odd = invoice("INV-1", lines=[line], total=Decimal("33.40"))
    (result,) = post(connect(), odd)
    assert (result.outcome, result.code, result.reason) == (Outcome.REJECTED, "TOTAL-MISMATCH", "validation")
    assert "total is 33.39 there, 33.40 was billed" in result.message
    assert organisation.document("INV-1")["Status"] == "DRAFT"
    assert connect().find("Invoice", [odd]) == [None]


def test_tax_that_we_did_not_bill_stops_the_document_and_tax_that_we_did_passes(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect(line_amounts="Exclusive", tax_type="OUTPUT2")
    untaxed, taxed = post(connector, invoice("INV-1", "100.00"), invoice("INV-2", "100.00", tax=Decimal("20.00")))
    assert (untaxed.outcome, untaxed.code) == (Outcome.REJECTED, "TOTAL-MISMATCH")
    assert "total is 120.00 there, 100.00 was billed" in untaxed.message
    assert (taxed.outcome, taxed.evidence["total"]) == (Outcome.CREATED, "120.00")


def test_quantity_and_price_travel_where_every_rounding_agrees_else_one_times_the_amount(
    organisation: Organisation, connect: Connect
) -> None:
    def line(quantity: str, price: str, amount: str) -> dict[str, Any]:
        return {
            "description": "CPM",
            "quantity": Decimal(quantity),
            "unit_price": Decimal(price),
            "amount": Decimal(amount),
        }

    lines = [
        line("998.412", "12.5", "12480.15"),
        line("0.5", "12.0005", "6.00"),
        line("0.5", "0.25", "0.13"),
        line("1", "2", "3"),
    ]
    (result,) = post(connect(), invoice("INV-1", lines=lines, total=Decimal("12489.28")))
    assert result.outcome is Outcome.CREATED
    sent = [(one["Quantity"], one["UnitAmount"]) for one in organisation.document("INV-1")["LineItems"]]
    assert sent == [("998.4120", "12.5000"), ("0.5000", "12.0005"), ("1.0000", "0.1300"), ("1.0000", "3.0000")]


def test_a_locked_period_refuses_with_its_reason_and_opens_again(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    organisation.control("setup", period_lock="2026-11-30")
    (result,) = post(connector, invoice("INV-1"))
    assert (result.outcome, result.reason, result.code) == (Outcome.REJECTED, "period_closed", "PERIOD-LOCKED")
    assert "period lock date of 2026-11-30" in result.message
    assert organisation.state("documents") == []
    organisation.control("setup", period_lock=None)
    (result,) = post(connector, PushItem("another-key", invoice("INV-1").payload))
    assert result.outcome is Outcome.CREATED


def test_an_invoice_date_before_one_posted_already_is_kept_as_billed(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    later, earlier = invoice("INV-2", date=date(2026, 11, 30)), invoice("INV-1", date=date(2026, 10, 31))
    assert [r.outcome for item in (later, earlier) for r in post(connector, item)] == [Outcome.CREATED, Outcome.CREATED]
    assert [organisation.document(n)["Date"] for n in ("INV-1", "INV-2")] == ["2026-10-31", "2026-11-30"]
    (backwards,) = post(connector, invoice("INV-3", due_date=date(2026, 11, 29)))
    assert (backwards.outcome, backwards.code) == (Outcome.REJECTED, "DOCUMENT-SHAPE")
    assert "due date lies before the date" in backwards.message


def test_a_credit_memo_nets_its_invoice_exactly_and_only_once(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "1250.00"))
    organisation.fault("lost_reply", operations=["PUT CreditNotes/Allocations"])
    memo = credit("CM-1", "INV-1", "250.00", date=date(2026, 11, 15))
    (doubtful,) = post(connector, memo, record="CreditMemo")
    assert doubtful.outcome is Outcome.IN_DOUBT
    (result,) = post(connector, memo, record="CreditMemo")
    assert result.outcome is Outcome.CREATED
    assert [(a["Amount"], a["Date"]) for a in organisation.state("allocations")] == [("250.00", "2026-11-30")]
    assert organisation.document("INV-1")["left"] == "1000.00"
    (rest,) = post(connector, credit("CM-2", "INV-1", "1000.00"))  # record Invoice takes both kinds
    assert (rest.outcome, rest.evidence["set_off"]) == (Outcome.CREATED, "1000.00")
    assert (organisation.document("INV-1")["Status"], organisation.document("CM-2")["Status"]) == ("PAID", "PAID")
    assert [hit is not None for hit in connector.find("CreditMemo", [memo])] == [True]


def test_two_credits_in_one_batch_never_take_more_than_is_due(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "100.00"))
    organisation.control("pay", invoice="INV-1", amount="40.00")
    results = post(connector, credit("CM-1", "INV-1", "50.00"), credit("CM-2", "INV-1", "50.00"), record="CreditMemo")
    assert [(r.outcome, r.evidence["set_off"]) for r in results] == [
        (Outcome.CREATED, "50.00"),
        (Outcome.CREATED, "10.00"),
    ]
    assert (organisation.document("INV-1")["left"], organisation.document("CM-2")["left"]) == ("0.00", "40.00")


def test_a_credit_memo_waits_for_the_invoice_it_corrects(organisation: Organisation, connect: Connect) -> None:
    (result,) = post(connect(), credit("CM-1", "INV-404", "10.00"), record="CreditMemo")
    assert (result.outcome, result.code, result.reason) == (Outcome.REJECTED, "CORRECTED-UNKNOWN", "reference_missing")
    assert organisation.state("documents") == []


def test_a_second_close_posts_nothing(organisation: Organisation, connect: Connect) -> None:
    documents = [invoice("INV-1"), invoice("INV-2"), credit("CM-1", "INV-1", "1.00")]
    post(connect(), *documents)
    before = organisation.state("documents")
    organisation.control("calls/reset")
    again = post(connect(), *(PushItem(f"second-{item.key}", item.payload) for item in documents))
    assert {r.outcome for r in again} == {Outcome.CREATED}
    assert organisation.state("documents") == before
    assert not [name for name in organisation.calls() if name.startswith(("PUT", "POST"))]


def test_a_number_that_holds_something_else_is_never_taken_for_ours(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1", "1250.00"))
    (other,) = post(connector, PushItem("k2", invoice("INV-1", "1250.01").payload))
    assert (other.outcome, other.code, other.reason) == (Outcome.REJECTED, "POSTED-DIFFERENTLY", "duplicate")
    organisation.control("status", id=organisation.document("INV-1")["InvoiceID"], status="VOIDED")
    (voided,) = post(connector, PushItem("k3", invoice("INV-1", "1250.00").payload))
    assert (voided.outcome, voided.code) == (Outcome.REJECTED, "NUMBER-SPENT")


def test_a_reference_that_comes_twice_in_one_batch_is_posted_once(organisation: Organisation, connect: Connect) -> None:
    one, two = post(connect(), invoice("INV-1"), PushItem("other", invoice("INV-1").payload))
    assert (one.outcome, two.outcome, two.code) == (Outcome.CREATED, Outcome.REJECTED, "REFERENCE-TWICE")
    assert len(organisation.state("documents")) == 1


def test_contacts_are_found_by_code_and_an_archived_or_unknown_one_parks_only_its_own_documents(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    (made,) = connector.push("Party", CREATE, [PushItem("p", {"code": "ADV-9", "name": "Nine", "city": "Ghent"})])
    assert made.outcome is Outcome.CREATED
    assert connector.find("Party", [PushItem("p", {"code": "ADV-9"}), PushItem("q", {"code": 'a"b'})])[1] is None
    (again,) = connect().push("Party", CREATE, [PushItem("p2", {"code": "ADV-9", "name": "Nine"})])
    assert (again.vendor_id, again.evidence) == (made.vendor_id, {"existed": True})
    (taken,) = connector.push("Party", CREATE, [PushItem("p3", {"code": "ADV-9", "name": "Ten"})])
    assert (taken.outcome, taken.code) == (Outcome.REJECTED, "CODE-TAKEN")
    organisation.control("archive", number="ADV-9")
    careful = connect(create_contacts=False)
    archived, unknown = post(
        careful,
        invoice("INV-1", party={"code": "ADV-9", "name": "Nine"}),
        invoice("INV-2", party={"code": "ADV-404", "name": "Nobody"}),
    )
    assert (archived.code, unknown.code) == ("CONTACT-ARCHIVED", "CONTACT-UNKNOWN")
    assert organisation.state("documents") == []


def test_a_name_that_another_contact_has_is_a_sentence_with_its_reason(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("INV-1"))
    (result,) = post(connector, invoice("INV-2", party={"code": "ADV-2", "name": "advertiser one"}))
    assert (result.outcome, result.code) == (Outcome.REJECTED, "CONTACT-TAKEN")
    assert "already assigned to another contact" in result.message


def test_an_expired_token_is_renewed_once_and_the_write_is_applied_once(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("WARM"))
    organisation.fault("expired_token", operations=["PUT Invoices"])
    (result,) = post(connector, invoice("INV-1"))
    assert result.outcome is Outcome.CREATED
    assert organisation.calls()["token"] == 2
    organisation.fault("expired_token", operations=["PUT Invoices"], count=2)
    with pytest.raises(AuthFailed):
        post(connector, invoice("INV-2"))
    organisation.advance(1801)
    assert post(connector, invoice("INV-2"))[0].outcome is Outcome.CREATED


def test_wrong_secret_wrong_tenant_and_missing_scope_have_sentences(
    organisation: Organisation, connect: Connect
) -> None:
    with pytest.raises(AuthFailed, match="invalid_client"):
        post(connect(client_secret="wrong"), invoice("INV-1"))
    with pytest.raises(PermissionMissing, match="connects the organisation"):
        post(connect(tenant_id="00000000-0000-4000-8000-000000000000"), invoice("INV-1"))
    with pytest.raises(AuthFailed, match="invalid_scope"):
        post(connect(scopes="accounting.reports.read"), invoice("INV-1"))
    with pytest.raises(PermissionMissing):
        post(connect(scopes="accounting.contacts"), invoice("INV-1"))
    assert organisation.state("documents") == []


@pytest.mark.parametrize("fault", ["html_503", "slow_reply"])
def test_an_unreadable_or_late_answer_to_a_write_is_in_doubt(
    organisation: Organisation, connect: Connect, fault: str
) -> None:
    connector = connect(timeout_seconds=2.5 if fault == "slow_reply" else 30)
    post(connector, invoice("WARM"))
    organisation.fault(fault, operations=["PUT Invoices"], seconds=5)
    with pytest.raises(OutcomeUnknown):
        post(connector, invoice("INV-1"))


def test_one_failing_request_does_not_hide_what_was_refused_before_it(
    organisation: Organisation, connect: Connect
) -> None:
    connector = connect()
    post(connector, invoice("WARM"))
    organisation.fault("lost_reply", operations=["POST Invoices"])
    bad, good = post(connector, invoice("INV-1", currency="SEK"), invoice("INV-2"))
    assert (bad.outcome, good.outcome) == (Outcome.REJECTED, Outcome.IN_DOUBT)


def test_a_document_as_the_store_keeps_it_is_the_same_document(organisation: Organisation, connect: Connect) -> None:
    kept = PushItem("k", decode(encode(dict(invoice("INV-1", "1000.10", "249.90").payload))))
    assert post(connect(), kept)[0].outcome is Outcome.CREATED
    assert connect().find("Invoice", [kept])[0] is not None
    assert organisation.document("INV-1")["Total"] == "1250.00"


def test_the_engine_trusts_a_key_only_while_a_request_sent_now_still_meets_it(connect: Connect) -> None:
    for record in ("Invoice", "CreditMemo", "Party"):
        capability = connect().capabilities.records[record]
        sent_at = datetime(2026, 12, 5, 9, 0, tzinfo=UTC)
        assert alive(capability, sent_at, sent_at + timedelta(seconds=239))
        assert not alive(capability, sent_at, sent_at + timedelta(seconds=240))
    unsure = connect(key_age_seconds=0).capabilities.records["Invoice"]
    assert not alive(unsure, sent_at, sent_at)


def test_a_draft_that_finance_gave_another_date_is_posted_with_it(organisation: Organisation, connect: Connect) -> None:
    connector = connect()
    organisation.fault("quota", operations=["POST Invoices"])
    with pytest.raises(QuotaExhausted):
        post(connector, invoice("INV-1"))
    organisation.control("setup", period_lock="2026-11-30")
    (locked,) = post(connector, invoice("INV-1"))
    assert (locked.outcome, locked.reason) == (Outcome.REJECTED, "period_closed")
    organisation.control("redate", id=organisation.document("INV-1")["InvoiceID"], date="2026-12-01")
    (posted,) = post(connector, PushItem("replayed", invoice("INV-1").payload))
    assert posted.outcome is Outcome.CREATED
    assert organisation.document("INV-1")["Date"] == "2026-12-01"

"""A month is closed once: prepared, approved by another, posted with our totals, read back; a second close posts nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hub.ops.correspondence import mismatches
from oms_schema.billing_terms import BillingSource

if TYPE_CHECKING:
    from conftest import Office


def test_a_delivered_month_is_invoiced_once_to_the_cent(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    done = office.close()
    assert done.complete, done.sentence
    assert (done.invoices, done.credits, done.new_documents, done.second_close_documents) == (1, 0, 1, 0)
    assert done.sums["USD"].invoiced == Decimal("11801.47") == office.erp.total()
    assert office.status(line) == "invoiced"
    again = office.close()
    assert (again.invoices, again.new_documents, again.second_close_documents) == (1, 0, 0)
    assert len(office.erp.creates) == 1
    assert office.hub.verify_audit().sound
    assert mismatches(office.hub.session) == []


def test_one_document_carries_an_orders_lines_of_a_period_and_currency(office: Office) -> None:
    spring, autumn = office.order("Spring"), office.order("Autumn")
    lines = [office.line(spring, "A"), office.line(spring, "B"), office.line(autumn, "C", currency="EUR")]
    office.report({line: {"10": 500_000} for line in lines})
    done = office.close()
    assert done.invoices == 2
    assert {currency: sums.invoiced for currency, sums in done.sums.items()} == {
        "USD": Decimal("12000.00"),
        "EUR": Decimal("6000.00"),
    }
    by_currency = {one["currency"]: one["sent"] for one in office.erp.documents.values()}
    assert [line["description"] for line in by_currency["USD"]["lines"]] == ["A", "B"]
    assert by_currency["USD"]["lines"][0] == {
        "description": "A",
        "amount": Decimal("6000.00"),
        "period": "2026-02",
        "quantity": Decimal(500),
        "unit_price": Decimal(12),
    }
    assert str(by_currency["USD"]["date"]) == "2026-02-28"


def test_over_delivery_is_listed_at_nothing(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_043_210)
    done = office.close()
    assert done.sums["USD"].invoiced == Decimal("12000.00")
    (sent,) = (one["sent"] for one in office.erp.documents.values())
    assert [one["amount"] for one in sent["lines"]] == [Decimal(12000), Decimal(0)]


def test_without_an_approver_the_month_ends_at_review_and_says_who_acts(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    done = office.close(approved_by=None)
    assert not done.complete
    assert office.status(line) == "in_review"
    assert office.erp.creates == []
    assert "Somebody other than Ada" in done.sentence
    assert done.review_hash in done.sentence
    office.hub.billing.approve("2026-02", done.review_hash, by="Grace")
    assert office.close(approved_by=None).complete
    assert len(office.erp.documents) == 1


def test_a_lost_reply_leaves_one_invoice(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.erp.lose_reply()
    done = office.close()
    assert done.complete, done.sentence
    assert len(office.erp.documents) == 1
    assert office.close().new_documents == 0


def test_payments_come_back_and_end_the_line_period(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_000_000)
    office.close()
    (reference,) = (one["reference"] for one in office.erp.documents.values())
    office.erp.pay(reference, "2000", "p1")
    back = office.hub.billing.read_back()
    assert (back.payments, office.status(line)) == (1, "invoiced")
    office.erp.pay(reference, "10000", "p2")
    office.hub.billing.read_back()
    assert office.status(line) == "paid"
    assert office.rows("SELECT sum(amount)::bigint FROM billing_payment") == [(12_000_000_000,)]
    assert office.hub.billing.read_back().changed == 0


def test_a_disputed_line_waits_and_its_settlement_is_a_second_invoice(office: Office) -> None:
    order = office.order(source=BillingSource.THIRD_PARTY)
    fine, disputed = office.line(order, "A"), office.line(order, "B")
    office.report({fine: {"10": 1_000_000}, disputed: {"10": 1_000_000}})
    office.report({fine: {"10": 990_000}, disputed: {"10": 860_000}}, source="moat")
    done = office.close()
    assert (office.status(fine), office.status(disputed)) == ("invoiced", "disputed")
    assert not done.complete
    assert "disputed" in done.sentence
    entered = office.hub.billing.enter(
        disputed, "2026-02", "settlement", outcome="agreed", quantity=930_000, reason="mail of 3 March", by="Ada"
    )
    office.hub.billing.confirm(entered.number, by="Grace")
    done = office.close()
    assert done.complete, done.sentence
    assert done.invoices == 2
    assert done.sums["USD"].invoiced == Decimal("11880.00") + Decimal("11160.00") == office.erp.total()

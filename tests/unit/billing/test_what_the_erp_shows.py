"""Read back: a bill that the ERP voids, deletes, holds twice or is no longer paid counts as what it is, everywhere alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.base import Page, ReadRecord
from hub.ops.correspondence import mismatches

if TYPE_CHECKING:
    from conftest import Office


def only(office: Office) -> dict[str, Any]:
    """The one document that the ERP holds."""
    (one,) = office.erp.documents.values()
    return one


def again(office: Office, **more: Any) -> dict[str, Any]:
    """Finance enters the ERP's document once more, under our reference."""
    second = {**only(office), "id": "99", "number": "INV-0099", **more}
    office.erp.documents["99"] = second
    return second


def shows(office: Office, *pages: Sequence[ReadRecord]) -> None:
    """What the ERP tells of from now on, page by page, once."""
    left = [list(page) for page in pages]

    def billing(cursor: str | None) -> Iterator[Page]:
        told, left[:] = [list(page) for page in left], []
        if not told:
            yield Page([], office.clock.now().isoformat(), last=True)
        for number, page in enumerate(told, 1):
            yield Page(page, f"{office.clock.now().isoformat()}/{number}", last=number == len(told))

    office.erp.billing = billing  # type: ignore[method-assign]


def record(office: Office, shown: dict[str, Any], **more: Any) -> ReadRecord:
    native = {name: value for name, value in shown.items() if name not in ("sent", "changed")}
    return ReadRecord(str(shown["id"]), office.clock.now(), native, **more)


def billed(office: Office) -> list[Decimal]:
    return [row[0] for row in office.rows("SELECT billed FROM report.month ORDER BY period_start, currency")]


def invoiced(office: Office) -> str:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    assert office.close().complete
    assert (office.status(line), billed(office)) == ("invoiced", [Decimal(6000)])
    return line


# ---------------------------------------------------------------- held twice
def test_two_live_documents_of_one_bill_are_a_mismatch_until_one_is_voided(office: Office) -> None:
    line = invoiced(office)
    second = again(office)
    done = office.close()
    assert not done.complete
    (sentence,) = done.mismatches
    assert "INV-0001 and INV-0099" in sentence
    assert "twice" in sentence
    assert office.status(line) == "exported"
    assert office.rows("SELECT number FROM billing_document") == [("INV-0001",)], (
        "our number is not replaced in silence"
    )
    second["state"] = "cancelled"
    done = office.close()
    assert (done.complete, done.mismatches, office.status(line)) == (True, [], "invoiced")


def test_a_voided_copy_beside_a_live_document_is_no_mismatch_in_either_order(office: Office) -> None:
    line = invoiced(office)
    first = only(office)
    second = again(office, state="voided", balance=Decimal(0))
    assert office.close().complete
    office.erp.documents = {"99": second, "1": first}
    assert office.close().complete
    assert office.status(line) == "invoiced"
    assert office.rows("SELECT number, state FROM billing_document") == [("INV-0001", "posted")]


def test_a_second_document_that_is_told_of_later_is_noticed_and_forgotten_when_it_is_voided(office: Office) -> None:
    line = invoiced(office)
    second = again(office)
    shows(office, [record(office, second)])
    assert len(office.close().mismatches) == 1
    shows(office, [], [record(office, {**second, "state": "cancelled"})])
    assert office.close().complete, "the first one is not told of again, and it is known"
    assert office.status(line) == "invoiced"
    assert office.rows("SELECT number, balance FROM billing_document") == [("INV-0001", 6_000_000_000)]


def test_a_draft_or_a_credit_under_our_reference_is_no_second_invoice(office: Office) -> None:
    invoiced(office)
    again(office, number=None, balance=None, state="draft")
    assert office.close().complete
    office.erp.documents["99"] |= {"number": "CRN-0099", "total": Decimal(-6000), "balance": Decimal(-6000)}
    assert office.close().complete


# ---------------------------------------------------------------- voided and deleted
def test_an_invoice_that_the_erp_shows_below_zero_is_not_the_one_that_was_billed(office: Office) -> None:
    line = invoiced(office)
    shown = only(office)
    shown["total"], shown["balance"] = -shown["total"], -shown["balance"]
    done = office.close()
    assert "with -6000.00 USD, and 6000.00 USD was billed" in done.sentence
    assert (office.status(line), billed(office)) == ("exported", [Decimal(0)])


def test_a_voided_invoice_is_exported_and_not_billed_until_it_is_posted_again(office: Office) -> None:
    line = invoiced(office)
    only(office)["state"] = "cancelled"
    done = office.close()
    assert not done.complete
    assert "counts as not invoiced" in done.mismatches[0]
    assert (office.status(line), billed(office)) == ("exported", [Decimal(0)])
    assert done.sums["USD"].invoiced == 0
    assert office.rows("SELECT state FROM billing_document") == [("exported",)]
    only(office)["state"] = "posted"
    done = office.close()
    assert (done.complete, done.new_documents) == (True, 0)
    assert (office.status(line), billed(office)) == ("invoiced", [Decimal(6000)])
    assert mismatches(office.hub.session) == []


def test_a_paid_invoice_that_is_voided_is_neither_paid_nor_billed(office: Office) -> None:
    line = invoiced(office)
    office.erp.pay(only(office)["reference"], "6000")
    office.hub.billing.read_back()
    assert office.status(line) == "paid"
    only(office)["state"] = "voided"
    assert not office.close().complete
    assert (office.status(line), billed(office)) == ("exported", [Decimal(0)])


def test_a_deleted_invoice_is_a_mismatch_even_when_the_erp_tells_its_id_alone(office: Office) -> None:
    line = invoiced(office)
    gone = office.erp.documents.pop("1")
    shows(office, [ReadRecord("1", office.clock.now(), {}, deleted=True)])
    done = office.close()
    assert not done.complete
    assert f"({gone['reference']}) as deleted" in done.mismatches[0]
    assert (office.status(line), billed(office)) == ("exported", [Decimal(0)])


def test_a_deleted_second_document_leaves_the_first_as_it_was(office: Office) -> None:
    line = invoiced(office)
    second = again(office)
    assert not office.close().complete
    shows(office, [record(office, second, deleted=True)])
    assert office.close().complete
    assert office.status(line) == "invoiced"


# ---------------------------------------------------------------- no longer paid
def test_a_reversed_payment_opens_the_invoice_again(office: Office) -> None:
    line = invoiced(office)
    office.erp.pay(only(office)["reference"], "6000")
    assert office.close().complete
    assert office.status(line) == "paid"
    only(office)["payments"].clear()
    only(office).update(balance=Decimal(6000), state="posted")
    office.hub.billing.read_back()
    assert office.status(line) == "invoiced"
    assert office.rows("SELECT state, balance FROM billing_document") == [("posted", 6_000_000_000)]
    assert "is invoiced" in office.hub.billing.why(line, "2026-02").answer
    assert mismatches(office.hub.session) == []

"""A document that the ERP refuses for good is taken back by two people and made anew; nothing is billed twice or never."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import Page
from connectors.errors import RetryLater
from hub.errors import NotFound, Refused, VendorUnavailable

if TYPE_CHECKING:
    from conftest import Office

CLOSED = ("UserError", "The period of 2026-02-28 is closed.", "period_closed")


@pytest.fixture
def refused(office: Office) -> tuple[Office, str, str]:
    """An invoice over 6,000.00 that the ERP refuses, beside another order's that it took: the office, its line, its id."""
    line, other = office.line(office.order("A")), office.line(office.order("B"))
    office.report({line: {"10": 500_000}, other: {"10": 500_000}})
    office.erp.refuse(*CLOSED)
    assert not office.close().complete
    if office.status(line) != "exported":
        line, other = other, line
    (document,) = [one for one in office.hub.billing.documents("2026-02") if not one.number]
    return office, line, document.document_id


def taken_back(office: Office, *documents: str, **more: Any) -> None:
    number = office.hub.billing.withdraw(documents, reason="February is closed", by="Ada", **more).number
    office.hub.billing.confirm(number, by="Grace")


def test_the_next_close_bills_it_once_in_the_next_open_period(refused: tuple[Office, str, str]) -> None:
    office, line, document = refused
    office.hub.billing.close_accounts("2026-02", by="Fin")
    taken_back(office, document)
    assert office.status(line) == "locked"
    assert office.hub.parked() == []
    assert office.hub.replay(by="ops") == 0
    done = office.close()
    assert done.complete, done.sentence
    assert (done.new_documents, done.second_close_documents) == (1, 0)
    assert office.erp.total() == Decimal("12000.00")
    (made,) = [one for one in office.hub.billing.documents("2026-02") if str(one.issued_on) == "2026-03-10"]
    assert made.document_id != document
    assert made.number
    assert document not in {one["reference"] for one in office.erp.documents.values()}
    assert office.hub.billing.replay(made.document_id).equal
    assert office.hub.billing.replay(document).equal, "what was withdrawn can still be explained"
    assert office.close().new_documents == 0
    assert office.hub.verify_audit().sound
    (there,) = [one for one in office.hub.status().connections if one.name == "erp"]
    assert (dict(there.lanes), there.parked) == ({"in_sync": 2}, 0)
    assert office.hub.plan("erp").items == []
    posted = office.hub.billing.post()
    assert (posted.waiting, posted.parked) == (0, [])


def test_all_that_a_closed_month_refuses_is_withdrawn_at_once(office: Office) -> None:
    lines = [office.line(office.order(name)) for name in ("A", "B", "C")]
    office.report({line: {"10": 500_000} for line in lines})
    office.erp.refuse(*CLOSED)
    office.erp.refuse("UserError", "Continue?", "vendor_state")
    office.erp.refuse(*CLOSED)
    office.close()
    with pytest.raises(Refused, match="names its documents"):
        office.hub.billing.withdraw(closed="2026-03", reason="closed", by="Ada")
    entered = office.hub.billing.withdraw(closed="2026-02", reason="closed", by="Ada")
    assert len(entered.detail["documents"]) == 2
    office.hub.billing.confirm(entered.number, by="Grace")
    assert sorted(map(office.status, lines)) == ["exported", "locked", "locked"]


def test_nobody_withdraws_alone_and_nothing_happens_before_the_second_person(
    refused: tuple[Office, str, str],
) -> None:
    office, line, document = refused
    for reason, by in (("  ", "Ada"), ("closed", " ")):
        with pytest.raises(Refused):
            office.hub.billing.withdraw([document], reason=reason, by=by)
    entered = office.hub.billing.withdraw([document], reason="closed", by="Ada")
    with pytest.raises(Refused, match="Somebody else approves it"):
        office.hub.billing.confirm(entered.number, by="ada ")
    assert office.status(line) == "exported"
    office.hub.replay(by="ops")
    office.close()
    with pytest.raises(Refused, match="is posted as INV-"):
        office.hub.billing.confirm(entered.number, by="Grace")
    assert office.erp.total() == Decimal("12000.00")


def test_what_was_withdrawn_is_not_withdrawn_again(refused: tuple[Office, str, str]) -> None:
    office, _, document = refused
    entered = office.hub.billing.withdraw([document], reason="closed", by="Ada")
    taken_back(office, document)
    with pytest.raises(Refused, match="is withdrawn"):
        office.hub.billing.confirm(entered.number, by="Grace")
    with pytest.raises(Refused, match="is withdrawn"):
        office.hub.billing.withdraw([document], reason="closed", by="Ada")
    with pytest.raises(NotFound, match="no document doc_x"):
        office.hub.billing.withdraw(["doc_x"], reason="closed", by="Ada")


def test_one_document_that_may_not_be_withdrawn_keeps_all_of_an_entry(refused: tuple[Office, str, str]) -> None:
    office, line, document = refused
    (posted,) = [one.document_id for one in office.hub.billing.documents("2026-02") if one.number]
    with pytest.raises(Refused, match="is posted as"):
        office.hub.billing.withdraw([document, posted], reason="closed", by="Ada")
    assert office.status(line) == "exported"


def test_what_is_in_doubt_or_on_its_way_or_never_handed_over_is_not_withdrawn(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", prepared.review_hash, by="Grace")
    office.hub.billing.export("2026-02", by="Ada")
    (document,) = [one.document_id for one in office.hub.billing.documents("2026-02")]

    def withdrawn() -> None:
        office.hub.billing.withdraw([document], reason="closed", by="Ada")

    with pytest.raises(Refused, match="was not handed to the ERP yet"):
        withdrawn()
    office.erp.lose_reply()
    office.hub.billing.post(patience=0)
    with pytest.raises(Refused, match="is in doubt"):
        withdrawn()
    office.hub.billing.post()
    with pytest.raises(Refused, match="was taken by the ERP"):
        withdrawn()
    assert office.close().complete


@pytest.mark.parametrize("cents", ["0", "0.01"])
def test_a_draft_that_somebody_posted_by_hand_is_found_before_anything_is_withdrawn(
    refused: tuple[Office, str, str], cents: str
) -> None:
    office, line, document = refused
    entered = office.hub.billing.withdraw([document], reason="closed", by="Ada")
    sent = next(one for one in office.erp.creates if one["reference"] == document)
    office.erp.cents_off = Decimal(cents)
    office.erp.apply(type("Item", (), {"payload": sent, "key": "by hand"})())
    with pytest.raises(Refused, match="is posted as INV-"):
        office.hub.billing.confirm(entered.number, by="Grace")
    assert office.status(line) == ("exported" if Decimal(cents) else "invoiced")


def test_a_draft_that_differs_from_the_bill_is_no_obstacle_and_no_difference_afterwards(
    refused: tuple[Office, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, line, document = refused
    sent = next(one for one in office.erp.creates if one["reference"] == document)
    office.erp.cents_off = Decimal("0.01")
    office.erp.apply(type("Item", (), {"payload": sent, "key": "draft"})())
    office.erp.cents_off = Decimal(0)
    draft = office.erp.of(document)
    draft.update(number=None, state="draft", balance=None)
    assert office.close().mismatches
    monkeypatch.setattr(
        office.erp, "find", lambda record, items: [None for _ in items]
    )  # as ERPs do: posted ones alone
    taken_back(office, document)
    assert office.status(line) == "locked"
    done = office.close()
    assert done.complete, done.sentence
    assert sum(one["total"] for one in office.erp.documents.values() if one["number"]) == Decimal("12000.00")


def test_what_is_not_read_back_yet_is_looked_up(
    refused: tuple[Office, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, line, document = refused
    entered = office.hub.billing.withdraw([document], reason="closed", by="Ada")
    sent = next(one for one in office.erp.creates if one["reference"] == document)
    office.erp.apply(type("Item", (), {"payload": sent, "key": "by hand"})())
    monkeypatch.setattr(office.erp, "billing", lambda cursor: iter([Page([], "later", last=True)]))
    with pytest.raises(Refused, match=r"has doc_\w+ as 2"):
        office.hub.billing.confirm(entered.number, by="Grace")
    assert office.status(line) == "exported"


def test_an_erp_that_cannot_be_asked_keeps_the_document(
    refused: tuple[Office, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    office, line, document = refused
    entered = office.hub.billing.withdraw([document], reason="closed", by="Ada")

    def down(record: str, items: object) -> None:
        raise RetryLater("DOWN", "no answer")

    with monkeypatch.context() as patched:
        patched.setattr(office.erp, "find", down)
        with pytest.raises(VendorUnavailable):
            office.hub.billing.confirm(entered.number, by="Grace")
    assert office.status(line) == "exported"
    office.hub.billing.confirm(entered.number, by="Grace")
    assert office.status(line) == "locked"


def test_a_withdrawn_document_that_is_posted_all_the_same_is_said_until_it_is_voided(
    refused: tuple[Office, str, str],
) -> None:
    office, _, document = refused
    taken_back(office, document)
    sent = next(one for one in office.erp.creates if one["reference"] == document)
    office.erp.apply(type("Item", (), {"payload": sent, "key": "by hand"})())
    done = office.close()
    assert not done.complete
    assert any("which was withdrawn here" in one for one in done.mismatches)
    assert sum(one.invoiced for one in done.sums.values()) == Decimal("12000.00")
    again = office.close()
    assert any("which was withdrawn here" in one for one in again.mismatches), "it is said with every close"
    by_hand = office.erp.of(document)
    by_hand.update(state="cancelled", balance=None)
    assert office.close().complete


def test_a_refused_credit_memo_is_withdrawn_proposed_anew_and_nets_exactly(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    office.close()
    office.delivered(line, 400_000)
    office.erp.refuse(*CLOSED)
    assert not office.close().complete
    (memo,) = [one for one in office.hub.billing.documents("2026-02") if one.kind == "credit_memo"]
    assert not memo.number
    office.hub.billing.close_accounts("2026-02", by="Fin")
    taken_back(office, memo.document_id)
    waiting = office.close(approved_by=None)
    assert "wait for approval" in waiting.sentence, "a new correction is approved like every other one"
    done = office.close()
    assert done.complete, done.sentence
    assert (done.credits, office.erp.total()) == (1, Decimal("4800.00"))
    (made,) = [one for one in office.hub.billing.documents("2026-02") if one.kind == "credit_memo"]
    assert (made.document_id != memo.document_id, str(made.issued_on)) == (True, "2026-03-10")
    assert office.close().new_documents == 0


def test_why_names_the_way_out(refused: tuple[Office, str, str]) -> None:
    office, line, document = refused
    found = office.hub.billing.why(line, "2026-02")
    assert "The period of 2026-02-28 is closed." in found.answer
    assert f"`orderhub bill enter withdrawal {document}`" in found.answer
    taken_back(office, document)
    answer = office.hub.billing.why(line, "2026-02").answer
    assert "was withdrawn before it was posted; the next close makes another one" in answer


def test_reports_count_a_withdrawn_document_as_billable_and_not_billed(refused: tuple[Office, str, str]) -> None:
    office, line, document = refused
    taken_back(office, document)
    ((billable, billed),) = office.rows("SELECT billable, billed FROM report.line_month WHERE line_id = %s", [line])
    assert (billable, billed) == (Decimal("6000"), Decimal(0))

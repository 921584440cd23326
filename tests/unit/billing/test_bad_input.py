"""What goes wrong at a close is one clear sentence, and nothing is half-posted."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import PushItem
from hub.billing import exporting
from hub.errors import NotFound, PlanMoved, Refused
from oms_schema.billing_terms import Finality
from oms_schema.party import PartyRole
from oms_schema.status import CommercialStatus

if TYPE_CHECKING:
    from conftest import Office


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        ("UserError", "The period of 2026-02-28 is closed.", "period_closed"),
        ("UserWarning", "The due date lies in the past. Continue?", "vendor_state"),
        ("UserError", "The invoice date 2026-02-28 is before the last one, 2026-03-02.", "vendor_state"),
    ],
)
def test_what_the_erp_refuses_is_parked_with_its_words_and_goes_on_after_a_replay(
    office: Office, code: str, message: str, reason: str
) -> None:
    first, second = office.line(office.order("A")), office.line(office.order("B"))
    office.report({first: {"10": 500_000}, second: {"10": 500_000}})
    office.erp.refuse(code, message, reason)
    done = office.close()
    assert not done.complete
    assert any(message in sentence for sentence in done.waiting)
    assert len(office.erp.documents) == 1, "the other document is posted"
    assert sorted([office.status(first), office.status(second)]) == ["exported", "invoiced"]
    office.hub.replay(reason=reason)
    assert office.close().complete
    assert office.erp.total() == Decimal("12000.00")


def test_a_cent_of_difference_keeps_the_document_from_counting_as_invoiced(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.erp.cents_off = Decimal("0.01")
    done = office.close()
    assert not done.complete
    assert len(done.mismatches) == 1
    assert "11801.48 USD, and 11801.47 USD was billed" in done.sentence
    assert office.status(line) == "exported"


def test_a_document_cancelled_at_the_erp_is_said(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.close()
    next(iter(office.erp.documents.values()))["state"] = "cancelled"
    (problem,) = office.hub.billing.read_back().problems
    assert "as cancelled" in problem
    assert not office.close().complete


def test_a_payment_above_the_balance_is_said_and_the_document_counts_as_paid(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_000_000)
    office.close()
    office.erp.pay(next(iter(office.erp.documents.values()))["reference"], "12500")
    back = office.hub.billing.read_back()
    (problem,) = back.problems
    assert "Payments exceed what was owed by 500" in problem
    assert office.status(line) == "paid"


def test_a_payment_that_is_reversed_no_longer_counts(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_000_000)
    office.close()
    one = next(iter(office.erp.documents.values()))
    office.erp.pay(one["reference"], "5000")
    office.hub.billing.read_back()
    one["payments"].clear()
    one["balance"] += 5000
    assert office.hub.billing.read_back().payments == 1
    assert office.rows("SELECT gone FROM billing_payment") == [(True,)]
    assert office.rows("SELECT balance FROM billing_document") == [(12_000_000_000,)]


def test_two_approvals_at_once_approve_once_and_tell_the_other(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    ready = threading.Barrier(2)
    told: list[str] = []

    def approve(name: str) -> None:
        with office.second_worker() as hub:
            ready.wait(60)
            try:
                told.append(f"approved by {hub.billing.approve('2026-02', prepared.review_hash, by=name).approved_by}")
            except Refused as refused:
                told.append(str(refused))

    people = [threading.Thread(target=approve, args=(name,)) for name in ("Grace", "Joan")]
    for person in people:
        person.start()
    for person in people:
        person.join(120)
    told.sort()
    assert told[0].startswith("These figures of 2026-02 were approved by")
    assert told[1] in ("approved by Grace", "approved by Joan")
    assert told[1].removeprefix("approved by ") in told[0]
    assert office.rows("SELECT count(*) FROM billing_approval") == [(1,)]


def test_an_accounting_period_is_not_closed_while_documents_are_dated_into_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.delivered(office.line(office.order()), 500_000)
    closed = threading.Event()

    def close_accounts() -> None:
        with office.second_worker() as hub:
            hub.billing.close_accounts("2026-02", by="Finance")
            closed.set()

    finance = threading.Thread(target=close_accounts)
    date_of = exporting.issue_date
    meanwhile: list[bool] = []

    def dating(*given: Any) -> date:
        if not meanwhile:
            finance.start()
            meanwhile.append(closed.wait(0.05))
        return date_of(*given)

    monkeypatch.setattr(exporting, "issue_date", dating)
    assert office.close().complete
    finance.join(60)
    assert (meanwhile, closed.is_set()) == ([False], True)


def test_two_closes_at_once_make_each_document_once(office: Office) -> None:
    lines = [office.line(office.order(f"O{number}")) for number in range(6)]
    office.report({line: {"10": 500_000} for line in lines})
    ready = threading.Barrier(2)
    failures: list[BaseException] = []

    def close() -> None:
        with office.second_worker() as hub:
            ready.wait(60)
            try:
                hub.billing.close("2026-02", prepared_by="Ada", approved_by="Grace")
            except BaseException as error:
                failures.append(error)

    workers = [threading.Thread(target=close) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert failures == []
    assert office.close().complete
    assert office.erp.total() == Decimal("36000.00")
    assert sorted(Counter(one["reference"] for one in office.erp.documents.values()).values()) == [1] * 6


def test_the_next_close_takes_up_what_a_dead_worker_left_after_any_step(office: Office) -> None:
    lines = {number: office.line(office.order(f"O{number}")) for number in range(3)}
    bill = office.hub.billing
    for number, line in lines.items():
        office.report({known: {"10": 500_000} for known in list(lines.values())[: number + 1]})
        prepared = bill.prepare("2026-02", by="Ada")
        if number > 0:
            bill.approve("2026-02", prepared.review_hash, by="Grace")
        if number > 1:
            bill.export("2026-02", by="Grace")
        assert office.status(line) == ("in_review", "approved", "exported")[number]
        assert office.close().complete or number < 2
    assert office.close().complete
    assert office.erp.total() == Decimal("18000.00")
    assert len(office.erp.documents) == 3


@pytest.mark.parametrize("name", ["Ada", "ada", " ADA "])
def test_nobody_approves_what_they_prepared(office: Office, name: str) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    with pytest.raises(Refused, match="Somebody else approves"):
        office.close(approved_by=name)
    assert office.status(line) == "in_review"
    assert office.erp.creates == []


def test_an_approval_is_bound_to_the_figures_that_were_seen(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    seen = office.hub.billing.prepare("2026-02", by="Ada").review_hash
    office.delivered(line, 999_999)
    office.hub.billing.prepare("2026-02", by="Ada")
    with pytest.raises(PlanMoved, match="Nothing was approved"):
        office.hub.billing.approve("2026-02", seen, by="Grace")
    assert office.status(line) == "in_review"


def test_approved_figures_that_change_before_the_lock_are_reviewed_again(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    seen = office.hub.billing.prepare("2026-02", by="Ada").review_hash
    office.hub.billing.approve("2026-02", seen, by="Grace")
    office.delivered(line, 990_000)
    done = office.close(approved_by=None)
    assert not done.complete
    assert office.status(line) == "in_review"
    assert office.erp.creates == []


def test_figures_that_were_approved_for_an_agency_are_not_sent_to_an_advertiser(office: Office) -> None:
    """The order names another payer after the approval: the agency's commission is not deducted from what that one owes."""
    agency = (PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO)
    line = office.line(office.order(roles=agency), price={"commission_ppm": 150_000})
    office.delivered(line, 1_000_000)
    seen = office.hub.billing.prepare("2026-02", by="Ada").review_hash
    office.hub.billing.approve("2026-02", seen, by="Grace")
    office.order(roles=(PartyRole.ADVERTISER,))
    done = office.hub.billing.export("2026-02", by="Grace")
    assert (done.invoices, office.status(line)) == (0, "approved")
    (sentence,) = done.waiting
    assert "was approved with an agency as its payer, and that has changed" in sentence
    assert office.close().sums["USD"].invoiced == Decimal("12000.00")


def test_an_export_whose_documents_were_changed_in_the_store_is_not_posted(office: Office) -> None:
    first, second = office.line(office.order("A")), office.line(office.order("B"))
    office.report({first: {"10": 500_000}, second: {"10": 400_000}})
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", prepared.review_hash, by="Grace")
    exported = office.hub.billing.export("2026-02", by="Grace")
    assert (exported.invoices, exported.sums["USD"]["invoices"]) == (2, Decimal("10800.00"))
    with office.hub.session.database.transaction() as cur:
        cur.execute(
            "UPDATE billing_document SET body = replace(body::text, encode('6000000000', 'hex'), "
            "encode('6000010000', 'hex'))::bytea"
        )
    with pytest.raises(Refused, match="do not match its control totals"):
        office.hub.billing.post()
    assert office.erp.creates == []


def test_a_document_missing_from_an_export_stops_it(office: Office) -> None:
    first, second = office.line(office.order("A")), office.line(office.order("B"))
    office.report({first: {"10": 500_000}, second: {"10": 400_000}})
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", prepared.review_hash, by="Grace")
    office.hub.billing.export("2026-02", by="Grace")
    with office.hub.session.database.transaction() as cur:
        cur.execute("DELETE FROM billing_document WHERE document_id = (SELECT min(document_id) FROM billing_document)")
    with pytest.raises(Refused, match="do not match its control totals"):
        office.hub.billing.post()


def test_numbers_that_may_still_change_are_not_billed(office: Office) -> None:
    line = office.line(office.order())
    office.clock.time = office.clock.now().replace(day=1, hour=6)
    office.delivered(line, 983_456, final=False)
    done = office.close()
    assert dict(done.blocked) == {"NOT-FINAL": 1}
    assert office.status(line) == "awaiting_final"
    office.clock.time = office.clock.now().replace(day=9)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}, "age alone makes nothing final: no report came since"
    office.delivered(line, 985_000, final=False)
    assert office.close().complete
    assert office.erp.total() == Decimal("11820.00")


def test_a_line_that_counted_nothing_is_blocked_and_never_billed_at_zero(office: Office) -> None:
    order = office.order()
    line, other = office.line(order, "A"), office.line(order, "B")
    office.report({line: {"10": 0}, other: {"10": 100}})
    done = office.close()
    assert dict(done.blocked) == {"NO-DELIVERY": 1}
    assert office.status(line) == "awaiting_final"


def test_an_order_without_a_payer_is_blocked(office: Office) -> None:
    line = office.line(office.order(roles=()))
    office.delivered(line, 100_000)
    assert dict(office.close().blocked) == {"NO-BILL-TO": 1}


@pytest.mark.parametrize(
    "status", [CommercialStatus.DRAFT, CommercialStatus.OUT_FOR_SIGNATURE, CommercialStatus.EXPIRED]
)
def test_what_was_never_booked_is_never_billed(office: Office, status: CommercialStatus) -> None:
    line = office.line(office.order(status=status))
    office.delivered(line, 100_000)
    assert office.close().invoices == 0
    assert "nothing of it is billed" in office.hub.billing.why(line, "2026-02").answer


def test_an_objection_holds_the_figures_until_it_is_resolved(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.dispute(line, "2026-02", reason="wrong creative", by="Joan")
    done = office.close()
    assert (office.status(line), done.invoices) == ("disputed", 0)
    assert "Somebody objects: wrong creative (Joan)" in office.hub.billing.why(line, "2026-02").answer
    office.hub.billing.resolve(line, "2026-02", reason="the buyer agrees", by="Joan")
    assert office.close().complete


def test_an_objection_outlives_new_numbers(office: Office) -> None:
    line = office.line(office.order(finality=Finality.DECLARED))
    office.delivered(line, 800_000)
    office.close(approved_by=None)
    office.hub.billing.dispute(line, "2026-02", reason="another price was agreed", by="Bob")
    office.delivered(line, 800_001)
    assert office.close().invoices == 0
    assert "another price was agreed" in office.hub.billing.why(line, "2026-02").answer
    office.delivered(line, 800_002, final=False)
    assert dict(office.close().blocked) == {"NOT-FINAL": 1}
    office.delivered(line, 800_002)
    office.delivered(line, 500_000, source="moat")
    assert dict(office.close().blocked) == {"VARIANCE": 1}
    office.delivered(line, 800_002, source="moat")
    assert (office.close().invoices, office.status(line)) == (0, "disputed")
    office.hub.billing.resolve(line, "2026-02", reason="the price is right", by="Bob")
    assert office.close().complete
    assert office.erp.total() == Decimal("9600.02")


def test_an_entry_needs_two_people_and_counts_only_then(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 983_456)
    entered = office.hub.billing.enter(line, "2026-02", "override", quantity=900_000, reason="agreed", by="Ada")
    with pytest.raises(Refused, match="Somebody else approves it"):
        office.hub.billing.confirm(entered.number, by="Ada")
    office.hub.billing.confirm(entered.number, by="Grace")
    with pytest.raises(Refused, match="approved by Grace already"):
        office.hub.billing.confirm(entered.number, by="Joan")
    assert office.close().sums["USD"].invoiced == Decimal("10800.00")


def test_wrong_words_are_refused_with_what_would_be_right(office: Office) -> None:
    bill = office.hub.billing
    line = office.line(office.order())
    for period in ("2026-13", "202602", "2026-2", "feb", "²026-02"):
        with pytest.raises(Refused, match="YYYY-MM"):
            bill.prepare(period, by="Ada")
    with pytest.raises(Refused, match="needs a name"):
        bill.prepare("2026-02", by=" ")
    with pytest.raises(NotFound, match="No line answers"):
        bill.why("nobody", "2026-02")
    with pytest.raises(NotFound, match="takes no invoices"):
        bill.post(connection="ads")
    with pytest.raises(NotFound, match="No documents answer"):
        bill.replay("INV-9")
    with pytest.raises(Refused, match="outcome"):
        bill.enter(line, "2026-02", "settlement", reason="r", by="Ada")
    with pytest.raises(Refused, match="quantity"):
        bill.enter(line, "2026-02", "override", reason="r", by="Ada")
    with pytest.raises(Refused, match="Nothing of 2026-02 waits"):
        bill.approve("2026-02", "abc", by="Grace")


def test_two_ledgers_need_a_name(office: Office) -> None:
    known = office.hub.session.configuration.connections
    assert isinstance(known, dict)
    known["erp2"] = known["erp"]
    connect = office.hub.session.connect
    office.hub.session.connect = lambda name, settings: connect("erp" if name == "erp2" else name, settings)
    with pytest.raises(Refused, match="Several connections take invoices: erp, erp2"):
        office.close()
    assert office.close(connection="erp").new_documents == 0


@pytest.mark.parametrize("spelling", ["ada", "Ada\u200b", " Ada\u00a0", "\uff21da", "A\u00adda"])
def test_another_spelling_of_the_preparers_name_approves_nothing(office: Office, spelling: str) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    with pytest.raises(Refused, match="prepared some of these figures"):
        office.hub.billing.approve("2026-02", prepared.review_hash, by=spelling)
    entered = office.hub.billing.enter(line, "2026-02", "override", quantity=0, reason="never ran", by="Ada")
    with pytest.raises(Refused, match="entered number"):
        office.hub.billing.confirm(entered.number, by=spelling)
    assert office.status(line) == "in_review"


def test_a_close_waits_for_what_another_worker_is_sending(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    line = office.line(office.order())
    office.delivered(line, 1_000_000)
    prepared = office.hub.billing.prepare("2026-02", by="Ada")
    office.hub.billing.approve("2026-02", prepared.review_hash, by="Grace")
    office.hub.billing.export("2026-02", by="Ada")
    sending, answer = threading.Event(), threading.Event()

    def slow(_: PushItem) -> None:
        sending.set()
        assert answer.wait(120)

    def post() -> None:
        with office.second_worker() as hub:
            hub.billing.post()

    office.erp.misbehave.append(slow)
    worker = threading.Thread(target=post)
    worker.start()
    assert sending.wait(120)

    def nap(_: float) -> None:
        answer.set()
        worker.join(120)

    monkeypatch.setattr(office.hub.session, "sleep", nap)
    try:
        closed = office.close()
    finally:
        nap(0)
    assert closed.complete, closed.sentence
    assert closed.sums["USD"].balance == Decimal("12000.00"), "the ledger was read after the other worker had posted"
    assert len(office.erp.documents) == 1

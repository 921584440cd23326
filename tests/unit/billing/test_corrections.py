"""Restated after the lock: a correction component by component, approved by another, and never an edit of what was billed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.netsuite import documents as netsuite
from connectors.tryton import documents as tryton
from connectors.xero import documents as xero
from hub.errors import Refused
from hub.ops.correspondence import mismatches
from oms_schema.line import CostMethod
from oms_schema.party import PartyRole

if TYPE_CHECKING:
    from conftest import Office


def body(office: Office, kind: str) -> list[bytes]:
    return [bytes(row[0]) for row in office.rows("SELECT body FROM billing_document WHERE kind = %s", [kind])]


def test_a_lower_restatement_is_credited_so_that_both_net_exactly(office: Office) -> None:
    line = office.line(
        office.order(roles=(PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO)),
        price={"commission_ppm": 150_000},
    )
    office.delivered(line, 980_007)
    office.close()
    invoice = body(office, "invoice")
    office.delivered(line, 951_200)
    waiting = office.close(approved_by=None)
    assert not waiting.complete
    assert office.status(line) == "invoiced"
    assert len(office.erp.documents) == 1
    done = office.close()
    assert done.complete, done.sentence
    assert (done.invoices, done.credits, done.new_documents, done.second_close_documents) == (1, 1, 1, 0)
    ((gross, commission, net),) = office.rows(
        "SELECT gross, commission, net FROM billing_document WHERE kind = 'credit_memo'"
    )
    assert (gross, commission, net) == (345_680_000, 51_850_000, 293_830_000)
    assert office.erp.total() == Decimal("9702.24")
    assert done.sums["USD"].invoiced - done.sums["USD"].credited == office.erp.total()
    assert body(office, "invoice") == invoice, "the original never changes"
    assert office.status(line) == "adjusted"
    assert office.close().new_documents == 0


def test_restated_again_each_correction_starts_from_what_is_billed_and_not_credited(office: Office) -> None:
    line = office.line(office.order())
    totals = []
    for impressions in (900_000, 800_000, 850_000, 850_000, 1_200_000, 0):
        office.delivered(line, impressions)
        assert office.close().complete or impressions == 0
        totals.append(office.erp.total())
    assert totals == [Decimal(t) for t in ("10800.00", "9600.00", "10200.00", "10200.00", "12000.00", "12000.00")]
    done = office.close()
    assert dict(done.blocked) == {"NO-DELIVERY": 1}, "a silent zero is looked at before it is credited"
    entered = office.hub.billing.enter(line, "2026-02", "override", quantity=0, reason="never ran", by="Ada")
    office.hub.billing.confirm(entered.number, by="Grace")
    assert office.close().complete
    assert office.erp.total() == 0


def test_a_proposal_that_newer_numbers_overtake_is_withdrawn(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.close()
    office.delivered(line, 800_000)
    first = office.hub.billing.prepare("2026-02", by="Ada")
    assert (first.proposed, first.withdrawn) == (1, 0)
    assert office.hub.billing.prepare("2026-02", by="Ada").proposed == 0, "the same numbers, the same proposal"
    office.delivered(line, 700_000)
    second = office.hub.billing.prepare("2026-02", by="Ada")
    assert (second.proposed, second.withdrawn) == (1, 1)
    office.delivered(line, 900_000)
    third = office.hub.billing.prepare("2026-02", by="Ada")
    assert (third.proposed, third.withdrawn, third.review_hash) == (0, 1, "")
    assert office.close().new_documents == 0


def test_a_correction_waits_until_what_it_corrects_has_a_number(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.erp.refuse("CLOSED", "The period 2026-02 is closed.", "period_closed")
    office.close()
    office.delivered(line, 800_000)
    waiting = office.close()
    assert waiting.credits == 0
    assert any("has not numbered" in sentence for sentence in waiting.waiting)
    office.hub.replay(reason="period_closed")
    office.close()
    assert office.close().complete
    assert office.erp.total() == Decimal("9600.00")


def test_a_closed_accounting_period_takes_the_document_in_the_next_open_one(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 900_000)
    office.close()
    office.hub.billing.close_accounts("2026-02", by="Finance")
    office.delivered(line, 800_000)
    assert office.close().complete
    dates = [str(one["date"]) for one in office.erp.documents.values()]
    assert dates == ["2026-02-28", "2026-03-10"]
    office.hub.billing.close_accounts("2026-03", by="Finance")
    office.delivered(line, 700_000)
    with pytest.raises(Refused, match="no open accounting period"):
        office.close()
    assert len(office.erp.documents) == 2


def test_an_earlier_month_is_corrected_with_the_next_close(office: Office) -> None:
    order = office.order()
    line = office.line(order, end=office.clock.now().replace(month=4, day=1, hour=0, tzinfo=None), goal=2_000_000)
    office.delivered(line, 900_000)
    office.close()
    office.clock.time = office.clock.now().replace(month=4)
    office.delivered(line, 850_000)
    office.delivered(line, 1_000_000, month="2026-03")
    done = office.close("2026-03")
    assert done.complete, done.sentence
    assert (done.invoices, done.credits) == (1, 1)
    assert office.erp.total() == Decimal("22200.00")


def test_every_erp_connector_takes_what_is_sent(office: Office) -> None:
    order = office.order(roles=(PartyRole.ADVERTISER, PartyRole.AGENCY, PartyRole.BILL_TO))
    plain = office.line(order, "Plain")
    agency = office.line(order, "Agency", price={"commission_ppm": 150_000})
    flat = office.line(office.order("Flat"), "Sponsor", rate="2500", method=CostMethod.FLAT)
    office.report({plain: {"10": 1_043_217}, agency: {"11": 980_007}, flat: {"12": 5}})
    office.close()
    office.report({plain: {"10": 900_000}, agency: {"11": 951_200}, flat: {"12": 5}})
    office.close()
    sent = [one["sent"] for one in office.erp.documents.values()]
    assert sorted(one["kind"] for one in sent) == ["credit_memo", "invoice", "invoice"]
    for one in sent:
        for shape in (tryton.document(one), xero.document(one), netsuite.document(one)):
            assert shape.total == one["total"]
            assert [line.amount for line in shape.lines] == [line["amount"] for line in one["lines"]]


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE line_period SET status = 'paid'",
        "DELETE FROM line_period",
        "UPDATE billing_document SET state = 'paid' WHERE kind = 'credit_memo'",
        "UPDATE billing_document SET content_hash = 'x'",
        "DELETE FROM billing_document WHERE kind = 'credit_memo'",
    ],
)
def test_the_audit_chain_tells_of_every_bill_and_of_what_was_changed_behind_it(office: Office, planted: str) -> None:
    line = office.line(office.order())
    for impressions in (900_000, 800_000):
        office.delivered(line, impressions)
        office.close()
    assert mismatches(office.hub.session) == []
    with office.hub.session.database.transaction() as cur:
        cur.execute(planted.encode())
    assert mismatches(office.hub.session)

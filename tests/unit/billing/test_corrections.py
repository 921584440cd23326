"""Restated after the lock: a correction component by component, approved by another, and never an edit of what was billed."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from connectors.netsuite import documents as netsuite
from connectors.tryton import documents as tryton
from connectors.xero import documents as xero
from hub.billing import preparing
from hub.errors import Refused
from hub.ops.correspondence import mismatches
from oms_schema.billing_terms import CapMode, Finality
from oms_schema.ids import EntityKind
from oms_schema.line import CostMethod, Line
from oms_schema.party import PartyRole

if TYPE_CHECKING:
    from conftest import FakeErp, Office


JANUARY = datetime.fromisoformat("2026-01-01")


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


@pytest.mark.parametrize("cap", [CapMode.CUMULATIVE, CapMode.CUMULATIVE_PER_CYCLE])
def test_a_month_is_not_billed_into_what_a_disputed_later_one_was_billed(office: Office, cap: CapMode) -> None:
    """January is restated upward while February's newer counts are in dispute: both together stay under the goal."""
    line = office.line(office.order(cap=cap), start=JANUARY, goal=1_000_000)
    for month in ("2026-01", "2026-02"):
        for source in ("ads", "moat"):
            office.delivered(line, 500_000, month=month, source=source)
        office.close(month)
    billed = office.erp.total()
    for source in ("ads", "moat"):
        office.delivered(line, 800_000, month="2026-01", source=source)
    office.delivered(line, 100_000, source="moat")
    done = office.close()
    assert dict(done.blocked) == {"VARIANCE": 1}
    assert billed <= office.erp.total() <= Decimal(12000)
    office.delivered(line, 400_000)
    office.delivered(line, 400_000, source="moat")
    assert office.close().complete
    assert office.erp.total() == Decimal(12000)


def test_a_month_that_gave_way_to_a_disputed_one_gets_what_that_did_not_take(office: Office) -> None:
    """February left 800,000 of 1,000,000 to January, which is settled at 600,000 only."""
    line = office.line(office.order(), start=JANUARY, goal=1_000_000)
    for month, ours, theirs in (("2026-01", 800_000, 600_000), ("2026-02", 500_000, 500_000)):
        office.delivered(line, ours, month=month)
        office.delivered(line, theirs, month=month, source="moat")
        office.close(month)
    assert office.erp.total() == Decimal(2400)
    settlement = {"outcome": "controlling", "quantity": None, "reason": "agreed by phone"}
    entered = office.hub.billing.enter(line, "2026-01", "settlement", by="Ada", **settlement)
    office.hub.billing.confirm(entered.number, by="Grace")
    office.clock.time += timedelta(days=1)
    assert office.close("2026-01").complete
    assert office.close("2026-02").complete
    assert office.erp.total() == Decimal(12000)
    assert office.close("2026-02").new_documents == 0


def test_months_that_only_trade_units_are_not_corrected(office: Office) -> None:
    """January came to more than February had left it: both at the cap, and no number of either has changed since."""
    line = office.line(office.order(finality=Finality.DECLARED), start=JANUARY, goal=1_000_000)
    office.delivered(line, 300_000, month="2026-01", final=False)
    office.delivered(line, 900_000)
    office.close("2026-02")
    entered = office.hub.billing.enter(line, "2026-01", "manual_count", quantity=500_000, reason="mail", by="Ada")
    office.hub.billing.confirm(entered.number, by="Grace")
    office.clock.time += timedelta(days=1)
    office.close("2026-01")
    assert office.erp.total() == Decimal(12000)
    assert office.close("2026-02").new_documents == 0
    assert len(office.erp.documents) == 2


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


def second_ledger(office: Office) -> FakeErp:
    """Another ERP, `erp2`, beside the one called `erp`."""
    session = office.hub.session
    other = type(office.erp)(office.clock)
    first = session.connect
    session.configuration.connections["erp2"] = session.configuration.connections["erp"]  # type: ignore[index]
    session.connect = lambda name, settings: other if name == "erp2" else first(name, settings)
    return other


def test_a_correction_goes_to_the_erp_that_has_its_original(office: Office) -> None:
    other = second_ledger(office)
    line = office.line(office.order())
    office.delivered(line, 500_000)
    assert office.close(connection="erp").complete
    office.delivered(line, 400_000)
    elsewhere = office.close(connection="erp2")
    assert not elsewhere.complete
    assert any("--connection erp, too" in sentence for sentence in elsewhere.waiting)
    assert (len(office.erp.documents), other.documents) == (1, {})
    done = office.close(connection="erp")
    assert done.complete, done.sentence
    assert (office.erp.total(), other.documents) == (Decimal(4800), {})


def test_a_correction_waits_while_its_original_is_void(office: Office) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    office.close()
    (invoice,) = office.erp.documents.values()
    invoice["state"] = "voided"
    office.delivered(line, 400_000)
    assert any("otherwise than it was billed" in sentence for sentence in office.close().waiting)
    assert len(office.erp.documents) == 1
    invoice["state"] = "posted"
    assert office.close().complete
    assert office.erp.total() == Decimal(4800)


def moved(office: Office, line_id: str, order_id: str) -> None:
    """Sales moves a line to another order."""
    line = Line.from_bytes(bytes(office.rows("SELECT canonical FROM entity WHERE id = %s", [line_id])[0][0]))
    line = line.model_copy(update={"order_id": order_id})
    office.keep(EntityKind.LINE, line_id, line, line.name, order_id=order_id, external_id=line.external_id)


@pytest.mark.parametrize("chunk", [1, 400])
def test_a_line_that_was_moved_after_its_bill_is_corrected_on_that_bill(
    office: Office, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "CHUNK", chunk)
    first, second = office.order("A"), office.order("B")
    line, stays, other = office.line(first), office.line(first, "Stays"), office.line(second, "Other")
    office.report({line: {"10": 500_000}, stays: {"10": 100_000}, other: {"10": 300_000}})
    office.close()
    moved(office, line, second)
    office.report({line: {"10": 400_000}, stays: {"10": 90_000}, other: {"10": 300_000}})
    done = office.close()
    assert done.complete, done.sentence
    assert office.erp.total() == Decimal(4800 + 1080 + 3600)
    (memo,) = [one for one in office.erp.documents.values() if one["corrects"]]
    assert memo["sent"]["description"].startswith("Credit for order IO-A")
    assert len(memo["sent"]["lines"]) == 2
    assert office.close().new_documents == 0


def test_a_line_that_was_moved_before_its_bill_is_billed_with_its_new_order(office: Office) -> None:
    first, second = office.order("A"), office.order("B")
    line, other = office.line(first), office.line(second, "Other")
    office.report({line: {"10": 500_000}, other: {"10": 300_000}})
    office.close(approved_by=None)
    moved(office, line, second)
    assert office.close().complete
    (invoice,) = office.erp.documents.values()
    assert (len(invoice["sent"]["lines"]), invoice["total"]) == (2, Decimal(9600))


def test_a_billed_line_that_is_restated_to_nothing_is_said_to_be_billed(office: Office) -> None:
    line, other = office.line(office.order("A")), office.line(office.order("B"), "Other")
    office.report({line: {"10": 500_000}, other: {"10": 5_000}})
    office.close()
    office.report({other: {"10": 5_000}})
    done = office.close()
    (sentence,) = done.waiting
    assert "1 billed line-periods of 2026-02 have newer numbers that are blocked by NO-DELIVERY" in sentence
    assert "What was billed stays" in sentence
    answer = office.hub.billing.why(line, "2026-02").answer
    assert answer.startswith("It was billed with 6000.00 USD")
    assert "correct nothing yet" in answer
    assert "correct nothing yet" not in office.hub.billing.why(other, "2026-02").answer

"""What the ERP holds of an order's bills reaches the CRM: number, status, balance, amounts to the cent, one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CheckReport,
    Connector,
    Native,
    Operation,
    Outcome,
    Page,
    PushItem,
    PushResult,
    RecordCapability,
    RecordSchema,
)
from connectors.salesforce import SalesforceConnector
from hub.config import ConnectionSettings
from hub.errors import ConnectionBroken
from hub.store import attempts, journal
from hub.store.billed import BilledDocument
from hub.sync.billed import billing_sentence, order_billing, status, words
from oms_schema.projection import OrderBilling, OrderProjection

if TYPE_CHECKING:
    from conftest import Office

FIELDS = (
    *("Hub_Invoice_Number__c", "Hub_Invoice_Status__c", "Hub_Invoice_Balance__c", "Hub_Invoiced__c", "Hub_Paid__c"),
    *("Hub_Credited__c", "Hub_Invoices__c"),
)


class NoSettings(BaseModel):
    """The fake needs none."""


class Crm(Connector):
    """Takes updates of opportunities and line items by id, and remembers each."""

    name = "salesforce"
    title = "Salesforce"
    config = NoSettings

    def __init__(self) -> None:
        self.mirror: dict[str, dict[str, Any]] = {}
        self.writes = 0

    @property
    def capabilities(self) -> Capabilities:
        update = RecordCapability(batch=200, operations=frozenset({Operation.UPDATE}))
        return Capabilities(records={"Opportunity": update, "OpportunityLineItem": update})

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        return SalesforceConnector.record_schemas()

    def check(self, used: object = None, written: object = None) -> CheckReport:
        return CheckReport("org 00D")

    def read(self, stream: str, fields: Sequence[str], cursor: str | None) -> Iterator[Page]:
        yield Page([], "", last=True)

    def fetch(self, record: str, fields: Sequence[str], native_ids: Sequence[str]) -> Mapping[str, Native]:
        return {}

    def push(self, record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        self.writes += len(items)
        for item in items:
            assert item.vendor_id is not None
            self.mirror.setdefault(item.vendor_id, {}).update(item.payload)
        return [PushResult(item.key, Outcome.UPDATED, item.vendor_id) for item in items]

    def find(self, record: str, items: Sequence[PushItem]) -> Sequence[tuple[str, Native] | None]:
        return [None for _ in items]


def with_crm(office: Office, *overlays: str) -> Crm:
    """A CRM beside the ledger, in an org that has the fields of these overlays."""
    crm, session = Crm(), office.hub.session
    before = session.connect
    session.configuration.connections["sfdc"] = ConnectionSettings(connector="salesforce", overlays=overlays)  # type: ignore[index]
    session.connect = lambda name, settings: crm if name == "sfdc" else before(name, settings)
    return crm


def known_at_crm(office: Office, order: str, native_id: str) -> None:
    """The order's opportunity, as intake would have kept it."""
    with office.hub.session.database.transaction() as cur:
        attempts.put_reference(
            cur,
            connection="sfdc",
            kind="order",
            entity_id=order,
            facet="",
            record="Opportunity",
            vendor_id=native_id,
            account="",
            attempt_id=None,
            now=office.clock.now(),
        )
        journal.mark_stale(cur, [order])


def billed_order(office: Office, impressions: int = 100_000) -> str:
    """An order at the CRM whose one line delivered; not billed yet."""
    order = office.order()
    line = office.line(order)
    office.delivered(line, impressions)
    known_at_crm(office, order, "006A")
    office.hub.push("sfdc")
    return order


def bills(crm: Crm, native_id: str = "006A") -> dict[str, Any]:
    return {name: crm.mirror[native_id].get(name) for name in FIELDS}


def sentence(crm: Crm) -> str:
    return str(crm.mirror["006A"]["Hub_Status_Text__c"])


def test_a_payment_in_the_erp_reaches_the_crm_and_a_second_run_writes_nothing(office: Office) -> None:
    crm = with_crm(office, "billing")
    billed_order(office)
    assert set(bills(crm).values()) == {None}
    assert "Invoice" not in sentence(crm)
    assert office.close().complete
    office.hub.push("sfdc")
    assert bills(crm) == {
        "Hub_Invoice_Number__c": "INV-0001",
        "Hub_Invoice_Status__c": "Open",
        "Hub_Invoice_Balance__c": Decimal("1200.00"),
        "Hub_Invoiced__c": Decimal("1200.00"),
        "Hub_Paid__c": Decimal("0.00"),
        "Hub_Credited__c": Decimal("0.00"),
        "Hub_Invoices__c": "INV-0001 for February 2026: USD 1,200.00, 1,200.00 open",
    }
    assert sentence(crm).endswith("Invoice INV-0001 for February 2026: USD 1,200.00, 1,200.00 open.")
    ((document,),) = office.rows("SELECT document_id FROM billing_document")
    office.erp.pay(document, "999.99")
    assert office.hub.billing.read_back().changed == 1
    before = crm.writes
    office.hub.push("sfdc")
    assert crm.writes == before + 1
    assert bills(crm)["Hub_Invoice_Status__c"] == "Partly paid"
    assert (bills(crm)["Hub_Invoice_Balance__c"], bills(crm)["Hub_Paid__c"]) == (Decimal("200.01"), Decimal("999.99"))
    assert sentence(crm).endswith("USD 1,200.00, 200.01 open.")
    office.erp.pay(document, "200.01", "p2")
    office.hub.billing.read_back()
    office.hub.push("sfdc")
    assert bills(crm)["Hub_Invoice_Status__c"] == "Paid"
    assert sentence(crm).endswith("USD 1,200.00, paid.")
    before = crm.writes
    assert office.hub.billing.read_back().changed == 0
    office.hub.push("sfdc")
    assert crm.writes == before, "nothing new, nothing written"


def test_a_payment_that_changes_no_balance_is_news_all_the_same(office: Office) -> None:
    crm = with_crm(office, "billing")
    billed_order(office)
    office.close()
    office.hub.push("sfdc")
    ((document,),) = office.rows("SELECT document_id FROM billing_document")
    # Booked against the invoice while its balance is not computed anew yet.
    office.erp.of(document)["payments"].append({"id": "p1", "date": date(2026, 3, 20), "amount": Decimal("5.00")})
    office.hub.billing.read_back()
    office.hub.push("sfdc")
    assert bills(crm)["Hub_Paid__c"] == Decimal("5.00")


def test_a_credit_memo_is_told_beside_the_invoice_it_corrects(office: Office) -> None:
    crm = with_crm(office, "billing")
    billed_order(office)
    office.close()
    ((line,),) = office.rows("SELECT id FROM entity WHERE kind = 'line'")
    office.delivered(line, 90_000)
    assert office.close().credits == 1
    office.hub.push("sfdc")
    told = bills(crm)
    assert (told["Hub_Invoiced__c"], told["Hub_Credited__c"], told["Hub_Invoice_Balance__c"]) == (
        Decimal("1200.00"),
        Decimal("120.00"),
        Decimal("1080.00"),
    )
    assert "CRN-0002 for February 2026: credit of INV-0001, USD 120.00, 120.00 not set off" in told["Hub_Invoices__c"]
    assert told["Hub_Invoice_Number__c"] == "INV-0001"
    assert sentence(crm).endswith("In all USD 1,080.00 open on 2 documents.")


def test_an_org_without_the_fields_works_as_before_and_reads_the_sentence(office: Office) -> None:
    crm = with_crm(office)
    billed_order(office)
    office.close()
    office.hub.push("sfdc")
    assert not set(FIELDS) & set(crm.mirror["006A"])
    assert sentence(crm).endswith("Invoice INV-0001 for February 2026: USD 1,200.00, 1,200.00 open.")


def test_an_overlay_that_nobody_ships_stops_the_connection_with_the_names_there_are(office: Office) -> None:
    with_crm(office, "bililng")
    with pytest.raises(ConnectionBroken, match=r"no overlay 'bililng'.*there is billing"):
        office.hub.push("sfdc")


# ---------------------------------------------------------------- the rules, without a store
def document(number: str | None = "INV-1", **changes: Any) -> BilledDocument:
    values: dict[str, Any] = {
        "document_id": "doc_1",
        "kind": "invoice",
        "currency": "USD",
        "period_start": date(2020, 3, 1),
        "period_end": date(2020, 4, 1),
        "net": 1_234_500_000,
        "number": number,
        "balance": 200_000_000,
        "mismatch": False,
        "paid": 1_034_500_000,
        "corrects": None,
    }
    return BilledDocument(**values | changes)


@pytest.mark.parametrize(
    ("changes", "expected", "said"),
    [
        ({}, "Partly paid", "INV-1 for March 2020: USD 1,234.50, 200.00 open"),
        ({"balance": 0}, "Paid", "INV-1 for March 2020: USD 1,234.50, paid"),
        ({"balance": 0, "paid": 0}, "Credited", "INV-1 for March 2020: USD 1,234.50, credited"),
        ({"paid": 0}, "Partly credited", "INV-1 for March 2020: USD 1,234.50, 200.00 open"),
        ({"paid": 0, "balance": 1_234_500_000}, "Open", "INV-1 for March 2020: USD 1,234.50, 1,234.50 open"),
        ({"paid": 0, "balance": 1_400_000_000}, "Open", "INV-1 for March 2020: USD 1,234.50, 1,400.00 open"),
        ({"balance": 1}, "Partly paid", "INV-1 for March 2020: USD 1,234.50, 0.00 open"),
        (
            {"mismatch": True},
            "Being checked",
            "INV-1 for March 2020: billed USD 1,234.50, shown otherwise by the ERP; Finance checks it",
        ),
        (
            {"period_start": date(2020, 3, 30), "period_end": date(2020, 4, 27)},
            "Partly paid",
            "INV-1 for 2020-03-30 to 2020-04-26: USD 1,234.50, 200.00 open",
        ),
        ({"currency": "JPY"}, "Partly paid", "INV-1 for March 2020: JPY 1,235, 200 open"),
        ({"currency": "KWD"}, "Partly paid", "INV-1 for March 2020: KWD 1,234.500, 200.000 open"),
    ],
)
def test_a_document_in_words(changes: dict[str, Any], expected: str, said: str) -> None:
    assert (status(document(**changes)), words(document(**changes))) == (expected, said)


def test_what_is_in_question_or_in_another_currency_is_in_no_sum() -> None:
    latest = document("INV-3", period_start=date(2020, 5, 1), period_end=date(2020, 6, 1), mismatch=True)
    foreign = document("INV-2", currency="EUR", period_start=date(2020, 4, 1), period_end=date(2020, 5, 1))
    billing = order_billing("USD", [latest, foreign, document()])
    assert billing is not None
    assert (billing.invoice, billing.invoice_status) == ("INV-3", "Being checked")
    assert (billing.invoiced, billing.balance, billing.paid) == (
        Decimal("1234.50"),
        Decimal("200.00"),
        Decimal("1034.50"),
    )
    assert len(billing.documents) == 3
    assert "EUR 1,234.50" in billing.documents[1]
    assert billing_sentence(billing, [latest, foreign, document()]).startswith("Invoice INV-3 for May 2020: billed")


def test_before_the_first_invoice_there_is_nothing_to_tell() -> None:
    assert order_billing("USD", []) is None
    assert order_billing("USD", [document("CRN-1", kind="credit_memo")]) is None


def test_the_longest_names_an_erp_can_give_fit_the_projection() -> None:
    long = document("N" * 300, kind="credit_memo", corrects="M" * 300, net=2**63 - 1, balance=2**63 - 1)
    other = document("N" * 300, period_start=date(2020, 3, 30), period_end=date(2020, 4, 27), net=2**63 - 1)
    billing = order_billing("USD", [long, other])
    assert billing is not None
    assert max(map(len, billing.documents)) <= 255
    assert OrderBilling.from_bytes(billing.canonical_bytes()) == billing


def test_amounts_have_the_decimals_of_their_currency() -> None:
    billing = order_billing("USD", [document()])
    assert billing is not None
    for wrong in ("1.5", "1", "1.500", 1.5):
        with pytest.raises(ValueError, match="decimal"):
            OrderBilling.model_validate(billing.model_dump() | {"paid": wrong})


def test_an_order_without_bills_has_the_bytes_it_always_had() -> None:
    plain = OrderProjection.model_validate(
        {
            "order_id": "ord_osibfval445j3zskv2hmp64u",
            "version": 1,
            "status": "Live",
            "sentence": "Live.",
            "next_step_owner": "",
            "delivered": 0,
            "goal": 0,
            "delivered_pct": "0.00",
        }
    )
    assert b"billing" not in plain.canonical_bytes()

"""An order's bills as the CRM sees them: the latest invoice, the sums in the order's currency, every document in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hub.store.billed import BilledDocument
from oms_schema.delivery import BillingPeriod
from oms_schema.document import DocumentKind
from oms_schema.money import exponent, half_up, minor_unit
from oms_schema.projection import OrderBilling

OPEN, PARTLY_PAID, PARTLY_CREDITED, PAID, CREDITED = "Open", "Partly paid", "Partly credited", "Paid", "Credited"
BEING_CHECKED = "Being checked"
"""The ERP shows it otherwise than it was billed; it is in no sum until Finance has settled which is right."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""Not from the machine's locale: the CRM's users all read the same sentence."""
LONGEST_NUMBER = 80
"""Characters of an ERP's document number that are shown; real ones have about ten."""


def order_billing(currency: str, documents: Sequence[BilledDocument]) -> OrderBilling | None:
    """What the CRM is told; `documents` come latest first. None before the ERP has an invoice.

    Sums are of the documents in the order's currency; one in another currency is told in words only.
    """
    latest = latest_invoice(documents)
    if latest is None:
        return None
    counted = [one for one in documents if one.currency == currency and _counts(one)]
    invoices = [one for one in counted if not _credits(one)]
    credits_ = [one for one in counted if _credits(one)]
    balance = sum(one.balance or 0 for one in invoices) - sum(one.balance or 0 for one in credits_)
    return OrderBilling(
        currency=currency,
        invoice=_number(latest),
        invoice_status=status(latest),
        balance=_amount(balance, currency),
        invoiced=_amount(sum(one.net for one in invoices), currency),
        paid=_amount(sum(one.paid for one in invoices), currency),
        credited=_amount(sum(one.net for one in credits_), currency),
        documents=tuple(words(one) for one in documents),
    )


def billing_sentence(billing: OrderBilling, documents: Sequence[BilledDocument]) -> str:
    """The latest invoice in one sentence, and what is open on all of them where that is something else."""
    latest = latest_invoice(documents)
    assert latest is not None
    sentence = f"Invoice {words(latest)}."
    if len(documents) > 1 and billing.balance != _amount(latest.balance or 0, latest.currency):
        sentence += f" In all {billing.currency} {billing.balance:,} open on {len(documents)} documents."
    return sentence


def latest_invoice(documents: Sequence[BilledDocument]) -> BilledDocument | None:
    """The first invoice of a list that comes latest first; a supplementary one counts like any other."""
    return next((one for one in documents if not _credits(one)), None)


def status(one: BilledDocument) -> str:
    """One word for a document, from what is open and whether money came."""
    if not _counts(one):
        return BEING_CHECKED
    if not one.balance:
        return PAID if one.paid > 0 or not one.net else CREDITED
    if one.paid > 0:
        return PARTLY_PAID
    return PARTLY_CREDITED if one.balance < one.net else OPEN


def words(one: BilledDocument) -> str:
    """`2020/0012 for March 2020: USD 1,234.50, 200.00 open`."""
    said = f"{_number(one)} for {period_words(BillingPeriod(start=one.period_start, end=one.period_end))}"
    worth = f"{one.currency} {_amount(one.net, one.currency):,}"
    if not _counts(one):
        return f"{said}: billed {worth}, shown otherwise by the ERP; Finance checks it"
    if _credits(one):
        to = f" of {one.corrects[: LONGEST_NUMBER - 20]}" if one.corrects else ""
        rest = f", {_amount(one.balance, one.currency):,} not set off" if one.balance else ""
        return f"{said}: credit{to}, {worth}{rest}"
    told = f"{_amount(one.balance, one.currency):,} open" if one.balance else status(one).lower()
    return f"{said}: {worth}, {told}"


def period_words(period: BillingPeriod) -> str:
    """`March 2020`, or both days of a period that is no calendar month."""
    if len(period.label) > len("2020-03"):
        return period.label.replace("..", " to ")
    return f"{MONTHS[period.start.month - 1]} {period.start.year}"


def _counts(one: BilledDocument) -> bool:
    return one.number is not None and not one.mismatch


def _credits(one: BilledDocument) -> bool:
    return one.kind == DocumentKind.CREDIT_MEMO


def _number(one: BilledDocument) -> str:
    return (one.number or one.document_id)[:LONGEST_NUMBER]


def _amount(micros: int | None, currency: str) -> Decimal:
    """Major units with the currency's own decimals; an ERP's fraction of a cent is rounded HALF_UP for the eye."""
    return Decimal(half_up(micros or 0, minor_unit(currency))).scaleb(-exponent(currency))

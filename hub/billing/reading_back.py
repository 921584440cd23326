"""Read back: number, status, total, balance, payments and credits of our documents, as the ERP shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.base import Native, Page, ReportsBilling
from hub.billing import copies
from hub.billing.answers import ReadBackSummary
from hub.billing.copies import Copies, is_void
from hub.billing.documents import body_of
from hub.billing.exporting import ledger
from hub.billing.moving import moved
from hub.billing.review import amount
from hub.errors import ConnectionBroken
from hub.session import Channel, Session
from hub.store import billing_counts, billing_documents, billing_periods, changes, journal
from hub.store.billing_documents import DocumentState, StoredDocument, StoredPayment
from hub.store.database import Cursor
from hub.sync.vendor import pages_of
from oms_schema.document import DocumentKind
from oms_schema.machines import BillingFacts
from oms_schema.money import Money
from oms_schema.payment import Payment, check_balance
from oms_schema.status import BillingStatus

STREAM = "billing"
"""The name of the cursor."""


def read_back(session: Session, connection: str | None = None) -> ReadBackSummary:
    """Read every document that changed at the ERP since the last time; what is not ours is left alone.

    Raises ConnectionBroken when the connection does not report billing, VendorUnavailable and
    ConnectorStumbled (what was read is kept).
    """
    channel = ledger(session, connection)
    connector = channel.connector
    if not isinstance(connector, ReportsBilling):
        raise ConnectionBroken(
            channel.name,
            f"Connection {channel.name} does not report billing. Its documents stay exported. Finance looks them up in "
            f"{connector.title}.",
        )
    tally: dict[str, int] = {}
    problems: list[str] = []
    with session.database.transaction() as cur:
        position = changes.position(cur, channel.name, STREAM)
    for page in pages_of(session, channel, "read", lambda: connector.billing(position)):
        with session.database.transaction() as cur:
            billing_counts.one_at_a_time(cur)
            _take(session, cur, channel, page, tally, problems)
            changes.save_position(cur, channel.name, STREAM, page.cursor, session.machine.now())
    return ReadBackSummary(channel.name, **tally, problems=problems)


def _take(
    session: Session, cur: Cursor, channel: Channel, page: Page, tally: dict[str, int], problems: list[str]
) -> None:
    told = copies.told(cur, channel.name, page.records)
    documents = {
        document_id: one
        for document_id, one in billing_documents.by_ids(cur, sorted(told), lock=True).items()
        if one.connection == channel.name
    }
    for document_id, found in copies.taken(cur, channel.name, documents, told).items():
        tally["seen"] = tally.get("seen", 0) + 1
        _one(session, cur, channel, documents[document_id], found, tally, problems)


def _one(
    session: Session,
    cur: Cursor,
    channel: Channel,
    one: StoredDocument,
    found: Copies,
    tally: dict[str, int],
    problems: list[str],
) -> None:
    if one.state is DocumentState.WITHDRAWN:
        _posted_after_all(session, cur, channel, one, found, tally, problems)
        return
    native = found.native
    number, balance = native.get("number"), _micros(native.get("balance"), one.currency)
    if balance is not None and one.kind == DocumentKind.INVOICE and Decimal(str(native["balance"])) < 0:
        balance = -balance  # more was paid than was owed; a credit memo is shown below zero anyway
    # A draft may have a number already (Xero's is our reference); only what is owed has a balance.
    acknowledged = bool(number) and balance is not None
    total = _total(native, one)
    mismatch = ""
    if acknowledged or total is not None or is_void(native):
        mismatch = _twice(channel, one, found.owed) or _mismatch(channel, one, native, total)
    state = one.state
    if acknowledged and not mismatch:
        state = DocumentState.PAID if balance is not None and balance <= 0 else DocumentState.POSTED
    elif mismatch and state in (DocumentState.POSTED, DocumentState.PAID):
        state = DocumentState.EXPORTED
    payments = _payments(channel, one, native)
    changed = billing_documents.put_payments(cur, channel.name, one.document_id, payments)
    news = billing_documents.answered(
        cur,
        one,
        state=state,
        number=str(number) if acknowledged else one.number,
        vendor_state=str(native.get("state") or ""),
        their_total=total,
        balance=balance,
        mismatch=mismatch,
        now=session.machine.now(),
    )
    if mismatch:
        problems.append(mismatch)
    problems += overpaid(one, payments, _micros(native.get("total"), one.currency))
    for name, count in (("changed", int(news or bool(changed))), ("payments", changed)):
        tally[name] = tally.get(name, 0) + count
    if news and mismatch:
        _withdraw(cur, one, mismatch)
    elif news and acknowledged and one.kind == DocumentKind.INVOICE:
        _advance(cur, one, str(number), total, balance or 0, tally)
    if news or changed:
        journal.mark_stale(cur, [one.order_id])


def _posted_after_all(
    session: Session,
    cur: Cursor,
    channel: Channel,
    one: StoredDocument,
    found: Copies,
    tally: dict[str, int],
    problems: list[str],
) -> None:
    """Keep and tell that the ERP shows as owed what was withdrawn here: a draft that was left there and posted by hand."""
    native, mismatch = found.native, ""
    if native.get("number") and native.get("balance") is not None and not is_void(native):
        mismatch = (
            f"{channel.connector.title} has posted {native['number']} ({one.document_id}), which was withdrawn here. It counts "
            "as not invoiced, and another document bills the same. Finance voids it there."
        )
        problems.append(mismatch)
    tally["changed"] = tally.get("changed", 0) + billing_documents.answered(
        cur,
        one,
        state=one.state,
        number=one.number,
        vendor_state=str(native.get("state") or ""),
        their_total=one.their_total,
        balance=one.balance,
        mismatch=mismatch,
        now=session.machine.now(),
    )


def _advance(
    cur: Cursor, one: StoredDocument, number: str, total: int | None, balance: int, tally: dict[str, int]
) -> None:
    facts = BillingFacts(
        erp_number=number,
        our_total=Money(micros=one.amounts.net, currency=one.currency),
        their_total=None if total is None else Money(micros=total, currency=one.currency),
        balance=Money(micros=balance, currency=one.currency),
    )
    news = []
    for period in billing_periods.of_document(cur, one.document_id, lock=True):
        known = period
        if period.status is BillingStatus.EXPORTED:
            period = moved(cur, period, BillingStatus.INVOICED, facts, number=number)
            tally["acknowledged"] = tally.get("acknowledged", 0) + 1
        if period.status is BillingStatus.INVOICED and balance <= 0:
            period = moved(cur, period, BillingStatus.PAID, facts, number=number)
            tally["paid"] = tally.get("paid", 0) + 1
        elif period.status is BillingStatus.PAID and balance > 0:
            period = moved(cur, period, BillingStatus.INVOICED, facts, number=number)
        if period is not known:
            news.append(period)
    billing_periods.put(cur, news)


def _withdraw(cur: Cursor, one: StoredDocument, mismatch: str) -> None:
    """What the ERP does not show as it was billed is not invoiced, whatever it was before."""
    facts = BillingFacts(mismatch=mismatch)
    known = billing_periods.of_document(cur, one.document_id, lock=True)
    acknowledged = [period for period in known if period.status in (BillingStatus.INVOICED, BillingStatus.PAID)]
    billing_periods.put(
        cur, [moved(cur, period, BillingStatus.EXPORTED, facts, mismatch=mismatch) for period in acknowledged]
    )


def _total(native: Native, one: StoredDocument) -> int | None:
    """The ERP's total without tax, as its kind of document has it: positive for a credit memo, which is shown below zero."""
    total, tax = native.get("total"), native.get("tax")
    if total is None:
        return None
    net = Money.of(Decimal(total) - Decimal(tax or 0), one.currency).micros
    return -net if one.kind == DocumentKind.CREDIT_MEMO else net


def _micros(value: object, currency: str) -> int | None:
    if value is None:
        return None
    return abs(Money.of(Decimal(str(value)), currency).micros)


def _twice(channel: Channel, one: StoredDocument, owed: Sequence[str]) -> str:
    if not owed:
        return ""
    times = "twice" if len(owed) == 2 else f"{len(owed)} times"
    return (
        f"{channel.connector.title} holds the bill {one.document_id} {times}: {' and '.join(owed)} are owed. It counts as not "
        "invoiced. Finance voids all but one there."
    )


def _mismatch(channel: Channel, one: StoredDocument, native: Native, total: int | None) -> str:
    title, named = channel.connector.title, native.get("number") or one.document_id
    if is_void(native):
        return (
            f"{title} shows {named} ({one.document_id}) as {native['state']}. It counts as not invoiced here. Finance posts it "
            "again there or settles with billing how it is replaced."
        )
    currency = native.get("currency")
    if currency is not None and currency != one.currency:
        return (
            f"{title} holds {named} ({one.document_id}) in {currency}, and it was billed in {one.currency}. It counts as not "
            "invoiced. Finance corrects it there."
        )
    if total is not None and total != one.amounts.net:
        ours, theirs = amount(one.amounts.net, one.currency), amount(total, one.currency)
        return (
            f"{title} holds {named} ({one.document_id}) with {theirs} {one.currency}, and {ours} {one.currency} was billed. It "
            "counts as not invoiced. Finance and billing find out which is right."
        )
    return ""


def _payments(channel: Channel, one: StoredDocument, native: Native) -> list[StoredPayment]:
    found = []
    for told in native.get("payments") or ():
        paid = Money.of(Decimal(str(told["amount"])), one.currency).micros
        found.append(
            StoredPayment(
                connection=channel.name,
                document_id=one.document_id,
                native_id=str(told["id"]),
                amount=paid,
                currency=one.currency,
                received_on=_day(told.get("date")),
                by_document=None if told.get("by_document") is None else str(told["by_document"]),
            )
        )
    return found


def _day(value: Any) -> date | None:
    if value is None or isinstance(value, date):
        return value
    return date.fromisoformat(str(value)[:10])


def overpaid(one: StoredDocument, payments: Iterable[StoredPayment], owed: int | None) -> list[str]:
    """A sentence when more was paid on a document than was owed; `owed` is the ERP's total with its tax, in micros."""
    due = Money(micros=one.amounts.total if owed is None else owed, currency=one.currency)
    money, credited = [], []
    for told in payments:
        if told.gone or told.amount <= 0:
            continue
        part = Money(micros=told.amount, currency=one.currency)
        if told.by_document is not None:
            credited.append(part)
        else:
            money.append(
                Payment(
                    connection=told.connection,
                    native_id=told.native_id,
                    document_id=one.document_id,
                    amount=part,
                    received_on=told.received_on or body_of(one).issued_on or date.min,
                )
            )
    return [f"{one.number or one.document_id}: {problem.sentence}" for problem in check_balance(due, money, credited)]

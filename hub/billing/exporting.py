"""Lock and export: approved line-periods become documents with control totals, and are handed to the ERP's connection once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from connectors.base import PushesRecords
from hub.billing import cases
from hub.billing.answers import ExportSummary
from hub.billing.cases import result_of
from hub.billing.customers import codes_of_documents
from hub.billing.documents import Item, Made, body_of, invoice, invoice_id, issue_date, payload
from hub.billing.moving import approval_facts, moved
from hub.billing.preparing import BILLABLE_ORDERS, named
from hub.billing.review import amount
from hub.billing.rules import Billable, LinePeriodCase, agency_is_billed
from hub.encoding import encode, fingerprint
from hub.errors import NotFound, Refused
from hub.session import Channel, Session
from hub.store import billing_counts, billing_documents, billing_periods, entities
from hub.store.billing_documents import Batch, DocumentState, StoredDocument
from hub.store.billing_periods import StoredPeriod
from hub.store.database import Cursor
from hub.store.documents import CREDIT_MEMO, INVOICE
from hub.sync.documents import want_document
from oms_schema.delivery import BillingPeriod
from oms_schema.document import Amounts, DocumentKind
from oms_schema.ids import EntityKind
from oms_schema.line import Price
from oms_schema.machines import BillingFacts
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.status import BillingStatus

_READY = (BillingStatus.APPROVED, BillingStatus.LOCKED)
"""Locked and not exported is what was on a document that was withdrawn."""


def ledger(session: Session, connection: str | None) -> Channel:
    """The connection that takes invoices: the named one, or the only one. Raises NotFound, Refused, ConnectionBroken."""
    if connection is not None:
        channel = session.channel(connection)
        if not _takes_invoices(channel):
            raise NotFound(f"Connection {connection} takes no invoices. Nothing was posted. Name the ERP's connection.")
        return channel
    able = [channel for channel in session.channels() if _takes_invoices(channel)]
    if len(able) == 1:
        return able[0]
    names = ", ".join(channel.name for channel in able)
    if able:
        raise Refused(f"Several connections take invoices: {names}. Nothing was posted. Name one with --connection.")
    raise NotFound("No connection takes invoices. Nothing was posted. Configure the ERP's connection.")


def _takes_invoices(channel: Channel) -> bool:
    return isinstance(channel.connector, PushesRecords) and INVOICE in channel.capabilities.records


# ---------------------------------------------------------------- lock and export
def export(session: Session, period: BillingPeriod, by: str | None, connection: str | None = None) -> ExportSummary:
    """Lock what is approved, make its documents and their control totals; one transaction, all or nothing.

    Line-periods with nothing to pay stay approved: there is no invoice of 0.00. A correction waits until the ERP has numbered
    what it corrects. Raises Refused when no accounting period is open.
    """
    actor = named(by, "An export")
    channel = ledger(session, connection)
    with session.database.acting(actor), session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        approved = billing_periods.of_period(cur, period.start, _READY, lock=True)
        groups, nothing_due, waiting = _grouped(cur, approved, period)
        made = _invoices(session, cur, groups, period)
        corrections, held = _corrections(cur, period, channel.name)
        waiting += held
        if not made and not corrections:
            return ExportSummary(period.label, nothing_due=nothing_due, waiting=waiting)
        documents = [*(one.document for one in made), *corrections]
        batch = _batch(period, documents, actor, session)
        billing_documents.add(cur, [one.document for one in made], [p for one in made for p in one.positions])
        billing_documents.add_batch(cur, batch)
        for document in documents:
            billing_documents.set_state(
                cur, document, DocumentState.EXPORTED, batch_id=batch.batch_id, connection=channel.name
            )
        locked = [
            _locked(cur, item, one.document.document_id, batch.control_hash)
            for one, items in zip(made, groups, strict=True)
            for item in items
        ]
        billing_periods.put(cur, locked)
        billing_periods.put(cur, _adjusted(cur, corrections))
    return ExportSummary(
        period=period.label,
        batch=batch.batch_id,
        control_hash=batch.control_hash,
        invoices=sum(one.kind == DocumentKind.INVOICE for one in documents),
        credits=sum(one.kind == DocumentKind.CREDIT_MEMO for one in documents),
        line_periods=len(locked),
        sums=_sums(documents),
        nothing_due=nothing_due,
        waiting=waiting,
    )


def _grouped(
    cur: Cursor, approved: Sequence[StoredPeriod], period: BillingPeriod
) -> tuple[list[list[Item]], int, list[str]]:
    """Approved line-periods by (order, bill-to, currency), groups that are worth something only; how many have nothing to pay.

    And a sentence for each that was approved for another kind of payer than its order names now, or is owed no more.
    """
    groups: dict[tuple[str, str, str], list[Item]] = defaultdict(list)
    files = {one.line.id: one for one in cases.contracts(cur, [one.line_id for one in approved], period)}
    left, waiting = 0, []
    for stored in approved:
        result = result_of(stored)
        file = files.get(stored.line_id)
        if not isinstance(result, Billable) or file is None or file.bill_to is None or result.is_empty:
            left += 1
            continue
        if not stored.locked and (period not in file.cycles or file.order.status not in BILLABLE_ORDERS):
            waiting.append(
                f"Line {stored.line_id} in {period.label} was approved and is owed no more: its flight was moved, or its order "
                "is no longer booked. It is not exported. Prepare the month again, which takes it back."
            )
            continue
        case = LinePeriodCase.from_bytes(stored.inputs or b"")
        if case.agency_billed != agency_is_billed(file.order):
            # What is locked is prepared no more: its document was withdrawn, and the figures stay those that were approved.
            way = (
                "Sales names the payer of the approval again until it is posted; a credit memo corrects it then."
                if stored.locked
                else "Prepare the month again, and somebody approves it anew."
            )
            waiting.append(
                f"Line {stored.line_id} in {period.label} was approved {'with' if case.agency_billed else 'without'} an agency "
                f"as its payer, and that has changed. It is not exported. {way}"
            )
            continue
        # The order as it is now: the line may have been moved since the period was first calculated.
        key = (file.order.id, file.bill_to, stored.currency)
        groups[key].append(Item(file, stored, case, result))
    worth = [items for _, items in sorted(groups.items()) if sum(item.result.amounts.total for item in items) > 0]
    return worth, left + sum(map(len, groups.values())) - sum(map(len, worth)), waiting


def _invoices(session: Session, cur: Cursor, groups: Sequence[Sequence[Item]], period: BillingPeriod) -> list[Made]:
    if not groups:
        return []
    order_ids = sorted({items[0].file.order.id for items in groups})
    earlier = billing_documents.earlier_invoices(cur, order_ids, period.start)
    try:
        issued_on = issue_date(period, billing_periods.closed_periods(cur), session.business.now().date())
    except ValueError as error:
        raise Refused(
            f"The invoices of {period.label} have no open accounting period: {error}. Nothing was locked or posted."
        ) from None
    made = []
    for items in groups:
        file, currency = items[0].file, items[0].stored.currency
        bill_to = file.bill_to or ""
        number = earlier.get((file.order.id, bill_to, currency), 0)
        made.append(
            invoice(
                items,
                period,
                document_id=invoice_id(file.order.id, bill_to, period, currency, number),
                issued_on=issued_on,
                approved_by=", ".join(sorted({item.stored.approved_by or "" for item in items})),
                now=session.machine.now(),
            )
        )
    return made


def _locked(cur: Cursor, item: Item, document_id: str, control_hash: str) -> StoredPeriod:
    one = item.stored
    facts = replace(approval_facts(one, one.approved_by or ""), document_id=document_id, control_hash=control_hash)
    one = moved(cur, one, BillingStatus.LOCKED, facts)
    return moved(cur, replace(one, document_id=document_id), BillingStatus.EXPORTED, facts, document=document_id)


def _corrections(cur: Cursor, period: BillingPeriod, connection: str) -> tuple[list[StoredDocument], list[str]]:
    """Approved corrections whose original this ERP has numbered, and a sentence for each of the others."""
    approved = [
        one
        for one in billing_documents.in_state(cur, [DocumentState.APPROVED], lock=True)
        if one.corrects is not None and one.period_start <= period.start
    ]
    originals = billing_documents.by_ids(cur, [one.corrects or "" for one in approved])
    ready, waiting = [], []
    for one in approved:
        original = originals[one.corrects or ""]
        what = f"The {one.kind.replace('_', ' ')} {one.document_id}"
        if original.connection not in (None, connection):
            waiting.append(
                f"{what} corrects {original.number or original.document_id}, which was posted to {original.connection}. It is "
                f"not exported to {connection}. Whoever closes runs the close with --connection {original.connection}, too."
            )
        elif original.number is None:
            waiting.append(
                f"{what} waits: the ERP has not numbered {original.document_id} yet. It is not exported. The next close posts it."
            )
        elif original.mismatch:
            waiting.append(
                f"{what} waits: the ERP shows {original.number} ({original.document_id}) otherwise than it was billed. It is not "
                "exported. Finance settles that first, and the next close posts it."
            )
        else:
            ready.append(one)
    return ready, waiting


def _adjusted(cur: Cursor, corrections: Sequence[StoredDocument]) -> list[StoredPeriod]:
    """The line-periods that these corrections speak of, as adjusted; what is adjusted already stays so."""
    adjusted: dict[tuple[str, Any], StoredPeriod] = {}
    for document in corrections:
        for line_id, start in billing_documents.lines_of(cur, document.document_id):
            for one in billing_periods.of_lines(cur, [line_id], start, lock=True):
                facts = BillingFacts(adjustment_id=document.document_id)
                if one.status is not BillingStatus.ADJUSTED and (line_id, start) not in adjusted:
                    news = moved(cur, one, BillingStatus.ADJUSTED, facts, document=document.document_id)
                    adjusted[line_id, start] = news
    return list(adjusted.values())


# ---------------------------------------------------------------- control totals
def control_of(documents: Iterable[StoredDocument]) -> dict[str, Any]:
    """Control totals of an export: how many documents, their sums by currency and kind, and a hash of every content."""
    kept = sorted(documents, key=lambda one: one.document_id)
    sums = _sums([replace(one, amounts=_recomputed(one)) for one in kept])
    return {
        "documents": len(kept),
        "positions": sum(len(body_of(one).lines) for one in kept),
        "sums": {
            currency: {kind: format(value, "f") for kind, value in parts.items()} for currency, parts in sums.items()
        },
        "content": fingerprint(encode([[one.document_id, fingerprint(one.body).hex] for one in kept])).hex,
    }


def _recomputed(one: StoredDocument) -> Amounts:
    """The sum of the positions as they are in the document itself, not of a column beside it."""
    return Amounts.sum((line.amounts for line in body_of(one).lines), one.currency)


def _sums(documents: Iterable[StoredDocument]) -> dict[str, dict[str, Decimal]]:
    sums: dict[str, dict[str, Decimal]] = {}
    for one in documents:
        parts = sums.setdefault(one.currency, dict.fromkeys(("invoices", "credit_memos"), amount(0, one.currency)))
        kind = "credit_memos" if one.kind == DocumentKind.CREDIT_MEMO else "invoices"
        parts[kind] += amount(one.amounts.net, one.currency)
    return sums


def _batch(period: BillingPeriod, documents: Sequence[StoredDocument], by: str, session: Session) -> Batch:
    control = encode(control_of(documents))
    digest = fingerprint(control).hex
    return Batch(f"batch-{period.label}-{digest[:12]}", period.start, control, digest, by, session.machine.now())


# ---------------------------------------------------------------- handing over
def hand_over(session: Session, connection: str | None = None) -> int:
    """Have every exported document posted, after its batch was checked against its control totals; returns how many.

    Raises Refused when the totals differ: nothing of any batch is posted then.
    """
    channel = ledger(session, connection)
    wanted = 0
    with session.database.transaction() as cur:
        billing_counts.one_at_a_time(cur)
        for batch in billing_documents.waiting_batches(cur):
            documents = billing_documents.of_batch(cur, batch.batch_id)
            _check(batch, documents)
            wanted += _want(session, cur, channel, documents)
            billing_documents.set_posted(cur, batch, session.machine.now())
    return wanted


def _check(batch: Batch, documents: Sequence[StoredDocument]) -> None:
    found = encode(control_of(documents))
    if found != batch.control or fingerprint(batch.control).hex != batch.control_hash:
        raise Refused(
            f"The documents of {batch.batch_id} do not match its control totals (exported {batch.control.decode()}, found "
            f"{found.decode()}). Nothing of it was posted. Operations finds out who changed the store; `orderhub audit verify` "
            "tells what was written by the hub."
        )


def _want(session: Session, cur: Cursor, channel: Channel, documents: Sequence[StoredDocument]) -> int:
    orders = entities.many(cur, EntityKind.ORDER, sorted({one.order_id for one in documents}))
    parties = entities.many(cur, EntityKind.PARTY, sorted({one.bill_to for one in documents}))
    prices = _prices(cur, documents)
    codes = codes_of_documents(cur, channel, documents, parties)
    memo = CREDIT_MEMO if CREDIT_MEMO in channel.capabilities.records else INVOICE
    wanted = 0
    for one in documents:
        party = parties.get(one.bill_to)
        if one.connection != channel.name or one.order_id not in orders or party is None:
            raise Refused(
                f"The document {one.document_id} is meant for {one.connection}, its order or payer is gone from the store, or "
                f"{channel.name} is another ledger. Nothing was posted. Operations names the right --connection."
            )
        order = Order.from_bytes(orders[one.order_id].canonical)
        body = body_of(one)
        payer = Party.from_bytes(party.canonical)
        sent = payload(body, order, payer, codes[one.document_id], prices.get(one.document_id, {}))
        wanted += want_document(
            session,
            cur,
            connection=channel.name,
            document_id=one.document_id,
            record=memo if one.kind == DocumentKind.CREDIT_MEMO else INVOICE,
            name=f"{one.kind.replace('_', ' ').capitalize()}: {sent['description']}",
            payload=sent,
        )
    return wanted


def _prices(cur: Cursor, documents: Sequence[StoredDocument]) -> Mapping[str, dict[int, Price]]:
    found: dict[str, dict[int, Price]] = {}
    for position in billing_documents.positions_of(cur, [one.document_id for one in documents]):
        found.setdefault(position.document_id, {})[position.number] = Price.from_bytes(position.price)
    return found

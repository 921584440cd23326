"""Close a month: prepare, approve where somebody does, lock, export, post, read back; and once more, to see nothing happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.base import ReportsBilling
from hub.billing import approving, exporting, preparing, reading_back, sending
from hub.billing.answers import CloseSummary, CurrencySums, ExportSummary, PreparedSummary
from hub.billing.review import amount
from hub.errors import Refused
from hub.session import Session
from hub.store import billing_documents, billing_periods
from hub.store.billing_documents import DocumentState, StoredDocument
from oms_schema.delivery import BillingPeriod
from oms_schema.document import DocumentKind
from oms_schema.status import BillingStatus

_SENT = (DocumentState.EXPORTED, DocumentState.POSTED, DocumentState.PAID)


@dataclass
class _Run:
    """What one pass of a close did."""

    prepared: PreparedSummary
    export: ExportSummary

    @property
    def documents(self) -> int:
        return self.export.invoices + self.export.credits


def close(
    session: Session,
    period: BillingPeriod,
    *,
    prepared_by: str | None,
    approved_by: str | None = None,
    connection: str | None = None,
    patience: float = 300.0,
) -> CloseSummary:
    """Close a month as far as it can be closed now.

    Without `approved_by` it ends at review: what was approved before goes on, the rest waits with a sentence. With it, exactly
    the figures that this run prepared are approved. `patience` is in seconds of machine time, for the ERP.
    Raises Refused, NotFound, ConnectionBroken, VendorUnavailable; what was done until then stays, and the next close goes on.
    """
    channel = exporting.ledger(session, connection)
    # Corrections wait for the numbers of what they correct, which a close before may not have read yet.
    first = _read_back(session, channel.name)
    run = _pass(session, period, prepared_by, approved_by, channel.name)
    exporting.hand_over(session, channel.name)
    posted = sending.until_at_rest(session, channel.name, 0, patience)
    problems = [*first, *_read_back(session, channel.name)]
    again = _pass(session, period, prepared_by, approved_by, channel.name)
    if again.documents:
        # Posted all the same: a second close is a close.
        exporting.hand_over(session, channel.name)
        posted = sending.until_at_rest(session, channel.name, 0, patience)
        problems += _read_back(session, channel.name)
    return _summary(session, period, run, again, [*posted.parked], list(dict.fromkeys(problems)), channel.name)


def _pass(
    session: Session, period: BillingPeriod, prepared_by: str | None, approved_by: str | None, connection: str
) -> _Run:
    prepared = preparing.prepare(session, period, prepared_by)
    if approved_by is not None and prepared.review_hash:
        _approve(session, period, prepared.review_hash, approved_by)
    return _Run(prepared, exporting.export(session, period, approved_by or prepared_by, connection))


def _approve(session: Session, period: BillingPeriod, review_hash: str, by: str) -> None:
    """Approve what was prepared, unless another close beside this one has approved exactly that."""
    try:
        approving.approve(session, period, review_hash, by)
    except Refused:
        with session.database.transaction() as cur:
            if billing_periods.approval(cur, review_hash) is None:
                raise


def _read_back(session: Session, connection: str) -> list[str]:
    if isinstance(session.channel(connection).connector, ReportsBilling):
        return list(reading_back.read_back(session, connection).problems)
    return []


def _summary(
    session: Session,
    period: BillingPeriod,
    run: _Run,
    again: _Run,
    parked: Sequence[str],
    problems: Sequence[str],
    connection: str,
) -> CloseSummary:
    with session.database.transaction() as cur:
        statuses = billing_periods.count_by_status(cur, period.start)
        exported = {run.export.batch, again.export.batch} - {""}
        documents = {one.document_id: one for one in billing_documents.of_period(cur, period.start)}
        for batch in sorted(exported):
            documents |= {one.document_id: one for one in billing_documents.of_batch(cur, batch)}
    sent = [one for one in documents.values() if one.state in _SENT]
    mismatches = [one.mismatch for one in documents.values() if one.mismatch]
    unposted = [one for one in sent if one.number is None and not one.mismatch]
    waiting = _waiting(session, period, run, again, unposted, parked, problems, mismatches, connection, statuses)
    complete = not waiting and not mismatches
    sentence = (
        f"{period.label} is closed: {len(sent)} documents are at the ERP with our totals."
        if complete
        else f"{period.label} is not closed. {[*mismatches, *waiting][0]}"
    )
    return CloseSummary(
        period=period.label,
        complete=complete,
        sentence=sentence,
        invoices=sum(one.kind == DocumentKind.INVOICE for one in sent),
        credits=sum(one.kind == DocumentKind.CREDIT_MEMO for one in sent),
        new_documents=run.documents,
        second_close_documents=again.documents,
        sums=_sums(sent),
        mismatches=mismatches,
        waiting=waiting,
        statuses=statuses,
        # a plain dictionary: dataclasses.asdict() makes another Counter out of the pairs, and so counts them
        blocked=dict(Counter(one.code for one in again.prepared.blocked)),
        review_hash=again.prepared.review_hash,
        batch=run.export.batch,
    )


def _waiting(
    session: Session,
    period: BillingPeriod,
    run: _Run,
    again: _Run,
    unposted: Sequence[StoredDocument],
    parked: Sequence[str],
    problems: Sequence[str],
    mismatches: Sequence[str],
    connection: str,
    statuses: Mapping[str, int],
) -> list[str]:
    """What keeps the month open, who acts first."""
    found = []
    review = statuses.get(BillingStatus.IN_REVIEW, 0)
    if again.prepared.review_hash:
        found.append(
            f"{review} line-periods and the proposed corrections wait for approval. Nothing of them is invoiced. Somebody other "
            f"than {run.prepared.prepared_by} looks at `orderhub bill review --period {period.label}` and approves "
            f"{again.prepared.review_hash}."
        )
    if statuses.get(BillingStatus.DISPUTED, 0):
        found.append(
            f"{statuses[BillingStatus.DISPUTED]} line-periods are disputed. They are not invoiced. Operations settles them with "
            "the buyer (`orderhub bill enter settlement`)."
        )
    blocked = again.prepared.blocked
    others = Counter(one.code for one in blocked if one.code != "VARIANCE" and not one.billed)
    found += [
        f"{count} line-periods are blocked by {code}. They are not invoiced. `orderhub why LINE {period.label}` says who acts."
        for code, count in sorted(others.items())
    ]
    # A variance of a billed line-period is no dispute of the month: it is told here, and nowhere else.
    billed = Counter((one.billed, one.code) for one in blocked if one.billed)
    found += [
        f"{count} billed line-periods of {month} have newer numbers that are blocked by {code}. What was billed stays, and "
        f"nothing is corrected. `orderhub why LINE {month}` says who acts."
        for (month, code), count in sorted(billed.items())
    ]
    found += parked
    found += [problem for problem in problems if problem not in mismatches]
    found += again.export.waiting
    if unposted and not parked:
        reports = isinstance(session.channel(connection).connector, ReportsBilling)
        found.append(
            f"{len(unposted)} documents are not acknowledged by {connection} yet. They count as exported. "
            + (
                "The next close reads them back."
                if reports
                else "It does not report billing, so Finance looks them up there."
            )
        )
    return found


def _sums(documents: Sequence[StoredDocument]) -> dict[str, CurrencySums]:
    sums: dict[str, CurrencySums] = {}
    for currency in sorted({one.currency for one in documents}):
        # What the ERP shows otherwise counts as not invoiced.
        mine = [one for one in documents if one.currency == currency and not one.mismatch]
        invoices = [one for one in mine if one.kind == DocumentKind.INVOICE]
        balances = [one.balance for one in invoices]
        known = [balance for balance in balances if balance is not None]
        zero = amount(0, currency)
        sums[currency] = CurrencySums(
            invoiced=sum((amount(one.amounts.net, currency) for one in invoices), zero),
            credited=sum(
                (amount(one.amounts.net, currency) for one in mine if one.kind == DocumentKind.CREDIT_MEMO), zero
            ),
            balance=amount(sum(known), currency) if len(known) == len(balances) else None,
        )
    return sums

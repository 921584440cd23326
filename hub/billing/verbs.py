"""The verbs of billing, as the command line and the DAGs use them: `hub.billing.close("2026-02", …)`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from hub.billing import (
    approving,
    closing,
    entering,
    exporting,
    preparing,
    reading_back,
    replaying,
    sending,
    withdrawing,
)
from hub.billing import cancellation_fee as cancelling
from hub.billing import customers as payers
from hub.billing import review as reviewing
from hub.billing import what_if as what_if_close
from hub.billing import why as reasons
from hub.billing.answers import (
    BilledDocument,
    BillingApproval,
    CancellationFee,
    CloseSummary,
    Customers,
    Entered,
    ExportSummary,
    PostSummary,
    PreparedSummary,
    ReadBackSummary,
    Replayed,
    Review,
    WhatIf,
    Why,
)
from hub.billing.cases import Terms
from hub.billing.documents import body_of
from hub.billing.preparing import month, named
from hub.ops.chain import anchored
from hub.session import Session
from hub.store import billing_counts, billing_documents, billing_periods


class Billing:
    """Billing on one open hub. Periods are written `2026-02`; every verb raises Refused or NotFound with a sentence."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def last_month(self) -> str:
        """The month before this one, in business time: what a close is due for."""
        first = self.session.business.now().date().replace(day=1)
        return (first - timedelta(days=1)).isoformat()[:7]

    @anchored
    def prepare(self, period: str, *, by: str | None) -> PreparedSummary:
        """Calculate what is not locked and propose adjustments of what is."""
        return preparing.prepare(self.session, month(period), by)

    def review(self, period: str) -> Review:
        """What waits for approval, and the hash that an approval is bound to; reads only."""
        return reviewing.review(self.session, month(period))

    @anchored
    def approve(self, period: str, review_hash: str, *, by: str | None) -> BillingApproval:
        """Approve exactly what the hash names; never the preparer. Raises PlanMoved when the figures changed."""
        return approving.approve(self.session, month(period), review_hash, by)

    @anchored
    def export(self, period: str, *, by: str | None, connection: str | None = None) -> ExportSummary:
        """Lock what is approved and make its documents, with control totals."""
        return exporting.export(self.session, month(period), by, connection)

    @anchored
    def post(self, *, connection: str | None = None, patience: float = 300.0) -> PostSummary:
        """Post what was exported, each document once; `patience` is in seconds. Raises ConnectionPaused, ConnectionBroken."""
        name = exporting.ledger(self.session, connection).name
        return sending.until_at_rest(self.session, name, exporting.hand_over(self.session, name), patience)

    @anchored
    def read_back(self, *, connection: str | None = None) -> ReadBackSummary:
        """Bring numbers, balances, payments and credits from the ERP. Raises ConnectionBroken, VendorUnavailable."""
        return reading_back.read_back(self.session, connection)

    @anchored
    def close(
        self,
        period: str,
        *,
        prepared_by: str | None,
        approved_by: str | None = None,
        connection: str | None = None,
        patience: float = 300.0,
    ) -> CloseSummary:
        """The whole month: prepare, approve where `approved_by` is named, lock, export, post, read back."""
        return closing.close(
            self.session,
            month(period),
            prepared_by=prepared_by,
            approved_by=approved_by,
            connection=connection,
            patience=patience,
        )

    @anchored
    def enter(
        self,
        line: str,
        period: str,
        kind: str,
        *,
        quantity: int | None = None,
        reason: str,
        outcome: str | None = None,
        ends_on: date | None = None,
        by: str | None,
    ) -> Entered:
        """Enter an `override`, a `manual_count`, a `settlement` or a `cancellation`; it counts from its approval on."""
        return entering.enter(
            self.session,
            line,
            month(period),
            kind,
            quantity=quantity,
            reason=reason,
            outcome=outcome,
            ends_on=ends_on,
            by=by,
        )

    @anchored
    def withdraw(
        self, documents: Sequence[str] = (), *, closed: str | None = None, reason: str, by: str | None
    ) -> Entered:
        """Enter that documents which the ERP refused are withdrawn; done once somebody else confirms it.

        `closed` adds those dated in that month which the ERP refuses because its accounting period is closed.
        """
        meant = [*documents, *(withdrawing.refused_as_closed(self.session, month(closed)) if closed else ())]
        return withdrawing.enter(self.session, meant, reason=reason, by=by)

    @anchored
    def confirm(self, number: int, *, by: str | None) -> Entered:
        """Approve what somebody else entered."""
        return entering.confirm(self.session, number, by)

    @anchored
    def dispute(self, line: str, period: str, *, reason: str, by: str | None) -> None:
        """Object to figures in review."""
        approving.dispute(self.session, self._line(line), month(period), reason, by)

    @anchored
    def resolve(self, line: str, period: str, *, reason: str, by: str | None) -> None:
        """Say how an objection was settled without other figures."""
        approving.resolve(self.session, self._line(line), month(period), reason, by)

    @anchored
    def close_accounts(self, period: str, *, by: str | None, closed: bool = True) -> bool:
        """Say that Finance closed an accounting period, or opened it again; False when it stands so already."""
        actor = named(by, "Closing an accounting period")
        with self.session.database.acting(actor), self.session.database.transaction() as cur:
            billing_counts.one_at_a_time(cur)  # or an export beside it would date a document into what is closed
            now = self.session.machine.now()
            return billing_periods.set_closed(cur, month(period).start, actor, now, closed=closed)

    def what_if(self, period: str, terms: Terms) -> WhatIf:
        """The month under other terms beside the real one; writes nothing."""
        return what_if_close.what_if(self.session, month(period), terms)

    def replay(self, document: str) -> Replayed:
        """A document, by its id or the ERP's number, computed again from its stored inputs; writes nothing."""
        return replaying.replay_document(self.session, document)

    def why(self, line: str, period: str) -> Why:
        """Why a line-period is zero, late or blocked, in words; writes nothing."""
        return reasons.why(self.session, line, month(period))

    def cancellation_fee(
        self, line: str, fee_ppm: int, *, notice_days: int = 0, told_on: date | None = None
    ) -> CancellationFee:
        """What a cancelled line earned and owes as a fee of `fee_ppm` parts per million of the rest; writes nothing."""
        return cancelling.cancellation_fee(self.session, line, fee_ppm, notice_days=notice_days, told_on=told_on)

    def customers(self, *, connection: str | None = None) -> Customers:
        """Who pays, and by which customer code the ERP is told; reads only."""
        return payers.customers(self.session, exporting.ledger(self.session, connection))

    def documents(self, period: str) -> Sequence[BilledDocument]:
        """Every document of a period as it stands; reads only."""
        with self.session.database.transaction() as cur:
            found = billing_documents.of_period(cur, month(period).start)
        return [
            BilledDocument(
                document_id=one.document_id,
                kind=one.kind,
                order_id=one.order_id,
                period=period,
                state=str(one.state),
                net=reviewing.amount(one.amounts.net, one.currency),
                currency=one.currency,
                number=one.number or "",
                balance=None if one.balance is None else reviewing.amount(one.balance, one.currency),
                issued_on=body_of(one).issued_on,
                mismatch=one.mismatch,
            )
            for one in found
        ]

    def _line(self, text: str) -> str:
        with self.session.database.transaction() as cur:
            return entering.the_line(cur, text)

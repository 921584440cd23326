"""What is up for approval: every line-period in review and every proposed adjustment, under one hash of their contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from hub.billing.answers import Review, ReviewedDocument, ReviewedPeriod
from hub.billing.cases import payer_of, result_of
from hub.billing.rules import Billable
from hub.encoding import encode, fingerprint
from hub.session import Session
from hub.store import billing_documents, billing_periods, entities
from hub.store.billing_documents import DocumentState, StoredDocument
from hub.store.billing_periods import StoredPeriod
from hub.store.database import Cursor
from oms_schema.delivery import BillingPeriod
from oms_schema.ids import EntityKind
from oms_schema.money import Money, exponent
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.status import BillingStatus


@dataclass(frozen=True, slots=True)
class Content:
    """What is up for approval. `hash` is empty when nothing is."""

    periods: Sequence[StoredPeriod]
    documents: Sequence[StoredDocument]

    @property
    def hash(self) -> str:
        """Of every figure that is up for approval: other figures, another hash."""
        if not self.periods and not self.documents:
            return ""
        told = [[one.line_id, one.period_start, one.content_hash] for one in self.periods]
        return fingerprint(encode([told, [[one.document_id, one.content_hash] for one in self.documents]])).hex


def content(cur: Cursor, period: BillingPeriod, *, lock: bool = False) -> Content:
    """What is up for approval with a period: its line-periods in review, and proposals for it and for earlier periods."""
    in_review = billing_periods.of_period(cur, period.start, [BillingStatus.IN_REVIEW], lock=lock)
    proposed = billing_documents.in_state(cur, [DocumentState.PROPOSED], lock=lock)
    return Content(in_review, [one for one in proposed if one.period_start <= period.start])


def review(session: Session, period: BillingPeriod) -> Review:
    """Everything that waits for approval, with names and figures."""
    with session.database.transaction() as cur:
        up = content(cur, period)
        names = {
            line_id: one.name
            for line_id, one in entities.many(cur, EntityKind.LINE, [one.line_id for one in up.periods]).items()
        }
        orders = {
            order_id: Order.from_bytes(one.canonical)
            for order_id, one in entities.many(cur, EntityKind.ORDER, [one.order_id for one in up.periods]).items()
        }
        paying = {order_id: payer_of(order) or "" for order_id, order in orders.items()}
        asked = sorted({*paying.values(), *(one.bill_to for one in up.documents)} - {""})
        payers = {
            party_id: Party.from_bytes(one.canonical).name
            for party_id, one in entities.many(cur, EntityKind.PARTY, asked).items()
        }
    sums: dict[str, Decimal] = {}
    for one in up.periods:
        if one.amounts is not None:
            sums[one.currency] = sums.get(one.currency, Decimal(0)) + amount(one.amounts.net, one.currency)
    return Review(
        period=period.label,
        review_hash=up.hash,
        line_periods=[
            _shown(one, names.get(one.line_id, ""), payers.get(paying.get(one.order_id, ""), "")) for one in up.periods
        ],
        documents=[
            ReviewedDocument(
                document_id=one.document_id,
                kind=one.kind,
                corrects=one.corrects or "",
                period=BillingPeriod(start=one.period_start, end=one.period_end).label,
                net=amount(one.amounts.net, one.currency),
                currency=one.currency,
                prepared_by=one.prepared_by,
                payer=payers.get(one.bill_to, ""),
            )
            for one in up.documents
        ],
        sums=sums,
    )


def amount(micros: int, currency: str) -> Decimal:
    """Micros as major units, with the decimals of the currency's minor unit, or all of them when it is not rounded."""
    money = Money(micros=micros, currency=currency)
    return money.amount.quantize(Decimal(1).scaleb(-exponent(currency))) if money.is_rounded else money.amount


def _shown(one: StoredPeriod, name: str, payer: str) -> ReviewedPeriod:
    result = result_of(one)
    assert one.amounts is not None
    return ReviewedPeriod(
        line_id=one.line_id,
        line=name,
        order_id=one.order_id,
        quantity=one.quantity,
        gross=amount(one.amounts.gross, one.currency),
        net=amount(one.amounts.net, one.currency),
        currency=one.currency,
        flags=[str(flag) for flag in result.flags] if isinstance(result, Billable) else [],
        prepared_by=one.prepared_by or "",
        payer=payer,
    )

"""Documents out of results: ids that any run arrives at, the stored inputs, the positions, and what the ERP is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from hub.billing.cases import LineFile
from hub.billing.review import amount
from hub.billing.rules import Adjustment, Billable, LinePeriodCase, adjustment_line, invoice_lines
from hub.billing.rules.cost import per
from hub.billing.rules.credit import posting_period
from hub.encoding import decode, encode, fingerprint
from hub.store.billing_documents import DocumentState, StoredDocument, StoredPosition
from hub.store.billing_periods import StoredPeriod
from oms_schema.delivery import BillingPeriod
from oms_schema.document import BillingDocument, DocumentKind, DocumentLine
from oms_schema.ids import EntityKind, canonical_id
from oms_schema.line import Price
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.problems import shown

LONGEST_DESCRIPTION = 255
"""Characters of a document's description; Xero's reference takes no more."""
LONGEST_NAME = 83
"""Characters of a party's name; NetSuite's company name takes no more."""

_COUNTRY = re.compile(r"[A-Z]{2}")

Corrected = Literal[DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO]


@dataclass(frozen=True, slots=True)
class Item:
    """One line-period of a first invoice: its file, what is stored of it, and the case and result of its approval."""

    file: LineFile
    stored: StoredPeriod
    case: LinePeriodCase
    result: Billable


@dataclass(frozen=True, slots=True)
class Made:
    """A document that is ready to be kept."""

    document: StoredDocument
    positions: Sequence[StoredPosition]


def invoice_id(order_id: str, bill_to: str, period: BillingPeriod, currency: str, earlier: int) -> str:
    """One invoice per (order, bill-to, period, currency); `earlier` ones carry line-periods that were ready before."""
    return canonical_id(
        EntityKind.DOCUMENT, "billing", f"invoice|{order_id}|{bill_to}|{period.label}|{currency}|{earlier}"
    )


def correction_id(kind: DocumentKind, corrects: str, earlier: int) -> str:
    """The id of the next correction of its kind of one document."""
    return canonical_id(EntityKind.DOCUMENT, "billing", f"{kind.value}|{corrects}|{earlier}")


def issue_date(period: BillingPeriod, closed: Sequence[date], today: date) -> date:
    """The last day of the period, or a day of the next accounting period that is open; never later than today.

    ValueError when every period up to today's is closed: somebody has to open one.
    """
    calendar = [period]
    while calendar[-1].end <= today:
        calendar.append(BillingPeriod.month(calendar[-1].end.year, calendar[-1].end.month))
    into = posting_period(period, calendar, [one for one in calendar if one.start in closed])
    return max(into.start, min(into.end - timedelta(days=1), today))


def invoice(
    items: Sequence[Item], period: BillingPeriod, *, document_id: str, issued_on: date, approved_by: str, now: datetime
) -> Made:
    """The invoice of some line-periods of one order, bill-to and currency, in the order of the lines' names."""
    ordered = sorted(items, key=lambda item: (item.file.line.name, item.file.line.id))
    first = ordered[0].file
    cases = [
        {"inputs": item.case.canonical_bytes().decode(), "rules": item.result.rules, "description": item.file.line.name}
        for item in ordered
    ]
    inputs = encode({"kind": "invoice", "cases": cases})
    lines = first_lines([(item.result, item.file.line.name) for item in ordered])
    by_line = {item.file.line.id: item for item in ordered}
    body = _body(
        first.order, DocumentKind.INVOICE, document_id, lines, period, issued_on, inputs, bill_to=first.bill_to
    )
    positions = [
        _position(
            body.id,
            line,
            by_line[line.line_id or ""].case.price,
            by_line[line.line_id or ""].case.agency_billed,
            by_line[line.line_id or ""].case.tax_ppm or 0,
            bonus=line.rate == 0 and by_line[line.line_id or ""].case.price.rate != 0,
        )
        for line in lines
    ]
    prepared = sorted({item.stored.prepared_by or "" for item in ordered})
    return Made(_stored(body, inputs, DocumentState.APPROVED, ", ".join(prepared), approved_by, now), positions)


def first_lines(results: Sequence[tuple[Billable, str]]) -> tuple[DocumentLine, ...]:
    """The positions of a first invoice, numbered through."""
    lines: list[DocumentLine] = []
    for result, description in results:
        lines += invoice_lines(result, len(lines) + 1, description)
    return tuple(lines)


def correction(
    order: Order,
    bill_to: str,
    adjustments: Sequence[tuple[Adjustment, str]],
    cases: Sequence[LinePeriodCase],
    *,
    document_id: str,
    issued_on: date,
    period: BillingPeriod,
    prepared_by: str,
    now: datetime,
) -> Made:
    """A credit memo or a supplementary invoice: adjustments of one kind of one document, each with its description."""
    kind, corrects = adjustments[0][0].kind, adjustments[0][0].corrects
    inputs = encode(
        {
            "kind": "adjustment",
            "corrects": corrects,
            "rules": adjustments[0][0].rules,
            "cases": [one.canonical_bytes().decode() for one in cases],
            "descriptions": {one.line_id: text for one, text in adjustments},
        }
    )
    lines = corrected_lines(adjustments)
    body = _body(order, kind, document_id, lines, period, issued_on, inputs, bill_to=bill_to, corrects=corrects)
    positions = [
        _position(body.id, line, one.price, one.agency_billed, one.tax_ppm, bonus=False)
        for line, (one, _) in zip(lines, adjustments, strict=True)
    ]
    return Made(_stored(body, inputs, DocumentState.PROPOSED, prepared_by, None, now), positions)


def corrected_lines(adjustments: Sequence[tuple[Adjustment, str]]) -> tuple[DocumentLine, ...]:
    """The positions of a correction, numbered through."""
    return tuple(adjustment_line(one, number, text) for number, (one, text) in enumerate(adjustments, 1))


def _body(
    order: Order,
    kind: Corrected,
    document_id: str,
    lines: tuple[DocumentLine, ...],
    period: BillingPeriod,
    issued_on: date,
    inputs: bytes,
    *,
    bill_to: str | None,
    corrects: str | None = None,
) -> BillingDocument:
    if bill_to is None:
        raise ValueError(f"order {order.id} names nobody who pays")
    return BillingDocument.of_lines(
        kind,
        id=document_id,
        order_id=order.id,
        bill_to=bill_to,
        currency=lines[0].amounts.currency,
        lines=lines,
        period=period,
        issued_on=issued_on,
        purchase_order=None if order.purchase_order is None else order.purchase_order.number,
        corrects=corrects,
        inputs_hash=inputs_hash(inputs),
    )


def inputs_hash(inputs: bytes) -> str:
    """Of a document's stored inputs."""
    return fingerprint(inputs).hex


def _position(
    document_id: str, line: DocumentLine, price: Price, agency_billed: bool, tax_ppm: int, *, bonus: bool
) -> StoredPosition:
    assert line.line_id is not None
    assert line.period is not None
    return StoredPosition(
        document_id=document_id,
        number=line.number,
        line_id=line.line_id,
        period_start=line.period.start,
        quantity=line.quantity,
        amounts=line.amounts,
        price=price.canonical_bytes(),
        agency_billed=agency_billed,
        tax_ppm=tax_ppm,
        bonus=bonus,
        corrects_number=line.corrects,
    )


def _stored(
    body: BillingDocument,
    inputs: bytes,
    state: DocumentState,
    prepared_by: str,
    approved_by: str | None,
    now: datetime,
) -> StoredDocument:
    assert body.period is not None
    return StoredDocument(
        document_id=body.id,
        kind=body.kind.value,
        order_id=body.order_id,
        bill_to=body.bill_to,
        currency=body.currency,
        period_start=body.period.start,
        period_end=body.period.end,
        corrects=body.corrects,
        state=state,
        body=body.canonical_bytes(),
        inputs=inputs,
        content_hash=body.content_hash(),
        amounts=body.amounts,
        prepared_by=prepared_by,
        approved_by=approved_by,
        created_at=now,
    )


# ---------------------------------------------------------------- what the ERP is sent
def payload(
    body: BillingDocument, order: Order, party: Party, code: str, prices: Mapping[int, Price]
) -> dict[str, Any]:
    """The document as every ERP connector takes it: net of commission, without tax, positive amounts.

    Quantity and unit price go along where they make the net amount, that is without a commission.
    """
    assert body.period is not None
    what = {DocumentKind.INVOICE: "Order", DocumentKind.CREDIT_MEMO: "Credit for order"}[DocumentKind(body.kind)]
    sent: dict[str, Any] = {
        "reference": body.id,
        "kind": body.kind.value,
        "party": _party(party, code),
        "currency": body.currency,
        "date": body.issued_on,
        "description": shown(f"{what} {order.number or order.name}, {body.period.label}", LONGEST_DESCRIPTION),
        "total": amount(body.amounts.net, body.currency),
        "lines": [_line(line, prices.get(line.number), body.currency) for line in body.lines],
    }
    if body.corrects is not None:
        sent["corrects"] = body.corrects
    return sent


def _party(party: Party, code: str) -> dict[str, Any]:
    sent = {"code": code, "name": shown(party.name, LONGEST_NAME)}
    country = None if party.address is None else party.address.country
    if country is not None and _COUNTRY.fullmatch(country):
        sent["country"] = country
    return sent


def _line(line: DocumentLine, price: Price | None, currency: str) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "description": line.description or "Advertising",
        "amount": amount(line.amounts.net, currency),
    }
    if line.period is not None and len(line.period.label) == len("2026-02"):
        sent["period"] = line.period.label
    if price is not None and line.quantity is not None and line.rate is not None and not line.amounts.commission:
        sent["quantity"] = Decimal(line.quantity) / per(price.method)
        sent["unit_price"] = amount(line.rate, currency)
    if line.corrects is not None:
        sent["corrects"] = line.corrects
    return sent


def body_of(stored: StoredDocument) -> BillingDocument:
    """The document as it was made."""
    return BillingDocument.from_bytes(stored.body)


def inputs_of(stored: StoredDocument) -> dict[str, Any]:
    """What it was calculated from."""
    inputs: dict[str, Any] = decode(stored.inputs)
    return inputs

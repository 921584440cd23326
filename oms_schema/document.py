"""Documents: invoice, credit memo and signature envelope. Immutable, known by content hash, corrected only by another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from oms_schema.base import Canonical
from oms_schema.delivery import BillingPeriod
from oms_schema.line import GoalUnit
from oms_schema.money import CurrencyCode, Micros, Money, minor_unit
from oms_schema.party import ID

_Word = Annotated[str, Field(min_length=1)]


class DocumentKind(StrEnum):
    """What a document is. A supplementary invoice is an invoice that names the one it supplements."""

    INVOICE = "invoice"
    CREDIT_MEMO = "credit_memo"
    ENVELOPE = "envelope"


class Amounts(Canonical):
    """The five components of a billed amount, in micros of one currency, each a whole number of its minor units.

    `net = gross - commission` and `total = net + tax`; both are stored, because the document is what was sent.
    """

    currency: CurrencyCode
    gross: Micros
    commission: Micros = 0
    net: Micros
    tax: Micros = 0
    total: Micros

    @classmethod
    def of(cls, gross: Money, commission: Money | None = None, tax: Money | None = None) -> Self:
        """From rounded components. ValueError when currencies differ or an amount is not rounded."""
        net = gross if commission is None else gross - commission
        total = net if tax is None else net + tax
        return cls(
            currency=gross.currency,
            gross=gross.micros,
            commission=gross.micros - net.micros,
            net=net.micros,
            tax=total.micros - net.micros,
            total=total.micros,
        )

    @classmethod
    def sum(cls, amounts: Iterable[Amounts], currency: str) -> Self:
        """Component by component; never recomputed from a rate. ValueError when a currency differs."""
        gross = commission = net = tax = total = 0
        for part in amounts:
            if part.currency != currency:
                raise ValueError(f"cannot add {part.currency} to {currency}")
            gross += part.gross
            commission += part.commission
            net += part.net
            tax += part.tax
            total += part.total
        return cls(currency=currency, gross=gross, commission=commission, net=net, tax=tax, total=total)

    def minus(self, corrected: Amounts) -> Amounts:
        """What a credit memo carries: original minus corrected, component by component.

        Applying the rates to the difference instead can be a cent off. ValueError when the currencies differ.
        """
        if corrected.currency != self.currency:
            raise ValueError(f"cannot subtract {corrected.currency} from {self.currency}")
        return Amounts(
            currency=self.currency,
            gross=self.gross - corrected.gross,
            commission=self.commission - corrected.commission,
            net=self.net - corrected.net,
            tax=self.tax - corrected.tax,
            total=self.total - corrected.total,
        )

    @model_validator(mode="after")
    def _components_agree(self) -> Self:
        if self.net != self.gross - self.commission:
            raise ValueError("net is not gross minus commission")
        if self.total != self.net + self.tax:
            raise ValueError("total is not net plus tax")
        unit = minor_unit(self.currency)
        if any(part % unit for part in (self.gross, self.commission, self.tax)):
            raise ValueError(f"an amount is not a whole number of minor units of {self.currency}")
        return self

    @property
    def due(self) -> Money:
        """The total as money."""
        return Money(micros=self.total, currency=self.currency)


class DocumentLine(Canonical):
    """One position: usually one line-period. `rate` is the price it was billed at, in micros per the price's own unit."""

    number: Annotated[int, Field(ge=1, strict=True)]
    description: str = ""
    line_id: ID | None = None
    period: BillingPeriod | None = None
    quantity: Annotated[int, Field(strict=True)] | None = None
    unit: GoalUnit | None = None
    rate: Micros | None = None
    amounts: Amounts
    tax_code: str | None = None
    corrects: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="Number of the line of the corrected document"
    )


class BillingDocument(Canonical):
    """An invoice or a credit memo. Amounts of a credit memo are positive and owed to the buyer; the header sums lines."""

    kind: Literal[DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO]
    id: ID
    order_id: ID
    bill_to: ID
    currency: CurrencyCode
    lines: Annotated[tuple[DocumentLine, ...], Field(min_length=1)]
    amounts: Amounts
    period: BillingPeriod | None = None
    issued_on: date | None = None
    purchase_order: str | None = None
    corrects: ID | None = Field(default=None, description="The document it credits or supplements")
    inputs_hash: str | None = Field(
        default=None, description="Of the inputs it was calculated from; same inputs, no new one"
    )

    @classmethod
    def of_lines(
        cls,
        kind: Literal[DocumentKind.INVOICE, DocumentKind.CREDIT_MEMO],
        *,
        id: str,  # noqa: A002 - the field's own name
        order_id: str,
        bill_to: str,
        currency: str,
        lines: tuple[DocumentLine, ...],
        period: BillingPeriod | None = None,
        issued_on: date | None = None,
        purchase_order: str | None = None,
        corrects: str | None = None,
        inputs_hash: str | None = None,
    ) -> Self:
        """A document whose header is the sum of its lines."""
        return cls(
            kind=kind,
            id=id,
            order_id=order_id,
            bill_to=bill_to,
            currency=currency,
            lines=lines,
            amounts=Amounts.sum((line.amounts for line in lines), currency),
            period=period,
            issued_on=issued_on,
            purchase_order=purchase_order,
            corrects=corrects,
            inputs_hash=inputs_hash,
        )

    @model_validator(mode="after")
    def _header_is_the_sum_of_its_lines(self) -> Self:
        if [line.number for line in self.lines] != list(range(1, len(self.lines) + 1)):
            raise ValueError("the lines are not numbered 1, 2, 3 …")
        if Amounts.sum((line.amounts for line in self.lines), self.currency) != self.amounts:
            raise ValueError("the header is not the sum of its lines")
        if self.amounts.total < 0:
            raise ValueError("a document's total is never negative; what is owed back is a credit memo")
        if self.kind is DocumentKind.CREDIT_MEMO and self.corrects is None:
            raise ValueError("a credit memo names the document it credits")
        if self.corrects == self.id:
            raise ValueError("a document cannot correct itself")
        return self


class Signer(Canonical):
    """Who signs, in ascending `turn`; equal turns sign in any order."""

    name: _Word
    email: _Word
    turn: Annotated[int, Field(ge=1, strict=True)] = 1


class Envelope(Canonical):
    """A request to sign one version of an order. Its progress arrives as changes; the envelope itself never changes."""

    kind: Literal[DocumentKind.ENVELOPE] = DocumentKind.ENVELOPE
    id: ID
    order_id: ID
    order_version: Annotated[int, Field(ge=1, strict=True)]
    order_hash: _Word = Field(description="Content hash of the order version that the document shows")
    document_hash: _Word = Field(description="blake2b-128 of the bytes to be signed")
    subject: str = ""
    signers: Annotated[tuple[Signer, ...], Field(min_length=1)]


Document = Annotated[BillingDocument | Envelope, Field(discriminator="kind")]
"""Any document, told apart by `kind`."""

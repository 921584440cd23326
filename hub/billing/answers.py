"""What the verbs of billing answer. Amounts are exact decimals in major units of their currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from hub.results import Result


@dataclass(frozen=True, slots=True)
class BlockedPeriod(Result):
    """A line-period that cannot be billed now, or billed before and not corrected now, and what to do about it."""

    line_id: str
    order_id: str
    code: str
    sentence: str
    billed: str = ""
    """The month that was billed and is not corrected, `2026-02`; empty when nothing was billed yet."""


@dataclass(frozen=True, slots=True)
class PreparedSummary(Result):
    """What a preparation made. `changed` line-periods have a new calculation; `proposed` are adjustments of locked ones.

    `review_hash` names exactly what is up for approval; empty when nothing is.
    """

    period: str
    prepared_by: str
    lines: int = 0
    changed: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    blocked: Sequence[BlockedPeriod] = ()
    proposed: int = 0
    withdrawn: int = 0
    review_hash: str = ""


@dataclass(frozen=True, slots=True)
class ReviewedPeriod(Result):
    """One line-period that waits for approval, with its figures. `payer` is who the order names now, empty when nobody."""

    line_id: str
    line: str
    order_id: str
    quantity: int | None
    gross: Decimal
    net: Decimal
    currency: str
    flags: Sequence[str]
    prepared_by: str
    payer: str = ""


@dataclass(frozen=True, slots=True)
class ReviewedDocument(Result):
    """One adjustment that waits for approval. `payer` is that of the document it corrects."""

    document_id: str
    kind: str
    corrects: str
    period: str
    net: Decimal
    currency: str
    prepared_by: str
    payer: str = ""


@dataclass(frozen=True, slots=True)
class Review(Result):
    """Everything of a period that waits for approval, and the hash that an approval is bound to."""

    period: str
    review_hash: str
    line_periods: Sequence[ReviewedPeriod] = ()
    documents: Sequence[ReviewedDocument] = ()
    sums: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BillingApproval(Result):
    """What one approval let go."""

    period: str
    review_hash: str
    approved_by: str
    line_periods: int
    documents: int


@dataclass(frozen=True, slots=True)
class ExportSummary(Result):
    """One export: its documents and control totals by currency. `batch` is empty when there was nothing to export."""

    period: str
    batch: str = ""
    control_hash: str = ""
    invoices: int = 0
    credits: int = 0
    line_periods: int = 0
    sums: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    nothing_due: int = 0
    waiting: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReadBackSummary(Result):
    """What the ERP showed of our documents. `problems` are sentences: totals that differ, payments above a balance."""

    connection: str
    seen: int = 0
    changed: int = 0
    acknowledged: int = 0
    paid: int = 0
    payments: int = 0
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PostSummary(Result):
    """What became of documents on their way to the ERP."""

    connection: str
    wanted: int = 0
    posted: int = 0
    waiting: int = 0
    parked: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CurrencySums(Result):
    """What was billed in one currency for a period: net of commission, without tax."""

    invoiced: Decimal
    credited: Decimal
    balance: Decimal | None


@dataclass(frozen=True, slots=True)
class CloseSummary(Result):
    """A month's close. `complete`: nothing waits for a person, and the ERP has everything with our totals.

    `invoices` and `credits` are the period's documents at the ERP or on their way; `new_documents` those of this run;
    `second_close_documents` what the same run made when it was done once more at once: anything but 0 is a fault.
    """

    period: str
    complete: bool
    sentence: str
    invoices: int
    credits: int
    new_documents: int
    second_close_documents: int
    sums: Mapping[str, CurrencySums]
    mismatches: Sequence[str]
    waiting: Sequence[str]
    statuses: Mapping[str, int]
    blocked: Mapping[str, int]
    review_hash: str
    batch: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; `mismatches` is their number, and the sentences are `differences`."""
        # not super(): a dataclass with slots is another class than the one that the compiler saw
        return {**Result.as_dict(self), "mismatches": len(self.mismatches), "differences": list(self.mismatches)}


@dataclass(frozen=True, slots=True)
class WhatIfLine(Result):
    """One line that other terms would bill otherwise; None where it would be blocked."""

    line_id: str
    line: str
    currency: str
    real: Decimal | None
    other: Decimal | None
    why: str


@dataclass(frozen=True, slots=True)
class WhatIf(Result):
    """The same month under other terms, beside the real one; sums by currency are (real, other), net."""

    period: str
    terms: Mapping[str, str]
    lines: int
    sums: Mapping[str, tuple[Decimal, Decimal]]
    real_blocked: int
    other_blocked: int
    different: Sequence[WhatIfLine]


@dataclass(frozen=True, slots=True)
class Replayed(Result):
    """A document computed again from its stored inputs. `equal`: the same bytes; else `differences` says where."""

    document_id: str
    number: str
    kind: str
    rules: Sequence[str]
    stored_hash: str
    replayed_hash: str
    equal: bool
    net: Decimal
    currency: str
    differences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Why(Result):
    """Why a line-period stands as it does: (topic, sentence) from the reference to the ERP, in order."""

    line_id: str
    line: str
    period: str
    status: str
    amount: Decimal | None
    currency: str
    steps: Sequence[tuple[str, str]]
    answer: str


@dataclass(frozen=True, slots=True)
class Entered(Result):
    """Something a person entered about a line-period; it counts from its approval on."""

    number: int
    line_id: str
    period: str
    kind: str
    entered_by: str
    approved_by: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Customer(Result):
    """One payer. `code` is how the ERP's documents name it; not `given`, it is our own id, and a customer of its own there."""

    party_id: str
    name: str
    source: str
    native_id: str
    orders: int
    code: str
    given: bool


@dataclass(frozen=True, slots=True)
class Customers(Result):
    """Who pays, those without a given code first; `unknown` are given codes of nobody who pays."""

    connection: str
    customers: Sequence[Customer] = ()
    unknown: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CancellationFee(Result):
    """What a cancelled line owes, net of commission. `earned` holds every correction, and nothing of `open_months`."""

    line_id: str
    line: str
    currency: str
    committed: Decimal
    earned: Decimal
    billed: Decimal
    notice_kept: bool
    fee: Decimal
    total: Decimal
    open_months: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BilledDocument(Result):
    """One document as it stands."""

    document_id: str
    kind: str
    order_id: str
    period: str
    state: str
    net: Decimal
    currency: str
    number: str
    balance: Decimal | None
    issued_on: date | None
    mismatch: str

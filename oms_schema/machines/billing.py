"""The billing status of a line-period: from open to paid, and nothing but adjustments once it is locked."""

from __future__ import annotations

from dataclasses import dataclass

from oms_schema.machines.machine import Guard, Machine, Origin, Transition
from oms_schema.money import Money
from oms_schema.person import same_person
from oms_schema.status import BillingStatus as B


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingFacts:
    """What the guards of a line-period look at. The defaults know nothing, so that what is not stated is refused."""

    period_ended: bool = False
    final: bool = False
    """The contracted source's numbers are final; a line billed as contracted is final when its period ends."""
    fallback_agreed: bool = False
    """The finality deadline has passed without numbers, and the terms let the seller fall back on its own (flagged)."""
    no_delivery: bool = False
    """Zero units while the line was live for more than a day: a fault to be looked at, never a silent 0.00 invoice."""
    content_hash: str | None = None
    """Of the present calculation: its inputs and its result."""
    calculated_hash: str | None = None
    """Of the calculation that is under review, in dispute or approved."""
    prepared_by: str | None = None
    dispute: str | None = None
    """Why the figures are disputed (variance above tolerance, a counterparty's objection); None when nobody objects."""
    resolution: str | None = None
    """How the dispute was settled; None while it is open."""
    approved_by: str | None = None
    approved_hash: str | None = None
    document_id: str | None = None
    control_hash: str | None = None
    """Of the control file that goes with the export: row count and totals."""
    erp_number: str | None = None
    our_total: Money | None = None
    their_total: Money | None = None
    """The total that the ERP answered for the document."""
    balance: Money | None = None
    mismatch: str | None = None
    """How the ERP's document differs from ours (voided, deleted, held twice, another total); None when it does not."""
    withdrawn: str | None = None
    """Who took the document back, which the ERP had refused, and why; None while nobody has."""
    adjustment_id: str | None = None
    """The credit memo or supplementary invoice that says something new about a locked period."""


def _ended(f: BillingFacts) -> str | None:
    return None if f.period_ended else "it has not"


def _final(f: BillingFacts) -> str | None:
    return None if f.final or f.fallback_agreed else "they are not, and no fallback is agreed"


def _delivery_believable(f: BillingFacts) -> str | None:
    return "nothing was delivered while the line was live (no_delivery)" if f.no_delivery else None


def _calculated(f: BillingFacts) -> str | None:
    return None if f.content_hash else "there is none"


def _prepared(f: BillingFacts) -> str | None:
    return None if f.prepared_by else "nobody is named"


def _disputed(f: BillingFacts) -> str | None:
    return None if f.dispute and f.resolution is None else "nobody objects"


def _settled(f: BillingFacts) -> str | None:
    return f"it is open: {f.dispute}" if f.dispute and f.resolution is None else None


def _four_eyes(f: BillingFacts) -> str | None:
    if not f.approved_by:
        return "nobody has approved"
    if not f.prepared_by:
        return "it is not known who prepared it"
    return f"{f.approved_by} did both" if same_person(f.approved_by, f.prepared_by) else None


def _approved_this(f: BillingFacts) -> str | None:
    if f.approved_hash is None or f.content_hash is None:
        return "nothing says which figures were approved"
    return None if f.approved_hash == f.content_hash else "the figures have changed since"


def _changed(f: BillingFacts) -> str | None:
    if f.content_hash is None or f.calculated_hash is None:
        return "there is nothing to compare"
    return "they are the same" if f.content_hash == f.calculated_hash else None


def _document(f: BillingFacts) -> str | None:
    return None if f.document_id else "there is none"


def _control(f: BillingFacts) -> str | None:
    return None if f.control_hash else "there is none"


def _acknowledged(f: BillingFacts) -> str | None:
    return None if f.erp_number else "it has not"


def _totals_equal(f: BillingFacts) -> str | None:
    if f.our_total is None or f.their_total is None:
        return "one of the totals is not known"
    if f.our_total == f.their_total:
        return None
    ours, theirs = f.our_total, f.their_total
    return f"ours is {ours.amount} {ours.currency} and theirs {theirs.amount} {theirs.currency}"


def _paid(f: BillingFacts) -> str | None:
    if f.balance is None:
        return "it is not known"
    return f"it is {f.balance.amount} {f.balance.currency}" if f.balance.micros > 0 else None


def _owed(f: BillingFacts) -> str | None:
    if f.balance is None:
        return "it is not known"
    return None if f.balance.micros > 0 else f"it is {f.balance.amount} {f.balance.currency}"


def _differs(f: BillingFacts) -> str | None:
    return None if f.mismatch else "it does not"


def _taken_back(f: BillingFacts) -> str | None:
    return None if f.withdrawn else "nobody has"


def _adjusted(f: BillingFacts) -> str | None:
    return None if f.adjustment_id else "there is none"


_G = Guard[BillingFacts]
ENDED = _G("the billing period has ended", _ended)
FINAL = _G("the numbers to bill by are final", _final)
DELIVERY_BELIEVABLE = _G("a live line delivered something", _delivery_believable)
CALCULATED = _G("a calculation exists", _calculated)
PREPARED = _G("a preparer is named", _prepared)
DISPUTED = _G("somebody objects to the figures", _disputed)
SETTLED = _G("any dispute is settled", _settled)
FOUR_EYES = _G("somebody other than the preparer approves", _four_eyes)
APPROVED_THIS = _G("the present figures are the approved ones", _approved_this)
CHANGED = _G("the figures have changed", _changed)
DOCUMENT = _G("a document carries the figures", _document)
CONTROL = _G("a control file with row count and totals goes with it", _control)
ACKNOWLEDGED = _G("the ERP gave the document a number", _acknowledged)
TOTALS_EQUAL = _G("the ERP's total equals ours to the minor unit", _totals_equal)
PAID = _G("the balance is zero", _paid)
OWED = _G("something is open again", _owed)
DIFFERS = _G("the ERP's document differs from ours", _differs)
WITHDRAWN = _G("somebody took back the document, which the ERP had refused", _taken_back)
ADJUSTMENT = _G("a new document carries the change", _adjusted)


def _row(
    source: B, target: B, trigger: str, sentence: str, *guards: _G, origin: Origin = Origin.DOMAIN
) -> Transition[B, BillingFacts]:
    return Transition(source, target, trigger, guards, sentence, origin)


BILLING: Machine[B, BillingFacts] = Machine(
    "billing",
    "line-period",
    B.OPEN,
    [
        _row(B.OPEN, B.AWAITING_FINAL, "period end", "The period is over; its final numbers are awaited.", ENDED),
        _row(
            B.AWAITING_FINAL,
            B.CALCULATED,
            "calculation",
            "The period is calculated.",
            FINAL,
            DELIVERY_BELIEVABLE,
            CALCULATED,
        ),
        _row(B.CALCULATED, B.IN_REVIEW, "prepared", "The figures are in review.", CALCULATED, PREPARED),
        _row(B.IN_REVIEW, B.DISPUTED, "objection", "The figures are disputed; nothing is invoiced.", DISPUTED),
        _row(B.DISPUTED, B.IN_REVIEW, "resolution", "The dispute is settled; the figures are in review.", SETTLED),
        *(
            _row(source, B.APPROVED, "approval", "The figures are approved.", SETTLED, FOUR_EYES, APPROVED_THIS)
            for source in (B.IN_REVIEW, B.DISPUTED)
        ),
        _row(B.APPROVED, B.LOCKED, "lock", "The figures are locked; later news is a new document.", APPROVED_THIS),
        _row(B.LOCKED, B.EXPORTED, "export", "The document went to the ERP.", DOCUMENT, CONTROL),
        _row(B.EXPORTED, B.INVOICED, "acknowledgement", "The ERP has the invoice.", ACKNOWLEDGED, TOTALS_EQUAL),
        _row(B.INVOICED, B.PAID, "payment", "The invoice is paid.", PAID),
        _row(
            B.PAID,
            B.INVOICED,
            "reversal",
            "A payment was reversed; the invoice is open again.",
            OWED,
            origin=Origin.ADDED,
        ),
        *(
            _row(
                source,
                B.EXPORTED,
                "mismatch",
                "The ERP shows the document otherwise than it was billed; it counts as not invoiced.",
                DIFFERS,
                origin=Origin.ADDED,
            )
            for source in (B.INVOICED, B.PAID)
        ),
        _row(
            B.EXPORTED,
            B.LOCKED,
            "withdrawal",
            "The document was withdrawn before it was posted; the next export makes another of the same figures.",
            WITHDRAWN,
            origin=Origin.ADDED,
        ),
        *(
            _row(source, B.ADJUSTED, "adjustment", "A new document adjusts the locked figures.", ADJUSTMENT)
            for source in (B.LOCKED, B.EXPORTED, B.INVOICED, B.PAID)
        ),
        *(
            _row(
                source,
                B.CALCULATED,
                "restatement",
                "The figures changed before the lock and go through review again.",
                CHANGED,
                origin=Origin.ADDED,
            )
            for source in (B.IN_REVIEW, B.DISPUTED, B.APPROVED)
        ),
    ],
)
"""The line-period's machine (order-management domain study, sections 2 and 3)."""

"""The commercial status of an order: from draft to signed, booked, delivered and closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from oms_schema.machines.machine import Guard, Machine, Origin, Transition
from oms_schema.money import Money
from oms_schema.person import same_person
from oms_schema.status import CommercialStatus as C
from oms_schema.status import DeliveryStatus

LINE_ENDS = frozenset({DeliveryStatus.FINISHED, DeliveryStatus.STOPPED, DeliveryStatus.CANCELLED})
"""Delivery statuses of a line that will never deliver again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """How an order is given up: why, whether the notice was kept, and the fee (zero is a fee, None is not stated)."""

    reason: str
    notice_kept: bool
    fee: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommercialFacts:
    """What the guards of an order look at. The defaults know nothing, so that what is not stated is refused.

    Times are aware; `now` is business time. Hashes are content hashes of the order's version or of the signed document.
    """

    now: datetime | None = None
    version: int = 0
    frozen_version: int | None = None
    """The version the proposal froze."""
    rejected_version: int | None = None
    priced_lines: int = 0
    approval_rules_hit: tuple[str, ...] = ()
    """Rules that ask for a person: amount, discount, below floor, avails short, credit."""
    submitter: str | None = None
    approver: str | None = None
    decision_due: datetime | None = None
    offer_expires: datetime | None = None
    version_hash: str | None = None
    sent_hash: str | None = None
    """Version hash of the document in the signature envelope."""
    signed_hash: str | None = None
    """Version hash of the document that came back signed."""
    vouched_by: str | None = None
    """The connection whose own record says that this version is signed (closed-won), in place of an envelope."""
    purchase_order_required: bool = False
    purchase_order: str | None = None
    credit_hold: str | None = None
    """Why credit blocks the order (limit, overdue); None when it does not."""
    line_statuses: tuple[DeliveryStatus, ...] = ()
    periods_not_locked: int | None = None
    periods_not_acknowledged: int | None = None
    """Line-periods that the ERP has not acknowledged; None when nobody has counted."""
    cancellation: Cancellation | None = None
    never_wanted: bool = False
    """Whether nothing of the order was ever wanted at a vendor; only who keeps that can tell."""

    @classmethod
    def closed_won(
        cls,
        *,
        vouched_by: str,
        version: int,
        priced_lines: int,
        approval_rules_hit: tuple[str, ...] = (),
        purchase_order: str | None = None,
        purchase_order_required: bool = False,
        never_wanted: bool = False,
    ) -> Self:
        """Facts of a deal that `vouched_by` shows as won: its present version is the one proposed and signed."""
        return cls(
            version=version,
            frozen_version=version,
            priced_lines=priced_lines,
            approval_rules_hit=approval_rules_hit,
            vouched_by=vouched_by,
            purchase_order=purchase_order,
            purchase_order_required=purchase_order_required,
            never_wanted=never_wanted,
        )


def decision_overdue(facts: CommercialFacts) -> bool:
    """Whether the approval has to be escalated. Waiting never grants it: no row of the table leaves by time-out."""
    return facts.now is not None and facts.decision_due is not None and facts.now >= facts.decision_due


def _priced(f: CommercialFacts) -> str | None:
    return None if f.priced_lines >= 1 else "no line has a price"


def _frozen(f: CommercialFacts) -> str | None:
    if f.frozen_version is None:
        return "no version is frozen"
    return None if f.frozen_version == f.version else f"version {f.frozen_version} is frozen and {f.version} is present"


def _rule_hit(f: CommercialFacts) -> str | None:
    return None if f.approval_rules_hit else "no rule asks for one"


def _no_rule_hit(f: CommercialFacts) -> str | None:
    return f"a person must decide on: {', '.join(f.approval_rules_hit)}" if f.approval_rules_hit else None


def _four_eyes(f: CommercialFacts) -> str | None:
    if not f.approver:
        return "nobody has decided"
    if not f.submitter:
        return "it is not known who submitted it"
    return f"{f.approver} did both" if same_person(f.approver, f.submitter) else None


def _new_version(f: CommercialFacts) -> str | None:
    if f.rejected_version is None:
        return "it is not known which version was rejected"
    if f.version > f.rejected_version:
        return None
    return f"version {f.version} is the rejected one or older"


def _document_is_version(f: CommercialFacts) -> str | None:
    if f.vouched_by:
        return None
    if f.sent_hash is None or f.version_hash is None:
        return "no document was made from it"
    return None if f.sent_hash == f.version_hash else "the document shows another version"


def _signed(f: CommercialFacts) -> str | None:
    if f.vouched_by:
        return None
    if f.signed_hash is None or f.version_hash is None:
        return "no signature has arrived"
    return None if f.signed_hash == f.version_hash else "another version was signed"


def _purchase_order(f: CommercialFacts) -> str | None:
    return "it is missing" if f.purchase_order_required and not f.purchase_order else None


def _offer_over(f: CommercialFacts) -> str | None:
    if f.offer_expires is None:
        return "it has none"
    if f.now is None:
        return "the time is not known"
    return None if f.now >= f.offer_expires else f"it runs until {f.offer_expires.isoformat()}"


def _credit_blocked(f: CommercialFacts) -> str | None:
    return None if f.credit_hold else "nothing does"


def _credit_free(f: CommercialFacts) -> str | None:
    return f"it does: {f.credit_hold}" if f.credit_hold else None


def _lines_ended(f: CommercialFacts) -> str | None:
    if not f.line_statuses:
        return "it has no line"
    open_lines = sum(status not in LINE_ENDS for status in f.line_statuses)
    return f"{open_lines} of {len(f.line_statuses)} have not" if open_lines else None


def _periods_locked(f: CommercialFacts) -> str | None:
    if f.periods_not_locked is None:
        return "nobody has counted them"
    return f"{f.periods_not_locked} are not" if f.periods_not_locked else None


def _periods_acknowledged(f: CommercialFacts) -> str | None:
    if f.periods_not_acknowledged is None:
        return "nobody has counted them"
    return f"{f.periods_not_acknowledged} are not" if f.periods_not_acknowledged else None


def _cancel_reason(f: CommercialFacts) -> str | None:
    return None if f.cancellation and f.cancellation.reason.strip() else "there is none"


def _never_wanted(f: CommercialFacts) -> str | None:
    return None if f.never_wanted else "it was booked before it was cancelled"


def _cancel_fee(f: CommercialFacts) -> str | None:
    return None if f.cancellation and f.cancellation.fee is not None else "no fee is stated, not even zero"


_G = Guard[CommercialFacts]
PRICED = _G("at least one line has a price", _priced)
FROZEN = _G("the proposal froze the present version", _frozen)
RULE_HIT = _G("a rule asks for approval", _rule_hit)
NO_RULE_HIT = _G("no rule asks for approval", _no_rule_hit)
FOUR_EYES = _G("somebody other than the submitter decides", _four_eyes)
NEW_VERSION = _G("there is a new version", _new_version)
DOCUMENT_IS_VERSION = _G("the document to sign shows the present version", _document_is_version)
SIGNED = _G("the present version is signed", _signed)
PURCHASE_ORDER = _G("the purchase order is there if it is required", _purchase_order)
OFFER_OVER = _G("the offer date has passed", _offer_over)
CREDIT_BLOCKED = _G("credit blocks the order", _credit_blocked)
CREDIT_FREE = _G("credit no longer blocks the order", _credit_free)
LINES_ENDED = _G("every line has ended", _lines_ended)
PERIODS_LOCKED = _G("every line-period is locked", _periods_locked)
PERIODS_ACKNOWLEDGED = _G("every line-period is acknowledged by the ERP", _periods_acknowledged)
CANCEL_REASON = _G("a reason is given", _cancel_reason)
NEVER_WANTED = _G("nothing of it was ever wanted at a vendor", _never_wanted)
CANCEL_FEE = _G("the cancellation fee is stated", _cancel_fee)


def _row(
    source: C, target: C, trigger: str, sentence: str, *guards: _G, origin: Origin = Origin.DOMAIN
) -> Transition[C, CommercialFacts]:
    return Transition(source, target, trigger, guards, sentence, origin)


_BEFORE_BOOKING = (C.DRAFT, C.PROPOSED, C.PENDING_APPROVAL, C.APPROVED, C.REJECTED, C.OUT_FOR_SIGNATURE)

COMMERCIAL: Machine[C, CommercialFacts] = Machine(
    "commercial",
    "order",
    C.DRAFT,
    [
        _row(C.DRAFT, C.PROPOSED, "proposal made", "The order was proposed to the buyer.", PRICED, FROZEN),
        _row(C.PROPOSED, C.PENDING_APPROVAL, "rule hit", "The order waits for an approver.", RULE_HIT),
        _row(C.PROPOSED, C.APPROVED, "no rule hit", "The order was approved; no rule asked for a person.", NO_RULE_HIT),
        _row(C.PENDING_APPROVAL, C.APPROVED, "approval", "An approver approved the order.", FOUR_EYES),
        _row(C.PENDING_APPROVAL, C.REJECTED, "rejection", "An approver rejected the order.", FOUR_EYES),
        _row(C.REJECTED, C.DRAFT, "new version", "A new version replaced the rejected one.", NEW_VERSION),
        _row(C.APPROVED, C.OUT_FOR_SIGNATURE, "envelope sent", "The order is out for signature.", DOCUMENT_IS_VERSION),
        _row(C.OUT_FOR_SIGNATURE, C.BOOKED, "signature", "The order is signed and booked.", SIGNED, PURCHASE_ORDER),
        *(
            _row(source, C.EXPIRED, "offer date", "The offer expired; its holds are released.", OFFER_OVER)
            for source in (C.PROPOSED, C.APPROVED, C.OUT_FOR_SIGNATURE)
        ),
        _row(C.BOOKED, C.ON_HOLD, "credit hold", "Credit blocks activation; reads go on.", CREDIT_BLOCKED),
        _row(C.ON_HOLD, C.BOOKED, "credit release", "Credit no longer blocks the order.", CREDIT_FREE),
        _row(C.BOOKED, C.COMPLETED, "last line ended", "Every line of the order has ended.", LINES_ENDED),
        _row(
            C.COMPLETED,
            C.CLOSED,
            "last line-period acknowledged",
            "Everything is billed and acknowledged by the ERP.",
            PERIODS_LOCKED,
            PERIODS_ACKNOWLEDGED,
        ),
        *(
            _row(source, C.CANCELLED, "cancellation", "The order was cancelled.", CANCEL_REASON)
            for source in _BEFORE_BOOKING
        ),
        _row(
            C.BOOKED,
            C.CANCELLED,
            "cancellation",
            "The order was cancelled; its running lines are stopped.",
            CANCEL_REASON,
            CANCEL_FEE,
        ),
        _row(
            C.ON_HOLD,
            C.CANCELLED,
            "cancellation",
            "The order was cancelled while credit held it.",
            CANCEL_REASON,
            CANCEL_FEE,
            origin=Origin.ADDED,
        ),
        _row(
            C.CANCELLED,
            C.DRAFT,
            "reopening",
            "A deal that was lost before it was ever booked was taken up again.",
            NEVER_WANTED,
            origin=Origin.ADDED,
        ),
    ],
)
"""The order's machine (order-management domain study, section 2)."""

"""The sixteen order actions and the states in which they apply.

    DRAFT ──submit──▶ PENDING_APPROVAL ──approve──▶ APPROVED
      ▲ └───────────────approve──────────────────────┘  ▲ │ pause, resume: the lines
      └──retract──────────┘ └──disapprove──▶ DISAPPROVED┘ ▼

An action applies to all orders of its statement or to none, and answers with their number only. An approved order takes
another approval as long as it has lines that are not approved. Which of the reasons wins where several hold is not
documented; the order here is archived, permission, state, ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.gam.creatives import attach_creative
from sandbox.gam.line_items import remove_line
from sandbox.gam.line_status import delivered, is_live, line_status
from sandbox.gam.network import Network
from sandbox.gam.orders import order_end, order_lines, order_properties
from sandbox.gam.pages import selected
from sandbox.gam.reservations import check_forecast, is_reservable, set_reserved
from sandbox.gam.soap import Findings, Native, fail
from sandbox.gam.users import may_approve

_CHANGE, _KEEP, _OVERBOOK = "change", "keep", "overbook"


@dataclass(frozen=True)
class _Action:
    """What an action does: the step, what becomes of reservations, and from which order statuses it leads."""

    step: str
    reservation: str = _CHANGE
    statuses: tuple[str, ...] = ()


_OPEN = ("DRAFT", "PENDING_APPROVAL", "DISAPPROVED", "APPROVED")
_ACTIONS = {
    "ApproveOrders": _Action("approve", _CHANGE, _OPEN),
    "ApproveAndOverbookOrders": _Action("approve", _OVERBOOK, _OPEN),
    "ApproveOrdersWithoutReservationChanges": _Action("approve", _KEEP, _OPEN),
    "SubmitOrdersForApproval": _Action("submit", _CHANGE, ("DRAFT", "DISAPPROVED")),
    "SubmitOrdersForApprovalAndOverbook": _Action("submit", _OVERBOOK, ("DRAFT", "DISAPPROVED")),
    "SubmitOrdersForApprovalWithoutReservationChanges": _Action("submit", _KEEP, ("DRAFT", "DISAPPROVED")),
    "DisapproveOrders": _Action("disapprove", _CHANGE, ("PENDING_APPROVAL",)),
    "DisapproveOrdersWithoutReservationChanges": _Action("disapprove", _KEEP, ("PENDING_APPROVAL",)),
    "RetractOrders": _Action("retract", _CHANGE, ("PENDING_APPROVAL",)),
    "RetractOrdersWithoutReservationChanges": _Action("retract", _KEEP, ("PENDING_APPROVAL",)),
    "PauseOrders": _Action("pause", _KEEP, ("APPROVED",)),
    "ResumeOrders": _Action("resume", _CHANGE, ("APPROVED",)),
    "ResumeAndOverbookOrders": _Action("resume", _OVERBOOK, ("APPROVED",)),
    "ArchiveOrders": _Action("archive"),
    "UnarchiveOrders": _Action("unarchive"),
    "DeleteOrders": _Action("delete"),
}
_REVIEW = {"approve": "APPROVED", "submit": "PENDING_APPROVAL", "disapprove": "DISAPPROVED", "retract": "DRAFT"}
_NOT_AFTER_END = ("approve", "submit", "pause", "resume")


def perform_order_action(network: Network, action: Native, statement: Native | None, user_id: int) -> Native:
    """Apply an action to all orders a statement selects, or to none; the number of changed ones."""
    kind = str(action.get("@type"))
    facts = _ACTIONS.get(kind)
    if facts is None:
        fail("CommonError", "UNSUPPORTED_OPERATION", "orderAction", kind)
    orders = selected(network, "Order", statement, order_properties(network))
    findings = Findings()
    for order in orders:
        if reason := _refusal(network, facts, order, user_id):
            findings.add("OrderActionError", reason, "id", order["id"])
    findings.refuse()
    if facts.reservation == _CHANGE and facts.step in ("approve", "submit", "resume"):
        _check_inventory(network, facts, orders, bool(action.get("skipInventoryCheck")))
    now = network.now()
    for order in orders:
        _apply(network, facts, order, now)
    return {"numChanges": len(orders)}


def archive_order(network: Network, order: Native, now: int) -> None:
    """Archive an order with its lines."""
    order.update(isArchived=True, _modified=now)
    for line in order_lines(network, order["id"]):
        line.update(isArchived=True, _modified=now)


def _refusal(network: Network, facts: _Action, order: Native, user_id: int) -> str | None:
    lines = order_lines(network, order["id"])
    now = network.now()
    if order["isArchived"]:
        return None if facts.step == "unarchive" else "IS_ARCHIVED"
    if facts.step in ("approve", "disapprove") and not may_approve(network, user_id):
        return "PERMISSION_DENIED"
    if facts.step == "unarchive" or (facts.statuses and order["status"] not in facts.statuses):
        return "NOT_APPLICABLE"
    if facts.step == "delete":
        served = any(is_live(network, line) or any(delivered(network, line, now).values()) for line in lines)
        return "CANNOT_DELETE_ORDER_WITH_DELIVERED_LINEITEMS" if served else None
    if facts.step == "archive":
        # The user interface makes people pause what delivers before it is archived; assumed for the API.
        running = any(line_status(network, line, now) in ("DELIVERING", "DELIVERY_EXTENDED") for line in lines)
        return "NOT_APPLICABLE" if running else None
    if facts.step in _NOT_AFTER_END and (end := order_end(network, order["id"])) is not None and end <= now:
        return "HAS_ENDED"
    if facts.step == "approve":
        return _approval_refusal(network, facts, order, lines)
    if facts.step == "resume" and not any(line["_paused"] for line in lines):
        return "NOT_APPLICABLE"
    return None


def _approval_refusal(network: Network, facts: _Action, order: Native, lines: list[Native]) -> str | None:
    waiting = [line for line in lines if line["_review"] != "APPROVED" and not line["isArchived"]]
    if order["status"] == "APPROVED" and not waiting:
        return "NOT_APPLICABLE"
    advertiser = network.tables["Company"].get(order["advertiserId"])
    if advertiser is not None and advertiser["creditStatus"] != "ACTIVE":
        return "CANNOT_APPROVE_COMPANY_CREDIT_STATUS_NOT_ACTIVE"
    if facts.reservation == _KEEP and any(is_reservable(line) and not line["_reserved"] for line in waiting):
        return "CANNOT_APPROVE_WITH_UNRESERVED_LINE_ITEMS"
    return None


def _check_inventory(network: Network, facts: _Action, orders: list[Native], skip: bool) -> None:
    if skip:
        return
    lines = [
        line
        for order in orders
        for line in order_lines(network, order["id"])
        if (line["_paused"] if facts.step == "resume" else line["_review"] != "APPROVED")
    ]
    check_forecast(network, "performOrderAction", lines, "lineItem[{}]")


def _apply(network: Network, facts: _Action, order: Native, now: int) -> None:
    order["_modified"] = now
    if facts.step == "archive":
        archive_order(network, order, now)
        return
    if facts.step == "delete":
        for line in order_lines(network, order["id"]):
            remove_line(network, line)
        network.tables["Order"].remove(order["id"])
        network.deleted_order_names.add(order["name"])
        return
    if facts.step == "unarchive":
        order["isArchived"] = False
    elif facts.step in _REVIEW:
        order["status"] = _REVIEW[facts.step]
    for line in order_lines(network, order["id"]):
        _apply_to_line(network, facts, line, now)


def _apply_to_line(network: Network, facts: _Action, line: Native, now: int) -> None:
    if facts.step == "unarchive":
        line.update(isArchived=False, _modified=now)
        return
    if line["isArchived"]:
        return
    if facts.step == "pause":
        if line["_review"] != "APPROVED" or line_status(network, line, now) == "COMPLETED":
            return
        line["_paused"] = True
    elif facts.step == "resume":
        if not line["_paused"]:
            return
        line["_paused"] = line["_released"] = False
    elif line["_review"] == "APPROVED":
        return
    else:
        line["_review"] = _REVIEW[facts.step]
    line["_modified"] = now
    if facts.reservation != _KEEP and is_reservable(line):
        set_reserved(network, line, facts.step in ("approve", "submit", "resume"))
    if facts.step == "approve" and network.auto_attach:
        attach_creative(network, line)

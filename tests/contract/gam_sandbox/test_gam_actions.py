"""Order and line item actions: where they lead, and when they do not apply."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gam import Settings


def refused_action(gam: Any, action: str, order_id: int) -> str | None:
    [(kind, reason, path)] = gam.refusals(lambda: gam.act_on_orders(action, order_id))
    assert (kind, path) == ("OrderActionError", "id")
    return reason


def statuses(gam: Any, order: Any, line: Any) -> tuple[str, str]:
    return gam.read_order(order["id"])["status"], gam.read_line(line["id"])["status"]


def test_an_order_is_submitted_retracted_disapproved_and_approved(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    for action, status, line_status in (
        ("SubmitOrdersForApproval", "PENDING_APPROVAL", "PENDING_APPROVAL"),
        ("RetractOrders", "DRAFT", "DRAFT"),
        ("SubmitOrdersForApproval", "PENDING_APPROVAL", "PENDING_APPROVAL"),
        ("DisapproveOrders", "DISAPPROVED", "DISAPPROVED"),
        ("ApproveOrders", "APPROVED", "INACTIVE"),
    ):
        assert gam.act_on_orders(action, order["id"]) == 1
        assert statuses(gam, order, line) == (status, line_status)


@pytest.mark.parametrize(
    ("first", "action"),
    [
        (None, "RetractOrders"),
        (None, "DisapproveOrders"),
        (None, "PauseOrders"),
        (None, "ResumeOrders"),
        (None, "UnarchiveOrders"),
        ("SubmitOrdersForApproval", "SubmitOrdersForApproval"),
        ("ApproveOrders", "ApproveOrders"),
        ("ApproveOrders", "SubmitOrdersForApproval"),
        ("ApproveOrders", "ResumeOrders"),
    ],
)
def test_an_action_out_of_state_is_not_applicable(gam: Any, first: str | None, action: str) -> None:
    order = gam.order()
    gam.line(order["id"])
    if first is not None:
        gam.act_on_orders(first, order["id"])
    assert refused_action(gam, action, order["id"]) == "NOT_APPLICABLE"


def test_an_archived_order_takes_only_unarchive(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    gam.act_on_orders("ArchiveOrders", order["id"])
    assert gam.read_order(order["id"])["isArchived"] is True
    assert gam.read_line(line["id"])["isArchived"] is True
    for action in ("ApproveOrders", "PauseOrders", "ArchiveOrders", "DeleteOrders"):
        assert refused_action(gam, action, order["id"]) == "IS_ARCHIVED"
    gam.act_on_orders("UnarchiveOrders", order["id"])
    assert gam.read_line(line["id"])["isArchived"] is False


def test_who_may_not_approve_is_told_so(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"])
    gam.post("users", users=[{"email": "api@sandbox.example", "role": "Salesperson"}])
    assert refused_action(gam, "ApproveOrders", order["id"]) == "PERMISSION_DENIED"


def test_an_order_past_its_end_is_not_approved(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"])
    gam.clock("2019-12-01T00:00:00Z")
    assert refused_action(gam, "ApproveOrders", order["id"]) == "HAS_ENDED"


def test_an_advertiser_on_hold_blocks_approval(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"])
    company = gam.find("CompanyService", "getCompaniesByStatement", "id = :i", i=order["advertiserId"])[0]
    company["creditStatus"] = "ON_HOLD"
    gam.service("CompanyService").updateCompanies([company])
    assert refused_action(gam, "ApproveOrders", order["id"]) == "CANNOT_APPROVE_COMPANY_CREDIT_STATUS_NOT_ACTIVE"


def test_approval_without_reservation_changes_needs_reserved_lines(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    action = "ApproveOrdersWithoutReservationChanges"
    assert refused_action(gam, action, order["id"]) == "CANNOT_APPROVE_WITH_UNRESERVED_LINE_ITEMS"
    gam.act_on_lines("ReserveLineItems", line["id"])
    assert gam.act_on_orders(action, order["id"]) == 1


def test_a_line_added_to_an_approved_order_waits_for_another_approval(gam: Any) -> None:
    order = gam.order()
    gam.line(order["id"], "L1")
    gam.act_on_orders("ApproveOrders", order["id"])
    later = gam.line(order["id"], "L2")
    assert later["status"] == "DRAFT"
    gam.act_on_orders("ApproveOrders", order["id"])
    assert gam.read_line(later["id"])["status"] == "INACTIVE"
    assert refused_action(gam, "ApproveOrders", order["id"]) == "NOT_APPLICABLE"


def test_an_action_is_for_all_its_orders_or_for_none(gam: Any) -> None:
    good, archived = gam.order("IO-1"), gam.order("IO-2")
    gam.act_on_orders("ArchiveOrders", archived["id"])
    reasons = [
        reason for _, reason, _ in gam.refusals(lambda: gam.act_on_orders("ApproveOrders", good["id"], archived["id"]))
    ]
    assert reasons == ["IS_ARCHIVED"]
    assert gam.read_order(good["id"])["status"] == "DRAFT"
    assert gam.act_on_orders("ApproveOrders", 999) == 0


def test_pausing_an_order_pauses_its_lines(gam: Any) -> None:
    line = gam.live_line()
    gam.act_on_orders("PauseOrders", line["orderId"])
    assert gam.read_line(line["id"])["status"] == "PAUSED"
    assert gam.read_order(line["orderId"])["status"] == "APPROVED"
    gam.act_on_orders("ResumeOrders", line["orderId"])
    assert gam.read_line(line["id"])["status"] == "READY"


def test_only_what_never_served_is_deleted(gam: Any) -> None:
    draft = gam.order("draft")
    gam.line(draft["id"], "D")
    assert gam.act_on_orders("DeleteOrders", draft["id"]) == 1
    assert gam.find("OrderService", "getOrdersByStatement", "id = :i", i=draft["id"]) == []
    assert gam.find("LineItemService", "getLineItemsByStatement", "externalId = 'D'") == []
    live = gam.live_line()
    assert refused_action(gam, "DeleteOrders", live["orderId"]) == "CANNOT_DELETE_ORDER_WITH_DELIVERED_LINEITEMS"
    refusals = gam.refusals(lambda: gam.act_on_lines("DeleteLineItems", live["id"]))
    assert refusals == [("LineItemOperationError", "CANNOT_DELETE_DELIVERED_LINE_ITEM", "id")]


def test_a_delivering_order_is_paused_before_it_is_archived(gam: Any) -> None:
    line = gam.live_line()
    gam.clock("2019-10-10T00:00:00Z")
    assert refused_action(gam, "ArchiveOrders", line["orderId"]) == "NOT_APPLICABLE"
    gam.act_on_orders("PauseOrders", line["orderId"])
    assert gam.act_on_orders("ArchiveOrders", line["orderId"]) == 1


def test_a_line_lives_by_the_clock(gam: Any) -> None:
    line = gam.live_line(autoExtensionDays=2)
    seen = []
    for now in ("2019-09-30", "2019-10-02", "2019-11-02", "2019-11-04"):
        gam.clock(f"{now}T12:00:00Z")
        seen.append(gam.read_line(line["id"])["status"])
    assert seen == ["READY", "DELIVERING", "DELIVERY_EXTENDED", "COMPLETED"]


def test_a_line_completes_when_its_goal_is_met(gam: Any) -> None:
    line = gam.live_line()
    lines = [{"external_id": "L1", "impressions": 100_000, "until": "2019-10-05T04:00:00Z"}]
    gam.post("impressions", lines=lines)
    gam.clock("2019-10-04T12:00:00Z")
    assert gam.read_line(line["id"])["status"] == "DELIVERING"
    gam.clock("2019-10-05T05:00:00Z")
    assert gam.read_line(line["id"])["status"] == "COMPLETED"
    assert gam.read_line(line["id"])["stats"]["impressionsDelivered"] == 100_000


def test_a_line_without_creatives_delivers_nothing(gam: Any) -> None:
    order = gam.order()
    line = gam.line(order["id"])
    gam.act_on_orders("ApproveOrders", order["id"])
    gam.post("impressions", lines=[{"external_id": "L1", "impressions": 50_000}])
    gam.clock("2019-12-01T00:00:00Z")
    read = gam.read_line(line["id"])
    assert (read["status"], read["stats"], read["isMissingCreatives"]) == ("INACTIVE", None, True)
    assert gam.refusals(lambda: gam.act_on_lines("ActivateLineItems", line["id"])) == [
        ("LineItemOperationError", "HAS_NO_ACTIVE_CREATIVES", "id")
    ]


def test_line_actions_lead_where_they_say(gam: Any) -> None:
    line = gam.live_line()
    for action, status, reserved in (
        ("PauseLineItems", "PAUSED", "RESERVED"),
        ("ReleaseLineItems", "PAUSED_INVENTORY_RELEASED", "UNRESERVED"),
        ("ResumeLineItems", "READY", "RESERVED"),
    ):
        assert gam.act_on_lines(action, line["id"]) == 1
        read = gam.read_line(line["id"])
        assert (read["status"], read["reservationStatus"]) == (status, reserved)
    assert gam.act_on_lines("ArchiveLineItems", line["id"]) == 1
    assert gam.refusals(lambda: gam.act_on_lines("PauseLineItems", line["id"])) == [
        ("LineItemOperationError", "NOT_APPLICABLE", "id")
    ]
    assert gam.act_on_lines("UnarchiveLineItems", line["id"]) == 1


def test_a_completed_line_is_not_paused(gam: Any) -> None:
    line = gam.live_line()
    gam.clock("2019-12-01T00:00:00Z")
    assert gam.refusals(lambda: gam.act_on_lines("PauseLineItems", line["id"])) == [
        ("LineItemOperationError", "HAS_COMPLETED", "id")
    ]


def test_only_guaranteed_lines_are_reserved(gam: Any) -> None:
    goal = {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 1000}
    line = gam.line(gam.order()["id"], lineItemType="PRICE_PRIORITY", primaryGoal=goal)
    assert gam.refusals(lambda: gam.act_on_lines("ReserveLineItems", line["id"])) == [
        ("ReservationDetailsError", "LINE_ITEM_TYPE_NOT_ALLOWED", "id")
    ]


def test_overbooking_is_refused_unless_asked_for(gam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gam.server.app.vendor._network, "settings", Settings(daily_impressions=3000))
    order = gam.order()
    gam.line(order["id"])  # 100,000 over 31 days: about 3,226 a day
    assert gam.refusals(lambda: gam.act_on_orders("ApproveOrders", order["id"])) == [
        ("ForecastError", "NOT_ENOUGH_INVENTORY", "lineItem[0]")
    ]
    assert gam.read_order(order["id"])["status"] == "DRAFT"
    assert gam.act_on_orders("ApproveAndOverbookOrders", order["id"]) == 1


def test_a_reserved_line_grows_only_into_free_inventory(gam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    network = gam.server.app.vendor._network
    monkeypatch.setattr(network, "settings", Settings(daily_impressions=4000))
    line = gam.live_line()
    reserved = dict(network.reserved)
    line["primaryGoal"]["units"] = 200_000
    assert gam.refusals(lambda: gam.service("LineItemService").updateLineItems([line])) == [
        ("ForecastError", "NOT_ENOUGH_INVENTORY", "lineItem[0]")
    ]
    assert network.reserved == reserved
    line["primaryGoal"]["units"] = 110_000
    gam.service("LineItemService").updateLineItems([line])
    assert 109_900 <= sum(network.reserved.values()) <= 110_000
    gam.act_on_lines("ReleaseLineItems", line["id"])
    assert sum(network.reserved.values()) == 0

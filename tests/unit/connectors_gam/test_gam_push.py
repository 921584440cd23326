"""Creates, updates and actions: one result per item, in order, and never more certainty than the answer gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.base import Operation, Outcome, PushItem
from connectors.errors import Misconfigured, RetryLater
from connectors.gam import GamConnector, GamSettings

CREATE, UPDATE, ACT = Operation.CREATE, Operation.UPDATE, Operation.ACT


def order(key: str, vendor_id: str | None = None, **payload: Any) -> PushItem:
    return PushItem(key, payload or {"name": key, "advertiserId": 1, "traffickerId": 2}, vendor_id)


def page(*natives: dict[str, Any]) -> dict[str, Any]:
    return {"totalResultSetSize": len(natives), "startIndex": 0, "results": list(natives)}


def outcomes(results: Any) -> list[str]:
    return [f"{result.outcome.value}:{result.code}" if result.code else result.outcome.value for result in results]


# ---------------------------------------------------------------- create
def test_created_records_carry_their_ids_in_the_order_of_the_batch(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda _, arguments: [{"id": 10 + at, "name": o["name"]} for at, o in enumerate(arguments[0])]
    results = gam.push("Order", CREATE, [order("a"), order("b")])
    assert [(r.key, r.outcome, r.vendor_id) for r in results] == [
        ("a", Outcome.CREATED, "10"),
        ("b", Outcome.CREATED, "11"),
    ]
    assert vendor.names() == ["createOrders"]


def test_one_bad_record_is_rejected_and_the_others_wait_for_nothing(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("StringLengthError", "TOO_LONG", "[1].name", "bbb"))
    results = gam.push("Order", CREATE, [order("a"), order("b"), order("c")])
    assert outcomes(results) == [
        "retry:BATCH_ATOMIC",
        "rejected:StringLengthError.TOO_LONG",
        "retry:BATCH_ATOMIC",
    ]
    assert results[1].path == "name"
    assert results[1].reason == "length"
    assert results[0].after == 0


def test_several_errors_in_one_fault_blame_each_its_record(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(
        ("StringLengthError", "TOO_LONG", "[0].name", "x"),
        ("UniqueError", None, "order[2].name", "c"),
        ("RequiredError", "REQUIRED", "[0].advertiserId", ""),
    )
    results = gam.push("Order", CREATE, [order("a"), order("b"), order("c")])
    assert outcomes(results) == ["rejected:StringLengthError.TOO_LONG", "retry:BATCH_ATOMIC", "in_doubt:UniqueError"]


def test_an_index_of_a_nested_list_is_not_taken_for_a_record(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("RangeError", "TOO_HIGH", "creativePlaceholders[1].size", ""))
    items = [PushItem(key, {"orderId": 1, "name": key}) for key in ("a", "b")]
    assert outcomes(gam.push("LineItem", CREATE, items)) == ["retry:BATCH_SPLIT", "retry:BATCH_SPLIT"]


def test_an_error_without_a_place_blames_the_record_that_carries_its_trigger(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("UniqueError", None, "", "b"))
    assert outcomes(gam.push("Order", CREATE, [order("a"), order("b")])) == [
        "retry:BATCH_ATOMIC",
        "in_doubt:UniqueError",
    ]


def test_an_error_without_a_place_blames_a_record_that_is_alone(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("RequiredError", "REQUIRED", "", ""))
    assert outcomes(gam.push("Order", CREATE, [order("a")])) == ["rejected:RequiredError.REQUIRED"]


def test_a_taken_name_is_in_doubt_on_create_and_rejected_on_update(vendor: Any, gam: GamConnector) -> None:
    def answer(operation: str, _: list[Any]) -> Any:
        if operation == "getOrdersByStatement":
            return page({"id": 7, "name": "old", "status": "DRAFT"})
        return vendor.fault(("UniqueError", None, "[0].name", "new"))

    vendor.answer = answer
    assert outcomes(gam.push("Order", CREATE, [order("new")])) == ["in_doubt:UniqueError"]
    results = gam.push("Order", UPDATE, [order("k", "7", name="new")])
    assert outcomes(results) == ["rejected:UniqueError"]
    assert results[0].reason == "duplicate"


def test_a_retryable_error_of_one_record_does_not_reject_it(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("CommonError", "CONCURRENT_MODIFICATION", "[1]", ""))
    assert outcomes(gam.push("Order", CREATE, [order("a"), order("b")])) == [
        "retry:BATCH_ATOMIC",
        "retry:CommonError.CONCURRENT_MODIFICATION",
    ]


def test_a_record_that_is_no_soap_is_rejected_before_anything_is_sent(vendor: Any, gam: GamConnector) -> None:
    results = gam.push("Order", CREATE, [order("a"), order("b", None, name="b", nonsense=1)])
    assert outcomes(results) == ["retry:BATCH_ATOMIC", "rejected:PAYLOAD-INVALID"]
    assert vendor.calls == []


def test_fifty_lines_of_several_orders_go_in_one_call(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda _, arguments: [{"id": at, "orderId": o["orderId"]} for at, o in enumerate(arguments[0])]
    items = [PushItem(f"k{at}", {"orderId": at % 3, "name": f"n{at}"}) for at in range(50)]
    assert len(gam.push("LineItem", CREATE, items)) == 50
    assert vendor.names() == ["createLineItems"]
    with pytest.raises(Misconfigured):
        gam.push("LineItem", CREATE, [*items, items[0]])


def test_payload_shapes_of_the_vendor_arrive_as_written(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: [{"id": 1}]
    payload = {
        "orderId": 5,
        "name": "línea 😀",
        "externalId": "x",
        "lineItemType": "PRICE_PRIORITY",
        "startDateTime": {
            "date": {"year": 2020, "month": 2, "day": 29},
            "hour": 15,
            "minute": 0,
            "second": 1,
            "timeZoneId": "America/New_York",
        },
        "unlimitedEndDateTime": True,
        "costPerUnit": {"currencyCode": "USD", "microAmount": 0},
        "creativePlaceholders": [{"size": {"width": 1080, "height": 1920, "isAspectRatio": False}}],
        "primaryGoal": {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": -1},
        "targeting": {
            "geoTargeting": {"targetedLocations": [{"id": 2840 + at} for at in range(3400)]},
            "customTargeting": {
                "xsi_type": "CustomCriteriaSet",
                "logicalOperator": "AND",
                "children": [{"xsi_type": "CustomCriteria", "keyId": 1, "valueIds": [2, 3], "operator": "IS_NOT"}],
            },
        },
    }
    gam.push("LineItem", CREATE, [PushItem("k", payload)])
    sent = vendor.calls[0][1][0][0]
    del payload["targeting"]["customTargeting"]["xsi_type"]  # type: ignore[attr-defined, index]
    assert sent == payload


# ---------------------------------------------------------------- update
def test_an_update_overlays_our_fields_on_the_present_object(vendor: Any, gam: GamConnector) -> None:
    def answer(operation: str, arguments: list[Any]) -> Any:
        if operation == "getOrdersByStatement":
            return page(
                {"id": 7, "name": "n", "notes": "theirs", "poNumber": "1", "status": "DRAFT", "traffickerId": 2},
                {"id": 8, "name": "same", "poNumber": "2", "status": "APPROVED"},
            )
        return arguments[0]

    vendor.answer = answer
    items = [order("a", "7", poNumber="PO-9"), order("b", "8", poNumber="2"), order("c", "9", poNumber="3")]
    results = gam.push("Order", UPDATE, items)
    assert outcomes(results) == ["updated", "unchanged", "rejected:CommonError.NOT_FOUND"]
    assert vendor.names() == ["getOrdersByStatement", "updateOrders"]
    [sent] = vendor.calls[1][1][0]
    assert sent == {"id": 7, "name": "n", "notes": "theirs", "poNumber": "PO-9", "status": "DRAFT", "traffickerId": 2}


def test_nothing_is_sent_when_nothing_differs(vendor: Any, gam: GamConnector) -> None:
    present = {
        "id": 7,
        "orderId": 1,
        "status": "READY",
        "startDateTime": {
            "date": {"year": 2020, "month": 1, "day": 29},
            "hour": 10,
            "minute": 0,
            "second": 0,
            "timeZoneId": "America/New_York",
        },
        "targeting": {"geoTargeting": {"targetedLocations": [{"id": 1, "displayName": "A"}, {"id": 2}]}},
    }
    vendor.answer = lambda *_: page(present)
    utc = {**present["startDateTime"], "hour": 15, "timeZoneId": "UTC"}  # type: ignore[dict-item]
    ours = {
        "orderId": "1",
        "skipInventoryCheck": True,
        "startDateTime": utc,
        "targeting": {"geoTargeting": {"targetedLocations": [{"id": 2}, {"id": 1}], "excludedLocations": []}},
    }
    assert outcomes(gam.push("LineItem", UPDATE, [PushItem("k", ours, "7")])) == ["unchanged"]
    assert vendor.names() == ["getLineItemsByStatement"]


@pytest.mark.parametrize("state", [{"isArchived": True}, {"status": "PENDING_APPROVAL"}])
def test_a_frozen_order_is_rejected_and_the_rest_of_the_batch_written(
    vendor: Any, gam: GamConnector, state: dict[str, Any]
) -> None:
    def answer(operation: str, arguments: list[Any]) -> Any:
        if operation == "getOrdersByStatement":
            return page({"id": 7, "notes": "", **state}, {"id": 8, "notes": "", "status": "DRAFT"})
        return arguments[0]

    vendor.answer = answer
    results = gam.push("Order", UPDATE, [order("a", "7", notes="x"), order("b", "8", notes="x")])
    assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.UPDATED]
    assert results[0].reason == "vendor_state"


def test_typed_values_survive_the_way_there_and_back(vendor: Any, gam: GamConnector) -> None:
    custom = {
        "logicalOperator": "AND",
        "children": [{"xsi_type": "CustomCriteria", "keyId": 1, "valueIds": [2], "operator": "IS"}],
    }

    def answer(operation: str, arguments: list[Any]) -> Any:
        if operation == "getLineItemsByStatement":
            return page({"id": 7, "name": "n", "targeting": {"customTargeting": custom}})
        return [{"id": 7}]

    vendor.answer = answer
    assert outcomes(gam.push("LineItem", UPDATE, [PushItem("k", {"name": "m"}, "7")])) == ["updated"]
    assert vendor.calls[1][1][0][0]["targeting"]["customTargeting"] == custom


# ---------------------------------------------------------------- act
class Orders:
    """Orders whose statuses an action may change."""

    def __init__(self, vendor: Any, statuses: dict[int, str], perform: Callable[[dict[int, str]], Any]) -> None:
        self.statuses = statuses
        self.waiting: list[dict[str, Any]] = []
        self._perform = perform
        vendor.answer = self._answer

    def _answer(self, operation: str, arguments: list[Any]) -> Any:
        if operation == "performOrderAction":
            return self._perform(self.statuses)
        if operation == "getLineItemsByStatement":
            return page(*self.waiting)
        return page(*({"id": i, "status": s} for i, s in self.statuses.items()))


def approve(*ids: int) -> list[PushItem]:
    return [PushItem(f"k{i}", {"skipInventoryCheck": True}, str(i), "ApproveOrders") for i in ids]


def test_an_action_is_believed_only_where_the_status_shows_it(vendor: Any, gam: GamConnector) -> None:
    def perform(statuses: dict[int, str]) -> Any:
        statuses[1] = "APPROVED"
        return {"numChanges": 1}

    Orders(vendor, {1: "DRAFT", 2: "CANCELED", 3: "APPROVED"}, perform)
    results = gam.push("Order", ACT, approve(1, 2, 3, 4))
    assert outcomes(results) == [
        "updated",
        "rejected:ACTION-WITHOUT-EFFECT",
        "unchanged",
        "rejected:CommonError.NOT_FOUND",
    ]
    assert results[1].reason == "vendor_state"
    action, statement = next(arguments for name, arguments in vendor.calls if name == "performOrderAction")
    assert action == {"xsi_type": "ApproveOrders", "skipInventoryCheck": True}
    assert [value["value"]["value"] for value in statement["values"]] == ["1", "2", "4"]  # 4 may be too new to be shown


def test_what_the_engine_keeps_in_an_action_is_not_sent(vendor: Any, gam: GamConnector) -> None:
    def perform(statuses: dict[int, str]) -> Any:
        statuses.update(dict.fromkeys(statuses, "APPROVED"))
        return {"numChanges": 2}

    Orders(vendor, {1: "DRAFT", 2: "DRAFT"}, perform)
    items = [PushItem(f"k{i}", {"status": "booked", "members": str(i)}, str(i), "ApproveOrders") for i in (1, 2)]
    assert outcomes(gam.push("Order", ACT, items)) == ["updated", "updated"]
    [(action, _)] = [arguments for name, arguments in vendor.calls if name == "performOrderAction"]
    assert action == {"xsi_type": "ApproveOrders"}


def test_no_forecast_yet_is_a_wait_and_never_a_rejection(vendor: Any, gam: GamConnector) -> None:
    Orders(vendor, {1: "DRAFT"}, lambda _: vendor.fault(("ForecastError", "NO_FORECAST_YET", "lineItem[0]", "")))
    [result] = gam.push("Order", ACT, approve(1))
    assert outcomes([result]) == ["retry:ForecastError.NO_FORECAST_YET"]
    assert result.after == gam.settings.forecast_wait_seconds  # type: ignore[attr-defined]


def test_a_lost_answer_of_an_action_that_worked_is_read_back(vendor: Any, gam: GamConnector) -> None:
    def perform(statuses: dict[int, str]) -> Any:
        statuses[1] = "APPROVED"
        return vendor.fault(("InternalApiError", "ERROR_GENERATING_RESPONSE", "", ""))

    Orders(vendor, {1: "DRAFT", 2: "DRAFT"}, perform)
    assert outcomes(gam.push("Order", ACT, approve(1, 2))) == [
        "updated",
        "in_doubt:InternalApiError.ERROR_GENERATING_RESPONSE",
    ]


def test_an_action_that_queries_do_not_show_yet_is_looked_at_again(vendor: Any, gam: GamConnector) -> None:
    Orders(vendor, {1: "DRAFT"}, lambda _: {"numChanges": 1})
    assert outcomes(gam.push("Order", ACT, approve(1))) == ["retry:ACTION-NOT-SHOWN"]


def test_approved_orders_are_not_approved_again(vendor: Any, gam: GamConnector) -> None:
    Orders(vendor, {1: "APPROVED"}, lambda _: vendor.fault(("OrderActionError", "NOT_APPLICABLE", "", "")))
    assert outcomes(gam.push("Order", ACT, approve(1))) == ["unchanged"]
    assert "performOrderAction" not in vendor.names()


def test_an_approved_order_with_a_new_line_is_approved_again(vendor: Any, gam: GamConnector) -> None:
    def perform(_: dict[int, str]) -> Any:
        orders.waiting = []
        return {"numChanges": 1}

    orders = Orders(vendor, {1: "APPROVED"}, perform)
    orders.waiting = [{"id": 5, "orderId": 1, "status": "DRAFT"}]
    assert outcomes(gam.push("Order", ACT, approve(1))) == ["updated"]
    assert outcomes(gam.push("Order", ACT, approve(1))) == ["unchanged"]


def test_a_line_without_a_forecast_blames_no_order_by_its_position(vendor: Any, gam: GamConnector) -> None:
    Orders(
        vendor,
        {1: "DRAFT", 2: "DRAFT"},
        lambda _: vendor.fault(("ForecastError", "NO_FORECAST_YET", "lineItem[1]", "")),
    )
    assert outcomes(gam.push("Order", ACT, approve(1, 2))) == ["retry:ForecastError.NO_FORECAST_YET"] * 2


def test_an_archived_order_refuses_actions_with_its_reason(vendor: Any, gam: GamConnector) -> None:
    Orders(vendor, {1: "DRAFT"}, lambda _: vendor.fault(("OrderActionError", "IS_ARCHIVED", "", "1")))
    [result] = gam.push("Order", ACT, approve(1))
    assert outcomes([result]) == ["rejected:OrderActionError.IS_ARCHIVED"]
    assert result.reason == "vendor_state"


def test_different_verbs_go_in_a_call_each_and_a_stop_keeps_what_was_done(vendor: Any, gam: GamConnector) -> None:
    done: list[int] = []

    def perform(statuses: dict[int, str]) -> Any:
        done.append(1)
        if len(done) == 2:
            return vendor.fault(("QuotaError", "EXCEEDED_QUOTA", "", ""))
        statuses[1] = "APPROVED"
        return {"numChanges": 1}

    Orders(vendor, {1: "DRAFT", 2: "DRAFT", 3: "APPROVED"}, perform)
    items = [
        *approve(1),
        PushItem("s", {}, "2", "SubmitOrdersForApproval"),
        PushItem("p", {}, "3", "DisapproveOrders"),
    ]
    assert outcomes(gam.push("Order", ACT, items)) == [
        "updated",
        "retry:QuotaError.EXCEEDED_QUOTA",
        "retry:BATCH_ATOMIC",
    ]


def test_a_busy_server_on_an_action_is_a_retry(vendor: Any, gam: GamConnector) -> None:
    Orders(vendor, {1: "DRAFT"}, lambda _: vendor.fault(("ServerError", "SERVER_BUSY", "", "")))
    assert outcomes(gam.push("Order", ACT, approve(1))) == ["retry:ServerError.SERVER_BUSY"]


def test_an_unknown_action_is_rejected_without_a_call(vendor: Any, gam: GamConnector) -> None:
    assert outcomes(gam.push("Order", ACT, [PushItem("k", {}, "1", "ExplodeOrders")])) == ["rejected:ACTION-UNKNOWN"]
    assert vendor.calls == []


# ---------------------------------------------------------------- find
def test_find_answers_in_order_with_none_for_what_is_not_there(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: page({"id": 2, "name": "b"}, {"id": 1, "name": "a", "isArchived": True})
    found = gam.find("Order", [order("a"), order("x"), order("b")])
    assert [hit and hit[0] for hit in found] == ["1", None, "2"]
    [(_, [statement])] = vendor.calls
    assert statement["query"].startswith("WHERE name IN (:v0, :v1, :v2)")


def test_names_are_bound_and_never_pasted(vendor: Any, gam: GamConnector) -> None:
    evil = "O'Hara' OR id > 0 --"
    vendor.answer = lambda *_: page({"id": 2, "name": evil})
    assert gam.find("Order", [order("k", None, name=evil)])[0] is not None
    [(_, [statement])] = vendor.calls
    assert evil not in statement["query"]
    assert statement["values"][0]["value"]["value"] == evil


def test_a_company_is_its_name_and_type_in_exact_case(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: page(
        {"id": 1, "name": "Acme", "type": "AGENCY"},
        {"id": 2, "name": "ACME", "type": "ADVERTISER"},
        {"id": 3, "name": "Acme", "type": "ADVERTISER", "externalId": "c-3"},
    )
    [hit] = gam.find("Company", [PushItem("k", {"name": "Acme", "type": "ADVERTISER"})])
    assert hit is not None
    assert hit[0] == "3"
    assert hit[1]["externalId"] == "c-3"


def test_another_spelling_is_found_only_where_the_network_ignores_case(
    vendor: Any, settings: Callable[..., GamSettings]
) -> None:
    vendor.answer = lambda *_: page({"id": 2, "name": "ACME", "type": "ADVERTISER"})
    item = PushItem("k", {"name": "Acme", "type": "ADVERTISER"})
    for ignores, found in ((False, None), (True, "2")):
        gam = GamConnector(settings(names_ignore_case=ignores))
        [hit] = gam.find("Company", [item])
        assert (hit and hit[0]) == found
        gam.close()


def test_twins_of_a_line_are_named_and_the_live_one_is_preferred(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: page(
        {"id": 1, "orderId": 5, "externalId": "x", "isArchived": True},
        {"id": 2, "orderId": 5, "externalId": "x"},
        {"id": 3, "orderId": 6, "externalId": "x"},
    )
    [hit] = gam.find("LineItem", [PushItem("k", {"orderId": 5, "externalId": "x"})])
    assert hit is not None
    assert hit[0] == "2"
    assert hit[1]["duplicateIds"] == ["1"]


def test_associations_are_fetched_by_line(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: page(
        {"lineItemId": 5, "creativeId": 1, "status": "ACTIVE"}, {"lineItemId": 5, "creativeId": 2}
    )
    found = gam.fetch("LineItemCreativeAssociation", [], ["5", "6"])
    assert list(found) == ["5"]
    assert [a["creativeId"] for a in found["5"]["associations"]] == [1, 2]


def test_find_raises_like_a_read(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("ServerError", "SERVER_ERROR", "", ""))
    with pytest.raises(RetryLater):
        gam.find("Order", [order("a")])

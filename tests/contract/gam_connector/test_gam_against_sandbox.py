"""The connector against the simulated Ad Manager network: the whole life of an order, and every fault on its way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import requests

from connectors.base import DeliveryQuery, JobState, Operation, Outcome, PushItem
from connectors.errors import OutcomeUnknown, Paced, PermissionMissing, QuotaExhausted, RecordRejected, RetryLater
from connectors.gam import GamConnector, GamSettings
from connectors.gam.statement import Where
from sandbox.gam import serve

CREATE, UPDATE, ACT = Operation.CREATE, Operation.UPDATE, Operation.ACT
NOW = datetime(2020, 1, 1, 12, 0, tzinfo=UTC)


class Network:
    """A running sandbox and its control interface."""

    def __init__(self) -> None:
        self.server = serve(clock=NOW, running=False)
        self.url = self.server.url
        self._session = requests.Session()

    def post(self, path: str, **body: Any) -> Any:
        answer = self._session.post(f"{self.url}/control/{path}", json=body, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self._session.get(f"{self.url}/control/{path}", timeout=60).json()

    def fault(self, name: str, **knob: Any) -> None:
        self.post("faults", **{name: {"count": 1, **knob}})

    def calm(self) -> None:
        self._session.delete(f"{self.url}/control/faults", timeout=60)

    def state(self, kind: str) -> list[dict[str, Any]]:
        found = self.get(f"state?type={kind}")
        assert isinstance(found, list)
        return found

    def calls(self) -> dict[str, int]:
        return {name: facts["calls"] for name, facts in self.get("calls")["operations"].items()}

    def close(self) -> None:
        self._session.close()
        self.server.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Network]:
    network = Network()
    yield network
    network.close()


@pytest.fixture
def network(served: Network) -> Network:
    served.calm()
    served.post("reset")
    served.post("clock", now="2020-01-01T12:00:00Z", running=False)
    served.post("calls/reset")
    return served


@pytest.fixture
def make(network: Network) -> Iterator[Callable[..., GamConnector]]:
    made: list[GamConnector] = []

    def connector(**changes: Any) -> GamConnector:
        values: dict[str, Any] = {"network_code": "123456", "endpoint": network.url, "access_token": "sandbox-token"}
        made.append(GamConnector(GamSettings.model_validate({**values, **changes})))
        return made[-1]

    yield connector
    for one in made:
        one.close()


@pytest.fixture
def gam(make: Callable[..., GamConnector]) -> GamConnector:
    return make()


def company(name: str, kind: str = "ADVERTISER") -> PushItem:
    return PushItem(f"c-{name}", {"name": name, "type": kind, "externalId": f"id-{name}"})


def order_payload(gam: GamConnector, name: str) -> dict[str, Any]:
    found = gam.find("Company", [company("Acme")])[0]
    if found is None:
        [created] = gam.push("Company", CREATE, [company("Acme")])
        advertiser = created.vendor_id
    else:
        advertiser = found[0]
    trafficker = next(str(user["id"]) for user in gam._objects.every("User", Where()))
    return {"name": name, "advertiserId": advertiser, "traffickerId": trafficker, "poNumber": "PO-1"}


def root_ad_unit(gam: GamConnector) -> str:
    return str(gam._current_network()["effectiveRootAdUnitId"])


def line_payload(gam: GamConnector, order_id: str, mark: str, **changes: Any) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "name": f"line {mark}",
        "externalId": mark,
        "lineItemType": "STANDARD",
        "startDateTime": _at(2020, 1, 10),
        "endDateTime": _at(2020, 1, 20),
        "unlimitedEndDateTime": False,
        "costType": "CPM",
        "costPerUnit": {"currencyCode": "USD", "microAmount": 2_500_000},
        "primaryGoal": {"goalType": "LIFETIME", "unitType": "IMPRESSIONS", "units": 10_000},
        "creativePlaceholders": [
            {"size": {"width": 320, "height": 480, "isAspectRatio": False}, "expectedCreativeCount": 1}
        ],
        "creativeRotationType": "EVEN",
        "targeting": {
            "geoTargeting": {"targetedLocations": [{"id": "2840"}], "excludedLocations": []},
            "inventoryTargeting": {"targetedAdUnits": [{"adUnitId": root_ad_unit(gam), "includeDescendants": True}]},
            "customTargeting": None,
        },
        "notes": None,
        **changes,
    }


def _at(year: int, month: int, day: int, hour: int = 0) -> dict[str, Any]:
    return {
        "date": {"year": year, "month": month, "day": day},
        "hour": hour,
        "minute": 0,
        "second": 0,
        "timeZoneId": "UTC",
    }


def booked(gam: GamConnector, marks: tuple[str, ...] = ("a", "b")) -> tuple[str, list[str]]:
    """An order with lines, not approved."""
    [order] = gam.push("Order", CREATE, [PushItem("o", order_payload(gam, "Order [k]"))])
    assert order.outcome is Outcome.CREATED, order
    items = [PushItem(mark, line_payload(gam, str(order.vendor_id), mark)) for mark in marks]
    lines = gam.push("LineItem", CREATE, items)
    assert {line.outcome for line in lines} == {Outcome.CREATED}, lines
    return str(order.vendor_id), [str(line.vendor_id) for line in lines]


def approval(order_id: str) -> list[PushItem]:
    return [PushItem("approve", {"status": "booked", "members": "x"}, order_id, "ApproveOrders")]


# ---------------------------------------------------------------- the life of an order
def test_an_order_goes_live_and_reports_its_delivery(network: Network, gam: GamConnector) -> None:
    order_id, line_ids = booked(gam)
    [approved] = gam.push("Order", ACT, approval(order_id))
    assert (approved.outcome, approved.evidence["status"]) == (Outcome.UPDATED, "APPROVED")
    assert {line["status"] for line in gam.observe("LineItem", line_ids).values()} == {"INACTIVE"}
    network.post("attach", line_item_ids=[int(line) for line in line_ids])
    shown = gam.observe("LineItem", [*line_ids, "999999999"])
    assert {line["status"] for line in shown.values()} == {"READY"}
    assert set(shown) == set(line_ids)
    associations = gam.fetch("LineItemCreativeAssociation", [], line_ids)
    assert all(associations[line]["associations"] for line in line_ids)
    network.post("impressions", lines=[{"external_id": "a", "impressions": 5000, "clicks": 7}])
    network.post("clock", now="2020-02-01T12:00:00Z")
    job = gam.start_delivery(DeliveryQuery(date(2020, 1, 1), date(2020, 1, 31)))
    states = [gam.delivery_state(job) for _ in range(3)]
    assert states[-1] is JobState.READY
    rows = list(gam.read_delivery(job))
    assert sum(row.impressions for row in rows) == 5000
    assert sum(row.clicks for row in rows) == 7
    assert {(row.line_vendor_id, row.order_vendor_id) for row in rows} == {(line_ids[0], order_id)}
    assert len(rows) == len({row.day for row in rows})
    assert gam.delivery_zone() == "America/New_York"


def test_creatives_of_a_line_are_each_read_once_however_the_vendor_orders_equals(
    network: Network, make: Callable[..., GamConnector]
) -> None:
    gam = make(page_size=2)
    order_id, line_ids = booked(gam)
    advertiser = gam.observe("Order", [order_id])[order_id]["advertiserId"]
    banner = {
        "xsi_type": "ThirdPartyCreative",
        "advertiserId": advertiser,
        "size": {"width": 320, "height": 480, "isAspectRatio": False},
        "snippet": "<b>ad</b>",
    }
    made = gam._soap.write("CreativeService", "createCreatives", [{**banner, "name": f"b{n}"} for n in range(5)])
    pairs = [{"lineItemId": int(line), "creativeId": creative["id"]} for creative in made for line in line_ids]
    gam._soap.write("LineItemCreativeAssociationService", "createLineItemCreativeAssociations", pairs)
    found = gam.fetch("LineItemCreativeAssociation", [], line_ids)
    shown = {line: sorted(each["creativeId"] for each in found[line]["associations"]) for line in found}
    assert shown == {line: sorted(creative["id"] for creative in made) for line in line_ids}


def test_fifty_lines_of_two_orders_are_one_call(network: Network, gam: GamConnector) -> None:
    orders = gam.push("Order", CREATE, [PushItem(n, order_payload(gam, f"Order {n}")) for n in ("x", "y")])
    ids = [str(order.vendor_id) for order in orders]
    items = [PushItem(f"k{at}", line_payload(gam, ids[at % 2], f"m{at}")) for at in range(50)]
    network.post("calls/reset")
    results = gam.push("LineItem", CREATE, items)
    assert {result.outcome for result in results} == {Outcome.CREATED}
    assert network.calls()["createLineItems"] == 1
    network.post("calls/reset")
    found = gam.find("LineItem", items)
    assert [hit and hit[0] for hit in found] == [result.vendor_id for result in results]
    assert network.calls() == {"getLineItemsByStatement": 1}


def test_the_same_work_again_writes_nothing(network: Network, gam: GamConnector) -> None:
    order_id, line_ids = booked(gam)
    gam.push("Order", ACT, approval(order_id))
    network.post("calls/reset")
    payload = order_payload(gam, "Order [k]")
    lines = [PushItem(mark, line_payload(gam, order_id, mark), line) for mark, line in zip("ab", line_ids, strict=True)]
    [advertiser] = gam.find("Company", [company("Acme")])
    assert advertiser is not None
    results = [
        *gam.push("Company", UPDATE, [PushItem("c", company("Acme").payload, advertiser[0])]),
        *gam.push("Order", UPDATE, [PushItem("o", payload, order_id)]),
        *gam.push("LineItem", UPDATE, lines),
        *gam.push("Order", ACT, approval(order_id)),
    ]
    assert {result.outcome for result in results} == {Outcome.UNCHANGED}, results
    writes = {name for name in network.calls() if name.startswith(("create", "update", "perform"))}
    assert writes == set()


def test_each_request_that_the_vendor_counts_is_paced_first(network: Network, gam: GamConnector) -> None:
    paced: list[str] = []
    gam.pace = lambda: paced.append("request")
    order_id, [line_id] = booked(gam, ("a",))
    gam.push("LineItem", UPDATE, [PushItem("a", {"notes": "later"}, line_id)])
    gam.push("Order", ACT, approval(order_id))
    counted = {name: calls for name, calls in network.calls().items() if name != "token" and "wsdl" not in name}
    assert len(paced) == sum(counted.values()), counted


def test_an_unpaced_request_is_not_sent(network: Network, gam: GamConnector) -> None:
    _, [line_id] = booked(gam, ("a",))
    network.post("calls/reset")

    def no_token() -> None:
        raise Paced("PACED", "no room", 12.0, "requests")

    gam.pace = no_token
    with pytest.raises(Paced):
        gam.push("LineItem", UPDATE, [PushItem("a", {"notes": "later"}, line_id)])
    assert network.calls() == {}


def test_an_update_keeps_what_others_own(network: Network, gam: GamConnector) -> None:
    order_id, [line_id] = booked(gam, ("a",))
    network.post("edit", type="LineItem", id=int(line_id), fields={"notes": "call me", "priority": 4})
    changed = {"primaryGoal": {"units": 20_000}, "costPerUnit": {"currencyCode": "USD", "microAmount": 3_000_000}}
    [result] = gam.push("LineItem", UPDATE, [PushItem("a", changed, line_id)])
    assert result.outcome is Outcome.UPDATED, result
    native = gam.observe("LineItem", [line_id])[line_id]
    assert (native["primaryGoal"]["units"], native["primaryGoal"]["goalType"]) == (20_000, "LIFETIME")
    assert native["costPerUnit"]["microAmount"] == 3_000_000
    assert (native["notes"], native["priority"]) == ("call me", 4)
    [cleared] = gam.push("LineItem", UPDATE, [PushItem("a", {"notes": None}, line_id)])
    assert cleared.outcome is Outcome.UPDATED
    assert "notes" not in gam.observe("LineItem", [line_id])[line_id]
    assert gam.observe("Order", [order_id])[order_id]["status"] == "DRAFT"


def test_a_currency_corrected_before_approval_takes_the_empty_ranking_value_along(gam: GamConnector) -> None:
    _, [line_id] = booked(gam, ("a",))
    changed = {"costPerUnit": {"currencyCode": "EUR", "microAmount": 3_000_000}}
    [result] = gam.push("LineItem", UPDATE, [PushItem("a", changed, line_id)])
    assert result.outcome is Outcome.UPDATED, result
    native = gam.observe("LineItem", [line_id])[line_id]
    assert (native["costPerUnit"]["currencyCode"], native["valueCostPerUnit"]["currencyCode"]) == ("EUR", "EUR")


def test_a_ranking_value_that_somebody_set_is_not_dropped_for_a_currency(network: Network, gam: GamConnector) -> None:
    _, [line_id] = booked(gam, ("a",))
    value = {"currencyCode": "USD", "microAmount": 5}
    network.post("edit", type="LineItem", id=int(line_id), fields={"valueCostPerUnit": value})
    changed = {"costPerUnit": {"currencyCode": "EUR", "microAmount": 3_000_000}}
    [result] = gam.push("LineItem", UPDATE, [PushItem("a", changed, line_id)])
    assert (result.outcome, result.code) == (
        Outcome.REJECTED,
        "LineItemError.LINE_ITEM_CANNOT_HAVE_MULTIPLE_CURRENCIES",
    )
    assert gam.observe("LineItem", [line_id])[line_id]["valueCostPerUnit"]["microAmount"] == 5


def test_a_line_of_another_type_takes_the_priority_of_that_type(gam: GamConnector) -> None:
    _, [line_id] = booked(gam, ("a",))
    for kind, priority in (("PRICE_PRIORITY", 12), ("STANDARD", 8)):
        [result] = gam.push("LineItem", UPDATE, [PushItem("a", {"lineItemType": kind}, line_id)])
        assert result.outcome is Outcome.UPDATED, result
        native = gam.observe("LineItem", [line_id])[line_id]
        assert (native["lineItemType"], native["priority"]) == (kind, priority)


def test_custom_targeting_goes_there_and_back(network: Network, gam: GamConnector) -> None:
    network.post("custom_targeting", keys={"interest": ["sports", "music"]})
    key = gam.resolve("CustomTargetingKey", ["interest"])["interest"]
    values = gam.resolve("CustomTargetingValue", ["Sports", "music", "chess"], "interest")
    assert set(values) == {"Sports", "music"}
    order_id, _ = booked(gam)
    criteria = {"xsi_type": "CustomCriteria", "keyId": key, "valueIds": sorted(values.values()), "operator": "IS"}
    tree = {"xsi_type": "CustomCriteriaSet", "logicalOperator": "AND", "children": [criteria]}
    whole = {"xsi_type": "CustomCriteriaSet", "logicalOperator": "OR", "children": [tree]}
    payload = line_payload(gam, order_id, "custom")
    payload["targeting"]["customTargeting"] = whole
    [made] = gam.push("LineItem", CREATE, [PushItem("k", payload)])
    assert made.outcome is Outcome.CREATED, made
    [again] = gam.push("LineItem", UPDATE, [PushItem("k", payload, made.vendor_id)])
    assert again.outcome is Outcome.UNCHANGED
    [renamed] = gam.push("LineItem", UPDATE, [PushItem("k", {"name": "other"}, made.vendor_id)])
    assert renamed.outcome is Outcome.UPDATED, renamed
    native = gam.observe("LineItem", [str(made.vendor_id)])[str(made.vendor_id)]
    assert native["targeting"]["customTargeting"]["children"][0]["children"][0]["xsi_type"] == "CustomCriteria"


def test_an_open_end_is_for_price_priority(gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    open_end = {"lineItemType": "PRICE_PRIORITY", "endDateTime": None, "unlimitedEndDateTime": True}
    bad = {"endDateTime": None, "unlimitedEndDateTime": True}
    results = gam.push(
        "LineItem",
        CREATE,
        [
            PushItem("p", line_payload(gam, order_id, "p", **open_end)),
            PushItem("s", line_payload(gam, order_id, "s", **bad)),
        ],
    )
    assert [result.outcome for result in results] == [Outcome.RETRY, Outcome.REJECTED], results
    [alone] = gam.push("LineItem", CREATE, [PushItem("p", line_payload(gam, order_id, "p", **open_end))])
    assert alone.outcome is Outcome.CREATED, alone


# ---------------------------------------------------------------- names
def test_places_are_found_by_name(gam: GamConnector) -> None:
    assert gam.resolve("Geo_Target:COUNTRY", ["united states", "norway"]) == {"united states": "2840", "norway": "2578"}
    regions = gam.resolve("Geo_Target:REGION", ["Pennsylvania", "north carolina", "Nowhere"], "united states")
    assert set(regions) == {"Pennsylvania", "north carolina"}
    metros = gam.resolve("Geo_Target:METRO", ["Philadelphia", "Chicago", "Philadelphia, NJ"], "united states")
    assert set(metros) == {"Philadelphia", "Chicago"}
    assert metros["Philadelphia"] == "200504"
    codes = gam.resolve("Geo_Target:POSTAL_CODE", ["07008", "99999"], "united states")
    assert set(codes) == {"07008"}
    assert set(gam.resolve("Geo_Target:POSTAL_CODE", ["s0j"], "canada")) == {"s0j"}


def test_users_are_found_by_address(network: Network, gam: GamConnector) -> None:
    network.post("users", users=[{"email": "t@acme.example", "role": "Trafficker"}])
    assert set(gam.resolve("User", ["t@acme.example", "nobody@acme.example"])) == {"t@acme.example"}


# ---------------------------------------------------------------- refusals
def test_a_taken_name_is_in_doubt_and_found_even_when_archived(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    network.post("archive", order_ids=[int(order_id)])
    item = PushItem("again", order_payload(gam, "Order [k]"))
    [result] = gam.push("Order", CREATE, [item])
    assert result.outcome is Outcome.IN_DOUBT
    assert result.code is not None
    assert result.code.startswith("UniqueError")
    [found] = gam.find("Order", [item])
    assert found is not None
    assert (found[0], found[1]["isArchived"]) == (order_id, True)


def test_a_taken_company_is_found_with_its_mark(gam: GamConnector) -> None:
    gam.push("Company", CREATE, [company("Acme")])
    [again] = gam.push("Company", CREATE, [company("Acme")])
    assert again.outcome is Outcome.IN_DOUBT
    [found] = gam.find("Company", [company("Acme")])
    assert found is not None
    assert found[1]["externalId"] == "id-Acme"
    [agency] = gam.push("Company", CREATE, [company("Acme", "AGENCY")])
    assert agency.outcome is Outcome.CREATED


def test_archived_orders_refuse_updates_and_actions(network: Network, gam: GamConnector) -> None:
    order_id, [line_id] = booked(gam, ("a",))
    network.post("archive", order_ids=[int(order_id)])
    [update] = gam.push("Order", UPDATE, [PushItem("u", {"poNumber": "new"}, order_id)])
    [line] = gam.push("LineItem", UPDATE, [PushItem("l", {"notes": "new"}, line_id)])
    [act] = gam.push("Order", ACT, approval(order_id))
    for result in (update, line, act):
        assert (result.outcome, result.reason) == (Outcome.REJECTED, "vendor_state"), result


def test_one_bad_line_leaves_the_others_to_be_sent_again(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    items = [PushItem(mark, line_payload(gam, order_id, mark)) for mark in ("x", "y", "z")]
    bad = dict(items[1].payload)
    bad["endDateTime"] = _at(2020, 1, 5)
    results = gam.push("LineItem", CREATE, [items[0], PushItem("y", bad), items[2]])
    assert [r.outcome for r in results] == [Outcome.RETRY, Outcome.REJECTED, Outcome.RETRY], results
    assert results[1].reason == "validation"
    assert {line["externalId"] for line in network.state("LineItem")} == {"a", "b"}
    rest = gam.push("LineItem", CREATE, [items[0], items[2]])
    assert {result.outcome for result in rest} == {Outcome.CREATED}


def test_the_four_hundred_and_fifty_first_line_is_refused(gam: GamConnector) -> None:
    [order] = gam.push("Order", CREATE, [PushItem("o", order_payload(gam, "Big"))])
    template = line_payload(gam, str(order.vendor_id), "x")
    for start in range(0, 450, 50):
        items = [
            PushItem(f"k{at}", {**template, "externalId": f"m{at}", "name": f"n{at}"})
            for at in range(start, start + 50)
        ]
        assert gam.push("LineItem", CREATE, items)[0].outcome is Outcome.CREATED
    [refused] = gam.push("LineItem", CREATE, [PushItem("one", {**template, "externalId": "more", "name": "more"})])
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, "vendor_state")
    assert refused.code == "EntityChildrenLimitReachedError.LINE_ITEM_LIMIT_FOR_ORDER_REACHED"


def test_an_account_that_may_not_approve_stops_the_record_type(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    for user in network.state("User"):
        network.post("users", users=[{"email": user["email"], "role": "Salesperson"}])
    with pytest.raises(PermissionMissing):
        gam.push("Order", ACT, approval(order_id))


# ---------------------------------------------------------------- faults
def test_a_lost_reply_is_in_doubt_and_found(network: Network, gam: GamConnector) -> None:
    item = PushItem("o", order_payload(gam, "Order lost"))
    network.fault("lost_reply", operations=["createOrders"])
    with pytest.raises(OutcomeUnknown):
        gam.push("Order", CREATE, [item])
    [found] = gam.find("Order", [item])
    assert found is not None
    assert len(network.state("Order")) == 1


def test_a_lost_request_is_in_doubt_and_not_found(network: Network, gam: GamConnector) -> None:
    item = PushItem("o", order_payload(gam, "Order lost"))
    network.fault("lost_request", operations=["createOrders"])
    with pytest.raises(OutcomeUnknown):
        gam.push("Order", CREATE, [item])
    assert gam.find("Order", [item]) == [None]


def test_error_generating_response_is_in_doubt_and_found(network: Network, gam: GamConnector) -> None:
    item = PushItem("o", order_payload(gam, "Order written"))
    network.fault("error_generating_response", operations=["createOrders"])
    [result] = gam.push("Order", CREATE, [item])
    assert result.outcome is Outcome.IN_DOUBT
    assert gam.find("Order", [item])[0] is not None


def test_the_other_faults_say_what_they_are(network: Network, gam: GamConnector) -> None:
    item = PushItem("o", order_payload(gam, "Order faulty"))
    for name, kind in (
        ("quota", QuotaExhausted),
        ("server_busy", RetryLater),
        ("concurrent_modification", RetryLater),
        ("html_503", OutcomeUnknown),
    ):
        network.fault(name, operations=["createOrders"])
        with pytest.raises(kind):
            gam.push("Order", CREATE, [item])
    network.fault("partial_batch", operations=["createOrders"])
    two = [item, PushItem("p", order_payload(gam, "Order other"))]
    assert {result.outcome for result in gam.push("Order", CREATE, two)} == {Outcome.RETRY}
    assert network.state("Order") == []


def test_no_forecast_yet_waits_and_then_approves(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    network.fault("no_forecast", operations=["performOrderAction"])
    [result] = gam.push("Order", ACT, approval(order_id))
    assert (result.outcome, result.code, result.after) == (Outcome.RETRY, "ForecastError.NO_FORECAST_YET", 30.0)
    [result] = gam.push("Order", ACT, approval(order_id))
    assert result.outcome is Outcome.UPDATED


def test_a_lost_answer_of_an_approval_is_unchanged_when_sent_again(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    network.fault("lost_reply", operations=["performOrderAction"])
    with pytest.raises(OutcomeUnknown):
        gam.push("Order", ACT, approval(order_id))
    assert gam.push("Order", ACT, approval(order_id))[0].outcome is Outcome.UNCHANGED


def test_a_line_added_to_an_approved_order_is_approved_too(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    gam.push("Order", ACT, approval(order_id))
    [line] = gam.push("LineItem", CREATE, [PushItem("c", line_payload(gam, order_id, "c"))])
    assert gam.observe("LineItem", [str(line.vendor_id)])[str(line.vendor_id)]["status"] == "DRAFT"
    assert gam.push("Order", ACT, approval(order_id))[0].outcome is Outcome.UPDATED
    assert gam.observe("LineItem", [str(line.vendor_id)])[str(line.vendor_id)]["status"] == "INACTIVE"


def test_pause_resume_archive(network: Network, gam: GamConnector) -> None:
    order_id, line_ids = booked(gam)
    gam.push("Order", ACT, approval(order_id))
    network.post("attach", all_approved=True)
    for action, status in (("PauseOrders", "PAUSED"), ("ResumeOrders", "READY")):
        [result] = gam.push("Order", ACT, [PushItem("k", {}, order_id, action)])
        assert result.outcome is Outcome.UPDATED, result
        assert {line["status"] for line in gam.observe("LineItem", line_ids).values()} == {status}
        [again] = gam.push("Order", ACT, [PushItem("k", {}, order_id, action)])
        assert again.outcome is Outcome.UNCHANGED
    [line] = gam.push("LineItem", ACT, [PushItem("k", {}, line_ids[0], "ArchiveLineItems")])
    assert line.outcome is Outcome.UPDATED, line
    [result] = gam.push("Order", ACT, [PushItem("k", {}, order_id, "ArchiveOrders")])
    assert result.outcome is Outcome.UPDATED, result
    assert gam.observe("Order", [order_id])[order_id]["isArchived"] is True


def test_an_archived_order_is_never_taken_as_approved(network: Network, gam: GamConnector) -> None:
    order_id, _ = booked(gam)
    gam.push("Order", ACT, approval(order_id))
    gam.push("Order", ACT, [PushItem("k", {}, order_id, "ArchiveOrders")])
    [result] = gam.push("Order", ACT, approval(order_id))
    assert (result.outcome, result.code, result.reason) == (
        Outcome.REJECTED,
        "OrderActionError.IS_ARCHIVED",
        "vendor_state",
    )


def test_an_action_on_an_order_that_queries_do_not_show_yet_is_done_and_seen_later(
    network: Network, gam: GamConnector
) -> None:
    payload = order_payload(gam, "IO-hidden")
    network.fault("index_lag", seconds=3600, operations=["createOrders"])
    [created] = gam.push("Order", CREATE, [PushItem("o", payload)])
    archive = [PushItem("a", {}, created.vendor_id, "ArchiveOrders")]
    [result] = gam.push("Order", ACT, archive)
    assert (result.outcome, result.code) == (Outcome.RETRY, "ACTION-NOT-SHOWN")
    assert [each["isArchived"] for each in network.state("Order")] == [True]
    network.server.app.vendor._network.hide("Order", int(str(created.vendor_id)), -1)
    [result] = gam.push("Order", ACT, archive)
    assert result.outcome is Outcome.UNCHANGED


def test_an_order_that_queries_do_not_show_yet_is_deleted_all_the_same(network: Network, gam: GamConnector) -> None:
    payload = order_payload(gam, "IO-hidden")
    network.fault("index_lag", seconds=3600, operations=["createOrders"])
    [created] = gam.push("Order", CREATE, [PushItem("o", payload)])
    delete = [PushItem("d", {}, created.vendor_id, "DeleteOrders")]
    assert gam.push("Order", ACT, delete)[0].outcome is Outcome.UPDATED
    assert network.state("Order") == []
    assert gam.push("Order", ACT, delete)[0].outcome is Outcome.UNCHANGED


def test_a_service_account_logs_in_and_renews_an_expired_token(
    network: Network, make: Callable[..., GamConnector]
) -> None:
    key = network.post("service_account", token_uri=f"{network.url}/token")
    gam = make(access_token=None, service_account_json=json.dumps(key))
    payload = order_payload(gam, "Order by service account")
    network.fault("expired_token", operations=["createOrders"])
    with pytest.raises(RetryLater):
        gam.push("Order", CREATE, [PushItem("o", payload)])
    assert gam.push("Order", CREATE, [PushItem("o", payload)])[0].outcome is Outcome.CREATED
    assert network.calls()["token"] == 2


def test_the_report_limit_and_a_failed_report(network: Network, gam: GamConnector) -> None:
    network.fault("quota", operations=["runReportJob"])
    query = DeliveryQuery(date(2019, 12, 1), date(2019, 12, 31))
    with pytest.raises(QuotaExhausted) as caught:
        gam.start_delivery(query)
    assert caught.value.limit == "reports"
    assert list(gam.read_delivery(_ready(gam, gam.start_delivery(query)))) == []


def _ready(gam: GamConnector, job: str) -> str:
    for _ in range(5):
        if gam.delivery_state(job) is JobState.READY:
            return job
    raise AssertionError("the report never became ready")


# ---------------------------------------------------------------- check, changes, forecast
def test_the_check_is_clean(gam: GamConnector) -> None:
    used = {"Order": ["name", "advertiserId"], "LineItem": ["primaryGoal.units"], "Company": ["externalId"]}
    report = gam.check(used)
    assert report.usable, report
    assert report.account == "gam:123456"


def test_changes_are_read_in_order_and_pages(network: Network, make: Callable[..., GamConnector]) -> None:
    gam = make(page_size=3, index_lag_seconds=0, max_in_flight_seconds=0)
    payload = order_payload(gam, "x")
    for second in range(4):
        network.post("clock", now=f"2020-01-02T00:00:{second:02}Z")
        gam.push("Order", CREATE, [PushItem(f"{second}{n}", {**payload, "name": f"o {second} {n}"}) for n in range(3)])
    read = list(gam.read("Order", ["name"], None))
    names = [record.native["name"] for page in read for record in page.records]
    assert names == [f"o {second} {n}" for second in range(4) for n in range(3)]
    assert [r.native["name"] for page in gam.read("Order", ["name"], read[1].cursor) for r in page.records][
        -1
    ] == "o 3 2"


def test_availability_of_a_line_that_does_not_exist(gam: GamConnector) -> None:
    prospective = {k: v for k, v in line_payload(gam, "0", "f").items() if k != "orderId"}
    units = gam.availability("LineItem", prospective)
    assert units["matched"] >= units["available"] > 0
    with pytest.raises(RecordRejected):
        gam.availability("LineItem", {**prospective, "endDateTime": _at(2020, 1, 5)})

"""The engine's promise: at least one attempt, at most one live vendor object, every outcome known or in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import CreateProtocol, Operation, Outcome, PushItem, PushResult, Rate
from connectors.errors import AuthFailed, QuotaExhausted, RetryLater
from hub.errors import ConnectionBroken, ConnectorStumbled

if TYPE_CHECKING:
    from conftest import World


def test_a_won_deal_becomes_company_order_lines_and_an_approval(world: World) -> None:
    world.book(lines=3)
    world.travel()
    assert [o["status"] for o in world.ads.live("Order")] == ["APPROVED"]
    assert len(world.ads.live("LineItem")) == 3
    assert [(c["name"], c["type"]) for c in world.ads.live("Company")] == [("Acme", "ADVERTISER")]
    verbs = [(call.record, call.operation) for call in world.ads.calls]
    assert verbs == [
        ("Company", Operation.CREATE),
        ("Order", Operation.CREATE),
        ("LineItem", Operation.CREATE),
        ("Order", Operation.ACT),
    ]


def test_doing_the_same_work_again_writes_nothing(world: World) -> None:
    world.book()
    world.travel()
    calls, mirrored = len(world.ads.calls), len(world.crm.calls)
    world.travel()
    assert (len(world.ads.calls), len(world.crm.calls)) == (calls, mirrored)


@pytest.mark.parametrize("step", range(4), ids=["company", "order", "lines", "approval"])
def test_a_lost_reply_never_creates_a_second_object(world: World, step: int) -> None:
    world.book(lines=3)
    world.ads.misbehave = [lambda *_: None] * step
    world.ads.lose_reply()
    world.travel()
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == [1, 1, 3]
    assert world.ads.live("Order")[0]["status"] == "APPROVED"


@pytest.mark.parametrize("step", range(4), ids=["company", "order", "lines", "approval"])
def test_a_lost_request_is_sent_again(world: World, step: int) -> None:
    world.book(lines=3)
    world.ads.misbehave = [lambda *_: None] * step
    world.ads.lose_request()
    world.travel()
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == [1, 1, 3]
    assert world.ads.live("Order")[0]["status"] == "APPROVED"


def test_in_doubt_is_not_resent_before_the_settle_window_is_over(world: World) -> None:
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None] * 2
    world.ads.lose_request()
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    sent = len(world.ads.calls)
    for _ in range(6):
        world.machine.advance(10)
        world.hub.settle("gam-main")
        world.hub.push("gam-main")
    assert len(world.ads.calls) == sent, "60 s after the send the request may still be under way"
    world.machine.advance(10)
    world.hub.settle("gam-main")
    world.machine.advance(3)
    world.hub.settle("gam-main")
    world.hub.push("gam-main")
    assert len(world.ads.live("LineItem")) == 1


def test_a_record_that_cannot_be_looked_up_waits_for_a_person(world: World) -> None:
    world.ads.line_protocol = CreateProtocol.NONE
    world.book(lines=1)
    world.ads.misbehave = [lambda *_: None] * 2
    world.ads.lose_reply()
    world.travel()
    assert len(world.ads.live("LineItem")) == 1
    assert [group.reason for group in world.hub.status().parked] == ["ambiguous"]


@pytest.mark.parametrize("fault", ["shorter", "longer", "out of order"])
def test_answers_that_do_not_match_the_batch_put_all_of_it_in_doubt(world: World, fault: str) -> None:
    world.book(lines=3)

    def answer(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        results = [world.ads.apply(record, operation, item) for item in items]
        return {"shorter": results[:-1], "longer": [*results, results[0]], "out of order": results[::-1]}[fault]

    world.ads.misbehave = [lambda *_: None, lambda *_: None, answer]
    world.hub.intake("sfdc")
    assert world.hub.push("gam-main").in_doubt == 3
    world.machine.advance(70)
    world.rest()
    assert len(world.ads.live("LineItem")) == 3


def test_a_connector_that_stumbles_over_an_answer_leaves_its_batch_in_doubt_and_at_last_to_a_person(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.book(lines=2)

    def stumble(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        raise RecursionError("deep as the sea, and with the payload in it")

    world.ads.misbehave = [lambda *_: None, lambda *_: None, stumble]
    world.hub.intake("sfdc")
    assert world.hub.push("gam-main").in_doubt == 2
    assert "RecursionError" in caplog.text
    assert "payload" not in caplog.text
    world.machine.advance(70)
    world.rest()
    assert len(world.ads.live("LineItem")) == 2
    world.crm.line("00k006A0009", "006A")
    world.ads.misbehave = [stumble] * 20
    world.hub.intake("sfdc")
    for _ in range(40):
        world.hub.push("gam-main"), world.hub.settle("gam-main")
        world.machine.advance(70)
    assert len(world.ads.live("LineItem")) == 2
    assert [group.reason for group in world.hub.status().parked] == ["ambiguous"]


@pytest.mark.parametrize("outcome", [Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED])
def test_a_create_that_succeeds_without_an_id_is_in_doubt(world: World, outcome: Outcome) -> None:
    world.book(lines=1)

    def nameless(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        for item in items:
            world.ads.apply(record, operation, item)
        return [PushResult(item.key, outcome) for item in items]

    world.ads.misbehave = [lambda *_: None, lambda *_: None, nameless]
    world.hub.intake("sfdc")
    assert world.hub.push("gam-main").in_doubt == 1
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    world.travel()
    (line,) = world.ads.live("LineItem")
    assert line["primaryGoal"]["units"] == 2000000


def test_a_refused_line_is_parked_and_the_others_go_on(world: World) -> None:
    world.book(lines=3)

    def refuse_second(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [
            PushResult(item.key, Outcome.REJECTED, code="LineItemError.X", message="no")
            if n == 1
            else world.ads.apply(record, operation, item)
            for n, item in enumerate(items)
        ]

    world.ads.misbehave = [lambda *_: None, lambda *_: None, refuse_second]
    world.travel()
    assert len(world.ads.live("LineItem")) == 2
    assert world.ads.live("Order")[0]["status"] == "APPROVED"
    (group,) = world.hub.status().parked
    assert (group.code, group.count) == ("LineItemError.X", 1)
    assert world.hub.replay() == 1
    world.rest()
    assert len(world.ads.live("LineItem")) == 3
    assert not world.hub.status().parked


def test_batches_are_filled_to_what_the_vendor_takes(world: World) -> None:
    world.book(lines=120)
    world.travel()
    sizes = [len(call.items) for call in world.ads.calls if call.record == "LineItem"]
    assert sizes == [50, 50, 20]


def test_records_of_a_batch_refused_without_a_name_go_one_by_one(world: World) -> None:
    world.book(lines=4)

    def refuse(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [PushResult(item.key, Outcome.RETRY, code="BATCH_SPLIT", after=0.0, alone=True) for item in items]

    world.ads.misbehave = [lambda *_: None, lambda *_: None, refuse]
    world.travel()
    assert [len(call.items) for call in world.ads.calls if call.record == "LineItem"] == [4, 1, 1, 1, 1]
    assert len(world.ads.live("LineItem")) == 4


def test_a_duplicate_that_no_look_up_finds_waits_for_a_person(world: World) -> None:
    world.book(lines=1)

    def taken(record: str, operation: Operation, items: Sequence[PushItem]) -> Sequence[PushResult]:
        return [PushResult(item.key, Outcome.IN_DOUBT, code="UniqueError.NOT_UNIQUE") for item in items]

    world.ads.misbehave = [taken] * 20
    world.hub.intake("sfdc")
    world.rest(rounds=20)
    assert len(world.ads.calls) == 6
    assert [group.code for group in world.hub.status().parked] == ["UniqueError.NOT_UNIQUE"]


def test_retries_before_do_not_count_as_look_ups_that_found_nothing(world: World) -> None:
    world.book(lines=1)

    def busy(*_: object) -> None:
        raise RetryLater("SERVER_BUSY", "later", after=1)

    world.ads.misbehave = [lambda *_: None, lambda *_: None, *[busy] * 6]
    world.ads.lose_request()
    world.hub.intake("sfdc")
    world.rest(rounds=20)
    assert not world.hub.status().parked
    assert len(world.ads.live("LineItem")) == 1


def test_refused_credentials_stop_this_connection_and_lose_nothing(world: World) -> None:
    world.book(lines=2)

    def refuse(*_: object) -> None:
        raise AuthFailed("401", "token expired")

    world.ads.misbehave = [refuse]
    world.hub.intake("sfdc")
    with pytest.raises(ConnectionBroken, match="Whoever owns the credentials"):
        world.hub.push("gam-main")
    world.machine.advance(11)
    assert world.hub.push("sfdc").calls, "the CRM's work goes on"
    world.machine.advance(61)
    world.rest()
    assert len(world.ads.live("LineItem")) == 2


def test_a_retry_waits_as_long_as_the_vendor_says(world: World) -> None:
    world.book(lines=1)

    def busy(*_: object) -> None:
        raise RetryLater("SERVER_BUSY", "later", after=30)

    world.ads.misbehave = [busy]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.machine.advance(29)
    assert world.hub.push("gam-main").calls == 0
    world.machine.advance(2)
    assert world.hub.push("gam-main").calls > 0


def test_a_used_up_quota_closes_the_bucket_for_all_workers(world: World) -> None:
    world.ads.rates = (Rate("requests", 100, 1, 100),)
    world.book(lines=1)

    def quota(*_: object) -> None:
        raise QuotaExhausted("QuotaError.EXCEEDED_QUOTA", "slow down", after=20)

    world.ads.misbehave = [quota]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert len(world.ads.calls) == 1
    world.machine.advance(10)
    world.hub.push("gam-main")
    assert len(world.ads.calls) == 1, "the bucket is closed"
    world.machine.advance(11)
    world.rest()
    assert len(world.ads.live("LineItem")) == 1


def test_the_known_rate_is_held_before_sending(world: World) -> None:
    world.ads.rates = (Rate("requests", 2, 1, 1),)
    world.book(lines=1)
    world.travel()
    assert sum(world.slept) == pytest.approx(1.5, abs=0.01), "four writes at two a second, one at once"


def test_every_further_request_of_a_call_costs_a_token_too(world: World) -> None:
    world.ads.rates = (Rate("requests", 2, 1, 1), Rate("reports", 1, 3600, 1, frozenset({"start_delivery"})))
    world.book(lines=1)

    def two_requests(*_: object) -> None:
        world.ads.pace()
        world.ads.pace()

    world.ads.misbehave = [two_requests] * 4
    world.travel()
    assert sum(world.slept) == pytest.approx(3.5, abs=0.01), "four writes of two requests at two a second, one at once"


def test_a_request_without_a_token_is_not_sent_and_the_write_is_tried_later(world: World) -> None:
    world.ads.rates = (Rate("requests", 0.1, 1, 1),)
    world.book(lines=1)
    sent = 0

    def second_request_has_no_token(*_: object) -> None:
        nonlocal sent
        world.ads.pace()
        world.ads.pace()
        sent += 1

    world.ads.misbehave = [second_request_has_no_token]
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    assert (sent, world.ads.live("Company"), world.hub.parked()) == (0, [], [])
    closed = world.hub.session.database.rows("SELECT closed_until FROM bucket WHERE name = 'requests'")
    assert closed == [(None,)], "the vendor did not say stop"
    world.rest(rounds=60)
    assert len(world.ads.live("LineItem")) == 1


def test_what_a_dead_worker_left_in_flight_is_looked_up(world: World) -> None:
    world.book(lines=2)

    def die(record: str, operation: Operation, items: Sequence[PushItem]) -> None:
        for item in items:
            world.ads.apply(record, operation, item)
        raise KeyboardInterrupt

    world.ads.misbehave = [lambda *_: None, die]
    world.hub.intake("sfdc")
    with pytest.raises(KeyboardInterrupt):
        world.hub.push("gam-main")
    assert world.hub.settle("gam-main").examined == 0, "its lease is not over"
    world.machine.advance(601)
    assert world.hub.settle("gam-main").adopted == 1
    world.rest()
    assert [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")] == [1, 1, 2]


def test_an_order_beyond_the_vendors_limit_becomes_several(world: World) -> None:
    world.ads.lines_per_order = 3
    world.book(lines=7)
    world.travel()
    orders = world.ads.live("Order")
    assert sorted(o["name"].split()[-1] for o in orders) == ["1/3]", "2/3]", "3/3]"]
    held = [sum(str(line["orderId"]) == o["id"] for line in world.ads.live("LineItem")) for o in orders]
    assert held == [3, 3, 1]
    assert {o["status"] for o in orders} == {"APPROVED"}


def test_a_line_added_later_keeps_the_others_where_they_are(world: World) -> None:
    world.ads.lines_per_order = 2
    world.book(lines=2)
    world.travel()
    before = {line["externalId"]: line["orderId"] for line in world.ads.live("LineItem")}
    world.crm.line("00kNEW", "006A")
    world.travel()
    after = {line["externalId"]: line["orderId"] for line in world.ads.live("LineItem")}
    assert after.items() >= before.items()
    assert len(world.ads.live("Order")) == 2


def test_the_mirror_lets_an_order_come_to_rest_before_it_tells(world: World) -> None:
    world.book(lines=3)
    world.hub.intake("sfdc")
    assert world.hub.push("sfdc").calls == 0, "work for the ad server is due"
    world.hub.push("gam-main")
    assert world.hub.push("sfdc").records == 4
    assert {call.record for call in world.crm.calls} == {"Opportunity", "OpportunityLineItem"}


def test_a_change_goes_out_as_an_update_of_the_same_object(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    world.travel()
    (line,) = world.ads.live("LineItem")
    assert line["primaryGoal"]["units"] == 2000000
    assert world.ads.calls[-1].operation is Operation.UPDATE
    assert "orderId" not in world.ads.calls[-1].items[0].payload


def test_a_company_somebody_else_marked_is_not_touched(world: World) -> None:
    world.ads.objects["Company"]["5"] = {"id": "5", "name": "Acme", "type": "ADVERTISER", "externalId": "pty_other"}
    world.book(lines=1)
    world.travel()
    assert len(world.ads.live("Company")) == 1
    assert [group.reason for group in world.hub.status().parked] == ["duplicate"]


def test_a_company_nobody_marked_is_adopted_and_marked(world: World) -> None:
    world.ads.objects["Company"]["5"] = {"id": "5", "name": "Acme", "type": "ADVERTISER", "externalId": None}
    world.book(lines=1)
    world.travel()
    (company,) = world.ads.live("Company")
    assert company["externalId"].startswith("pty_")
    assert len(world.ads.live("LineItem")) == 1


def two_lines_in_doubt(world: World) -> None:
    world.book(lines=2)
    world.ads.misbehave = [lambda *_: None, lambda *_: None]
    world.ads.lose_reply()
    world.hub.intake("sfdc")
    assert world.hub.push("gam-main").in_doubt == 2
    world.machine.advance(70)


@pytest.mark.parametrize("defect", ["raises", "too few", "no pair"])
def test_a_connector_that_stumbles_over_a_look_up_keeps_only_that_record_from_settling(
    world: World, defect: str, caplog: pytest.LogCaptureFixture
) -> None:
    two_lines_in_doubt(world)
    sound, poisoned = world.ads.find, world.ads.line_of("00k006A0001")["externalId"]

    def find(record: str, items: Sequence[PushItem]) -> Sequence[Any]:
        found = sound(record, items)
        if all(item.payload["externalId"] != poisoned for item in items):
            return found
        if defect == "raises":
            raise TypeError("with the payload in it")
        return found[:-1] if defect == "too few" else ["4711" for _ in items]

    world.ads.find = find  # type: ignore[method-assign]
    world.hub.settle("gam-main")
    states = dict(world.hub.session.database.rows("SELECT entity_id, state FROM lane WHERE kind = 'line'"))
    assert (states.pop(poisoned), set(states.values())) == ("in_doubt", {"ready"}), "the other one is settled at once"
    assert "payload" not in caplog.text
    for _ in range(12):
        world.machine.advance(310)
        world.hub.settle("gam-main")
        world.hub.push("gam-main")
    (item,) = world.hub.parked()
    assert (item.reason, item.code, item.entity_id) == ("ambiguous", "CONNECTOR-DEFECT", poisoned)
    assert "Integration mends the connector" in item.fix
    assert len(world.ads.live("LineItem")) == 2, "a look-up that failed proves no absence"
    world.ads.find = sound  # type: ignore[method-assign]
    world.hub.replay(reason="ambiguous")
    world.rest()
    assert world.hub.parked() == []
    assert len(world.ads.live("LineItem")) == 2


def test_a_connector_that_stumbles_over_the_look_before_an_update_parks_it_in_the_end(world: World) -> None:
    world.book(lines=1)
    world.travel()
    world.crm.put("OpportunityLineItem", "00k006A0000", Goal_Impressions__c=2000000)
    world.hub.intake("sfdc")
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 1

    def observe(record: str, vendor_ids: Sequence[str]) -> Any:
        raise TypeError("an answer nobody expected")

    sound, world.ads.observe = world.ads.observe, observe  # type: ignore[method-assign]
    for _ in range(12):
        world.machine.advance(310)
        world.hub.settle("gam-main")
    (item,) = world.hub.parked()
    assert item.code == "CONNECTOR-DEFECT"
    world.ads.observe = sound  # type: ignore[method-assign]
    world.hub.replay(reason="ambiguous")
    world.rest()
    assert world.hub.parked() == []


def two_live_lines_with_news(world: World) -> str:
    """Both lines are renamed in the CRM; returns the vendor's id of the second, over which the connector will stumble."""
    world.book(lines=2)
    world.travel()
    for number in range(2):
        world.crm.put("OpportunityLineItem", f"00k006A{number:04}", Name=f"Renamed {number}")
    world.hub.intake("sfdc")
    return str(world.ads.line_of("00k006A0001")["id"])


def names(world: World) -> list[str]:
    return sorted(str(line["name"]) for line in world.ads.live("LineItem"))


@pytest.mark.parametrize("where", ["observe", "differences"])
def test_a_connector_that_stumbles_before_an_update_keeps_only_that_record_from_being_sent(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = two_live_lines_with_news(world)
    observe, differences = world.ads.observe, world.ads.differences

    def observing(record: str, vendor_ids: Sequence[str]) -> Any:
        if record == "LineItem" and poisoned in vendor_ids:
            raise TypeError("an answer nobody expected")
        return observe(record, vendor_ids)

    def comparing(record: str, wanted: Any, present: Any) -> Any:
        if record == "LineItem" and present["id"] == poisoned:
            raise KeyError("a field nobody expected")
        return differences(record, wanted, present)

    with monkeypatch.context() as patch:
        patch.setattr(world.ads, where, observing if where == "observe" else comparing)
        world.hub.push("gam-main")
        assert names(world) == ["Line 00k006A0001", "Renamed 0"], "the other one is sent at once"
        for _ in range(12):
            world.machine.advance(310)
            world.hub.push("gam-main")
        (item,) = world.hub.parked()
        assert (item.reason, item.code, item.kind) == ("protocol", "CONNECTOR-DEFECT", "line")
        assert names(world) == ["Line 00k006A0001", "Renamed 0"]
    world.hub.replay(reason="protocol")
    world.rest()
    assert world.hub.parked() == []
    assert names(world) == ["Renamed 0", "Renamed 1"]


@pytest.mark.parametrize("where", ["observe", "differences"])
def test_a_connector_that_stumbles_over_one_doubtful_update_keeps_only_that_one_from_settling(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned = two_live_lines_with_news(world)
    world.ads.lose_reply()
    assert world.hub.push("gam-main").in_doubt == 2
    world.machine.advance(70)
    observe, differences = world.ads.observe, world.ads.differences

    def observing(record: str, vendor_ids: Sequence[str]) -> Any:
        if poisoned in vendor_ids:
            raise TypeError("an answer nobody expected")
        return observe(record, vendor_ids)

    def comparing(record: str, wanted: Any, present: Any) -> Any:
        if present["id"] == poisoned:
            raise KeyError("a field nobody expected")
        return differences(record, wanted, present)

    with monkeypatch.context() as patch:
        patch.setattr(world.ads, where, observing if where == "observe" else comparing)
        assert world.hub.settle("gam-main").adopted == 1
        states = dict(
            world.hub.session.database.rows("SELECT state, count(*) FROM lane WHERE kind = 'line' GROUP BY 1")
        )
        assert states == {"ready": 1, "in_doubt": 1}
    world.rest()
    assert names(world) == ["Renamed 0", "Renamed 1"]
    assert world.hub.parked() == []


def test_a_connector_that_stumbles_over_one_record_shows_the_others_and_then_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=3)
    world.travel()
    poisoned, observe = str(world.ads.line_of("00k006A0001")["id"]), world.ads.observe

    def observing(record: str, vendor_ids: Sequence[str]) -> Any:
        if record == "LineItem" and poisoned in vendor_ids:
            raise TypeError("an answer nobody expected")
        return observe(record, vendor_ids)

    seen = "SELECT count(*) FROM observation WHERE kind = 'line'"
    with monkeypatch.context() as patch:
        patch.setattr(world.ads, "observe", observing)
        with pytest.raises(ConnectorStumbled, match="Integration mends the connector"):
            world.hub.observe("gam-main")
    assert list(world.hub.session.database.rows(seen)) == [(2,)]
    world.hub.observe("gam-main")
    assert list(world.hub.session.database.rows(seen)) == [(3,)]


def test_a_connector_that_stumbles_over_a_name_keeps_only_that_line_from_being_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.book(lines=1)
    world.crm.line("00kX", "006A", Geo_Countries__c="Atlantis")
    world.hub.intake("sfdc")
    resolve = world.ads.resolve

    def resolving(table: str, wanted: Sequence[str], scope: str = "") -> Any:
        if "Atlantis" in wanted:
            raise IndexError("an answer nobody expected")
        return resolve(table, wanted, scope)

    with monkeypatch.context() as patch:
        patch.setattr(world.ads, "resolve", resolving)
        world.hub.push("gam-main")
        assert names(world) == ["Line 00k006A0000"]
        for _ in range(12):
            world.machine.advance(310)
            world.hub.push("gam-main")
        (item,) = world.hub.parked()
        assert (item.code, item.kind) == ("CONNECTOR-DEFECT", "line")


def test_a_connection_that_breaks_while_settling_gives_its_lanes_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_lines_in_doubt(world)
    with monkeypatch.context() as patch:

        def refusing(*_: Any) -> Any:
            raise AuthFailed("INVALID_TOKEN", "renew it")

        patch.setattr(world.ads, "find", refusing)
        with pytest.raises(ConnectionBroken):
            world.hub.settle("gam-main")
    leased = "SELECT count(*) FROM lane WHERE lease_until IS NOT NULL"
    assert list(world.hub.session.database.rows(leased)) == [(0,)]
    assert world.hub.settle("gam-main").adopted == 2, "without waiting for the lease to end"

"""Writing to the simulated org: the true state agrees with every outcome that is not in doubt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from connectors.base import JobState, Operation, PushItem
from connectors.errors import OutcomeUnknown, QuotaExhausted, RetryLater, SchemaDrift
from connectors.salesforce import SalesforceConnector

from .conftest import Org

Connect = Callable[..., SalesforceConnector]
PATCH = "PATCH collections Opportunity"


def update(deal: str, **payload: Any) -> PushItem:
    return PushItem(f"key-{deal}", payload or {"Hub_Status__c": "LIVE"}, vendor_id=deal)


def test_a_batch_is_one_call_and_each_record_is_written(org: Org, connect: Connect) -> None:
    deals = [org.deal(f"D{n}") for n in range(60)]
    batch = [update(d, Hub_Status__c=f"S{n}") for n, d in enumerate(deals)]
    results = connect().push("Opportunity", Operation.UPDATE, list(reversed(batch)))
    assert [(r.vendor_id, r.outcome.value) for r in results] == [(d, "updated") for d in reversed(deals)]
    assert {r["Id"]: r["Hub_Status__c"] for r in org.state("Opportunity")} == {d: f"S{n}" for n, d in enumerate(deals)}
    assert org.calls()[PATCH] == 1


def test_bad_records_are_parked_with_reason_and_field_and_the_rest_is_written(org: Org, connect: Connect) -> None:
    good, long, deleted = (org.deal(n) for n in ("good", "long", "deleted"))
    org.control("delete", object="Opportunity", id=deleted)
    results = connect().push(
        "Opportunity",
        Operation.UPDATE,
        [
            update(long, Hub_Status__c="x" * 41),
            update(deleted),
            update(good),
            update("006" + "9" * 12 + "AAA"),
        ],
    )
    assert [(r.outcome.value, r.reason) for r in results] == [
        ("rejected", "length"),
        ("rejected", "vendor_state"),
        ("updated", None),
        ("rejected", "reference_missing"),
    ]
    assert (results[0].code, results[0].path) == ("STRING_TOO_LONG", "Hub_Status__c")
    assert org.true("Opportunity", good)["Hub_Status__c"] == "LIVE"


def test_validation_rules_picklists_and_required_fields_have_their_reasons(org: Org, connect: Connect) -> None:
    ruled, empty = org.deal("ruled"), org.deal("empty")
    org.control(
        "validation",
        object="Opportunity",
        name="No_Tests",
        error_when="NextStep = 'test'",
        message="No tests please.",
        field="NextStep",
    )
    results = connect().push(
        "Opportunity",
        Operation.UPDATE,
        [
            update(ruled, NextStep="test"),
            update(empty, Name=None),
        ],
    )
    assert [(r.outcome.value, r.reason, r.code) for r in results] == [
        ("rejected", "validation", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
        ("rejected", "validation", "REQUIRED_FIELD_MISSING"),
    ]
    assert "No tests please." in (results[0].message or "")


def test_a_restricted_picklist_value_is_parked(org: Org, connect: Connect) -> None:
    org.control("picklist", object="Opportunity", field="LeadSource", values=["Web"], restricted=True)
    deal = org.deal()
    (result,) = connect().push("Opportunity", Operation.UPDATE, [update(deal, LeadSource="Pigeon")])
    assert (result.outcome.value, result.reason) == ("rejected", "picklist")


def test_a_field_that_is_gone_stops_the_mapping(org: Org, connect: Connect) -> None:
    deal = org.deal()
    with pytest.raises(SchemaDrift) as caught:
        connect().push("Opportunity", Operation.UPDATE, [update(deal, Never__c="x")])
    assert caught.value.field == "Never__c"
    other = org.deal("other")
    results = connect().push("Opportunity", Operation.UPDATE, [update(deal, Never__c="x"), update(other)])
    assert [(r.outcome.value, r.reason) for r in results] == [("rejected", "mapping"), ("updated", None)]


def test_a_field_that_may_not_be_edited_is_parked_or_stops_the_mapping(org: Org, connect: Connect) -> None:
    deal = org.deal()
    org.control("fls", object="Opportunity", field="Hub_Status__c", visible=True, editable=False)
    (result,) = connect().push("Opportunity", Operation.UPDATE, [update(deal)])
    assert (result.outcome.value, result.code) == ("rejected", "INVALID_FIELD_FOR_INSERT_UPDATE")


def test_a_lost_request_and_a_lost_reply_look_the_same_and_are_in_doubt(org: Org, connect: Connect) -> None:
    connector = connect()
    applied = {}
    for fault in ("lost_request", "lost_reply"):
        deal = org.deal(fault)
        org.fault(fault, operations=[PATCH])
        with pytest.raises(OutcomeUnknown):
            connector.push("Opportunity", Operation.UPDATE, [update(deal)])
        applied[fault] = org.true("Opportunity", deal)["Hub_Status__c"]
    assert applied == {"lost_request": None, "lost_reply": "LIVE"}
    assert org.calls()[PATCH] == 2


def test_a_late_commit_is_in_doubt_and_found_once_it_is_there(org: Org, connect: Connect) -> None:
    connector = connect()
    item = PushItem("k", {"Hub_Id__c": "h1", "Name": "N", "StageName": "Prospecting", "CloseDate": "2019-09-12"})
    org.fault("late_commit", operations=[PATCH], seconds=0.05)
    with pytest.raises(OutcomeUnknown):
        connector.push("Opportunity", Operation.CREATE, [item])
    until = time.monotonic() + 60
    while (found := connector.find("Opportunity", [item])) == [None] and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert found[0] is not None
    (again,) = connector.push("Opportunity", Operation.CREATE, [item])
    assert (again.outcome.value, again.vendor_id) == ("updated", found[0][0])
    assert len(org.state("Opportunity")) == 1


@pytest.mark.parametrize(
    ("fault", "expected"), [("quota", QuotaExhausted), ("html_503", OutcomeUnknown), ("slow_reply", OutcomeUnknown)]
)
def test_a_write_that_the_vendor_answers_badly(
    org: Org, connect: Connect, fault: str, expected: type[Exception]
) -> None:
    deal = org.deal()
    org.fault(fault, operations=[PATCH], seconds=5)
    with pytest.raises(expected):
        connect(timeout_seconds=2.5 if fault == "slow_reply" else 30).push(
            "Opportunity", Operation.UPDATE, [update(deal)]
        )
    assert org.calls()[PATCH] == 1


def test_an_expired_token_writes_once(org: Org, connect: Connect) -> None:
    deal = org.deal()
    org.fault("expired_token", operations=[PATCH])
    (result,) = connect().push("Opportunity", Operation.UPDATE, [update(deal)])
    assert result.outcome == "updated"
    assert (org.calls()["token"], org.calls()[PATCH]) == (2, 2)


@pytest.mark.parametrize("fault", ["lock_row", "partial_batch"])
def test_records_that_another_transaction_holds_are_tried_again(org: Org, connect: Connect, fault: str) -> None:
    deals = [org.deal(f"D{n}") for n in range(10)]
    org.fault(fault, rate=1.0, count=None, operations=[PATCH], seed=3)
    results = connect().push("Opportunity", Operation.UPDATE, [update(d) for d in deals])
    outcomes = {r.vendor_id or d: r.outcome.value for r, d in zip(results, deals, strict=True)}
    assert "retry" in outcomes.values()
    for deal, outcome in outcomes.items():
        assert (org.true("Opportunity", deal)["Hub_Status__c"] == "LIVE") is (outcome == "updated")


def test_the_same_create_twice_is_one_record(org: Org, connect: Connect) -> None:
    connector = connect()
    fields = {"Name": "N", "StageName": "Prospecting", "CloseDate": "2019-09-12"}
    batch = [PushItem(f"k{n}", {"Hub_Id__c": f"h{n}", **fields}) for n in range(5)]
    first = connector.push("Opportunity", Operation.CREATE, batch)
    second = connector.push("Opportunity", Operation.CREATE, list(reversed(batch)))
    assert [r.outcome.value for r in first] == ["created"] * 5
    assert [r.outcome.value for r in second] == ["updated"] * 5
    assert [r.vendor_id for r in second] == [r.vendor_id for r in reversed(first)]
    assert len(org.state("Opportunity")) == 5
    found = connector.find("Opportunity", batch)
    assert [f and f[0] for f in found] == [r.vendor_id for r in first]
    assert found[2] is not None
    assert found[2][1]["Hub_Id__c"] == "h2"


def test_many_records_go_as_a_bulk_job_with_a_result_each(org: Org, connect: Connect) -> None:
    deals = [org.deal(f"D{n}") for n in range(205)]
    connector = connect()
    batch = [update(d, Hub_Status__c=f"S{n}", NextStep=None) for n, d in enumerate(deals)]
    batch[7] = update(deals[7], Hub_Status__c="x" * 41)
    job = connector.start_bulk("Opportunity", Operation.UPDATE, batch)
    ended(connector, job)
    results = connector.bulk_results("Opportunity", Operation.UPDATE, batch, job)
    assert [r.key for r in results] == [i.key for i in batch]
    assert (results[7].outcome.value, results[7].reason) == ("rejected", "length")
    assert {r.outcome.value for n, r in enumerate(results) if n != 7} == {"updated"}
    assert org.true("Opportunity", deals[204])["Hub_Status__c"] == "S204"


def test_what_a_stopped_bulk_job_did_not_reach_is_sent_again(org: Org, connect: Connect) -> None:
    deals = [org.deal(f"D{n}") for n in range(250)]
    connector = connect()
    batch = [update(d) for d in deals]
    org.fault("job_stop", operations=None)
    job = connector.start_bulk("Opportunity", Operation.UPDATE, batch)
    assert ended(connector, job) is JobState.FAILED
    results = connector.bulk_results("Opportunity", Operation.UPDATE, batch, job)
    written = {r["Id"] for r in org.state("Opportunity") if r["Hub_Status__c"] == "LIVE"}
    assert {i.vendor_id for i, r in zip(batch, results, strict=True) if r.outcome == "updated"} == written
    assert [r.code for r in results if r.outcome == "retry"] == ["BULK-UNPROCESSED"] * 50


def test_a_field_that_is_gone_stops_the_mapping_before_a_bulk_job(org: Org, connect: Connect) -> None:
    deals = [org.deal(f"D{n}") for n in range(3)]
    with pytest.raises(SchemaDrift) as caught:
        connect().start_bulk("Opportunity", Operation.UPDATE, [update(d, Never__c="x") for d in deals])
    assert (caught.value.code, caught.value.field) == ("INVALID_FIELD", "Never__c")
    org.control("fls", object="Opportunity", field="Hub_Status__c", visible=False, editable=False)
    with pytest.raises(SchemaDrift) as caught:
        connect().start_bulk("Opportunity", Operation.UPDATE, [update(d) for d in deals])
    assert caught.value.field == "Hub_Status__c"


def ended(connector: SalesforceConnector, job: str) -> JobState:
    until = time.monotonic() + 60
    while (state := connector.bulk_state(job)) is JobState.RUNNING and time.monotonic() < until:
        threading.Event().wait(0.01)
    return state


def test_an_org_that_is_down_is_certainly_not_applied(org: Org, connect: Connect) -> None:
    connector = connect(endpoint="http://127.0.0.1:1")
    with pytest.raises(RetryLater):
        connector.push("Opportunity", Operation.UPDATE, [update("006000000000001AAA")])

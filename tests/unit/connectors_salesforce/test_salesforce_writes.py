"""Collections: one result per record, in the order of the batch; an answer that does not fit is in doubt."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import requests
import responses

from connectors.base import Operation, PushItem
from connectors.errors import Misconfigured, OutcomeUnknown, RetryLater
from connectors.salesforce import SalesforceConnector
from connectors.salesforce.error_table import Fate, error_codes
from oms_schema.problems import Reason

from .conftest import DATA, not_saved, refusal, saved, sent, vendor_id

Connect = Callable[..., SalesforceConnector]
WRITE = f"{DATA}/composite/sobjects"
UPSERT = f"{WRITE}/Opportunity/Hub_Id__c"
MARKED = {"external_id_fields": {"Opportunity": "Hub_Id__c"}}


def items(count: int, **payload: Any) -> list[PushItem]:
    return [PushItem(f"k{n}", {"Name": f"n{n}", **payload}, vendor_id=vendor_id(n)) for n in range(count)]


def echo(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
    """An org that saves everything it is sent."""
    import json

    assert request.body is not None
    records = json.loads(request.body)["records"]
    assert len(records) <= 200
    return 200, {}, json.dumps([saved(r["id"]) for r in records])


def test_results_come_in_the_order_of_the_batch_whatever_order_was_sent(
    org: responses.RequestsMock, connect: Connect
) -> None:
    org.add_callback("PATCH", WRITE, callback=echo)
    batch = items(50)
    random.Random(1).shuffle(batch)
    results = connect().push("Opportunity", Operation.UPDATE, batch)
    assert [(r.key, r.vendor_id, r.outcome) for r in results] == [(i.key, i.vendor_id, "updated") for i in batch]
    (body,) = sent(org, "composite/sobjects")
    assert body["allOrNone"] is False
    assert [r["id"] for r in body["records"]] == sorted(r["id"] for r in body["records"])
    assert all(r["attributes"] == {"type": "Opportunity"} for r in body["records"])


def test_values_are_written_exactly(org: responses.RequestsMock, connect: Connect) -> None:
    org.add_callback("PATCH", WRITE, callback=echo)
    payload = {
        "CPM__c": Decimal("1.000001"),
        "Big__c": Decimal("1E+15"),
        "Null__c": None,
        "On__c": True,
        "Count__c": 7,
        "Day__c": date(2019, 9, 1),
        "At__c": datetime(2019, 9, 1, 12, tzinfo=UTC),
        "Text__c": 'Ünïcode "quoted" 😀\n',
    }
    connect().push("Opportunity", Operation.UPDATE, [PushItem("k", payload, vendor_id=vendor_id(1))])
    raw = org.calls[1].request.body
    assert isinstance(raw, bytes)
    assert b'"CPM__c":1.000001' in raw
    assert b'"Big__c":1000000000000000' in raw
    (body,) = sent(org, "composite/sobjects")
    record = body["records"][0]
    assert record["Null__c"] is None
    assert record["Day__c"] == "2019-09-01"
    assert record["At__c"] == "2019-09-01T12:00:00+00:00"
    assert record["Text__c"] == payload["Text__c"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (PushItem("bad", {"Name": 1.5}, vendor_id=vendor_id(9)), "float"),
        (PushItem("bad", {"Name": Decimal("NaN")}, vendor_id=vendor_id(9)), "NaN"),
        (PushItem("bad", {"Name": "half \ud83d"}, vendor_id=vendor_id(9)), "surrogate"),
        (PushItem("bad", {"Name": "nul \x00"}, vendor_id=vendor_id(9)), "NUL"),
        (PushItem("bad", {"At__c": datetime(2019, 1, 1)}, vendor_id=vendor_id(9)), "zone"),  # noqa: DTZ001
        (PushItem("bad", {"Name; DROP": "x"}, vendor_id=vendor_id(9)), "cannot be a written field"),
        (PushItem("bad", {"attributes": {"type": "User"}}, vendor_id=vendor_id(9)), "cannot be a written field"),
        (PushItem("bad", {"Id": vendor_id(8)}, vendor_id=vendor_id(9)), "cannot be a written field"),
        (PushItem("bad", {"Name": "x"}, vendor_id="1 OR 1=1"), "no Salesforce id"),
        (PushItem("bad", {"Name": "x"}), "no Salesforce id"),
        (PushItem("bad", {"Name": "x"}, vendor_id=vendor_id(1)[:15]), "twice"),
    ],
)
def test_a_record_that_cannot_be_sent_is_parked_and_the_rest_goes_on(
    org: responses.RequestsMock, connect: Connect, item: PushItem, words: str
) -> None:
    org.add_callback("PATCH", WRITE, callback=echo)
    good = items(3)
    results = connect().push("Opportunity", Operation.UPDATE, [*good[:2], item, good[2]])
    assert [r.outcome for r in results] == ["updated", "updated", "rejected", "updated"]
    assert results[2].reason == Reason.MAPPING
    assert words in (results[2].message or "")


def test_each_record_has_its_own_fate(org: responses.RequestsMock, connect: Connect) -> None:
    org.patch(
        WRITE,
        json=[
            saved(vendor_id(0)),
            not_saved("UNABLE_TO_LOCK_ROW"),
            not_saved("STRING_TOO_LONG", "Name: data value too large", ("Name",)),
            not_saved("SOMETHING_NEW"),
            not_saved("ENTITY_IS_DELETED"),
            {"success": False, "errors": []},
            {"success": False, "errors": ["?"]},
            not_saved(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "bad value for restricted picklist field: X", ("A__c",)
            ),
            {
                "success": False,
                "errors": not_saved("UNABLE_TO_LOCK_ROW")["errors"]
                + not_saved("FIELD_CUSTOM_VALIDATION_EXCEPTION", "no")["errors"],
            },
            not_saved("DUPLICATE_VALUE"),
            not_saved("INSUFFICIENT_ACCESS_OR_READONLY"),
            not_saved("REQUEST_LIMIT_EXCEEDED"),
        ],
    )
    results = connect().push("Opportunity", Operation.UPDATE, items(12))
    assert [(r.outcome.value, r.reason) for r in results] == [
        ("updated", None),
        ("retry", None),
        ("rejected", "length"),
        ("in_doubt", "protocol"),
        ("rejected", "vendor_state"),
        ("in_doubt", "protocol"),
        ("in_doubt", "protocol"),
        ("rejected", "picklist"),
        ("rejected", "validation"),
        ("rejected", "duplicate"),
        ("rejected", "permission"),
        ("retry", "quota"),
    ]
    assert (results[2].code, results[2].path) == ("STRING_TOO_LONG", "Name")
    assert "data value too large" in (results[2].message or "")
    assert results[11].after == 60.0


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [saved(vendor_id(0))],
        [saved(vendor_id(0)), saved(vendor_id(1)), saved(vendor_id(2))],
        [saved(vendor_id(1)), saved(vendor_id(0))],
        [saved(vendor_id(0)), saved(vendor_id(7))],
        [saved(vendor_id(0)), saved(vendor_id(0))],
        [saved(vendor_id(0)), {"id": vendor_id(1), "success": "true", "errors": []}],
        [saved(vendor_id(0)), {"success": True, "errors": []}],
        [saved(vendor_id(0)), {"id": 17, "success": True, "errors": []}],
        [saved(vendor_id(0)), {"id": vendor_id(1), "success": True, "errors": [{"statusCode": "X"}]}],
        [saved(vendor_id(0)), {"id": vendor_id(1), "success": False, "errors": "no"}],
        [saved(vendor_id(0)), {**not_saved("UNABLE_TO_LOCK_ROW"), "id": vendor_id(7)}],
        [saved(vendor_id(0)), None],
        {"hasErrors": False, "results": []},
        "ok",
        None,
    ],
)
def test_an_answer_that_does_not_fit_the_batch_leaves_all_of_it_in_doubt(
    org: responses.RequestsMock, connect: Connect, answer: object
) -> None:
    org.patch(WRITE, json=answer)
    with pytest.raises(OutcomeUnknown):
        connect().push("Opportunity", Operation.UPDATE, items(2))


def test_a_short_id_in_the_answer_is_the_same_record(org: responses.RequestsMock, connect: Connect) -> None:
    org.patch(WRITE, json=[saved(vendor_id(0)[:15])])
    assert connect().push("Opportunity", Operation.UPDATE, items(1))[0].outcome == "updated"


def test_a_request_refused_as_a_whole_parks_its_records(org: responses.RequestsMock, connect: Connect) -> None:
    org.patch(WRITE, status=400, json=refusal("JSON_PARSER_ERROR", "Cannot deserialize instance of double"))
    results = connect().push("Opportunity", Operation.UPDATE, items(2))
    assert [(r.outcome.value, r.reason, r.code) for r in results] == [("rejected", "mapping", "JSON_PARSER_ERROR")] * 2


def test_an_empty_batch_asks_nothing(org: responses.RequestsMock, connect: Connect) -> None:
    assert connect().push("Opportunity", Operation.UPDATE, []) == []
    assert len(org.calls) == 0


def test_more_than_200_records_go_in_requests_of_200(org: responses.RequestsMock, connect: Connect) -> None:
    org.add_callback("PATCH", WRITE, callback=echo)
    results = connect().push("Opportunity", Operation.UPDATE, items(450))
    assert [len(b["records"]) for b in sent(org, "composite/sobjects")] == [200, 200, 50]
    assert [r.key for r in results] == [f"k{n}" for n in range(450)]


def test_a_later_request_in_doubt_takes_neither_the_written_nor_the_unsent_with_it(
    org: responses.RequestsMock, connect: Connect
) -> None:
    calls = iter([0, 1])  # a third request would be a StopIteration

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        if next(calls) == 0:
            return echo(request)
        raise requests.exceptions.ReadTimeout("slow")

    org.add_callback("PATCH", WRITE, callback=answer)
    results = connect().push("Opportunity", Operation.UPDATE, items(450))
    assert [r.outcome.value for r in results] == ["updated"] * 200 + ["in_doubt"] * 200 + ["retry"] * 50


def test_the_first_request_not_applied_is_raised(org: responses.RequestsMock, connect: Connect) -> None:
    org.patch(WRITE, status=503, json=refusal("SERVER_UNAVAILABLE"))
    with pytest.raises(RetryLater):
        connect().push("Opportunity", Operation.UPDATE, items(450))
    assert len(org.calls) == 2


def marked(count: int) -> list[PushItem]:
    return [PushItem(f"k{n}", {"Name": f"n{n}", "Hub_Id__c": f"h{n}"}) for n in range(count)]


def test_creating_is_an_upsert_by_external_id(org: responses.RequestsMock, connect: Connect) -> None:
    org.patch(UPSERT, json=[saved(vendor_id(5), created=True), saved(vendor_id(6), created=False)])
    results = connect(**MARKED).push("Opportunity", Operation.CREATE, marked(2))
    assert [(r.outcome.value, r.vendor_id) for r in results] == [("created", vendor_id(5)), ("updated", vendor_id(6))]
    (body,) = sent(org, "Hub_Id__c")
    assert [r["Hub_Id__c"] for r in body["records"]] == ["h0", "h1"]
    assert "id" not in body["records"][0]


def test_a_faster_upsert_of_the_same_id_is_tried_again_a_strangers_value_is_parked(
    org: responses.RequestsMock, connect: Connect
) -> None:
    org.patch(
        UPSERT,
        json=[
            not_saved(
                "DUPLICATE_VALUE",
                f"duplicate value found: Hub_Id__c duplicates value on record with id: {vendor_id(1)}",
            ),
            not_saved(
                "DUPLICATE_VALUE", f"duplicate value found: Other__c duplicates value on record with id: {vendor_id(1)}"
            ),
        ],
    )
    results = connect(**MARKED).push("Opportunity", Operation.CREATE, marked(2))
    assert [(r.outcome.value, r.reason) for r in results] == [("retry", None), ("rejected", "duplicate")]


@pytest.mark.parametrize("value", [None, "", "  ", 5])
def test_a_create_without_its_external_id_is_never_sent(
    org: responses.RequestsMock, connect: Connect, value: object
) -> None:
    results = connect(**MARKED).push("Opportunity", Operation.CREATE, [PushItem("k", {"Hub_Id__c": value})])
    assert results[0].outcome == "rejected"
    assert len(org.calls) == 0


def test_a_create_without_an_external_id_field_is_refused(connect: Connect) -> None:
    with pytest.raises(Misconfigured, match="external_id_fields"):
        connect().push("Opportunity", Operation.CREATE, marked(1))
    with pytest.raises(Misconfigured):
        connect(**MARKED).push("Opportunity", Operation.ACT, marked(1))
    with pytest.raises(Misconfigured, match="does not handle"):
        connect(**MARKED).push("Account", Operation.UPDATE, items(1))


def test_the_table_of_codes_names_known_reasons_and_whole_sentences() -> None:
    for code, facts in error_codes().items():
        assert facts.reason is None or facts.reason in set(Reason), code
        assert all(part.endswith(".") and part[0].isupper() for part in (facts.happened, facts.effect, facts.fix)), code
        assert facts.reason is not None or facts.fate is not Fate.REJECTED, code

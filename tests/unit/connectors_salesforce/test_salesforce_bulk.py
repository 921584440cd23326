"""Bulk 2.0: nothing runs before the job is closed, results find their items, unprocessed is not failed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
import responses

from connectors.base import JobState, Operation, PushItem
from connectors.errors import OutcomeUnknown, RetryLater, SchemaDrift
from connectors.salesforce import SalesforceConnector
from connectors.salesforce.error_table import VendorError

from .conftest import DATA, refusal, vendor_id

Connect = Callable[..., SalesforceConnector]
JOBS = f"{DATA}/jobs/ingest"
JOB = "750000000000001AAA"
CSV_TYPE = "text/csv; charset=UTF-8"


def items(count: int) -> list[PushItem]:
    return [
        PushItem(f"k{n}", {"Name": f'n "{n}",\nx', "Amount": Decimal("1.50")}, vendor_id=vendor_id(n))
        for n in range(count)
    ]


def as_csv(head: list[str], rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue()


def describe(org: responses.RequestsMock) -> None:
    fields = [{"name": name, "type": "string"} for name in ("Id", "Name", "Amount", "On__c", "Hub_Id__c")]
    fields.append({"name": "AccountId", "type": "reference", "relationshipName": "Account"})
    org.get(f"{DATA}/sobjects/Opportunity/describe", json={"name": "Opportunity", "fields": fields})


def job(org: responses.RequestsMock, *, state: str = "JobComplete", error: str = "", **files: str) -> None:
    describe(org)
    org.post(JOBS, json={"id": JOB, "state": "Open"})
    org.put(f"{JOBS}/{JOB}/batches", status=201)
    org.patch(f"{JOBS}/{JOB}", json={"id": JOB, "state": "UploadComplete"})
    org.get(f"{JOBS}/{JOB}", json={"id": JOB, "state": state, "errorMessage": error or None})
    for kind in ("successfulResults", "failedResults", "unprocessedrecords"):
        org.get(f"{JOBS}/{JOB}/{kind}", body=files.get(kind, ""), content_type=CSV_TYPE)


def successes(numbers: list[int]) -> str:
    return as_csv(
        ["sf__Id", "sf__Created", "Id", "Name"], [[vendor_id(n), "false", vendor_id(n), "n"] for n in numbers]
    )


def test_one_job_is_sent_and_results_find_their_items(org: responses.RequestsMock, connect: Connect) -> None:
    failed = as_csv(
        ["sf__Id", "sf__Error", "Id"],
        [
            [vendor_id(200), "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access: or 1 records:--", vendor_id(200)],
            ["", "STRING_TOO_LONG:Name: data value too large:Name --", vendor_id(201)],
            ["", "BRAND_NEW:what:--", vendor_id(202)],
        ],
    )
    job(
        org,
        successfulResults=successes(list(reversed(range(200)))),
        failedResults=failed,
        unprocessedrecords=as_csv(["Id", "Name"], [[vendor_id(203), "n"]]),
    )
    connector = connect()
    assert connector.start_bulk("Opportunity", Operation.UPDATE, items(205)) == JOB
    assert connector.bulk_state(JOB) is JobState.READY
    results = connector.bulk_results("Opportunity", Operation.UPDATE, items(205), JOB)
    assert [r.key for r in results] == [f"k{n}" for n in range(205)]
    assert {r.outcome.value for r in results[:200]} == {"updated"}
    assert [(r.outcome.value, r.code) for r in results[200:]] == [
        ("retry", "UNABLE_TO_LOCK_ROW"),
        ("rejected", "STRING_TOO_LONG"),
        ("in_doubt", "BRAND_NEW"),
        ("retry", "BULK-UNPROCESSED"),
        ("in_doubt", "BULK-UNACCOUNTED"),
    ]
    assert results[201].path == "Name"
    (upload,) = [c.request.body for c in org.calls if c.request.method == "PUT"]
    assert isinstance(upload, bytes)
    rows = list(csv.DictReader(io.StringIO(upload.decode(), newline="")))
    assert len(rows) == 205
    assert rows[3] == {"Id": vendor_id(3), "Name": 'n "3",\nx', "Amount": "1.50"}


def test_absent_is_an_empty_cell_and_none_clears(org: responses.RequestsMock, connect: Connect) -> None:
    batch = [
        PushItem("a", {"Name": None, "On__c": True}, vendor_id=vendor_id(0)),
        PushItem("b", {"On__c": False}, vendor_id=vendor_id(1)),
        PushItem("c", {"Name": "#N/A"}, vendor_id=vendor_id(2)),
    ]
    job(org)
    assert connect().start_bulk("Opportunity", Operation.UPDATE, batch) == JOB
    (upload,) = [c.request.body for c in org.calls if c.request.method == "PUT"]
    assert upload == f"Id,Name,On__c\n{vendor_id(0)},#N/A,true\n{vendor_id(1)},,false\n".encode()
    results = connect().bulk_results("Opportunity", Operation.UPDATE, batch, JOB)
    assert [(r.outcome.value, r.code) for r in results] == [
        ("in_doubt", "BULK-UNACCOUNTED"),
        ("in_doubt", "BULK-UNACCOUNTED"),
        ("rejected", "BULK-NA"),
    ]


def test_an_upsert_job_is_matched_by_external_id(org: responses.RequestsMock, connect: Connect) -> None:
    batch = [PushItem(f"k{n}", {"Hub_Id__c": f"h{n}"}) for n in range(2)]
    head = ["sf__Id", "sf__Created", "Hub_Id__c"]
    job(org, successfulResults=as_csv(head, [[vendor_id(9), "false", "h1"], [vendor_id(8), "true", "h0"]]))
    connector = connect(external_id_fields={"Opportunity": "Hub_Id__c"})
    started = connector.start_bulk("Opportunity", Operation.CREATE, batch)
    body = next(
        json.loads(c.request.body) for c in org.calls if c.request.method == "POST" and "ingest" in str(c.request.url)
    )
    assert (body["operation"], body["externalIdFieldName"], body["lineEnding"]) == ("upsert", "Hub_Id__c", "LF")
    results = connector.bulk_results("Opportunity", Operation.CREATE, batch, started)
    assert [(r.outcome.value, r.vendor_id) for r in results] == [("created", vendor_id(8)), ("updated", vendor_id(9))]


@pytest.mark.parametrize("state", ["UploadComplete", "InProgress"])
def test_a_job_at_work_is_running(org: responses.RequestsMock, connect: Connect, state: str) -> None:
    job(org, state=state)
    assert connect().bulk_state(JOB) is JobState.RUNNING


@pytest.mark.parametrize(
    "reply",
    [{"body": requests.exceptions.ReadTimeout("slow")}, {"status": 503, "body": "<html>"}, {"json": {"state": "?"}}],
)
def test_a_state_nobody_can_read_is_asked_again(
    org: responses.RequestsMock, connect: Connect, reply: dict[str, Any]
) -> None:
    job(org)
    org.replace("GET", f"{JOBS}/{JOB}", **reply)
    with pytest.raises(RetryLater):
        connect().bulk_state(JOB)


def test_a_job_that_is_forgotten_is_over(org: responses.RequestsMock, connect: Connect) -> None:
    org.get(f"{JOBS}/{JOB}", status=404, json=refusal("NOT_FOUND"))
    assert connect().bulk_state(JOB) is JobState.FAILED


def test_without_a_record_that_can_be_sent_there_is_no_job(org: responses.RequestsMock, connect: Connect) -> None:
    batch = [PushItem("a", {"Name": "x"}, vendor_id="none"), PushItem("b", {"Name": "#N/A"}, vendor_id=vendor_id(2))]
    started = connect().start_bulk("Opportunity", Operation.UPDATE, batch)
    results = connect().bulk_results("Opportunity", Operation.UPDATE, batch, started)
    assert (started, [r.code for r in results], len(org.calls)) == ("", ["UNWRITABLE", "BULK-NA"], 0)


@pytest.mark.parametrize(("above", "most", "jobs"), [(2000, 10_000, True), (10_000, 10_000, False)])
def test_jobs_are_declared_where_one_can_hold_more_than_the_threshold(
    connect: Connect, above: int, most: int, jobs: bool
) -> None:
    records = connect(bulk_threshold=above, bulk_batch=most).capabilities.records
    assert {each.batch for each in records.values()} == {200}
    assert {each.jobs and (each.jobs.above, each.jobs.batch) for each in records.values()} == {
        (above, most) if jobs else None
    }


def test_before_closing_every_error_is_not_applied_and_closing_itself_is_in_doubt(
    org: responses.RequestsMock, connect: Connect
) -> None:
    slow = requests.exceptions.ReadTimeout("slow")
    connector = connect()
    for method, url, expected in (
        ("POST", JOBS, RetryLater),
        ("PUT", f"{JOBS}/{JOB}/batches", RetryLater),
        ("PATCH", f"{JOBS}/{JOB}", OutcomeUnknown),
    ):
        job(org)
        org.replace(method, url, body=slow)
        with pytest.raises(expected):
            connector.start_bulk("Opportunity", Operation.UPDATE, items(201))
        org.remove("POST", JOBS)
        for each in ("PUT", "PATCH", "GET"):
            org.remove(each, f"{JOBS}/{JOB}/batches" if each == "PUT" else f"{JOBS}/{JOB}")


def test_a_job_that_was_refused_whole_says_why_and_each_record_is_then_sent_alone(
    org: responses.RequestsMock, connect: Connect
) -> None:
    words = "InvalidBatch : Field name not found : Name"
    job(org, state="Failed", error=words, unprocessedrecords=as_csv(["Id"], [[vendor_id(0)], [vendor_id(1)]]))
    results = connect().bulk_results("Opportunity", Operation.UPDATE, items(2), JOB)
    assert [(r.outcome.value, r.code, r.alone) for r in results] == [("retry", "BULK-REFUSED", True)] * 2
    assert all(words in str(r.message) for r in results)


@pytest.mark.parametrize(
    ("error", "files"),
    [
        ("InternalServerError : The job was stopped", {}),
        ("InvalidBatch : Records not processed", {"successfulResults": successes([2])}),
        ("", {}),
    ],
)
def test_what_a_job_did_not_come_to_goes_with_the_next_one(
    org: responses.RequestsMock, connect: Connect, error: str, files: dict[str, str]
) -> None:
    job(org, state="Failed", error=error, unprocessedrecords=as_csv(["Id"], [[vendor_id(0)], [vendor_id(1)]]), **files)
    results = connect().bulk_results("Opportunity", Operation.UPDATE, items(3 if files else 2), JOB)[:2]
    assert [(r.outcome.value, r.code, r.alone) for r in results] == [("retry", "BULK-UNPROCESSED", False)] * 2
    assert all(error in str(r.message) for r in results)


def test_an_unknown_column_is_drift_before_anything_is_sent(org: responses.RequestsMock, connect: Connect) -> None:
    job(org)
    for payload in ({"Gone__c": 1}, {"Nowhere": {"Hub_Id__c": "h"}}):
        with pytest.raises(SchemaDrift) as caught:
            connect().start_bulk("Opportunity", Operation.UPDATE, [PushItem("a", payload, vendor_id=vendor_id(0))])
        assert caught.value.field in ("Gone__c", "Nowhere.Hub_Id__c")
    known = PushItem("a", {"name": "x", "Account": {"Hub_Id__c": "h"}}, vendor_id=vendor_id(0))
    assert connect().start_bulk("Opportunity", Operation.UPDATE, [known]) == JOB
    assert len([c for c in org.calls if c.request.method == "PUT"]) == 1


@pytest.mark.parametrize("code", ["API_DISABLED_FOR_ORG", "FEATURENOTENABLED"])  # Bulk writes its own codes in one word
def test_a_job_refused_for_a_right_is_raised(org: responses.RequestsMock, connect: Connect, code: str) -> None:
    from connectors.errors import PermissionMissing

    describe(org)
    org.post(JOBS, status=403, json=refusal(code))
    with pytest.raises(PermissionMissing):
        connect().start_bulk("Opportunity", Operation.UPDATE, items(201))


@pytest.mark.parametrize(
    "files",
    [
        {"successfulResults": successes([0, 77])},
        {"successfulResults": 'sf__Id,Id\n"broken'},
        {"successfulResults": f"sf__Id,sf__Created,Id\n{vendor_id(0)}\n"},
        {"successfulResults": f"sf__Id,sf__Created,Id\nnone,false,{vendor_id(0)}\n"},
    ],
)
def test_results_that_cannot_be_ours_are_not_believed(
    org: responses.RequestsMock, connect: Connect, files: dict[str, str]
) -> None:
    job(org, **files)
    with pytest.raises(RetryLater):
        connect().bulk_results("Opportunity", Operation.UPDATE, items(2), JOB)


def test_an_update_whose_result_bears_another_id_is_not_believed(org: responses.RequestsMock, connect: Connect) -> None:
    told = [[vendor_id(1), "false", vendor_id(0)], [vendor_id(0), "false", vendor_id(1)]]
    job(org, successfulResults=as_csv(["sf__Id", "sf__Created", "Id"], told))
    with pytest.raises(RetryLater):
        connect().bulk_results("Opportunity", Operation.UPDATE, items(2), JOB)


@pytest.mark.parametrize(
    "told",
    [
        [[vendor_id(9), "true", "h0"], [vendor_id(9), "true", "h1"]],
        [[vendor_id(8), "", "h0"], [vendor_id(9), "true", "h1"]],
    ],
    ids=["one-id-for-two", "created-or-not"],
)
def test_an_upsert_whose_results_cannot_be_is_not_believed(
    org: responses.RequestsMock, connect: Connect, told: list[list[str]]
) -> None:
    batch = [PushItem(f"k{n}", {"Hub_Id__c": f"h{n}"}) for n in range(2)]
    job(org, successfulResults=as_csv(["sf__Id", "sf__Created", "Hub_Id__c"], told))
    with pytest.raises(RetryLater):
        connect(external_id_fields={"Opportunity": "Hub_Id__c"}).bulk_results(
            "Opportunity", Operation.CREATE, batch, JOB
        )


@pytest.mark.parametrize(
    "files",
    [
        {"successfulResults": successes([0, 1]), "unprocessedrecords": as_csv(["Id"], [[vendor_id(1)]])},
        {"successfulResults": successes([0, 1, 1])},
    ],
)
def test_a_record_named_twice_is_in_doubt(org: responses.RequestsMock, connect: Connect, files: dict[str, str]) -> None:
    job(org, **files)
    results = connect().bulk_results("Opportunity", Operation.UPDATE, items(2), JOB)
    assert [r.outcome.value for r in results] == ["updated", "in_doubt"]


def test_a_job_id_cannot_leave_its_path(org: responses.RequestsMock, connect: Connect) -> None:
    with pytest.raises(RetryLater):
        connect().bulk_state("../../sobjects/User")
    assert len(org.calls) == 0


def test_the_error_text_of_bulk_is_taken_apart() -> None:
    from connectors.salesforce.bulk import bulk_error

    assert bulk_error("REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --") == VendorError(
        "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ("Name",)
    )
    assert bulk_error("DUPLICATE_VALUE:duplicate value found: A on B:--") == VendorError(
        "DUPLICATE_VALUE", "duplicate value found: A on B"
    )
    assert bulk_error("") is None
    assert bulk_error("something else entirely") is None

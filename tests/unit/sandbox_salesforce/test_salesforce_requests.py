"""The HTTP side: versions, paths, collections, composite, Bulk 2.0, limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest


def _records(object_name: str, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"attributes": {"type": object_name}, **row} for row in rows]


def test_versions_41_to_68_are_served_and_older_ones_are_gone(api: Any) -> None:
    listed = api.client.get("/services/data/").get_json()
    assert [listed[0]["version"], listed[-1]] == [
        "41.0",
        {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"},
    ]
    for version in ("41.0", "68.0"):
        assert api.raw("GET", f"/services/data/v{version}/limits").status_code == 200
    gone = api.raw("GET", "/services/data/v40.0/limits")
    assert (gone.status_code, gone.get_json()[0]["errorCode"]) == (410, "UNSUPPORTED_API_VERSION")
    for version in ("69.0", "68", "68.1"):
        assert api.raw("GET", f"/services/data/v{version}/limits").status_code == 404


def test_without_a_valid_token_nothing_is_done(api: Any) -> None:
    for authorization in ("", "Bearer nonsense", f"Basic {api.token}"):
        reply = api.raw("POST", "sobjects/Account", {"Name": "x"}, headers={"Authorization": authorization})
        assert reply.status_code == 401
        assert reply.get_json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert api.state("Account") == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "sobjects/Invoice/describe", 404, "NOT_FOUND"),
        ("GET", "nothing", 404, "NOT_FOUND"),
        ("PUT", "sobjects/Account", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "query", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "composite", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "search", 501, "SANDBOX_NOT_SIMULATED"),
        ("POST", "composite/tree/Account", 501, "SANDBOX_NOT_SIMULATED"),
        ("GET", "sobjects/Account/updated", 501, "SANDBOX_NOT_SIMULATED"),
        ("GET", "query/01g5e0000000001AAA-2000", 400, "INVALID_QUERY_LOCATOR"),
    ],
)
def test_what_is_not_there_is_said_in_the_array_form(api: Any, method: str, path: str, status: int, code: str) -> None:
    assert api(method, path, status=status)[0]["errorCode"] == code


def test_a_uri_beyond_16_kilobytes_is_refused(api: Any) -> None:
    soql = f"SELECT Id FROM Account WHERE Name = '{'x' * 16_400}'"
    assert api.raw("GET", "query", query_string={"q": soql}).status_code == 414


def test_every_reply_tells_the_daily_usage(api: Any) -> None:
    for path, used in (("limits", 1), ("nothing", 1), ("sobjects", 2)):
        header = api.raw("GET", path).headers["Sforce-Limit-Info"]
        assert header in (f"api-usage={used}/100000", f"api-usage={used + 1}/100000")


def test_replies_are_pretty_only_if_asked(api: Any) -> None:
    assert b"\n" not in api.raw("GET", "limits").get_data()
    assert b"\n" in api.raw("GET", "limits", headers={"X-PrettyPrint": "1"}).get_data()


# -- collections


def test_a_collection_may_mix_types_in_up_to_ten_runs(api: Any) -> None:
    account, contact = _records("Account", {"Name": "a"})[0], _records("Contact", {"LastName": "c"})[0]
    answers = api("POST", "composite/sobjects", {"records": [account, contact] * 5})
    assert [answer["success"] for answer in answers] == [True] * 10
    assert [answer["id"][:3] for answer in answers] == ["001", "003"] * 5
    error = api("POST", "composite/sobjects", {"records": [account, contact] * 6}, status=400)[0]
    assert "more than 10 chunks" in error["message"]


def test_a_refused_record_leaves_nothing_behind_and_the_others_stay(api: Any, deal: Any) -> None:
    lines = _records("OpportunityLineItem", deal.line(), deal.line(Cost_Type__c="x"), deal.line(Quantity=3))
    answers = api("POST", "composite/sobjects", {"allOrNone": False, "records": lines})
    assert [answer["success"] for answer in answers] == [True, False, True]
    assert set(answers[1]) == {"success", "errors"}
    assert api("GET", f"sobjects/Opportunity/{deal.opportunity}")["Amount"] == 51.25


def test_all_or_none_takes_everything_back(api: Any, deal: Any) -> None:
    before = api.state("Opportunity")
    lines = _records("OpportunityLineItem", deal.line(), deal.line(Cost_Type__c="x"))
    answers = api("POST", "composite/sobjects", {"allOrNone": True, "records": lines})
    assert [answer["errors"][0]["statusCode"] for answer in answers] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    ]
    assert api.state("OpportunityLineItem") == []
    assert api.state("Opportunity") == before


def test_an_upsert_names_created_and_refuses_twins(api: Any) -> None:
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    path = "composite/sobjects/Opportunity/Hub_Id__c"
    rows = [{**fields, "Hub_Id__c": key} for key in ("a", "b", "B", None)]
    answers = api("PATCH", path, {"records": _records("Opportunity", *rows)})
    assert [answer["created"] for answer in answers] == [True, False, False, False]
    assert [answer["errors"][0]["statusCode"] if answer["errors"] else "" for answer in answers] == [
        "",
        "DUPLICATE_VALUE",
        "DUPLICATE_VALUE",
        "MISSING_ARGUMENT",
    ]
    again = api("PATCH", path, {"records": _records("Opportunity", {"Hub_Id__c": "A", "NextStep": "x"})})
    assert again == [{"id": answers[0]["id"], "success": True, "errors": [], "created": False}]


def test_an_upsert_by_no_external_id_is_refused_as_a_whole(api: Any) -> None:
    error = api("PATCH", "composite/sobjects/Opportunity/NextStep", {"records": []}, status=400)[0]
    assert error["errorCode"] == "INVALID_FIELD"
    assert "does not match an External ID" in error["message"]


def test_collections_delete_and_read_by_ids(api: Any) -> None:
    ids = [api.create("Account", Name=name) for name in ("a", "b")]
    query = {"ids": f"{ids[1]},{ids[0]},0015e00000zzzzz", "fields": "Name"}
    found = api("GET", "composite/sobjects/Account", query_string=query)
    assert [row and row["Name"] for row in found] == ["b", "a", None]
    answers = api("DELETE", "composite/sobjects", query_string={"ids": f"{ids[0]},junk", "allOrNone": "false"})
    assert answers[0] == {"id": ids[0], "success": True, "errors": []}
    assert answers[1]["errors"][0]["statusCode"] == "MALFORMED_ID"
    assert [row["Name"] for row in api.rows("SELECT Name FROM Account")] == ["b"]


# -- composite


def _part(reference: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    part = {"referenceId": reference, "method": method, "url": f"/services/data/v68.0/{path}"}
    return part if body is None else {**part, "body": body}


def test_a_composite_part_may_use_what_an_earlier_one_answered(api: Any) -> None:
    parts = [
        _part("acme", "POST", "sobjects/Account", {"Name": "Acme"}),
        _part("jane", "POST", "sobjects/Contact", {"LastName": "Jane", "AccountId": "@{acme.id}"}),
        _part("found", "GET", "query?q=SELECT+Id,AccountId+FROM+Contact+WHERE+AccountId='@{acme.id}'"),
        _part("again", "GET", "sobjects/Account/@{found.records[0].AccountId}?fields=Name"),
    ]
    answers = api("POST", "composite", {"compositeRequest": parts})["compositeResponse"]
    assert [answer["httpStatusCode"] for answer in answers] == [201, 201, 200, 200]
    assert answers[0]["httpHeaders"]["Location"].endswith(answers[0]["body"]["id"])
    assert answers[3]["body"]["Name"] == "Acme"


def test_a_part_that_needs_a_failed_one_is_halted(api: Any) -> None:
    parts = [
        _part("acme", "POST", "sobjects/Account", {}),
        _part("jane", "POST", "sobjects/Contact", {"LastName": "Jane", "AccountId": "@{acme.id}"}),
        _part("free", "POST", "sobjects/Account", {"Name": "Free"}),
    ]
    answers = api("POST", "composite", {"compositeRequest": parts})["compositeResponse"]
    assert [answer["httpStatusCode"] for answer in answers] == [400, 400, 201]
    assert answers[1]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_an_all_or_none_composite_takes_everything_back(api: Any) -> None:
    parts = [_part("good", "POST", "sobjects/Account", {"Name": "Good"}), _part("bad", "POST", "sobjects/Account", {})]
    answers = api("POST", "composite", {"allOrNone": True, "compositeRequest": parts})["compositeResponse"]
    assert [answer["body"][0]["errorCode"] for answer in answers] == ["PROCESSING_HALTED", "REQUIRED_FIELD_MISSING"]
    assert api.state("Account") == []


def test_a_composite_has_at_most_25_parts_and_5_queries(api: Any) -> None:
    many = [_part(f"r{n}", "GET", "limits") for n in range(26)]
    assert api("POST", "composite", {"compositeRequest": many}, status=400)
    assert api("POST", "composite", {"compositeRequest": many[:25]})
    queries = [_part(f"q{n}", "GET", "query?q=SELECT+Id+FROM+Account") for n in range(6)]
    assert api("POST", "composite", {"compositeRequest": queries}, status=400)
    assert api("POST", "composite", {"compositeRequest": queries[:5]})


# -- Bulk 2.0


def _job(api: Any, csv: str, **facts: Any) -> str:
    body = {"object": "Account", "operation": "insert", "contentType": "CSV", "lineEnding": "LF", **facts}
    job = api("POST", "jobs/ingest", body)
    assert job["state"] == "Open"
    upload = api.raw("PUT", f"jobs/ingest/{job['id']}/batches", data=csv.encode(), content_type="text/csv")
    assert upload.status_code == 201
    return str(job["id"])


def _wait(api: Any, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        facts: dict[str, Any] = api("GET", f"jobs/ingest/{job}")
        if facts["state"] in ("JobComplete", "Failed", "Aborted"):
            return facts
        time.sleep(0.002)
    raise AssertionError("the job did not end")


def test_a_job_that_stops_midway_has_unprocessed_records(api: Any) -> None:
    api.control("faults", job_stop={"count": 1})
    job = _job(api, "Name\n" + "".join(f"A{n}\n" for n in range(450)))
    api("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"})
    facts = _wait(api, job)
    assert facts["state"] == "Failed"
    texts = {
        which: api.raw("GET", f"jobs/ingest/{job}/{which}").get_data(as_text=True).splitlines()
        for which in ("successfulResults", "failedResults", "unprocessedrecords")
    }
    assert {which: len(lines) - 1 for which, lines in texts.items()} == {
        "successfulResults": 200,
        "failedResults": 0,
        "unprocessedrecords": 250,
    }
    assert texts["unprocessedrecords"][:2] == ['"Name"', '"A200"']
    assert len(api.state("Account")) == 200


def test_an_aborted_job_does_nothing(api: Any) -> None:
    job = _job(api, "Name\nA\n")
    assert api("PATCH", f"jobs/ingest/{job}", {"state": "Aborted"})["state"] == "Aborted"
    assert (
        api("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"}, status=400)[0]["errorCode"] == "INVALIDJOBSTATE"
    )
    assert api.state("Account") == []


@pytest.mark.parametrize(
    ("csv", "words"),
    [("Nmae\nA\n", "Field name not found : Nmae"), ("", "no header"), ('Name\n"A\n', "Failed to parse CSV")],
)
def test_a_csv_that_cannot_be_read_fails_the_job(api: Any, csv: str, words: str) -> None:
    job = _job(api, csv or "\n")
    api("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"})
    facts = _wait(api, job)
    assert facts["state"] == "Failed"
    assert words in facts["errorMessage"]


def test_an_empty_cell_leaves_a_field_alone(api: Any) -> None:
    id_ = api.create("Account", Name="Acme", Phone="1", Fax="2", NumberOfEmployees=5)
    job = _job(api, f"Id,Phone,Fax,NumberOfEmployees\n{id_},,#N/A,7\n", operation="update")
    api("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"})
    assert _wait(api, job)["numberRecordsFailed"] == 0
    row = api("GET", f"sobjects/Account/{id_}")
    assert (row["Phone"], row["Fax"], row["NumberOfEmployees"]) == ("1", None, 7)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"object": "Invoice"}, "INVALIDENTITY"),
        ({"operation": "merge"}, "INVALIDOPERATION"),
        ({"operation": "upsert"}, "INVALIDJOB"),
        ({"operation": "upsert", "externalIdFieldName": "Phone"}, "INVALIDJOB"),
        ({"columnDelimiter": "STAR"}, "INVALIDJOB"),
    ],
)
def test_a_job_that_cannot_be_is_refused(api: Any, facts: dict[str, Any], code: str) -> None:
    body = {"object": "Account", "operation": "insert", **facts}
    assert api("POST", "jobs/ingest", body, status=400)[0]["errorCode"] == code


# -- concurrency


def test_parallel_upserts_of_one_external_id_make_one_record(make_api: Callable[..., Any]) -> None:
    api = make_api()
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    statuses: list[int] = []

    def upsert() -> None:
        statuses.append(api.raw("PATCH", "sobjects/Opportunity/Hub_Id__c/ord-1", fields).status_code)

    threads = [threading.Thread(target=upsert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [201]
    assert len(api.state("Opportunity")) == 1

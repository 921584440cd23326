"""The unmodified simple-salesforce client against the sandbox: what a real integration does, end to end."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import Salesforce, SalesforceLogin
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from sandbox.serving import RunningServer

USERNAME = "integration@orderhub.example"
Session = Callable[[str], requests.Session]
Control = Callable[..., Any]


@pytest.fixture(scope="module")
def key_pair() -> tuple[str, str]:
    """A private key and its public half, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _assertion(private_key: str, **changed: Any) -> str:
    claims = {
        "iss": "orderhub",
        "sub": USERNAME,
        "aud": "https://login.salesforce.com",
        "exp": datetime.now(UTC) + timedelta(minutes=3),
    }
    return jwt.encode({**claims, **changed}, private_key, algorithm="RS256")


def _token(url: str, **form: str) -> requests.Response:
    return requests.post(f"{url}/services/oauth2/token", data=form, timeout=60)


@pytest.fixture
def opportunities(sf: Salesforce) -> list[str]:
    """An account's three opportunities."""
    account = sf.Account.create({"Name": "Acme"})["id"]
    rows = [
        {"Name": f"Deal {n}", "AccountId": account, "StageName": "Prospecting", "CloseDate": "2019-10-01"}
        for n in range(3)
    ]
    return [sf.Opportunity.create(row)["id"] for row in rows]


@pytest.fixture
def entry(sf: Salesforce) -> str:
    """A price book entry in USD."""
    product = sf.Product2.create({"Name": "Ads", "IsActive": True})["id"]
    book = sf.query("SELECT Id FROM Pricebook2 WHERE IsStandard = TRUE")["records"][0]["Id"]
    values = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 1, "IsActive": True, "CurrencyIsoCode": "USD"}
    return str(sf.PricebookEntry.create(values)["id"])


# -- log-in


def test_client_credentials_log_in_and_every_reply_tells_the_usage(sf: Salesforce) -> None:
    sf.query("SELECT Id FROM Account")
    sf.limits()
    usage = sf.api_usage["api-usage"]
    assert (usage.used, usage.total) == (2, 100_000)


def test_jwt_bearer_logs_in(
    org: RunningServer, control: Control, loopback_session: Session, key_pair: tuple[str, str]
) -> None:
    private, public = key_pair
    control("setup", certificate=public)
    sf = Salesforce(
        username=USERNAME,
        consumer_key="orderhub",
        privatekey=private,
        domain="login",
        instance_url="acme.my",
        version="68.0",
        session=loopback_session(org.url),
    )
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 0


@pytest.mark.parametrize(
    ("changed", "error", "description"),
    [
        ({"aud": "https://evil.example"}, "invalid_grant", "audience is invalid"),
        ({"exp": datetime.now(UTC) - timedelta(minutes=1)}, "invalid_grant", "expired authorization code"),
        ({"sub": "someone@else.example"}, "invalid_grant", "user hasn't approved this consumer"),
        ({"iss": "other"}, "invalid_client_id", "client identifier invalid"),
    ],
)
def test_a_wrong_assertion_is_refused(
    org: RunningServer,
    control: Control,
    key_pair: tuple[str, str],
    changed: dict[str, Any],
    error: str,
    description: str,
) -> None:
    private, public = key_pair
    control("setup", certificate=public)
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    reply = _token(org.url, grant_type=grant, assertion=_assertion(private, **changed))
    assert (reply.status_code, reply.json()) == (400, {"error": error, "error_description": description})


def test_an_assertion_signed_with_another_key_is_refused(
    org: RunningServer, control: Control, key_pair: tuple[str, str]
) -> None:
    control("setup", certificate=key_pair[1])
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = jwt.encode(
        {"iss": "orderhub", "sub": USERNAME, "aud": "https://login.salesforce.com", "exp": time.time() + 60},
        other,
        algorithm="RS256",
    )
    reply = _token(org.url, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=forged)
    assert reply.json() == {"error": "invalid_grant", "error_description": "invalid assertion"}


def test_a_wrong_secret_is_refused_in_the_oauth_form(org: RunningServer, loopback_session: Session) -> None:
    with pytest.raises(SalesforceAuthenticationFailed) as refused:
        SalesforceLogin(
            consumer_key="orderhub", consumer_secret="wrong", domain="acme.my", session=loopback_session(org.url)
        )
    assert refused.value.code == "invalid_client"


def test_there_is_no_password_flow(org: RunningServer, secret: str) -> None:
    form = {
        "grant_type": "password",
        "client_id": "orderhub",
        "client_secret": secret,
        "username": USERNAME,
        "password": "x",
    }
    reply = _token(org.url, **form)
    assert (reply.status_code, reply.json()["error"]) == (400, "unsupported_grant_type")


def test_credentials_may_come_in_the_body(org: RunningServer, secret: str) -> None:
    reply = _token(org.url, grant_type="client_credentials", client_id="orderhub", client_secret=secret)
    assert reply.status_code == 200
    assert reply.json()["instance_url"] == org.url
    assert reply.json()["token_type"] == "Bearer"


def test_an_expired_token_is_401_in_the_array_form(org: RunningServer, control: Control, secret: str) -> None:
    token = _token(org.url, grant_type="client_credentials", client_id="orderhub", client_secret=secret).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    url = f"{org.url}/services/data/v68.0/limits"
    assert requests.get(url, headers=headers, timeout=60).status_code == 200
    control("faults", expired_token={"count": 1, "operations": ["limits"]})
    for _ in range(2):  # the token stays dead, not only for the struck call
        reply = requests.get(url, headers=headers, timeout=60)
        assert reply.status_code == 401
        assert reply.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_the_client_logs_in_again_when_its_token_expires(sf: Salesforce, control: Control) -> None:
    control("faults", expired_token={"count": 1})
    assert sf.Account.create({"Name": "Acme"})["success"]
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 1


# -- records


def test_upsert_by_external_id_creates_then_updates(sf: Salesforce) -> None:
    fields = {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2019-10-01"}
    assert sf.Opportunity.upsert("Hub_Id__c/ord-1", fields) == 201
    again = sf.Opportunity.upsert("Hub_Id__c/ord-1", {"Hub_Status__c": "live"}, raw_response=True)
    assert (again.status_code, again.json()["created"]) == (200, False)
    row = sf.Opportunity.get_by_custom_id("Hub_Id__c", "ord-1")
    assert (row["Name"], row["Hub_Status__c"]) == ("Deal", "live")


def test_upsert_that_matches_several_records_is_300(sf: Salesforce) -> None:
    ids = {sf.Contact.create({"LastName": name, "Email": "same@x.example"})["id"] for name in ("One", "Two")}
    with pytest.raises(SalesforceMoreThanOneRecord) as several:
        sf.Contact.upsert("Email/same@x.example", {"FirstName": "Three"})
    assert {url.rpartition("/")[2] for url in several.value.content} == ids


def test_collections_answer_record_by_record_in_order(sf: Salesforce, opportunities: list[str]) -> None:
    records = [
        {"attributes": {"type": "Opportunity"}, "Id": opportunities[0], "Hub_Status__c": "live"},
        {"attributes": {"type": "Opportunity"}, "Id": opportunities[1], "Hub_Status__c": "x" * 41},
        {"attributes": {"type": "Opportunity"}, "Id": opportunities[2][:15], "NoSuch__c": 1},
        {"attributes": {"type": "Opportunity"}, "Id": opportunities[2][:15], "PO_Number__c": "PO-9"},
    ]
    answers = sf.restful("composite/sobjects", method="PATCH", json={"allOrNone": False, "records": records[:3]})
    assert [answer["success"] for answer in answers] == [True, False, False]
    assert answers[1]["errors"] == [
        {
            "statusCode": "STRING_TOO_LONG",
            "message": f"Hub Status: data value too large: {'x' * 41} (max length=40)",
            "fields": ["Hub_Status__c"],
        }
    ]
    assert answers[2]["errors"] == [
        {
            "statusCode": "INVALID_FIELD",
            "message": "No such column 'NoSuch__c' on sobject of type Opportunity",
            "fields": [],
        }
    ]
    answers = sf.restful(
        "composite/sobjects", method="PATCH", json={"allOrNone": True, "records": [records[3], records[1]]}
    )
    codes = [answer["errors"][0]["statusCode"] for answer in answers]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "STRING_TOO_LONG"]
    assert sf.Opportunity.get(opportunities[2])["PO_Number__c"] is None


def test_more_than_200_records_in_a_call_are_refused(sf: Salesforce, org: RunningServer) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": f"A{n}"} for n in range(201)]
    with pytest.raises(SalesforceMalformedRequest) as refused:
        sf.restful("composite/sobjects", method="POST", json={"records": records})
    assert refused.value.content[0]["errorCode"] == "EXCEEDED_ID_LIMIT"
    assert requests.get(f"{org.url}/control/state?type=Account", timeout=60).json() == []


def test_queries_come_in_pages_that_the_client_follows(sf: Salesforce) -> None:
    for start in range(0, 4200, 200):
        records = [{"attributes": {"type": "Account"}, "Name": f"A{n:05}"} for n in range(start, start + 200)]
        sf.restful("composite/sobjects", method="POST", json={"records": records})
    first = sf.query("SELECT Name FROM Account ORDER BY Name")
    assert (first["totalSize"], first["done"], len(first["records"])) == (4200, False, 2000)
    names = [row["Name"] for row in sf.query_all_iter("SELECT Name FROM Account ORDER BY Name")]
    assert names == [f"A{n:05}" for n in range(4200)]
    header = {"Sforce-Query-Options": "batchSize=500"}
    assert len(sf.query("SELECT Id FROM Account", headers=header)["records"]) == 500


def test_deleted_records_are_seen_by_query_all_only(sf: Salesforce, opportunities: list[str]) -> None:
    sf.Opportunity.delete(opportunities[0])
    soql = "SELECT Id, IsDeleted FROM Opportunity WHERE IsDeleted = TRUE"
    assert sf.query(soql)["totalSize"] == 0
    assert [row["Id"] for row in sf.query(soql, include_deleted=True)["records"]] == [opportunities[0]]
    with pytest.raises(SalesforceResourceNotFound) as gone:
        sf.Opportunity.get(opportunities[0])
    assert gone.value.content[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_describe_is_304_if_nothing_changed_since(sf: Salesforce, control: Control) -> None:
    headers = {"If-Modified-Since": "Thu, 12 Sep 2019 00:00:00 GMT"}
    with pytest.raises(SalesforceGeneralError) as unchanged:
        sf.Opportunity.describe(headers=headers)
    assert unchanged.value.status == 304
    control("clock", now="2019-09-13T00:00:00Z")
    control("fields", object="Opportunity", field="New__c", type="string", length=10)
    names = [field["name"] for field in sf.Opportunity.describe(headers=headers)["fields"]]
    assert "New__c" in names


def test_the_quota_error_is_403_and_shared_with_permission_errors(sf: Salesforce, control: Control) -> None:
    control("faults", quota={"count": 1, "operations": ["limits"]})
    with pytest.raises(SalesforceRefusedRequest) as refused:
        sf.limits()
    assert refused.value.content == [
        {"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}
    ]


def test_the_daily_limit_is_enforced(sf: Salesforce, control: Control) -> None:
    control("usage", limit=2)
    sf.limits()
    assert sf.limits()["DailyApiRequests"] == {"Max": 2, "Remaining": 0}
    with pytest.raises(SalesforceRefusedRequest):
        sf.limits()


# -- Bulk 2.0


def test_bulk_upsert_reports_successes_and_failures_apart(sf: Salesforce, opportunities: list[str], entry: str) -> None:
    rows = [
        {
            "External_Line_Id__c": f"line-{n}",
            "OpportunityId": opportunities[n % 3],
            "PricebookEntryId": entry,
            "Quantity": "1",
            "UnitPrice": "10.5",
            "Cost_Type__c": "CPM" if n else "CPX",
        }
        for n in range(450)
    ]
    (result,) = sf.bulk2.OpportunityLineItem.upsert(records=rows, external_id_field="External_Line_Id__c", wait=0.01)
    assert (result["numberRecordsProcessed"], result["numberRecordsFailed"]) == (450, 1)
    failed = list(csv.DictReader(io.StringIO(sf.bulk2.OpportunityLineItem.get_failed_records(result["job_id"]))))
    assert [row["External_Line_Id__c"] for row in failed] == ["line-0"]
    assert failed[0]["sf__Error"].startswith("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:Cost Type: bad value")
    good = list(csv.DictReader(io.StringIO(sf.bulk2.OpportunityLineItem.get_successful_records(result["job_id"]))))
    assert len(good) == 449
    assert {row["sf__Created"] for row in good} == {"true"}
    total = sf.query(f"SELECT Amount FROM Opportunity WHERE Id = '{opportunities[1]}'")["records"][0]["Amount"]
    assert total == 150 * 10.5


def test_bulk_query_comes_in_pages(sf: Salesforce, opportunities: list[str]) -> None:
    pages = list(
        sf.bulk2.Opportunity.query("SELECT Id, Account.Name FROM Opportunity ORDER BY Id", wait=0.01, max_records=2)
    )
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page))]
    assert len(pages) == 2
    assert [row["Id"] for row in rows] == sorted(opportunities)
    assert {row["Account.Name"] for row in rows} == {"Acme"}


def test_bulk_delete_and_update(sf: Salesforce, opportunities: list[str]) -> None:
    (updated,) = sf.bulk2.Opportunity.update(
        records=[{"Id": opportunities[0], "Hub_Status__c": "live", "PO_Number__c": "#N/A"}], wait=0.01
    )
    assert updated["numberRecordsFailed"] == 0
    (deleted,) = sf.bulk2.Opportunity.delete(records=[{"Id": opportunities[1]}], wait=0.01)
    assert deleted["numberRecordsFailed"] == 0
    left = sf.query("SELECT Id, Hub_Status__c FROM Opportunity")["records"]
    assert {row["Id"]: row["Hub_Status__c"] for row in left} == {opportunities[0]: "live", opportunities[2]: None}

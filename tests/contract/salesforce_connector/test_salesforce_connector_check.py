"""The check of a connection against the simulated org."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.base import CheckReport, FieldSchema, FieldType, Severity
from connectors.errors import AuthFailed, Misconfigured, QuotaExhausted
from connectors.salesforce import SalesforceConnector

from .conftest import Org

Connect = Callable[..., SalesforceConnector]


def said(report: CheckReport, subject: str) -> list[tuple[Severity, str]]:
    return [(f.severity, f.sentence) for f in report.findings if f.subject == subject]


def test_a_sound_connection_is_usable_and_names_its_org(org: Org, connect: Connect) -> None:
    report = connect().check({"Opportunity": ["Name", "Account.Name", "Hub_Status__c"], "Account": ["Name"]})
    assert report.usable, report.findings
    assert report.account.startswith("00D")
    assert len(report.account) == 15


def test_a_hidden_and_a_missing_field_are_the_same_error_with_both_reasons(org: Org, connect: Connect) -> None:
    connector = connect()
    assert connector.check({"Opportunity": ["Hub_Status__c"]}).usable
    org.advance(5)  # describes are told apart by whole seconds
    org.control("fls", object="Opportunity", field="Hub_Status__c", visible=False)
    report = connector.check({"Opportunity": ["Hub_Status__c", "Never__c", "Nowhere.Name"]})
    for name in ("Hub_Status__c", "Never__c", "Nowhere.Name"):
        ((severity, sentence),) = said(report, f"Opportunity.{name}")
        assert severity is Severity.ERROR
        assert "does not exist, or it is hidden" in sentence


def test_a_field_that_cannot_be_written_is_a_warning_or_an_error_if_it_will_be(org: Org, connect: Connect) -> None:
    org.control("fls", object="Opportunity", field="Hub_Status__c", visible=True, editable=False)
    connector = connect()
    used = {"Opportunity": ["Hub_Status__c"]}
    assert [s for s, _ in said(connector.check(used), "Opportunity.Hub_Status__c")] == [Severity.WARNING]
    assert [s for s, _ in said(connector.check(used, used), "Opportunity.Hub_Status__c")] == [Severity.ERROR]


def test_renamed_values_are_listed(org: Org, connect: Connect) -> None:
    org.control(
        "picklist", object="Opportunity", field="Type", values=["New Customer", "Agency of Record"], restricted=True
    )
    report = connect().check({"Opportunity": ["Type"]})
    ((severity, sentence),) = said(report, "Opportunity.Type")
    assert severity is Severity.WARNING
    assert "Agency of Record" in sentence
    assert "Existing Customer - Upgrade" in sentence
    assert "refused" in sentence


def test_shorter_fields_are_told(org: Org, connect: Connect) -> None:
    org.control("fields", object="Opportunity", field="NextStep", type="string", length=100)
    ((severity, sentence),) = said(connect().check({"Opportunity": ["NextStep"]}), "Opportunity.NextStep")
    assert severity is Severity.WARNING
    assert "100 characters" in sentence


def test_an_external_id_field_must_be_unique(org: Org, connect: Connect) -> None:
    report = connect(external_id_fields={"Opportunity": "PO_Number__c"}).check()
    ((severity, sentence),) = said(report, "Opportunity.PO_Number__c")
    assert severity is Severity.ERROR
    assert "Unique" in sentence


def test_few_calls_left_are_told_and_none_is_an_error(org: Org, connect: Connect) -> None:
    org.control("usage", limit=100, reset=True)
    report = connect(daily_call_limit=15_000, daily_call_reserve=99).check()
    assert [s for s, _ in said(report, "daily_call_limit")] == [Severity.WARNING]
    assert [s for s, _ in said(report, "daily_call_reserve")] == [Severity.WARNING]
    org.control("usage", limit=1, reset=True)
    connector = connect(daily_call_reserve=1, daily_call_limit=100)
    with pytest.raises(QuotaExhausted):
        connector.check()
    assert connector.quota == (1, 1)


def test_an_unchanged_describe_is_not_sent_again(org: Org, connect: Connect) -> None:
    from connectors.salesforce.session import OrgSession

    connector = connect()
    statuses: list[int] = []
    real = OrgSession.send

    def noting(self: OrgSession, call: Any) -> Any:
        reply = real(self, call)
        if "describe" in call.path:
            statuses.append(reply.status)
        return reply

    org.advance(60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OrgSession, "send", noting)
        first = connector.check({"Opportunity": ["Name", "Nope__c"]})
        second = connector.check({"Opportunity": ["Name", "Nope__c"]})
    assert statuses[0] == 200
    assert statuses[-1] == 304
    assert said(first, "Opportunity.Nope__c") == said(second, "Opportunity.Nope__c")


def test_an_old_or_unknown_api_version_is_told(org: Org, connect: Connect) -> None:
    for version in ("99.0", "30.0"):
        with pytest.raises(Misconfigured, match=r"administrator sets api_version to one of .*68\.0"):
            connect(api_version=version).check()


def test_wrong_credentials_stop_the_connection_without_showing_them(org: Org, connect: Connect) -> None:
    with pytest.raises(AuthFailed) as caught:
        connect(consumer_secret="wrong-but-secret").check()
    assert "wrong-but-secret" not in str(caught.value)


def test_a_login_by_certificate_works_and_a_foreign_key_is_refused(org: Org, connect: Connect) -> None:
    key, foreign = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    setup = org.control("setup", certificate=public.decode())

    def settings(private: rsa.RSAPrivateKey) -> dict[str, Any]:
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "auth": "jwt",
            "consumer_secret": None,
            "username": setup["username"],
            "private_key": pem.decode(),
        }

    assert connect(**settings(key)).check().usable
    with pytest.raises(AuthFailed):
        connect(**settings(foreign)).check()


def test_observe_shows_every_field_the_org_shows(org: Org, connect: Connect) -> None:
    deal = org.deal(Hub_Status__c="LIVE")
    seen = connect().observe("Opportunity", [deal, "006000000000999AAA"])
    assert seen.keys() == {deal}
    assert seen[deal]["Hub_Status__c"] == "LIVE"
    assert seen[deal]["StageName"] == "Closed Won"


def declared(path: str, kind: FieldType, **more: Any) -> dict[str, list[FieldSchema]]:
    return {"Opportunity": [FieldSchema(path, kind, **more)]}


def test_an_own_field_of_another_type_is_an_error_where_the_mapping_says_otherwise(org: Org, connect: Connect) -> None:
    connector = connect()
    (finding,) = connector.check_declared(declared("PO_Number__c", FieldType.DATETIME), {})
    assert (finding.severity, finding.subject) == (Severity.ERROR, "Opportunity.PO_Number__c")
    assert connector.check_declared(declared("PO_Number__c", FieldType.STRING), {}) == []
    assert connector.check_declared(declared("PO_Number__c", FieldType.ID), {}) == [], "an id is text, too"


def test_an_own_field_too_short_for_what_is_written_is_told(org: Org, connect: Connect) -> None:
    org.control("fields", object="Opportunity", field="Hub_Status_Text__c", type="string", length=80)
    wanted = declared("Hub_Status_Text__c", FieldType.STRING, length=255)
    (finding,) = connect().check_declared({}, wanted)
    assert finding.severity is Severity.WARNING
    assert "80 characters" in finding.sentence
    assert "255" in finding.sentence
    assert connect().check_declared(wanted, {}) == [], "what is only read may be shorter"


def test_values_of_an_own_picklist_that_the_mapping_does_not_know_are_told(org: Org, connect: Connect) -> None:
    org.control("picklist", object="OpportunityLineItem", field="Cost_Type__c", values=["CPM", "CPX"], restricted=True)
    field = FieldSchema("Cost_Type__c", FieldType.ENUM, values=frozenset({"CPM", "CPC"}), values_closed=True)
    (read,) = connect().check_declared({"OpportunityLineItem": [field]}, {})
    assert "CPX" in read.sentence
    assert "CPC" not in read.sentence, "a value that is never read does no harm"
    (written,) = connect().check_declared({}, {"OpportunityLineItem": [field]})
    assert "CPC" in written.sentence
    assert "CPX" not in written.sentence


def test_a_declared_field_or_object_that_is_not_there_is_left_to_the_check(org: Org, connect: Connect) -> None:
    missing = {
        "Opportunity": [FieldSchema("Nothing__c", FieldType.STRING)],
        "Nowhere": [FieldSchema("A", FieldType.ID)],
    }
    assert connect().check_declared(missing, missing) == []

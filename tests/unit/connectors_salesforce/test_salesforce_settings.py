"""Settings that cannot work are refused with a sentence, and secrets do not leave them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.salesforce import SalesforceConnector, SalesforceSettings

CLIENT = {"domain": "acme.my", "consumer_key": "k", "consumer_secret": "hush-hush"}
JWT = {"domain": "acme.my", "consumer_key": "k", "auth": "jwt", "username": "u@acme.example", "private_key": "PEM-hush"}


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        SalesforceSettings.model_validate(values)
    return str(caught.value)


@pytest.mark.parametrize("values", [CLIENT, JWT, {**JWT, "login_domain": "test"}])
def test_complete_settings_are_accepted(values: dict[str, Any]) -> None:
    assert SalesforceSettings.model_validate(values).api_version == "68.0"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({**CLIENT, "consumer_secret": None}, "auth client_credentials needs consumer_secret"),
        ({**CLIENT, "consumer_secret": ""}, "auth client_credentials needs consumer_secret"),
        ({**CLIENT, "username": "u"}, "does not use username"),
        ({**CLIENT, "domain": "login"}, "the org's own My Domain"),
        ({**JWT, "private_key": None}, "auth jwt needs private_key"),
        ({**JWT, "consumer_secret": "s"}, "auth jwt does not use consumer_secret"),
        ({**JWT, "login_domain": "acme.my"}, "login_domain must be 'login' or 'test'"),
        ({**CLIENT, "domain": "https://acme.my.salesforce.com"}, "the part before '.salesforce.com'"),
        ({**CLIENT, "domain": "acme.my.salesforce.com"}, "the part before '.salesforce.com'"),
        ({**CLIENT, "domain": "acme.my/evil"}, "the part before '.salesforce.com'"),
        ({**CLIENT, "api_version": "v68"}, "api_version"),
        ({**CLIENT, "endpoint": "http://10.0.0.1:80"}, "endpoint must use https"),
        ({**CLIENT, "endpoint": "https://u:p@proxy.example"}, "no user or password"),
        ({**CLIENT, "endpoint": "proxy.example"}, "endpoint must be a base URL"),
        ({**CLIENT, "multi_currency": False}, "needs currency"),
        ({**CLIENT, "currency": "EUR"}, "remove one of the two"),
        ({**CLIENT, "daily_call_limit": 10, "daily_call_reserve": 10}, "no call is left"),
        ({**CLIENT, "external_id_fields": {"Account": "Hub_Id__c"}}, "names Account"),
        ({**CLIENT, "external_id_fields": {"Opportunity": "Name"}}, "must be a custom field"),
        ({**CLIENT, "password": "x"}, "password"),
        ({**CLIENT, "page_size": 2001}, "page_size"),
    ],
)
def test_settings_that_cannot_work_say_why(values: dict[str, Any], words: str) -> None:
    assert words in refused(values)


def test_secrets_appear_in_no_message_and_no_repr() -> None:
    for values in ({**CLIENT, "username": "u"}, {**JWT, "consumer_secret": "s"}):
        assert "hush" not in refused(values)
    for values in (CLIENT, JWT):
        made = SalesforceSettings.model_validate(values)
        connector = SalesforceConnector(made)
        assert "hush" not in repr(made) + str(made) + repr(connector) + repr(vars(connector)) + made.model_dump_json()


def test_loopback_may_be_plain_http() -> None:
    assert SalesforceSettings.model_validate({**CLIENT, "endpoint": "http://127.0.0.1:8400/"}).endpoint == (
        "http://127.0.0.1:8400"
    )


def test_creating_is_declared_only_with_an_external_id_field() -> None:
    plain = SalesforceConnector(SalesforceSettings.model_validate(CLIENT)).capabilities
    marked = SalesforceConnector(
        SalesforceSettings.model_validate({**CLIENT, "external_id_fields": {"Opportunity": "Hub_Id__c"}})
    ).capabilities
    assert {"update"} == plain.records["Opportunity"].operations
    assert {"update", "create"} == marked.records["Opportunity"].operations
    assert marked.records["Opportunity"].marker == "Hub_Id__c"
    assert {"update"} == marked.records["OpportunityLineItem"].operations


def test_no_24_hours_hold_more_calls_than_are_the_hubs() -> None:
    capabilities = SalesforceConnector(
        SalesforceSettings.model_validate({**CLIENT, "daily_call_limit": 15_000, "daily_call_reserve": 1_000})
    ).capabilities
    (rate,) = capabilities.rates
    assert rate.limit + rate.burst <= 14_000
    assert rate.per == 86_400

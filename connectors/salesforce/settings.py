"""The settings of one Salesforce connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.endpoint import base_url

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:(?:\.|--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_CUSTOM_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,76}__c")
_SHARED_HOSTS = frozenset({"login", "test"})
WRITTEN = ("Opportunity", "OpportunityLineItem")


class Auth(StrEnum):
    """How the connection gets its token. Password login is not offered: Salesforce is retiring it for integrations."""

    CLIENT_CREDENTIALS = "client_credentials"
    JWT = "jwt"


class SalesforceSettings(BaseModel):
    """One Salesforce org in use. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    domain: str = Field(description="My Domain without `.salesforce.com`: `acme.my`, or `acme--uat.sandbox.my`")
    api_version: Annotated[str, Field(pattern=r"^\d{2,3}\.0$")] = Field(
        default="68.0", description="REST API version, as `68.0`"
    )
    auth: Auth = Field(default=Auth.CLIENT_CREDENTIALS, description="OAuth flow: client_credentials or jwt")
    consumer_key: Annotated[str, Field(min_length=1)] = Field(description="Consumer key of the External Client App")
    consumer_secret: SecretStr | None = Field(default=None, description="Consumer secret; client_credentials only")
    username: str | None = Field(default=None, description="User the token acts for; jwt only")
    private_key: SecretStr | None = Field(default=None, description="Private RSA key in PEM form; jwt only")
    login_domain: str | None = Field(
        default=None, description="`login` (production, the default of jwt) or `test` (sandbox orgs); jwt only"
    )
    endpoint: str | None = Field(
        default=None, description="Base URL that all requests go to instead of the org: a proxy, or loopback in tests"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        default=120.0, description="Longest wait for a reply. Salesforce itself gives up after 600"
    )
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="Longest wait for a connection"
    )
    max_reply_bytes: Annotated[int, Field(ge=65_536)] = Field(
        default=64 * 1024 * 1024, description="A longer reply (unpacked) is not read to its end"
    )
    page_size: Annotated[int, Field(ge=1, le=2000)] = Field(default=2000, description="Records per page of a read")
    bulk_threshold: Annotated[int, Field(ge=200)] = Field(
        default=2000, description="More records of one kind than this, due at once, are a Bulk API 2.0 job"
    )
    bulk_batch: Annotated[int, Field(ge=200, le=100_000)] = Field(
        default=10_000,
        description="Records in one bulk job at most. No job is used where `bulk_threshold` is as many or more",
    )
    # A record's SystemModstamp is set while its transaction runs, but others see the record only after the commit. Most
    # transactions with triggers and flows end within a minute; an org with long batch Apex needs up to 600.
    overlap_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="How far behind its cursor a read starts again"
    )
    multi_currency: bool = Field(default=True, description="Whether the org has more than one currency")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="The org's only currency, answered as CurrencyIsoCode where that field does not exist"
    )
    external_id_fields: Mapping[str, str] = Field(
        default_factory=dict,
        description="Unique external id field by record type, `{Opportunity: Hub_Id__c}`; allows creating such records",
    )
    daily_call_limit: Annotated[int, Field(ge=1)] = Field(
        default=100_000, description="API calls the org may make in any 24 hours (Setup, Company Information)"
    )
    daily_call_reserve: Annotated[int, Field(ge=0)] = Field(
        default=5_000, description="Of these, calls left to others: the hub stops before them"
    )
    quota_pause_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=60.0, description="How long the hub waits once the calls are used up. The 24 hours roll on all the time"
    )
    max_concurrency: Annotated[int, Field(ge=1, le=25)] = Field(
        default=5,
        description="Requests at the same time. An org allows 25 that last over 20 seconds, a developer org 5",
    )
    max_in_flight_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=600.0, description="How long after a lost reply the request may still be applied"
    )

    @field_validator("domain")
    @classmethod
    def _prefix_only(cls, value: str) -> str:
        if not _DOMAIN.fullmatch(value) or value.endswith(("salesforce.com", "force.com")):
            raise ValueError(
                "domain must be the part before '.salesforce.com' in lower case, without https://, "
                "for instance 'acme.my' for https://acme.my.salesforce.com"
            )
        return value

    @field_validator("login_domain")
    @classmethod
    def _login_or_test(cls, value: str | None) -> str | None:
        if value is not None and value not in _SHARED_HOSTS:
            raise ValueError("login_domain must be 'login' or 'test'; it is the audience that Salesforce checks")
        return value

    @field_validator("endpoint")
    @classmethod
    def _https_or_loopback(cls, value: str | None) -> str | None:
        return None if value is None else base_url(value, "endpoint", "https://proxy.acme.example/salesforce")

    @field_validator("external_id_fields")
    @classmethod
    def _known_records(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for record, name in value.items():
            if record not in WRITTEN:
                raise ValueError(f"external_id_fields names {record}; it may name {' and '.join(WRITTEN)}")
            if not _CUSTOM_FIELD.fullmatch(name):
                raise ValueError(
                    f"external_id_fields.{record} must be a custom field such as 'Hub_Id__c', not {name!r}"
                )
        return value

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        problems = [*self._auth_problems(), *self._quota_problems(), *self._currency_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _auth_problems(self) -> list[str]:
        if self.auth is Auth.CLIENT_CREDENTIALS:
            needed: dict[str, object] = {"consumer_secret": self.consumer_secret}
            foreign: dict[str, object] = {
                "username": self.username,
                "private_key": self.private_key,
                "login_domain": self.login_domain,
            }
        else:
            needed = {"username": self.username, "private_key": self.private_key}
            foreign = {"consumer_secret": self.consumer_secret}
        problems = [f"auth {self.auth} needs {name}" for name, value in needed.items() if not _given(value)]
        problems += [f"auth {self.auth} does not use {name}; remove it" for name, value in foreign.items() if value]
        if self.domain in _SHARED_HOSTS:
            problems.append(f"domain must be the org's own My Domain, not {self.domain!r}")
        return problems

    def _quota_problems(self) -> list[str]:
        if self.daily_call_reserve >= self.daily_call_limit:
            return ["daily_call_reserve must be less than daily_call_limit, else no call is left for the hub"]
        return []

    def _currency_problems(self) -> list[str]:
        if self.multi_currency and self.currency is not None:
            return ["currency is only for orgs with multi_currency: false; remove one of the two"]
        if not self.multi_currency and self.currency is None:
            return ["multi_currency: false needs currency, the org's only currency, for instance 'EUR'"]
        return []

    @property
    def usable_daily_calls(self) -> Decimal:
        """Calls in 24 hours the hub may use."""
        return Decimal(self.daily_call_limit - self.daily_call_reserve)


def _given(value: object) -> bool:
    return bool(value.get_secret_value()) if isinstance(value, SecretStr) else bool(value)

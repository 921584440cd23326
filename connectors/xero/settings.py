"""The settings of one Xero organisation, reached through a custom connection (client credentials)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors.endpoint import base_url

API = "https://api.xero.com"
IDENTITY = "https://identity.xero.com"
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class LineAmounts(StrEnum):
    """How Xero reads the amounts of lines (`LineAmountTypes` of its API)."""

    NO_TAX = "NoTax"
    EXCLUSIVE = "Exclusive"


class XeroSettings(BaseModel):
    """One Xero organisation in use. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tenant_id: Annotated[str, Field(pattern=_UUID)] = Field(
        description="Id of the organisation, sent with every request as `xero-tenant-id`"
    )
    client_id: Annotated[str, Field(min_length=1)] = Field(description="Client id of the custom connection")
    client_secret: SecretStr = Field(description="Its client secret, by reference")
    scopes: str = Field(
        default="accounting.transactions accounting.contacts accounting.settings.read",
        description="Rights asked for with each token; the custom connection must grant them",
    )
    account_code: Annotated[str, Field(min_length=1, max_length=10)] = Field(
        description="Code of the revenue account that lines are booked on"
    )
    line_amounts: LineAmounts = Field(
        default=LineAmounts.NO_TAX,
        description="`NoTax`: no tax on any line. `Exclusive`: Xero adds tax, which must be the tax of the document",
    )
    tax_type: str | None = Field(default=None, description="Tax type of every line (`OUTPUT2`); Exclusive only")
    due_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=30, description="Days from invoice date to due date of documents that name no due date"
    )
    create_contacts: bool = Field(
        default=True,
        description="Whether a document may create its contact; if not, an unknown code parks the document",
    )
    endpoint: str | None = Field(
        default=None, description="Base URL that all requests go to instead of Xero: a proxy, or loopback in tests"
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(default=200, description="Records per page of a read")
    # UpdatedDateUTC is set before others can see the change; how long before is not documented.
    overlap_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=120.0, description="How far behind its cursor a read starts again"
    )
    # Xero's page on idempotent requests: keys expire after about six minutes.
    key_age_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=360.0, description="How long Xero remembers an idempotency key; 0: never rely on it"
    )
    max_in_flight_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=120.0, description="How long after a lost reply the request may still be applied"
    )
    minute_call_limit: Annotated[int, Field(ge=4)] = Field(
        default=60, description="Calls in any minute the organisation allows one app"
    )
    daily_call_limit: Annotated[int, Field(ge=10)] = Field(
        default=5_000, description="Calls in any 24 hours the organisation allows one app"
    )
    daily_call_reserve: Annotated[int, Field(ge=0)] = Field(
        default=250, description="Of these, calls left to others: the hub plans without them"
    )
    max_concurrency: Annotated[int, Field(ge=1, le=5)] = Field(
        default=3, description="Requests at the same time; Xero allows five for each organisation"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(default=60.0, description="Longest wait for a reply")
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="Longest wait for a connection"
    )
    max_reply_bytes: Annotated[int, Field(ge=65_536)] = Field(
        default=32 * 1024 * 1024, description="A longer reply (unpacked) is not read to its end"
    )

    @field_validator("endpoint")
    @classmethod
    def _https_or_loopback(cls, value: str | None) -> str | None:
        return None if value is None else base_url(value, "endpoint", "https://proxy.acme.example/xero")

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Self:
        if self.line_amounts is LineAmounts.NO_TAX and self.tax_type is not None:
            raise ValueError("tax_type is for line_amounts: Exclusive; remove one of the two")
        if self.daily_call_reserve >= self.daily_call_limit:
            raise ValueError("daily_call_reserve must be less than daily_call_limit, else no call is left for the hub")
        return self

    @property
    def api_url(self) -> str:
        """Base URL of the accounting API."""
        return f"{self.endpoint or API}/api.xro/2.0"

    @property
    def token_url(self) -> str:
        """Where tokens are issued."""
        return f"{self.endpoint or IDENTITY}/connect/token"

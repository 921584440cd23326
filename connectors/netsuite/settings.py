"""The settings of one NetSuite connection."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.endpoint import base_url


class Algorithm(StrEnum):
    """How the log-in is signed; the kind of key in the certificate decides."""

    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"


class NetSuiteSettings(BaseModel):
    """One NetSuite account in use. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    account: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{3,20}(?:[_-](?:SB|RP|sb|rp)\d{1,2})?$")] = Field(
        description="Account id, `1234567`; `1234567_SB1` for a sandbox"
    )
    client_id: Annotated[str, Field(min_length=1)] = Field(description="Client id of the integration record")
    certificate_id: Annotated[str, Field(min_length=1)] = Field(
        description="Certificate id that the OAuth 2.0 client credentials set-up shows"
    )
    private_key: SecretStr = Field(description="Private key of that certificate in PEM form, by reference")
    algorithm: Algorithm = Field(
        default=Algorithm.PS256, description="PS256, PS384 or PS512 for an RSA key, ES256, ES384 or ES512 for an EC key"
    )
    item: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="Name (itemid) of the item that lines without a product of their own are sold as"
    )
    time_zone: str = Field(description="Time zone that the hub's role shows times in, IANA name: `America/Los_Angeles`")
    create_customers: bool = Field(
        default=True,
        description="Whether a document may create its customer; if not, an unknown code parks the document",
    )
    subsidiary: Annotated[str, Field(pattern=r"^\d{1,18}$")] | None = Field(
        default=None, description="Internal id of the subsidiary of new customers; needed in OneWorld accounts"
    )
    endpoint: str | None = Field(
        default=None, description="Base URL that requests go to instead of NetSuite: a proxy, or loopback in tests"
    )
    # A record is stamped while it is saved, others see it after the commit; saving may take five minutes.
    overlap_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=300.0, description="How far behind its cursor a read starts again"
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(default=500, description="Rows per page of a read")
    timeout_seconds: Annotated[float, Field(gt=0, le=900)] = Field(
        default=330.0, description="Longest wait for a reply; NetSuite itself works up to 300 on a request"
    )
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="Longest wait for a connection"
    )
    max_reply_bytes: Annotated[int, Field(ge=65_536)] = Field(
        default=16 * 1024 * 1024, description="A longer reply (unpacked) is not read to its end"
    )
    max_in_flight_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=360.0, description="How long after a lost reply the request may still be applied"
    )
    max_concurrency: Annotated[int, Field(ge=1, le=60)] = Field(
        default=2, description="Requests at the same time; all integrations of an account share 5, 15 or more"
    )
    requests_per_minute: Annotated[int, Field(ge=1)] = Field(
        default=300, description="Requests the hub sends in a minute at most"
    )
    quota_pause_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=10.0, description="How long the hub waits after 429; NetSuite names no time"
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("time_zone must be an IANA name such as 'America/Los_Angeles'") from None
        return value

    @field_validator("endpoint")
    @classmethod
    def _https_or_loopback(cls, value: str | None) -> str | None:
        return None if value is None else base_url(value, "endpoint", "https://proxy.acme.example/netsuite")

    @property
    def host(self) -> str:
        """The account's own host; a sandbox's underscore becomes a hyphen there."""
        return f"https://{self.account.lower().replace('_', '-')}.suitetalk.api.netsuite.com"

    @property
    def zone(self) -> ZoneInfo:
        """`time_zone` as an object."""
        return ZoneInfo(self.time_zone)

"""The settings of one Tryton connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from connectors.endpoint import base_url


class TrytonSettings(BaseModel):
    """One Tryton database in use. Times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(description="Base URL of the server, `https://erp.acme.example`; plain http on this machine only")
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,63}$")] = Field(description="Name of the database")
    user: Annotated[str, Field(min_length=1)] = Field(description="Login name of the hub's own user")
    password: SecretStr = Field(description="Its password, by reference")
    company: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Id of the company to work for; without it the user's own"
    )
    revenue_account: str | None = Field(
        default=None,
        description="Code of the revenue account of lines without a product; needed when there are several",
    )
    receivable_account: str | None = Field(
        default=None, description="Code of the receivable account of invoices; without it the company's default"
    )
    product: str | None = Field(
        default=None, description="Code of the product that lines without one are sold as; without it they have none"
    )
    journal: str | None = Field(
        default=None, description="Code of the revenue journal of invoices; needed when there are several"
    )
    payment_term: str | None = Field(default=None, description="Name of the payment term of invoices")
    term_from_posting: bool = Field(
        default=False,
        description="Whether the payment term counts from the day of posting, not the invoice date. Without it Tryton asks a "
        "person about every document that would be due in the past, as those of a backlog are",
    )
    create_parties: bool = Field(
        default=True, description="Whether a document may create its party; if not, an unknown code parks the document"
    )
    price_decimals: Annotated[int, Field(ge=2, le=10)] = Field(
        default=4, description="Decimals of a unit price (`price_decimal` of the server's [product] section)"
    )
    # Tryton's last_modified_at is the time at which a transaction began; others see it only after the commit.
    overlap_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=60.0, description="How far behind its cursor a read starts again"
    )
    page_size: Annotated[int, Field(ge=1, le=1000)] = Field(default=200, description="Records per page of a read")
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = Field(default=60.0, description="Longest wait for a reply")
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="Longest wait for a connection"
    )
    max_reply_bytes: Annotated[int, Field(ge=65_536)] = Field(
        default=16 * 1024 * 1024, description="A longer reply (unpacked) is not read to its end"
    )
    max_in_flight_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=120.0, description="How long after a lost reply the request may still be applied"
    )
    max_concurrency: Annotated[int, Field(ge=1, le=32)] = Field(
        default=2, description="Requests at the same time; numbers come from one strict sequence, so more gain little"
    )

    @field_validator("url")
    @classmethod
    def _https_or_loopback(cls, value: str) -> str:
        return base_url(value, "url", "https://erp.acme.example")

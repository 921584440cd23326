"""The settings of one Ad Manager connection.

Every figure that the vendor does not publish, or that rests on one report, is a setting; its description says on what
the default stands. Marks: [S] vendor's machine-readable contract or library source, [D] vendor documentation, [I] public
issue thread, [P] proven against the unmodified client, [K] general knowledge, to be checked at the first real account.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

PUBLISHED_ENDPOINT = "https://ads.google.com"


class ReportTimeZone(StrEnum):
    """Whose days a delivery report counts (`ReportQuery.timeZoneType` [S])."""

    PUBLISHER = "PUBLISHER"
    PACIFIC = "PACIFIC"


class GamSettings(BaseModel):
    """One network at one credential."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network_code: str = Field(pattern=r"^\d{1,20}$", description="Network code as the Ad Manager address shows it.")
    application_name: str = Field(
        "Orderhub",
        min_length=1,
        max_length=100,
        description="Name under which the vendor logs our requests (`RequestHeader.applicationName`).",
    )
    version: str = Field(
        "v202608",
        pattern=r"^v20\d{4}$",
        description="SOAP API version. One lives about twelve months [D]; `check` warns 60 days before its sunset.",
    )
    endpoint: str | None = Field(
        None,
        description="Another server than ads.google.com, for tests. The WSDL is loaded from it; calls go where it says.",
    )

    # ------------------------------------------------------------ credentials: exactly one of four
    key_file: str | None = Field(None, description="Path of a service account's JSON key file.")
    service_account_json: SecretStr | None = Field(None, description="The JSON key itself, from a secret reference.")
    refresh_token: SecretStr | None = Field(None, description="OAuth refresh token; needs client_id, client_secret.")
    access_token: SecretStr | None = Field(None, description="A ready access token, never renewed. For tests.")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    delegated_account: str | None = Field(None, description="User a service account acts for (`sub`), rarely needed.")
    token_uri: str = Field(
        "https://oauth2.googleapis.com/token",
        description="Token address of the refresh-token login; a service account's comes from its key.",
    )
    scope: str = Field("https://www.googleapis.com/auth/dfp", description="OAuth scope of the SOAP API [S].")

    # ------------------------------------------------------------ size and pace
    timeout_seconds: float = Field(60.0, gt=0, le=600, description="Connect and read time-out of one request.")
    max_reply_bytes: int = Field(
        64 * 1024**2,
        ge=65_536,
        description="A longer reply (unpacked) is not read to its end.",
    )
    page_size: int = Field(500, ge=1, le=1000, description="Objects per page; the vendor advises 200 to 500 [D].")
    batch_size: int = Field(
        50, ge=1, le=50, description="Objects per create or update call; the help page says not over 50 at once [D]."
    )
    names_per_query: int = Field(250, ge=1, le=500, description="Values in one IN list; no limit is published [K].")
    requests_per_second: float = Field(
        2.0, gt=0, le=100, description="Advised ceiling [D]: 2 for Ad Manager, 8 for Ad Manager 360."
    )
    reports_per_hour: int = Field(250, ge=1, description="New report jobs per hour and user (REPORT_JOB_LIMIT) [S].")
    max_concurrency: int = Field(
        2, ge=1, le=8, description="Calls at once. Parallel writes of one order answer CONCURRENT_MODIFICATION [I]."
    )
    names_ignore_case: bool = Field(
        False,
        description="Whether the network takes names that differ only in case for one; not published [K]. If it does, a name "
        "refused as taken is found in its other spelling too, so that a person sees whose it is.",
    )
    skip_inventory_check: bool = Field(
        False, description="Whether actions that may skip the inventory check do so where the caller says nothing [S]."
    )
    lines_per_order: int = Field(450, ge=1, description="Line items an order may hold; help page on limits [D].")

    # ------------------------------------------------------------ waits
    index_lag_seconds: float = Field(
        60.0, ge=0, description="How long a new object may be missing from ...ByStatement; not published [K]."
    )
    max_in_flight_seconds: float = Field(
        300.0, ge=0, description="How long a request may still be applied after we gave up; not published [K]."
    )
    quota_wait_seconds: float = Field(
        5.0, ge=0, description="First wait after EXCEEDED_QUOTA [D]; the engine grows it."
    )
    report_quota_wait_seconds: float = Field(600.0, ge=0, description="Wait after REPORT_JOB_LIMIT [D].")
    forecast_wait_seconds: float = Field(
        30.0,
        ge=0,
        description="Wait after NO_FORECAST_YET: a new line is forecast within minutes [I: 40 tries of 15 s were seen].",
    )
    busy_wait_seconds: float = Field(
        2.0, ge=0, description="Wait after SERVER_BUSY, CONCURRENT_MODIFICATION and the like; not published [K]."
    )
    unavailable: Literal["in_doubt", "retry"] = Field(
        "in_doubt",
        description="What an HTML 502, 503 or 504 to a write means. The front end usually refused it, but nobody promises "
        "that [K]: `in_doubt` looks the records up first.",
    )
    retryable: frozenset[str] = Field(
        frozenset(),
        description="Further error codes (`OrderError.X`) that this account may retry, beyond facts/errors.json.",
    )

    # ------------------------------------------------------------ delivery
    report_time_zone: ReportTimeZone = ReportTimeZone.PUBLISHER
    look_back_days: int = Field(
        35,
        ge=1,
        le=1095,
        description="Days read again, because figures are adjusted [K]; reports reach three years [D].",
    )
    report_columns: tuple[str, ...] = Field(
        ("AD_SERVER_IMPRESSIONS", "AD_SERVER_CLICKS"),
        description="Columns asked for; TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS and VIDEO_VIEWERSHIP_COMPLETE may be added "
        "where the network has them.",
    )
    report_max_bytes: int = Field(4 * 1024**3, ge=1, description="Largest unpacked report that is read.")

    @field_validator("report_columns")
    @classmethod
    def _columns_that_can_be_read(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        known = {
            "AD_SERVER_IMPRESSIONS",
            "AD_SERVER_CLICKS",
            "TOTAL_ACTIVE_VIEW_VIEWABLE_IMPRESSIONS",
            "VIDEO_VIEWERSHIP_COMPLETE",
        }
        if "AD_SERVER_IMPRESSIONS" not in columns:
            raise ValueError("report_columns must hold AD_SERVER_IMPRESSIONS")
        if unknown := sorted(set(columns) - known):
            raise ValueError(f"report_columns {unknown} are not known; choose among {sorted(known)}")
        return columns

    @model_validator(mode="after")
    def _one_credential(self) -> GamSettings:
        ways = ("key_file", "service_account_json", "refresh_token", "access_token")
        given = [way for way in ways if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(ways)} must be set, not {given or 'none'}")
        if self.refresh_token is not None and (self.client_id is None or self.client_secret is None):
            raise ValueError("refresh_token needs client_id and client_secret")
        return self

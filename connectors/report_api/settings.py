"""The settings of one reporting API that answers a span of days with JSON pages."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ReportApiSettings(BaseModel):
    """One account. Times are in seconds. How rows and pages look is declared under the connection's `report:`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str = Field(description="Where reports are asked for; parameters of its own are kept")
    token: SecretStr | None = Field(default=None, description="Sent as `Authorization: Bearer`")
    since_parameter: str = Field(default="since", description="Takes the first day, ISO 8601")
    until_parameter: str = Field(default="until", description="Takes the last day, inclusive")
    cursor_parameter: str = Field(default="cursor", description="Takes what the page before named as the next")
    next_key: str = Field(
        default="next", description="Top-level key of a page that names the next one; absent or null: the last"
    )
    requests_per_minute: Annotated[float, Field(gt=0)] = 60.0
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    max_page_bytes: Annotated[int, Field(ge=1024)] = 32 << 20
    max_pages: Annotated[int, Field(ge=1)] = 100_000

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        parts = urlsplit(self.url)
        if parts.hostname is None or parts.scheme not in {"http", "https"}:
            raise ValueError("`url` must be an https address")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("`url` must be https: a token and numbers that are billed travel over it")
        return self

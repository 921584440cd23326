"""Asks a reporting API for a span of days and hands its JSON pages on as bytes; what they mean is the hub's to read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

import orjson
import requests
from pydantic import BaseModel

from connectors.base import (
    Capabilities,
    CheckReport,
    Connector,
    DeliveryQuery,
    Finding,
    Rate,
    RecordSchema,
    Severity,
)
from connectors.bounded import bounded_body
from connectors.endpoint import is_loopback, keep_header
from connectors.errors import AuthFailed, ConnectorError, Misconfigured, QuotaExhausted, RetryLater
from connectors.exchange import retry_after, stay
from connectors.report_api.settings import ReportApiSettings

_DEFAULT_WAIT = 60.0
"""Seconds to wait after 429 without `Retry-After` (RFC 6585 leaves it open)."""


class ReportApiConnector(Connector):
    """One account at a reporting API. Makes one request per page, follows no redirect, retries nothing."""

    name: ClassVar[str] = "report-api"
    title: ClassVar[str] = "Reporting API (JSON pages)"
    config: ClassVar[type[BaseModel]] = ReportApiSettings

    def __init__(self, settings: BaseModel) -> None:
        assert isinstance(settings, ReportApiSettings)
        self._settings = settings
        self._session = requests.Session()
        self._session.auth = keep_header
        self._session.hooks["response"].append(stay)
        self._session.trust_env = not is_loopback(
            urlsplit(settings.url).hostname
        )  # a company's proxy and its certificates
        if settings.token is not None:
            self._session.headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"

    @property
    def capabilities(self) -> Capabilities:
        """Pages of delivery reports, nothing else."""
        per_minute = self._settings.requests_per_minute
        return Capabilities(
            rates=(Rate("report-api-requests", per_minute, 60.0, max(1, int(per_minute // 4))),),
            verified_by=("an HTTP server of the tests (tests/unit/connectors_report_api)",),
            cannot=("page by anything but a cursor named in the page", "log in otherwise than with a fixed token"),
        )

    @classmethod
    def record_schemas(cls) -> Mapping[str, RecordSchema]:
        """No records: reports are no mapping's business."""
        return {}

    def check(
        self, used: Mapping[str, Sequence[str]] | None = None, written: Mapping[str, Sequence[str]] | None = None
    ) -> CheckReport:
        """Ask for yesterday's first page; one request."""
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        next(self.report_pages(DeliveryQuery(yesterday, yesterday)))
        host = urlsplit(self._settings.url).hostname or ""
        return CheckReport(host, (Finding(Severity.OK, "reports", f"{host} answers with a page."),))

    def report_pages(self, query: DeliveryQuery) -> Iterator[bytes]:
        """Every page of the span, one request each; ends after the page that names no next one.

        Raises RetryLater, QuotaExhausted, AuthFailed, Misconfigured; ConnectorError for a page that is no JSON object or a
        cursor that comes again, because the report would never end.
        """
        settings = self._settings
        asked = {settings.since_parameter: query.since.isoformat(), settings.until_parameter: query.until.isoformat()}
        seen: set[str] = set()
        for _ in range(settings.max_pages):
            page = self._page(asked)
            cursor = self._next(page)
            yield page
            if cursor is None:
                return
            if cursor in seen:
                raise ConnectorError("REPORT-LOOP", "a page names a next page that was read already")
            seen.add(cursor)
            asked[settings.cursor_parameter] = cursor
        raise ConnectorError("REPORT-PAGES", f"the report has more than {settings.max_pages} pages")

    def _page(self, asked: Mapping[str, str]) -> bytes:
        settings = self._settings
        self.pace()
        until = time.monotonic() + settings.timeout_seconds
        try:
            response = self._session.get(
                settings.url, params=asked, timeout=settings.timeout_seconds, stream=True, allow_redirects=False
            )
            body = bounded_body(response, settings.max_page_bytes, until)
        except requests.RequestException as error:
            raise RetryLater(
                "REPORT-NO-ANSWER", f"the reporting API did not answer ({type(error).__name__})"
            ) from error
        code = f"HTTP-{response.status_code}"
        if response.status_code in {401, 403}:
            raise AuthFailed(code, "the reporting API refused the token")
        if response.status_code == 429:
            after = retry_after(response.headers)
            wait = _DEFAULT_WAIT if after is None else after
            raise QuotaExhausted(code, "too many requests", wait, "report-api-requests")
        if response.status_code >= 500:
            raise RetryLater(code, "the reporting API is in trouble")
        if response.status_code != 200:
            raise Misconfigured(
                code, f"the reporting API does not understand the request ({code}); see `url` and its parameters"
            )
        return body

    def _next(self, page: bytes) -> str | None:
        try:
            read = orjson.loads(page)
        except orjson.JSONDecodeError as error:
            raise ConnectorError("REPORT-JSON", "a page of the report is no JSON") from error
        if not isinstance(read, dict):
            raise ConnectorError("REPORT-JSON", "a page of the report is no JSON object")
        cursor = read.get(self._settings.next_key)
        return None if cursor is None or cursor == "" else str(cursor)

    def close(self) -> None:
        """Give back sockets."""
        self._session.close()

"""The reporting API's connector against an HTTP server on loopback, and its pages on their way into facts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.base import DeliveryQuery, OffersReportPages
from connectors.errors import AuthFailed, ConnectorError, Misconfigured, QuotaExhausted, RetryLater
from connectors.report_api import ReportApiConnector, ReportApiSettings
from hub import Hub
from hub.config import Configuration, ConnectionSettings, HubSettings, StoreSettings
from hub.delivery.paged import fetch_report
from hub.delivery.refusals import ReportHeld, ReportRefused
from hub.delivery.shape import ReportShape
from hub.errors import ConnectionBroken, Refused, VendorUnavailable
from hub.session import Session
from hub.store import database

SPAN = DeliveryQuery(date(2026, 3, 1), date(2026, 3, 2))


class Vendor:
    """Answers from a list of (status, headers, body), the last one for ever; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[dict[str, str], str]] = []
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = dict(parse_qsl(urlsplit(self.path).query))
                vendor.asked.append((query, self.headers.get("Authorization", "")))
                status, headers, body = vendor.answers.pop(0) if len(vendor.answers) > 1 else vendor.answers[0]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/reports?account=7"

    def page(self, *rows: tuple[str, str, int], **more: Any) -> None:
        told = [{"day": day, "line": line, "imps": imps} for day, line, imps in rows]
        self.answers.append((200, {}, json.dumps({"rows": told, **more}).encode()))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def connector(vendor: Vendor) -> Iterator[ReportApiConnector]:
    settings = ReportApiSettings.model_validate({"url": vendor.url, "token": "secret", "timeout_seconds": 5})
    made = ReportApiConnector(settings)
    yield made
    made.close()


def test_pages_are_read_until_one_names_no_next(vendor: Vendor, connector: ReportApiConnector) -> None:
    vendor.page(("2026-03-01", "11", 5), next="p2")
    vendor.page(("2026-03-02", "11", 6))
    assert isinstance(connector, OffersReportPages)
    assert [json.loads(page)["rows"][0]["imps"] for page in connector.report_pages(SPAN)] == [5, 6]
    usual = {"account": "7", "since": "2026-03-01", "until": "2026-03-02"}
    assert vendor.asked == [(usual, "Bearer secret"), ({**usual, "cursor": "p2"}, "Bearer secret")]
    assert connector.check().usable


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (401, {}, b"", AuthFailed),
        (429, {"Retry-After": "7"}, b"", QuotaExhausted),
        (503, {}, b"<html>", RetryLater),
        (404, {}, b"", Misconfigured),
        (302, {"Location": "http://127.0.0.1:9/"}, b"", Misconfigured),
        (200, {}, b"<html>", ConnectorError),
        (200, {}, b"[]", ConnectorError),
        (200, {}, b'{"rows": [], "next": "again"}', ConnectorError),
    ],
)
def test_every_bad_answer_is_an_error_of_its_kind(
    vendor: Vendor,
    connector: ReportApiConnector,
    status: int,
    headers: dict[str, str],
    body: bytes,
    error: type[Exception],
) -> None:
    vendor.answers.append((status, headers, body))
    with pytest.raises(error):
        list(connector.report_pages(SPAN))


def test_a_company_proxy_is_used_except_on_this_machine_and_a_netrc_never() -> None:
    for url, trusting in (("https://reports.example/v1", True), ("http://127.0.0.1:1/", False)):
        connector = ReportApiConnector(ReportApiSettings(url=url))
        assert connector._session.trust_env is trusting
        assert connector._session.auth is not None
        connector.close()


def test_a_wait_without_end_is_bounded(vendor: Vendor, connector: ReportApiConnector) -> None:
    vendor.answers.append((429, {"Retry-After": "9" * 30}, b""))
    with pytest.raises(QuotaExhausted) as caught:
        list(connector.report_pages(SPAN))
    assert caught.value.after == 86_400


def test_a_token_never_travels_unencrypted() -> None:
    with pytest.raises(ValueError, match="must be https"):
        ReportApiSettings.model_validate({"url": "http://reports.example/x", "token": "secret"})


@pytest.fixture
def session(vendor: Vendor, connector: ReportApiConnector, database_url: str) -> Iterator[Session]:
    """A hub with the source `measured`, at noon of 3 March, a minute later with every page that was asked for."""

    class Noon:
        def now(self) -> datetime:
            return datetime(2026, 3, 3, 12, len(vendor.asked), tzinfo=UTC)

    database.migrate(database_url)
    shape = ReportShape.model_validate(
        {
            "format": "json",
            "columns": {"day": "day", "line": "line", "impressions": "imps"},
            "zone": "UTC",
            "counted_by": "measurement",
            "complete_by": "rows",
            "line_ids": "ads",
            "look_back_days": 1,
        }
    )
    connections = {"measured": ConnectionSettings(connector="report-api", report=shape)}
    settings = Configuration(Path("t.yaml"), HubSettings(store=StoreSettings(url=database_url)), connections, {})
    made = Session(settings, database.Database(database_url), Noon(), Noon(), connect=lambda *_: connector)
    with Hub(made):
        yield made


def test_a_held_report_is_fetched_once_somebody_accepts_the_days_that_they_saw(
    vendor: Vendor, session: Session
) -> None:
    hub, usual = Hub(session), [(f"2026-02-{day}", "11", 1_000_000) for day in range(20, 26)]
    vendor.page(*usual, ("2026-02-26", "11", 90_000_000), total_rows=7)
    span = (date(2026, 2, 20), date(2026, 2, 26))
    with pytest.raises(ReportHeld, match="90,000,000 impressions on 2026-02-26"):
        hub.fetch_report("measured", *span)
    asked = len(vendor.asked)
    for days in ((), span[:1], (None, span[1])):
        with pytest.raises(Refused, match="--since and --until"):
            hub.fetch_report("measured", *days, accept_outliers_by="Ada")
    assert len(vendor.asked) == asked
    assert session.database.rows("SELECT count(*) FROM delivery_quarantine") == [(0,)]
    done = hub.fetch_report("measured", *span, accept_outliers_by="Ada")
    assert (done.state, done.quarantined) == ("loaded", 7)
    (told,) = session.database.rows(
        "SELECT actor, event FROM audit WHERE convert_from(event, 'UTF8') LIKE '%report loaded%'"
    )
    assert told[0] == "Ada"
    assert b'"outliers_accepted":true' in bytes(told[1])


def test_pages_become_facts_and_a_report_that_breaks_off_changes_nothing(vendor: Vendor, session: Session) -> None:
    vendor.page(("2026-03-01", "11", 5), next="p2", total_rows=2)
    vendor.page(("2026-03-02", "11", 6), total_rows=2)
    done = fetch_report(session, "measured")
    assert (done.report, done.quarantined) == ("2026-03-01..2026-03-02", 2)
    rows = session.database.rows("SELECT day, impressions FROM delivery_quarantine ORDER BY 1")
    for error in (VendorUnavailable, ConnectionBroken, ReportRefused):
        vendor.answers.clear()
        vendor.page(("2026-03-01", "11", 500), next="p2", total_rows=2)
        if error is VendorUnavailable:
            vendor.answers.append((503, {}, b""))
        elif error is ConnectionBroken:
            vendor.answers.append((200, {}, b"<html>"))
        else:
            vendor.page(total_rows=2)
        with pytest.raises(error):
            fetch_report(session, "measured")
        assert session.database.rows("SELECT day, impressions FROM delivery_quarantine ORDER BY 1") == rows

"""Delivery reports: asked for in the network's days, streamed, and never believed when cut or malformed."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import DeliveryQuery, DeliveryRow, JobState
from connectors.errors import ConnectorError, Misconfigured, OutcomeUnknown, QuotaExhausted, RecordRejected, SchemaDrift
from connectors.gam import GamConnector, GamSettings
from connectors.gam.report import rows, unpacked

COLUMNS = ("AD_SERVER_IMPRESSIONS", "AD_SERVER_CLICKS")
HEADER = (
    "Dimension.DATE,Dimension.ORDER_ID,Dimension.LINE_ITEM_ID,Column.AD_SERVER_IMPRESSIONS,Column.AD_SERVER_CLICKS\n"
)


def read(text: str, size: int = 7) -> list[DeliveryRow]:
    packed = gzip.compress(text.encode())
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    return list(rows(unpacked(pieces, 1 << 30), COLUMNS))


def test_rows_are_days_of_lines() -> None:
    assert read(HEADER + "2020-02-29,11,22,1500,3\n2020-03-01,11,22,0,-\n") == [
        DeliveryRow(date(2020, 2, 29), "22", "11", 1500, 3),
        DeliveryRow(date(2020, 3, 1), "22", "11", 0, 0),
    ]


def test_columns_are_found_by_name_in_any_order_and_line_ends() -> None:
    text = "\ufeffLINE_ITEM_ID,Column.AD_SERVER_CLICKS,Dimension.DATE,AD_SERVER_IMPRESSIONS,Dimension.ORDER_ID\r\n"
    assert read(text + "22,3,2020-02-29,1500,11\r\n") == [DeliveryRow(date(2020, 2, 29), "22", "11", 1500, 3)]


def test_impressions_without_a_line_are_not_ours() -> None:
    assert read(HEADER + "2020-02-29,-,-,9,0\n2020-02-29,0,0,9,0\n") == []


def test_an_empty_report_has_a_header() -> None:
    assert read(HEADER) == []
    with pytest.raises(OutcomeUnknown):
        read("")


@pytest.mark.parametrize("again", ["Column.AD_SERVER_IMPRESSIONS", "DimensionAttribute.LINE_ITEM_ID"])
def test_of_two_columns_of_one_name_none_is_chosen(again: str) -> None:
    with pytest.raises(SchemaDrift, match="twice"):
        read(f"{HEADER.strip()},{again}\n2020-02-29,11,22,1500,3,9\n")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("2020-02-29,11,22,-5,0\n", RecordRejected),
        ("2020-02-29,11,22,-,0\n", SchemaDrift),
        ("2020-02-29,11,22,1.5,0\n", SchemaDrift),
        ("2020-02-29,11,22,,0\n", SchemaDrift),
        ("29/02/2020,11,22,1,0\n", SchemaDrift),
        ("2020-02-30,11,22,1,0\n", SchemaDrift),
        ("2020-02-29,11,22,1\n", OutcomeUnknown),
        ("2020-02-29,11,22,1,0", OutcomeUnknown),
        ("2020-02-29,11,22,1,0\n2020-02-29,11,22,2,0\n", OutcomeUnknown),
        ("2020-02-29,11, 22,1,0\n2020-02-29,11,22,2,0\n", OutcomeUnknown),
        ("2020-02-29,11,22,1,0\n20200229,11,22,2,0\n", SchemaDrift),
        ("2020-W09-6,11,22,1,0\n", SchemaDrift),
        ('2020-02-29,11,"2,200",1,0\n', SchemaDrift),
        ("Total,Total,Total,1,0\n", SchemaDrift),
    ],
)
def test_a_malformed_row_is_never_a_number(line: str, kind: type[ConnectorError]) -> None:
    with pytest.raises(kind):
        read(HEADER + line)


def test_a_quote_that_never_ends_swallows_no_rows() -> None:
    lines = "".join(f"2020-02-29,11,{line},1,0\n" for line in range(10_000, 20_000))
    with pytest.raises(OutcomeUnknown):
        read(HEADER + '2020-02-29,11,"22,5,0\n' + lines, 4096)
    with pytest.raises(OutcomeUnknown):
        read(HEADER + '2020-02-29,11,22,"5"0,0\n')


def test_digits_of_another_script_or_with_signs_between_are_no_number() -> None:
    for figure in ("1_500", "\u0661\u0665", "1\u202f500", "+5"):
        with pytest.raises(SchemaDrift):
            read(HEADER + f"2020-02-29,11,22,{figure},0\n")


def test_a_missing_column_is_drift_of_that_column() -> None:
    with pytest.raises(SchemaDrift) as caught:
        read(HEADER.replace("Column.AD_SERVER_CLICKS", "Column.CLICKS"))
    assert caught.value.field == "AD_SERVER_CLICKS"


@given(cut=st.integers(min_value=0, max_value=200), size=st.integers(min_value=1, max_value=64))
def test_a_file_cut_anywhere_is_never_taken_for_whole(cut: int, size: int) -> None:
    text = HEADER + "".join(f"2020-01-{day:02},11,22,{day * 7919},{day}\n" for day in range(1, 29))
    packed = gzip.compress(text.encode())
    short = packed[: max(0, len(packed) - 1 - cut)]
    pieces = [short[at : at + size] for at in range(0, len(short), size)]
    with pytest.raises(OutcomeUnknown):
        list(rows(unpacked(pieces, 1 << 30), COLUMNS))


@given(size=st.integers(min_value=1, max_value=300), layers=st.integers(min_value=1, max_value=2))
def test_any_cutting_into_pieces_reads_the_same(size: int, layers: int) -> None:
    text = (HEADER + "2020-01-01,11,22,5,0\n" * 1).encode()
    packed = text
    for _ in range(layers):
        packed = gzip.compress(packed)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacked(pieces, 1 << 20)) == text


def test_a_bomb_is_stopped() -> None:
    packed = gzip.compress(b"0" * 50_000_000)
    with pytest.raises(OutcomeUnknown) as caught:
        for _ in unpacked([packed], 1_000_000):
            pass
    assert caught.value.code == "REPORT-TOO-LARGE"


def test_damage_is_no_report() -> None:
    packed = bytearray(gzip.compress(HEADER.encode()))
    packed[-5] ^= 0xFF
    with pytest.raises(OutcomeUnknown):
        list(unpacked([bytes(packed)], 1 << 20))


# ---------------------------------------------------------------- the job
def test_the_report_asks_for_inclusive_days_of_the_publisher(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda _, arguments: {**arguments[0], "id": 77}
    assert gam.start_delivery(DeliveryQuery(date(2020, 1, 1), date(2020, 2, 29))) == "77"
    [(name, [job])] = vendor.calls
    query = job["reportQuery"]
    assert name == "runReportJob"
    assert query["dimensions"] == ["DATE", "ORDER_ID", "LINE_ITEM_ID"]
    assert (query["dateRangeType"], query["timeZoneType"]) == ("CUSTOM_DATE", "PUBLISHER")
    assert query["startDate"] == {"year": 2020, "month": 1, "day": 1}
    assert query["endDate"] == {"year": 2020, "month": 2, "day": 29}


@pytest.mark.parametrize(
    ("status", "state"),
    [("IN_PROGRESS", JobState.RUNNING), ("COMPLETED", JobState.READY), ("FAILED", JobState.FAILED)],
)
def test_job_states(vendor: Any, gam: GamConnector, status: str, state: JobState) -> None:
    vendor.answer = lambda *_: status
    assert gam.delivery_state("77") is state


def test_the_report_limit_closes_its_own_bucket(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("QuotaError", "REPORT_JOB_LIMIT", "", ""))
    with pytest.raises(QuotaExhausted) as caught:
        gam.start_delivery(DeliveryQuery(date(2020, 1, 1), date(2020, 1, 2)))
    assert (caught.value.limit, caught.value.after) == ("reports", 600)


def test_a_job_that_is_no_number_is_not_asked_for(gam: GamConnector) -> None:
    with pytest.raises(Misconfigured):
        gam.delivery_state("77 OR 1=1")


def test_days_are_those_of_the_network_or_of_the_pacific(
    vendor: Any, gam: GamConnector, settings: Callable[..., GamSettings]
) -> None:
    vendor.answer = lambda *_: {"networkCode": "123", "timeZone": "Europe/Oslo"}
    assert gam.delivery_zone() == "Europe/Oslo"
    assert gam.delivery_zone() == "Europe/Oslo"
    assert vendor.names() == ["getCurrentNetwork"]
    assert GamConnector(settings(report_time_zone="PACIFIC")).delivery_zone() == "America/Los_Angeles"


# ---------------------------------------------------------------- the file
class Files:
    """Serves one file, whole or cut, and remembers what was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.length, self.headers = 200, b"", -1, dict[str, str]()
        self.asked: list[dict[str, str]] = []
        files = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                files.asked.append(dict(self.headers))
                self.send_response(files.status)
                for name, value in files.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(files.length if files.length >= 0 else len(files.body)))
                self.end_headers()
                self.wfile.write(files.body)

            def log_message(self, *args: Any) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()


@pytest.fixture
def files() -> Iterator[Files]:
    served = Files()
    yield served
    served.server.shutdown()
    served.thread.join()
    served.server.server_close()


def _reading(vendor: Any, files: Files, settings: Callable[..., GamSettings]) -> GamConnector:
    """A connector whose WSDL comes from the scripted vendor and whose reports lie at the file server's address."""
    gam = GamConnector(settings())
    vendor.answer = lambda *_: f"{files.url}/report.csv.gz?signature=abc"
    gam._trust = lambda url: None  # type: ignore[method-assign]
    return gam


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_the_file_is_read_as_it_is_stored_and_gets_no_credential(
    vendor: Any, files: Files, settings: Callable[..., GamSettings], headers: dict[str, str]
) -> None:
    files.body = gzip.compress((HEADER + "2020-02-29,11,22,1500,3\n").encode())
    files.headers = headers
    gam = _reading(vendor, files, settings)
    assert [row.impressions for row in gam.read_delivery("77")] == [1500]
    assert "Authorization" not in files.asked[0]
    gam.close()


def test_a_download_that_breaks_off_is_in_doubt(
    vendor: Any, files: Files, settings: Callable[..., GamSettings]
) -> None:
    files.body = gzip.compress((HEADER + "2020-02-29,11,22,1500,3\n").encode())
    files.length = len(files.body) + 10
    gam = _reading(vendor, files, settings)
    with pytest.raises(OutcomeUnknown):
        list(gam.read_delivery("77"))
    gam.close()


@pytest.mark.parametrize("status", [403, 404, 302, 500])
def test_a_refused_download_is_no_report(
    vendor: Any, files: Files, settings: Callable[..., GamSettings], status: int
) -> None:
    files.status = status
    gam = _reading(vendor, files, settings)
    with pytest.raises(ConnectorError):
        list(gam.read_delivery("77"))
    gam.close()


def test_a_report_elsewhere_without_https_is_not_fetched(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: "http://169.254.169.254/latest"
    with pytest.raises(OutcomeUnknown) as caught:
        list(gam.read_delivery("77"))
    assert caught.value.code == "REPORT-ADDRESS"

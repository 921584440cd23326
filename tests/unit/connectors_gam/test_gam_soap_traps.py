"""Every manner in which a call can fail, and what it means for what was asked."""

from __future__ import annotations

import gzip
import http.server
import logging
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError
from urllib3.exceptions import ProxyError as PoolProxyError
from urllib3.exceptions import SSLError as PoolSSLError

from connectors.base import Operation, Outcome, PushItem
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    QuotaExhausted,
    RetryLater,
)
from connectors.gam import GamConnector, GamSettings
from sandbox.gam.contract import load_contract, render_wsdl

ORDERS = [PushItem("k1", {"name": "A", "advertiserId": 1, "traffickerId": 2})]
HTML = b"<html><head><title>503</title></head><body>Service Unavailable</body></html>"
UNCLOSED = b"<!DOCTYPE html><html><body>Too many<br>requests</body></html>"


def push(gam: GamConnector, items: list[PushItem] = ORDERS) -> Any:
    return gam.push("Order", Operation.CREATE, items)


@pytest.mark.parametrize("body", [HTML, UNCLOSED, b""])
def test_html_503_on_a_write_leaves_the_batch_in_doubt(vendor: Any, gam: GamConnector, body: bytes) -> None:
    vendor.answer = lambda *_: vendor.raw(503, body)
    with pytest.raises(OutcomeUnknown) as caught:
        push(gam)
    assert caught.value.code == "HTTP-503"
    assert len(vendor.calls) == 1


def test_html_503_on_a_write_is_retried_where_the_settings_say_so(
    vendor: Any, settings: Callable[..., GamSettings]
) -> None:
    vendor.answer = lambda *_: vendor.raw(503, HTML)
    gam = GamConnector(settings(unavailable="retry"))
    with pytest.raises(RetryLater):
        push(gam)
    gam.close()


@pytest.mark.parametrize("body", [HTML, UNCLOSED])
def test_html_429_is_a_quota_with_the_wait_the_vendor_names(vendor: Any, gam: GamConnector, body: bytes) -> None:
    vendor.answer = lambda *_: vendor.raw(429, body, **{"Retry-After": "17"})
    with pytest.raises(QuotaExhausted) as caught:
        push(gam)
    assert caught.value.after == 17


@pytest.mark.parametrize(("named", "after"), [("9" * 30, 86_400), ("\u00b2", 5)])
def test_a_wait_that_is_none_or_endless_closes_nothing_for_ever(
    vendor: Any, gam: GamConnector, named: str, after: float
) -> None:
    vendor.answer = lambda *_: vendor.raw(429, HTML, **{"Retry-After": named})
    with pytest.raises(QuotaExhausted) as caught:
        push(gam)
    assert caught.value.after == after


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionMissing), (404, Misconfigured), (302, OutcomeUnknown)])
def test_other_statuses_have_their_own_meaning(
    vendor: Any, gam: GamConnector, status: int, kind: type[ConnectorError]
) -> None:
    vendor.answer = lambda *_: vendor.raw(status, HTML, Location="http://127.0.0.1:1/")
    with pytest.raises(kind):
        push(gam)
    assert len(vendor.calls) == 1


def test_a_request_too_large_for_the_front_end_is_split_and_a_record_too_large_is_parked(
    vendor: Any, gam: GamConnector
) -> None:
    vendor.answer = lambda *_: vendor.raw(413, HTML)
    two = [*ORDERS, PushItem("k2", {"name": "B", "advertiserId": 1, "traffickerId": 2})]
    assert [(each.outcome, each.alone) for each in push(gam, two)] == [(Outcome.RETRY, True)] * 2
    assert [(each.outcome, each.reason) for each in push(gam)] == [(Outcome.REJECTED, "length")]
    with pytest.raises(ConnectorError) as caught:
        gam.observe("Order", ["1"])
    assert not isinstance(caught.value, RetryLater)


@pytest.mark.parametrize("body", [HTML, b"not xml at all", b"", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_a_200_that_is_no_soap_is_never_a_success(vendor: Any, gam: GamConnector, body: bytes) -> None:
    vendor.answer = lambda *_: vendor.raw(200, body)
    with pytest.raises(OutcomeUnknown):
        push(gam)


def test_a_reply_with_a_document_type_is_refused(vendor: Any, gam: GamConnector) -> None:
    soap = b'<!DOCTYPE x><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>'
    vendor.answer = lambda *_: vendor.raw(200, soap)
    with pytest.raises(OutcomeUnknown) as caught:
        push(gam)
    assert "DTDForbidden" in caught.value.message


def test_a_dropped_connection_is_in_doubt_for_a_write_and_retried_for_a_read(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.drop()
    with pytest.raises(OutcomeUnknown):
        push(gam)
    with pytest.raises(RetryLater):
        gam.observe("Order", ["7"])
    assert len(vendor.calls) == 2


def test_a_slow_reply_is_in_doubt_for_a_write(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    hold = threading.Event()

    def slow(*_: Any) -> Any:
        hold.wait(30)
        return vendor.drop()

    vendor.answer = slow
    gam = GamConnector(settings(timeout_seconds=2.5))
    with pytest.raises(OutcomeUnknown):
        push(gam)
    hold.set()
    gam.close()


def test_a_refused_connection_was_certainly_not_applied(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    gam = GamConnector(settings(endpoint=f"http://127.0.0.1:{port}"))
    with pytest.raises(RetryLater):
        push(gam)
    gam.close()


class OnlyWsdl:
    """Serves one WSDL whose calls go to `address` (its own unless given), and stops when told."""

    def __init__(self, address: str | None = None) -> None:
        only = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wsdl = render_wsdl(load_contract("v202608"), "OrderService", address or f"{only.url}/calls")
                self.send_response(200)
                self.send_header("Content-Length", str(len(wsdl)))
                self.end_headers()
                self.wfile.write(wsdl)

            def log_message(self, *args: Any) -> None:
                return

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self._once)
        self.thread.start()

    def _once(self) -> None:
        self.server.handle_request()
        self.server.server_close()


def test_a_server_that_vanishes_after_the_wsdl_was_certainly_not_reached(
    vendor: Any, settings: Callable[..., GamSettings]
) -> None:
    only = OnlyWsdl()
    gam = GamConnector(settings(endpoint=only.url))
    assert "name" in gam._soap.field_names("OrderService", "Order")
    only.thread.join()
    with pytest.raises(RetryLater) as caught:
        push(gam)
    assert caught.value.code == "NO-CONNECTION"
    gam.close()


def test_a_wsdl_cannot_send_our_token_elsewhere(vendor: Any, settings: Callable[..., GamSettings]) -> None:
    only = OnlyWsdl(f"{vendor.url}/apis/ads/publisher/v202608/OrderService")
    gam = GamConnector(settings(endpoint=only.url))
    with pytest.raises(Misconfigured) as caught:
        push(gam)
    assert caught.value.code == "WSDL-ADDRESS"
    assert vendor.calls == []
    only.thread.join()
    gam.close()


def test_error_generating_response_means_written(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(("InternalApiError", "ERROR_GENERATING_RESPONSE", "", ""))
    results = push(gam, [*ORDERS, PushItem("k2", {"name": "B", "advertiserId": 1, "traffickerId": 2})])
    assert [result.outcome for result in results] == [Outcome.IN_DOUBT, Outcome.IN_DOUBT]
    assert results[0].code == "InternalApiError.ERROR_GENERATING_RESPONSE"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (("QuotaError", "EXCEEDED_QUOTA", "", ""), QuotaExhausted),
        (("ServerError", "SERVER_BUSY", "", ""), RetryLater),
        (("CommonError", "CONCURRENT_MODIFICATION", "", ""), RetryLater),
        (("ServerError", "SERVER_ERROR", "", ""), OutcomeUnknown),
        (("InternalApiError", "UNEXPECTED_INTERNAL_API_ERROR", "", ""), OutcomeUnknown),
        (("SomethingNewError", "OF_NEXT_YEAR", "[0].name", ""), OutcomeUnknown),
        (("PermissionError", "PERMISSION_DENIED", "", ""), PermissionMissing),
        (("AuthenticationError", "NETWORK_NOT_FOUND", "", ""), AuthFailed),
        (("ApiVersionError", "UPDATE_TO_NEWER_VERSION", "version", ""), Misconfigured),
    ],
)
def test_typed_faults_of_a_whole_call(
    vendor: Any, gam: GamConnector, error: tuple[str, str, str, str], kind: type[ConnectorError]
) -> None:
    vendor.answer = lambda *_: vendor.fault(error)
    with pytest.raises(kind) as caught:
        push(gam)
    assert caught.value.code == f"{error[0]}.{error[1]}"


def test_an_unknown_error_type_does_not_hide_the_others(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: vendor.fault(
        ("SomethingNewError", "X", "", ""), ("InternalApiError", "ERROR_GENERATING_RESPONSE", "", "")
    )
    assert push(gam)[0].outcome is Outcome.IN_DOUBT


def test_an_untyped_fault_on_a_write_is_in_doubt(vendor: Any, gam: GamConnector) -> None:
    body = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server'
        b"</faultcode><faultstring>oops</faultstring></s:Fault></s:Body></s:Envelope>"
    )
    vendor.answer = lambda *_: vendor.raw(500, body, **{"Content-Type": "text/xml"})
    with pytest.raises(OutcomeUnknown):
        push(gam)


def test_fewer_objects_than_records_is_in_doubt(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: []
    with pytest.raises(OutcomeUnknown) as caught:
        push(gam)
    assert caught.value.code == "REPLY-COUNT"


@pytest.mark.parametrize(("status", "kind"), [(500, RetryLater), (429, RetryLater), (404, Misconfigured)])
def test_a_wsdl_that_cannot_be_had_applied_nothing(
    vendor: Any, gam: GamConnector, status: int, kind: type[ConnectorError]
) -> None:
    vendor.wsdl_status = status
    with pytest.raises(kind):
        push(gam)
    assert vendor.calls == []


def test_a_wsdl_without_end_is_not_read_to_its_end(
    vendor: Any, gam: GamConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.gam.soap.MOST_WSDL_BYTES", 2_000)
    with pytest.raises(RetryLater, match="ReplyTooLarge"):
        push(gam)
    assert vendor.calls == []


def test_wsdls_are_loaded_once_per_service_and_never_from_a_file_cache(
    vendor: Any, gam: GamConnector, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vendor.answer = lambda *_: [{"id": 5, "name": "A"}]
    for _ in range(3):
        push(gam)
    assert vendor.wsdls == 1
    assert list(tmp_path.iterdir()) == []


def test_threads_share_the_wsdl_and_not_the_session(vendor: Any, gam: GamConnector) -> None:
    vendor.answer = lambda *_: [{"id": 5, "name": "A"}]
    push(gam)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: push(gam)[0].outcome, range(12)))
    assert set(results) == {Outcome.CREATED}
    assert vendor.wsdls == 1


def test_neither_token_nor_payload_reaches_a_log(
    vendor: Any, gam: GamConnector, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.answer = lambda *_: vendor.fault(("StringLengthError", "TOO_LONG", "[0].name", "Acme Secret"))
    with caplog.at_level(logging.DEBUG, "googleads"), caplog.at_level(logging.DEBUG, "connectors"):
        push(gam, [PushItem("k", {"name": "Acme Secret", "advertiserId": 1, "traffickerId": 2})])
    assert vendor.headers[-1]["Authorization"] == "Bearer secret-token"
    assert "secret-token" not in caplog.text
    assert "Acme Secret" not in caplog.text
    assert "secret-token" not in repr(gam.settings)


# ---------------------------------------------------------------- hostile replies
def envelope(inside: bytes) -> bytes:
    return (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' + inside + b"</s:Body></s:Envelope>"
    )


HOSTILE = {
    "huge": (b"x" * 300_000, {}, "REPLY-TOO-LARGE"),
    "huge, without a SOAP status": (b"x" * 300_000, {}, "REPLY-TOO-LARGE"),
    "a packed bomb": (gzip.compress(bytes(20_000_000)), {"Content-Encoding": "gzip"}, "REPLY-TOO-LARGE"),
    "packed damage": (b"\x1f\x8b no gzip at all", {"Content-Encoding": "gzip"}, "NO-ANSWER"),
    "deep": (envelope(b"<a>" * 9_000 + b"</a>" * 9_000), {}, "ANSWER-UNREADABLE"),
    "another answer": (envelope(b"<createLineItemsResponse/>"), {}, None),
    "an empty body": (envelope(b""), {}, "ANSWER-UNREADABLE"),
    "an entity bomb": (b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>' + envelope(b"&c;"), {}, None),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_reply_is_bounded_and_leaves_the_write_in_doubt(
    vendor: Any, settings: Callable[..., GamSettings], kind: str
) -> None:
    body, headers, code = HOSTILE[kind]
    status = 500 if "status" in kind else 200
    vendor.answer = lambda *_: vendor.raw(status, body, **{"Content-Type": "text/xml", **headers})
    gam = GamConnector(settings(max_reply_bytes=65_536))
    tracemalloc.start()
    try:
        with pytest.raises(OutcomeUnknown) as caught:
            push(gam)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
        gam.close()
    assert code is None or caught.value.code == code
    assert len(vendor.calls) == 1


def test_a_reply_too_large_to_a_question_changes_nothing_and_says_what_to_do(
    vendor: Any, settings: Callable[..., GamSettings]
) -> None:
    vendor.answer = lambda *_: vendor.raw(200, b"x" * 300_000)
    gam = GamConnector(settings(max_reply_bytes=65_536))
    with pytest.raises(RetryLater, match=r"longer than 65536 bytes.*lowers page_size"):
        gam.observe("Order", ["7"])
    gam.close()


@pytest.mark.parametrize(
    "answer",
    [
        [{"id": 6, "name": "B"}, {"id": 5, "name": "A"}],
        [{"id": 5, "name": "A"}],
        [{"id": 5, "name": "A"}, {"id": 6, "name": "B"}, {"id": 7, "name": "C"}],
        [{"id": 5, "name": "A"}, {"name": "B"}],
        [{"id": 5, "name": "A"}, {"id": 5, "name": "B"}],
    ],
    ids=["out of order", "shorter", "longer", "without an id", "one id twice"],
)
def test_results_that_do_not_fit_the_batch_leave_all_of_it_in_doubt(
    vendor: Any, gam: GamConnector, answer: Any
) -> None:
    vendor.answer = lambda *_: answer
    try:
        results = push(gam, [*ORDERS, PushItem("k2", {"name": "B", "advertiserId": 1, "traffickerId": 2})])
    except OutcomeUnknown:
        return
    assert [result.outcome for result in results] == [Outcome.IN_DOUBT, Outcome.IN_DOUBT]


BROKEN_LATE = {
    "TLS breaks under the reply": requests.exceptions.SSLError(
        MaxRetryError(None, "/", PoolSSLError(ssl.SSLError("bad record mac")))  # type: ignore[arg-type]
    ),
    "a proxy hangs up": requests.exceptions.ProxyError(
        MaxRetryError(None, "/", PoolProxyError("Unable to connect to proxy", RemoteDisconnected("")))  # type: ignore[arg-type]
    ),
}
BROKEN_EARLY = {
    "the certificate is not trusted": requests.exceptions.SSLError(
        MaxRetryError(None, "/", PoolSSLError(ssl.SSLCertVerificationError("self-signed")))  # type: ignore[arg-type]
    ),
    "a proxy refuses the tunnel": requests.exceptions.ProxyError(
        MaxRetryError(None, "/", PoolProxyError("no", OSError("Tunnel connection failed: 407")))  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("how", [*BROKEN_LATE, *BROKEN_EARLY])
def test_a_write_whose_connection_broke_is_unsent_only_where_that_is_certain(
    vendor: Any, gam: GamConnector, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    gam._soap.field_names("OrderService", "Order")  # loads the WSDL

    def breaks(*_: Any, **__: Any) -> Any:
        raise {**BROKEN_LATE, **BROKEN_EARLY}[how]

    monkeypatch.setattr(HTTPAdapter, "send", breaks)
    with pytest.raises(OutcomeUnknown if how in BROKEN_LATE else RetryLater):
        push(gam)


def test_a_netrc_never_replaces_our_token(vendor: Any, gam: GamConnector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.sessions, "get_netrc_auth", lambda url: ("somebody", "else"))
    vendor.answer = lambda *_: [{"id": 5, "name": "A"}]
    push(gam)
    assert vendor.headers[-1]["Authorization"] == "Bearer secret-token"

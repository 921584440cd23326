"""What came of a request: whole reply, certainly not sent, or possibly applied. Never the second where it is the third."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, ProtocolError
from urllib3.exceptions import SSLError as PoolSSLError

from connectors.bounded import ReplyTooLarge
from connectors.endpoint import base_url, http_session, is_loopback
from connectors.exchange import LONGEST_WAIT, Bounds, NotSent, ReplyCut, Untrusted, exchanged, retry_after

BOUNDS = Bounds(connect=0.5, whole=0.5, most_bytes=1_000)


class Told(requests.Session):
    """A session that answers as told."""

    def __init__(self, answer: requests.Response | Exception) -> None:
        super().__init__()
        self.answer = answer

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        assert kwargs["allow_redirects"] is False
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def reply(body: bytes, length: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Length"] = length
    response.raw = HTTPResponse(body=io.BytesIO(body), preload_content=False)
    return response


def wrapped(inner: Exception) -> requests.exceptions.SSLError:
    """As requests raises it: the pool's own error inside."""
    return requests.exceptions.SSLError(MaxRetryError(None, "/", PoolSSLError(inner)))  # type: ignore[arg-type]


def sent(answer: requests.Response | Exception) -> Any:
    return exchanged(Told(answer), "POST", "https://vendor.example/", BOUNDS, headers={})


def test_a_whole_reply_comes_back_as_it_is() -> None:
    got = sent(reply(b"{}", "2"))
    assert (got.status, got.body) == (200, b"{}")


def test_a_reply_shorter_than_announced_is_no_reply() -> None:
    with pytest.raises(ReplyCut):
        sent(reply(b"{}", "3"))


def test_an_untrusted_certificate_means_nothing_was_sent() -> None:
    with pytest.raises(Untrusted):
        sent(wrapped(ssl.SSLCertVerificationError("self-signed")))


@pytest.mark.parametrize(
    "broken",
    [
        wrapped(ssl.SSLEOFError("EOF occurred in violation of protocol")),
        requests.exceptions.SSLError("bad record mac"),
        requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError())),
        requests.ReadTimeout("slow"),
    ],
)
def test_a_connection_that_breaks_after_it_was_made_is_never_called_unsent(broken: requests.RequestException) -> None:
    with pytest.raises(requests.RequestException) as caught:
        sent(broken)
    assert not isinstance(caught.value, NotSent)


def test_a_closed_port_means_nothing_was_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with http_session(url) as session, pytest.raises(NotSent):
            exchanged(session, "GET", url, BOUNDS, headers={})


def test_a_session_of_this_machine_ignores_proxies_and_none_takes_a_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.sessions, "get_netrc_auth", lambda url: ("somebody", "else"))
    for base, trusting in (("http://127.0.0.1:1", False), ("https://vendor.example", True)):
        with http_session(base) as session:
            asked = requests.Request("GET", base, headers={"Authorization": "Bearer ours"})
            assert session.prepare_request(asked).headers["Authorization"] == "Bearer ours"
            assert session.trust_env is trusting


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ftp://acme.example", "must be a base URL"),
        ("https://acme.example/?a=1", "must be a base URL"),
        ("https://a:b@acme.example", "no user or password"),
        ("http://acme.example", "must use https"),
    ],
)
def test_a_base_url_that_leaks_or_is_none_is_refused(value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        base_url(value, "endpoint", "https://proxy.acme.example")


def test_plain_http_is_for_this_machine() -> None:
    assert base_url("http://localhost:1/x/", "endpoint", "") == "http://localhost:1/x"
    assert is_loopback("127.8.9.1")
    assert is_loopback("::1")
    assert not is_loopback(None)
    assert not is_loopback("10.0.0.1")


@pytest.fixture
def proxy() -> Iterator[Callable[[bytes], str]]:
    """A proxy that answers each request with so many bytes and hangs up."""
    with contextlib.ExitStack() as stack:

        def serve(listener: socket.socket, answer: bytes) -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)
                        connection.sendall(answer)

        def run(answer: bytes) -> str:
            listener = socket.create_server(("127.0.0.1", 0))
            thread = threading.Thread(target=serve, args=(listener, answer), daemon=True)
            stack.callback(thread.join, 10)
            stack.callback(listener.close)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            thread.start()
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield run


def through(proxy_url: str, url: str) -> requests.RequestException:
    """What a write through a proxy ends with."""
    with http_session("https://vendor.example") as session:
        session.trust_env = False
        session.proxies = {"http": proxy_url, "https": proxy_url}
        with pytest.raises(requests.RequestException) as caught:
            exchanged(session, "POST", url, BOUNDS, headers={}, data=b"{}")
    return caught.value


def test_a_proxy_that_hangs_up_on_a_request_may_have_passed_it_on(proxy: Callable[[bytes], str]) -> None:
    error = through(proxy(b""), "http://vendor.example/")
    assert not isinstance(error, NotSent)


def test_a_redirect_is_a_reply_like_any_other_and_as_bounded(proxy: Callable[[bytes], str]) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: %d\r\n\r\n"
    url = proxy(head % 2 + b"{}")
    with http_session(url) as session:
        got = exchanged(session, "POST", url, BOUNDS, headers={}, data=b"{}")
    assert (got.status, got.body) == (302, b"{}")
    assert isinstance(through(proxy(head % 50_000 + b"x" * 50_000), "http://vendor.example/"), ReplyTooLarge)


def test_a_proxy_that_is_away_or_refuses_the_tunnel_passed_nothing_on(proxy: Callable[[bytes], str]) -> None:
    assert isinstance(through(proxy(b"HTTP/1.1 407 Who are you\r\n\r\n"), "https://vendor.example/"), NotSent)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert isinstance(through(away, "https://vendor.example/"), NotSent)
        assert isinstance(through(away, "http://vendor.example/"), NotSent)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        (" 0 ", 0.0),
        ("9" * 30, LONGEST_WAIT),
        ("Sun, 22 Nov 2026 12:02:00 GMT", 120.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 22 Nov 2126 12:00:00 GMT", LONGEST_WAIT),
        *((none, None) for none in ("", "-5", "1.5", "60, 120", "\u00b2", "\u0661\u0667", "soon", "1e9", "22 Nov")),
    ],
)
def test_a_wait_is_bounded_whatever_form_it_is_named_in(value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert retry_after({"Retry-After": value}, now) == seconds
    assert retry_after({}, now) is None

"""What real sockets do: replies cut, trickled or missing, connections that went stale, all on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Operation, PushItem
from connectors.errors import OutcomeUnknown, RetryLater
from connectors.salesforce import SalesforceConnector

from .conftest import vendor_id

Script = Callable[[socket.socket], bool]
"""Answers one request on a connection; returns whether the connection stays open."""


def reply(body: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body


def whole(body: bytes) -> bytes:
    return reply(body, b"Content-Length: %d\r\n" % len(body))


TOKEN = whole(b'{"access_token": "t", "instance_url": "https://acme.my.salesforce.com"}')
SAVED = b'[{"id": "%s", "success": true, "errors": []}]' % vendor_id(1).encode()


class Server:
    """Answers the token request, then follows the script for every other request."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._ended = threading.Semaphore(0)
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            while request := self._request(connection):
                self.requests.append(request)
                if b"oauth2/token" in request:
                    connection.sendall(TOKEN)
                elif not self.script(connection):
                    break
        self._ended.release()

    def hung_up(self) -> None:
        """Wait until one connection is closed: a read that met its closing might be sent into it, or not."""
        assert self._ended.acquire(timeout=60)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65_536)):
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65_536)
        return head.split(b"\r\n")[0]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):  # closed long ago
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def start() -> Iterator[Callable[[Script], Server]]:
    with contextlib.ExitStack() as stack:

        def run(script: Script) -> Server:
            server = Server(script)
            stack.callback(server.close)
            return server

        yield run


def write(connector: SalesforceConnector) -> str:
    item = PushItem("k", {"Name": "n"}, vendor_id=vendor_id(1))
    return connector.push("Opportunity", Operation.UPDATE, [item])[0].outcome.value


def nothing(_: socket.socket) -> bool:
    return False


def half_a_head(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Ty")
    return False


def half_a_body(connection: socket.socket) -> bool:
    connection.sendall(reply(SAVED[:20], b"Content-Length: %d\r\n" % len(SAVED)))
    return False


def half_a_chunk(connection: socket.socket) -> bool:
    connection.sendall(reply(b"%x\r\n" % len(SAVED) + SAVED[:20], b"Transfer-Encoding: chunked\r\n"))
    return False


def no_last_chunk(connection: socket.socket) -> bool:
    connection.sendall(reply(b"%x\r\n" % len(SAVED) + SAVED + b"\r\n", b"Transfer-Encoding: chunked\r\n"))
    return False


def no_gzip(connection: socket.socket) -> bool:
    connection.sendall(reply(SAVED, b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(SAVED)))
    return False


def trickle(connection: socket.socket) -> bool:
    connection.sendall(reply(b"[", b"Content-Length: 100000\r\n"))
    while True:
        threading.Event().wait(0.005)
        connection.sendall(b" ")


def silence(connection: socket.socket) -> bool:
    connection.recv(1)
    return False


def endless_head(connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-H%d: y\r\n" % n for n in range(1000)))
    return False


SCRIPTS = [
    nothing,
    half_a_head,
    half_a_body,
    half_a_chunk,
    no_last_chunk,
    no_gzip,
    trickle,
    silence,
    endless_head,
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_a_write_without_a_whole_answer_is_in_doubt_and_sent_once(
    start: Callable[[Script], Server], connect: Callable[..., SalesforceConnector], script: Script
) -> None:
    server = start(script)
    # Only those two never end; the others must not lose a race against a short time-out on a busy machine.
    connector = connect(endpoint=server.url, timeout_seconds=1.0 if script in {trickle, silence} else 20.0)
    with pytest.raises(OutcomeUnknown):
        write(connector)
    server.hung_up()
    with pytest.raises(RetryLater):
        connector.fetch("Opportunity", ["Name"], [vendor_id(1)])
    connector.close()
    assert sum(b"PATCH" in request for request in server.requests) == 1
    assert sum(b"/query/" in request for request in server.requests) == 1


@pytest.mark.parametrize("encoding", ["length", "chunked"])
def test_a_connection_serves_many_calls(
    start: Callable[[Script], Server], connect: Callable[..., SalesforceConnector], encoding: str
) -> None:
    def answer(connection: socket.socket) -> bool:
        chunked = reply(b"%x\r\n" % len(SAVED) + SAVED + b"\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n")
        connection.sendall(whole(SAVED) if encoding == "length" else chunked)
        return True

    server = start(answer)
    connector = connect(endpoint=server.url)
    assert [write(connector) for _ in range(5)] == ["updated"] * 5
    connector.close()
    assert len(server.open) == 1


def test_a_connection_the_vendor_drops_as_we_send_is_in_doubt_and_the_next_call_uses_a_new_one(
    start: Callable[[Script], Server], connect: Callable[..., SalesforceConnector]
) -> None:
    answers = iter([True, False, True])

    def answer(connection: socket.socket) -> bool:
        if not next(answers):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            return False
        connection.sendall(whole(SAVED))
        return True

    server = start(answer)
    connector = connect(endpoint=server.url)
    assert write(connector) == "updated"
    with pytest.raises(OutcomeUnknown):
        write(connector)
    assert write(connector) == "updated"
    connector.close()
    assert len(server.open) == 2


def test_a_port_nobody_listens_on_is_certainly_not_applied(connect: Callable[..., SalesforceConnector]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RetryLater, match="NOT-CONNECTED"):
        write(connect(endpoint=f"http://127.0.0.1:{port}"))

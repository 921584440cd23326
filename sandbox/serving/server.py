"""Serves a sandbox on 127.0.0.1: in a thread for tests, or as a process that announces itself and obeys SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.serving.clock import parse_instant
from sandbox.serving.control import ControlApp


class _QuietHandler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive; no line per request, whose printing alone costs a tenth of a small reply."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes; with Nagle's algorithm each keep-alive reply would wait 40 ms for an ACK.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class _Server(ThreadedWSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, app: ControlApp) -> None:
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__("127.0.0.1", port, app, handler=_QuietHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the keep-alive connections, whose threads would otherwise wait for a next request."""
        with self._connections_lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # already closed by its own thread or by the client
                connection.shutdown(socket.SHUT_RDWR)


class RunningServer:
    """A sandbox that answers on `url` (http://127.0.0.1:PORT) until `close()`. Also a context manager.

    `app` gives the test in the same process the clock, the faults and the counters without HTTP.
    """

    def __init__(self, app: ControlApp, port: int) -> None:
        self.app = app
        self._server = _Server(port, app)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name=f"sandbox-{app.name}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering, apply late commits, save the state. Safe to call twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.hang_up()
        self.app.close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(app: ControlApp, *, port: int = 0) -> RunningServer:
    """Serve a sandbox in a thread of this process; port 0 takes a free one."""
    return RunningServer(app, port)


def process_arguments(name: str) -> argparse.ArgumentParser:
    """The arguments of every sandbox process: `port` (int), `state` (Path or None), `clock` (aware datetime, UTC)."""
    parser = argparse.ArgumentParser(prog=f"python -m sandbox {name}")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, default=None, help="file that keeps the state between runs")
    parser.add_argument(
        "--clock", type=parse_instant, default=datetime.now(UTC), help="where the clock starts, ISO 8601 with zone"
    )
    return parser


def run_process(app: ControlApp, *, port: int = 0) -> int:
    """Serve until SIGTERM or SIGINT, then save and return the exit code 0.

    Prints one JSON line when ready: `{"ready": true, "name": ..., "url": ...}`.
    """
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with RunningServer(app, port) as server:
        sys.stdout.write(json.dumps({"ready": True, "name": app.name, "url": server.url}) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0

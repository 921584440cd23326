"""Faults below the vendor's protocol: dropped connections, late commits, HTML from a gateway, slow replies."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from werkzeug.wrappers import Response

from sandbox.serving.faults import Faults

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Well-formed: a SOAP client then parses it and stumbles later, in its own fault handling (googleads: a bare TypeError).
_HTML_503 = (
    '<html lang="en"><head><title>Error 503 (Service Unavailable)</title></head>'
    "<body><h1>503. That's an error.</h1><p>The service is temporarily unavailable.</p></body></html>\n"
)


def drop_connection(environ: WSGIEnvironment) -> NoReturn:
    """Close the client's connection without a byte of reply.

    Raises:
        ConnectionAbortedError: always; the server takes it as a client that went away.
    """
    connection = environ["werkzeug.socket"]
    with contextlib.suppress(OSError):  # the client may have hung up first: the connection is gone either way
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("connection dropped by a fault knob")


class LateCommits:
    """Requests whose reply is already lost and that are applied later, on machine time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[threading.Timer, Callable[[], object]] = {}

    def apply_after(self, seconds: float, apply: Callable[[], object]) -> None:
        """Run `apply` on a thread of its own after so many seconds."""

        def commit() -> None:
            with self._lock:
                if self._waiting.pop(timer, None) is None:
                    return
            apply()

        timer = threading.Timer(seconds, commit)
        timer.daemon = True
        with self._lock:
            self._waiting[timer] = apply
        timer.start()

    def apply_now(self) -> None:
        """Apply all that wait: the vendor accepted them and does not forget them when it is stopped."""
        with self._lock:
            waiting = dict(self._waiting)
            self._waiting.clear()
        for timer, apply in waiting.items():
            timer.cancel()
            apply()


def with_transport_faults(
    environ: WSGIEnvironment,
    faults: Faults,
    late: LateCommits,
    operation: str,
    *,
    write: bool,
    handle: Callable[[], Response],
) -> Response:
    """Answer one vendor request with `handle`, unless a transport fault strikes it.

    The caller has read the request body. `handle` applies the request and builds the reply.

    Raises:
        ConnectionAbortedError: lost_request, lost_reply or late_commit struck; let it pass to the server.
    """
    if faults.strikes("lost_request", operation, write=write):
        drop_connection(environ)
    if faults.strikes("html_503", operation, write=write):
        return Response(_HTML_503, status=503, content_type="text/html; charset=UTF-8")
    if fault := faults.strikes("late_commit", operation, write=write):
        late.apply_after(fault.seconds, handle)
        drop_connection(environ)
    lost = faults.strikes("lost_reply", operation, write=write)
    slow = faults.strikes("slow_reply", operation, write=write)
    response = handle()
    if lost:
        drop_connection(environ)
    if slow:
        time.sleep(slow.seconds)
    return response

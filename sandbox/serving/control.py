"""The control interface: JSON under /control/, by which people, demo and tests drive a simulated vendor.

GET, POST `clock`; GET, POST, DELETE `faults`; GET `calls`; POST `calls/reset`; GET `state?type=T`; POST `save`;
POST `reset`; and what the vendor adds. Bad input answers 400 with `{"error": sentence}`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from werkzeug.wrappers import Request, Response

from sandbox.serving.calls import CallCounter
from sandbox.serving.clock import Clock, format_instant, parse_instant
from sandbox.serving.faults import Faults
from sandbox.serving.snapshot import Snapshot
from sandbox.serving.transport import LateCommits

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Route = Callable[[Mapping[str, Any], Mapping[str, str]], object]


class ControlError(ValueError):
    """A control request that cannot be done; the sentence says why and what would work."""


class VendorState(Protocol):
    """What the control interface needs of a vendor's state. The vendor takes its own lock in each method."""

    def objects(self, type_name: str | None, query: Mapping[str, str]) -> list[Any]:
        """True objects of a type as JSON values. Raises ControlError for an unknown type."""

    def dump(self) -> Any:
        """The whole state as one JSON value."""

    def restore(self, dumped: Any) -> None:
        """Take over what `dump` returned."""

    def reset(self) -> None:
        """Back to a fresh vendor account."""


class ControlApp:
    """WSGI application: /control/ here, everything else to the vendor's application.

    Args:
        name: the vendor's short name.
        clock: the sandbox's clock.
        faults: its fault knobs.
        state: the vendor's true state.
        state_file: where the state is kept between runs; None keeps nothing. A saved clock wins over the one given,
            because a vendor's time does not fall back when its process restarts.

    Attributes:
        calls: counters the vendor's application counts into.
        late: late commits, for `with_transport_faults`.
        snapshot: call `snapshot.mark_changed()` after each change of state.
        vendor: the vendor's WSGI application; set it before serving.
    """

    def __init__(
        self, name: str, *, clock: Clock, faults: Faults, state: VendorState, state_file: Path | None = None
    ) -> None:
        self.name = name
        self.clock = clock
        self.faults = faults
        self.state = state
        self.calls = CallCounter()
        self.late = LateCommits()
        self.vendor: WSGIApplication | None = None
        self._started_at: datetime = clock.now()
        self._closing = threading.Lock()
        self._closed = False
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "clock"): self._get_clock,
            ("POST", "clock"): self._post_clock,
            ("GET", "faults"): self._get_faults,
            ("POST", "faults"): self._post_faults,
            ("DELETE", "faults"): self._delete_faults,
            ("GET", "calls"): self._get_calls,
            ("POST", "calls/reset"): self._post_calls_reset,
            ("GET", "state"): self._get_state,
            ("POST", "save"): self._post_save,
            ("POST", "reset"): self._post_reset,
        }
        self.snapshot = Snapshot(state_file, self._dump)
        if (saved := self.snapshot.load()) is not None:
            self._restore(saved)

    def add(self, method: str, path: str, route: Route) -> None:
        """Add a vendor's own route, `add("POST", "attach", f)`; `f(body, query)` returns the JSON reply."""
        self._routes[method, path] = route

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Dispatch one request."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith("/control/"):
            return self._control(Request(environ), path.removeprefix("/control/"))(environ, start_response)
        if self.vendor is None:
            raise RuntimeError(f"sandbox '{self.name}' serves no vendor application; set ControlApp.vendor")
        return self.vendor(environ, start_response)

    def close(self) -> None:
        """Apply late commits and save. Safe to call twice."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.late.apply_now()
        self.snapshot.close()

    def _control(self, request: Request, path: str) -> Response:
        route = self._routes.get((request.method, path))
        if route is None:
            known = sorted(f"{method} /control/{known_path}" for method, known_path in self._routes)
            return _json({"error": f"no {request.method} /control/{path}", "known": known}, 404)
        try:
            body = orjson.loads(data) if (data := request.get_data()) else {}
            if not isinstance(body, dict):
                raise ControlError(f"the body must be a JSON object, not {type(body).__name__}")
            return _json(route(body, request.args.to_dict()))
        except (ValueError, KeyError, TypeError) as error:
            # A person typed it: the sentence goes back, the sandbox goes on.
            return _json({"error": str(error) or type(error).__name__}, 400)

    def _get_clock(self, _body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        return {"now": format_instant(self.clock.now()), "running": self.clock.running}

    def _post_clock(self, body: Mapping[str, Any], query: Mapping[str, str]) -> object:
        _only(body, "now", "advance_seconds", "running")
        now = parse_instant(str(body["now"])) if "now" in body else None
        seconds = float(body.get("advance_seconds", 0))
        if now is not None:
            self.clock.set(now)
        if seconds:
            self.clock.advance(seconds)
        if "running" in body:
            self.clock.run(bool(body["running"]))
        self.snapshot.mark_changed()
        return self._get_clock(body, query)

    def _get_faults(self, _body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        return self.faults.as_json()

    def _post_faults(self, body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        self.faults.turn_on(body)
        return self.faults.as_json()

    def _delete_faults(self, _body: Mapping[str, Any], query: Mapping[str, str]) -> object:
        self.faults.turn_off(*filter(None, query.get("name", "").split(",")))
        return self.faults.as_json()

    def _get_calls(self, _body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        return {"operations": self.calls.snapshot()}

    def _post_calls_reset(self, _body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        self.calls.reset()
        return {"operations": {}}

    def _get_state(self, _body: Mapping[str, Any], query: Mapping[str, str]) -> object:
        return self.state.objects(query.get("type"), query)

    def _post_save(self, _body: Mapping[str, Any], _query: Mapping[str, str]) -> object:
        self.snapshot.save()
        return {"saved": True}

    def _post_reset(self, _body: Mapping[str, Any], query: Mapping[str, str]) -> object:
        self.state.reset()
        self.faults.turn_off()
        self.calls.reset()
        self.clock.set(self._started_at)
        self.snapshot.mark_changed()
        return self._get_clock({}, query)

    def _dump(self) -> bytes:
        return orjson.dumps(
            {
                "sandbox": self.name,
                "clock": {"now": format_instant(self.clock.now()), "running": self.clock.running},
                "vendor": self.state.dump(),
            },
            option=orjson.OPT_NON_STR_KEYS,
        )

    def _restore(self, saved: bytes) -> None:
        document = orjson.loads(saved)
        if document.get("sandbox") != self.name:
            raise ValueError(f"the state file belongs to sandbox {document.get('sandbox')!r}, not to '{self.name}'")
        self.state.restore(document["vendor"])
        self.clock.run(bool(document["clock"]["running"]))
        self.clock.set(parse_instant(document["clock"]["now"]))


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), status=status, content_type="application/json")


def _only(body: Mapping[str, Any], *keys: str) -> None:
    unknown = set(body) - set(keys)
    if unknown:
        raise ControlError(f"unknown keys {sorted(unknown)}; known are {sorted(keys)}")

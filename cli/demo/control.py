"""The control interface of one simulated vendor, over HTTP: its clock, faults, call counters and true state.

The people of the demo, the tests and the checks use it; the hub never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import requests

TIMEOUT_SECONDS = 120.0
WRITE_KINDS = frozenset({"create", "update", "act"})


class ControlError(Exception):
    """The sandbox refused a control request; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests of one vendor operation that reached the sandbox since its counters were reset."""

    operation: str
    kind: str
    calls: int
    records: int


class SandboxControl:
    """One sandbox, by the URL it announced. `name` is the connection it plays, for messages."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: no proxy, no netrc

    def close(self) -> None:
        """Give back the sockets."""
        self._session.close()

    def get(self, path: str, **query: str) -> Any:
        """GET /control/<path> as JSON. Raises ControlError."""
        return self._json("GET", path, query, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST a JSON object to /control/<path>. Raises ControlError."""
        return self._json("POST", path, {}, body or {})

    def now(self) -> datetime:
        """The vendor's present instant, UTC."""
        return datetime.fromisoformat(self.get("clock")["now"]).astimezone(UTC)

    def set_clock(self, now: datetime | None = None, *, running: bool | None = None) -> None:
        """Put the clock on an instant, let it tick or hold it."""
        body: dict[str, Any] = {}
        if now is not None:
            body["now"] = now.astimezone(UTC).isoformat()
        if running is not None:
            body["running"] = running
        self.post("clock", body)

    def calls(self) -> list[Calls]:
        """All counters."""
        operations = self.get("calls")["operations"]
        return [Calls(name, each["kind"], each["calls"], each["records"]) for name, each in operations.items()]

    def reset_calls(self) -> None:
        """Start counting from nothing."""
        self.post("calls/reset")

    def objects(self, type_name: str) -> list[dict[str, Any]]:
        """The true objects of a type."""
        found = self.get("state", type=type_name)
        if not isinstance(found, list):
            raise ControlError(f"{self.name}: the state of {type_name} is {type(found).__name__}, not a list.")
        return found

    def turn_faults_on(self, knobs: Mapping[str, Any]) -> None:
        """Set fault knobs, for instance `{"lost_reply": {"rate": 0.05, "seed": 1}}`."""
        self.post("faults", knobs)

    def turn_faults_off(self) -> None:
        """Turn every knob off."""
        self._json("DELETE", "faults", {}, None)

    def _json(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None) -> Any:
        try:
            reply = self._session.request(
                method,
                f"{self.url}/control/{path}",
                params=query,
                data=None if body is None else orjson.dumps(body),
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            raise ControlError(
                f"The sandbox {self.name} does not answer {method} /control/{path} ({type(error).__name__}). "
                "The demo stops. Whoever runs it looks at the sandbox's log."
            ) from error
        if reply.status_code >= 300:
            raise ControlError(
                f"The sandbox {self.name} refused {method} /control/{path} ({reply.status_code}: {reply.text[:300]}). "
                "The demo stops. Whoever works on the sandbox or the demo makes them agree."
            )
        return orjson.loads(reply.content)


def writes(calls: Iterable[Calls]) -> int:
    """How many requests created, updated or acted."""
    return sum(each.calls for each in calls if each.kind in WRITE_KINDS)


def other_calls(calls: Iterable[Calls]) -> dict[str, int]:
    """How many requests there were of each other kind."""
    found: dict[str, int] = {}
    for each in calls:
        if each.kind not in WRITE_KINDS:
            found[each.kind] = found.get(each.kind, 0) + each.calls
    return dict(sorted(found.items()))

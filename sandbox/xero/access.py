"""Who may call and how often: client credentials, tokens of 30 minutes, limits per organisation, remembered keys.

Sources: Xero's pages "Custom connections" (client_credentials with HTTP Basic, tokens of 1800 seconds), "OAuth 2.0 API
limits" (60 a minute, 5,000 a day, fixed windows, `Retry-After`, `X-Rate-Limit-Problem`) and "Idempotent requests" (128
characters, about six minutes, the same answer again errors included, 400 for another request under the same key).
"""

from __future__ import annotations

import secrets
import threading
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sandbox.serving import Clock

TOKEN_SECONDS = 1800
KEY_SECONDS = 360
MAX_KEY = 128


@dataclass
class App:
    """The custom connection: one client, one organisation."""

    client_id: str
    secret: str | None
    scopes: frozenset[str]


class Tokens:
    """Issues tokens and knows those that live."""

    def __init__(self, app: App, clock: Clock) -> None:
        self.app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, tuple[datetime, frozenset[str]]] = {}

    def grant(self, authorization: str | None, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Status and body of the token endpoint."""
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if not self._is_client(authorization):
            return 400, {"error": "invalid_client"}
        asked = frozenset(form.get("scope", "").split())
        if not asked <= self.app.scopes:
            return 400, {"error": "invalid_scope"}
        token = f"sandbox-{secrets.token_urlsafe(24)}"
        with self._lock:
            self._ends[token] = (self._clock.now(), asked)
        scope = " ".join(sorted(asked))
        return 200, {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer", "scope": scope}

    def _is_client(self, authorization: str | None) -> bool:
        kind, _, value = (authorization or "").partition(" ")
        if kind != "Basic" or self.app.secret is None:
            return False
        try:
            client, _, secret = b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return False
        right = secrets.compare_digest(secret.encode(), self.app.secret.encode())
        return right and client == self.app.client_id

    def scopes(self, authorization: str | None) -> frozenset[str] | None:
        """What a token allows; None when it is unknown or has expired."""
        kind, _, token = (authorization or "").partition(" ")
        with self._lock:
            issued = self._ends.get(token) if kind == "Bearer" else None
        if issued is None or (self._clock.now() - issued[0]).total_seconds() >= TOKEN_SECONDS:
            return None
        return issued[1]

    def revoke(self, authorization: str | None) -> None:
        """Forget a token."""
        with self._lock:
            self._ends.pop((authorization or "").partition(" ")[2], None)


class Limits:
    """Calls in the present minute and day of the clock."""

    def __init__(self, clock: Clock, minute: int, day: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.minute, self.day = minute, day
        self._minute_now, self._in_minute, self._day_now, self._in_day = "", 0, "", 0

    def count(self) -> str | None:
        """Count one call; the name of the limit that is used up, or None."""
        now = self._clock.now()
        with self._lock:
            self._roll(now)
            if self._in_day >= self.day:
                return "day"
            if self._in_minute >= self.minute:
                return "minute"
            self._in_minute += 1
            self._in_day += 1
        return None

    def _roll(self, now: datetime) -> None:
        minute, day = now.strftime("%Y%m%d%H%M"), now.strftime("%Y%m%d")
        if minute != self._minute_now:
            self._minute_now, self._in_minute = minute, 0
        if day != self._day_now:
            self._day_now, self._in_day = day, 0

    def wait(self, problem: str) -> int:
        """Seconds until a limit's window ends."""
        now = self._clock.now()
        into_day = now.hour * 3600 + now.minute * 60 + now.second
        return 86_400 - into_day if problem == "day" else 60 - now.second

    def headers(self) -> dict[str, str]:
        """What every reply says about the limits."""
        with self._lock:
            self._roll(self._clock.now())
            return {
                "X-DayLimit-Remaining": str(self.day - self._in_day),
                "X-MinLimit-Remaining": str(self.minute - self._in_minute),
                "X-AppMinLimit-Remaining": "9999",
            }

    def reset(self) -> None:
        """Forget the calls of this minute and day."""
        with self._lock:
            self._minute_now = self._day_now = ""


@dataclass(frozen=True)
class Remembered:
    """An answer under a key, and the request it answered."""

    at: datetime
    request: str
    status: int
    body: bytes


class KeyMemory:
    """Answers by idempotency key, for as long as Xero remembers them. The ledger's lock guards it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[str, Remembered] = {}

    def recall(self, key: str) -> Remembered | None:
        """The answer under a key that is not forgotten yet."""
        known = self._answers.get(key)
        if known is not None and (self._clock.now() - known.at).total_seconds() >= KEY_SECONDS:
            del self._answers[key]
            return None
        return known

    def keep(self, key: str, request: str, status: int, body: bytes) -> None:
        """Remember an answer."""
        self._answers[key] = Remembered(self._clock.now(), request, status, body)

    def reset(self) -> None:
        """Forget all."""
        self._answers.clear()


def fingerprint(method: str, path: str, query: str, body: bytes) -> str:
    """What makes two requests the same."""
    return sha256(b"\x00".join((method.encode(), path.encode(), query.encode(), body))).hexdigest()

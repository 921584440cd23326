"""Gets and keeps the access token: service account, refresh token, or a ready one.

`googleads`' own service-account client asks for a token in its constructor and retries with sleeps inside google-auth;
a connector makes one attempt per call and never sleeps, so the two grants (RFC 7523, RFC 6749 section 6) are made here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from connectors.endpoint import keep_header
from connectors.errors import AuthFailed, Misconfigured, RetryLater
from connectors.gam.settings import GamSettings

_EARLY = 60.0
"""Seconds before its expiry at which a token is renewed, so that none expires on the way."""

_TROUBLE = frozenset({"internal_failure", "server_error", "temporarily_unavailable", "rate_limit_exceeded"})
"""Errors of a token server that say nothing about the credential, whatever their status; the first three are those that
google-auth tries again for (`google.oauth2._client._can_retry`)."""

_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Login:
    """One credential's token, shared by all threads; renewed when it is about to expire or was refused.

    Raises AuthFailed when the credential itself is refused, RetryLater when the token server cannot be asked,
    Misconfigured when the key cannot be read.
    """

    def __init__(self, settings: GamSettings, wall: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._wall = wall
        self._lock = threading.Lock()
        self._sent = threading.local()  # the token that this thread's present call carries
        self._token: str | None = None
        self._expires = 0.0
        self._worked = False
        if settings.access_token is not None:
            self._token, self._expires = settings.access_token.get_secret_value(), float("inf")

    def CreateHttpHeader(self) -> dict[str, str]:  # noqa: N802 - the name googleads calls
        """The Authorization header of one request."""
        with self._lock:
            if self._token is None or self._wall() >= self._expires - _EARLY:
                self._renew()
            self._sent.token = self._token
            return {"Authorization": f"Bearer {self._token}"}

    def worked(self) -> None:
        """The vendor took the token of this thread's call."""
        with self._lock:
            self._worked = self._worked or self._is_present()

    def refused(self) -> bool:
        """The vendor refused the token of this thread's call; True when another one is worth trying.

        A token that worked before has expired or was revoked: it is dropped. One that never worked will not work when
        renewed either, and a ready access token cannot be renewed. A token that another thread has dropped or renewed
        meanwhile says nothing about the present one.
        """
        with self._lock:
            if self._settings.access_token is not None:
                return False
            if not self._is_present():
                return True
            if not self._worked:
                return False
            self._token, self._worked = None, False
            return True

    def _is_present(self) -> bool:
        return self._token is not None and getattr(self._sent, "token", None) == self._token

    # ------------------------------------------------------------ grants
    def _renew(self) -> None:
        if self._settings.refresh_token is not None:
            secret = self._settings.client_secret
            address, form = (
                self._settings.token_uri,
                {
                    "grant_type": "refresh_token",
                    "refresh_token": self._settings.refresh_token.get_secret_value(),
                    "client_id": self._settings.client_id or "",
                    "client_secret": secret.get_secret_value() if secret else "",
                },
            )
        else:
            key = self._key()
            address = str(key["token_uri"])
            form = {"grant_type": _JWT_GRANT, "assertion": self._assertion(key)}
        answer = _ask(address, form, self._settings.timeout_seconds)
        token, lifetime = answer.get("access_token"), answer.get("expires_in", 3600)
        if not isinstance(token, str) or not token or not isinstance(lifetime, int | float):
            raise RetryLater("TOKEN-UNREADABLE", "The token server answered without an access token.")
        self._token, self._expires, self._worked = token, self._wall() + float(lifetime), False

    def _key(self) -> Mapping[str, Any]:
        if self._settings.service_account_json is not None:
            text, source = self._settings.service_account_json.get_secret_value(), "service_account_json"
        else:
            source = f"key file {self._settings.key_file}"
            try:
                text = Path(str(self._settings.key_file)).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise Misconfigured(
                    "KEY-UNREADABLE", f"The {source} cannot be read ({error.__class__.__name__}). Name a readable file."
                ) from None
        try:
            key = json.loads(text)
            missing = [name for name in ("client_email", "private_key", "token_uri") if not key.get(name)]
        except (ValueError, AttributeError):
            raise Misconfigured("KEY-UNREADABLE", f"The {source} is no JSON object. Download the key anew.") from None
        if missing:
            raise Misconfigured("KEY-INCOMPLETE", f"The {source} lacks {', '.join(missing)}. Download the key anew.")
        return dict(key)

    def _assertion(self, key: Mapping[str, Any]) -> str:
        import jwt

        now = int(self._wall())
        claims = {
            "iss": key["client_email"],
            "scope": self._settings.scope,
            "aud": key["token_uri"],
            "iat": now,
            "exp": now + 3600,
        }
        if self._settings.delegated_account:
            claims["sub"] = self._settings.delegated_account
        headers = {"kid": key["private_key_id"]} if key.get("private_key_id") else None
        try:
            return jwt.encode(claims, key["private_key"], algorithm="RS256", headers=headers)
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Misconfigured(
                "KEY-UNUSABLE", "The service account's private key is no RSA key. Download it anew."
            ) from None


def _ask(address: str, form: Mapping[str, str], timeout: float) -> Mapping[str, Any]:
    """One POST to a token server."""
    try:
        response = requests.post(address, data=dict(form), timeout=timeout, allow_redirects=False, auth=keep_header)
    except requests.exceptions.InvalidURL as error:
        raise Misconfigured("TOKEN-ADDRESS", f"{address} is no address of a token server.") from error
    except requests.RequestException as error:
        raise RetryLater(
            "TOKEN-UNREACHABLE", f"The token server gave no answer ({error.__class__.__name__})."
        ) from None
    try:
        body = response.json()
    except ValueError:
        body = None
    answer: Mapping[str, Any] = body if isinstance(body, dict) else {}
    if response.status_code == 200 and answer:
        return answer
    code = str(answer.get("error") or f"HTTP-{response.status_code}")
    words = " ".join(str(answer.get("error_description") or "").split())[:200]
    if response.status_code in (400, 401, 403) and answer.get("error") and not _TROUBLE & {code, words}:
        raise AuthFailed(
            code, f"The token server refused the credential ({code}: {words}). Check key, clock and rights."
        )
    raise RetryLater(code, f"The token server could not give a token (HTTP {response.status_code}).")

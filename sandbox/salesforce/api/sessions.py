"""OAuth 2.0: the token endpoint, access tokens and their end. Client credentials and JWT bearer; no password flow.

Credentials live in memory only: they come from the command line's environment or the control interface and are never
part of a saved state. Token life is machine time, as no client looks at the org's clock.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from sandbox.salesforce.api.http import Reply

DEFAULT_CLIENT_ID = "orderhub"
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_MAX_ASSERTION_LIFE = 300 + 60  # seconds; the vendor wants exp within 3-5 minutes, skew allowed


@dataclass
class App:
    """The integration's app at the vendor (an External Client App)."""

    client_id: str = DEFAULT_CLIENT_ID
    secret: str | None = None
    public_key: RSAPublicKey | None = None


class OAuthRefused(Exception):  # noqa: N818 - the vendor's answer, not our failure
    """The vendor's `{"error", "error_description"}`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


class Sessions:
    """Access tokens that are valid now.

    Args:
        life_seconds: how long a token lives, machine time.
    """

    def __init__(self, app: App, *, life_seconds: float = 7200.0) -> None:
        self.app = app
        self.life_seconds = life_seconds
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}

    def open(self, organization_id: str) -> str:
        """A new token."""
        token = f"{organization_id[:15]}!{secrets.token_urlsafe(64)}"
        with self._lock:
            now = time.monotonic()
            self._ends = {known: end for known, end in self._ends.items() if end > now}
            self._ends[token] = now + self.life_seconds
        return token

    def valid(self, authorization: str | None) -> str | None:
        """The token of an Authorization header if it is valid now."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme not in ("Bearer", "OAuth"):
            return None
        with self._lock:
            end = self._ends.get(token.strip())
        return token.strip() if end is not None and end > time.monotonic() else None

    def revoke(self, token: str | None = None) -> None:
        """End a token, or all."""
        with self._lock:
            if token is None:
                self._ends.clear()
            else:
                self._ends.pop(token, None)

    def set_up(self, facts: Mapping[str, Any]) -> None:
        """Change the app: `client_id`, `client_secret`, `certificate` (PEM of a certificate or a public key).

        Raises:
            ValueError: the PEM holds no RSA public key.
        """
        if "client_id" in facts:
            self.app.client_id = str(facts["client_id"])
        if "client_secret" in facts:
            self.app.secret = str(facts["client_secret"]) or None
        if "certificate" in facts:
            self.app.public_key = read_public_key(str(facts["certificate"]))
        if "token_seconds" in facts:
            self.life_seconds = float(facts["token_seconds"])


def read_public_key(pem: str) -> RSAPublicKey:
    """The RSA public key of a PEM certificate or public key.

    Raises:
        ValueError: it holds none.
    """
    data = pem.encode("ascii")
    key = load_pem_x509_certificate(data).public_key() if b"BEGIN CERTIFICATE" in data else load_pem_public_key(data)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the certificate holds no RSA key; Salesforce verifies RS256 only")
    return key


def token_reply(
    sessions: Sessions,
    body: bytes,
    authorization: str | None,
    *,
    username: str,
    grant_token: Callable[[], dict[str, Any]],
) -> Reply:
    """Answer `POST /services/oauth2/token`.

    Args:
        username: the integration user, who a JWT must name as `sub`.
        grant_token: opens a session and returns the body of the answer.
    """
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            _check_client(sessions.app, form, authorization)
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            _check_assertion(sessions.app, form.get("assertion", ""), username)
        else:
            raise OAuthRefused("unsupported_grant_type", "grant type not supported")
    except OAuthRefused as refused:
        return Reply(400, {"error": refused.error, "error_description": refused.description})
    return Reply(200, grant_token())


def _check_client(app: App, form: Mapping[str, str], authorization: str | None) -> None:
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization and authorization.startswith("Basic "):
        try:
            decoded = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode("utf-8")
        except ValueError:
            raise OAuthRefused("invalid_client", "invalid client credentials") from None
        client_id, _, secret = decoded.partition(":")
    if client_id != app.client_id:
        raise OAuthRefused("invalid_client_id", "client identifier invalid")
    if not app.secret or not hmac.compare_digest(secret.encode(), app.secret.encode()):
        raise OAuthRefused("invalid_client", "invalid client credentials")


def _check_assertion(app: App, assertion: str, username: str) -> None:
    """Verify a JWT bearer assertion: RS256, iss, sub, aud and exp, as the vendor does."""
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise OAuthRefused("invalid_grant", "invalid assertion") from None
    if claims.get("iss") != app.client_id:
        raise OAuthRefused("invalid_client_id", "client identifier invalid")
    if app.public_key is None:
        raise OAuthRefused("invalid_grant", "user hasn't approved this consumer")
    try:
        jwt.decode(
            assertion,
            app.public_key,
            algorithms=["RS256"],
            audience=_AUDIENCES,
            options={"require": ["exp", "aud", "sub", "iss"]},
        )
    except jwt.InvalidAudienceError:
        raise OAuthRefused("invalid_grant", "audience is invalid") from None
    except jwt.ExpiredSignatureError:
        raise OAuthRefused("invalid_grant", "expired authorization code") from None
    except jwt.PyJWTError:
        raise OAuthRefused("invalid_grant", "invalid assertion") from None
    if float(claims["exp"]) - time.time() > _MAX_ASSERTION_LIFE:
        raise OAuthRefused("invalid_grant", "assertion expiration is too far in the future")
    if claims["sub"] != username:
        raise OAuthRefused("invalid_grant", "user hasn't approved this consumer")

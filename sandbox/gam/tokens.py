"""OAuth tokens: issued to service accounts for a signed assertion (RFC 7523), expired by time or by a fault.

A service account is an e-mail address with a public key. The sandbox makes one on demand and hands out its key file,
as the vendor's console does; a person may register another. Tokens live on machine time and die with the process.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from sandbox.gam.network import Network
from sandbox.gam.soap import Native, fail
from sandbox.serving import ControlError

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# google-auth always names this audience, whatever address it sends the assertion to.
_AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPES = frozenset({"https://www.googleapis.com/auth/dfp", "https://www.googleapis.com/auth/admanager"})


class TokenError(Exception):
    """The token endpoint refuses; `code` is the OAuth error code, the message its description."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


class Tokens:
    """Access tokens of a running sandbox. Thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[int, float]] = {}
        self._revoked: set[str] = set()

    def issue(self, form: dict[str, str], token_uri: str) -> dict[str, Any]:
        """Answer a token request.

        Raises:
            TokenError: another grant, an unknown account, or an assertion that is not valid.
        """
        import jwt

        if form.get("grant_type") != _GRANT:
            raise TokenError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        assertion = form.get("assertion", "")
        try:
            email = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss", ""))
            public_key = self._network.service_accounts.get(email)
            if public_key is None:
                raise TokenError("invalid_grant", "Invalid grant: account not found")
            claims = jwt.decode(assertion, public_key, algorithms=["RS256"], audience=[token_uri, _AUDIENCE])
        except jwt.PyJWTError as error:
            raise TokenError("invalid_grant", f"Invalid JWT: {error}") from error
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            raise TokenError("invalid_scope", "Empty or missing scope not allowed.")
        seconds = self._network.settings.token_seconds
        token = f"ya29.{secrets.token_urlsafe(32)}"
        with self._lock:
            self._issued[token] = self._user_id(str(claims.get("sub", email))), time.monotonic() + seconds
        return {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}

    def user_of(self, authorization: str | None) -> int:
        """The user id of an Authorization header.

        Raises:
            ApiFaultError: AuthenticationError.
        """
        if not authorization or not authorization.startswith("Bearer "):
            fail("AuthenticationError", "MISSING_AUTHENTICATION_HTTP_HEADER", "")
        token = authorization.removeprefix("Bearer ").strip()
        with self._lock:
            issued = self._issued.get(token)
            revoked = token in self._revoked
        if issued is not None and not revoked and time.monotonic() < issued[1]:
            return issued[0]
        if issued is None and not revoked and token in self._network.settings.static_tokens:
            return self._service_user()
        return fail("AuthenticationError", "AUTHENTICATION_FAILED", "")

    def expire(self, authorization: str | None) -> None:
        """Make the token of a header invalid at once (fault expired_token); a static one is good again the next time.

        A static token cannot be renewed by the client, so its expiry is for one request only.
        """
        token = (authorization or "").removeprefix("Bearer ").strip()
        if token and token not in self._network.settings.static_tokens:
            with self._lock:
                self._revoked.add(token)

    def _user_id(self, email: str) -> int:
        for user in self._network.tables["User"]:
            if user["email"] == email:
                return int(user["id"])
        raise TokenError("invalid_grant", f"{email} is no user of the network")

    def _service_user(self) -> int:
        return next(int(user["id"]) for user in self._network.tables["User"] if user["isServiceAccount"])


def make_key_file(network: Network, token_uri: str) -> Native:
    """Make a new key for the network's service account and return its key file; the older key stops working."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    user = next(user for user in network.tables["User"] if user["isServiceAccount"])
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    network.service_accounts[user["email"]] = public.decode()
    return {
        "type": "service_account",
        "project_id": "sandbox",
        "private_key_id": secrets.token_hex(20),
        "private_key": private.decode(),
        "client_email": user["email"],
        "client_id": str(user["id"]),
        "token_uri": token_uri,
    }


def register_key(network: Network, email: str, public_key: str) -> None:
    """Let an existing user log in as a service account with a key of its own.

    Raises:
        ControlError: there is no such user, or the key is no PEM public key.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if not any(user["email"] == email for user in network.tables["User"]):
        raise ControlError(f"{email} is no user of the network; add it with POST /control/users first")
    load_pem_public_key(public_key.encode())
    network.service_accounts[email] = public_key

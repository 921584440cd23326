"""OAuth 2.0 machine to machine: the token endpoint, its signed assertion, access tokens and their end.

Evidence: pages "POST Request to the Token Endpoint" (section_162755359851), "The Request Token Structure"
(section_162790605110: algorithms PS256-512 and ES256-512, `kid` the certificate's id, `aud` the token endpoint, life below 60
minutes) of the NetSuite online help. Certificates live in memory only. Lives are machine time.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
GRANT = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST = 3600
_MIN_RSA_BITS = 3072  # "Troubleshooting OAuth 2.0": RSA certificates of 3072 or 4096 bits

Key = RSAPublicKey | EllipticCurvePublicKey


class TokenRefused(Exception):  # noqa: N818 - the vendor's answer, not our failure
    """The token endpoint's `{"error": …}`."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


def read_key(pem: str) -> Key:
    """The public key of a PEM certificate or public key. Raises ValueError when it holds none that NetSuite takes."""
    data = pem.encode("ascii")
    key = load_pem_x509_certificate(data).public_key() if b"BEGIN CERTIFICATE" in data else load_pem_public_key(data)
    if isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    if isinstance(key, EllipticCurvePublicKey):
        return key
    raise ValueError(f"the certificate must hold an EC key or an RSA key of at least {_MIN_RSA_BITS} bits")


class Tokens:
    """The integration's certificates and the access tokens that are valid now."""

    def __init__(self, audience: str, client_id: str, *, life_seconds: float = 3600.0) -> None:
        self.audience = audience
        self.client_id = client_id
        self.life_seconds = life_seconds
        self._keys: dict[str, Key] = {}
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}

    @property
    def certificates(self) -> list[str]:
        """Ids of the certificates that are mapped."""
        return sorted(self._keys)

    def map(self, certificate_id: str, pem: str | None) -> None:
        """Map a certificate to the integration, or revoke it (None)."""
        if pem is None:
            self._keys.pop(certificate_id, None)
        else:
            self._keys[certificate_id] = read_key(pem)

    def grant(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Answer a token request. Raises TokenRefused."""
        if content_type.partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise TokenRefused("invalid_request")
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("grant_type") != GRANT:
            raise TokenRefused("unsupported_grant_type")
        if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
            raise TokenRefused("invalid_request")
        self._verify(form["client_assertion"])
        token = f"eyJ{secrets.token_urlsafe(48)}.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(24)}"
        with self._lock:
            now = time.monotonic()
            self._ends = {known: end for known, end in self._ends.items() if end > now}
            self._ends[token] = now + self.life_seconds
        return {"access_token": token, "expires_in": "3600", "token_type": "Bearer"}

    def _verify(self, assertion: str) -> None:
        try:
            head: Mapping[str, Any] = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError:
            raise TokenRefused("invalid_request") from None
        key = self._keys.get(str(head.get("kid")))
        if key is None or head.get("alg") not in ALGORITHMS or head.get("typ") != "JWT":
            raise TokenRefused("invalid_client", 401)
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=list(ALGORITHMS),
                audience=self.audience,
                issuer=self.client_id,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):  # an EC signature under an RSA key ends in the last two
            raise TokenRefused("invalid_client", 401) from None
        if claims["exp"] - claims["iat"] > _LONGEST:
            raise TokenRefused("invalid_client", 401)
        scope = claims.get("scope")
        scopes = scope if isinstance(scope, list) else str(scope or "").replace(",", " ").split()
        if "rest_webservices" not in scopes:
            raise TokenRefused("invalid_scope")

    def valid(self, authorization: str | None) -> str | None:
        """The token of an Authorization header if it is valid now."""
        scheme, _, token = (authorization or "").partition(" ")
        with self._lock:
            end = self._ends.get(token.strip()) if scheme == "Bearer" else None
        return token.strip() if end is not None and end > time.monotonic() else None

    def revoke(self, token: str | None = None) -> None:
        """End a token, or all."""
        with self._lock:
            if token is None:
                self._ends.clear()
            else:
                self._ends.pop(token, None)

"""Where a connection's requests go: a base URL that leaks no secret, and a session that goes there only."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import requests


def is_loopback(host: str | None) -> bool:
    """Whether the host of a URL is this machine."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def base_url(value: str, setting: str, example: str) -> str:
    """The base URL without a slash at its end. Raises ValueError for text that is none, and for plain http elsewhere."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{setting} must be a base URL such as '{example}'")
    if parts.username or parts.password:
        raise ValueError(f"{setting} must hold no user or password")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"{setting} must use https; plain http is for this machine only, else secrets travel in clear")
    return value.rstrip("/")


def http_session(base: str) -> requests.Session:
    """A session for one worker thread that follows no redirects and takes no credentials from the environment."""
    session = requests.Session()
    session.max_redirects = 0
    session.auth = keep_header
    if is_loopback(urlsplit(base).hostname):
        session.trust_env = False  # a proxy of the environment must not stand between us and this machine
    return session


def keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As `auth` of a session or request: without one, an entry of ~/.netrc (its `default` too) would replace our token and go
    to a host that must get no credential."""
    return request

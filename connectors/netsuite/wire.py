"""The bytes: exact decimals out, bounded values in, and a session that sends one request once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from connectors.netsuite.settings import NetSuiteSettings, is_loopback

_MAX_DEPTH = 24
_MAX_NUMBER = 40  # NetSuite amounts have at most 18 digits; a longer number is slow to handle and means nothing
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):  # noqa: N818
    """A body that is not the JSON it should be."""


class Unwritable(ValueError):  # noqa: N818
    """A value that cannot be sent; the sentence says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status below 300."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def encoded(value: object) -> bytes:
    """JSON with exact decimals. Raises Unwritable for a float, and for text that is none."""
    try:
        return orjson.dumps(value, default=_exact, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError as error:
        raise Unwritable(f"a value cannot be sent to NetSuite ({error.__cause__ or error})") from error


def _exact(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _MAX_NUMBER:
        return orjson.Fragment(format(value, "f").encode())
    if type(value) is date:
        return value.isoformat()
    raise TypeError(f"{value!r:.40} has no exact form")


def decoded(body: bytes) -> Any:
    """Values of any origin, with bounded depth and numbers; fractions as Decimal. Raises Unreadable."""
    try:
        return _plain(json.loads(body, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is not the JSON expected ({type(error).__name__})") from error


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= _MAX_NUMBER else None
    if number is None or abs(number.adjusted()) > _MAX_NUMBER:
        raise ValueError("a number beyond anything NetSuite holds")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise ValueError("a number beyond anything NetSuite holds")
    return int(text)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with half surrogates and NUL, which no database takes, shown as U+FFFD."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {name: _plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    return value


def http_session(settings: NetSuiteSettings) -> requests.Session:
    """A session for one worker thread that follows no redirects and takes no credentials from the environment."""
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=0))
    session.mount("http://", HTTPAdapter(max_retries=0))
    session.auth = _keep_header  # else a ~/.netrc entry would replace the bearer token
    if settings.endpoint and is_loopback(urlsplit(settings.endpoint).hostname):
        session.trust_env = False  # a proxy of the environment must not stand between us and this machine
    return session


def _keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request

"""The store's URL: what is wrong with it is said without a word of it, for the password may stand anywhere in it."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from hub.errors import StoreUnavailable

_SCHEME = re.compile(r"[a-z][a-z0-9.+-]*", re.IGNORECASE)
_PORTS = re.compile(r"[0-9]*(?:,[0-9]*)*")
_FORM = "Nothing is read or written. Use postgresql://user:password@host:port/database (PostgreSQL 15 or newer)"


def libpq_url(url: str) -> str:
    """The URL as psycopg reads it. Raises StoreUnavailable where it is not one, or names no PostgreSQL."""
    rest = _after_scheme(url)
    known = f"postgresql://{rest}"
    # libpq reads what a bare @ or / of a password leaves behind as host, port or database, and would show it.
    authority, _, path = rest.partition("?")[0].partition("/")
    try:
        parts = conninfo_to_dict(known)
        misread = authority.count("@") > 1 or "@" in path or not _PORTS.fullmatch(str(parts.get("port") or ""))
    except psycopg.ProgrammingError:  # its text quotes the URL
        misread = True
    if misread:
        raise StoreUnavailable(
            f"The store's URL cannot be read. {_FORM}; what is no letter and no digit in the password is written as % and "
            "two hexadecimal digits, %40 for @ and %2F for /."
        )
    return known


def sqlalchemy_url(url: str) -> str:
    """The same database for SQLAlchemy, through psycopg 3. Raises StoreUnavailable as `libpq_url` does."""
    return libpq_url(url).replace("postgresql://", "postgresql+psycopg://", 1)


def _after_scheme(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        raise StoreUnavailable(f"The store's URL has no scheme. {_FORM}.")
    if scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise StoreUnavailable(f"The store's URL begins with {scheme}://. {_FORM}.")
    return rest

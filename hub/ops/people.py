"""Who a person is, as the audit chain and the journal name them."""

from __future__ import annotations

import getpass
import os

from oms_schema.problems import shown


def who(by: str | None) -> str:
    """The name given, else the operating system's user; one line of at most 120 characters."""
    named = shown((by or "").strip(), 120)
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not be in any list
        return f"uid {os.getuid()}"


def why(note: str | None) -> str:
    """A person's note as it is kept: one line of at most 500 characters."""
    return shown((note or "").strip(), 500)

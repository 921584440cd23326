"""Secrets by reference: `env:NAME`, `file:PATH`, and whatever a plug-in registers (`airflow:CONNECTION`).

A resolved secret lives in the connector's `SecretStr` field and nowhere else: never in the store, never in a log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SecretSource = Callable[[str], str]
"""Turns what stands behind the colon into the secret; raises SecretMissing with a sentence."""


class SecretMissing(Exception):  # noqa: N818
    """The reference leads nowhere; the message is a sentence."""


def _environment(name: str) -> str:
    if name not in os.environ:
        raise SecretMissing(
            f"The environment variable {name} is not set. What refers to it is not used. Whoever runs the hub sets it."
        )
    if not os.environ[name].strip():
        raise SecretMissing(
            f"The environment variable {name} is empty. What refers to it is not used. Whoever runs the hub sets it."
        )
    return os.environ[name]


def _file(path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretMissing(
            f"The secret file {path} cannot be read ({type(error).__name__}). What refers to it is not used. "
            "Whoever runs the hub puts the file there, readable for the hub's user."
        ) from None
    if not secret:
        raise SecretMissing(
            f"The secret file {path} is empty. What refers to it is not used. Whoever runs the hub puts the secret there."
        )
    return secret


_sources: dict[str, SecretSource] = {"env": _environment, "file": _file}


def register(scheme: str, source: SecretSource) -> None:
    """Add a kind of reference, for instance `airflow`; registering a scheme again replaces its source."""
    _sources[scheme] = source


def is_reference(value: object) -> bool:
    """Whether a setting is a reference (`scheme:rest`) of a known or well-known kind."""
    return isinstance(value, str) and value.partition(":")[0] in {*_sources, "airflow"} and ":" in value


def resolve(value: str) -> str:
    """The secret behind one reference. Raises SecretMissing."""
    scheme, _, rest = value.partition(":")
    source = _sources.get(scheme)
    if source is None:
        raise SecretMissing(
            f"The reference {scheme}:… needs Airflow, and this process runs without it. What refers to it is not used here. "
            "Use an env: or file: reference, or run the work through the DAGs."
        )
    return source(rest)


def resolve_all(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of settings with every reference resolved, nested ones too. Raises SecretMissing."""
    resolved: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            resolved[name] = resolve_all(value)
        else:
            resolved[name] = resolve(value) if is_reference(value) else value
    return resolved

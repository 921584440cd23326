"""Compares what we wrote with what the network shows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.base import FieldDifference
from connectors.gam.plain import merges, shows
from connectors.gam.push import REQUEST_ONLY


def differences(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> Sequence[FieldDifference]:
    """The wanted fields that the present object does not show; fields that only steer a request are none."""
    return [
        found
        for name, value in sorted(wanted.items())
        if name != "id" and name not in REQUEST_ONLY
        for found in _within(name, value, present.get(name))
    ]


def _within(path: str, wanted: Any, present: Any) -> Iterator[FieldDifference]:
    if shows(present, wanted):
        return
    if merges(wanted) and merges(present):
        for name, value in sorted(wanted.items()):
            yield from _within(f"{path}.{name}", value, present.get(name))
        return
    yield FieldDifference(path, wanted, present)

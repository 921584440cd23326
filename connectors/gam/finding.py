"""Finds records by the mark they carry: companies by name and type, orders by name, line items by order and externalId."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.base import Native, PushItem
from connectors.errors import Misconfigured
from connectors.gam.objects import Objects
from connectors.gam.settings import GamSettings
from connectors.gam.statement import Where, chunks

Key = tuple[str, str]


def find(
    objects: Objects, record: str, items: Sequence[PushItem], settings: GamSettings
) -> list[tuple[str, Native] | None]:
    """For each item the vendor's record with its mark; archived ones count, a live one is preferred.

    When several records carry one mark, the oldest is returned and `duplicateIds` of its native names the others. With
    `names_ignore_case` a record in another spelling is returned where none has the exact one. Raises like a read.
    """
    how = _KEYS.get(record)
    if how is None:
        raise Misconfigured("FIND-UNKNOWN", f"{record} has no mark to find it by. Choose {', '.join(_KEYS)}.")
    asked = [how(item.payload) for item in items]
    keys = sorted({key for key in asked if key is not None})
    natives: dict[Key, list[dict[str, Any]]] = {}
    others: dict[Key, list[dict[str, Any]]] = {}
    for some in chunks(keys, settings.names_per_query):
        for native in objects.every(record, _condition(record, some)):
            key = how(native)
            if key is not None:
                natives.setdefault(key, []).append(native)
                others.setdefault(_folded(key), []).append(native)
    found: list[tuple[str, Native] | None] = []
    for key in asked:
        hits = natives.get(key, []) if key is not None else []
        if key is not None and not hits and settings.names_ignore_case:
            hits = others.get(_folded(key), [])
        found.append(_chosen(hits))
    return found


def _condition(record: str, keys: Sequence[Key]) -> Where:
    firsts, seconds = sorted({first for first, _ in keys}), sorted({second for _, second in keys})
    if record == "Company":
        return Where().among("name", firsts).among("type", seconds)
    if record == "Order":
        return Where().among("name", firsts)
    return Where().among("orderId", [int(first) for first in firsts]).among("externalId", seconds)


def _folded(key: Key) -> Key:
    return key[0].casefold(), key[1]


def _company(native: Mapping[str, Any]) -> Key | None:
    name, kind = native.get("name"), native.get("type")
    return (str(name), str(kind)) if name and kind else None


def _order(native: Mapping[str, Any]) -> Key | None:
    name = native.get("name")
    return (str(name), "") if name else None


def _line(native: Mapping[str, Any]) -> Key | None:
    order, mark = native.get("orderId"), native.get("externalId")
    return (str(order), str(mark)) if order and str(order).isdigit() and mark else None


_KEYS: Mapping[str, Callable[[Mapping[str, Any]], Key | None]] = {
    "Company": _company,
    "Order": _order,
    "LineItem": _line,
}


def _chosen(natives: Sequence[dict[str, Any]]) -> tuple[str, Native] | None:
    if not natives:
        return None
    first, *others = sorted(natives, key=lambda native: (bool(native.get("isArchived")), int(native["id"])))
    if others:
        first = {**first, "duplicateIds": [str(native["id"]) for native in others]}
    return str(first["id"]), first

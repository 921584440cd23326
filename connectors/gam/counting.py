"""Counts every company, order or line item of a network: pages by id, so that nothing shifts while others write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connectors.base import CensusRow
from connectors.errors import Misconfigured, SchemaDrift
from connectors.gam.objects import Objects
from connectors.gam.settings import GamSettings
from connectors.gam.statement import Where

Native = Mapping[str, Any]


def census(objects: Objects, settings: GamSettings, record: str) -> Iterator[Sequence[CensusRow]]:
    """All records of a type in id order, archived ones too; deleted ones are gone. Raises like a read.

    Nothing narrower than everything can be asked: companies cannot be filtered by externalId [S], and whether LIKE is
    quick or folds case is not published [K].
    """
    row = _ROWS.get(record)
    if row is None:
        raise Misconfigured("CENSUS-UNKNOWN", f"{record} is not counted. Choose {', '.join(_ROWS)}.")
    last = 0
    while True:
        statement = Where().above("id", last).statement(order="id ASC", limit=settings.page_size, offset=0)
        natives, total = objects.page(record, statement)
        numbers = [_number(native) for native in natives]
        if numbers != sorted(set(numbers)) or (numbers and numbers[0] <= last):
            raise SchemaDrift("CENSUS-ORDER", f"Records of {record} came out of order, or one came twice.", "id")
        yield [row(native) for native in natives if native.get("status") != "DELETED"]
        if len(natives) >= total:
            return
        last = numbers[-1]


def _number(native: Native) -> int:
    number = native.get("id")
    if number is None or not str(number).isdigit():
        raise SchemaDrift("ID-MISSING", "A record came without a readable id.", "id")
    return int(number)


def _company(native: Native) -> CensusRow:
    return CensusRow(
        vendor_id=str(native["id"]),
        mark=str(native.get("externalId") or ""),
        marker=str(native.get("name") or ""),
        scope=str(native.get("type") or ""),
    )


def _order(native: Native) -> CensusRow:
    return CensusRow(
        vendor_id=str(native["id"]),
        marker=str(native.get("name") or ""),
        archived=bool(native.get("isArchived")),
        delivered=int(native.get("totalImpressionsDelivered") or 0),
    )


def _line(native: Native) -> CensusRow:
    stats = native.get("stats")
    return CensusRow(
        vendor_id=str(native["id"]),
        mark=str(native.get("externalId") or ""),
        marker=str(native.get("externalId") or ""),
        archived=bool(native.get("isArchived")),
        # the vendor shows no stats for a line that never delivered [S]
        delivered=int(stats.get("impressionsDelivered") or 0) if isinstance(stats, Mapping) else 0,
    )


_ROWS: Mapping[str, Callable[[Native], CensusRow]] = {"Company": _company, "Order": _order, "LineItem": _line}

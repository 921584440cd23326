"""PublisherQueryLanguageService.select: the tables Geo_Target, Line_Item, Operating_System and Device_Category."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.gam.geography import Atlas, Place
from sandbox.gam.line_items import line_properties
from sandbox.gam.network import Network
from sandbox.gam.pql import Condition, Property, equal_values, parse, select
from sandbox.gam.soap import Native, fail
from sandbox.gam.targeting import DEVICE_CATEGORIES, OPERATING_SYSTEMS

_LINE_COLUMNS = (
    "CostType",
    "CreationDateTime",
    "DeliveryRateType",
    "ExternalId",
    "Id",
    "IsMissingCreatives",
    "IsSetTopBoxEnabled",
    "LastModifiedDateTime",
    "LineItemType",
    "Name",
    "OrderId",
    "StartDateTime",
    "Status",
    "UnitsBought",
)


@dataclass(frozen=True)
class _LookupTable:
    """One table: its columns as properties by lower-case name, and the rows that may meet a condition."""

    properties: Mapping[str, Property[Any]]
    rows: Callable[[Condition | None], Iterable[Any]]


def select_rows(network: Network, statement: Native | None) -> Native:
    """Run a SELECT and return its ResultSet; column labels are spelt as in the query, lower-cased as the vendor does.

    Raises:
        ApiFaultError: PublisherQueryLanguageContextError.UNEXECUTABLE for an unknown table or column.
    """
    query = parse(statement)
    tables = _tables(network)
    table = tables.get((query.table or "").lower())
    if table is None:
        fail("PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"no table '{query.table}'")
    for column in query.columns:
        if column.lower() not in table.properties:
            fail("PublisherQueryLanguageContextError", "UNEXECUTABLE", "", f"{query.table} has no column '{column}'")
    selection = select(
        query,
        table.rows(query.condition),
        table.properties,
        zone_name=network.settings.time_zone,
        default_order="id",
    )
    chosen = [table.properties[column.lower()] for column in query.columns]
    return {
        "columnTypes": [{"labelName": column.lower()} for column in query.columns],
        "rows": [{"values": [_value(network, prop, row) for prop in chosen]} for row in selection.page],
    }


def _tables(network: Network) -> dict[str, _LookupTable]:
    lines = line_properties(network)
    return {
        "geo_target": _LookupTable(
            _place_properties(network.atlas),
            lambda condition: _places(network.atlas, condition),
        ),
        "line_item": _LookupTable(
            {column.lower(): lines[column.lower()] for column in _LINE_COLUMNS},
            lambda condition: network.tables["LineItem"].candidates(condition),
        ),
        "operating_system": _constants("OperatingSystemName", OPERATING_SYSTEMS),
        "device_category": _constants("DeviceCategoryName", DEVICE_CATEGORIES),
    }


def _constants(name: str, values: Mapping[int, str]) -> _LookupTable:
    properties: dict[str, Property[tuple[int, str]]] = {
        "id": Property("number", lambda row: row[0]),
        name.lower(): Property("text", lambda row: row[1]),
    }
    return _LookupTable(properties, lambda _: list(values.items()))


def _place_properties(atlas: Atlas) -> dict[str, Property[Place]]:
    return {
        "id": Property("number", lambda place: place.id),
        "name": Property("text", lambda place: place.name),
        "canonicalparentid": Property("number", lambda place: place.parent),
        "parentids": Property("text", lambda place: ",".join(map(str, atlas.parents(place)))),
        "countrycode": Property("text", lambda place: place.country_code),
        "type": Property("text", lambda place: place.type),
        "targetable": Property("boolean", lambda place: True),
    }


def _places(atlas: Atlas, condition: Condition | None) -> Iterable[Place]:
    """The places that may meet a condition; the postal codes are made only if it can want them."""
    if (names := equal_values(condition, "name")) is not None:
        return {place.id: place for name in names for place in atlas.named(str(name))}.values()
    if (ids := equal_values(condition, "id")) is not None:
        return [place for each in dict.fromkeys(map(_whole, ids)) if (place := atlas.get(each)) is not None]
    types = equal_values(condition, "type")
    countries = equal_values(condition, "countrycode")
    if (types is not None and "Postal_Code" not in types) or (
        countries is not None and not {"US", "CA"} & set(map(str, countries))
    ):
        return atlas.stored()
    return [*atlas.stored(), *atlas.postal_codes()]


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _value(network: Network, prop: Property[Any], row: Any) -> Native:
    value = prop.get(row)
    if prop.kind == "number":
        return {"@type": "NumberValue", **({} if value is None else {"value": str(value)})}
    if prop.kind == "boolean":
        return {"@type": "BooleanValue", "value": value}
    if prop.kind == "moment":
        return {"@type": "DateTimeValue", **({} if value is None else {"value": network.moment(value)})}
    return {"@type": "TextValue", **({} if value is None else {"value": value})}

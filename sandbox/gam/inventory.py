"""The network itself and its one ad unit."""

from __future__ import annotations

from sandbox.gam.network import ROOT_AD_UNIT_ID, Network
from sandbox.gam.pql import Property, parse, select
from sandbox.gam.soap import Native


def get_current_network(network: Network) -> Native:
    """The network that the request was made in."""
    settings = network.settings
    return {
        "id": int(settings.network_code),
        "displayName": settings.network_name,
        "networkCode": settings.network_code,
        "propertyCode": f"/{settings.network_code}/",
        "timeZone": settings.time_zone,
        "currencyCode": settings.currency,
        "secondaryCurrencyCodes": list(network.secondary_currencies),
        "effectiveRootAdUnitId": ROOT_AD_UNIT_ID,
        "isTest": True,
    }


def get_all_networks(network: Network) -> list[Native]:
    """All networks the user may enter: this one."""
    return [get_current_network(network)]


def get_ad_units(network: Network, statement: Native | None) -> Native:
    """The ad units that a statement selects: the root ad unit or nothing."""
    root: Native = {
        "id": ROOT_AD_UNIT_ID,
        "hasChildren": False,
        "name": network.settings.network_name,
        "targetWindow": "BLANK",
        "status": "ACTIVE",
        "adUnitCode": f"ca-pub-{network.settings.network_code}",
        "isInterstitial": False,
        "isNative": False,
        "isFluid": False,
        "explicitlyTargeted": False,
        "isSetTopBoxEnabled": False,
    }
    selection = select(parse(statement), [root], _PROPERTIES, zone_name=network.settings.time_zone, default_order="id")
    return {"totalResultSetSize": selection.total, "startIndex": selection.start, "results": selection.page}


_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: int(row["id"])),
    "name": Property("text", lambda row: row["name"]),
    "adunitcode": Property("text", lambda row: row["adUnitCode"]),
    "parentid": Property("number", lambda row: None),
    "status": Property("text", lambda row: row["status"]),
    "lastmodifieddatetime": Property("moment", lambda row: None),
}

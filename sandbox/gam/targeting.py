"""The rules of a line's targeting, and the form in which it is kept and shown."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.gam.geography import Place
from sandbox.gam.network import ROOT_AD_UNIT_ID, Network
from sandbox.gam.soap import Findings, Native

# Ids as the vendor's public tables have them; the sandbox knows these few.
OPERATING_SYSTEMS = {
    501012: "Apple iOS",
    501013: "Google Android",
    501021: "Microsoft Windows",
    501014: "Apple Mac OS X",
}
DEVICE_CATEGORIES = {
    30000: "Desktop",
    30001: "Smartphone",
    30002: "Tablet",
    30003: "Feature Phone",
    30004: "Connected TV",
}
# Kinds of targeting whose objects this sandbox does not hold: it refuses them rather than taking any id.
_ABSENT_FEATURES = (
    "contentTargeting",
    "videoPositionTargeting",
    "mobileApplicationTargeting",
    "buyerUserListTargeting",
    "inventoryUrlTargeting",
    "verticalTargeting",
    "contentLabelTargeting",
    "inventorySizeTargeting",
    "publisherProvidedSignalsTargeting",
)
_TECHNOLOGIES = {
    "operatingSystemTargeting": (("operatingSystems",), OPERATING_SYSTEMS),
    "deviceCategoryTargeting": (("targetedDeviceCategories", "excludedDeviceCategories"), DEVICE_CATEGORIES),
}


def check_targeting(network: Network, targeting: Native, path: str, findings: Findings) -> Native:
    """Check a Targeting and return the form that is kept: locations by id only, custom targeting normalised."""
    kept = dict(targeting)
    _check_inventory(targeting.get("inventoryTargeting") or {}, f"{path}.inventoryTargeting", findings)
    if (geo := targeting.get("geoTargeting")) is not None:
        kept["geoTargeting"] = _check_geo(network, geo, f"{path}.geoTargeting", findings)
    if (custom := targeting.get("customTargeting")) is not None:
        kept["customTargeting"] = _check_custom(network, custom, f"{path}.customTargeting", findings)
    if (technology := targeting.get("technologyTargeting")) is not None:
        _check_technology(technology, f"{path}.technologyTargeting", findings)
    for feature in _ABSENT_FEATURES:
        if targeting.get(feature):
            findings.add("FeatureError", "MISSING_FEATURE", f"{path}.{feature}")
    return kept


def show_targeting(network: Network, targeting: Native) -> Native:
    """A kept Targeting as the vendor returns it: each location with type, parent and name."""
    geo = targeting.get("geoTargeting")
    if geo is None:
        return targeting
    shown = {
        name: [_show_location(network, location["id"]) for location in locations] for name, locations in geo.items()
    }
    return {**targeting, "geoTargeting": shown}


def _show_location(network: Network, place_id: int) -> Native:
    place = network.atlas.get(place_id)
    if place is None:
        return {"id": place_id}
    shown: Native = {"id": place.id, "type": place.type.upper(), "displayName": place.name}
    if place.parent is not None:
        shown["canonicalParentId"] = place.parent
    return shown


def _check_inventory(inventory: Native, path: str, findings: Findings) -> None:
    targeted = inventory.get("targetedAdUnits", [])
    placements = inventory.get("targetedPlacementIds", [])
    if not targeted and not placements:
        findings.add("InventoryTargetingError", "AT_LEAST_ONE_PLACEMENT_OR_INVENTORY_UNIT_REQUIRED", path)
    for index, placement in enumerate(placements):
        findings.add("CommonError", "NOT_FOUND", f"{path}.targetedPlacementIds[{index}]", placement)
    for name in ("targetedAdUnits", "excludedAdUnits"):
        for index, unit in enumerate(inventory.get(name, ())):
            if unit.get("adUnitId") != ROOT_AD_UNIT_ID:
                findings.add("CommonError", "NOT_FOUND", f"{path}.{name}[{index}].adUnitId", unit.get("adUnitId"))
    if {unit.get("adUnitId") for unit in targeted} & {
        unit.get("adUnitId") for unit in inventory.get("excludedAdUnits", ())
    }:
        findings.add("InventoryTargetingError", "INVENTORY_CANNOT_BE_TARGETED_AND_EXCLUDED", path)


def _check_geo(network: Network, geo: Native, path: str, findings: Findings) -> Native:
    """The documented rules of GeoTargeting.

    A location may not be targeted together with a place it lies in ("you must not target a location if you are also
    targeting its parent"); which reason the vendor gives for that is not documented, UNTARGETABLE_LOCATION is assumed.
    """
    targeted = _places(network, geo, "targetedLocations", path, findings)
    excluded = _places(network, geo, "excludedLocations", path, findings)
    parents = {place.id: network.atlas.parents(place) for place in (*targeted.values(), *excluded.values())}
    for place in excluded.values():
        if place.type == "Postal_Code":
            findings.add("GeoTargetingError", "POSTAL_CODES_CANNOT_BE_EXCLUDED", f"{path}.excludedLocations", place.id)
        elif place.id in targeted:
            findings.add("GeoTargetingError", "TARGETED_LOCATIONS_NOT_EXCLUDABLE", path, place.id)
        elif targeted and not any(parent in targeted for parent in parents[place.id]):
            # What is not included is excluded already and cannot be excluded once more.
            findings.add(
                "GenericTargetingError",
                "CONFLICTING_INCLUSION_OR_EXCLUSION_OF_SIBLINGS",
                f"{path}.excludedLocations",
                place.id,
            )
    for place in targeted.values():
        if any(parent in excluded for parent in parents[place.id]):
            findings.add("GeoTargetingError", "EXCLUDED_LOCATIONS_CANNOT_HAVE_CHILDREN_TARGETED", path, place.id)
        elif any(parent in targeted for parent in parents[place.id]):
            findings.add("GeoTargetingError", "UNTARGETABLE_LOCATION", f"{path}.targetedLocations", place.id)
    return {
        name: [{"id": place.id} for place in places.values()]
        for name, places in (("targetedLocations", targeted), ("excludedLocations", excluded))
        if places
    }


def _places(network: Network, geo: Native, name: str, path: str, findings: Findings) -> dict[int, Place]:
    places: dict[int, Place] = {}
    for index, location in enumerate(geo.get(name, ())):
        place = network.atlas.get(location.get("id", -1))
        if place is None:
            findings.add("GeoTargetingError", "UNTARGETABLE_LOCATION", f"{path}.{name}[{index}].id", location.get("id"))
        else:
            places[place.id] = place
    return places


def _check_technology(technology: Native, path: str, findings: Findings) -> None:
    for kind, facts in technology.items():
        if kind not in _TECHNOLOGIES:
            findings.add("FeatureError", "MISSING_FEATURE", f"{path}.{kind}")
            continue
        lists, known = _TECHNOLOGIES[kind]
        for name in lists:
            for index, item in enumerate(facts.get(name, ())):
                if item.get("id") not in known:
                    findings.add("CommonError", "NOT_FOUND", f"{path}.{kind}.{name}[{index}].id", item.get("id"))


def _check_custom(network: Network, custom: Native, path: str, findings: Findings) -> Native:
    """Custom criteria: an OR of leaves and of ANDs of leaves, or one AND of leaves; kept as an OR of ANDs."""
    children: list[Native] = custom.get("children", [])
    if not children or any(_is_set(child) and custom.get("logicalOperator") == "AND" for child in children):
        findings.add("CustomTargetingError", "INVALID_TARGETING_EXPRESSION", path)
        return custom
    groups = [{"logicalOperator": "AND", "children": children}] if custom.get("logicalOperator") == "AND" else children
    kept = []
    for index, group in enumerate(groups):
        here = f"{path}.children[{index}]"
        leaves: list[Native] = group.get("children", []) if "logicalOperator" in group else [group]
        if not leaves or group.get("logicalOperator", "AND") != "AND" or any(_is_set(leaf) for leaf in leaves):
            findings.add("CustomTargetingError", "INVALID_TARGETING_EXPRESSION", here)
            continue
        for leaf in leaves:
            _check_criteria(network, leaf, here, findings)
        shown = [{**leaf, "operator": leaf.get("operator", "IS")} for leaf in leaves]
        kept.append({"@type": "CustomCriteriaSet", "logicalOperator": "AND", "children": shown})
    return {"logicalOperator": "OR", "children": kept}


def _is_set(node: Native) -> bool:
    return node.get("@type") == "CustomCriteriaSet"


def _check_criteria(network: Network, leaf: Native, path: str, findings: Findings) -> None:
    kind = leaf.get("@type")
    if kind == "AudienceSegmentCriteria":
        findings.add("CustomTargetingError", "CANNOT_TARGET_AUDIENCE_SEGMENT", path)
        return
    if kind != "CustomCriteria":
        findings.add("FeatureError", "MISSING_FEATURE", path, kind)
        return
    key = network.tables["CustomTargetingKey"].get(leaf.get("keyId"))
    if key is None:
        findings.add("CustomTargetingError", "KEY_NOT_FOUND", f"{path}.keyId", leaf.get("keyId"))
        return
    value_ids: Iterable[int] = leaf.get("valueIds", ())
    if not value_ids:
        findings.add("CustomTargetingError", "KEY_WITH_MISSING_VALUES", f"{path}.valueIds", key["id"])
    for value_id in value_ids:
        value = network.tables["CustomTargetingValue"].get(value_id)
        if value is None:
            findings.add("CustomTargetingError", "VALUE_NOT_FOUND", f"{path}.valueIds", value_id)
        elif value["customTargetingKeyId"] != key["id"]:
            findings.add("CustomTargetingError", "INVALID_VALUE_FOR_KEY", f"{path}.valueIds", value_id)

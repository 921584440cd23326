"""`python -m sandbox.gam.contract.extract FOLDER VERSION`: derives the contract table from a vendor's WSDL folder.

Takes facts only (names, types, order, occurrence, enum values, filterable properties), no documentation. `KEPT` says
which operations the sandbox serves; the types follow from them: everything reachable from a kept operation, every
type that extends a reachable one (it may arrive with xsi:type), and every error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.gam.contract.table import Contract, Field, Service, store_contract
from sandbox.gam.contract.vendor import read_vendor

KEPT: dict[str, tuple[str, ...]] = {
    "NetworkService": ("getAllNetworks", "getCurrentNetwork"),
    "UserService": ("getAllRoles", "getCurrentUser", "getUsersByStatement"),
    "CompanyService": ("createCompanies", "getCompaniesByStatement", "updateCompanies"),
    "OrderService": ("createOrders", "getOrdersByStatement", "performOrderAction", "updateOrders"),
    "LineItemService": ("createLineItems", "getLineItemsByStatement", "performLineItemAction", "updateLineItems"),
    "LineItemCreativeAssociationService": (
        "createLineItemCreativeAssociations",
        "getLineItemCreativeAssociationsByStatement",
        "performLineItemCreativeAssociationAction",
        "updateLineItemCreativeAssociations",
    ),
    "CreativeService": ("createCreatives", "getCreativesByStatement"),
    "ForecastService": ("getAvailabilityForecast", "getAvailabilityForecastById"),
    "ReportService": ("getReportDownloadURL", "getReportDownloadUrlWithOptions", "getReportJobStatus", "runReportJob"),
    "InventoryService": ("getAdUnitsByStatement",),
    "CustomTargetingService": (
        "createCustomTargetingKeys",
        "createCustomTargetingValues",
        "getCustomTargetingKeysByStatement",
        "getCustomTargetingValuesByStatement",
    ),
    "PublisherQueryLanguageService": ("select",),
}
# An order hub books; it does not build rich media. Creatives of these kinds are enough for lines to run.
KEPT_CREATIVES = {"BaseImageCreative", "HasDestinationUrlCreative", "ImageCreative", "ThirdPartyCreative"}
HEADERS = ("SoapRequestHeader", "SoapResponseHeader", "ApiException")


def select(vendor: Contract) -> Contract:
    """The part of the vendor's contract that the sandbox keeps."""
    services = {name: _select_service(vendor, vendor.services[name], kept) for name, kept in KEPT.items()}
    names = {name for service in services.values() for name in service.type_names}
    return Contract(
        vendor.version,
        {name: facts for name, facts in vendor.types.items() if name in names},
        {name: values for name, values in vendor.enums.items() if name in names},
        services,
    )


def _select_service(vendor: Contract, service: Service, kept: tuple[str, ...]) -> Service:
    here = set(service.type_names)
    operations = {name: service.operations[name] for name in kept}
    wanted = set(HEADERS)
    fields = [field for operation in operations.values() for field in (*operation.parameters, operation.result)]
    wanted.update(field.type for field in fields if field.type in here)
    reached: set[str] = set()
    while wanted:
        name = wanted.pop()
        reached.add(name)
        wanted |= _neighbours(vendor, name, here) - reached
    return Service(service.name, operations, tuple(sorted(reached)))


def _neighbours(vendor: Contract, name: str, here: set[str]) -> set[str]:
    facts = vendor.types.get(name)
    if facts is None:
        return set()
    found = {field.type for field in facts.fields if _is_named(field)}
    if facts.base:
        found.add(facts.base)
    found |= {other for other in here if other in vendor.types and vendor.types[other].base == name}
    return {
        other
        for other in found & here
        if other == "Creative" or not vendor.is_a(other, "Creative") or other in KEPT_CREATIVES
    }


def _is_named(field: Field) -> bool:
    return field.type[0].isupper()


def main(arguments: list[str]) -> int:
    """Write the table of VERSION from the WSDLs in FOLDER beside this file."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m sandbox.gam.contract.extract FOLDER VERSION\n")
        return 2
    folder, version = Path(arguments[0]), arguments[1]
    store_contract(select(read_vendor(folder, version, KEPT)), Path(__file__).parent / version)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

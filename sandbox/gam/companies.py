"""Companies: create, update, find."""

from __future__ import annotations

from sandbox.gam.checks import check_absent_objects, check_batch, check_lengths, check_required, existing
from sandbox.gam.network import Network
from sandbox.gam.pages import page
from sandbox.gam.pql import Property
from sandbox.gam.soap import Findings, Native

ADVERTISER_TYPES = ("ADVERTISER", "HOUSE_ADVERTISER", "AD_NETWORK")
AGENCY_TYPES = ("AGENCY", "HOUSE_AGENCY")
# Types that can be made without the data of a child network or a measurement contract.
_TYPES = (*ADVERTISER_TYPES, *AGENCY_TYPES, "PARTNER")
_LENGTHS = {
    "name": 127,
    "address": 1024,
    "email": 128,
    "faxPhone": 63,
    "primaryPhone": 63,
    "externalId": 255,
    "comment": 1024,
}
_NONE_HERE: dict[str, str | None] = {"appliedLabels": "labelId", "appliedTeamIds": None}


def create_companies(network: Network, companies: list[Native]) -> list[Native]:
    """Create companies, all or none."""
    check_batch(network, companies, "companies")
    findings = Findings()
    taken: set[tuple[str, str]] = set()
    for index, company in enumerate(companies):
        _check(network, company, None, f"[{index}]", taken, findings)
    findings.refuse()
    now = network.now()
    created = []
    for company in companies:
        row = {**company, "id": network.tables["Company"].new_id(), "_created": now, "_modified": now}
        row.setdefault("creditStatus", "ACTIVE")
        network.tables["Company"].put(row)
        created.append(show_company(network, row))
    return created


def update_companies(network: Network, companies: list[Native]) -> list[Native]:
    """Replace companies by the full objects given, all or none."""
    check_batch(network, companies, "companies")
    findings = Findings()
    stored = existing(network, "Company", companies, "", findings)
    taken: set[tuple[str, str]] = set()
    for index, (company, old) in enumerate(zip(companies, stored, strict=True)):
        if old is not None:
            _check(network, company, old, f"[{index}]", taken, findings)
    findings.refuse()
    now = network.now()
    updated = []
    for company, old in zip(companies, stored, strict=True):
        row = {**company, "_created": old["_created"] if old else now, "_modified": now}
        row.setdefault("creditStatus", "ACTIVE")
        network.tables["Company"].put(row)
        updated.append(show_company(network, row))
    return updated


def get_companies(network: Network, statement: Native | None) -> Native:
    """The companies that a statement selects."""
    return page(network, "Company", statement, COMPANY_PROPERTIES, show_company)


def show_company(network: Network, row: Native) -> Native:
    """A company as the vendor returns it."""
    shown = {name: value for name, value in row.items() if name[0] != "_"}
    shown["lastModifiedDateTime"] = network.moment(row["_modified"])
    return shown


COMPANY_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: row["id"]),
    "name": Property("text", lambda row: row["name"]),
    "type": Property("text", lambda row: row["type"]),
    "lastmodifieddatetime": Property("moment", lambda row: row["_modified"]),
}


def _check(
    network: Network, company: Native, old: Native | None, path: str, taken: set[tuple[str, str]], findings: Findings
) -> None:
    check_required(company, ("name", "type"), path, findings)
    check_lengths(company, _LENGTHS, path, findings)
    check_absent_objects(company, _NONE_HERE, path, findings)
    kind, name = company.get("type"), company.get("name")
    if kind is not None and kind not in _TYPES:
        findings.add("CompanyError", "INVALID_COMPANY_TYPE", f"{path}.type", kind)
    if old is not None and kind is not None and kind != old["type"]:
        findings.add("CompanyError", "CANNOT_UPDATE_COMPANY_TYPE", f"{path}.type", kind)
    if company.get("primaryContactId") is not None:
        findings.add("CommonError", "NOT_FOUND", f"{path}.primaryContactId", company["primaryContactId"])
    if name is None or kind is None:
        return
    # Name and type together are unique. Whether the vendor ignores case here is not documented; it is exact here.
    twins = [row for row in network.tables["Company"].having("name", name) if row["type"] == kind]
    if (name, kind) in taken or any(old is None or twin["id"] != old["id"] for twin in twins):
        findings.add("UniqueError", None, f"{path}.name", name)
    taken.add((name, kind))

"""What `check` looks at: the network, the user's role, the API version's end, and the fields that mappings use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from connectors.base import Finding, Severity
from connectors.gam.objects import PLACES
from connectors.gam.settings import GamSettings
from connectors.gam.soap import Soap

WARN_BEFORE = timedelta(days=60)
_MAY_APPROVE = ("administrator", "trafficker", "sales manager", "executive")
"""Roles the vendor creates whose members may approve orders by default [K]; own roles cannot be judged by their name."""


@cache
def sunsets() -> Mapping[str, date]:
    """The last day of each known API version."""
    facts = json.loads((Path(__file__).parent / "facts" / "versions.json").read_text("utf-8"))
    return {version: date.fromisoformat(day) for version, day in facts["sunset"].items()}


def version_finding(version: str, today: date) -> Finding:
    """Whether the API version lives long enough."""
    end = sunsets().get(version)
    if end is None:
        return Finding(
            Severity.WARNING,
            "api_version",
            f"The sunset of API version {version} is not known here. It may end without a warning. "
            "Look it up in Google's deprecation schedule.",
        )
    days = (end - today).days
    if days < 0:
        return Finding(
            Severity.ERROR,
            "api_version",
            f"API version {version} was switched off on {end}. No call succeeds. Set `version` to a newer one.",
        )
    if today + WARN_BEFORE >= end:
        return Finding(
            Severity.WARNING,
            "api_version",
            f"API version {version} ends on {end}, in {days} days. Every call fails from then on. "
            "Set `version` to a newer one and run this check again.",
        )
    return Finding(Severity.OK, "api_version", f"API version {version} lives until {end}.")


def network_findings(network: Mapping[str, Any], settings: GamSettings) -> Iterator[Finding]:
    """What the network says of itself."""
    code = str(network.get("networkCode", ""))
    if code != settings.network_code:
        yield Finding(
            Severity.ERROR,
            "network_code",
            f"The credential answers for network {code or 'unknown'}, not {settings.network_code}. "
            "Ids of the two would be mixed up. Correct `network_code` or the credential.",
        )
    currencies = [str(network.get("currencyCode", "")), *map(str, network.get("secondaryCurrencyCodes", []))]
    kind = "test network" if network.get("isTest") else "network"
    yield Finding(
        Severity.OK,
        "network",
        f"{kind.capitalize()} {code} {network.get('displayName', '')!r}: time zone {network.get('timeZone', '?')}, "
        f"currencies {', '.join(currencies)}.",
    )


def user_finding(user: Mapping[str, Any]) -> Finding:
    """Whether the user is active and, as far as a role's name tells, may approve orders."""
    who, role = user.get("email") or user.get("name") or user.get("id"), str(user.get("roleName") or "unknown")
    if user.get("isActive") is False:
        return Finding(
            Severity.ERROR, "user", f"User {who} is inactive. Writes will be refused. Activate it in Ad Manager."
        )
    if role.casefold() not in _MAY_APPROVE:
        return Finding(
            Severity.WARNING,
            "user",
            f"User {who} has the role {role!r}, whose rights cannot be told from here. Approvals may be refused with "
            "OrderActionError.PERMISSION_DENIED. See that the role may approve orders.",
        )
    return Finding(Severity.OK, "user", f"User {who} has the role {role!r}.")


def field_findings(soap: Soap, used: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Whether the WSDL in use knows each used field's first step."""
    for record, fields in used.items():
        place = PLACES.get(record)
        if place is None:
            yield Finding(
                Severity.ERROR,
                record,
                f"This connector has no record type {record}. Its mapping cannot run. Choose {', '.join(PLACES)}.",
            )
            continue
        known = soap.field_names(place.service, record)
        missing = sorted({path for path in fields if path.split(".")[0] not in known})
        for path in missing:
            yield Finding(
                Severity.ERROR,
                f"{record}.{path}",
                f"{record} has no field {path} in the API version in use. Its mapping cannot run. Correct the mapping.",
            )
        if not missing:
            yield Finding(Severity.OK, record, f"All {len(set(fields))} fields that the mapping uses exist.")

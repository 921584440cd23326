"""Orders: create, update, find, and what an order derives from its line items.

Read-only fields that a client sends back (`status`, dates, totals, `currencyCode`, ...) are ignored: the vendor's update
takes the full object as it was read, so it cannot refuse them (documented as "read-only", used so by client examples).
"""

from __future__ import annotations

from sandbox.gam.checks import (
    check_absent_objects,
    check_batch,
    check_custom_fields,
    check_lengths,
    check_required,
    check_user,
    existing,
)
from sandbox.gam.companies import ADVERTISER_TYPES, AGENCY_TYPES
from sandbox.gam.line_status import delivered, line_budget
from sandbox.gam.network import Network
from sandbox.gam.pages import page
from sandbox.gam.pql import Property
from sandbox.gam.soap import Findings, Native

_LENGTHS = {"name": 255, "notes": 65_535, "poNumber": 63}
_READ_ONLY = (
    "startDateTime",
    "endDateTime",
    "unlimitedEndDateTime",
    "status",
    "isArchived",
    "currencyCode",
    "creatorId",
    "totalImpressionsDelivered",
    "totalClicksDelivered",
    "totalViewableImpressionsDelivered",
    "totalBudget",
    "effectiveAppliedLabels",
    "lastModifiedByApp",
    "lastModifiedDateTime",
)
_NONE_HERE: dict[str, str | None] = {
    "appliedLabels": "labelId",
    "appliedTeamIds": None,
    "advertiserContactIds": None,
    "agencyContactIds": None,
}
_FROZEN = {
    "PENDING_APPROVAL": "UPDATE_PENDING_APPROVAL_ORDER_NOT_ALLOWED",
    "CANCELED": "UPDATE_CANCELED_ORDER_NOT_ALLOWED",
}


def create_orders(network: Network, orders: list[Native], user_id: int, application: str | None) -> list[Native]:
    """Create orders as drafts, all or none."""
    check_batch(network, orders, "orders")
    findings = Findings()
    taken: set[str] = set()
    for index, order in enumerate(orders):
        _check(network, order, None, f"[{index}]", taken, findings)
    findings.refuse()
    now = network.now()
    created = []
    for order in orders:
        row = _kept(order)
        row.update(
            id=network.tables["Order"].new_id(),
            status="DRAFT",
            isArchived=False,
            creatorId=user_id,
            lastModifiedByApp=application or "",
            _created=now,
            _modified=now,
        )
        network.tables["Order"].put(row)
        created.append(show_order(network, row))
    return created


def update_orders(network: Network, orders: list[Native], application: str | None) -> list[Native]:
    """Replace orders by the full objects given, all or none."""
    check_batch(network, orders, "orders")
    findings = Findings()
    stored = existing(network, "Order", orders, "", findings)
    taken: set[str] = set()
    for index, (order, old) in enumerate(zip(orders, stored, strict=True)):
        if old is None:
            continue
        if refusal := order_refusal(old):
            findings.add("OrderError", refusal, f"[{index}]", old["id"])
        else:
            _check(network, order, old, f"[{index}]", taken, findings)
    findings.refuse()
    now = network.now()
    updated = []
    for order, old in zip(orders, stored, strict=True):
        kept_from_old = ("status", "isArchived", "creatorId", "_created")
        row = {**_kept(order), **{name: (old or {})[name] for name in kept_from_old}}
        row.update(lastModifiedByApp=application or "", _modified=now)
        network.tables["Order"].put(row)
        updated.append(show_order(network, row))
    return updated


def get_orders(network: Network, statement: Native | None) -> Native:
    """The orders that a statement selects, archived ones included."""
    return page(network, "Order", statement, order_properties(network), show_order)


def order_refusal(order: Native) -> str | None:
    """The OrderError reason for which an order, or its lines, may not be changed now; None if they may."""
    if order["isArchived"]:
        return "UPDATE_ARCHIVED_ORDER_NOT_ALLOWED"
    return _FROZEN.get(order["status"])


def order_lines(network: Network, order_id: int) -> list[Native]:
    """The line items of an order, oldest first."""
    return sorted(network.tables["LineItem"].having("orderid", order_id), key=lambda line: line["id"])


def order_start(network: Network, order_id: int) -> int | None:
    """The earliest start of an order's lines."""
    return min((line["_start"] for line in order_lines(network, order_id)), default=None)


def order_end(network: Network, order_id: int) -> int | None:
    """The latest end of an order's lines; None without lines or if one has an open end."""
    ends = [line["_end"] for line in order_lines(network, order_id)]
    return None if not ends or None in ends else max(ends)


def show_order(network: Network, row: Native) -> Native:
    """An order as the vendor returns it, with what its lines make of it."""
    lines = order_lines(network, row["id"])
    now = network.now()
    shown = {name: value for name, value in row.items() if name[0] != "_"}
    figures = [delivered(network, line, now) for line in lines]
    shown.update(
        startDateTime=network.moment(order_start(network, row["id"])),
        endDateTime=network.moment(order_end(network, row["id"])),
        unlimitedEndDateTime=any(line["_end"] is None for line in lines),
        currencyCode=network.settings.currency,
        totalImpressionsDelivered=sum(each.get("impressions", 0) for each in figures),
        totalClicksDelivered=sum(each.get("clicks", 0) for each in figures),
        totalBudget={
            "currencyCode": network.settings.currency,
            "microAmount": sum(
                network.settings.in_network_currency(line_budget(line), line["costPerUnit"]["currencyCode"])
                for line in lines
            ),
        },
        lastModifiedDateTime=network.moment(row["_modified"]),
    )
    if any(line["primaryGoal"].get("unitType") == "VIEWABLE_IMPRESSIONS" for line in lines):
        shown["totalViewableImpressionsDelivered"] = sum(each.get("viewable_impressions", 0) for each in figures)
    return shown


def order_properties(network: Network) -> dict[str, Property[Native]]:
    """What statements may name of an order."""
    return {
        "id": Property("number", lambda row: row["id"]),
        "name": Property("text", lambda row: row["name"]),
        "advertiserid": Property("number", lambda row: row["advertiserId"]),
        "salespersonid": Property("number", lambda row: row.get("salespersonId")),
        "traffickerid": Property("number", lambda row: row["traffickerId"]),
        "status": Property("text", lambda row: row["status"]),
        "startdatetime": Property("moment", lambda row: order_start(network, row["id"])),
        "enddatetime": Property("moment", lambda row: order_end(network, row["id"])),
        "lastmodifieddatetime": Property("moment", lambda row: row["_modified"]),
    }


def _kept(order: Native) -> Native:
    row = {name: value for name, value in order.items() if name not in _READ_ONLY}
    row.setdefault("isProgrammatic", False)
    return row


def _check(network: Network, order: Native, old: Native | None, path: str, taken: set[str], findings: Findings) -> None:
    check_required(order, ("name", "advertiserId", "traffickerId"), path, findings)
    check_lengths(order, _LENGTHS, path, findings)
    check_custom_fields(network, order, "ORDER", path, findings)
    check_absent_objects(order, _NONE_HERE, path, findings)
    _check_company(network, order.get("advertiserId"), ADVERTISER_TYPES, f"{path}.advertiserId", findings)
    _check_company(network, order.get("agencyId"), AGENCY_TYPES, f"{path}.agencyId", findings)
    for primary, secondaries in (
        ("traffickerId", "secondaryTraffickerIds"),
        ("salespersonId", "secondarySalespersonIds"),
    ):
        check_user(network, order.get(primary), f"{path}.{primary}", findings)
        for index, user_id in enumerate(order.get(secondaries, ())):
            check_user(network, user_id, f"{path}.{secondaries}[{index}]", findings)
            if order.get(primary) is None:
                findings.add("OrderError", "PRIMARY_USER_REQUIRED", f"{path}.{secondaries}", user_id)
            elif user_id == order[primary]:
                findings.add("OrderError", "PRIMARY_USER_CANNOT_BE_SECONDARY", f"{path}.{secondaries}", user_id)
    if order.get("isProgrammatic"):
        findings.add("FeatureError", "MISSING_FEATURE", f"{path}.isProgrammatic")
    name = order.get("name")
    if name is None:
        return
    # Unique in the network, also against archived orders (dfp-prebid-setup#54, prebid/salesagent#351).
    twins = network.tables["Order"].having("name", name)
    if (
        name in taken
        or name in network.deleted_order_names
        or any(old is None or twin["id"] != old["id"] for twin in twins)
    ):
        findings.add("UniqueError", None, f"{path}.name", name)
    taken.add(name)


def _check_company(
    network: Network, company_id: int | None, types: tuple[str, ...], path: str, findings: Findings
) -> None:
    if company_id is None:
        return
    company = network.tables["Company"].get(company_id)
    if company is None:
        findings.add("CommonError", "NOT_FOUND", path, company_id)
    elif company["type"] not in types:
        # OrderService knows no CompanyError; that the vendor answers TypeError here is assumed.
        findings.add("TypeError", None, path, company_id)

"""Line items: create, update, find, and their ten actions."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.gam.checks import check_batch, existing
from sandbox.gam.line_rules import check_line
from sandbox.gam.line_status import (
    delivered,
    delivery_data,
    delivery_indicator,
    is_live,
    is_missing_creatives,
    line_budget,
    line_creatives,
    line_status,
    stats,
)
from sandbox.gam.network import Network
from sandbox.gam.orders import order_refusal
from sandbox.gam.pages import page, selected
from sandbox.gam.pql import Property
from sandbox.gam.reservations import check_forecast, count, has_room, is_reservable, set_reserved
from sandbox.gam.soap import Findings, Native, fail
from sandbox.gam.targeting import show_targeting

_FROZEN = {
    "PENDING_APPROVAL": "UPDATE_PENDING_APPROVAL_LINE_ITEM_NOT_ALLOWED",
    "CANCELED": "UPDATE_CANCELED_LINE_ITEM_NOT_ALLOWED",
}
_FROM_OLD = ("_created", "_review", "_paused", "_released", "_reserved", "isArchived")
_RUNNING = ("DELIVERING", "DELIVERY_EXTENDED")


def create_line_items(network: Network, lines: list[Native], application: str | None) -> list[Native]:
    """Create line items as drafts, all or none; one call may span orders.

    A line made in an approved order is a draft until the order is approved again (documented for the user interface;
    assumed for the API).
    """
    check_batch(network, lines, "lineItems")
    findings = Findings()
    added: dict[int, int] = {}
    rows = []
    for index, line in enumerate(lines):
        path = f"lineItem[{index}]"
        rows.append(check_line(network, line, None, path, findings))
        order_id = line.get("orderId")
        if order_id is not None:
            added[order_id] = added.get(order_id, 0) + 1
            _check_order(network, order_id, added[order_id], path, findings)
    findings.refuse()
    for row in rows:
        row.update(_review="DRAFT", _paused=False, _released=False, _reserved=False, isArchived=False)
    reserving = [row for line, row in zip(lines, rows, strict=True) if line.get("reserveAtCreation")]
    if reserving and not any(line.get("skipInventoryCheck") or line.get("allowOverbook") for line in lines):
        check_forecast(network, "createLineItems", reserving, "lineItem[{}]")
    now = network.now()
    created = []
    for line, row in zip(lines, rows, strict=True):
        row.update(
            id=network.tables["LineItem"].new_id(), lastModifiedByApp=application or "", _created=now, _modified=now
        )
        network.tables["LineItem"].put(row)
        if line.get("reserveAtCreation") and is_reservable(row):
            set_reserved(network, row, True)
        created.append(show_line(network, row))
    return created


def update_line_items(network: Network, lines: list[Native], application: str | None) -> list[Native]:
    """Replace line items by the full objects given, all or none."""
    check_batch(network, lines, "lineItems")
    findings = Findings()
    stored = existing(network, "LineItem", lines, "lineItem", findings)
    rows: list[tuple[Native, Native]] = []
    for index, (line, old) in enumerate(zip(lines, stored, strict=True)):
        if old is None:
            continue
        path = f"lineItem[{index}]"
        if line.get("orderId") not in (None, old["orderId"]):
            findings.add("CommonError", "CANNOT_UPDATE", f"{path}.orderId", line["orderId"])
        if refusal := _line_refusal(network, old):
            findings.add("LineItemError", refusal, path, old["id"])
            continue
        rows.append((check_line(network, line, old, path, findings), old))
    findings.refuse()
    _reserve_anew(network, rows, any(line.get("skipInventoryCheck") or line.get("allowOverbook") for line in lines))
    now = network.now()
    updated = []
    for row, old in rows:
        row.update({name: old[name] for name in _FROM_OLD})
        row.update(lastModifiedByApp=application or "", _modified=now)
        row["_reserved"] = old["_reserved"] and is_reservable(row)
        network.tables["LineItem"].put(row)
        updated.append(show_line(network, row))
    return updated


def get_line_items(network: Network, statement: Native | None) -> Native:
    """The line items that a statement selects, archived ones included."""
    return page(network, "LineItem", statement, line_properties(network), show_line)


def show_line(network: Network, row: Native) -> Native:
    """A line item as the vendor returns it, with all that is computed."""
    now = network.now()
    order = network.tables["Order"].get(row["orderId"])
    shown = {name: value for name, value in row.items() if name[0] != "_"}
    shown.update(
        orderName=order["name"] if order else None,
        startDateTime=network.moment(row["_start"]),
        endDateTime=network.moment(row["_end"]),
        stats=stats(network, row, now),
        deliveryIndicator=delivery_indicator(network, row, now),
        deliveryData=delivery_data(network, row, now),
        budget={"currencyCode": row["costPerUnit"]["currencyCode"], "microAmount": line_budget(row)},
        status=line_status(network, row, now),
        reservationStatus="RESERVED" if row["_reserved"] else "UNRESERVED",
        isMissingCreatives=is_missing_creatives(network, row),
        lastModifiedDateTime=network.moment(row["_modified"]),
        creationDateTime=network.moment(row["_created"]),
        targeting=show_targeting(network, row["targeting"]),
    )
    return shown


def line_properties(network: Network) -> dict[str, Property[Native]]:
    """What statements may name of a line item. `isSetTopBoxEnabled` is never true here."""
    return {
        "id": Property("number", lambda row: row["id"]),
        "orderid": Property("number", lambda row: row["orderId"]),
        "name": Property("text", lambda row: row["name"]),
        "externalid": Property("text", lambda row: row.get("externalId")),
        "status": Property("text", lambda row: line_status(network, row, network.now())),
        "lineitemtype": Property("text", lambda row: row["lineItemType"]),
        "costtype": Property("text", lambda row: row["costType"]),
        "deliveryratetype": Property("text", lambda row: row["deliveryRateType"]),
        "startdatetime": Property("moment", lambda row: row["_start"]),
        "enddatetime": Property("moment", lambda row: row["_end"]),
        "creationdatetime": Property("moment", lambda row: row["_created"]),
        "lastmodifieddatetime": Property("moment", lambda row: row["_modified"]),
        "ismissingcreatives": Property("boolean", lambda row: is_missing_creatives(network, row)),
        "issettopboxenabled": Property("boolean", lambda row: False),
        "unitsbought": Property("number", lambda row: row["primaryGoal"].get("units")),
    }


def perform_line_item_action(network: Network, action: Native, statement: Native | None) -> Native:
    """Apply an action to all line items a statement selects, or to none; the number of changed ones."""
    kind = str(action.get("@type"))
    rows = selected(network, "LineItem", statement, line_properties(network))
    perform = _ACTIONS.get(kind)
    if perform is None:
        fail("CommonError", "UNSUPPORTED_OPERATION", "lineItemAction", kind)
    findings = Findings()
    for row in rows:
        if row["isArchived"] != (kind == "UnarchiveLineItems"):
            findings.add("LineItemOperationError", "NOT_APPLICABLE", "id", row["id"])
        elif reason := _refusal(network, kind, row):
            findings.add(reason[0], reason[1], "id", row["id"])
    findings.refuse()
    if kind in ("ResumeLineItems", "ReserveLineItems") and not action.get("skipInventoryCheck"):
        check_forecast(network, "performLineItemAction", rows, "lineItem[{}]")
    now = network.now()
    for row in rows:
        perform(network, row)
        row["_modified"] = now
    return {"numChanges": len(rows)}


def remove_line(network: Network, row: Native) -> None:
    """Delete a line; it still counts against the limit of its order."""
    set_reserved(network, row, False)
    for association in network.tables["LineItemCreativeAssociation"].having("lineitemid", row["id"]):
        network.tables["LineItemCreativeAssociation"].remove(association["id"])
    network.tables["LineItem"].remove(row["id"])
    network.deleted_lines[row["orderId"]] = network.deleted_lines.get(row["orderId"], 0) + 1


def _reserve_anew(network: Network, rows: list[tuple[Native, Native]], unchecked: bool) -> None:
    """Move the reservations of updated lines to their new goals and flights, or refuse and leave them as they were."""
    reserved = [(row, old) for row, old in rows if old["_reserved"]]
    for _, old in reserved:
        count(network, old, -1)
    for index, (row, _) in enumerate(reserved):
        if is_reservable(row) and not unchecked and not has_room(network, row):
            for done, _ in reserved[:index]:
                count(network, done, -1 if is_reservable(done) else 0)
            for _, old in reserved:
                count(network, old, 1)
            fail("ForecastError", "NOT_ENOUGH_INVENTORY", f"lineItem[{index}]", row["id"])
        if is_reservable(row):
            count(network, row, 1)


def _check_order(network: Network, order_id: int, added: int, path: str, findings: Findings) -> None:
    order = network.tables["Order"].get(order_id)
    if order is None:
        findings.add("CommonError", "NOT_FOUND", f"{path}.orderId", order_id)
        return
    if refusal := order_refusal(order):
        findings.add("OrderError", refusal, f"{path}.orderId", order_id)
    present = len(network.tables["LineItem"].having("orderid", order_id)) + network.deleted_lines.get(order_id, 0)
    if present + added > network.settings.lines_per_order:
        findings.add(
            "EntityChildrenLimitReachedError", "LINE_ITEM_LIMIT_FOR_ORDER_REACHED", f"{path}.orderId", order_id
        )


def _line_refusal(network: Network, line: Native) -> str | None:
    order = network.tables["Order"].get(line["orderId"])
    if line["isArchived"] or (order is not None and order["isArchived"]):
        return "UPDATE_ARCHIVED_LINE_ITEM_NOT_ALLOWED"
    return _FROZEN.get(line["_review"])


def _refusal(network: Network, kind: str, row: Native) -> tuple[str, str] | None:
    """The error type and reason for which an action does not apply to a line, None if it does."""
    status = line_status(network, row, network.now())
    not_applicable = ("LineItemOperationError", "NOT_APPLICABLE")
    if kind == "ActivateLineItems":
        # Lines activate themselves here as soon as they have a creative (the network's auto-activation is on).
        if status == "INACTIVE" and not line_creatives(network, row["id"]):
            return "LineItemOperationError", "HAS_NO_ACTIVE_CREATIVES"
        return not_applicable
    if kind == "PauseLineItems":
        if status == "COMPLETED":
            return "LineItemOperationError", "HAS_COMPLETED"
        return None if status in ("READY", "INACTIVE", *_RUNNING) else not_applicable
    if kind in ("ResumeLineItems", "ResumeAndOverbookLineItems"):
        return None if status in ("PAUSED", "PAUSED_INVENTORY_RELEASED") else not_applicable
    if kind in ("ReserveLineItems", "ReserveAndOverbookLineItems"):
        if not is_reservable(row):
            return "ReservationDetailsError", "LINE_ITEM_TYPE_NOT_ALLOWED"
        return not_applicable if row["_reserved"] or status == "COMPLETED" else None
    if kind == "ReleaseLineItems":
        return None if row["_reserved"] and status != "COMPLETED" else not_applicable
    if kind == "ArchiveLineItems":
        return not_applicable if status in _RUNNING else None
    if kind == "UnarchiveLineItems":
        order = network.tables["Order"].get(row["orderId"])
        return not_applicable if order is not None and order["isArchived"] else None
    if kind == "DeleteLineItems" and (is_live(network, row) or any(delivered(network, row, network.now()).values())):
        return "LineItemOperationError", "CANNOT_DELETE_DELIVERED_LINE_ITEM"
    return None


def _activate(_network: Network, row: Native) -> None:
    raise LookupError(f"line {row['id']} cannot be INACTIVE with a creative")


def _pause(_network: Network, row: Native) -> None:
    row["_paused"] = True


def _resume(network: Network, row: Native) -> None:
    row["_paused"] = row["_released"] = False
    if is_reservable(row):
        set_reserved(network, row, True)


def _reserve(network: Network, row: Native) -> None:
    set_reserved(network, row, True)
    row["_released"] = False


def _release(network: Network, row: Native) -> None:
    set_reserved(network, row, False)
    if row["_review"] == "APPROVED":
        row["_paused"] = row["_released"] = True


def _archive(_network: Network, row: Native) -> None:
    row["isArchived"] = True


def _unarchive(_network: Network, row: Native) -> None:
    row["isArchived"] = False


_ACTIONS: dict[str, Callable[[Network, Native], None]] = {
    "ActivateLineItems": _activate,
    "PauseLineItems": _pause,
    "ResumeLineItems": _resume,
    "ResumeAndOverbookLineItems": _resume,
    "ReserveLineItems": _reserve,
    "ReserveAndOverbookLineItems": _reserve,
    "ReleaseLineItems": _release,
    "ArchiveLineItems": _archive,
    "UnarchiveLineItems": _unarchive,
    "DeleteLineItems": remove_line,
}
